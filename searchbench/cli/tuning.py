"""`tune`: strategies' own settings, before they are compared."""

from __future__ import annotations

from pathlib import Path

import click

from searchbench.cli.options import address_option, store_option, terminal, workers_option
from searchbench.whole_file import check_writable, whole


@click.command()
@click.argument("study_file", metavar="STUDY.toml", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=None, help="[default: STUDY.tuned.toml]")
@store_option
@workers_option
@address_option
@click.option("--resume", is_flag=True, help="Complete a tuning that the store already holds runs of.")
def tune(
    study_file: Path, out: Path | None, store: str, workers: int | None, ray_address: str | None, resume: bool
) -> None:
    """Search strategies' settings as [tune] declares, and write the study with those that were chosen.

    The same number of settings of each strategy is tried on seeds or tasks that the study does not compare on. What
    that costs is recorded in the store, and declared in the file that is written.
    """
    from searchbench.harness.declared.study_file import read_tuning, with_settings
    from searchbench.harness.driving.progress import LiveProgress
    from searchbench.harness.tune import tune as tune_study

    study, plan = read_tuning(study_file)
    place = study_file.with_name(f"{study_file.stem}.tuned.toml") if out is None else out
    check_writable(place, fresh=True)
    with LiveProgress(terminal(stderr=True), workers) as progress:
        tuned = tune_study(
            study, plan, store, workers=workers, ray_address=ray_address, resume=resume, observer=progress
        )
    text = with_settings(study_file, tuned.study, {one.strategy: one.settings for one in tuned.chosen})
    with whole(place, fresh=True) as file:
        file.write_text(f"# {study_file.name} after `searchbench tune`.\n{text}", encoding="utf-8")
    console = terminal()
    console.print(str(tuned), markup=False, soft_wrap=True, highlight=False)
    console.print(f"searchbench run {place} --store {store}", markup=False, soft_wrap=True)
