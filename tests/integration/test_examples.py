"""Every example is a study that can be planned, and runs where nothing is trained; left out is whose data is absent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import searchbench as sb
from searchbench.errors import DataMissing
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.study_file import read_study

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_plans_runs_of_every_strategy(path: Path) -> None:
    study = read_study(path)
    try:
        planned = plan(study)
    except DataMissing as missing:
        pytest.skip(f"its data is not here: {missing}")
    ran = {run.contestant.label for run in planned.runs}
    assert ran | {skipped.strategy for skipped in planned.skipped} == ran, planned.skipped
    assert len({run.run_id for run in planned.runs}) == len(planned.runs)


def test_a_study_is_read_by_a_path_that_is_a_text() -> None:
    assert read_study(str(EXAMPLES[0])) == read_study(EXAMPLES[0])


@pytest.mark.parametrize("name", [pytest.param("blackbox_leaderboard", marks=pytest.mark.slow), "contest"])
def test_an_example_on_recorded_results_runs(name: str, tmp_path: Path) -> None:
    whole = read_study(next(path for path in EXAMPLES if path.stem == name))
    study = replace(whole, seeds=whole.seeds[:1], budget=sb.Budget(epochs=120))
    runs = sb.run(study, tmp_path / "r.db", workers=0, progress=False).runs()
    assert set(runs.strategy) == {contestant.label for contestant in study.strategies}
    assert set(runs.test_status) == {"ok"}
