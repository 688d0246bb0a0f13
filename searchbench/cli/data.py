"""`doctor`."""

from __future__ import annotations

import click

from searchbench.cli.options import store_option, terminal


@click.command()
@store_option
def doctor(store: str) -> int:
    """Look at this machine: Python, packages, devices, Ray, data found or missing, each with the way out."""
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
