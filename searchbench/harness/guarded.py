"""Evaluations in processes of their own, so that one over its limits is killed and the search goes on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, SearchbenchError
from searchbench.estimators.estimator import Timed
from searchbench.harness.forked import again_if_killed, call
from searchbench.harness.limits import Limits
from searchbench.spaces.space import Architecture
from searchbench.trial import Fidelity, Measurement

if TYPE_CHECKING:
    from searchbench.estimators.estimator import Estimator


@dataclass(frozen=True, slots=True, eq=False)
class Guarded:
    """An estimator whose evaluations run in forks, each within the limits.

    The measurement is the same to the bit: a fork begins as a copy of the process. Unfinished trainings that an
    estimator keeps for continuation stay in the fork; continued ones are repeated unseen, at the same charge.
    """

    inner: Estimator
    limits: Limits

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
    ) -> tuple[Measurement, Cost]:
        """Measure in a fork. Raises EvaluationFailed where it is killed, crashes or fails.

        A process that holds a GPU cannot be forked: there the evaluation runs in it, and only the run is limited.
        """
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            return self.inner.evaluate(architecture, fidelity, seed, resume)
        ended = again_if_killed(
            lambda: call(
                lambda: self.inner.evaluate(architecture, fidelity, seed, resume),
                seconds=self.limits.evaluation_s or float("inf"),
                memory_bytes=self.limits.memory_bytes,
            )
        )
        if ended.end == "ok":
            measurement, cost = ended.value
            return measurement, cost
        if ended.end == "raised":
            if isinstance(ended.value, SearchbenchError | MemoryError):
                raise ended.value
            raise EvaluationFailed("error", ended.message)
        reason = ended.end if ended.end in ("timeout", "memory") else "error"
        raise EvaluationFailed(reason, f"the evaluation was {ended.message}.")
