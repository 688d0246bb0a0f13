"""One measurement, wherever it happens: in the process of its run, or in another that is told all it needs to know."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from searchbench.cost import Cost
from searchbench.errors import BudgetExhausted, Interrupted
from searchbench.harness.running.borders import checked_measurement, failure, numbers
from searchbench.spaces.space import Architecture
from searchbench.trial import Fidelity, Measurement, Status

if TYPE_CHECKING:
    from searchbench.estimators.estimator import Estimator
    from searchbench.harness.declared.limits import Limits
    from searchbench.harness.declared.problem import Posed
    from searchbench.harness.running.ledger import Ledger
    from searchbench.seeds import Seeds


@dataclass(slots=True)
class MeasurementOutcome:
    """How a measurement ended."""

    status: Status
    value: float
    cost: Cost
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A measurement that is asked for: a pure function of these values and of the estimator."""

    architecture: Architecture
    fidelity: Fidelity
    seed: int
    reached: Fidelity | None
    """Where a training that it continues had ended."""
    price: Cost


class CrewLost(Exception):
    """The infrastructure lost what measures for a run, and so the run, which is begun again; nobody failed."""


class Crew(Protocol):
    """Processes that measure for a run while its search goes on."""

    def begin(self, request: Request) -> Any:
        """Begin a measurement; its ticket."""

    def result(self, ticket: Any) -> MeasurementOutcome:
        """How it ended; waits until it has. Raises CrewLost where nobody can say."""

    def first(self, tickets: list[Any]) -> Any:
        """Whichever ticket ends first; waits for it."""


MACS_PER_S = 1e9
"""Of the nominal device on which a training's declared seconds are counted; only their proportions matter."""


def duration_s(cost: Cost, *, trains: bool = False) -> float:
    """How long an evaluation of this charge lasts on the declared clock: its recorded seconds, or the
    multiply-accumulates of a training at a nominal rate, or its epochs, or a unit."""
    return cost.simulated_s or (cost.macs / MACS_PER_S if trains else 0.0) or cost.epochs or float(cost.evaluations)


def measure(estimator: Estimator, request: Request, *, timed: bool = True) -> MeasurementOutcome:
    """Whatever becomes of a measurement, as a value; only the end of the budget passes through.

    Args:
        estimator: the problem's own, or another over the same data.
        request: what to measure.
        timed: whether a failure is charged the device seconds it took, beside its price.
    """
    started = time.perf_counter() if timed else 0.0
    try:
        found: tuple[Measurement, Cost] = estimator.evaluate(
            request.architecture, request.fidelity, request.seed, request.reached
        )
        value, metrics, cost = checked_measurement(*found, request.price)
    except (BudgetExhausted, Interrupted):
        raise
    except BaseException as error:  # a failure is a value: charged, recorded, told to the search
        wasted = request.price + Cost(device_s=time.perf_counter() - started) if timed else request.price
        return failed(error, wasted)
    return MeasurementOutcome("ok", value, cost, metrics)


def failed(error: BaseException, cost: Cost) -> MeasurementOutcome:
    """A measurement that raised, and what it is charged."""
    status, message = failure(error)
    return MeasurementOutcome(status, math.nan, cost, error=message)


def completed(
    measured: MeasurementOutcome,
    architecture: Architecture,
    reported: Callable[[Architecture], Mapping[str, float]] | None,
    ledger: Ledger,
) -> MeasurementOutcome:
    """The measurement with what is reported beside it; a failed one where the budget's seconds had run out."""
    if measured.status != "ok":
        return measured
    if reported is not None:
        try:
            more = numbers(reported(architecture), "a metric")
        except Interrupted:
            raise
        except BaseException as error:
            status, message = failure(error)
            return MeasurementOutcome(status, math.nan, measured.cost, error=message)
        measured.metrics = {**measured.metrics, **more}
    if ledger.too_late(measured.cost):
        late = "the evaluation ended after the budget of seconds had run out."
        return MeasurementOutcome("timeout", math.nan, measured.cost, error=late)
    return measured


def measure_elsewhere(packed: bytes, request: Request) -> MeasurementOutcome:
    """Measure in a process that is not the run's.

    Args:
        packed: `Elsewhere`, pickled: what the estimator is opened with, the same for all measurements of a run.
        request: what to measure.
    """
    return measure(_opened(packed), request, timed=False)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another process opens a run's estimator with."""

    problem: Posed
    seeds: Seeds
    limits: Limits

    def open(self) -> Estimator:
        """The estimator, within the limits of evaluations."""
        from searchbench.harness.running.guarded import guarded

        resolved = self.problem.resolve()
        estimator = resolved.estimator.open(resolved.space, resolved.task, self.seeds)
        return guarded(estimator, self.limits)


@lru_cache(maxsize=4)
def _opened(packed: bytes) -> Estimator:
    told: Elsewhere = pickle.loads(packed)  # by the driver of this very study, on its own cluster
    return told.open()
