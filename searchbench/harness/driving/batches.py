"""How many waiting runs go to a worker at once.

A run over a table takes milliseconds, less than a worker's round trip; so short runs travel together, about a second
of work at a time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from searchbench.harness.declared.plan import Role, RunSpec
from searchbench.harness.declared.resources import Resources
from searchbench.harness.executors.executor import ONE_CPU

BATCH_S = 1.0
"""Seconds of work a batch of short runs aims at."""
T = TypeVar("T")


@dataclass(slots=True)
class RunBatches:
    """What is known of how long runs take, and which must travel alone."""

    workers: int
    alone: set[str] = field(default_factory=set)
    """Ids of runs that were lost: whichever of a batch killed its worker is found out one by one."""
    _pace: dict[tuple[Role, str, str], float] = field(default_factory=dict)

    def timed(self, role: Role, spec: RunSpec, seconds: float) -> None:
        """Learn from a run that came back; the quickest counts, for a first one imports what the others find."""
        kind = _kind(role, spec)
        self._pace[kind] = min(seconds, self._pace.get(kind, math.inf))

    def take(
        self,
        role: Role,
        queue: deque[T],
        spec_of: Callable[[T], RunSpec],
        held_by: Callable[[RunSpec], Resources] = lambda spec: ONE_CPU,
    ) -> list[T]:
        """Take the next batch from a queue: about `BATCH_S` of work; a single run where its length is unknown, and
        never so many that another worker would find nothing; all of them hold the same."""
        taken: list[T] = []
        seconds = 0.0
        held = ONE_CPU
        share = max(1, math.ceil(len(queue) / (2 * self.workers)))
        while queue and len(taken) < share:
            spec = spec_of(queue[0])
            each = self._pace.get(_kind(role, spec), BATCH_S)
            if taken and (seconds + each > BATCH_S or spec.run_id in self.alone or held_by(spec) != held):
                break
            held = held_by(spec)
            taken.append(queue.popleft())
            seconds += each
            if spec.run_id in self.alone:
                break
        return taken


def _kind(role: Role, spec: RunSpec) -> tuple[Role, str, str]:
    return role, spec.problem.name, spec.contestant.label
