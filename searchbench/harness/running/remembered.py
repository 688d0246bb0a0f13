"""Measurements that an interrupted ask/tell search had made: begun again, it asks for the same and is answered at once.

A measurement is a pure function of what is asked for, so the search need not be saved: it proposes what it proposed
before, and only what had not ended is measured. What took no time is not kept, since it is quicker to measure again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from searchbench.errors import BudgetExhausted, EvaluationFailed
from searchbench.estimators.estimator import Estimator
from searchbench.harness.running.around import Around, Asked, Found
from searchbench.harness.running.borders import failure
from searchbench.harness.running.checkpoint import Checkpoint
from searchbench.harness.running.measuring import Crew, MeasurementOutcome, Request

WORTH_S = 0.1
"""Seconds from which a measurement in the search's own process is kept."""
Key = tuple[Any, ...]


class Remembered:
    """What one run has measured, in its checkpoint. Nothing is kept, nor answered, before `go_on`."""

    def __init__(self) -> None:
        self._checkpoint: Checkpoint | None = None
        self._found: dict[Key, Any] = {}

    def go_on(self, checkpoint: Checkpoint) -> None:
        """Take up what an interrupted run left, and keep what comes. Raises CheckpointError."""
        self._checkpoint = checkpoint
        self._found = (checkpoint.read() or {}).get("measured", {})

    def around(self, estimator: Estimator, crew: Crew | None) -> tuple[Estimator, Crew | None]:
        """The estimator and the crew that measure nothing twice."""
        return Around(estimator, self.measured), None if crew is None else RememberingCrew(crew, self)

    def get(self, key: Key) -> Any:
        """What was measured before; None where nothing was."""
        return self._found.get(key)

    def keep(self, key: Key, found: Any) -> None:
        """Remember a measurement, and write all of them down unless that was done lately."""
        if self._checkpoint is not None:
            self._found[key] = found
            self._checkpoint.write(lambda: {"measured": self._found})

    def measured(self, asked: Asked, measure: Callable[[], Found]) -> Found:
        """Measure in this process, or give what was measured before; what failed fails again, as EvaluationFailed."""
        if self._checkpoint is None:
            return measure()
        architecture, fidelity, seed, reached = asked
        key = architecture.values, fidelity, seed, reached
        if (before := self.get(key)) is not None:
            measurement, cost, failed = before
            if failed is not None:
                raise EvaluationFailed(*failed)
            return measurement, cost
        began = time.monotonic()
        try:
            found = measure()
        except BudgetExhausted:
            raise
        except Exception as error:
            if time.monotonic() - began > WORTH_S:
                self.keep(key, (None, None, failure(error)))
            raise
        if time.monotonic() - began > WORTH_S:
            self.keep(key, (*found, None))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Before:
    """The ticket of what was measured before."""

    measured: MeasurementOutcome


class RememberingCrew:
    """A crew that does not measure twice."""

    def __init__(self, inner: Crew, remembered: Remembered) -> None:
        self._inner, self._remembered = inner, remembered
        self._keys: dict[Any, Key] = {}

    def begin(self, request: Request) -> Any:
        """Begin a measurement, or find it made; its ticket."""
        key = request.architecture.values, request.fidelity, request.seed, request.reached
        if (before := self._remembered.get(key)) is not None:
            return _Before(replace(before))
        ticket = self._inner.begin(request)
        self._keys[ticket] = key
        return ticket

    def result(self, ticket: Any) -> MeasurementOutcome:
        """How it ended; waits until it has."""
        if isinstance(ticket, _Before):
            return ticket.measured
        found = self._inner.result(ticket)
        self._remembered.keep(self._keys.pop(ticket), replace(found))
        return found

    def first(self, tickets: list[Any]) -> Any:
        """Whichever ticket ends first: what was measured before, the oldest first."""
        return next((one for one in tickets if isinstance(one, _Before)), None) or self._inner.first(tickets)
