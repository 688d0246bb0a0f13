"""Time to a target: how many runs reach it, when (Kaplan-Meier, log-rank), and the expected running time.

A run that ended without the target is censored at its budget, not dropped and not counted as its budget.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from searchbench.errors import StatisticsError
from searchbench.statistics.anytime import Curve
from searchbench.statistics.arms import Better, Floats
from searchbench.statistics.record import Answer, Effect, Interval, facts, refused
from searchbench.statistics.reliability import wilson

MIN_HITS = 3


@dataclass(frozen=True, slots=True)
class Hits:
    """When each run reached the target.

    Attributes:
        times: cost of the hits.
        censored: budgets (or costs at failure) of the runs that did not reach it.
    """

    times: tuple[float, ...]
    censored: tuple[float, ...]
    name: str = "a"

    def __post_init__(self) -> None:
        if any(not math.isfinite(t) or t < 0 for t in self.times + self.censored):
            raise StatisticsError("times to target must be finite and non-negative; an unreached target is censored")

    @property
    def n(self) -> int:
        """Runs."""
        return len(self.times) + len(self.censored)

    def censored_data(self) -> scipy.stats.CensoredData:
        """Data for `scipy.stats.ecdf` and `logrank`."""
        return scipy.stats.CensoredData(uncensored=self.times, right=self.censored)


def hits(curves: Sequence[Curve], target: float, *, better: Better = "lower", name: str = "a") -> Hits:
    """First cost at which each curve is at least as good as `target`; censored at its budget otherwise."""
    times, censored = [], []
    for curve in curves:
        values = np.asarray(curve.values)
        there = values <= target if better == "lower" else values >= target
        inside = there & (np.asarray(curve.times) <= curve.budget)
        if inside.any():
            times.append(float(curve.times[int(np.argmax(inside))]))
        else:
            censored.append(float(curve.budget))
    return Hits(tuple(times), tuple(censored), name)


def expected_running_time(reached: Hits) -> Answer:
    """ERT = everything spent, by hits and misses, per success (COCO, Hansen et al. 2021); infinite without one."""
    spent, wins = sum(reached.times) + sum(reached.censored), len(reached.times)
    rate = wilson(wins, reached.n)
    known = facts(ERT=spent / wins if wins else math.inf, success_rate=rate.estimate, success_interval=None
                  if rate.interval is None else (rate.interval.low, rate.interval.high))  # fmt: skip
    method, call = "expected running time", "sum of budgets / successes"
    if not wins:
        return Answer(
            method=method, call=call, n=reached.n, status="undefined", code="no_hits", facts=known,
            wording=f"{reached.name} never reached the target in {reached.n} runs: ERT is infinite",
        )  # fmt: skip
    return Answer(
        method=method, call=call, n=reached.n, n_effective=wins, estimate=spent / wins, facts=known,
        wording=f"{reached.name}: ERT {spent / wins:.4g}, reached in {rate.wording}",
    )  # fmt: skip


def kaplan_meier(reached: Hits, *, level: float = 0.95) -> Answer:
    """Kaplan-Meier estimate of the share not there yet, and the median time to target with its interval.

    Below 3 hits only the expected running time is given.
    """
    method, call = "Kaplan-Meier", "scipy.stats.ecdf(CensoredData).sf"
    if len(reached.times) < MIN_HITS:
        ert = expected_running_time(reached)
        reason = f"{len(reached.times)} hits; {MIN_HITS - len(reached.times)} more are needed for a survival curve"
        return refused(method, call, reached.n, reason, code="too_few_hits", facts=ert.facts,
                       wording=f"{ert.wording}; {reason}")  # fmt: skip
    survival = scipy.stats.ecdf(reached.censored_data()).sf
    times, share = survival.quantiles, survival.probabilities
    median = _first_below(times, share, 0.5)
    interval = _median_interval(survival, level)
    said = "not reached by half of the runs" if median is None else f"median {median:.4g}"
    return Answer(
        method=method, call=call, n=reached.n, n_effective=len(reached.times), estimate=median, interval=interval,
        wording=f"{reached.name}: {said}, {len(reached.times)}/{reached.n} runs reached the target",
        facts=facts(times=times, survival=share, median=median) + expected_running_time(reached).facts,
    )  # fmt: skip


def _first_below(times: Floats, share: Floats, level: float) -> float | None:
    below = np.flatnonzero(share <= level + 1e-12)
    return float(times[below[0]]) if below.size else None


def _median_interval(survival: scipy.stats._survival.EmpiricalDistributionFunction, level: float) -> Interval | None:
    """Brookmeyer & Crowley (1982): the times whose log-log interval of survival still holds one half."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        bounds = survival.confidence_interval(confidence_level=level, method="log-log")
    # At survival 1 and 0 the log-log transform is NaN; survival there is known to be on one side of a half.
    share = survival.probabilities
    low = np.where(np.isnan(bounds.low.probabilities), share, bounds.low.probabilities)
    high = np.where(np.isnan(bounds.high.probabilities), share, bounds.high.probabilities)
    times = survival.quantiles
    first, last = _first_below(times, low, 0.5), _first_below(times, high, 0.5)
    if first is None:
        return None
    return Interval(first, math.inf if last is None else max(first, last), level, "Brookmeyer-Crowley")


def log_rank(a: Hits, b: Hits, *, alpha: float = 0.05) -> Answer:
    """Do two arms reach the target at different times? Log-rank; below 3 hits in an arm only the ERTs."""
    method, call = "log-rank test", "scipy.stats.logrank"
    ert_a, ert_b = expected_running_time(a), expected_running_time(b)
    known = facts(ERT_a=ert_a["ERT"], ERT_b=ert_b["ERT"], success_a=ert_a["success_rate"],
                  success_b=ert_b["success_rate"])  # fmt: skip
    fewest = min(len(a.times), len(b.times))
    if fewest < MIN_HITS:
        reason = f"{fewest} hits in an arm; {MIN_HITS - fewest} more are needed for a log-rank test"
        return refused(method, call, a.n + b.n, reason, code="too_few_hits", facts=known,
                       wording=f"{ert_a.wording}; {ert_b.wording}; {reason}")  # fmt: skip
    found = scipy.stats.logrank(a.censored_data(), b.censored_data())
    if not np.isfinite(found.pvalue):
        return Answer(method=method, call=call, n=a.n + b.n, status="degenerate", code="degenerate", facts=known,
                      wording="both arms reach the target at one and the same time")  # fmt: skip
    ratio = ert_a["ERT"] / ert_b["ERT"] if ert_b["ERT"] > 0 else math.inf
    p = min(1.0, float(found.pvalue))
    faster = a.name if found.statistic > 0 else b.name
    said = f"{faster} reaches the target sooner" if p < alpha else "no evidence of different times to target"
    return Answer(
        method=method, call=call, n=a.n + b.n, n_effective=len(a.times) + len(b.times), estimate=ratio,
        effect=Effect("ERT ratio", ratio), p=p, facts=known + facts(statistic=found.statistic),
        wording=f"{said}: ERT {ert_a['ERT']:.4g} against {ert_b['ERT']:.4g}, p={p:.3g}",
    )  # fmt: skip
