"""`list` and `describe`."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import click

from searchbench.cli.options import store_option, terminal

if TYPE_CHECKING:
    from searchbench.registry import Registry

KINDS = ("strategies", "spaces", "tasks", "estimators", "judges", "latencies", "studies")


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS))
@store_option
def list_things(kind: str, store: str) -> None:
    """What there is of a KIND, a line each."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 3))
    for name, summary in _names(kind, store).items():
        table.add_row(Text(name, style="bold"), summary)
    terminal().print(table)


def _names(kind: str, store: str) -> dict[str, str]:
    if kind == "studies":
        from searchbench.results.store import open_store

        with open_store(store) as opened:
            return {s.name: f"declared {s.created}, revision {s.revision}" for s in opened.studies()}
    return registries()[kind].names()


def registries() -> dict[str, Registry]:
    """The registries by the plural of what they hold."""
    from searchbench.estimators import ESTIMATORS, JUDGES
    from searchbench.estimators.latency import LATENCIES
    from searchbench.spaces import SPACES
    from searchbench.strategies import STRATEGIES
    from searchbench.tasks import TASKS

    return {
        "strategies": STRATEGIES,
        "spaces": SPACES,
        "tasks": TASKS,
        "estimators": ESTIMATORS,
        "judges": JUDGES,
        "latencies": LATENCIES,
    }


@click.command()
@click.argument("name")
def describe(name: str) -> None:
    """What NAME is: its parts, parameters with defaults, equations, source and deliberate differences."""
    from rich.text import Text

    from searchbench.errors import UnknownName

    console = terminal()
    kinds = registries().values()
    found = [(kind.kind, kind.factory(name)) for kind in kinds if name in kind.builtin or _resolves(kind, name)]
    if not found:
        raise UnknownName("name", name, [n for kind in kinds for n in kind.names()])
    for kind, factory in found:
        console.print(Text.assemble((name, "bold"), f", {kind}\n"))
        console.print(inspect.getdoc(factory) or "(no description)", markup=False, highlight=False)
        _print_parameters(console, factory)
        if kind == "space":
            _print_space(console, factory)


def _resolves(registry: Registry, name: str) -> bool:
    from searchbench.errors import InputError

    if ":" in name and registry.kind != "strategy":
        return False
    try:
        registry.factory(name)
    except InputError:
        return False
    return True


def _print_parameters(console: Any, factory: Any) -> None:
    from rich.table import Table

    table = Table("parameter", "default", title="parameters", title_justify="left", box=None)
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            table.add_row(parameter.name, _default(factory, parameter))
    if table.row_count:
        console.print()
        console.print(table)


def _default(factory: Any, parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "(required)"
    if dataclasses.is_dataclass(factory):
        field = {f.name: f for f in dataclasses.fields(factory)}.get(parameter.name)
        if field is not None and field.default_factory is not dataclasses.MISSING:
            return repr(field.default_factory())
    return repr(parameter.default)


def _print_space(console: Any, factory: Any) -> None:
    space = factory()
    console.print(f"\n{len(space.decisions)} decisions, {space.size:,.6g} points:")
    for decision in space.decisions:
        console.print(
            f"  {decision.name}: {', '.join(map(str, getattr(decision, 'options', (decision,))))}", markup=False
        )
