"""Evaluations in processes of their own, so that one over its limits is killed and the search goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from searchbench.errors import EvaluationFailed, SearchbenchError
from searchbench.harness.declared.limits import Limits
from searchbench.harness.processes.forked import again_if_killed, call
from searchbench.harness.running.around import Around, Asked, Found

if TYPE_CHECKING:
    from searchbench.estimators.estimator import Estimator


def guarded(estimator: Estimator, limits: Limits) -> Estimator:
    """Return the estimator itself where nothing limits evaluations, else one that measures in forks.

    The measurement is the same to the bit: a fork begins as a copy of the process. Unfinished trainings that an
    estimator keeps for continuation stay in the fork; continued ones are repeated unseen, at the same charge.
    """
    return Around(estimator, partial(_within, limits)) if limits.of_evaluations else estimator


def _within(limits: Limits, asked: Asked, measure: Callable[[], Found]) -> Found:
    """Measure in a fork. Raises EvaluationFailed where it is killed, crashes or fails.

    A process that holds a GPU cannot be forked: there the evaluation runs in it, and only the run is limited.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return measure()
    seconds = limits.evaluation_s or float("inf")
    ended = again_if_killed(lambda: call(measure, seconds=seconds, memory_bytes=limits.memory_bytes))
    if ended.end == "ok":
        measurement, cost = ended.value
        return measurement, cost
    if ended.end == "raised":
        if isinstance(ended.value, SearchbenchError | MemoryError):
            raise ended.value
        raise EvaluationFailed("error", ended.message)
    reason = ended.end if ended.end in ("timeout", "memory") else "error"
    raise EvaluationFailed(reason, f"the evaluation was {ended.message}.")
