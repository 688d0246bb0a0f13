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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers, which do not run `__getattr__`
    from searchbench.cost import Budget as Budget
    from searchbench.cost import Cost as Cost
    from searchbench.errors import BudgetExhausted as BudgetExhausted
    from searchbench.errors import EvaluationFailed as EvaluationFailed
    from searchbench.errors import InputError as InputError
    from searchbench.errors import SearchbenchError as SearchbenchError
    from searchbench.estimators.estimator import Estimator as Estimator
    from searchbench.estimators.estimator import EstimatorSpec as EstimatorSpec
    from searchbench.estimators.estimator import Judge as Judge
    from searchbench.estimators.estimator import JudgeSpec as JudgeSpec
    from searchbench.harness.declared.ablation import AblationPlan as AblationPlan
    from searchbench.harness.declared.components import Use as Use
    from searchbench.harness.declared.limits import Limits as Limits
    from searchbench.harness.declared.objective import Objective as Objective
    from searchbench.harness.declared.problem import Problem as Problem
    from searchbench.harness.declared.resources import Placement as Placement
    from searchbench.harness.declared.resources import Resources as Resources
    from searchbench.harness.declared.sklearn_objective import sklearn_objective as sklearn_objective
    from searchbench.harness.declared.study import ComparisonPlan as ComparisonPlan
    from searchbench.harness.declared.study import Contestant as Contestant
    from searchbench.harness.declared.study import Study as Study
    from searchbench.harness.declared.study_file import read_study as read_study
    from searchbench.harness.declared.study_file import read_tuning as read_tuning
    from searchbench.harness.declared.tuning import Tuning as Tuning
    from searchbench.harness.declared.tuning_plan import TuningPlan as TuningPlan
    from searchbench.harness.imported import results_from as results_from
    from searchbench.harness.results import Results as Results
    from searchbench.harness.session import run as run
    from searchbench.harness.tune import tune as tune
    from searchbench.metric import Metric as Metric
    from searchbench.results.store import open_store as open_store
    from searchbench.seeds import Seeds as Seeds
    from searchbench.spaces.choices import Choice as Choice
    from searchbench.spaces.choices import Float as Float
    from searchbench.spaces.choices import Integer as Integer
    from searchbench.spaces.choices import When as When
    from searchbench.spaces.space import Architecture as Architecture
    from searchbench.spaces.space import Space as Space
    from searchbench.strategies.strategy import AskTellSearch as AskTellSearch
    from searchbench.strategies.strategy import Lab as Lab
    from searchbench.strategies.strategy import Scenario as Scenario
    from searchbench.strategies.strategy import Strategy as Strategy
    from searchbench.strategies.strategy import TrainingSearch as TrainingSearch
    from searchbench.tasks.task import Task as Task
    from searchbench.testing import check_estimator as check_estimator
    from searchbench.testing import check_judge as check_judge
    from searchbench.testing import check_space as check_space
    from searchbench.testing import check_strategy as check_strategy
    from searchbench.testing import check_task as check_task
    from searchbench.trial import Fidelity as Fidelity
    from searchbench.trial import Measurement as Measurement
    from searchbench.trial import Outcome as Outcome
    from searchbench.trial import Proposal as Proposal
    from searchbench.trial import Trial as Trial

_WHERE = {
    "AblationPlan": "searchbench.harness.declared.ablation",
    "Architecture": "searchbench.spaces.space",
    "AskTellSearch": "searchbench.strategies.strategy",
    "Budget": "searchbench.cost",
    "BudgetExhausted": "searchbench.errors",
    "Choice": "searchbench.spaces.choices",
    "ComparisonPlan": "searchbench.harness.declared.study",
    "Contestant": "searchbench.harness.declared.study",
    "Cost": "searchbench.cost",
    "EvaluationFailed": "searchbench.errors",
    "Estimator": "searchbench.estimators.estimator",
    "EstimatorSpec": "searchbench.estimators.estimator",
    "Fidelity": "searchbench.trial",
    "Float": "searchbench.spaces.choices",
    "InputError": "searchbench.errors",
    "Integer": "searchbench.spaces.choices",
    "Judge": "searchbench.estimators.estimator",
    "JudgeSpec": "searchbench.estimators.estimator",
    "Lab": "searchbench.strategies.strategy",
    "Limits": "searchbench.harness.declared.limits",
    "Measurement": "searchbench.trial",
    "Metric": "searchbench.metric",
    "Objective": "searchbench.harness.declared.objective",
    "Outcome": "searchbench.trial",
    "Problem": "searchbench.harness.declared.problem",
    "Proposal": "searchbench.trial",
    "Placement": "searchbench.harness.declared.resources",
    "Resources": "searchbench.harness.declared.resources",
    "Results": "searchbench.harness.results",
    "Scenario": "searchbench.strategies.strategy",
    "SearchbenchError": "searchbench.errors",
    "Seeds": "searchbench.seeds",
    "Space": "searchbench.spaces.space",
    "Strategy": "searchbench.strategies.strategy",
    "Study": "searchbench.harness.declared.study",
    "Task": "searchbench.tasks.task",
    "TrainingSearch": "searchbench.strategies.strategy",
    "Trial": "searchbench.trial",
    "Use": "searchbench.harness.declared.components",
    "Tuning": "searchbench.harness.declared.tuning",
    "TuningPlan": "searchbench.harness.declared.tuning_plan",
    "When": "searchbench.spaces.choices",
    "check_estimator": "searchbench.testing",
    "check_judge": "searchbench.testing",
    "check_space": "searchbench.testing",
    "check_strategy": "searchbench.testing",
    "check_task": "searchbench.testing",
    "open_store": "searchbench.results.store",
    "read_study": "searchbench.harness.declared.study_file",
    "read_tuning": "searchbench.harness.declared.study_file",
    "results_from": "searchbench.harness.imported",
    "run": "searchbench.harness.session",
    "sklearn_objective": "searchbench.harness.declared.sklearn_objective",
    "tune": "searchbench.harness.tune",
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
