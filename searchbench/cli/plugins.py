"""`check`."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import click

from searchbench.printable import printable

if TYPE_CHECKING:
    from searchbench.testing import Conformance


@click.command()
@click.argument("name", metavar="MODULE:ATTR")
@click.option("--with", "given", multiple=True, metavar="NAME=VALUE", help="A parameter, as a study file writes it.")
@click.option("--space", metavar="NAME", help="What an estimator or a judge is opened for; small cells by default.")
@click.option("--task", metavar="NAME", help="Likewise; the bundled digits by default.")
@click.option("--wrong", is_flag=True, help="Print only what failed, and the count.")
def check(name: str, given: tuple[str, ...], space: str | None, task: str | None, wrong: bool) -> int:
    """Run the public conformance suite on a part: a strategy, space, task, estimator or judge.

    The part is a plug-in's `module:attr` or `file.py:attr`, an entry point, or a registered name. Prints a line per
    check, and where one fails what was found, what that means and the way out. Exit status: 0 it conforms, 1 a check
    failed, 2 there is no such part.
    """
    from searchbench.testing.kinds import SUITES, named

    failed = False
    for kind, part in named(name, dict(map(_parameter, given))):
        settings = _opened_for(space, task) if kind in ("estimator", "judge") else {}
        report = _report(SUITES[kind], part, settings)
        click.echo("\n".join(printable(line) for line in _shown(report, wrong).splitlines()))
        failed = failed or bool(report.wrong)
    return int(failed)


def _shown(report: Conformance, wrong: bool) -> str:
    lines = str(report).splitlines()
    return "\n".join([*map(str, report.wrong), lines[-1]] if wrong else lines)


def _report(suite: Any, part: Any, settings: dict[str, Any]) -> Conformance:
    from searchbench.testing import ConformanceError

    try:
        return suite(part, **settings)  # type: ignore[no-any-return]
    except ConformanceError as error:
        if error.report is None:
            raise
        return error.report


def _opened_for(space: str | None, task: str | None) -> dict[str, Any]:
    from searchbench.harness.declared.components import Use, make
    from searchbench.spaces import SPACES
    from searchbench.tasks import TASKS

    named = {"space": (space, SPACES), "task": (task, TASKS)}
    return {kind: make(Use(name), registry) for kind, (name, registry) in named.items() if name is not None}


def _parameter(given: str) -> tuple[str, Any]:
    """A name and a TOML value; a word without quotes is a text."""
    from searchbench.errors import InputError

    name, equals, text = given.partition("=")
    if not equals or not name:
        raise InputError(f"a parameter is written NAME=VALUE, but got {given!r}.")
    try:
        return name.strip(), tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), text.strip()
