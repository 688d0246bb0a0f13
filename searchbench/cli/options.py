"""Options and the terminal that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_STORE = "searchbench.db"

store_option: Callable[[Any], Any] = click.option(
    "--store",
    default=lambda: os.environ.get("SEARCHBENCH_STORE", DEFAULT_STORE),
    show_default=DEFAULT_STORE,
    metavar="PATH|URL",
    help="The result store: a file, or any SQLAlchemy URL. [env: SEARCHBENCH_STORE]",
)
workers_option: Callable[[Any], Any] = click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=None,
    help="Processes at a time; 0 runs everything in this process. [default: every core]",
)
address_option: Callable[[Any], Any] = click.option(
    "--ray-address", default=None, metavar="ADDRESS", help="Join this Ray cluster instead of starting a local Ray."
)
trust_option: Callable[[Any], Any] = click.option(
    "--trust", is_flag=True, help="Import and run code that the store names and that is not this package's own."
)

fit_option: Callable[[Any], Any] = click.option(
    "--fit",
    type=click.Choice(("text", "column", "page")),
    default="text",
    show_default=True,
    help="tex: one column of text, one of two columns, or across both.",
)


def terminal(stderr: bool = False) -> Console:
    """The terminal; where the output goes to a file or a pipe, lines of 120 characters."""
    from searchbench.reports.console import PlainConsole

    console = PlainConsole(stderr=stderr)
    return console if console.is_terminal else PlainConsole(stderr=stderr, width=120)
