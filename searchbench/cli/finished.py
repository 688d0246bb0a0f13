"""`results import`: finished results of anybody's runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from searchbench.cli.options import store_option, terminal, trust_option

KINDS = ("auto", "table", "optuna", "optuna-frame", "tune", "syne-tune", "deepcave", "wandb", "mlflow", "nevergrad")


@click.group()
def results() -> None:
    """Finished results from elsewhere: import them as a study, then rank, compare and report them as any other."""


@results.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@store_option
@click.option("--name", default="imported", show_default=True, help="Of the study.")
@click.option("--from", "source", type=click.Choice(KINDS), default="auto", show_default=True, help="Who wrote it.")
@click.option("--strategy", default="strategy", show_default=True, metavar="COLUMN")
@click.option("--seed", default="seed", show_default=True, metavar="COLUMN")
@click.option("--score", default=None, metavar="COLUMN", help="The result that counts. [default: score]")
@click.option("--task", default=None, metavar="COLUMN")
@click.option("--trial", default=None, metavar="COLUMN", help="Trial numbers: rows are evaluations, not runs.")
@click.option("--cost", default=None, metavar="COLUMN", help="Seconds of a row.")
@click.option("--status", default=None, metavar="COLUMN", help="How a row ended.")
@click.option("--metric", default=None, metavar="NAME", help="What the score is called in tables.")
@click.option("--unit", default="", metavar="UNIT")
@click.option("--share", is_flag=True, help="The score is a share in [0, 1], to be shown in percent.")
@click.option("--better", type=click.Choice(["lower", "higher"]), default=None)
@click.option("--baseline", default=None, metavar="LABEL", help="The strategy that the others are compared with.")
@click.option("--name-pattern", default=None, metavar="REGEX", help="Groups `strategy` and `seed` in names of studies.")
@click.option("--published", type=click.Path(path_type=Path), default=None, help="Rows of mean ± std to stand beside.")
def import_results(paths: tuple[Path, ...], store: str, **given: Any) -> None:
    """Import finished results: CSV, Parquet, JSON or arrays in long or wide form; studies of Optuna (SQLite, journal,
    `trials_dataframe`), experiments of Ray Tune and Syne Tune, exports of W&B and MLflow, Nevergrad's CSV, DeepCAVE."""
    from searchbench.harness.imported import import_files
    from searchbench.results.imported.finished import Meaning

    columns = {role: given.pop(role) for role in ("strategy", "seed", "task", "trial", "cost", "status")}
    found, runs = import_files(list(paths), store=store, meaning=Meaning(**columns), **given)
    strategies, tasks = {run.strategy for run in runs}, {run.task for run in runs}
    failed = sum(run.failed for run in runs)
    console = terminal()
    told = f"{len(runs)} runs of {len(strategies)} strategies on {len(tasks)} tasks, {failed} of them failed"
    console.print(f"{found.study}: {told}; imported, not recorded here.", markup=False)
    console.print(f"searchbench leaderboard {found.study} --store {store}", markup=False, soft_wrap=True)


@results.command("export")
@click.argument("study", required=False)
@store_option
@click.option("--to", "form", type=click.Choice(["csv", "optuna"]), required=True, help="A row per trial, or Optuna's.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="FILE.csv; FILE.db (SQLite) or FILE.log.")
@trust_option
def export_results(study: str | None, store: str, form: str, out: Path, trust: bool) -> None:
    """Every trial of a study, as a CSV file, or as an Optuna storage with a study per run."""
    from searchbench.integrations.exported import to_csv, to_optuna

    if form == "csv":
        told = f"{to_csv(store, study, out)} trials"
    else:
        told = f"{to_optuna(store, study, out, trust=trust)} studies, one per run"
    terminal().print(f"{out}: {told}", markup=False, emoji=False)
