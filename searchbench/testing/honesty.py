"""A real run of a strategy under watch: what it did besides searching, and whether its accounts are true."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from searchbench.cost import DETERMINISTIC_AXES, Budget
from searchbench.errors import BudgetExhausted
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.problem import Problem
from searchbench.harness.running.audit import unpaid
from searchbench.results.records import SearchResult
from searchbench.strategies.optional import Restricted
from searchbench.strategies.strategy import Strategy
from searchbench.testing.rehearsal import Stage, scenario, searched, training_problem
from searchbench.testing.report import Behaviour, Inapplicable
from searchbench.testing.watching import watched

EVALUATIONS = 30
"""Budget of the run on the shipped table."""
TABLE = "nasbench201-digits"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """One real run, and what an onlooker counted and noticed."""

    result: SearchResult
    budget: Budget
    measured: float
    """Evaluations, or samples of a supernet's passes, that really happened."""
    noticed: tuple[str, ...]


def witness(strategy: Strategy, stage: Stage) -> Witnessed:
    """Run the strategy on the shipped table, or, if it trains, on a training stage.

    Raises:
        Inapplicable: the strategy does not run there.
    """
    problem, budget = _problem(stage)
    resolved = problem.resolve()
    told = scenario(Stage(resolved.space, EVALUATIONS, stage.samples), strategy)
    reason = strategy.unsupported(told) if isinstance(strategy, Restricted) else None
    if reason is not None:
        raise Inapplicable(f"it does not run on the shipped table: {reason}")
    resolved.estimator.open(resolved.space, resolved.task, told.seeds)  # a table is read once per process: now
    with _counted(budget) as counted, watched(strategy) as watch:
        result = searched(strategy, problem, budget, after_trial=watch.look)
    return Witnessed(result, budget, counted[0], tuple(watch.noticed))


def _problem(stage: Stage) -> tuple[Problem, Budget]:
    if stage.samples is None:
        return Problem("nasbench201", "digits", Use("table", path=TABLE)), Budget(evaluations=EVALUATIONS)
    return training_problem(stage), stage.budget


@contextmanager
def _counted(budget: Budget) -> Iterator[list[float]]:
    """Count evaluations of tables and samples through supernets by the classes that do them, beside the ledger."""
    from searchbench.estimators.bench import Bench
    from searchbench.tables.lookup import TableEstimator

    total, most = [0.0], 3 * max(budget.limits.values())
    originals = [(TableEstimator, "evaluate"), (Bench, "gradients"), (Bench, "hessian"), (Bench, "infer")]
    kept = [(owner, name, getattr(owner, name)) for owner, name in originals]
    for owner, name, function in kept:
        setattr(owner, name, _counting(function, total, most, samples=owner is Bench))
    try:
        yield total
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def _counting(function: Any, total: list[float], most: float, samples: bool) -> Any:
    def counted(self: Any, first: Any, second: Any, *rest: Any, **named: Any) -> Any:
        total[0] += len(second) if samples else 1
        if total[0] > most:  # a search that has emptied its account would never end
            raise BudgetExhausted(f"more than {most:g} were measured, three times the budget.")
        return function(self, first, second, *rest, **named)

    return counted


def _looks_at_nothing(run: Witnessed) -> str | None:
    return f"{'; '.join(dict.fromkeys(run.noticed))}." if run.noticed else None


def _keeps_its_accounts(run: Witnessed) -> str | None:
    from searchbench.results.columns import read_events

    events = read_events(run.result.trials).to_pylist()
    for axis in DETERMINISTIC_AXES:
        spent = [event[f"spent_{axis}"] for event in events]
        if any(later < earlier for earlier, later in itertools.pairwise(spent)):
            return f"what it had spent of `{axis}` fell while it ran."
    trials = sum(event["event"] == "trial" and not event["cached"] for event in events)
    exceeded = run.budget.first_exceeded(run.result.cost)
    if exceeded is not None:
        return f"it spent {getattr(run.result.cost, exceeded):,.6g} {exceeded} of {run.budget}."
    counted = run.result.cost.evaluations if run.budget.samples is None else run.result.cost.samples
    if run.budget.samples is None and not trials == counted == run.measured:
        return f"{run.measured:g} evaluations happened, {trials} are in its record, and {counted} were charged."
    if run.measured > counted:
        return f"{run.measured:g} samples were sent through its supernet, and {counted:,} were charged."
    read = unpaid(run.result)
    return None if read is None else f"it {read}."


HONEST = (
    Behaviour(
        "looks at nothing but what it is told",
        _looks_at_nothing,
        "its results would be cheated, and runs beside it could be spoilt",
        "use `scenario`, `trial` and `lab` only; draw from `scenario.seeds`; patch nothing.",
    ),
    Behaviour(
        "keeps to its budget and its accounts",
        _keeps_its_accounts,
        "it would be compared with strategies that paid for what they measured",
        "leave the ledger alone; measure through proposals and `lab` only.",
    ),
)
