"""searchbench: compare search strategies fairly.

One budget metered outside the contestants, one judge, declared seeds, honest statistics.

    >>> import searchbench as sb
    >>> study = sb.Study(
    ...     name="first",
    ...     problems=sb.Problem("nasbench201", "digits", sb.Use("train", epochs=2)),
    ...     strategies=["random", sb.Use("regularized-evolution", population=5, sample=2)],
    ...     seeds=3,
    ...     budget=sb.Budget(evaluations=10),
    ... )
    >>> results = sb.run(study)  # doctest: +SKIP
    >>> results.leaderboard()  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "AblationPlan": "searchbench.harness.ablation",
    "Architecture": "searchbench.spaces.space",
    "Budget": "searchbench.cost",
    "BudgetExhausted": "searchbench.errors",
    "Choice": "searchbench.spaces.choices",
    "ComparisonPlan": "searchbench.harness.study",
    "Contestant": "searchbench.harness.study",
    "Cost": "searchbench.cost",
    "Fidelity": "searchbench.trial",
    "Float": "searchbench.spaces.choices",
    "InputError": "searchbench.errors",
    "Integer": "searchbench.spaces.choices",
    "Measurement": "searchbench.trial",
    "Metric": "searchbench.metric",
    "Objective": "searchbench.harness.objective",
    "Outcome": "searchbench.trial",
    "Problem": "searchbench.harness.problem",
    "Proposal": "searchbench.trial",
    "Results": "searchbench.harness.session",
    "Scenario": "searchbench.strategies.strategy",
    "SearchbenchError": "searchbench.errors",
    "Seeds": "searchbench.seeds",
    "Space": "searchbench.spaces.space",
    "Study": "searchbench.harness.study",
    "Trial": "searchbench.trial",
    "Use": "searchbench.harness.components",
    "When": "searchbench.spaces.choices",
    "open_store": "searchbench.results.store",
    "read_study": "searchbench.harness.study_file",
    "results_from": "searchbench.harness.imported",
    "run": "searchbench.harness.session",
}

__version__ = "0.1.0"
__all__ = ["__version__", *sorted(_WHERE)]  # noqa: PLE0604  (names are strings; the sort is checked by a test)


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that `import searchbench` costs nothing."""
    if name not in _WHERE:
        raise AttributeError(f"module `searchbench` has no attribute `{name}`")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
