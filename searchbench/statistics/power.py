"""How many seeds a claim needs, what the ones at hand can show, and what no test could ever show.

Plan on a difference declared in advance, never on the observed effect; and because a standard deviation from a
few seeds is itself uncertain, plan on its upper limit (80 % by default).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy
from scipy import special

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Floats
from searchbench.statistics.exact import EXACT_FLIPS_N, min_p_paired, min_p_unpaired
from searchbench.statistics.record import Answer, Effect, facts, refused

WILCOXON_ARE = 0.955
"""Asymptotic relative efficiency 3/pi of Wilcoxon to t at the normal."""


def min_pairs(alpha: float = 0.05, comparisons: int = 1, *, least_p: Callable[[int], float] = min_p_paired) -> int:
    """Fewest paired seeds with which any of `comparisons` exact paired tests could survive Holm."""
    return next(n for n in range(1, 200) if least_p(n) * comparisons <= alpha)


def min_per_arm(alpha: float = 0.05, comparisons: int = 1) -> int:
    """Fewest seeds per arm with which any of `comparisons` exact Mann-Whitney tests could survive Holm."""
    return next(n for n in range(1, 200) if min_p_unpaired(n, n) * comparisons <= alpha)


@lru_cache(maxsize=4096)
def required_n(d: float, *, paired: bool, alpha: float = 0.05, power: float = 0.80) -> float:
    """Seeds (pairs, or per arm) a two-sided t-test needs to see a standardised difference `d`; not rounded.

    Raises:
        StatisticsError: d is zero or not finite.
    """
    if not math.isfinite(d) or d == 0:
        raise StatisticsError(f"a sample size needs a finite non-zero effect, but got d={d}")
    if power_at(abs(d), 2, paired=paired, alpha=alpha) >= power:
        return 2.0
    top = 4.0
    while power_at(abs(d), top, paired=paired, alpha=alpha) < power:
        top *= 2
    return float(
        scipy.optimize.brentq(lambda n: power_at(abs(d), n, paired=paired, alpha=alpha) - power, 2.0, top, xtol=1e-9)
    )


def power_at(d: float, n: float, *, paired: bool, alpha: float = 0.05) -> float:
    """Power of the two-sided t-test with `n` pairs, or `n` runs per arm, at standardised difference `d`."""
    df = n - 1 if paired else 2 * (n - 1)
    shift = abs(d) * math.sqrt(n if paired else n / 2)
    bound = special.stdtrit(df, 1 - alpha / 2)
    found = float(scipy.stats.nct.sf(bound, df, shift) + scipy.stats.nct.cdf(-bound, df, shift))
    # scipy's noncentral t gives NaN far in the tail, where the power is 1 to every digit.
    return found if math.isfinite(found) else float(shift > bound)


@lru_cache(maxsize=4096)
def detectable_d(n: int, *, paired: bool, alpha: float = 0.05, power: float = 0.80) -> float | None:
    """Smallest standardised difference seen with the given power at `n`; None below 2 runs."""
    if n < 2:
        return None
    return float(
        scipy.optimize.brentq(lambda d: power_at(d, n, paired=paired, alpha=alpha) - power, 1e-6, 1e3, xtol=1e-6)
    )


@lru_cache(maxsize=4096)
def claim_power(d: float, n: int, *, alpha: float = 0.05, rope: float = 0.0, paired: bool = True) -> float:
    """How often the better arm is *called* better: significant, on its side, and its estimate beyond the rope.

    Args:
        d: true difference in standard deviations (of paired differences, or of an arm).
        n: pairs, or runs per arm.
        alpha: level of this one test; alpha / m in a family of m.
        rope: in the same standard deviations; 0 asks for significance only.

    Source: a t-test given its estimated variance, averaged over chi2 quantiles; exact paired tests of at most 16 pairs
    can only reach multiples of 2/2^n, so that the largest of them below alpha is their level.
    """
    reached = _reached(alpha, n) if paired else alpha
    if n < 2 or reached <= 0:
        return 0.0
    se = 1 / math.sqrt(n if paired else n / 2)
    bound = np.maximum(_bounds(n, reached, paired) * se, rope)
    return float(special.ndtr((abs(d) - bound) / se).mean())


@lru_cache(maxsize=1024)
def _bounds(n: int, alpha: float, paired: bool) -> Floats:
    """What the mean must exceed, in standard errors of a known variance, at each quantile of the estimated one."""
    df = n - 1 if paired else 2 * (n - 1)
    return np.asarray(special.stdtrit(df, 1 - alpha / 2) * _estimated(df, 400), dtype=np.float64)


@lru_cache(maxsize=1024)
def _estimated(df: int, quantiles: int) -> Floats:
    """Quantiles of an estimated over the true standard deviation."""
    return np.asarray(
        np.sqrt(2 * special.gammaincinv(df / 2, (np.arange(quantiles) + 0.5) / quantiles) / df), dtype=np.float64
    )


def _reached(alpha: float, n: int) -> float:
    if n > EXACT_FLIPS_N:
        return alpha
    steps = 2.0 ** (n - 1)
    reached = math.ceil(alpha * steps * (1 - 1e-12)) - 1
    # Simulated, a flip test of few steps has the power of a t-test half a step stricter.
    return max(0.0, reached - 0.5) / steps


@lru_cache(maxsize=4096)
def detectable_in(n: int, *, alpha: float, rope: float = 0.0, power: float = 0.80, paired: bool = True) -> float | None:
    """Difference, in *estimated* standard deviations, whose claim has the given power in another study of `n`.

    The standard deviation at hand is itself an estimate: the power is averaged over what it may have been. None where
    nothing can be claimed at this n.

    Args:
        rope: in estimated standard deviations.
    """
    if claim_power(1e6, n, alpha=alpha, rope=rope, paired=paired) < power:
        return None
    seen = _estimated(n - 1 if paired else 2 * (n - 1), 40)[:, None]
    se = 1 / math.sqrt(n if paired else n / 2)
    bounds = np.maximum(_bounds(n, _reached(alpha, n) if paired else alpha, paired) * se, rope * seen)
    low, high = 1e-6, 1e4
    for _ in range(30):  # halvings of the logarithm: to seven digits
        middle = math.sqrt(low * high)
        short = float(special.ndtr((middle * seen - bounds) / se).mean()) < power
        low, high = (middle, high) if short else (low, middle)
    return high


def sd_upper_factor(df: int, confidence: float = 0.80) -> float:
    """What to multiply an unbiased standard deviation by to reach its upper confidence limit.

    Browne (1995, Statist. Med. 14:1933): s sqrt(df / chi2_{1-confidence, df}).
    """
    return float(np.sqrt(df / special.gammaincinv(df / 2, 1 - confidence) / 2))


def achieved(delta: float, std_a: float, std_b: float, n: int, *, alpha: float = 0.05) -> Answer:
    """Power two unpaired arms of `n` had for a difference `delta`, and what 80 % would take.

    Illustrative when `delta` is an observed difference; plan on a declared one.
    """
    pooled = math.sqrt((std_a**2 + std_b**2) / 2)
    method, call = "power of the two-sample t-test", "scipy.stats.nct"
    if n < 2 or pooled == 0:
        return refused(method, call, n, "power needs at least 2 runs per arm and a spread", code="insufficient_n")
    d = abs(delta) / pooled
    had, need = power_at(d, n, paired=False, alpha=alpha), required_n(d, paired=False, alpha=alpha)
    total = math.ceil(need)
    return Answer(
        method=method,
        call=call,
        n=n,
        estimate=had,
        effect=Effect("Cohen d", d),
        wording=f"power {had:.2f} at n={n} per arm; 80 % needs {total} per arm (+{max(0, total - n)})",
        facts=facts(
            cohen_d=d, achieved_power=had, n_per_arm_for_80pct=need, ceil=total, more_seeds_needed=max(0, total - n)
        ),
    )


def more_seeds(
    *,
    delta: float | None,
    sd: float,
    n_pilot: int,
    paired: bool,
    df: int | None = None,
    alpha: float = 0.05,
    power: float = 0.80,
    comparisons: int = 1,
    rank_test: bool = False,
    sd_confidence: float = 0.80,
    rope: float | None = None,
    efficiency: float = 1.0,
    cost_per_run: float | None = None,
    cost_unit: str = "GPU-days",
) -> Answer:
    """How many more seeds until a declared difference would be *called* better with the given power.

    Args:
        delta: the declared true difference, raw units, larger than the rope; never the observed one.
        sd: standard deviation of the paired differences, or pooled over unpaired arms, from the pilot.
        n_pilot: seeds at hand (pairs, or per arm).
        df: degrees of freedom of `sd`; n-1 paired, 2(n-1) unpaired by default.
        comparisons: size of the family; alpha is divided by it and the combinatorial minimum respected.
        rank_test: plan for Wilcoxon / Mann-Whitney (n / 0.955).
        rope: declared half-width of practical equivalence: the claim also needs an estimate beyond it.
        efficiency: of the estimand's test relative to that of the mean.
        cost_per_run: cost of one run, to price the answer.
    """
    method = "sample size for the claim, SD at its upper limit"
    call = "scipy.stats.nct, as statsmodels solve_power; scipy.stats.chi2"
    if delta is None:
        return refused(method, call, n_pilot, "declare the difference that would matter (delta) before the run; "
                       "the observed one must not be fed back", code="delta_not_declared")  # fmt: skip
    if n_pilot < 3:
        return refused(method, call, n_pilot, f"a pilot of {n_pilot} cannot tell a spread; "
                       f"{3 - n_pilot} more are needed to plan at all")  # fmt: skip
    if sd <= 0 or delta == 0:
        return refused(method, call, n_pilot, f"planning needs a positive spread and delta, but got sd={sd}, "
                       f"delta={delta}", code="degenerate")  # fmt: skip
    if rope is not None and abs(delta) <= rope:
        return refused(method, call, n_pilot, f"a true difference of {delta:g} within the rope {rope:g} is called "
                       "better in at most half of all studies, however large; plan for one beyond it",
                       code="delta_within_rope")  # fmt: skip
    df = df or (n_pilot - 1 if paired else 2 * (n_pilot - 1))
    factor = sd_upper_factor(df, sd_confidence)
    worst = sd * factor
    one = alpha / comparisons
    need = required_n(abs(delta) / worst, paired=paired, alpha=one, power=power)
    floor = min_pairs(alpha, comparisons) if paired else min_per_arm(alpha, comparisons)
    share = efficiency * (WILCOXON_ARE if rank_test else 1.0)
    total = max(math.ceil(need / share), floor)
    total = _enough(total, abs(delta) / worst, (rope or 0.0) / worst, one, power=power, paired=paired, share=share)
    extra = max(0, total - n_pilot)
    per = "pairs" if paired else "per arm"
    text = f"have {n_pilot}, need {total} {per} (+{extra}"
    if cost_per_run is not None:
        text += f", ~{extra * cost_per_run:g} {cost_unit} per arm at {cost_per_run:g} each"
    seen = (
        detectable_in(n_pilot, alpha=one, rope=float(f"{(rope or 0.0) / sd:.2g}"), paired=paired)
        if n_pilot < MANY
        else None
    )
    return Answer(
        method=method,
        call=call,
        n=n_pilot,
        estimate=float(total),
        wording=text + ")",
        facts=facts(
            n_required=need, ceil=total, more_seeds_needed=extra, sd_ucl_factor=factor, planning_sd=worst,
            combinatorial_minimum=floor, detectable=math.nan if seen is None else seen * sd,
        ),
    )  # fmt: skip


MANY = 10_000
"""Beyond this many runs a normal plan is exact to every printed digit."""


def _enough(n: int, d: float, rope: float, alpha: float, *, power: float, paired: bool, share: float) -> int:
    """The first number of runs, from `n` on, with which the claim keeps its power."""
    per = 1.0 if paired else 2.0
    if rope:
        n = max(n, math.ceil(per * (float(special.ndtri(power)) / (d - rope)) ** 2 / share))
    while (
        n < MANY
        and claim_power(d * math.sqrt(share), n, alpha=alpha, rope=rope * math.sqrt(share), paired=paired) < power
    ):
        n += 1
    return n
