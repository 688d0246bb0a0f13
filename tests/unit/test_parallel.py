"""Evaluations under way at once: the record is a function of the study, whoever measures and in whatever order."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

import searchbench as sb
from searchbench.errors import StudyError
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.study import Study, study_from_spec
from searchbench.harness.declared.study_file import study_from_mapping
from searchbench.harness.running.loop import drive
from searchbench.harness.running.measuring import CrewLost, MeasurementOutcome, Request, measure
from searchbench.harness.running.run import open_lab, run_search
from searchbench.results.columns import first_difference, read_trials
from searchbench.trial import Proposal


class LateCrew:
    """A crew whose measurements end in an order of its own, each only once it is waited for."""

    def __init__(self, estimator: Any, disorder: int) -> None:
        self.estimator, self.rng = estimator, random.Random(disorder)
        self.begun: list[Request] = []
        self.most, self.open = 0, 0

    def begin(self, request: Request) -> int:
        self.begun.append(request)
        self.open += 1
        self.most = max(self.most, self.open)
        return len(self.begun) - 1

    def result(self, ticket: int) -> MeasurementOutcome:
        self.open -= 1
        return measure(self.estimator, self.begun[ticket], timed=False)

    def first(self, tickets: list[int]) -> int:
        return self.rng.choice(tickets)


def loss(config: dict[str, Any], *, seed: int, epochs: int = 9) -> dict[str, float]:
    if config["x"] > 0.95:
        raise ValueError("diverged")
    return {"loss": (config["x"] - 0.3) ** 2 / epochs + seed % 7 * 1e-3, "took": 1.0 + 10 * config["x"]}


def declared(strategy: Any = "random", **given: Any) -> Study:
    space = {"x": sb.Float(0, 1)}
    problem = sb.Objective(loss, space, **{"parallel": 4, "epochs": 9, **given})
    return sb.Study("parallel", problem, [strategy], seeds=1, budget=sb.Budget(epochs=200))


def run(study: Study, disorder: int | None = None, parallel: bool = True) -> tuple[Any, LateCrew | None]:
    (spec,) = plan(study).runs
    strategy = spec.contestant.make()
    lab = open_lab(spec, spec.seeds(strategy))
    crew = None if disorder is None else LateCrew(lab.evaluation.estimator, disorder)
    lab.evaluation.crew = crew
    resolved = spec.problem.resolve()
    drive(strategy.start(lab.scenario), lab, workers=resolved.parallel, order=resolved.order)
    return lab, crew


def differ(a: Any, b: Any) -> str | None:
    ignoring = ("spent_host_s", "spent_device_s", "spent_peak_memory_bytes")
    return first_difference(a.columns.to_bytes(), b.columns.to_bytes(), ignoring=ignoring)


def trials(lab: Any) -> Any:
    return read_trials(lab.columns.to_bytes())


STRATEGIES = ["random", "asha", "bohb", sb.Use("regularized-evolution", population=8, sample=3), "optuna:tpe"]
DURATIONS = [None, 2.0, "took", lambda config, epochs: epochs * (1 + config["x"])]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
@pytest.mark.parametrize("duration", DURATIONS, ids=["epochs", "number", "answered", "function"])
def test_the_record_is_the_same_whoever_measures(strategy: Any, duration: Any) -> None:
    study = declared(strategy, duration=duration)
    here, _ = run(study)
    for disorder in (1, 2):
        elsewhere, crew = run(study, disorder)
        assert differ(here, elsewhere) is None
        assert crew is not None
        assert crew.most == 4
        assert crew.open == 0
    assert here.spent.epochs <= 200


def test_results_are_told_in_the_order_of_what_is_declared() -> None:
    lab, _ = run(declared(duration="took"), 1)
    clock = trials(lab)["metric_clock_s"].to_pylist()
    assert clock == sorted(clock)
    assert len(set(clock)) > 10


def test_order_of_arrival_takes_whichever_ends_first_and_overspends_no_more() -> None:
    study = declared(order="arrival", epochs=9)
    first, _ = run(study, 1)
    second, _ = run(study, 2)
    assert differ(first, second) is not None
    assert first.spent.epochs <= 200


@pytest.mark.parametrize("budget", [sb.Budget(evaluations=13), sb.Budget(epochs=50)])
def test_what_is_under_way_is_booked_and_nothing_is_overspent(budget: sb.Budget) -> None:
    problem = sb.Objective(loss, {"x": sb.Float(0, 1)}, parallel=64, epochs=9)
    lab, crew = run(sb.Study("booked", problem, ["random"], seeds=1, budget=budget), 3)
    assert lab.spent.evaluations == (13 if budget.evaluations else 5)
    assert crew is not None
    assert len(crew.begun) == lab.spent.evaluations


def test_a_measurement_whose_process_is_lost_is_a_failed_trial() -> None:
    study = declared()
    (spec,) = plan(study).runs
    lab = open_lab(spec, spec.seeds(spec.contestant.make()))
    lab.account.overlap()

    class Gone(LateCrew):
        def result(self, ticket: int) -> MeasurementOutcome:
            return MeasurementOutcome("error", math.nan, self.begun[ticket].price, error="its process was lost")

    lab.evaluation.crew = Gone(lab.evaluation.estimator, 0)
    x = lab.scenario.space.sample(lab.scenario.seeds.rng("init"))
    trial = lab.evaluation.settle(lab.evaluation.launch(Proposal(x)))
    assert trial.failed
    assert trial.error == "its process was lost"
    assert lab.spent.epochs == 9


def test_a_run_whose_crew_is_lost_is_lost_and_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(LateCrew):
        def result(self, ticket: int) -> MeasurementOutcome:
            raise CrewLost("the node has died")

    (spec,) = plan(declared()).runs
    monkeypatch.setattr("searchbench.harness.running.run.crew_of", lambda spec, seeds: Gone(None, 0))
    with pytest.raises(CrewLost, match="the node has died"):
        run_search(spec)


def test_a_duration_that_is_no_number_fails_its_trial_only() -> None:
    lab, _ = run(declared(duration=lambda config: -1.0 if config["x"] < 0.5 else 1.0))
    status = trials(lab)["status"].to_pylist()
    assert 0 < status.count("error") < len(status)


def test_parallel_belongs_to_the_problem_and_to_its_fingerprint() -> None:
    alone, both = (sb.Problem("nasbench201", "digits", "table", parallel=p) for p in (None, 4))
    assert alone.resolve().fingerprint != both.resolve().fingerprint
    assert "parallel" not in alone.given()
    study = declared("random", duration=2.0)
    assert study.problems[0].resolve().parallel == 4
    table = sb.Study("t", both, ["random"], 2, sb.Budget(evaluations=9))
    again = study_from_spec(table.spec())
    assert again.problems == table.problems
    assert [spec.run_id for spec in plan(again).runs] == [spec.run_id for spec in plan(table).runs]


def test_a_table_under_parallel_runs_as_with_workers_of_its_own() -> None:
    found = []
    for problem in (
        sb.Problem("nasbench201", "digits", "table", parallel=5),
        sb.Problem("nasbench201", "digits", sb.Use("table", workers=5)),
    ):
        study = sb.Study("same", problem, [sb.Use("regularized-evolution", population=5, sample=2)], 1,
                         sb.Budget(evaluations=40))  # fmt: skip
        found.append(run(study)[0])
    assert differ(*found) is None


BASE = {"name": "s", "seeds": 1, "budget": {"evaluations": 3}, "strategies": [{"use": "random"}]}
PART = {"space": "nasbench201", "task": "digits", "estimator": "table"}


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({**PART, "parallel": 0}, "`parallel` must be a positive integer"),
        ({**PART, "parallel": 2.5}, "`parallel` must be a positive integer"),
        ({**PART, "parallel": True}, "`parallel` must be a positive integer"),
        ({**PART, "parallel": 2, "order": "luck"}, '`order` must be "declared" or "arrival"'),
        ({**PART, "order": "arrival"}, "needs `parallel"),
        ({"command": "true {x}", "space": {"x": {"low": 0.0, "high": 1.0}}, "duration": -1}, "`duration` must be"),
        ({"command": "true {x}", "space": {"x": {"low": 0.0, "high": 1.0}}, "parallel": "2"}, "`parallel` must be"),
    ],
)
def test_impossible_settings_are_refused(given: dict[str, Any], rule: str) -> None:
    with pytest.raises(StudyError, match=rule):
        study_from_mapping({**BASE, "problems": [given]})
