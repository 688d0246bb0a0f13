"""Effect sizes: what a p-value does not say. Raw units come first; these stand beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import special

from searchbench.statistics.arms import Floats
from searchbench.statistics.record import Effect, Interval
from searchbench.statistics.ties import ranked

MIN_N_FOR_WORDS = 4


def superiority(a: Floats, b: Floats) -> Floats:
    """A12 = P(a > b) + P(a = b)/2 per column (Vargha & Delaney 2000). Inputs [n, columns], [m, columns].

    Infinities rank as the extreme values they are; NaN is not allowed.
    """
    n, m = len(a), len(b)
    ranks = ranked(np.concatenate([a, b]))
    return np.asarray((ranks[:n].sum(axis=0) - n * (n + 1) / 2) / (n * m), dtype=np.float64)


def superiority_interval(a12: Floats, n: int, m: int, level: float = 0.95) -> tuple[Floats, Floats]:
    """Score-type interval of A12 (Newcombe 2006, Statist. Med. 25:559, method 5): limits theta with
    |A12 - theta| = z sqrt(V(theta)). It stays inside [0, 1] and has width at complete separation.
    """
    z = special.ndtri(0.5 + level / 2)
    extra = (n + m) / 2 - 1

    def excess(theta: Floats) -> Floats:
        spread = theta * (1 - theta) * (1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta)))
        return np.asarray((a12 - theta) ** 2 - z**2 * spread / (n * m))

    return _bisect(excess, np.zeros_like(a12), a12), _bisect(excess, np.ones_like(a12), a12)


def _bisect(excess: Callable[[Floats], Floats], outside: Floats, inside: Floats) -> Floats:
    for _ in range(45):
        middle = (outside + inside) / 2
        out = excess(middle) > 0
        outside, inside = np.where(out, middle, outside), np.where(out, inside, middle)
    return (outside + inside) / 2


def a12_effect(value: float, n: int, m: int, level: float = 0.95) -> Effect:
    """A12 as an `Effect`; the word is Cliff's (.147/.33/.474), withheld below 4 runs in an arm."""
    low, high = superiority_interval(np.array([value]), n, m, level)
    word = cliff_magnitude(2 * value - 1) if min(n, m) >= MIN_N_FOR_WORDS else None
    interval = Interval(min(float(low[0]), value), max(float(high[0]), value), level, "Newcombe score")
    return Effect("A12", value, interval if min(n, m) > 1 else None, word)


def cliff_magnitude(delta: float) -> Literal["negligible", "small", "medium", "large"]:
    """Words for |Cliff's delta|: .147, .33, .474 (Romano et al. 2006)."""
    size = abs(delta)
    if size < 0.147:
        return "negligible"
    if size < 0.33:
        return "small"
    return "medium" if size < 0.474 else "large"


def rank_biserial(d: Floats) -> Floats:
    """Matched-pairs rank-biserial correlation (R+ - R-)/(R+ + R-) per column, zeros dropped; 0 if all are."""
    ranks = ranked(np.abs(d)) - (d == 0).sum(axis=0)
    plus, minus = (ranks * (d > 0)).sum(axis=0), (ranks * (d < 0)).sum(axis=0)
    total = plus + minus
    return np.asarray(np.divide(plus - minus, total, out=np.zeros_like(total), where=total > 0))


def hodges_lehmann(d: Floats) -> float:
    """Median of the Walsh averages of one vector of differences [n]."""
    i, j = np.triu_indices(len(d))
    return float(np.median((d[i] + d[j]) / 2))


def standardised(d: Floats) -> Floats:
    """Cohen's dz, mean over standard deviation of the differences, per column; NaN where there is no spread."""
    spread = d.std(axis=0, ddof=1) if len(d) > 1 else np.zeros(d.shape[1])
    return np.asarray(np.divide(d.mean(axis=0), spread, out=np.full_like(spread, np.nan), where=spread > 0))


def cohen_d(a: Floats, b: Floats) -> float | None:
    """Cohen's d with the pooled standard deviation; None where that is zero or an arm has one run."""
    n, m = len(a), len(b)
    if min(n, m) < 2:
        return None
    pooled = np.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2))
    return float((a.mean() - b.mean()) / pooled) if pooled > 0 else None


def hedges_g(a: Floats, b: Floats) -> float | None:
    """Cohen's d times the small-sample factor."""
    d = cohen_d(a, b)
    return None if d is None else d * hedges_factor(len(a) + len(b) - 2)


def hedges_factor(df: int) -> float:
    """1 - 3/(4 df - 1), which takes the upward bias out of a standardised mean (Hedges 1981)."""
    return 1 - 3 / (4 * df - 1)


def cohen_d_av(a: Floats, b: Floats) -> float | None:
    """Mean paired difference over the root mean of both variances (Lakens 2013, d_av with pooled variances)."""
    spread = float(np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)) if len(a) > 1 else 0.0
    return float((a - b).mean()) / spread if spread > 0 else None
