"""`doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from searchbench.cli.options import store_option, terminal


@click.command()
@store_option
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Write what can be read of a damaged store to this new one, and do nothing else.",
)
def doctor(store: str, save: Path | None) -> int:
    """Look at this machine: Python, packages, devices, Ray, data found or missing, each with the way out. Of the store
    the pages, the runs against their trials, and the costs against the budgets are checked."""
    if save is not None:
        from searchbench.results.examination import save as save_store

        terminal().print(f"{save}: {save_store(Path(store), save)}", markup=False, emoji=False)
        return 0
    from rich.table import Table
    from rich.text import Text

    from searchbench.harness.doctor import findings

    table = Table.grid(padding=(0, 2))
    styles = {"ok": "green", "missing": "yellow", "broken": "bold red"}
    found = list(findings(store))
    for finding in found:
        table.add_row(Text(finding.state, style=styles[finding.state]), finding.what, finding.told)
    terminal().print(table)
    return 1 if any(finding.state == "broken" for finding in found) else 0
