"""Experiment trackers as observers of a study: every run that ends is written where its user looks.

Trackers are told by the driver, from the finished record, so they cost the searches nothing and see no test data
before the store does.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from searchbench.cost import COST_AXES
from searchbench.errors import InputError, did_you_mean
from searchbench.harness.declared.plan import Plan, RunSpec
from searchbench.harness.driving.progress import Observer, Silent
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
        uri: of the tracking store: ``sqlite:///mlflow.db``, or a server's address.

    Raises:
        InputError: mlflow is missing (``pip install 'searchbench[mlflow]'``), or takes no such store.
    """

    BATCH = 1000
    """Metrics that MLflow takes at a time."""
    LONGEST = 6000
    """Characters of a parameter that every MLflow takes."""

    def __init__(self, uri: str = "sqlite:///mlflow.db") -> None:
        super().__init__()
        mlflow = _library("mlflow", "searchbench[mlflow]")
        try:
            self._client = mlflow.MlflowClient(tracking_uri=uri)
        except Exception as refused:  # of the store behind it: SQLAlchemy's and urllib's too
            said = re.split(r"\.\s|\n", str(refused).strip())[0]
            raise InputError(
                f"MLflow cannot write to `{uri}`: {said}. A file is given as `sqlite:///mlflow.db`."
            ) from refused

    def finished(self, spec: RunSpec, record: RunRecord) -> None:
        client, entities = self._client, importlib.import_module("mlflow.entities")
        known = client.get_experiment_by_name(record.study)
        experiment = client.create_experiment(record.study) if known is None else known.experiment_id
        began, ended = _milliseconds(record.started), _milliseconds(record.finished)
        run = client.create_run(experiment, start_time=began, run_name=str(spec)).info.run_id
        told = {"strategy": record.strategy, "problem": record.problem, "seed": str(record.replicate)}
        told |= {"budget": record.budget, "ended": record.ended, "run": record.run_id, "retry": str(record.retry)}
        if record.architecture is not None:
            told["architecture"] = record.architecture
        parameters = [entities.Param(name, text[: self.LONGEST]) for name, text in told.items()]
        numbers = [
            entities.Metric(name, number, ended, trial)
            for trial, value, incumbent in self._points(record)
            for name, number in (("value", value), ("incumbent", incumbent))
        ]
        ends = self._ends(record).items()
        numbers += [entities.Metric(re.sub(r"[^\w\-. :/]", "_", name), number, ended, 0) for name, number in ends]
        client.log_batch(run, metrics=numbers[: self.BATCH], params=parameters)
        for at in range(self.BATCH, len(numbers), self.BATCH):
            client.log_batch(run, metrics=numbers[at : at + self.BATCH])
        client.set_terminated(run, "FINISHED" if record.status == "ok" else "FAILED", ended)


class WandB(_Tracker):
    """Writes Weights & Biases' offline runs, which ``wandb sync`` sends; nothing leaves the machine here.

    A project per study, its name without what names of projects cannot have, and a group per problem and strategy.

    Args:
        folder: where.

    Raises:
        InputError: wandb is missing (``pip install 'searchbench[wandb]'``).
    """

    LONGEST = 128
    """Characters of a project's or group's name."""

    def __init__(self, folder: str | Path = ".") -> None:
        super().__init__()
        self._folder, self._wandb = Path(folder), _library("wandb", "searchbench[wandb]")

    def finished(self, spec: RunSpec, record: RunRecord) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        told = {
            "study": record.study,
            "strategy": record.strategy,
            "problem": record.problem,
            "seed": record.replicate,
            "run": record.run_id,
            "retry": record.retry,
        }
        quiet = self._wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True)
        run = self._wandb.init(
            project=re.sub(r"[/\\#?%:]", "-", record.study)[: self.LONGEST],
            group=f"{record.problem}, {record.strategy}"[: self.LONGEST],
            name=str(spec),
            dir=str(self._folder),
            mode="offline",
            config=told,
            settings=quiet,
            reinit="create_new",  # a run that the user's own program has open stays open
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


def _milliseconds(timestamp: str) -> int:
    """Since 1970, of a record's time."""
    return int(datetime.fromisoformat(timestamp).timestamp() * 1000)


def _library(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise InputError(f"this tracker needs {name}, which is not installed: pip install '{package}'.") from missing
