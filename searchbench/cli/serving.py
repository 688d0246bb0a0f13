"""`serve`."""

from __future__ import annotations

import os

import click

from searchbench.cli.options import DEFAULT_STORE


@click.command()
@click.argument("where", metavar="[STORE|FOLDER]", required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="0 takes a free one.")
def serve(where: str | None, port: int) -> None:
    """The report's page, live, of a store or of a folder of stores, on this machine only; nothing is written."""
    from searchbench.reports.serving import serving

    place = where or os.environ.get("SEARCHBENCH_STORE", DEFAULT_STORE)
    with serving(place, port) as server:
        host, taken = server.server_address[:2]
        click.echo(f"http://{host!s}:{taken} shows {place}; Ctrl-C ends it.")
        server.serve_forever()
