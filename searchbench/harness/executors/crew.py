"""A run's crew on Ray: tasks that a run's own worker starts, placed wherever the cluster has room."""

from __future__ import annotations

import math
import os
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayError, WorkerCrashedError

from searchbench.harness.declared.resources import Resources
from searchbench.harness.executors.placed import placed
from searchbench.harness.processes.process import one_thread
from searchbench.harness.running.measuring import CrewLost, Elsewhere, MeasurementOutcome, Request, measure_elsewhere
from searchbench.working_folder import search_last

RETRIES = 2
"""How often a measurement is begun again whose process was lost; it is a pure function of what it is told."""


class RayCrew:
    """Measures for one run in tasks of their own. A run that waits for one lends its core to it.

    Args:
        told: what the estimator is opened with.
        needs: what one measurement holds.
    """

    def __init__(self, told: Elsewhere, needs: Resources) -> None:
        self._task = placed(_measure, "search", needs, retries=RETRIES)
        self._told = ray.put(cloudpickle.dumps(told))
        self._prices: dict[Any, Request] = {}

    def begin(self, request: Request) -> Any:
        ticket = self._task.remote(self._told, cloudpickle.dumps(request))
        self._prices[ticket] = request
        return ticket

    def result(self, ticket: Any) -> MeasurementOutcome:
        request = self._prices.pop(ticket)
        try:
            found: MeasurementOutcome = ray.get(ticket)
        except WorkerCrashedError:  # each time, wherever it was begun again: the evaluation kills its process
            lost = f"the evaluation ended its process {RETRIES + 1} times."
            return MeasurementOutcome("error", math.nan, request.price, error=lost)
        except RayError as error:
            raise CrewLost(f"{type(error).__name__}: {error}") from error
        return found

    def first(self, tickets: list[Any]) -> Any:
        ready, _ = ray.wait(tickets, num_returns=1)
        return ready[0]


def crew_here(told: Elsewhere, needs: Resources) -> RayCrew | None:
    """A crew where this process is a worker on Ray; None where there is nobody to share the work with."""
    if os.environ.get("SEARCHBENCH_ROLE") != "search" or not ray.is_initialized():
        return None
    return RayCrew(told, needs)


def _measure(told: bytes, packed: bytes) -> MeasurementOutcome:
    """Entry point of a task. Modules are imported by unpacking: Ray has put the working folder first in the path."""
    search_last()
    one_thread()
    request: Request = cloudpickle.loads(packed)
    return measure_elsewhere(told, request)
