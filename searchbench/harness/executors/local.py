"""Jobs in this very process, one after another: for debugging, with breakpoints and plain tracebacks.

Search and judge share the process here, so the separation of test data is by object only, not by process.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from searchbench.harness.declared.plan import Role
from searchbench.harness.declared.resources import Resources
from searchbench.harness.executors.executor import ONE_CPU, Finished, run_batch


class LocalExecutor:
    """An executor without workers."""

    slots = 1
    shared = False  # breakpoints in a strategy of one's own are what this executor is for

    def __init__(self) -> None:
        self._queue: deque[tuple[int, Callable[[Any], Any], Sequence[Any]]] = deque()
        self._tickets = 0

    def submit(
        self, role: Role, function: Callable[[Any], Any], items: Sequence[Any], needs: Resources = ONE_CPU
    ) -> int:
        self._tickets += 1
        self._queue.append((self._tickets, function, items))
        return self._tickets

    def lacking(self, needs: Resources) -> str:
        return replace(needs, memory_gb=0.0).lacking([here()])

    def wait(self, timeout_s: float) -> list[Finished]:
        if not self._queue:
            return []
        ticket, function, items = self._queue.popleft()
        return [Finished(ticket, *run_batch(function, items))]

    def close(self) -> None:
        self._queue.clear()


def here() -> dict[str, float]:
    """Processors and cards of this machine."""
    import torch

    return {"CPU": float(os.cpu_count() or 1), "GPU": float(torch.cuda.device_count())}
