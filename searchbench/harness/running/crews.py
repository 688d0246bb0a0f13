"""Whether a run's evaluations may happen in other processes than its own, and those processes."""

from __future__ import annotations

import sys

from searchbench.harness.declared.plan import RunSpec
from searchbench.harness.running.measuring import Crew, Elsewhere
from searchbench.seeds import Seeds


def apart(spec: RunSpec) -> bool:
    """Whether a search's evaluations may happen in other processes than its own."""
    return spec.problem.resolve().parallel is not None and not spec.stays and not spec.limits


def crew_of(spec: RunSpec, seeds: Seeds) -> Crew | None:
    """Other processes that measure for a run, where it may have several measurements under way and is on Ray."""
    if "ray" not in sys.modules or not apart(spec):
        return None
    from searchbench.harness.executors.crew import crew_here

    return crew_here(Elsewhere(spec.problem, seeds, spec.limits), spec.needs)
