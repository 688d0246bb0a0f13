"""Building a table: what is trained, what survives an interruption, and who can read the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from searchbench.cli.tables import table as table_command
from searchbench.errors import EvaluationFailed, TableError, UnknownName
from searchbench.estimators.batches import Batches
from searchbench.estimators.training import begin, fit, measure, weights_seed
from searchbench.harness.declared.plan import Role
from searchbench.harness.executors.executor import Finished, Lost
from searchbench.harness.executors.local import LocalExecutor
from searchbench.seeds import Seeds
from searchbench.spaces.networks import initialise
from searchbench.tables.building.build import Built, build, journal_of
from searchbench.tables.building.plan import GPU_STACK, STACK, TablePlan, table_plan
from searchbench.tables.shipped import about, columns
from searchbench.tables.table import Table
from searchbench.tasks.task import Recipe
from searchbench.trial import FULL, Fidelity

PLAN = TablePlan(
    name="tiny",
    space="nasbench201",
    task="digits",
    settings=(("channels", 2), ("cells", 1), ("stages", 1)),
    recipe=Recipe(epochs=2, batch_size=64, lr=0.1, bn_momentum=0.5),
    recorded=(1, 2),
    repeats=2,
)


class Counting(LocalExecutor):
    """Trains here, counts jobs, and breaks off before job number `stop`."""

    def __init__(self, stop: float = math.inf) -> None:
        super().__init__()
        self.jobs, self.stop, self.roles = 0, stop, set[Role]()

    def submit(self, role: Role, function: Callable[[Any], Any], items: Sequence[Any], *needs: Any) -> int:
        self.roles.add(role)
        return super().submit(role, function, items, *needs)

    def wait(self, timeout_s: float) -> list[Finished]:
        if self.jobs == self.stop:
            raise KeyboardInterrupt
        self.jobs += 1
        return super().wait(timeout_s)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """One stack of cells, both repeats."""
    return build(PLAN, tmp_path_factory.mktemp("built") / "tiny.parquet", LocalExecutor(), limit=STACK)


def accuracies(path: Path) -> list[dict[str, Any]]:
    """Rows without what depends on the speed of the machine."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in parquet.read_table(path).to_pylist()]


def test_jobs_train_every_distinct_cell_once_per_repeat() -> None:
    plan = table_plan("nasbench201-digits")
    jobs = list(plan.jobs())
    trained = [(text, job.repeat) for job in jobs for text in job.architectures]
    assert len(trained) == len(set(trained)) == 6466 * 3
    assert [job.repeat for job in jobs[:4]] == [0, 1, 2, 0]
    assert jobs == list(plan.jobs())


def test_a_gpu_gets_large_stacks_of_the_same_trainings() -> None:
    plan = table_plan("nasbench201-digits")
    on_cpu, on_gpu = list(plan.jobs("cpu")), list(plan.jobs("cuda"))
    assert {(text, job.repeat) for job in on_gpu for text in job.architectures} == {
        (text, job.repeat) for job in on_cpu for text in job.architectures
    }
    assert (len(on_cpu[0].architectures), len(on_gpu[0].architectures)) == (STACK, GPU_STACK)
    assert on_gpu[0].architectures[:STACK] == on_cpu[0].architectures


def test_the_first_jobs_are_a_uniform_sample() -> None:
    first = [text for job in list(table_plan("nasbench201-digits").jobs())[:180] for text in job.architectures]
    everything = table_plan("nasbench201-digits").architectures()
    share = sum(text.count("nor_conv_3x3") for text in first) / len(first)
    assert share == pytest.approx(sum(str(a).count("nor_conv_3x3") for a in everything) / len(everything), abs=0.12)


def test_a_table_holds_what_training_one_by_one_gives(built: Built) -> None:
    space, task, seeds = PLAN.make_space(), PLAN.make_task(), PLAN.seeds()
    search, judge = task.search_data(seeds), task.judge_data(seeds)
    row = next(row for row in accuracies(built.path) if row["architecture"].count("nor_conv") >= 2)
    network = space.builder().network(space.parse(row["architecture"]), task.shape, task.classes)
    training = begin(initialise(network, weights_seed(PLAN.seed(1))), PLAN.recipe, PLAN.seed(1))
    fit(training, Batches(search.train), 2)
    sample = 1.5 / len(search.valid)
    assert row["valid_1_2"] == pytest.approx(1 - measure(training.network, Batches(search.valid)), abs=sample)
    assert row["test_1_2"] == pytest.approx(1 - measure(training.network, Batches(judge.test)), abs=sample)
    assert row["loss_1_2"] == pytest.approx(training.losses[1], abs=1e-3)
    assert row["params"] == sum(p.numel() for p in network.parameters())
    assert row["train_macs"] == 3 * row["macs"] * 599 * 2


def test_the_table_estimator_reads_it_and_keeps_test_columns_to_the_judge(built: Built) -> None:
    spec, space = Table(str(built.path), **columns(about(built.path))), PLAN.make_space()
    row = accuracies(built.path)[0]
    cell = space.parse(row["architecture"])
    estimator = spec.open(space, PLAN.make_task(), Seeds("study", 0))
    measured, cost = estimator.evaluate(cell, FULL, seed=1)
    assert (measured.value, cost.epochs) == (1.0 - row["valid_1_2"], 2)
    assert estimator.evaluate(cell, Fidelity(epochs=1), seed=0)[0].value == 1.0 - row["valid_0_1"]
    verdict = spec.judge().open(space, PLAN.make_task(), Seeds("study", 0)).verdict(cell)
    assert verdict.test_error == pytest.approx(1 - (row["test_0_2"] + row["test_1_2"]) / 2)


def test_a_build_that_was_killed_goes_on_where_it_stopped(built: Built, tmp_path: Path) -> None:
    out, killed, resumed = tmp_path / "tiny.parquet", Counting(stop=1), Counting()
    with pytest.raises(KeyboardInterrupt):
        build(PLAN, out, killed, limit=STACK)
    assert not out.exists()
    progress: list[tuple[int, int]] = []
    again = build(PLAN, out, resumed, limit=STACK, told=lambda *counts: progress.append(counts))
    assert (killed.jobs, resumed.jobs) == (1, 1)
    assert progress == [(STACK, 2 * STACK), (2 * STACK, 2 * STACK)]
    assert (again.architectures, again.planned, again.complete) == (STACK, 6466, False)
    assert accuracies(out) == accuracies(built.path)


def test_trainings_run_where_judges_run_and_searches_never_do(tmp_path: Path) -> None:
    executor = Counting(stop=0)
    with pytest.raises(KeyboardInterrupt):
        build(PLAN, tmp_path / "x.parquet", executor, limit=STACK)
    assert executor.roles == {"judge"}


def test_a_lost_stack_is_trained_again_and_given_up_after_three_times(tmp_path: Path) -> None:
    class Losing(Counting):
        def wait(self, timeout_s: float) -> list[Finished]:
            self.jobs += 1
            ticket = self._queue.popleft()[0]
            return [Finished(ticket, Lost("node gone"))]

    executor = Losing()
    with pytest.raises(TableError, match=r"lost 3 times \(node gone\)"):
        build(replace(PLAN, repeats=1), tmp_path / "x.parquet", executor, limit=1)
    assert executor.jobs == 3


def test_a_journal_of_another_recipe_is_refused(built: Built) -> None:
    other = replace(PLAN, recipe=replace(PLAN.recipe, lr=0.2))
    with pytest.raises(TableError, match="holds trainings of another recipe or other data"):
        build(other, built.path, Counting(), limit=STACK)


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    journal_of(out).write_text("precious " * 100)
    with pytest.raises(TableError, match="is not the journal of a table"):
        build(PLAN, out, Counting(), limit=STACK)
    assert journal_of(out).read_text() == "precious " * 100


def test_a_training_that_diverges_is_recorded_as_empty_cells(tmp_path: Path) -> None:
    wild = replace(PLAN, name="wild", recipe=replace(PLAN.recipe, lr=1e30), repeats=1)
    path = build(wild, tmp_path / "wild.parquet", LocalExecutor(), limit=STACK).path
    rows = accuracies(path)
    failed = [row for row in rows if row["valid_0_2"] is None]
    assert failed
    spec = Table(str(path), validation=("valid_0_2",), partial=True)
    estimator = spec.open(wild.make_space(), wild.make_task(), Seeds("study", 0))
    with pytest.raises(EvaluationFailed, match="records no result"):
        estimator.evaluate(wild.make_space().parse(failed[0]["architecture"]), FULL, seed=0)


def test_a_table_says_how_it_was_built(built: Built) -> None:
    told = about(built.path)
    assert told["plan"]["recipe"]["bn_momentum"] == 0.5
    assert told["fingerprint"] == PLAN.fingerprint
    assert (told["rows"], told["complete"]) == (STACK, False)
    shown = CliRunner().invoke(table_command, ["info", str(built.path)])
    assert shown.exit_code == 0
    assert "16, not complete" in shown.output


def test_an_unknown_table_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="nasbench201-digits"):
        table_plan("nasbench201-digit")
