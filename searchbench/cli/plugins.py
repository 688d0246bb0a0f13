"""`check`."""

from __future__ import annotations

import click

from searchbench.printable import printable


@click.command()
@click.argument("name", metavar="MODULE:ATTR")
def check(name: str) -> None:
    """Run the public conformance suite on a strategy (a plug-in's `module:attr`, or any registered name)."""
    from searchbench.harness.components import Use
    from searchbench.harness.study import Contestant
    from searchbench.testing import check_strategy

    report = check_strategy(Contestant(Use(name), name).make())
    click.echo(printable(str(report)))
