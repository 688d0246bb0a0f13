"""Simulated parallel workers: order of events, determinism, budgets, and what it costs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from searchbench.cost import Budget, Cost
from searchbench.errors import BudgetExhausted, EvaluationFailed, StudyError
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.problem import Problem
from searchbench.harness.declared.study import Study
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.harness.running.measuring import MeasurementOutcome, duration_s
from searchbench.harness.running.run import run_search
from searchbench.harness.running.simulation import simulate
from searchbench.results.columns import first_difference, read_trials
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.asha import Asha
from searchbench.strategies.evolution import RegularizedEvolution
from searchbench.strategies.halving import SuccessiveHalving
from searchbench.strategies.random import Random
from searchbench.strategies.strategy import Scenario, Strategy
from searchbench.tables.table import Table
from searchbench.trial import Fidelity, Measurement, Proposal, Trial

SPACE = nasbench201()


class Recorded:
    """Values and seconds that depend on the architecture alone; a training of 9 epochs takes 10 to 110 seconds."""

    def complete(self, fidelity: Fidelity) -> Fidelity:
        return Fidelity(fidelity.epochs or 9.0, 1.0, 1.0, 1.0)

    def price(self, architecture: Any, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        epochs = (fidelity.epochs or 9.0) - (resume.epochs if resume else 0.0)  # type: ignore[operator]
        share = sum(map(len, architecture.values)) % 11
        return Cost(evaluations=1, epochs=epochs, simulated_s=(10 + 10 * share) * epochs / 9)

    def evaluate(
        self, architecture: Any, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        if architecture.values.count("none") > 4:
            raise EvaluationFailed("error", "nothing is left")
        value = 0.1 * sum(v != "nor_conv_3x3" for v in architecture.values) + seed % 100 / 1e4
        return Measurement(value), self.price(architecture, fidelity, resume)


def lab(budget: Budget, duplicates: Any = "charge") -> MeteredLab:
    told = Scenario(SPACE, Seeds("s", 0), budget, Fidelity(9.0), stops=(1.0, 3.0, 9.0))
    return MeteredLab(told, Recorded(), duplicates)


def simulated(strategy: Strategy, workers: int, budget: Budget, duplicates: Any = "charge") -> MeteredLab:
    made = lab(budget, duplicates)
    drive(strategy.start(made.scenario), made, workers=workers)
    return made


def frame(made: MeteredLab) -> Any:
    return read_trials(made.columns.to_bytes()).to_pandas()


@pytest.mark.parametrize("workers", [1, 7])
def test_trials_are_recorded_in_the_order_in_which_they_end(workers: int) -> None:
    table = frame(simulated(Random(), workers, Budget(evaluations=60)))
    assert (np.diff(table["metric_clock_s"]) >= 0).all()
    assert list(table["number"]) == list(range(60))
    assert list(table["spent_evaluations"]) == list(range(1, 61))


def test_events_are_those_of_a_simulation_by_hand() -> None:
    made = simulated(Random(), 2, Budget(evaluations=5))
    rng = Seeds("s", 0).rng("init")
    seconds = [Recorded().price(SPACE.sample(rng), Fidelity(9.0)).simulated_s for _ in range(5)]
    free, ends = [0.0, 0.0], []
    for length in seconds:
        at = free.index(min(free))
        free[at] += length
        ends.append(free[at])
    assert frame(made)["metric_clock_s"].tolist() == sorted(ends)


def test_what_ends_at_the_same_time_comes_back_in_the_order_in_which_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorded, "price", lambda *_: Cost(evaluations=1, epochs=9.0, simulated_s=10.0))
    rng = Seeds("s", 0).rng("init")
    begun = [str(SPACE.sample(rng)) for _ in range(12)]
    assert frame(simulated(Random(), 5, Budget(evaluations=12)))["architecture"].tolist() == begun


class Cheaper:
    """Measures elsewhere, and says in the end that it cost a third of the price."""

    def begin(self, request: Any) -> int:
        return 1

    def result(self, ticket: int) -> MeasurementOutcome:
        return MeasurementOutcome("ok", 0.5, Cost(evaluations=1, epochs=3.0))


def test_what_was_booked_is_replaced_by_what_it_came_to() -> None:
    made = lab(Budget(epochs=20))
    made.account.overlap()
    made.evaluation.crew = Cheaper()  # type: ignore[assignment]
    launched = made.evaluation.launch(Proposal(SPACE.sample(np.random.default_rng(0))))
    with pytest.raises(BudgetExhausted):
        made.account.check(Cost(epochs=17.0))
    made.evaluation.collect(launched)
    made.account.check(Cost(epochs=17.0))


def test_workers_share_the_work_and_all_are_busy() -> None:
    alone, many = (frame(simulated(Random(), w, Budget(evaluations=400))) for w in (1, 20))
    assert alone["metric_clock_s"].max() == pytest.approx(alone["spent_simulated_s"].max())
    speedup = alone["metric_clock_s"].max() / many["metric_clock_s"].max()
    assert 17 < speedup <= 20


@pytest.mark.parametrize("workers", [1, 3, 50])
@pytest.mark.parametrize(
    "strategy",
    [Random(), RegularizedEvolution(10, 3), Asha(eta=3), SuccessiveHalving()],
    ids=lambda s: type(s).__name__,
)
def test_same_seed_gives_the_same_bytes_for_any_number_of_workers(strategy: Strategy, workers: int) -> None:
    first, second = (simulated(strategy, workers, Budget(evaluations=150)) for _ in range(2))
    assert first_difference(first.columns.to_bytes(), second.columns.to_bytes(), ignoring=("spent_host_s",)) is None
    assert first.spent.device_s == 0.0  # failed evaluations too leave no trace of the host's clock


def test_the_clocks_of_the_host_are_recorded_apart_and_of_no_consequence(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = simulated(RegularizedEvolution(10, 3), 5, Budget(evaluations=100))
    ticks = iter(range(10**6))
    for name in ("time", "monotonic"):
        monkeypatch.setattr(time, name, lambda: pytest.fail("the host's clock was read"))
    for name in ("perf_counter", "process_time"):
        monkeypatch.setattr(time, name, lambda: float(next(ticks)))
    strange = simulated(RegularizedEvolution(10, 3), 5, Budget(evaluations=100))
    monkeypatch.undo()
    same = first_difference(reference.columns.to_bytes(), strange.columns.to_bytes(), ignoring=("spent_host_s",))
    assert same is None
    assert strange.spent.host_s > 100


def test_one_worker_finds_what_the_serial_loop_finds() -> None:
    serial = lab(Budget(evaluations=80))
    drive(RegularizedEvolution(10, 3).start(serial.scenario), serial)
    one = simulated(RegularizedEvolution(10, 3), 1, Budget(evaluations=80))
    columns = ["architecture", "value", "recommended", "spent_simulated_s"]
    assert frame(one)[columns].equals(frame(serial)[columns])
    assert one.final.architecture == serial.final.architecture  # type: ignore[union-attr]


@pytest.mark.parametrize("budget", [Budget(evaluations=37), Budget(epochs=123), Budget(seconds=2000)])
def test_what_is_under_way_cannot_overspend(budget: Budget) -> None:
    made = simulated(Asha(eta=3), 12, budget)
    axis, limit = next(iter(budget.limits.items()))
    spent = made.spent
    assert getattr(spent, axis) <= limit
    assert getattr(spent, axis) > limit - 111
    assert made.trials == spent.evaluations  # what had begun was finished


def test_nobody_waits_in_asha_but_a_bracket_of_successive_halving_awaits_its_rung() -> None:
    for strategy in (Asha(eta=3), SuccessiveHalving()):
        table = frame(simulated(strategy, 4, Budget(epochs=400)))
        resumed = table[table["resumed"].notna()]
        assert len(resumed) > 10
        clock = table.set_index("number")["metric_clock_s"]
        assert (resumed["metric_clock_s"].to_numpy() > clock[resumed["resumed"]].to_numpy()).all()


class Waits:
    """Proposes again only when nothing is under way: an idle worker has to be told so by None."""

    def __init__(self, space: Any) -> None:
        self.space, self.rng, self.awaited, self.most = space, np.random.default_rng(0), 0, 0

    def ask(self) -> Proposal | None:
        if self.awaited:
            return None
        self.awaited += 1
        return Proposal(self.space.sample(self.rng))

    def tell(self, trial: Any) -> None:
        self.awaited -= 1


def test_none_while_results_are_awaited_only_idles_a_worker() -> None:
    made = lab(Budget(evaluations=10))
    assert drive(Waits(SPACE), made, workers=3) == "budget"
    assert made.trials == 10
    assert frame(made)["metric_clock_s"].iloc[-1] == pytest.approx(made.spent.simulated_s)


def test_search_that_ends_lets_the_rest_finish() -> None:
    made = lab(Budget(evaluations=100))
    left = iter([Proposal(SPACE.sample(np.random.default_rng(i))) for i in range(5)])
    search = type("Five", (), {"ask": lambda self: next(left, None), "tell": lambda self, trial: None})()
    assert drive(search, made, workers=2) == "finished"
    assert made.trials == 5


def test_repeats_are_served_at_once_from_memory() -> None:
    made = simulated(Random(), 3, Budget(evaluations=40), "cache")
    table = frame(made)
    assert made.spent.evaluations == 40
    assert (np.diff(table["metric_clock_s"]) >= 0).all()


def test_study_on_a_table_declares_its_workers(table: Use) -> None:
    parallel = Use(table.name, **dict(table.parameters), workers=4)
    problems = [Problem("nasbench201", "digits", use, label=label) for use, label in ((table, "1"), (parallel, "4"))]
    study = Study("w", problems, ["random"], 1, Budget(evaluations=30))
    one, four = (run_search(spec) for spec in plan(study).runs)
    assert one.fingerprint != four.fingerprint  # never compared with each other
    clock = read_trials(four.trials).to_pandas()["metric_clock_s"]
    assert clock.max() < one.cost.simulated_s / 3
    assert four.cost.simulated_s == one.cost.simulated_s
    with pytest.raises(StudyError, match="workers"):
        Table("t.csv", workers=0)


@pytest.mark.parametrize("strategy", [Random(), RegularizedEvolution()], ids=["random", "evolution"])
def test_cost_of_an_evaluation_does_not_grow_with_the_run(strategy: Strategy) -> None:
    def seconds(count: int) -> float:
        made = lab(Budget(evaluations=count))
        search = strategy.start(made.scenario)
        started = time.process_time()
        drive(search, made, workers=100)
        return (time.process_time() - started) / count

    seconds(500)
    assert min(seconds(8000) for _ in range(2)) < 2 * min(seconds(1000) for _ in range(3))


class Stubborn:
    """Proposes one and the same architecture for ever."""

    def __init__(self) -> None:
        self.told = 0

    def ask(self) -> Proposal:
        return Proposal(next(SPACE.enumerate()))

    def tell(self, trial: Trial) -> None:
        self.told += 1


def test_a_search_that_asks_nothing_new_is_ended_and_what_is_under_way_is_told() -> None:
    made, search = lab(Budget(evaluations=50), "cache"), Stubborn()
    assert simulate(search, made, 3) == "stalled"
    assert search.told == made.trials
    assert made.spent.evaluations == 3  # asked before the first had ended


def test_an_evaluation_lasts_its_recorded_seconds_or_the_work_of_a_training_or_else_its_epochs_or_else_a_unit() -> None:
    assert duration_s(Cost(evaluations=1, epochs=4.0, simulated_s=2.5)) == 2.5
    assert duration_s(Cost(evaluations=1, epochs=4.0)) == 4.0
    assert duration_s(Cost(evaluations=1)) == 1.0
    assert duration_s(Cost(evaluations=1, epochs=4.0, macs=7 * 10**9), trains=True) == 7.0
