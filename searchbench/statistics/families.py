"""Families of tests: Holm, Benjamini-Hochberg, and how many looks were declared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import ArrayLike

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Floats
from searchbench.statistics.claims import sensitivity
from searchbench.statistics.record import Answer, facts, refused


def holm(p: ArrayLike) -> Floats:
    """Holm-adjusted p-values of a whole family; strong control of the family-wise error.

    Raises:
        StatisticsError: the family is empty, or holds a NaN or a value outside [0, 1].
    """
    raw = _family(p)
    order = np.argsort(raw, kind="stable")
    # statsmodels' multipletests is the test-time second route: it runs the garbage collector on every call.
    stepped = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    out = np.empty(len(raw))
    out[order] = np.minimum(1.0, stepped)
    return out


def graphical(p: ArrayLike, weights: ArrayLike, passing: ArrayLike) -> Floats:
    """Adjusted p-values of a family whose error moves along a graph; strong control (Bretz et al. 2009, Stat. Med. 28).

    A hypothesis that is rejected hands its share of the error on to those still open. Holm is that of equal shares.

    Args:
        p: raw p-values [m].
        weights: share of the error each hypothesis starts with [m], summing to at most 1.
        passing: share of its error that row hands to column once rejected [m, m]; zero diagonal, rows at most 1.
    """
    raw, w = _family(p), np.array(weights, dtype=np.float64)
    g = np.array(passing, dtype=np.float64)
    out, least, left = np.ones(len(raw)), 0.0, np.arange(len(raw))
    while len(left):
        ratio = np.full(len(left), np.inf)
        np.divide(raw[left], w, out=ratio, where=w > 0)
        j = int(np.argmin(ratio))
        least = max(least, float(ratio[j]))
        if least >= 1:
            break
        out[left[j]] = least
        others = np.arange(len(left)) != j
        onwards, back, left = g[j, others], g[others, j], left[others]
        w = w[others] + w[j] * onwards
        g = g[others][:, others] + np.outer(back, onwards)
        loop = (1 - back * onwards)[:, None]
        g = np.divide(g, loop, out=np.zeros_like(g), where=loop > 1e-12)
        np.fill_diagonal(g, 0.0)
    return out


def adjusted_together(
    found: Sequence[Answer], alpha: float, adjust: Callable[[Sequence[float]], Floats] = holm
) -> list[Answer]:
    """The answers of one family with `p_adj`, `family_size` and, where runs failed, whether both treatments agree.

    A comparison that could not be tested stays in the family as p = 1: leaving would flatter the others. The line
    between failures ranked worst and left out is drawn where the claim is made, on p-values adjusted twice.
    """
    raw = [1.0 if x.p is None else x.p for x in found]
    completed = [x.get("p_completed_only", p) for x, p in zip(found, raw, strict=True)]
    worst = adjust(raw)
    done = worst if completed == raw else adjust(completed)
    return [_together(x, float(q), float(c), len(found), alpha) for x, q, c in zip(found, worst, done, strict=True)]


def _together(x: Answer, worst: float, done: float, m: int, alpha: float) -> Answer:
    if "same_side" in x:
        x = x.with_facts(sensitivity=sensitivity(worst, done, x["same_side"], alpha), p_completed_adj=done)
    return replace(x, p_adj=None if x.p is None else worst, family_size=m)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini-Hochberg adjusted p-values (false discovery rate). Raises as `holm` does."""
    return np.asarray(scipy.stats.false_discovery_control(_family(p), method="bh"), dtype=np.float64)


def _family(p: ArrayLike) -> Floats:
    raw = np.asarray(p, dtype=np.float64)
    if raw.ndim != 1 or raw.size == 0:
        raise StatisticsError(f"a p-family is a non-empty vector, but got shape {raw.shape}")
    if np.isnan(raw).any():
        # statsmodels would keep the NaN in the family size and pass it through.
        where = np.flatnonzero(np.isnan(raw)).tolist()
        raise StatisticsError(
            f"error_nan_in_family: member{'s' if len(where) > 1 else ''} {where} of a family of {raw.size} "
            "is NaN; a test that cannot be done must leave the family explicitly"
        )
    if (raw < 0).any() or (raw > 1).any():
        raise StatisticsError(f"p-values lie in [0, 1], but got {raw.min()} to {raw.max()}")
    return raw


def looks(*, taken: int, declared: int | None, alpha: float = 0.05) -> Answer:
    """The level this look at growing data may use: Bonferroni over the looks declared before the first run.

    An undeclared look is exploratory: its p-values support no claim.
    """
    method, call = "Bonferroni over declared looks", "alpha / looks"
    if taken < 1:
        raise StatisticsError(f"looks are counted from 1, but got taken={taken}")
    if declared is None or taken > declared:
        planned = "none was declared" if declared is None else f"{declared} were declared"
        return refused(
            method, call, taken, f"look {taken}, but {planned} before the first run: label this exploratory",
            code="exploratory",
        )  # fmt: skip
    level = alpha / declared
    return Answer(
        method=method,
        call=call,
        n=taken,
        estimate=level,
        wording=f"look {taken} of {declared}, alpha {level:.3g}",
        facts=facts(alpha=level, declared=declared),
    )
