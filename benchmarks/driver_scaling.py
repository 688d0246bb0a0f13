"""What the driver of a study costs a run, from a hundred to a hundred thousand runs, and how much memory it takes.

    python benchmarks/driver_scaling.py [--runs 100 1000 10000 100000] [--batch 50]

Each size in a process of its own. The searches and judgements are answered at once with the record of a real one (ten
evaluations on a table), so that what is measured is the driver alone: planning, giving out, auditing, storing. Prints
processor seconds of the plan and of each run, and memory at the peak, beside the size of the store.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import searchbench as sb
from searchbench.harness.declared.plan import Role, plan
from searchbench.harness.declared.resources import Resources
from searchbench.harness.driving.campaign import carry_out
from searchbench.harness.driving.progress import Silent
from searchbench.harness.executors.executor import ONE_CPU, Finished
from searchbench.results.store import open_store


class Answered:
    """An executor that knows the answers: the first search and the first judgement are made, the others are alike."""

    slots = 8
    shared = True

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.known: dict[Role, Any] = {}
        self.waiting: deque[Finished] = deque()
        self.tickets = 0

    def submit(
        self, role: Role, function: Callable[[Any], Any], items: Sequence[Any], needs: Resources = ONE_CPU
    ) -> int:
        self.tickets += 1
        if role not in self.known:
            self.known[role] = function(items[0])
        answer = self.known[role]
        answers = [replace(answer, run_id=item.spec.run_id) if role == "search" else answer for item in items]
        self.waiting.append(Finished(self.tickets, answers, (1.0 / self.longest,) * len(items)))
        return self.tickets

    def lacking(self, needs: Resources) -> str:
        return ""

    def wait(self, timeout_s: float) -> list[Finished]:
        return [self.waiting.popleft()] if self.waiting else []

    def close(self) -> None:
        self.waiting.clear()


def memory_mb() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(runs: int, batch: int) -> None:
    """Print the line of one size."""
    budget = sb.Budget(evaluations=10)
    warm = sb.Study("warm", sb.Problem("nasbench201", "digits", "table"), ["random"], 5, budget)
    study = sb.Study("scaling", sb.Problem("nasbench201", "digits", "table"), ["random"], runs, budget)
    with tempfile.TemporaryDirectory() as folder:
        with open_store(Path(folder) / "warm.db", write=True) as store:
            carry_out(warm, store, Answered(batch), Silent())  # type: ignore[arg-type]
        before = memory_mb()
        began = time.process_time()
        plan(study)
        planned = time.process_time() - began
        began = time.process_time()
        path = Path(folder) / "s.db"
        with open_store(path, write=True) as store:
            done = carry_out(study, store, Answered(batch), Silent())  # type: ignore[arg-type]
        took = time.process_time() - began
        assert done == runs
        size = path.stat().st_size / 1e6
    each = 1e3 * took / runs
    print(f"{runs:>9,}{planned:>10.2f}{took:>12.2f}{each:>12.3f}{memory_mb() - before:>14.0f}{size:>12.1f}", flush=True)


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--batch", type=int, default=50, help="runs that go to a worker at once")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        measured(given.one, given.batch)
        return
    heads = ("plan, s", "whole, s", "a run, ms", "memory, MB", "store, MB")
    print(f"{'runs':>9}{heads[0]:>10}{heads[1]:>12}{heads[2]:>12}{heads[3]:>14}{heads[4]:>12}", flush=True)
    for runs in given.runs:
        command = [sys.executable, __file__, "--one", str(runs), "--batch", str(given.batch)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
