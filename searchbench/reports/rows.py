"""One strategy's line of a leaderboard, and its columns for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from searchbench.cost import COST_AXES
from searchbench.metric import Metric
from searchbench.reports.standing import NOTHING, Standing
from searchbench.reports.summary import Summary

SUMMED_AXES = (*COST_AXES, "samples", "seconds")
"""Every axis of a cost, and the two sums that budgets limit."""
SHORT_NAMES = {"test_error": "test_error_mean", "value": "value_mean"} | {a: f"cost_{a}" for a in SUMMED_AXES}
SHORT_NAMES["macs"] = "macs"  # the network's own; the search's are cost_macs


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy in one block."""

    strategy: str
    """Its label."""
    total: int
    """Runs recorded."""
    failed: int
    """Those whose search failed, ran out of time, or was lost."""
    judge_failed: int
    """Those whose search ended well, but whose architecture could not be judged."""
    missing: int
    """Planned runs not recorded yet."""
    test_error: Summary
    """Over the judged runs."""
    value: Summary
    """Validation value the final architecture was chosen by, over the judged runs."""
    params: float
    """Mean parameters of what was handed over; NaN where the judge does not say."""
    macs: float
    """Mean multiply-accumulates of one forward pass of it."""
    cost: Mapping[str, float]
    """What a search that ended well spent on average, on each of `SUMMED_AXES`."""
    standing: Standing = NOTHING
    """What the statistics say of it."""
    metric: Metric = field(default_factory=Metric)
    """What was measured; the standing's answers are in its shown units."""
    noted: int = 0
    """Runs in whose records something stands beside the numbers; the block's notes say what."""

    @property
    def failed_share(self) -> float:
        """Runs without a test error, among those recorded."""
        return 1 - self.n / self.total if self.total else 0.0

    @property
    def caveats(self) -> tuple[str, ...]:
        """What its numbers must be read with: see `Answer.caveats`, and "noted" where its runs have notes."""
        from searchbench.statistics.record import ordered

        refused = ("refused",) if self.standing.verdict == "refused" else ()
        kinds = ordered((*self.standing.caveats, *refused, *(("incomplete",) if self.missing else ())))
        return (*kinds, *(("noted",) if self.noted else ()))

    @property
    def n(self) -> int:
        """Independent searches behind the mean."""
        return self.test_error.n

    def values(self) -> dict[str, Any]:
        """Everything, flat, in full precision; the keys are the columns of CSV, JSON and DataFrame."""
        return (
            {
                "strategy": self.strategy,
                "n": self.n,
                "total": self.total,
                "failed": self.failed,
                "judge_failed": self.judge_failed,
                "missing": self.missing,
                "test_error_mean": self.test_error.mean,
                "test_error_std": self.test_error.std,
                "value_mean": self.value.mean,
                "value_std": self.value.std,
                "params": self.params,
                "macs": self.macs,
            }
            | standing_values(self)
            | {f"cost_{axis}": self.cost[axis] for axis in SUMMED_AXES}
        )


COLUMNS = (
    "strategy", "n", "total", "failed", "judge_failed", "missing", "test_error_mean", "test_error_std", "value_mean",
    "value_std", "params", "macs", "interval_low", "interval_high", "location", "place", "rank_low", "rank_high",
    "top_group", "p_best", "verdict", "caveats", "difference", "difference_low",
    "difference_high", "p", "p_adjusted", "family_size", "effect", "effect_name", "refusal",
    *(f"cost_{axis}" for axis in SUMMED_AXES),
)  # fmt: skip


def standing_values(row: Row) -> dict[str, Any]:
    """A row's statistics, flat, in the unit of the test error; NaN where there are none."""
    at, unit = row.standing, row.metric.scale
    versus = at.versus
    interval = None if at.estimate is None else at.estimate.interval
    gap = None if versus is None else versus.interval
    effect = None if versus is None else versus.effect
    return {
        "interval_low": math.nan if interval is None else interval.low / unit,
        "interval_high": math.nan if interval is None else interval.high / unit,
        "location": math.nan if at.location is None else at.location / unit,
        "place": _number(at.place),
        "rank_low": _number(at.ranks and at.ranks[0]),
        "rank_high": _number(at.ranks and at.ranks[1]),
        "top_group": at.top,
        "p_best": _number(at.p_best),
        "verdict": at.said,
        "caveats": ";".join(row.caveats),
        "difference": math.nan if versus is None or versus.estimate is None else versus.estimate / unit,
        "difference_low": math.nan if gap is None else gap.low / unit,
        "difference_high": math.nan if gap is None else gap.high / unit,
        "p": _number(versus and versus.p),
        "p_adjusted": _number(versus and versus.p_adj),
        "family_size": versus.family_size if versus is not None else 0,
        "effect": _number(effect and effect.value),
        "effect_name": effect.name if effect is not None else "",
        "refusal": versus.refusal_reason if versus is not None else "",
    }


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
