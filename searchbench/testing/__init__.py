"""The conformance suites: what every part must do, run on a plug-in by its author and on every built-in by us.

::

    from searchbench.testing import check_strategy

    def test_my_strategy_conforms():
        check_strategy(MyStrategy(population=20))

A suite returns a `Conformance` with a `Check` per behaviour (its verdict, and where it failed what was found, what that
means and the way out), or raises `ConformanceError`, which lists every failure and carries the same report.
"""

from __future__ import annotations

from searchbench.testing.in_flight import Flight, Rule, check_in_flight, fly
from searchbench.testing.rehearsal import Stage, stages, training_stage
from searchbench.testing.report import Check, Conformance, ConformanceError
from searchbench.testing.suites import check_estimator, check_judge, check_space, check_strategy, check_task

__all__ = [
    "Check",
    "Conformance",
    "ConformanceError",
    "Flight",
    "Rule",
    "Stage",
    "check_estimator",
    "check_in_flight",
    "check_judge",
    "check_space",
    "check_strategy",
    "check_task",
    "fly",
    "stages",
    "training_stage",
]
