"""What plug-ins hand over or raise is a failed trial or run that says so; the study goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import searchbench as sb
from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, InputError, Interrupted
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.borders import checked_measurement, checked_outcome, number, told
from searchbench.harness.running.run import run_judge, run_search
from searchbench.results.columns import read_trials
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Space
from searchbench.strategies.random import Random
from searchbench.testing import ConformanceError, check_strategy, stages
from searchbench.testing.kinds import named
from searchbench.trial import Fidelity, Measurement, Outcome

SPACE = Space("six", (Choice("a", (1, 2)), Choice("b", ("x", "y", "z"))))
ONE = Cost(evaluations=1)
LONE = "\udcff"
ODD: dict[str, Any] = {}
"""What the estimator and judge below do, by name; set by the tests."""


@dataclass(frozen=True)
class Odd:
    """An estimator and a judge that do what `ODD` says, every second time or in every verdict."""

    trains: bool = False

    def checksum(self):
        return ""

    def open(self, space, task, seeds):
        if "open" in ODD:
            ODD["open"]()
        return Live()

    def judge(self):
        return self


class Live:
    def __init__(self):
        self.asked = 0

    def complete(self, fidelity):
        return Fidelity(epochs=1)

    def price(self, architecture, fidelity, resume=None):
        return ODD.get("price", ONE)

    def evaluate(self, architecture, fidelity, seed, resume=None):
        self.asked += 1
        if self.asked % 2 and "evaluate" in ODD:
            return ODD["evaluate"]()
        return Measurement(0.5), ODD.get("cost", ONE)

    def verdict(self, architecture):
        return ODD["verdict"]() if "verdict" in ODD else Outcome("ok", 0.25)


@pytest.fixture(autouse=True)
def _usual():
    ODD.clear()
    yield
    ODD.clear()


def study(*strategies: Any, **given: Any) -> sb.Study:
    given = {"budget": sb.Budget(evaluations=6), "seeds": 1} | given
    labelled = {f"s{i}": strategy for i, strategy in enumerate(strategies or (Random(),))}
    return sb.Study("odd", sb.Problem(SPACE, "digits", Odd(), label="p"), labelled, **given)


def searched(asked: sb.Study):
    spec = plan(asked).runs[0]
    result = run_search(spec)
    return spec, result, read_trials(result.trials).to_pylist() if result.trials else []


def raising(error):
    def raise_it(*_, **__):
        raise error

    return raise_it


class BadWords(Exception):
    def __str__(self):
        raise RuntimeError("no words")


ERRORS = [
    SystemExit(0), KeyboardInterrupt(), GeneratorExit(), BaseException("base"), RecursionError(), BadWords(),
    ValueError(f"a path {LONE}"), ValueError("x" * 10_000_000), UnicodeEncodeError("utf-8", LONE, 0, 1, "no"),
    EvaluationFailed("of a kind unheard of", f"{LONE}"), EvaluationFailed("ok", "not so"),
    EvaluationFailed("error", 7), StopIteration(), MemoryError(), ValueError("zero \x00 byte"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_whatever_an_evaluation_raises_is_a_failed_trial(error):
    ODD["evaluate"] = raising(error)
    _, result, trials = searched(study())
    assert result.status == "ok"
    assert [t["status"] == "ok" for t in trials] == [False, True] * 3
    assert all(len(t["error"]) < 30_000 for t in trials if t["error"])


MEASUREMENTS = {
    "text": lambda: (Measurement("0.1"), ONE),
    "None": lambda: (Measurement(None), ONE),
    "list": lambda: (Measurement([0.1]), ONE),
    "NaN": lambda: (Measurement(math.nan), ONE),
    "huge": lambda: (Measurement(10**400), ONE),
    "complex": lambda: (Measurement(1j), ONE),
    "array": lambda: (Measurement(np.ones(3)), ONE),
    "no measurement": lambda: (0.1, ONE),
    "one thing": lambda: Measurement(0.1),
    "nothing": lambda: None,
    "metric text": lambda: (Measurement(0.1, {"m": "fast"}), ONE),
    "metric list": lambda: (Measurement(0.1, {"m": [1, 2]}), ONE),
    "metric huge": lambda: (Measurement(0.1, {"m": 10**400}), ONE),
    "metric None": lambda: (Measurement(0.1, {"m": None}), ONE),
    "metric name": lambda: (Measurement(0.1, {LONE: 1.0}), ONE),
    "metric number": lambda: (Measurement(0.1, {3: 1.0}), ONE),
    "metrics list": lambda: (Measurement(0.1, [1.0]), ONE),
    "no cost": lambda: (Measurement(0.1), None),
    "cost NaN": lambda: (Measurement(0.1), Cost(evaluations=1, device_s=math.nan)),
    "cost infinite": lambda: (Measurement(0.1), Cost(evaluations=1, host_s=math.inf)),
    "cost negative": lambda: (Measurement(0.1), Cost(evaluations=-1)),
    "cost text": lambda: (Measurement(0.1), Cost(evaluations="1")),
    "beyond its price": lambda: (Measurement(0.1), Cost(evaluations=5)),
    "on another axis": lambda: (Measurement(0.1), Cost(evaluations=1, macs=10)),
}


@pytest.mark.parametrize("measured", MEASUREMENTS.values(), ids=MEASUREMENTS)
def test_what_is_no_measurement_is_a_failed_trial_charged_its_price(measured):
    ODD["evaluate"] = measured
    _, result, trials = searched(study())
    assert result.status == "ok"
    assert [t["status"] == "ok" for t in trials] == [False, True] * 3
    assert all(t["error"] for t in trials[::2])
    assert result.cost.evaluations == 6
    assert result.cost.macs == 0


def test_a_charge_beyond_the_price_is_named():
    ODD["evaluate"] = MEASUREMENTS["beyond its price"]
    _, _, trials = searched(study())
    assert "charges 5 on `evaluations`, more than the 1 of its own price" in trials[0]["error"]


@pytest.mark.parametrize(
    "price", [Cost(evaluations=-1), Cost(evaluations=1, epochs=math.nan), None, Cost(evaluations=10**400)]
)
def test_a_price_that_no_budget_can_hold_ends_the_run_and_is_named(price):
    ODD["price"] = price
    _, result, trials = searched(study())
    assert result.status == "failed"
    assert "an estimator's price" in result.error
    assert not trials


@given(st.one_of(st.floats(), st.integers(), st.booleans()))
def test_any_number_of_any_library_is_a_float(value):
    assert type(number(value, "it")) is float
    assert type(number(np.asarray(float(value)), "it")) is float


VALUES = st.one_of(
    st.none(), st.text(st.characters(), max_size=4), st.floats(), st.integers(), st.lists(st.floats(), max_size=2),
    st.just(10**400), st.binary(max_size=3), st.dictionaries(st.text(max_size=2), st.floats(), max_size=2),
)  # fmt: skip


@settings(max_examples=80)
@given(VALUES, st.one_of(VALUES, st.dictionaries(st.text(st.characters(), max_size=3), VALUES, max_size=2)), VALUES)
def test_anything_is_a_good_measurement_or_a_failed_one(value, metrics, seconds):
    for measurement in (Measurement(value, metrics), value):
        try:
            checked, named, cost = checked_measurement(measurement, Cost(evaluations=1, device_s=seconds), ONE)
        except EvaluationFailed:
            continue
        assert math.isfinite(checked)
        assert cost.device_s >= 0
        assert all(type(v) is float and n.encode() is not None for n, v in named.items())


# -- strategies ----------------------------------------------------------------------------------------------------


class Raising:
    """A strategy that raises what it is told to, where it is told to."""

    def __init__(self, where: str, error: BaseException | None = None) -> None:
        self.where, self.error = where, error

    def describe(self):
        return {"where": self.where}

    def start(self, scenario):
        if self.where == "start":
            raise self.error
        inner = Random().start(scenario)
        for name in ("ask", "tell"):
            setattr(self, name, raising(self.error) if self.where == name else getattr(inner, name))
        return self


@pytest.mark.parametrize("where", ["start", "ask", "tell"])
@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), BaseException(LONE)], ids=lambda e: repr(e)[:9])
def test_whatever_a_strategy_raises_fails_its_run_and_no_other(tmp_path, where, error):
    results = sb.run(study(Raising(where, error), Random()), tmp_path / "s.db", workers=0)
    runs = results.runs().set_index("strategy")
    assert runs.loc["s0", "status"] == "failed"
    assert runs.loc["s1", "test_error"] == 0.25
    assert type(error).__name__ in runs.loc["s0", "error"]


def test_ctrl_c_is_nobodys_failure():
    with pytest.raises(Interrupted):
        run_search(plan(study(Raising("ask", Interrupted()))).runs[0])
    ODD["evaluate"] = raising(Interrupted())
    with pytest.raises(Interrupted):
        run_search(plan(study()).runs[0])


def test_an_estimator_that_cannot_be_opened_fails_the_run(tmp_path):
    asked = study()
    ODD["open"] = raising(SystemExit(0))
    runs = sb.run(asked, tmp_path / "s.db", workers=0).runs()
    assert list(runs["status"]) == ["failed"]
    assert "SystemExit" in runs["error"][0]


# -- judges ----------------------------------------------------------------------------------------------------------

VERDICTS = {
    "exit": raising(SystemExit(0)),
    "no outcome": lambda: 0.1,
    "text": lambda: Outcome("ok", "0.1"),
    "NaN": lambda: Outcome("ok", math.nan),
    "status": lambda: Outcome("fine", 0.1),
    "metric": lambda: Outcome("ok", 0.1, {"m": "text"}),
    "cost": lambda: Outcome("ok", 0.1, cost=Cost(device_s=-1)),
}


@pytest.mark.parametrize("verdict", VERDICTS.values(), ids=VERDICTS)
def test_what_is_no_verdict_is_a_failed_one(tmp_path, verdict):
    ODD["verdict"] = verdict
    runs = sb.run(study(), tmp_path / "s.db", workers=0).runs()
    assert list(runs["status"]) == ["ok"]
    assert runs["test_status"][0] in ("error", "nan")
    assert runs["test_failure"][0]


def test_numbers_of_other_libraries_are_taken_as_they_are():
    good = checked_outcome(Outcome("ok", np.float32(0.5), {"m": np.int64(3), "n": np.array(2.0)}))
    assert (good.test_error, dict(good.metrics)) == (0.5, {"m": 3.0, "n": 2.0})
    ODD["verdict"] = lambda: Outcome("ok", np.float64(0.5))
    spec, result, _ = searched(study())
    assert run_judge(spec, result.architecture).test_error == 0.5


def test_what_is_told_of_an_error_can_be_stored():
    told(ValueError(f"{LONE}\x00")).encode()
    assert len(told(ValueError("x" * 10**7))) < 25_000


# -- no free lunch -------------------------------------------------------------------------------------------------


class Again:
    """Proposes the same for ever: the first trial continued, or six points in turn."""

    def __init__(self, resumes: bool) -> None:
        self.resumes = resumes

    def describe(self):
        return {"resumes": self.resumes}

    def start(self, scenario):
        self.points, self.asked = list(scenario.space.enumerate()), 0
        return self

    def ask(self):
        self.asked += 1
        point = self.points[0 if self.resumes else self.asked % len(self.points)]
        return sb.Proposal(point, resume=0 if self.resumes and self.asked > 1 else None)

    def tell(self, trial):
        pass


def test_a_finite_space_measured_whole_ends_the_run(monkeypatch):
    asked = study(Again(resumes=False), budget=sb.Budget(evaluations=1000), duplicates="cache")
    _, result, trials = searched(asked)
    assert result.ended == "finished"
    assert result.cost.evaluations == 6
    assert len(trials) < 10


@pytest.mark.parametrize("cost", [Cost(), Cost(inference_samples=3)])
def test_what_is_never_charged_on_a_limited_axis_ends_as_stalled(monkeypatch, cost):
    monkeypatch.setattr("searchbench.harness.running.repeats.STALLED_AFTER", 50)
    ODD["price"] = ODD["cost"] = cost
    _, result, trials = searched(study(Again(resumes=True)))
    assert result.ended == "stalled"
    assert len(trials) == 50


def test_a_factory_that_raises_is_named_with_what_it_raised(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "no_such_data.py").write_text("def space():\n    raise RuntimeError('the data has gone')\n")
    with pytest.raises(InputError, match="cannot be made: it raises RuntimeError: the data has gone"):
        next(named("no_such_data:space", {}))


class Unfinished:
    done = False

    def advance(self, lab):
        raise AssertionError("nothing but its beginning is looked at")


@dataclass(frozen=True)
class Forgetful:
    def start(self, scenario):
        return Unfinished()


def test_a_search_that_lacks_members_is_told_so_once_and_asked_nothing_else():
    with pytest.raises(ConformanceError) as told:
        check_strategy(Forgetful(), another_process=False, on=stages(5)[:1])
    report = told.value.report
    wrong = [check for check in report.wrong if check.behaviour == "starts a search"]
    assert wrong
    assert all("lacks `state_dict`, `load_state_dict`" in check.found for check in wrong)
    assert len(wrong) == len({check.where for check in wrong})
    assert not [check for check in report.wrong if check.where and check.behaviour != "starts a search"]
