"""Every example is a study that can be planned; those whose data is not there are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchbench.errors import DataMissing
from searchbench.harness.plan import plan
from searchbench.harness.study_file import read_study

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
