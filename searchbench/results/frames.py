"""Runs as a DataFrame: one row per run, every cost axis and every metric a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from searchbench.cost import COST_AXES
from searchbench.results.records import RunRecord

if TYPE_CHECKING:
    import pandas as pd

_PLAIN = (
    "run_id", "study", "strategy", "description", "problem", "fingerprint", "protocol", "budget", "replicate",
    "status", "ended", "architecture", "architecture_key", "value", "test_status", "test_error", "error",
    "test_failure", "started", "finished", "host", "attempts", "retry",
)  # fmt: skip


def run_frame(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per run, in the order given.

    Columns: the record's own fields (`notes` as one text); `spent_<axis>` (the search) and `judge_<axis>` per cost
    axis; `metric_<name>` per metric of the judge (NaN where a run has none).
    """
    import pandas as pd

    return pd.DataFrame(run_columns(runs))


def run_columns(runs: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """The columns of `run_frame` as lists."""
    columns: dict[str, list[Any]] = {name: [getattr(run, name) for run in runs] for name in _PLAIN}
    columns["notes"] = ["; ".join(run.notes) for run in runs]
    for axis in COST_AXES:
        columns[f"spent_{axis}"] = [getattr(run.cost, axis) for run in runs]
    for axis in COST_AXES:
        columns[f"judge_{axis}"] = [getattr(run.judge_cost, axis) for run in runs]
    for name in dict.fromkeys(name for run in runs for name in run.test_metrics):
        columns[f"metric_{name}"] = [float(run.test_metrics.get(name, float("nan"))) for run in runs]
    return columns
