"""What the driver looks at in every search that comes back: whether its record keeps to its own accounts, and whether
it paid for the data that it was handed.

A strategy runs in the process that counts for it, and may have changed what counts. The record is read here, in a
process in which no strategy has run.
"""

from __future__ import annotations

from dataclasses import replace

from searchbench.estimators.estimator import Charging
from searchbench.harness.declared.plan import RunSpec
from searchbench.results.accounts import contradictions
from searchbench.results.records import SearchResult

LEFT_OVER = 0.1
"""Share of what a search is handed that it may leave unused: passes over two splits seldom end together."""


def audited(spec: RunSpec, result: SearchResult) -> SearchResult:
    """The result; a failed one that says why, where its record contradicts itself or its budget.

    A search that was handed more data than it paid to compute on has it in its notes: it may have computed by itself.
    """
    estimator = spec.problem.resolve().estimator
    counts = not estimator.trains and isinstance(estimator, Charging) and "evaluations" in estimator.charges()
    try:
        found = list(contradictions(result.trials, result.cost, spec.budget.limits, charges_evaluations=counts))
    except ValueError as error:
        found = [str(error)]
    if result.used > result.cost.samples:
        found.append(f"it computed on {result.used:,} samples, its total says {result.cost.samples:,}")
    if (read := unpaid(result)) is not None:
        result = replace(result, notes=(*result.notes, read))
    if not found:
        return result
    told = f"the record of this run contradicts itself, so its numbers do not count: {'; '.join(found)}."
    failed = result.status if result.status != "ok" else "failed"
    return replace(result, status=failed, error=f"{told}\n{result.error}" if result.error else told)


def unpaid(result: SearchResult) -> str | None:
    """What a search was handed of the data beyond what it paid to compute on, in words; None where it paid for it."""
    if result.handed - result.used <= LEFT_OVER * result.handed:
        return None
    return f"was handed {result.handed:,} samples, and charged for computing on {result.used:,} of them"
