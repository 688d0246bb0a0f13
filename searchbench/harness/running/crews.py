"""Whether a run's evaluations happen by several at once: in other processes than its own, or in one graph."""

from __future__ import annotations

import sys

from searchbench.estimators.estimator import Stacking
from searchbench.harness.declared.plan import RunSpec
from searchbench.harness.running.measuring import Crew, Elsewhere
from searchbench.seeds import Seeds


def apart(spec: RunSpec) -> bool:
    """Whether a search's evaluations may happen in other processes than its own."""
    resolved = spec.problem.resolve()
    return resolved.parallel is not None and stacked(spec) == 1 and not spec.stays and not spec.limits


def stacked(spec: RunSpec) -> int:
    """How many networks of a run are trained in one graph at most."""
    estimator = spec.problem.resolve().estimator
    return estimator.together if isinstance(estimator, Stacking) else 1


def crew_of(spec: RunSpec, seeds: Seeds) -> Crew | None:
    """Other processes that measure for a run, where it may have several measurements under way and is on Ray."""
    if "ray" not in sys.modules or not apart(spec):
        return None
    from searchbench.harness.executors.crew import crew_here

    return crew_here(Elsewhere(spec.problem, seeds, spec.limits), spec.needs)
