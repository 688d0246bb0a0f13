"""Looking up: the live estimator and the live judge of a table of recorded results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, InputError
from searchbench.spaces.space import Architecture
from searchbench.spaces.space import Values as Point
from searchbench.trial import FULL, Fidelity, Measurement, Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Where each architecture stands: by its values, or else by the key of the function it computes."""

    by_point: dict[Point, int]
    by_key: dict[str, int]

    def find(self, architecture: Architecture) -> int | None:
        row = self.by_point.get(architecture.values)
        return self.by_key.get(architecture.key) if row is None else row


Repeats = tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Everything the searching process knows of a table."""

    rows: Rows
    full: Fidelity
    values: Mapping[float | None, Sequence[Repeats]]
    """Per epochs: for each row the recorded values to minimise, empty where the training failed."""
    seconds: Sequence[float] | None
    metrics: Sequence[Mapping[str, float]] | None
    plain: Mapping[float | None, Cost]
    """Per epochs: the charge, seconds aside."""
    curve: bool
    """Whether a continued evaluation is charged its increment only."""
    train_macs: Sequence[float] | None = None
    """Multiply-accumulates of each full training."""


class TableEstimator:
    """The live estimator of a table."""

    __slots__ = ("_charged", "_full", "_full_values", "_points", "_records")

    def __init__(self, records: Records) -> None:
        self._records = records
        self._full = records.full
        self._full_values = records.values[records.full.epochs]
        self._points = records.rows.by_point
        self._charged = (records.seconds, records.train_macs)

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """Full epochs, and the whole of everything else. Raises InputError for what was not recorded."""
        if fidelity is self._full or fidelity is FULL:
            return self._full
        for name in ("subset", "width", "resolution"):
            if getattr(fidelity, name) not in (None, 1.0):
                raise InputError(f"a table records no fidelity `{name}`, but {fidelity} was asked for; leave it open.")
        if fidelity.epochs is None or fidelity.epochs == self._full.epochs:
            return self._full
        if fidelity.epochs not in self._records.values:
            known = ", ".join(f"{e:g}" for e in self._records.values if e is not None) or "full only"
            raise InputError(f"the table records no training of {fidelity.epochs:g} epochs; it records: {known}.")
        return Fidelity(fidelity.epochs, 1.0, 1.0, 1.0)

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """One evaluation, its epochs and its recorded seconds; of a continued training only the increment."""
        epochs = fidelity.epochs if fidelity is self._full else self.complete(fidelity).epochs
        if resume is None and self._records.seconds is None and self._records.train_macs is None:
            return self._records.plain[epochs]
        done = None if resume is None or not self._records.curve else self.complete(resume).epochs
        return self._charge(architecture, epochs, done or 0.0)

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """Look up one recorded repeat, number `seed` modulo those present.

        Raises:
            EvaluationFailed: the architecture is not in the table, or its training is recorded as failed.
        """
        row = self._points.get(architecture.values)
        if row is None:
            row = self._row(architecture)
        if fidelity is self._full:
            repeats = self._full_values[row]
        else:
            repeats = self._records.values[self.complete(fidelity).epochs][row]
        if not repeats:
            raise EvaluationFailed("error", f"the table records no result of {architecture} at {fidelity}.")
        value, metrics = repeats[seed % len(repeats)], self._records.metrics
        measured = Measurement(value) if metrics is None else Measurement(value, metrics[row])
        return measured, self.price(architecture, fidelity, resume)

    def repeats(self, architecture: Architecture) -> Repeats:
        """Every recorded validation value of the full training, in the order of the columns."""
        row = self._records.rows.find(architecture)
        return () if row is None else self._full_values[row]

    def _row(self, architecture: Architecture) -> int:
        row = self._records.rows.find(architecture)
        if row is None:
            raise EvaluationFailed("error", f"{architecture} is not in the table.")
        return row

    def _charge(self, architecture: Architecture, epochs: float | None, done: float) -> Cost:
        if epochs is None:
            share, increment = 1.0, 0.0
        else:
            increment = max(epochs - done, 0.0)
            share = increment / (self._full.epochs or epochs)
        row = self._records.rows.find(architecture)
        seconds, macs = ((0.0 if of is None or row is None else of[row] * share) for of in self._charged)
        return Cost(evaluations=1, epochs=increment, simulated_s=seconds, macs=round(macs))


@dataclass(frozen=True, slots=True, eq=False)
class TestLookup:
    """The live judge of a table."""

    __test__ = False  # not a test class, whatever its name begins with

    rows: Rows
    errors: Sequence[Repeats]
    metrics: Sequence[Mapping[str, float]] | None

    def verdict(self, architecture: Architecture) -> Outcome:
        """The mean recorded test value; a failed outcome where nothing is recorded."""
        row = self.rows.find(architecture)
        repeats = self.errors[row] if row is not None else ()
        if row is None or not repeats:
            return Outcome("error", math.nan, error=f"the table records no test result of {architecture}.")
        return Outcome("ok", sum(repeats) / len(repeats), {} if self.metrics is None else self.metrics[row])

    def repeats(self, architecture: Architecture) -> Repeats:
        """Every recorded test value by itself, in the order of the columns."""
        row = self.rows.find(architecture)
        return () if row is None else self.errors[row]
