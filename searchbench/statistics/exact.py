"""Exact and resampled null distributions, by column, with the ties scipy's fast paths get wrong.

scipy's `wilcoxon(method="exact")` ignores ties (0.21875 where the permutation p is 0.1875) and identical samples
give 1 or NaN depending on n; its permutation route costs seconds. The signed-rank and rank-sum nulls are sums of
independent or exchangeable ranks, so doubling mid-ranks makes them integers and a short convolution is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy
from scipy import special

from searchbench.statistics.arms import Floats
from searchbench.statistics.ties import ranked

Signs = npt.NDArray[np.int8]

EXACT_SIGNED_RANK_N = 50
EXACT_FLIPS_N = 16
RESAMPLES = 9_999
AT_ONCE = 500_000
"""Signs that are multiplied at once: a sign is a byte, and eight in the product."""


def signed_rank(d: Floats) -> tuple[Floats, Floats]:
    """Wilcoxon signed-rank statistic min(R+, R-) and two-sided p, per column of differences.

    Exact up to 50 differences, ties included; the tie-corrected normal beyond. Zeros are dropped
    (Wilcoxon's own treatment), which is exact conditionally on them. All zeros: p = 1.

    Args:
        d: differences [n, columns], already rounded.

    Returns:
        W and p, [columns] each.
    """
    ranks = np.sign(d) * (ranked(np.abs(d)) - (d == 0).sum(axis=0))
    w = np.minimum(np.where(ranks > 0, ranks, 0.0).sum(axis=0), np.where(ranks < 0, -ranks, 0.0).sum(axis=0))
    null = _signed_rank_exact if len(d) <= EXACT_SIGNED_RANK_N else _signed_rank_normal
    p = np.array([null(np.abs(own[own != 0]), least) for own, least in zip(ranks.T, w, strict=True)])
    return w, np.minimum(p, 1.0)


def _signed_rank_exact(ranks: Floats, w: float) -> float:
    if len(np.unique(ranks)) == len(ranks):
        return 2 * float(signed_rank_tail(len(ranks))[round(w)])
    null = np.ones(1)
    for rank in np.rint(2 * ranks).astype(int):
        null = np.concatenate([null, np.zeros(rank)]) + np.concatenate([np.zeros(rank), null])
        null /= 2
    return 2 * float(null[: round(2 * w) + 1].sum())


def _signed_rank_normal(ranks: Floats, w: float) -> float:
    n, (_, ties) = len(ranks), np.unique(ranks, return_counts=True)
    if not n:
        return 1.0
    variance = (n * (n + 1.0) * (2.0 * n + 1.0) - (ties.astype(np.float64) ** 3 - ties).sum() / 2) / 24
    return 2 * float(special.ndtr((w - n * (n + 1.0) / 4) / np.sqrt(variance)))


@lru_cache(maxsize=EXACT_SIGNED_RANK_N)
def signed_rank_tail(n: int) -> Floats:
    """P(W+ <= w) for w = 0 … n(n+1)/2 under the null without ties; read-only."""
    null = np.ones(1)
    for rank in range(1, n + 1):
        null = (np.concatenate([null, np.zeros(rank)]) + np.concatenate([np.zeros(rank), null])) / 2
    tail = np.asarray(np.cumsum(null), dtype=np.float64)
    tail.setflags(write=False)
    return tail


def signed_rank_demsar(d: Floats) -> tuple[float, float, float]:
    """Wilcoxon as in Demsar (2006, section 3.1.3): zeros split between the signs, normal approximation.

    Returns:
        T = min(R+, R-), |z| and the two-sided p.
    """
    found = scipy.stats.wilcoxon(d, zero_method="zsplit", method="asymptotic")
    return float(found.statistic), abs(float(found.zstatistic)), float(found.pvalue)


def sign_flip(d: Floats, *, seed: int, resamples: int = RESAMPLES) -> tuple[Floats, int]:
    """Two-sided sign-flip permutation p of the mean difference, per column, and how many flips it rests on.

    All 2^n flips up to n = 16; beyond, `resamples` random ones shared by the columns, p = (hits + 1)/(R + 1)
    (Phipson & Smyth 2010), so that a p of zero cannot appear.

    Args:
        d: differences [n, columns].
        seed: declared seed of the random flips.
        resamples: random flips beyond n = 16.
    """
    d = canonical(d)
    observed = np.abs(d.sum(axis=0))
    threshold = observed - 1e-9 * np.abs(d).sum(axis=0)
    signs, complete = flips(len(d), seed, resamples)
    hits = _hits(signs, d, threshold)
    if complete:
        return hits / len(signs), 2 * len(signs)
    return np.asarray((hits + 1) / (resamples + 1), dtype=np.float64), resamples


def flips(n: int, seed: int, resamples: int, *, exact_to: int = EXACT_FLIPS_N) -> tuple[Signs, bool]:
    """Sign vectors [R, n] and whether they are complete: every flip up to a global sign, or random ones; read-only."""
    # A flip and its negation have the same |sum|: half of them, first sign fixed, is all of them.
    return (_half_flips(n), True) if n <= exact_to else (_random_flips(n, seed, resamples), False)


def typical_values(d: Floats, *, alpha: float, seed: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Interval of the mean of differences [n]: what `sign_flip` of d - value does not reject at `alpha`.

    A flip S counts against a value below the mean exactly where the mean of d over S, or over its complement, is at
    most that value; so the bounds are order statistics of means of subsets (Hartigan 1969). Infinite where no p can
    fall below alpha.
    """
    d = canonical(d[:, None])[:, 0]
    signs, complete = flips(len(d), seed, resamples)
    flipped = _flipped(len(d), seed, resamples)
    total = np.concatenate(list(_sums(signs, d)))
    with np.errstate(invalid="ignore", divide="ignore"):  # the empty set has no mean; it always counts
        inside, outside = (d.sum() - total) / 2 / flipped, (d.sum() + total) / 2 / (len(d) - flipped)
    ends = np.stack([np.fmin(inside, outside), np.fmax(inside, outside)])
    ends[:, (flipped == 0) | (flipped == len(d))] = np.array([[-np.inf], [np.inf]])
    size = len(signs) if complete else len(signs) + 1
    k = int(np.ceil(alpha * size * (1 - 1e-12))) - (0 if complete else 1)
    if k < 1:
        return -np.inf, np.inf
    ends[np.abs(ends) <= 1e-9 * np.abs(d).mean()] = 0.0  # as the test counts ties: zero is inside where it says so
    low, high = np.partition(ends[0], k - 1)[k - 1], -np.partition(-ends[1], k - 1)[k - 1]
    return float(low), float(high)


def canonical(d: Floats) -> Floats:
    """Columns in an order of their own, so that random flips do not depend on the order of seeds or on direction."""
    total = d.sum(axis=0)
    even = np.abs(total) <= 1e-9 * np.abs(d).sum(axis=0)
    toward = d * np.where(even, _heavier_side(d), np.sign(total))
    order = np.lexsort((toward, np.abs(d)), axis=0)
    return np.take_along_axis(d, order, axis=0)


def _heavier_side(d: Floats) -> Floats:
    """Sign of the first size at which the two sides of each column differ, largest first; zero of a symmetric one."""
    gap = np.sort(d, axis=0)[::-1] + np.sort(d, axis=0)
    first = np.argmax(gap != 0, axis=0)
    return np.asarray(np.sign(np.take_along_axis(gap, first[None], axis=0)[0]), dtype=np.float64)


def _hits(signs: Signs, d: Floats, threshold: Floats) -> Floats:
    out = np.zeros(d.shape[1])
    for sums in _sums(signs, d):
        out += (np.abs(sums) >= threshold).sum(axis=0)
    return out


def _sums(signs: Signs, d: Floats) -> Iterator[Floats]:
    """Sums of flipped differences [n] or [n, columns], some flips after others."""
    rows = max(1, AT_ONCE // max(1, len(d)))
    for start in range(0, len(signs), rows):
        yield signs[start : start + rows].astype(np.float64) @ d


@lru_cache(maxsize=4)
def _flipped(n: int, seed: int, resamples: int) -> Floats:
    """How many signs each flip turns."""
    signs, _ = flips(n, seed, resamples)
    return np.asarray((n - signs.sum(axis=1)) / 2, dtype=np.float64)


@lru_cache(maxsize=4)
def _random_flips(n: int, seed: int, resamples: int) -> Signs:
    signs = np.random.default_rng(seed).integers(0, 2, (resamples, n), dtype=np.int8)
    signs *= 2
    signs -= 1
    signs.setflags(write=False)
    return signs


@lru_cache(maxsize=4)
def _half_flips(n: int) -> Signs:
    codes = np.arange(2 ** (n - 1))[:, None]
    signs = (1 - 2 * ((codes >> np.arange(n)) & 1)).astype(np.int8)
    signs.setflags(write=False)
    return signs


def rank_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Mann-Whitney U of `a` and two-sided p, per column; exact below 10 runs in an arm, ties included.

    Args:
        a, b: scores [n, columns] and [m, columns], finite.
    """
    n, m = len(a), len(b)
    pooled = np.sort(np.concatenate([a, b]), axis=0)
    tied = (np.diff(pooled, axis=0) == 0).any(axis=0)
    small = min(n, m) < 10 and n * m <= 2_500
    found = scipy.stats.mannwhitneyu(a, b, axis=0, method="exact" if small else "asymptotic", use_continuity=True)
    u, p = np.atleast_1d(found.statistic).astype(float), np.atleast_1d(found.pvalue).astype(float)
    constant = pooled[0] == pooled[-1]
    p[constant] = 1.0
    if small:
        for j in np.flatnonzero(tied & ~constant):
            p[j] = _rank_sum_tied(a[:, j], b[:, j])
    return u, np.minimum(p, 1.0)


def _rank_sum_tied(a: Floats, b: Floats) -> float:
    n = min(len(a), len(b))
    first = a if len(a) == n else b
    ranks = np.rint(2 * ranked(np.concatenate([a, b]))).astype(int)
    observed = int(ranks[: len(a)].sum())
    if first is b:
        observed = int(ranks.sum()) - observed
    ways = np.zeros((n + 1, int(ranks.sum()) + 1))
    ways[0, 0] = 1.0
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    null = ways[n] / ways[n].sum()
    return min(1.0, 2 * min(float(null[: observed + 1].sum()), float(null[observed:].sum())))


def min_p_paired(n: int) -> float:
    """The smallest two-sided p any exact paired sign-flip or signed-rank test can give: 2 / 2^n."""
    return min(1.0, 2.0 / 2.0**n)


def min_p_unpaired(n: int, m: int) -> float:
    """The smallest two-sided exact Mann-Whitney p: 2 / C(n + m, n)."""
    return min(1.0, 2.0 / math.comb(n + m, n))
