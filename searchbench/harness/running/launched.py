"""A measurement that is under way, and when its turn comes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from searchbench.cost import Cost
from searchbench.errors import Interrupted
from searchbench.estimators.estimator import Timed
from searchbench.harness.running.borders import failure
from searchbench.harness.running.measuring import MeasurementOutcome, duration_s
from searchbench.spaces.space import Architecture
from searchbench.trial import Fidelity

if TYPE_CHECKING:
    from searchbench.estimators.estimator import Estimator


@dataclass(slots=True)
class Launched:
    """A measurement that has begun: all that will come of it, not yet charged or numbered."""

    architecture: Architecture
    fidelity: Fidelity
    measured: MeasurementOutcome | None
    """None while another process measures it."""
    own: bool = True
    """Whether the problem's own estimator measured it."""
    seed: int = 0
    resumed: int | None = None
    """Number of the trial whose training it continues."""
    repeats: int | None = None
    """Number of the trial it is served from, free of charge."""
    price: Cost = field(default_factory=Cost)
    ticket: Any = None
    """Of the crew that measures it."""
    lasts: float | None = 0.0
    """Its declared duration, by which it takes its turn; None until its measurement says it."""

    def declare(self, estimator: Estimator, *, trains: bool) -> None:
        """Say how long it lasts on the declared clock: a function of the study, never of a host.

        Args:
            estimator: what measures it.
            trains: whether that is a training.
        """
        measured = self.measured
        known = self.price if measured is None or not measured.cost.simulated_s else measured.cost
        self.lasts = duration_s(known, trains=trains)
        if not self.own or not isinstance(estimator, Timed):
            return
        if measured is None and estimator.answers_duration:
            self.lasts = None
            return
        try:
            answered = None if measured is None else measured.metrics
            declared = estimator.duration(self.architecture, self.fidelity, answered)
        except Interrupted:
            raise
        except BaseException as error:
            status, message = failure(error)
            self.measured = MeasurementOutcome(status, math.nan, self.price, error=message)
        else:
            self.lasts = self.lasts if declared is None else declared
