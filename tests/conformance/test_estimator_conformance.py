"""Every registered estimator and judge passes the public conformance suite: a row each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, InputError
from searchbench.estimators import ESTIMATORS, JUDGES
from searchbench.estimators.judge import TrainJudge
from searchbench.estimators.learning_curve import Extrapolated, SumOfLosses
from searchbench.estimators.train import Train
from searchbench.estimators.zero_cost import ZeroCost
from searchbench.spaces.hyperparameters import hyperparameters
from searchbench.spaces.recurrent.darts_rnn import darts_rnn
from searchbench.tables.recorded_rows import RecordedRows
from searchbench.tables.table import Table, table_judge
from searchbench.tasks import TASKS
from searchbench.testing import ConformanceError, check_estimator, check_judge
from searchbench.trial import Fidelity, Measurement, Outcome

QUICK = Train(epochs=2, subset=0.2)
ROWS: dict[str, Any] = {
    "train": QUICK,
    "train, every epoch measured": Train(epochs=2, subset=0.2, curve=True, time_limit_s=600.0),
    "table": Table(),
    "table, four workers": Table(workers=4),
    "extrapolated": Extrapolated(Table(), epochs=6),
    "sum-of-losses": SumOfLosses(QUICK, epochs=1),
    "zero-cost": ZeroCost("synflow"),
}
JUDGED: dict[str, Any] = {
    "train": TrainJudge(epochs=1),
    "table": table_judge(),
}


def test_every_registered_estimator_and_judge_has_its_row() -> None:
    of_a_file = {"recorded-rows"}  # its row stands below, with the file that it reads
    assert {name.partition(",")[0] for name in ROWS} | of_a_file == set(ESTIMATORS.builtin)
    assert set(JUDGED) | of_a_file == set(JUDGES.builtin)


@pytest.mark.parametrize("name", ROWS)
def test_estimator_conforms(name: str) -> None:
    report = check_estimator(ROWS[name], architectures=2, another_process=name in ("train", "zero-cost"))
    assert len([c for c in report.checks if c.verdict == "pass"]) >= 12


@pytest.mark.parametrize("name", JUDGED)
def test_judge_conforms(name: str) -> None:
    assert not check_judge(JUDGED[name], architectures=2).skipped


@pytest.mark.parametrize(("between", "curve"), [("nearest", ""), ("forest", ""), ("nearest", "loss_")])
def test_recorded_rows_conform(between: Any, curve: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "rows.csv"
    drawn = list(zip(rng.random(20), range(20), strict=True))
    rows = [f"{lr},{layers},{lr + layers},{lr},{lr + layers + 2},{lr + layers + 1}" for lr, layers in drawn]
    path.write_text("\n".join(["lr,layers,loss,test,loss_1,loss_3", *rows]))
    space = hyperparameters(lr={"float": [0.0, 1.0]}, layers={"int": [0, 19]})
    table = RecordedRows(str(path), "loss", "test", between, curve=curve, epochs=9 if curve else None)
    check_estimator(table, space=space, architectures=2, another_process=False)
    check_judge(table.judge(), space=space, architectures=2)


def test_training_on_text_conforms() -> None:
    text = TASKS.factory("descriptions")(vocabulary=50, tokens=600, measured=300, epochs=1)
    space = darts_rnn(units=8, network_units=8)
    check_estimator(Train(epochs=1), space=space, task=text, architectures=1, another_process=False)
    check_judge(TrainJudge(epochs=1), space=space, task=text, architectures=1, another_process=False)


# -- the suite itself finds what is wrong --------------------------------------------------------------------------


@dataclass(frozen=True)
class Faulty:
    """A pretended training with one fault."""

    fault: str
    kept: list[Any] = field(default_factory=list, compare=False, hash=False)
    trains = False

    def checksum(self) -> str:
        return ""

    def stops(self, task: Any) -> tuple[float, ...]:
        return (4.0, 1.0) if self.fault == "stops" else (1.0, 4.0)

    def open(self, space: Any, task: Any, seeds: Any) -> Any:
        return Pretended(self.fault, task if self.fault == "task" else None, seeds)

    def judge(self) -> TrainJudge:
        return TrainJudge(epochs=1)


class Pretended:
    def __init__(self, fault: str, task: Any, seeds: Any) -> None:
        self.fault, self.task, self.calls = fault, task, 0
        if fault == "array":
            self.hidden = {"deep": [TASKS.factory("digits")().judge_data(seeds).test.inputs.copy()]}

    def complete(self, fidelity: Fidelity) -> Fidelity:
        if fidelity.epochs not in (None, 1.0, 4.0) and self.fault != "anything":
            raise InputError(f"only 1 or 4 epochs, but got {fidelity}.")
        epochs = fidelity.epochs or 4.0
        return Fidelity(epochs + 0.5 if self.fault == "complete" else epochs, 1.0, 1.0, 1.0)

    def price(self, architecture: Any, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        return Cost(evaluations=1, epochs=(fidelity.epochs or 4.0) - (0 if resume is None else resume.epochs or 0))

    def evaluate(self, architecture: Any, fidelity: Fidelity, seed: int, resume: Any = None) -> Any:
        self.calls += 1
        cost = self.price(architecture, fidelity, resume)
        value = float(np.random.default_rng([seed, len(architecture.key)]).random()) + (fidelity.epochs or 4.0)
        if self.fault == "charge":
            cost += Cost(macs=5)
        if self.fault == "negative":
            cost = Cost(evaluations=1, epochs=-1.0)
        if self.fault == "counts":
            value += self.calls
        if self.fault == "hash":
            value += hash("a word") % 1000
        if self.fault == "global":
            np.random.rand()  # noqa: NPY002
        if self.fault == "raises":
            raise KeyError("no such thing")
        if self.fault == "continues" and resume is not None:
            value += 1
        metrics = {"note": "text"} if self.fault == "metrics" else {"twice": 2 * value}
        return Measurement(value, metrics), cost  # type: ignore[arg-type]


FOUND = {
    "stops": "lists where it can stop",
    "task": "holds no test data",
    "array": "holds no test data",
    "anything": "refuses a fidelity it does not know",
    "complete": "completes a fidelity once and for all",
    "charge": "macs 0 and charged 5",
    "negative": "`epochs` of the cost must be finite and not negative",
    "counts": "measures the same again, in any order",
    "hash": "measures the same in another process",
    "global": "leaves every global generator alone",
    "raises": "KeyError",
    "continues": "continues a training to what it is from scratch",
    "metrics": "the metric 'note' must be a finite number",
}


@pytest.mark.parametrize("fault", FOUND)
def test_suite_finds_a_faulty_estimator(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    with pytest.raises(ConformanceError, match=FOUND[fault]):
        check_estimator(Faulty(fault), another_process=fault == "hash")


def test_a_faultless_plug_in_passes() -> None:
    assert not check_estimator(Faulty(""), another_process=False).wrong


def test_an_estimator_that_lacks_a_method_is_told_which() -> None:
    class Half:
        trains = False

        def open(self, space: Any, task: Any, seeds: Any) -> None: ...

    with pytest.raises(ConformanceError, match="it lacks `checksum`, `judge`"):
        check_estimator(Half())  # type: ignore[arg-type]


@dataclass(frozen=True)
class FaultyJudge:
    fault: str

    def open(self, space: Any, task: Any, seeds: Any) -> Any:
        return self

    def verdict(self, architecture: Any) -> Any:
        if self.fault == "raises" and architecture.space.name == "foreign":
            raise EvaluationFailed("error", "unknown architecture")
        if architecture.space.name == "foreign":
            return Outcome("error", math.nan, error="unknown architecture")
        if self.fault == "number":
            return 0.5
        if self.fault == "nan":
            return Outcome("ok", math.nan)
        if self.fault == "random":
            return Outcome("ok", float(np.random.default_rng().random()))
        return Outcome("ok", len(architecture.key) / 100)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("raises", "EvaluationFailed"),
        ("number", "a verdict must be an Outcome"),
        ("nan", "it is ok, but its test error is nan"),
        ("random", "judges the same architecture alike"),
    ],
)
def test_suite_finds_a_faulty_judge(fault: str, found: str) -> None:
    with pytest.raises(ConformanceError, match=found):
        check_judge(FaultyJudge(fault), another_process=False)
    assert not check_judge(FaultyJudge(""), another_process=False).wrong
