"""The table that ships with the package: whole, true to what it says, and found by its name."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyarrow import parquet
from scipy import stats

from searchbench import Budget, Problem, Study, Use, run
from searchbench.cli.tables import table as table_command
from searchbench.errors import TableError
from searchbench.seeds import Seeds
from searchbench.tables.building.plan import TableJob, table_plan
from searchbench.tables.building.training import train_stack
from searchbench.tables.shipped import SHIPPED, shipped
from searchbench.tables.table import Table
from searchbench.tasks.digits import Digits
from searchbench.trial import FULL, Fidelity

NAME = "nasbench201-digits"
PATH = SHIPPED[NAME]
PLAN = table_plan(NAME)


def columns(*names: str) -> dict[str, list[float]]:
    return parquet.read_table(PATH, columns=list(names)).to_pydict()


def test_it_holds_every_distinct_cell_of_the_present_plan() -> None:
    told = shipped(NAME)
    assert (told["fingerprint"], told["complete"], told["rows"]) == (PLAN.fingerprint, True, 6466)
    assert {a.key for a in map(PLAN.make_space().parse, columns("architecture")["architecture"])} == {
        a.key for a in PLAN.architectures()
    }
    assert told["bytes"] < 4e6


def test_accuracies_are_shares_of_the_samples_they_were_measured_on() -> None:
    cells = columns("valid_0_12", "test_2_1")
    for name, values in cells.items():
        assert all(abs(value * 599 - round(value * 599)) < 1e-6 for value in values if value is not None), name


def test_seeds_agree_on_the_ranking_and_short_trainings_mean_something() -> None:
    repeats, epochs = range(3), (1, 4, 8, 12)
    cells = columns(*(f"valid_{r}_{e}" for r in repeats for e in epochs), "test_0_12")
    mean = [sum(three) / 3 for three in zip(*(cells[f"valid_{r}_12"] for r in repeats), strict=True)]

    def spearman(first: list[float], second: list[float]) -> float:
        return float(stats.spearmanr(first, second).statistic)

    by_epoch = [statistics.mean(spearman(cells[f"valid_{r}_{e}"], mean) for r in repeats) for e in epochs]
    assert by_epoch == sorted(by_epoch)
    assert by_epoch[0] > 0.3
    assert spearman(cells["valid_0_12"], cells["valid_1_12"]) > 0.9
    assert spearman(cells["valid_0_12"], cells["test_0_12"]) > 0.95


def test_training_a_recorded_stack_again_gives_what_is_recorded() -> None:
    # another processor or another PyTorch rounds differently, and that grows: a few samples of 599
    job = next(PLAN.jobs())
    rows = {row["architecture"]: row for row in parquet.read_table(PATH).to_pylist()}
    few = TableJob(PLAN, job.architectures[:6], job.repeat)
    differences = [
        abs(trained.valid[at] - rows[trained.architecture][f"valid_{job.repeat}_{epoch}"])
        for trained in train_stack(few)
        for at, epoch in enumerate(PLAN.recorded)
    ]
    assert statistics.median(differences) <= 3 / 599
    assert max(differences) < 0.1


def test_an_estimator_named_table_is_this_one() -> None:
    found, space = Table(), PLAN.make_space()
    cell = space.parse(columns("architecture")["architecture"][5])
    estimator = found.open(space, Digits(), Seeds("s", 0))
    measured, cost = estimator.evaluate(cell, FULL, seed=1)
    assert measured.value == 1 - columns("valid_1_12")["valid_1_12"][5]
    assert set(measured.metrics) == {"params", "macs"}
    assert (cost.evaluations, cost.epochs) == (1, 12)
    assert found.stops(Digits()) == (1, 2, 3, 4, 6, 8, 10, 12)
    assert estimator.evaluate(cell, Fidelity(epochs=1), seed=2)[0].value == 1 - columns("valid_2_1")["valid_2_1"][5]
    assert Table(workers=4, seconds=None).epochs == 12


def test_a_study_on_it_needs_no_more_than_its_name(tmp_path: Path) -> None:
    study = Study("short", Problem("nasbench201", "digits", "table"), ["random", "local-search"], 2, Budget(epochs=120))
    runs = run(study, tmp_path / "s.db", workers=0).runs()
    assert (runs["status"] == "ok").all()


def test_it_is_refused_for_another_task() -> None:
    class Other(Digits):
        name = "mnist"

    with pytest.raises(TableError, match="records trainings on task `digits`, but the problem's task is `mnist`"):
        Table().open(PLAN.make_space(), Other(), Seeds("s", 0))


def test_info_finds_it_by_name() -> None:
    shown = CliRunner().invoke(table_command, ["info", NAME])
    assert shown.exit_code == 0
    assert "6,466, complete" in shown.output


def test_a_judge_looks_up_its_test_columns() -> None:
    problem = Problem("nasbench201", "digits", Use("train", epochs=1), judge="table").resolve()
    space = PLAN.make_space()
    cell = space.parse(columns("architecture")["architecture"][0])
    verdict = problem.judge.open(space, Digits(), Seeds("s", 0)).verdict(cell)
    tests = columns("test_0_12", "test_1_12", "test_2_12")
    assert verdict.test_error == pytest.approx(1 - sum(t[0] for t in tests.values()) / 3)
