"""`status`, once or again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from searchbench.cli.options import store_option, terminal

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command()
@click.option("--watch", is_flag=True, help="Show it again and again, until no run is missing or Ctrl-C.")
@click.option("--every", metavar="SECONDS", type=click.FloatRange(min=0.1), default=5.0, show_default=True)
@store_option
def status(watch: bool, every: float, store: str) -> None:
    """Studies of a store: runs done, failed and missing, and what they cost so far."""
    if not watch:
        terminal().print(_state(store)[0])
        return
    from rich.live import Live

    console = terminal()
    if not console.is_terminal:
        _print_changes(store, every)
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            shown, done = _state(store, wait=True)
            live.update(shown, refresh=True)
            if done:
                return
            time.sleep(every)


def _print_changes(store: str, every: float) -> None:
    """Print the table whenever it is another one, for a file or a pipe."""
    console, before = terminal(), ""
    while True:
        shown, done = _state(store, wait=True)
        with console.capture() as captured:
            console.print(shown)
        if (now := captured.get()) != before:
            click.echo(now, nl=False)
        before = now
        if done:
            return
        time.sleep(every)


def _state(store: str, *, wait: bool = False) -> tuple[RenderableType, bool]:
    """What is shown, and whether no run is missing. `wait`: whether a store that is not there yet is waited for."""
    from searchbench.reports.status import complete, status
    from searchbench.results.location import Location
    from searchbench.results.store import open_store

    path = Location.parse(store).path
    if wait and path is not None and not path.exists():
        return f"waiting for the store {store}", False
    with open_store(store) as opened:
        return status(opened), complete(opened)
