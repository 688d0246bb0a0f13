"""What the numbers of a study's problem mean, as it was declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from searchbench.metric import Metric
from searchbench.results.records import RunRecord


def declared_metric(spec: Mapping[str, Any], problem: str) -> Metric | None:
    """The metric of a problem, its own or the study's; None in declarations older than metrics."""
    own = next((p.get("metric") for p in spec.get("problems", ()) if p.get("label") == problem), None)
    given = own or spec.get("metric")
    return None if given is None else Metric.of(given)


def metric_of(spec: Mapping[str, Any], problem: str, errors: Iterable[float]) -> Metric:
    """The metric of a problem. Where none is declared: the test error, a share if all errors could be one."""
    return declared_metric(spec, problem) or undeclared(errors)


def undeclared(errors: Iterable[float]) -> Metric:
    """The test error, a share where all errors lie in [0, 1]."""
    found = list(errors)
    return Metric(share=bool(found) and all(0 <= error <= 1 for error in found))


def natural(run: RunRecord, metric: Metric | None) -> RunRecord:
    """A run with its numbers themselves, where their negative was minimised."""
    if metric is None or metric.better == "lower":
        return run
    return run.changed(test_error=-run.test_error, value=-run.value)
