"""What the driver looks at in every search that comes back: whether its record keeps to its own accounts.

A strategy runs in the process that counts for it, and may have changed what counts. The record is read here, in a
process in which no strategy has run.
"""

from __future__ import annotations

from dataclasses import replace

from searchbench.estimators.estimator import Charging
from searchbench.harness.plan import RunSpec
from searchbench.results.accounts import contradictions
from searchbench.results.records import SearchResult


def audited(spec: RunSpec, result: SearchResult) -> SearchResult:
    """The result; a failed one that says why, where its record contradicts itself or its budget."""
    estimator = spec.problem.resolve().estimator
    counts = not estimator.trains and isinstance(estimator, Charging) and "evaluations" in estimator.charges()
    try:
        found = list(contradictions(result.trials, result.cost, spec.budget.limits, charges_evaluations=counts))
    except ValueError as error:
        found = [str(error)]
    if not found:
        return result
    told = f"the record of this run contradicts itself, so its numbers do not count: {'; '.join(found)}."
    failed = result.status if result.status != "ok" else "failed"
    return replace(result, status=failed, error=f"{told}\n{result.error}" if result.error else told)
