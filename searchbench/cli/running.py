"""`run` and `verify`."""

from __future__ import annotations

from pathlib import Path

import click

from searchbench.cli.options import address_option, store_option, terminal, workers_option
from searchbench.cli.showing import show


@click.command()
@click.argument("study_file", metavar="STUDY.toml", type=click.Path(path_type=Path))
@store_option
@workers_option
@address_option
@click.option("--only", metavar="LABEL", default=None, help="Run the strategy of this label alone.")
@click.option("--resume", is_flag=True, help="Complete a study that the store already holds runs of.")
def run(
    study_file: Path, store: str, workers: int | None, ray_address: str | None, only: str | None, resume: bool
) -> int:
    """Run a study, show progress, and print the leaderboard."""

    from searchbench.harness.progress import LiveProgress
    from searchbench.harness.session import run as run_study
    from searchbench.harness.study_file import read_study
    from searchbench.reports.leaderboard import leaderboard
    from searchbench.results.store import open_store

    study = read_study(study_file)
    console = terminal(stderr=True)
    with LiveProgress(console) as progress:
        run_study(study, store, workers=workers, ray_address=ray_address, resume=resume, only=only, observer=progress)
    with open_store(store) as opened:
        board = leaderboard(opened, study.name)
        failed = [run for run in opened.runs(study.name, recordings=False) if not run.judged]
    show(board)
    console.print(
        f"Results are in {store}; `searchbench leaderboard --format md` prints a table to paste.", markup=False
    )
    return 1 if failed else 0


@click.command()
@click.argument("study", required=False)
@click.option("-k", "count", type=click.IntRange(min=1), default=3, show_default=True, help="How many runs to rerun.")
@click.option("--draw", type=int, default=None, help="Seed of the draw, to repeat one. [default: fresh]")
@store_option
@workers_option
@address_option
def verify(
    study: str | None, count: int, draw: int | None, store: str, workers: int | None, ray_address: str | None
) -> int:
    """Rerun K runs drawn at random and compare them with the store, trial by trial."""
    from rich.text import Text

    from searchbench.harness.verify import verify as verify_runs

    console = terminal()
    verdicts = verify_runs(store, study, count, draw=draw, workers=workers, ray_address=ray_address)
    for verdict in verdicts:
        console.print(Text(str(verdict), style="green" if verdict.identical else "bold red"))
    return 0 if all(verdict.identical for verdict in verdicts) else 1
