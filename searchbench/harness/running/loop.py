"""The one loop that runs any search. It owns the clock: a search cannot end later than its budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from searchbench.errors import BudgetExhausted
from searchbench.harness.declared.problem import Order
from searchbench.harness.running.gate import Gate
from searchbench.harness.running.host_clock import HostClock
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.repeats import Exhausted, Stalled
from searchbench.harness.running.simulation import simulate
from searchbench.strategies.optional import Recommending, Tracing
from searchbench.strategies.search_kind import search_kind
from searchbench.strategies.strategy import AskTellSearch, Search, TrainingSearch

Ended = Literal["budget", "finished", "stalled"]


def drive(
    search: Search,
    lab: MeteredLab,
    after_slice: Callable[[], None] = lambda: None,
    workers: int | None = None,
    order: Order = "declared",
) -> Ended:
    """Run a search until it has nothing more to do or the budget is exhausted.

    Args:
        search: the live search.
        lab: its metered lab, which keeps the record.
        after_slice: called after every slice of a training search (checkpoints).
        workers: evaluations of an ask/tell search that are under way at once; None runs one after the other.
        order: in which those under way are told.

    Returns:
        Why it ended. Whatever the strategy itself raises passes through.

    Raises:
        StudyError: the search lacks a method; says which.
    """
    # before anything is spent: a search that lacks a method is told so, not charged
    search_kind(search)
    ended: Ended = "finished"
    try:
        if isinstance(search, TrainingSearch):
            _advance(search, lab, after_slice)
        elif workers is not None:
            ended = simulate(search, lab, workers, order)
        else:
            _ask_tell(search, lab)
    # raised from wherever the search happened to be: no strategy can catch the end and go on, for every later
    # charge raises it again
    except BudgetExhausted:
        ended = "budget"
    except Stalled:
        ended = "stalled"
    except Exhausted:
        ended = "finished"
    # after the budget too: to recommend is free, and what was found must not be lost for want of one more step
    _final_choice(search, lab)
    for line in search.trace() if isinstance(search, Tracing) else ():
        lab.log(**line)
    return ended


def _ask_tell(search: AskTellSearch, lab: MeteredLab) -> None:
    # bound once: over a table, this loop is what an evaluation costs
    clock, evaluate = HostClock(lab.account.ledger), lab.evaluate
    begin, end = clock.begin, clock.end
    try:
        proposal = search.ask()
        while proposal is not None:
            end()
            trial = evaluate(proposal)
            begin()
            search.tell(trial)
            proposal = search.ask()
    finally:
        clock.settle()


def _advance(search: TrainingSearch, lab: MeteredLab, after_slice: Callable[[], None]) -> None:
    gate = Gate(lab)
    while not search.done:
        with lab.account.strategys_turn():
            search.advance(gate)
        after_slice()


def _final_choice(search: Search, lab: MeteredLab) -> None:
    """The search's own choice if it has one, else the best validated, if there is any; what cannot learn only where
    nothing else was measured."""
    best = lab.incumbent if lab.record.able.architecture is None else lab.record.able
    if isinstance(search, Recommending):
        chosen = search.recommend()
        lab.recommend(chosen, best.value if chosen == best.architecture else math.nan)
    elif lab.final is None and best.architecture is not None:
        lab.recommend(best.architecture, best.value)
