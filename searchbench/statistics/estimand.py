"""What a comparison is about. The statistic that gives p also gives direction, effect, estimate and interval.

Every estimand is a functional of paired differences (or of per-seed contrasts of a factorial design), tested by the
flips of sign that a symmetric null allows, and its interval is that test inverted: a value is inside exactly where the
test does not reject it. So p < alpha, an interval without zero, and the side the statistic leans to are one statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import scipy

from searchbench.errors import StatisticsError, did_you_mean
from searchbench.statistics.arms import Floats
from searchbench.statistics.effects import hodges_lehmann, rank_biserial, standardised
from searchbench.statistics.exact import (
    Signs,
    canonical,
    flips,
    min_p_paired,
    sign_flip,
    signed_rank,
    signed_rank_tail,
    typical_values,
)

EstimandName = Literal["mean", "median", "iqm", "rank"]


@dataclass(frozen=True, slots=True)
class Tested:
    """One test per column of differences.

    Attributes:
        estimate: the estimand in raw units.
        lean: which way the test points; only its sign counts.
        effect: the effect size that belongs to the statistic.
        p: two-sided.
        flips: flips of sign that p rests on; 0 where its null is known in closed form.
    """

    estimate: Floats
    lean: Floats
    effect: Floats
    p: Floats
    flips: int = 0


class Estimand(Protocol):
    """A location of paired differences, with its test, interval and effect.

    Attributes:
        name: as a study declares it.
        noun: what is estimated, in words.
        method, call: the test.
        inversion: how the interval is made.
        effect: name of the effect size.
        efficiency: asymptotic relative efficiency to the mean at the normal, for planning.
    """

    @property
    def name(self) -> EstimandName: ...
    @property
    def noun(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def call(self) -> str: ...
    @property
    def inversion(self) -> str: ...
    @property
    def effect(self) -> str: ...
    @property
    def efficiency(self) -> float: ...

    def location(self, scores: Floats) -> float:
        """Where the completed scores of one arm lie [n]: what a table is sorted by."""
        ...

    def test(self, d: Floats, *, seed: int, resamples: int) -> Tested:
        """Test differences [n, columns] against a symmetric distribution about zero."""
        ...

    def interval(self, d: Floats, *, alpha: float, seed: int, resamples: int) -> tuple[float, float]:
        """The values that the test at `alpha` does not reject, of one column [n]; infinite where it rejects none."""
        ...

    def least_p(self, n: int) -> float:
        """The smallest p that n differences can give."""
        ...


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean difference, sign-flip permutation; its inversion are Hartigan's typical values (1969, JASA 64:1303)."""

    name: EstimandName = "mean"
    noun: str = "mean difference"
    method: str = "sign-flip permutation of the mean difference"
    call: str = "scipy.stats.permutation_test"
    inversion: str = "sign-flip test inverted"
    effect: str = "dz"
    efficiency: float = 1.0

    def location(self, scores: Floats) -> float:
        return float(scores.mean())

    def test(self, d: Floats, *, seed: int, resamples: int) -> Tested:
        p, count = sign_flip(d, seed=seed, resamples=resamples)
        mean = d.mean(axis=0)
        return Tested(mean, mean, standardised(d), p, count)

    def interval(self, d: Floats, *, alpha: float, seed: int, resamples: int) -> tuple[float, float]:
        return typical_values(d, alpha=alpha, seed=seed, resamples=resamples)

    def least_p(self, n: int) -> float:
        return min_p_paired(n)


@dataclass(frozen=True, slots=True)
class InterquartileMean:
    """Mean of the middle half of the differences, sign-flip permutation, inverted by bisection."""

    name: EstimandName = "iqm"
    noun: str = "interquartile mean of the differences"
    method: str = "sign-flip permutation of the interquartile mean difference"
    call: str = "scipy.stats.trim_mean(0.25)"
    inversion: str = "sign-flip test inverted"
    effect: str = "trimmed d"
    efficiency: float = 0.84

    def location(self, scores: Floats) -> float:
        return float(_trimmed(scores))

    def test(self, d: Floats, *, seed: int, resamples: int) -> Tested:
        estimate = _trimmed(d)
        signs, complete = flips(len(d), seed, resamples, exact_to=EXACT_TRIMMED_N)
        ordered = canonical(d)  # random flips must not depend on the order of seeds
        p = np.array([self._p(ordered[:, j], signs, complete) for j in range(d.shape[1])])
        inner = _winsorised_std(d)
        whole = d.std(axis=0, ddof=1) if len(d) > 1 else np.zeros(d.shape[1])
        inner = np.where(inner > 0, inner, whole)  # ties in the middle: an effect all the same, on the side of the test
        effect = np.divide(estimate, inner, out=np.full_like(estimate, np.nan), where=inner > 0)
        return Tested(estimate, estimate, effect, p, 2 * len(signs) if complete else len(signs))

    def interval(self, d: Floats, *, alpha: float, seed: int, resamples: int) -> tuple[float, float]:
        signs, complete = flips(len(d), seed, resamples, exact_to=EXACT_TRIMMED_N)
        ordered = canonical(d[:, None])[:, 0]
        return inverted(lambda at: self._p(ordered - at, signs, complete) >= alpha, d, float(_trimmed(d)))

    def least_p(self, n: int) -> float:
        # Flipping what is trimmed at the near end changes nothing, so that many flips are as extreme as the data.
        return min(1.0, 2.0 ** int(0.25 * n) * min_p_paired(n))

    def _p(self, d: Floats, signs: Signs, complete: bool) -> float:
        cut = int(0.25 * len(d))
        observed = abs(float(np.sort(d)[cut : len(d) - cut].mean()))
        least = observed - 1e-9 * np.abs(d).max(initial=0.0)
        hits, room = 0, np.empty((min(len(signs), AT_ONCE), len(d)))  # one that stays: fresh memory costs as much again
        for start in range(0, len(signs), AT_ONCE):
            part = signs[start : start + AT_ONCE]
            flipped = np.multiply(part, d, out=room[: len(part)])
            flipped.sort(axis=1)
            hits += int((np.abs(flipped[:, cut : len(d) - cut].mean(axis=1)) >= least).sum())
        return hits / len(signs) if complete else (hits + 1) / (len(signs) + 1)


@dataclass(frozen=True, slots=True)
class Median:
    """Median difference, exact sign test (zeros dropped), interval of order statistics."""

    name: EstimandName = "median"
    noun: str = "median difference"
    method: str = "sign test of the median difference (exact)"
    call: str = "scipy.stats.binomtest"
    inversion: str = "sign test inverted"
    effect: str = "sign balance"
    efficiency: float = 0.637

    def location(self, scores: Floats) -> float:
        return float(np.median(scores))

    def test(self, d: Floats, *, seed: int, resamples: int) -> Tested:
        above, below = (d > 0).sum(axis=0), (d < 0).sum(axis=0)
        total = np.maximum(1, above + below)
        p = np.minimum(1.0, 2 * scipy.stats.binom.cdf(np.minimum(above, below), above + below, 0.5))
        balance = (above - below) / total
        return Tested(np.median(d, axis=0), balance, balance, np.asarray(p, dtype=np.float64))

    def interval(self, d: Floats, *, alpha: float, seed: int, resamples: int) -> tuple[float, float]:
        n = len(d)
        # The k-th smallest and largest: the largest k with 2 P(B <= k - 1) < alpha.
        tails = 2 * scipy.stats.binom.cdf(np.arange(n), n, 0.5)
        return _agreeing(np.sort(d), int((tails < alpha).sum()), self._rejects(d, alpha))

    def least_p(self, n: int) -> float:
        return min_p_paired(n)

    def _rejects(self, d: Floats, alpha: float) -> bool:
        return bool(self.test(d[:, None], seed=0, resamples=0).p[0] < alpha)


@dataclass(frozen=True, slots=True)
class Rank:
    """Signed ranks: Wilcoxon's exact test, Hodges-Lehmann estimate, interval of Walsh averages."""

    name: EstimandName = "rank"
    noun: str = "Hodges-Lehmann difference"
    method: str = "Wilcoxon signed-rank (exact)"
    call: str = "scipy.stats.wilcoxon"
    inversion: str = "Wilcoxon test inverted"
    effect: str = "rank-biserial"
    efficiency: float = 0.955

    def location(self, scores: Floats) -> float:
        return hodges_lehmann(scores)

    def test(self, d: Floats, *, seed: int, resamples: int) -> Tested:
        shift = np.array([hodges_lehmann(d[:, j]) for j in range(d.shape[1])])
        effect = rank_biserial(d)
        return Tested(shift, effect, effect, signed_rank(d)[1])

    def interval(self, d: Floats, *, alpha: float, seed: int, resamples: int) -> tuple[float, float]:
        i, j = np.triu_indices(len(d))
        walsh = np.sort((d[i] + d[j]) / 2)
        rejects = bool(signed_rank(d[:, None])[1][0] < alpha)
        return _agreeing(walsh, int((2 * signed_rank_tail(len(d)) < alpha).sum()), rejects)

    def least_p(self, n: int) -> float:
        return min_p_paired(n)


EXACT_TRIMMED_N = 12
AT_ONCE = 1_024
"""Flips whose trimmed means are taken at once; as many fit into a processor's cache."""
ESTIMANDS: dict[EstimandName, Estimand] = {
    "mean": Mean(), "median": Median(), "iqm": InterquartileMean(), "rank": Rank(),
}  # fmt: skip


def estimand(name: str | Estimand) -> Estimand:
    """The estimand of that name; an estimand passes through.

    Raises:
        StatisticsError: there is no such estimand.
    """
    if not isinstance(name, str):
        return name
    for known, found in ESTIMANDS.items():
        if known == name:
            return found
    raise StatisticsError(f"there is no estimand `{name}`; {did_you_mean(name, list(ESTIMANDS))}")


def opposed(led: Estimand, d: Floats, alpha: float) -> str:
    """One sentence where another estimand of the same differences [n] points the other way; else nothing.

    Only where it matters: one of the two is significant on its own.
    """
    own = led.test(d[:, None], seed=0, resamples=999)
    said = []
    for other in (ESTIMANDS[name] for name in ("mean", "median", "rank") if name != led.name):
        found = other.test(d[:, None], seed=0, resamples=999)
        against = found.lean[0] * own.lean[0] < 0
        if against and min(found.p[0], own.p[0]) < alpha:
            said.append(f"{other.noun} {found.estimate[0]:+.3g}, p={found.p[0]:.3g} alone")
    return f"the {led.noun} decides; another estimand points the other way ({'; '.join(said)})" if said else ""


def inverted(accepts: Callable[[float], bool], d: Floats, inside: float) -> tuple[float, float]:
    """Bounds of what a test accepts, by bisection from the estimate outwards; zero falls on the side the test says."""
    zero = accepts(0.0)
    span = float(np.ptp(d)) or abs(inside) or 1.0
    bounds = []
    for side in (-1.0, 1.0):
        ok = side * max(side * inside, 0.0) if zero else inside
        stop = 0.0 if not zero and side * inside < 0 else side * (max(side * inside, side * ok) + span)
        if accepts(stop):
            bounds.append(side * np.inf)
            continue
        for _ in range(40):
            middle = (ok + stop) / 2
            ok, stop = (middle, stop) if accepts(middle) else (ok, middle)
        bounds.append(ok)
    return bounds[0], bounds[1]


def _agreeing(values: Floats, k: int, rejects: bool) -> tuple[float, float]:
    """k-th smallest and largest value, moved where ties at zero make the test of zero say otherwise."""
    if k == 0:
        low, high = -np.inf, np.inf
    else:
        low, high = float(values[k - 1]), float(values[-k])
    if not rejects:
        return min(low, 0.0), max(high, 0.0)
    while low <= 0.0 <= high and 2 * k < len(values) - 1:
        k += 1
        low, high = float(values[k - 1]), float(values[-k])
    return low, high


def _trimmed(d: Floats) -> Floats:
    """Mean of the middle half down each column [n] or [n, columns], as `scipy.stats.trim_mean(d, 0.25)`."""
    n, cut = len(d), int(0.25 * len(d))
    return np.asarray(np.partition(d, (cut, n - cut - 1), axis=0)[cut : n - cut].mean(axis=0), dtype=np.float64)


def _winsorised_std(d: Floats) -> Floats:
    n, cut = len(d), int(0.25 * len(d))
    ordered = np.sort(d, axis=0)
    kept = np.clip(ordered, ordered[cut], ordered[n - 1 - cut])
    return np.asarray(kept.std(axis=0, ddof=1) if n > 1 else np.zeros(d.shape[1]), dtype=np.float64)
