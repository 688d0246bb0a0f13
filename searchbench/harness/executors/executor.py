"""The port behind which jobs are executed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from searchbench.harness.declared.plan import Role
from searchbench.harness.declared.resources import Resources
from searchbench.harness.processes.process import one_thread

ONE_CPU = Resources()


@dataclass(frozen=True, slots=True)
class Lost:
    """A batch of jobs that the infrastructure lost (a worker killed, a node gone). Nobody's strategy is to blame."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A batch that came back: its ticket, and a result per item in order, or how it was lost."""

    ticket: int
    results: list[Any] | Lost
    seconds: tuple[float, ...] = ()
    """Wall-clock seconds each item took where it ran."""


class Executor(Protocol):
    """Runs batches of independent jobs."""

    @property
    def slots(self) -> int:
        """Batches that run at the same time."""

    @property
    def shared(self) -> bool:
        """Whether runs of several strategies share the processes of workers."""

    def submit(
        self, role: Role, function: Callable[[Any], Any], items: Sequence[Any], needs: Resources = ONE_CPU
    ) -> int:
        """Queue `[function(item) for item in items]`, which holds `needs` while it runs; returns its ticket."""

    def lacking(self, needs: Resources) -> str:
        """Why nothing with these needs can ever run here, in words; empty where it can."""

    def wait(self, timeout_s: float) -> list[Finished]:
        """The batches that have come back since the last call; waits at most `timeout_s` for the first."""

    def close(self) -> None:
        """Stop what runs and give back what was started."""


def run_batch(function: Callable[[Any], Any], items: Sequence[Any]) -> tuple[list[Any], tuple[float, ...]]:
    """Run a batch here: a result and its seconds per item."""
    one_thread()
    results, seconds = [], []
    for item in items:
        started = time.perf_counter()
        results.append(function(item))
        seconds.append(time.perf_counter() - started)
    return results, tuple(seconds)
