"""Rehearsals with many evaluations under way, answered out of order, failures among them.

A search that keeps state between `ask` and `tell` (a tournament, a copy of its parameters, a bracket) shows only here
whether that state is still true when the answer arrives. What "true" means differs from algorithm to algorithm, so each
brings a `Rule`: who dies, whose gradient, which promotion, which model saw what. Rules are told of everything in order
and may look at the search itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from searchbench.strategies.strategy import AskTellSearch, Scenario, Strategy
from searchbench.testing.rehearsal import Stage, check_resume, evaluate, scenario, written
from searchbench.testing.report import ConformanceError
from searchbench.trial import Proposal, Trial

UNDER_WAY = (1, 8, 32)
"""How many evaluations are kept under way in turn."""


@dataclass(slots=True, eq=False)
class Flight:
    """One rehearsal, as far as it has come."""

    search: AskTellSearch
    scenario: Scenario
    asked: list[Proposal] = field(default_factory=list)
    """Everything proposed, in order; a position in it is a ticket."""
    awaited: list[int] = field(default_factory=list)
    """Tickets under way, in order."""
    trials: list[Trial] = field(default_factory=list)
    """Everything told, in order; its numbers are their positions."""
    tickets: list[int] = field(default_factory=list)
    """Which ticket each trial answers."""

    def proposal(self, trial: Trial) -> Proposal:
        """What a trial answers."""
        return self.asked[self.tickets[trial.number]]


class Rule(Protocol):
    """What one algorithm promises; it raises ConformanceError (or any AssertionError) where the promise is broken."""

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        """The search has just proposed this; None: it has nothing until a result arrives, or for good."""

    def told(self, flight: Flight, trial: Trial) -> None:
        """The search has just been told this."""


class Anything:
    """The rule of an algorithm that promises nothing of its own."""

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        """Nothing more is asked of it."""

    def told(self, flight: Flight, trial: Trial) -> None:
        """Nothing more is asked of it."""


Values = Callable[[Proposal, int], Trial]
"""What comes of a proposal, by the trial's number."""


def troubled(proposal: Proposal, number: int) -> Trial:
    """A value that depends on the architecture, and a little on the number; every fifth evaluation or so fails."""
    rng = np.random.default_rng(number)
    trial = evaluate(proposal, number, "only failures" if rng.random() < 0.2 else "fair")
    return trial if trial.failed else replace(trial, value=trial.value + 0.01 * float(rng.random()))


def fly(
    strategy: Strategy,
    stage: Stage,
    under_way: int,
    rule: Rule | None = None,
    replicate: int = 0,
    values: Values = troubled,
) -> Flight:
    """Keep `under_way` proposals under way until the stage's trials have been told; which is answered next is drawn.

    Raises:
        ConformanceError: it proposed what it may not, or broke its rule.
    """
    told_in_order = np.random.default_rng([under_way, replicate])
    search = strategy.start(where := scenario(stage, strategy, replicate))
    if not isinstance(search, AskTellSearch):
        raise ConformanceError(f"only what is asked and told can have evaluations under way, not {search!r}.")
    flight, rule = Flight(search, where), rule or Anything()
    while len(flight.trials) < stage.trials:
        _ask(flight, rule, under_way)
        if not flight.awaited:
            break
        ticket = flight.awaited.pop(int(told_in_order.integers(len(flight.awaited))))
        trial = values(flight.asked[ticket], len(flight.trials))
        flight.trials.append(trial)
        flight.tickets.append(ticket)
        search.tell(trial)
        rule.told(flight, trial)
    return flight


def _ask(flight: Flight, rule: Rule, under_way: int) -> None:
    while len(flight.awaited) < under_way:
        proposal = flight.search.ask()
        if proposal is not None:
            written(proposal, flight.scenario.space)
            check_resume(proposal, {trial.number: trial for trial in flight.trials})
            flight.awaited.append(len(flight.asked))
            flight.asked.append(proposal)
        rule.asked(flight, proposal)
        if proposal is None:
            return


def check_in_flight(
    strategy: Strategy,
    rule: Callable[[], Rule] = Anything,
    *,
    on: Sequence[Stage],
    under_way: Sequence[int] = UNDER_WAY,
    replicates: int = 2,
) -> int:
    """Fly a strategy with each number of evaluations under way, and hold it to its rule.

    Args:
        strategy: an ask/tell strategy.
        rule: makes what it promises, anew for each flight.
        on: where it is rehearsed.
        under_way: how many evaluations at a time.
        replicates: flights of each kind, each with other seeds and another order of answers.

    Returns:
        How many trials were told in all.

    Raises:
        ConformanceError: which rule was broken, where, after how many trials.
    """
    told = 0
    for stage in on:
        for number in under_way:
            for replicate in range(replicates):
                told += _one(strategy, stage, number, rule(), replicate)
    return told


def _one(strategy: Strategy, stage: Stage, under_way: int, rule: Rule, replicate: int) -> int:
    try:
        first = fly(strategy, stage, under_way, rule, replicate)
    except AssertionError as broken:
        raise ConformanceError(f"{strategy!r} with {under_way} under way on {stage.space.name}: {broken}") from broken
    again = fly(strategy, stage, under_way, replicate=replicate)
    if _story(first) != _story(again):
        raise ConformanceError(f"{strategy!r} with {under_way} under way does not repeat itself on {stage.space.name}.")
    return len(first.trials)


def _story(flight: Flight) -> list[str]:
    """Proposals and answers, to be compared."""
    asked = [written(proposal, flight.scenario.space) for proposal in flight.asked]
    return [*asked, *(f"{t.number} {'failed' if math.isnan(t.value) else t.value}" for t in flight.trials)]
