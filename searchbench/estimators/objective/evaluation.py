"""The estimator that asks an objective, and the judge that asks it afresh."""

from __future__ import annotations

import math
import os
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, InputError, StudyError
from searchbench.estimators.objective.answer import Answer, NoNumber, read
from searchbench.estimators.objective.checkpoints import CheckpointFolders
from searchbench.estimators.objective.duration import Duration
from searchbench.estimators.objective.function import Call
from searchbench.metric import Metric
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks.task import Task
from searchbench.trial import FULL, Fidelity, Measurement, Outcome

SEED_BITS = 0x7FFF_FFFF
"""Seeds are handed out in 31 bits, which every library and language takes."""
TRIES = 3
"""Configurations that are tried before an objective that raises at all of them is refused."""
AXES = ("evaluations", "seconds")
"""What is always charged; an objective with a fidelity is charged `epochs` too."""

Stops = tuple[float, ...]


class AnswerSource(Protocol):
    """Where answers come from: a `Function` or a `Command`."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str | None: ...
    @property
    def continues(self) -> bool: ...
    def identity(self) -> Any: ...
    def check(self, space: Space, fidelity: str | None) -> None: ...
    def caller(self, fidelity: str | None) -> Call: ...


@dataclass(frozen=True, slots=True, eq=False)
class Asking:
    """What is asked, in which sense, and at which amounts of its fidelity."""

    source: AnswerSource
    metric: Metric
    fidelity: str | None = None
    stops: Stops = ()
    """Amounts at which an evaluation can end, ascending."""
    duration: Duration | None = None
    """How long evaluations last, where several are under way at once."""

    def describe(self) -> dict[str, Any]:
        """Plain values for the problem's fingerprint."""
        lasts = {} if self.duration is None else {"duration": self.duration.identity()}
        return {"source": self.source.identity(), "better": self.metric.better, "fidelity": self.fidelity,
                "stops": list(self.stops), **lasts}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The estimator: asks the objective, with a seed of the evaluation's own. Never keeps what it says of a test."""

    asking: Asking = field(metadata={"described": False})
    objective: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "objective", self.asking.describe())

    @property
    def trains(self) -> bool:
        """False: what it trains, if it does, nobody can share."""
        return False

    @property
    def continues(self) -> bool:
        """Whether a longer evaluation goes on from what a shorter one left, and is charged the increment alone."""
        return self.asking.source.continues

    @property
    def stays(self) -> bool:
        """Whether what evaluations go on from is of this process: a folder that earlier ones left it in."""
        return self.continues

    def checksum(self) -> str:
        """Nothing is read besides."""
        return ""

    def charges(self) -> tuple[str, ...]:
        """The budget axes on which an evaluation costs something."""
        return (*AXES, "epochs") if self.asking.stops else AXES

    def stops(self, task: Task) -> Stops:
        """Amounts at which an evaluation can end; none without a fidelity."""
        return self.asking.stops if len(self.asking.stops) > 1 else ()

    def open(self, space: Space, task: Task, seeds: Seeds) -> Evaluations:
        """Ready to be asked. Raises InputError where the function is not to be found or takes other arguments."""
        return Evaluations(self.asking)

    def judge(self) -> Fresh:
        """Judge by asking once more, on a seed of its own."""
        return Fresh(self.asking)


class Evaluations:
    """The live estimator of one run."""

    __slots__ = ("_amounts", "_call", "_checkpoints", "_duration", "_full", "_metric", "_name", "_prices", "_sign")

    def __init__(self, asking: Asking) -> None:
        self._call = asking.source.caller(asking.fidelity)
        self._metric, self._name = asking.metric, asking.fidelity
        self._sign = 1.0 if asking.metric.better == "lower" else -1.0
        self._checkpoints = CheckpointFolders() if asking.source.continues else None
        self._duration = asking.duration
        self._full = Fidelity(asking.stops[-1]) if asking.stops else FULL
        self._amounts: dict[Fidelity, float | int | None] = {Fidelity(s): _plain(s) for s in asking.stops}
        self._prices = {f: Cost(1, f.epochs or 0.0) for f in self._amounts}
        if not asking.stops:
            self._amounts, self._prices = {FULL: None}, {FULL: Cost(1)}

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """Full where it is left open. Raises InputError where no evaluation can end there."""
        if fidelity is FULL or fidelity is self._full:
            return self._full
        if fidelity in self._amounts:
            return fidelity
        if fidelity == FULL:
            return self._full
        known = ", ".join(f"{stop.epochs:g}" for stop in self._amounts if stop.epochs is not None)
        name = self._name or "fidelity"
        raise InputError(f"an evaluation cannot end at {fidelity}; `{name}` can be: {known or 'nothing but full'}.")

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """One evaluation and the amount of the fidelity; of what goes on from a checkpoint, only the increment."""
        before = self._done(fidelity, resume)
        return self._prices[fidelity] if before is None else Cost(1, (fidelity.epochs or 0.0) - before)

    def _done(self, fidelity: Fidelity, resume: Fidelity | None) -> float | None:
        """How far a training that is continued has come; None where nothing is, or it has come too far for this one."""
        if resume is None or self._checkpoints is None or (resume.epochs or 0.0) >= (fidelity.epochs or 0.0):
            return None
        return resume.epochs or 0.0

    @property
    def answers_duration(self) -> bool:
        """Whether the objective answers how long it lasted."""
        return self._duration is not None and self._duration.answered is not None

    def duration(
        self, architecture: Architecture, fidelity: Fidelity, measured: Mapping[str, float] | None
    ) -> float | None:
        """The declared duration; None where there is none, or where only the answer says it. Raises
        EvaluationFailed."""
        if self._duration is None:
            return None
        return self._duration.of(architecture.as_dict(), self._name, self._amounts[fidelity], measured)

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """Ask. What the objective raises passes through; the lab makes a failed trial of it.

        Raises:
            EvaluationFailed: what it answers is no number.
        """
        started = time.perf_counter()
        config, amount = architecture.as_dict(), self._amounts[fidelity]
        if self._checkpoints is None:
            answer = read(self._call(config, seed & SEED_BITS, amount, None), self._metric)
        else:
            answer = self._continued(architecture, seed, fidelity, resume)
        price = self.price(architecture, fidelity, resume)
        cost = Cost(1, price.epochs, device_s=time.perf_counter() - started)
        return Measurement(self._sign * answer.value, answer.metrics), cost

    def _continued(self, architecture: Architecture, seed: int, fidelity: Fidelity, resume: Fidelity | None) -> Answer:
        assert self._checkpoints is not None
        config, kept = architecture.as_dict(), self._checkpoints
        done = self._done(fidelity, resume)
        before = None if done is None else kept.place(architecture.key_at(done), seed, done)
        folder = kept.begin(kept.place(architecture.key_at(fidelity.epochs), seed, fidelity.epochs), before)
        wanted = False
        try:
            answer = read(self._call(config, seed & SEED_BITS, self._amounts[fidelity], folder), self._metric)
            wanted = fidelity is not self._full and fidelity != self._full
        finally:
            if not wanted:  # nothing goes on from a full evaluation or a failed one
                self._checkpoints.discard(folder)
        return answer


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """The judge: asks at full fidelity on seeds that no search was given, and takes the mean.

    What counts is the `test` of an answer where there is one, else the number itself. Where the objective has a test
    function of its own, that is asked instead.

    Raises:
        StudyError: `repeats` is no positive integer.
    """

    asking: Asking = field(metadata={"described": False})
    repeats: int = 1
    objective: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        if type(self.repeats) is not int or self.repeats < 1:
            raise StudyError(f"`test_repeats` must be a positive integer, but got {self.repeats!r}.")
        object.__setattr__(self, "objective", self.asking.describe())

    def open(self, space: Space, task: Task, seeds: Seeds) -> Verdicts:
        """Ready to judge."""
        return Verdicts(self.asking, self.repeats, seeds)


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """The live judge of one replicate."""

    asking: Asking
    repeats: int
    seeds: Seeds

    def verdict(self, architecture: Architecture) -> Outcome:
        """The mean of fresh answers. What the objective raises passes through."""
        started = time.perf_counter()
        answers = [self._answer(architecture, repeat) for repeat in range(self.repeats)]
        values = [answer.value if answer.test is None else answer.test for answer in answers]
        sign = 1.0 if self.asking.metric.better == "lower" else -1.0
        names = list(dict.fromkeys(name for answer in answers for name in answer.metrics))
        metrics = {name: _mean([a.metrics[name] for a in answers if name in a.metrics]) for name in names}
        spent = Cost(
            self.repeats,
            self.repeats * (self.asking.stops[-1] if self.asking.stops else 0.0),
            device_s=time.perf_counter() - started,
        )
        value = sign * _mean(values)
        if not math.isfinite(value):
            return Outcome("nan", math.nan, metrics, spent, f"the value on fresh seeds is {value}")
        return Outcome("ok", value, metrics, spent)

    def _answer(self, architecture: Architecture, repeat: int) -> Answer:
        key = architecture.key if repeat == 0 else f"{architecture.key}|{repeat}"
        return ask(self.asking, architecture, self.seeds.seed("retrain", key), full=True)


def ask(asking: Asking, architecture: Architecture, seed: int, *, full: bool) -> Answer:
    """One answer, at full fidelity or the least; a checkpoint folder is empty and removed afterwards."""
    amount = _plain(asking.stops[-1 if full else 0]) if asking.stops else None
    checkpoints = CheckpointFolders() if asking.source.continues else None
    folder = None if checkpoints is None else checkpoints.begin(checkpoints.place(architecture.key, seed, amount))
    call = asking.source.caller(asking.fidelity)
    try:
        return read(call(architecture.as_dict(), seed & SEED_BITS, amount, folder), asking.metric)
    finally:
        if checkpoints is not None and folder is not None:
            checkpoints.discard(folder)


def try_out(asking: Asking, space: Space, rng: np.random.Generator) -> None:
    """Ask once, at the least fidelity, before anything is planned at length.

    An objective may fail at one configuration or another; one that fails at each of a few is taken to be broken.

    Raises:
        StudyError: it answers something else than a number, or fails at each of `TRIES` configurations.
    """
    who, why, config = f"objective `{asking.source.name}`", "", ""
    for _ in range(TRIES):
        architecture = space.sample(rng)
        config = ", ".join(f"{name}={value!r}" for name, value in architecture.as_dict().items())
        try:
            value = ask(asking, architecture, int(rng.integers(1 << 31)), full=False).value
        except NoNumber as failure:
            raise StudyError(f"{who} does not answer with a number: {failure.message} Tried with {config}.") from None
        except EvaluationFailed as failure:
            why = f"fails: {failure.message}"
        except Exception as error:
            why = _where(error)
        else:
            if math.isfinite(value):
                return
            why = f"answers {value}"
    raise StudyError(f"{who} {why}, in each of {TRIES} tries, the last with {config}.")


def _where(error: Exception) -> str:
    """What was raised, and the last line outside of installed packages that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and f"{os.sep}searchbench{os.sep}" not in f.filename]
    at = (own or frames)[-1]
    return f"raises {type(error).__name__}: {error} ({Path(at.filename).name}, line {at.lineno})"


def _plain(amount: float) -> float | int:
    """A whole amount as an integer: what `range` takes."""
    return int(amount) if amount == int(amount) else amount


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan
