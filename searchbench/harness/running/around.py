"""An estimator that measures in another way, and is in all else the one inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchbench.cost import Cost
from searchbench.estimators.estimator import Timed
from searchbench.spaces.space import Architecture
from searchbench.trial import Fidelity, Measurement

if TYPE_CHECKING:
    from searchbench.estimators.estimator import Estimator

Asked = tuple[Architecture, Fidelity, int, Fidelity | None]
"""What `evaluate` is given: architecture, fidelity, seed, and where a training that it continues had ended."""
Found = tuple[Measurement, Cost]


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """An estimator whose every measurement goes through a function."""

    inner: Estimator
    how: Callable[[Asked, Callable[[], Found]], Found]
    """Given what is asked for, and the measurement to make."""

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """Complete a fidelity as the estimator does."""
        return self.inner.complete(fidelity)

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """Price an evaluation as the estimator does."""
        return self.inner.price(architecture, fidelity, resume)

    @property
    def answers_duration(self) -> bool:
        """Whether the estimator knows durations afterwards only."""
        return isinstance(self.inner, Timed) and self.inner.answers_duration

    def duration(
        self, architecture: Architecture, fidelity: Fidelity, measured: Mapping[str, float] | None
    ) -> float | None:
        """Declare a duration as the estimator does."""
        return self.inner.duration(architecture, fidelity, measured) if isinstance(self.inner, Timed) else None

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> Found:
        """Measure in its way. Raises EvaluationFailed as that does."""
        asked = (architecture, fidelity, seed, resume)
        return self.how(asked, lambda: self.inner.evaluate(*asked))
