"""`run` and `verify`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searchbench.cli.options import address_option, store_option, terminal, trust_option, workers_option
from searchbench.cli.showing import in_brief, in_words, show

if TYPE_CHECKING:
    from searchbench.harness.driving.progress import Observer


@click.command()
@click.argument("study_file", metavar="STUDY.toml", type=click.Path(path_type=Path))
@store_option
@workers_option
@address_option
@click.option("--only", metavar="LABEL", default=None, help="Run the strategy of this label alone.")
@click.option("--resume", is_flag=True, help="Complete a study that the store already holds runs of.")
@click.option("--retry-failed", is_flag=True, help="Complete it, and run again what failed or could not be judged.")
@click.option(
    "--track",
    "trackers",
    multiple=True,
    metavar="NAME[=PLACE]",
    help="Write every run to tensorboard, mlflow or wandb.",
)
@click.option("--report/--no-report", "wants_report", default=True, help="Write the HTML report beside the store.")
@click.option(
    "--submit",
    metavar="URL",
    default=None,
    help="Give it to a driver inside a cluster (a Ray job), by the URL of its dashboard, and return.",
)
@click.option("--brief", is_flag=True, help="Print what was found in a sentence and a short table.")
def run(
    study_file: Path,
    store: str,
    workers: int | None,
    ray_address: str | None,
    only: str | None,
    resume: bool,
    retry_failed: bool,
    trackers: tuple[str, ...],
    wants_report: bool,
    submit: str | None,
    brief: bool,
) -> int:
    """Run a study, show progress, print the leaderboard and write the report."""
    if submit is not None:
        if ray_address is not None:
            raise click.UsageError("--submit names a cluster, whose driver joins it; leave out --ray-address.")
        options = [] if workers is None else ["--workers", str(workers)]
        options += [part for name in trackers for part in ("--track", name)] + ["--retry-failed"] * retry_failed
        _submit(study_file, store, submit, options, only)
        return 0
    from searchbench.harness.declared.study_file import read_study
    from searchbench.harness.driving.progress import LiveProgress
    from searchbench.harness.session import run as run_study
    from searchbench.reports.dossier import AXES, read
    from searchbench.reports.report import default_folder, write
    from searchbench.results.store import open_store

    study = read_study(study_file)
    observers = _trackers(trackers)
    console = terminal(stderr=True)
    with LiveProgress(console, workers) as progress:
        run_study(
            study,
            store,
            workers=workers,
            ray_address=ray_address,
            resume=resume,
            retry_failed=retry_failed,
            only=only,
            observer=progress,
            observers=observers,
        )
    with open_store(store) as opened:
        dossier = read(opened, study.name, axes=AXES if wants_report else (), rankings=wants_report)
        folder = default_folder(opened, study.name)
    if brief:
        in_brief(dossier)
    else:
        show(dossier.board)
        in_words(dossier)
    if wants_report:
        console.print(f"The report is {write(dossier, folder).page}; it opens in any browser, offline.", markup=False)
    if not brief:
        console.print(
            f"Results are in {store}; `searchbench leaderboard --format md` prints a table to paste.", markup=False
        )
    return 0 if all(run.judged for run in dossier.runs) else 1


def _submit(study_file: Path, store: str, cluster: str, options: list[str], only: str | None) -> None:
    from searchbench.harness.executors.submitted import submit

    job = submit(study_file, store, cluster, options, only=only)
    told = [
        f"{job} runs {study_file} inside {cluster}; this machine may be closed.",
        f"Its progress: searchbench status --watch --store {shlex.quote(store)}",
        f"Its output:   ray job logs --follow --address {cluster} {job}",
    ]
    click.echo("\n".join(told))


def _trackers(wanted: tuple[str, ...]) -> list[Observer]:
    if not wanted:
        return []
    from searchbench.integrations import tracker

    return [tracker(text) for text in wanted]


@click.command()
@click.argument("study", required=False)
@click.option("-k", "count", type=click.IntRange(min=1), default=3, show_default=True, help="How many runs to rerun.")
@click.option("--draw", type=int, default=None, help="Seed of the draw, to repeat one. [default: fresh]")
@click.option("--run", "runs", multiple=True, metavar="ID", help="Rerun this one, as the report names it; repeatable.")
@store_option
@workers_option
@address_option
@trust_option
def verify(
    study: str | None,
    count: int,
    draw: int | None,
    runs: tuple[str, ...],
    store: str,
    workers: int | None,
    ray_address: str | None,
    trust: bool,
) -> int:
    """Rerun K runs drawn at random, or those that are named, and compare them with the store, trial by trial."""
    from rich.text import Text

    from searchbench.harness.verify import verify as verify_runs

    console = terminal()
    verdicts = verify_runs(
        store, study, count, draw=draw, runs=runs, workers=workers, ray_address=ray_address, trust=trust
    )
    for verdict in verdicts:
        console.print(Text(str(verdict), style="green" if verdict.identical else "bold red"))
    return 0 if all(verdict.identical for verdict in verdicts) else 1
