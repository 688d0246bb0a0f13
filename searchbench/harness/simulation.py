"""Parallel workers on a table, simulated: events in order of simulated time, never of a clock of the host.

Steady-state and asynchronous: whenever a worker is free the search is asked, whenever an evaluation ends the search is
told, and nobody waits for the others unless the search itself has nothing to propose. An evaluation lasts what it is
charged in simulated seconds; evaluations that end at the same time come back in the order in which they began.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Literal

from searchbench.cost import Cost
from searchbench.errors import BudgetExhausted
from searchbench.harness.evaluation import Launched
from searchbench.harness.host_clock import HostClock
from searchbench.harness.lab import MeteredLab
from searchbench.harness.repeats import Exhausted, Stalled
from searchbench.strategies.strategy import AskTellSearch


def simulate(search: AskTellSearch, lab: MeteredLab, workers: int) -> Literal["budget", "finished", "stalled"]:
    """Run an ask/tell search on `workers` simulated workers; what is under way when it ends is finished.

    Trials are numbered, charged and recorded in the order in which they end. The cost of an event grows with the
    logarithm of `workers` only.

    Args:
        search: the live search; several proposals are under way at a time.
        lab: of a problem whose evaluations are looked up.
        workers: at least 1.
    """
    lab.account.overlap()
    clock = HostClock(lab.account.ledger)
    flying: list[tuple[float, int, Launched]] = []
    ended: Literal["budget", "finished", "stalled"] = "finished"
    now_s, begun, exhausted = 0.0, 0, False
    while True:
        while ended == "finished" and not exhausted and len(flying) < workers:
            clock.begin()
            proposal = search.ask()
            clock.end()
            if proposal is None:
                break
            try:
                launched = lab.evaluation.launch(proposal)
            except BudgetExhausted:
                ended = "budget"
                break
            except Stalled:
                ended = "stalled"
                break
            except Exhausted:
                exhausted = True
                break
            heappush(flying, (now_s + duration_s(launched.measured.cost), begun, launched))
            begun += 1
        if not flying:
            clock.settle()
            return ended
        now_s, _, launched = heappop(flying)
        trial = lab.evaluation.settle(launched, clock_s=now_s)
        clock.begin()
        search.tell(trial)
        clock.end()


def duration_s(cost: Cost) -> float:
    """How long an evaluation of this charge lasts: its recorded seconds, or else its epochs, or else a unit."""
    return cost.simulated_s or cost.epochs or float(cost.evaluations)
