"""`table build`, `table import` and `table info`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from searchbench.cli.options import address_option, terminal, workers_option
from searchbench.cli.table_import import import_table


@click.group()
def table() -> None:
    """Tables of recorded results: build one from nothing, import one, or say what one holds."""


table.add_command(import_table)


@table.command()
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="The file to write; its journal lies beside it. [default: NAME.parquet]",
)
@click.option("--limit", type=click.IntRange(min=1), default=None, help="Train only so many architectures.")
@click.option(
    "--device",
    type=click.Choice(("auto", "cpu", "cuda")),
    default="cpu",
    show_default=True,
    help="Where to train. One worker (--workers 1) fills a GPU, whose last bits are not a CPU's.",
)
@workers_option
@address_option
def build(
    name: str, out: Path | None, limit: int | None, device: str, workers: int | None, ray_address: str | None
) -> None:
    """Train every architecture of the table NAME and write it.

    Repeat the command to go on where it stopped, however it stopped. What is finished first is a uniform sample.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from searchbench.harness.session import executor
    from searchbench.tables.building.build import build as build_table
    from searchbench.tables.building.plan import table_plan

    plan, console = table_plan(name), terminal(stderr=True)
    path = out or Path(f"{name}.parquet")
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*shown, TimeRemainingColumn(), console=console) as bar, executor(workers, ray_address) as chosen:
        task = bar.add_task("trainings", total=None)
        built = build_table(
            plan,
            path,
            chosen,
            device=device,
            limit=limit,
            told=lambda done, total: bar.update(task, completed=done, total=total),
        )
    rest = "" if built.complete else f" of {built.planned:,}; the same command without --limit completes it"
    console.print(f"{path}: {built.architectures:,} architectures{rest}, {built.bytes / 1e6:.2f} MB.", markup=False)


@table.command()
@click.argument("table")
def info(table: str) -> None:
    """What TABLE holds, a file or the name of one that ships with the package, and how it was trained."""
    from rich.table import Table
    from rich.text import Text

    from searchbench.tables.file import locate
    from searchbench.tables.shipped import about

    told = about(locate(table))
    grid = Table.grid(padding=(0, 2))
    for key, value in _lines(told):
        grid.add_row(Text(key, style="bold"), value)
    terminal().print(grid)


def _lines(told: dict[str, Any]) -> list[tuple[str, str]]:
    plan = told["plan"]
    recipe = ", ".join(f"{key}={value}" for key, value in plan["recipe"].items() if value not in (None, []))
    return [
        ("table", f"{plan['name']}, version {plan['version']}, fingerprint {told['fingerprint']}"),
        ("space", f"{plan['space']} ({', '.join(f'{key}={value}' for key, value in plan['settings'].items())})"),
        ("task", plan["task"]),
        ("rows", f"{told['rows']:,}, {'complete' if told['complete'] else 'not complete'}"),
        ("columns", f"{told['columns']}; {told['bytes'] / 1e6:.2f} MB"),
        ("repeats", str(plan["repeats"])),
        ("recorded", "epochs " + ", ".join(map(str, plan["recorded"]))),
        ("recipe", recipe),
        ("trained with", ", ".join(f"{k} {v}" for k, v in told["trained_with"]["packages"].items())),
    ]
