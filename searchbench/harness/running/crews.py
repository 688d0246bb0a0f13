"""Whether a run's evaluations happen by several at once: in other processes than its own, or in one graph."""

from __future__ import annotations

import sys

from searchbench.estimators.estimator import Estimator, Stacking
from searchbench.harness.declared.plan import RunSpec
from searchbench.harness.running.guarded import guarded
from searchbench.harness.running.measuring import Crew, Elsewhere
from searchbench.harness.running.remembered import Remembered
from searchbench.harness.running.stacked import StackedCrew
from searchbench.seeds import Seeds


def apart(spec: RunSpec) -> bool:
    """Whether a search's evaluations may happen in other processes than its own."""
    resolved = spec.problem.resolve()
    return resolved.parallel is not None and stacked(spec) == 1 and not spec.stays and not spec.limits


def stacked(spec: RunSpec) -> int:
    """How many networks of a run are trained in one graph at most."""
    estimator = spec.problem.resolve().estimator
    return estimator.together if isinstance(estimator, Stacking) else 1


def measured_by(
    spec: RunSpec, estimator: Estimator, crew: Crew | None, remembered: Remembered | None
) -> tuple[Estimator, Crew | None]:
    """What measures for a run: its estimator within limits, and a crew where it has one; neither measures twice what
    is remembered."""
    measuring = guarded(estimator, spec.limits)
    if remembered is not None and not spec.stays:
        measuring, crew = remembered.around(measuring, crew)
    if (most := stacked(spec)) > 1:  # which remembers whole graphs
        crew = StackedCrew(estimator, most, remembered or Remembered())
    return measuring, crew


def crew_of(spec: RunSpec, seeds: Seeds) -> Crew | None:
    """Other processes that measure for a run, where it may have several measurements under way and is on Ray."""
    if "ray" not in sys.modules or not apart(spec):
        return None
    from searchbench.harness.executors.crew import crew_here

    return crew_here(Elsewhere(spec.problem, seeds, spec.limits), spec.needs)
