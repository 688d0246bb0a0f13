"""Anytime performance: incumbents as right-continuous steps, and one number, the mean regret over the budget.

A trapezoid between evaluations credits a search with values it had not found yet (3.80 where the area is 4.20).
Lindauer & Hutter (2020, best practice 7): show the whole curve, not its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Better, Floats
from searchbench.statistics.many_tasks import MIN_SEEDS
from searchbench.statistics.record import Answer, facts, refused
from searchbench.statistics.resampling import seed_counts

BUDGET_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Curve:
    """The incumbent of one run.

    Attributes:
        times: cost at which each value became known, non-decreasing, in `unit`.
        values: metric of the incumbent from that cost on.
        budget: cost at which the run ended or would have.
        unit: "evaluations", "seconds", …
        before_first: declared value before the first evaluation (chance level, worst); None = not declared.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]
    budget: float
    unit: str
    before_first: float | None = None

    def __post_init__(self) -> None:
        t = np.asarray(self.times, dtype=np.float64)
        if len(self.times) != len(self.values) or (np.diff(t) < 0).any() or (t < 0).any():
            raise StatisticsError("a curve needs one value per time and times that never decrease from 0 on")
        if not np.isfinite(t).all() or not np.isfinite(self.budget) or self.budget <= 0:
            raise StatisticsError(f"a curve needs finite times and a positive budget, but got {self.budget}")


def incumbent(values: ArrayLike, *, better: Better = "lower") -> Floats:
    """Best value so far along the last axis; a failed trial (NaN) leaves the incumbent alone."""
    x = np.asarray(values, dtype=np.float64)
    if better == "lower":
        return np.fmin.accumulate(x, axis=-1)
    return np.fmax.accumulate(x, axis=-1)


def step_at(curve: Curve, grid: ArrayLike) -> Floats:
    """The step function at each cost of `grid`: what had been found by then, inclusive.

    Raises:
        StatisticsError: the grid begins before the first value and no fill was declared.
    """
    at = np.searchsorted(np.asarray(curve.times), np.asarray(grid, dtype=np.float64), side="right")
    if (at == 0).any() and curve.before_first is None:
        raise StatisticsError(
            f"the curve has no value before {curve.times[0] if curve.times else curve.budget:g} {curve.unit}; declare "
            "`before_first` (chance level or worst)"
        )
    first = np.nan if curve.before_first is None else curve.before_first
    return np.asarray(np.concatenate([[first], curve.values])[at], dtype=np.float64)


def area(curve: Curve, *, log_from: float | None = None) -> float:
    """Exact integral of the step function over [0, budget], or over log cost from `log_from` to the budget."""
    start = 0.0 if log_from is None else log_from
    if log_from is not None and not 0 < log_from < curve.budget:
        raise StatisticsError(f"a log axis starts above 0 and below the budget, but got {log_from}")
    inside = np.asarray(curve.times)
    inside = inside[(inside > start) & (inside < curve.budget)]
    edges = np.concatenate([[start], inside, [curve.budget]])
    heights = step_at(curve, edges[:-1])
    widths = np.diff(np.log(edges) if log_from is not None else edges)
    return float((heights * widths).sum())


def mean_regret(curve: Curve, *, best: float, log_from: float | None = None, better: Better = "lower") -> float:
    """Average distance of the incumbent from `best` over the budget (linear or log cost)."""
    span = curve.budget if log_from is None else float(np.log(curve.budget / log_from))
    level = area(curve, log_from=log_from) / span
    return level - best if better == "lower" else best - level


def regrets(curves: Sequence[Curve], *, best: float, better: Better = "lower", log_from: float | None = None) -> Answer:
    """Mean regret over the budget of every run: the scalar that `paired` or `unpaired` then compares.

    Refused if units differ, or budgets differ by more than 1 %.
    """
    method, call = "mean regret over the budget, step incumbent", "numpy.searchsorted(side='right')"
    stop = _unequal(curves)
    if stop:
        return refused(method, call, len(curves), stop, code="budgets_differ")
    values = [mean_regret(c, best=best, log_from=log_from, better=better) for c in curves]
    axis = "linear" if log_from is None else "log"
    mean = float(np.mean(values))
    return Answer(
        method=method, call=call, n=len(values), estimate=mean, facts=facts(regrets=values, axis=axis),
        wording=f"mean regret {mean:.4g} over {curves[0].budget:g} {curves[0].unit} ({axis} axis, {len(values)} runs)",
    )  # fmt: skip


def _unequal(curves: Sequence[Curve]) -> str:
    if not curves:
        return "there is no curve"
    units = sorted({c.unit for c in curves})
    if len(units) > 1:
        return f"curves are in different units ({', '.join(units)}); compare them in one"
    budgets = [c.budget for c in curves]
    if max(budgets) > min(budgets) * (1 + BUDGET_TOLERANCE):
        return (
            f"budgets differ by more than 1 % ({min(budgets):g} to {max(budgets):g} {units[0]}); cut all at the least"
        )
    return ""


@dataclass(frozen=True, slots=True)
class Band:
    """Mean curve of several runs with a pointwise bootstrap band over runs, [grid] each; a description.

    `low` and `high` are NaN below 10 runs.
    """

    grid: Floats
    mean: Floats
    median: Floats
    low: Floats
    high: Floats
    n: int


def band(
    curves: Sequence[Curve], grid: ArrayLike, *, level: float = 0.95, resamples: int = 1_000, seed: int = 0
) -> Band:
    """Pointwise mean, median and bootstrap band over runs (never over points of one run).

    Raises:
        StatisticsError: units or budgets differ, or the grid leaves the budget.
    """
    stop = _unequal(curves)
    at = np.asarray(grid, dtype=np.float64)
    if stop or at.max() > min(c.budget for c in curves) * (1 + BUDGET_TOLERANCE):
        raise StatisticsError(stop or "the grid goes beyond the budget; a curve is not known there")
    values = np.stack([step_at(c, at) for c in curves])
    n = len(values)
    low = high = np.full(len(at), np.nan)
    if n >= MIN_SEEDS:
        draws = seed_counts(seed, resamples, n) @ values / n
        low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return Band(at, values.mean(axis=0), np.median(values, axis=0), low, high, n)


def end_to_end_cost(k: int, *, search: float, validate: float, final: float | None = None) -> float:
    """k (T_search + T_valid) [+ T_final], Lindauer & Hutter (2020), best practice 13 and Example 11."""
    if k < 1 or min(search, validate, final or 0.0) < 0:
        raise StatisticsError(f"costs are non-negative over k >= 1 searches, but got k={k}")
    return k * (search + validate) + (final or 0.0)
