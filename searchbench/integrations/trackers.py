"""Experiment trackers as observers of a study: every run that ends is written where its user looks.

Trackers are told by the driver, from the finished record, so they cost the searches nothing and see no test data
before the store does.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from searchbench.cost import COST_AXES
from searchbench.errors import InputError, did_you_mean
from searchbench.harness.plan import Plan, RunSpec
from searchbench.harness.progress import Observer, Silent
from searchbench.metric import Metric
from searchbench.results.columns import read_trials
from searchbench.results.records import RunRecord
from searchbench.trial import better


class Point(NamedTuple):
    """A trial as a tracker shows it, in the metric's own sense."""

    trial: int
    value: float
    incumbent: float
    """The best value so far."""


class _Tracker(Silent):
    def __init__(self) -> None:
        self._metrics: Mapping[str, Metric] = {}

    def planned(self, plan: Plan, done: int) -> None:
        self._metrics = plan.metrics

    def _sign(self, record: RunRecord) -> float:
        metric = self._metrics.get(record.problem)
        return -1.0 if metric is not None and metric.better == "higher" else 1.0

    def _points(self, record: RunRecord) -> Iterator[Point]:
        """The trials that did not fail, in order."""
        if not record.trials:
            return
        table = read_trials(record.trials).select(["number", "status", "value"])
        sign, best = self._sign(record), float("nan")
        for number, status, value in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if status == "ok":
                best = value if better(value, best) else best
                yield Point(number, sign * value, sign * best)

    def _ends(self, record: RunRecord) -> dict[str, float]:
        """Numbers of the whole run."""
        costs = {f"cost/{axis}": float(amount) for axis in COST_AXES if (amount := getattr(record.cost, axis))}
        measured = {f"judge/{name}": float(number) for name, number in record.test_metrics.items()}
        verdict = {"test": self._sign(record) * record.test_error} if record.judged else {}
        return verdict | measured | costs


class TensorBoard(_Tracker):
    """Writes event files: a folder ``study/problem/strategy/seed-3`` per run, with `value` and `incumbent` over the
    trials, and the verdict, the costs and the architecture at their end.

    Args:
        folder: what ``tensorboard --logdir`` is given.

    Raises:
        InputError: tensorboardX (which comes with Ray Tune) is missing.
    """

    def __init__(self, folder: str | Path = "runs") -> None:
        super().__init__()
        self._folder, self._writer = Path(folder), _library("tensorboardX", "tensorboardX").SummaryWriter

    def finished(self, spec: RunSpec, record: RunRecord) -> None:
        again = f"-retry-{record.retry}" if record.retry else ""
        parts = (record.study, record.problem, record.strategy)
        place = self._folder.joinpath(*(quote(part, safe=" ():=,×+") for part in parts))
        with self._writer(str(place / f"seed-{record.replicate}{again}")) as writer:
            last = 0
            for last, value, incumbent in self._points(record):
                writer.add_scalar("value", value, last)
                writer.add_scalar("incumbent", incumbent, last)
            for name, number in self._ends(record).items():
                writer.add_scalar(name, number, last)
            writer.add_text("status", f"{record.status}: {record.ended}", last)
            if record.architecture is not None:
                writer.add_text("architecture", record.architecture, last)


class MLflow(_Tracker):
    """Writes to MLflow: an experiment per study, a run per run, with `value` and `incumbent` by trial.

    Args:
        uri: of the tracking store: a folder, ``sqlite:///mlflow.db``, or a server.

    Raises:
        InputError: mlflow is missing (``pip install 'searchbench[mlflow]'``).
    """

    BATCH = 1000
    """Metrics that MLflow takes at a time."""

    def __init__(self, uri: str = "sqlite:///mlflow.db") -> None:
        super().__init__()
        self._client = _library("mlflow", "searchbench[mlflow]").MlflowClient(tracking_uri=uri)

    def finished(self, spec: RunSpec, record: RunRecord) -> None:
        client, entities = self._client, importlib.import_module("mlflow.entities")
        known = client.get_experiment_by_name(record.study)
        experiment = client.create_experiment(record.study) if known is None else known.experiment_id
        run = client.create_run(experiment, run_name=str(spec)).info.run_id
        told = {"strategy": record.strategy, "problem": record.problem, "seed": str(record.replicate)}
        told |= {"budget": record.budget, "ended": record.ended, "run": record.run_id, "retry": str(record.retry)}
        if record.architecture is not None:
            told["architecture"] = record.architecture
        for name, text in told.items():
            client.log_param(run, name, text[:6000])
        now, numbers = int(time.time() * 1000), list[Any]()
        for trial, value, incumbent in self._points(record):
            numbers += [
                entities.Metric("value", value, now, trial),
                entities.Metric("incumbent", incumbent, now, trial),
            ]
        numbers += [entities.Metric(name, number, now, 0) for name, number in self._ends(record).items()]
        for at in range(0, len(numbers), self.BATCH):
            client.log_batch(run, metrics=numbers[at : at + self.BATCH])
        client.set_terminated(run, "FINISHED" if record.status == "ok" else "FAILED")


class WandB(_Tracker):
    """Writes Weights & Biases' offline runs, which ``wandb sync`` sends; nothing leaves the machine here.

    Args:
        folder: where.

    Raises:
        InputError: wandb is missing (``pip install wandb``).
    """

    def __init__(self, folder: str | Path = ".") -> None:
        super().__init__()
        self._folder, self._wandb = Path(folder), _library("wandb", "wandb")

    def finished(self, spec: RunSpec, record: RunRecord) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        told = {"strategy": record.strategy, "problem": record.problem, "seed": record.replicate, "run": record.run_id}
        run = self._wandb.init(
            project=record.study, name=str(spec), dir=str(self._folder), mode="offline", config=told, reinit=True
        )
        for trial, value, incumbent in self._points(record):
            run.log({"value": value, "incumbent": incumbent}, step=trial)
        run.summary.update(self._ends(record) | {"architecture": record.architecture, "ended": record.ended})
        run.finish(exit_code=0 if record.status == "ok" else 1)


TRACKERS: dict[str, Callable[..., Observer]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}


def tracker(text: str) -> Observer:
    """The tracker that ``NAME`` or ``NAME=PLACE`` means: ``tensorboard=runs``, ``mlflow=sqlite:///mlflow.db``.

    Raises:
        InputError: there is no such tracker, no place after the sign, or its library is missing.
    """
    name, given, place = text.partition("=")
    if name not in TRACKERS:
        raise InputError(f"there is no tracker `{name}`; {did_you_mean(name, TRACKERS)}")
    if given and not place:
        raise InputError(f"`{text}` names no place; say `{name}=FOLDER`, or `{name}` alone.")
    made = TRACKERS[name]
    return made(place) if place else made()


def _library(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise InputError(f"this tracker needs {name}, which is not installed: pip install '{package}'.") from missing
