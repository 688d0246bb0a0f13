"""Several evaluations of one search under way at once, told in the order of a declared clock, never of a host's.

Steady-state and asynchronous: whenever a place is free the search is asked, whenever an evaluation ends the search is
told, and nobody waits for the others unless the search itself has nothing to propose. An evaluation lasts as long as is
declared: its recorded seconds on a table, its multiply-accumulates where it trains, what an objective says of itself.
So the record is a function of the study alone, whether evaluations are looked up, made here one by one, or measured at
the same time by other processes; those begin as soon as they are proposed, and only the one whose turn it is is waited
for. Evaluations that end at the same time come back in the order in which they began.
"""

from __future__ import annotations

import math
import time
from heapq import heapify, heappop, heappush
from typing import Literal

from searchbench.errors import BudgetExhausted
from searchbench.harness.declared.problem import Order
from searchbench.harness.running.host_clock import HostClock
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.launched import Launched
from searchbench.harness.running.repeats import Exhausted, Stalled
from searchbench.strategies.strategy import AskTellSearch

Flying = list[tuple[float, int, Launched]]
"""Evaluations under way, a heap: when each ends, in which order they began."""


def simulate(
    search: AskTellSearch, lab: MeteredLab, workers: int, order: Order = "declared"
) -> Literal["budget", "finished", "stalled"]:
    """Run an ask/tell search with up to `workers` evaluations under way; what is under way when it ends is finished.

    Trials are numbered, charged and recorded in the order in which they end. Each is booked when it begins, so that
    those under way cannot overspend. The cost of an event grows with the logarithm of `workers` only.

    Args:
        search: the live search; several proposals are under way at a time.
        lab: its metered lab.
        workers: at least 1.
        order: "declared", or "arrival": as evaluations really end, which no rerun repeats.
    """
    lab.account.overlap()
    clock = HostClock(lab.account.ledger)
    began_s = time.monotonic() if order == "arrival" else math.nan
    flying: Flying = []
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
            ends_s = -math.inf if launched.lasts is None else now_s + launched.lasts  # to be asked before its turn
            heappush(flying, (ends_s, begun, launched))
            begun += 1
        if not flying:
            clock.settle()
            return ended
        if order == "arrival":
            launched, now_s = _first_to_arrive(flying, lab), time.monotonic() - began_s
        else:
            _ask_durations(flying, lab, now_s)
            now_s, _, launched = heappop(flying)
        trial = lab.evaluation.settle(launched, clock_s=now_s)
        clock.begin()
        search.tell(trial)
        clock.end()


def _ask_durations(flying: Flying, lab: MeteredLab, now_s: float) -> None:
    """Wait for evaluations that say only at their end how long they last; they began when the clock stood at `now_s`,
    since the one before them was told."""
    while flying[0][0] == -math.inf:
        _, begun, launched = heappop(flying)
        lab.evaluation.collect(launched)
        heappush(flying, (now_s + (launched.lasts or 0.0), begun, launched))


def _first_to_arrive(flying: Flying, lab: MeteredLab) -> Launched:
    here = [at for at, (_, _, launched) in enumerate(flying) if launched.measured is not None]
    at = min(here, key=lambda at: flying[at][1]) if here else _arriving(flying, lab)
    launched = flying.pop(at)[2]
    heapify(flying)
    return launched


def _arriving(flying: Flying, lab: MeteredLab) -> int:
    crew = lab.evaluation.crew
    assert crew is not None  # it alone leaves measurements open
    tickets = [launched.ticket for _, _, launched in flying]
    return tickets.index(crew.first(tickets))
