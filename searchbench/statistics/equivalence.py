"""Is the difference small enough not to matter? TOST, and a Bayesian t-posterior over a declared region.

Absence of evidence is not evidence of absence: only these answers may say "equivalent", and only with a bound
declared before the run.
"""

from __future__ import annotations

import math

import numpy as np
import scipy

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import MAX_FAILED_SHARE, Arm, Floats, arm
from searchbench.statistics.paired import differences, pair_seeds
from searchbench.statistics.record import Answer, Interval, facts, refused
from searchbench.statistics.two_sample import welch

MIN_N = 5
MIN_POSTERIOR = 0.95

Scores = Arm | Floats | list[float]


def tost(a: Scores, b: Scores, *, delta: float | None, paired_by_seed: bool, alpha: float = 0.05) -> Answer:
    """Two one-sided tests that |mean(a) - mean(b)| < delta; the interval is the matching 1 - 2 alpha one.

    Args:
        delta: equivalence bound in raw units, declared before the run.
        paired_by_seed: paired differences, else Welch.
    """
    method = f"TOST ({'paired' if paired_by_seed else 'Welch'})"
    call = "statsmodels ttost_paired" if paired_by_seed else "statsmodels ttost_ind(usevar='unequal')"
    found = _samples(a, b, delta, matched=paired_by_seed, method=method, call=call)
    if isinstance(found, Answer):
        return found
    x, y, n = found
    from statsmodels.stats.weightstats import ttost_ind, ttost_paired

    bound = _bound(delta)
    interval: Interval | None
    if paired_by_seed:
        p, interval = float(ttost_paired(x, y, -bound, bound)[0]), _t_interval(x - y, 1 - 2 * alpha)
    else:
        p = float(ttost_ind(x, y, -bound, bound, usevar="unequal")[0])
        interval = welch(x, y, level=1 - 2 * alpha).interval
    diff, p = float(x.mean() - y.mean()), min(1.0, p)
    said = f"equivalent within ±{bound:g}" if p < alpha else f"not shown equivalent within ±{bound:g}"
    return Answer(
        method=method, call=call, n=n, n_effective=len(x) if paired_by_seed else len(x) + len(y), estimate=diff,
        interval=interval, p=p, wording=f"{said} (difference {diff:.4g}, p={p:.3g})",
        facts=facts(delta=bound, equivalent=p < alpha),
    )  # fmt: skip


def rope(a: Scores, b: Scores, *, delta: float | None, paired_by_seed: bool) -> Answer:
    """Posterior of the mean difference (flat prior, t; searches independent, rho = 0) over below/within/above ±delta.

    Benavoli et al. 2017, JMLR 18(77), section 4, with the correlation of cross-validation left out. Unpaired arms use
    the Welch-Satterthwaite t (an approximation to Behrens-Fisher).
    """
    method, call = "Bayesian t-posterior over a ROPE (rho = 0)", "scipy.stats.t.cdf"
    found = _samples(a, b, delta, matched=paired_by_seed, method=method, call=call)
    if isinstance(found, Answer):
        return found
    x, y, n = found
    bound, diff = _bound(delta), float(x.mean() - y.mean())
    if paired_by_seed:
        se, df = float((x - y).std(ddof=1)) / math.sqrt(len(x)), float(len(x) - 1)
    else:
        test = welch(x, y)
        se, df = test["se"], test["df"]
    below, above = float(scipy.stats.t.cdf((-bound - diff) / se, df)), float(scipy.stats.t.sf((bound - diff) / se, df))
    within = max(0.0, 1.0 - below - above)
    half = float(scipy.stats.t.ppf(0.975, df)) * se
    decided = {"equivalent": within, "a smaller": below, "a larger": above}
    word = next((w for w, q in decided.items() if q >= MIN_POSTERIOR), "undecided")
    return Answer(
        method=method, call=call, n=n, estimate=diff, interval=Interval(diff - half, diff + half, 0.95, "credible t"),
        wording=f"{word}: P(within ±{bound:g}) = {within:.3f}, below {below:.3f}, above {above:.3f}",
        facts=facts(below=below, within=within, above=above, delta=bound, equivalent=within >= MIN_POSTERIOR),
    )  # fmt: skip


def _samples(
    a: Scores, b: Scores, delta: float | None, *, matched: bool, method: str, call: str
) -> Answer | tuple[Floats, Floats, int]:
    m, r = arm(a), arm(b, name="b")
    if delta is None:
        return refused(
            method, call, m.n, "equivalence needs a bound declared before the run", code="delta_not_declared"
        )
    if max(m.failed_share, r.failed_share) > MAX_FAILED_SHARE:
        return refused(method, call, m.n, "more than 20 % of an arm failed: means are not compared",
                       code="too_many_failures")  # fmt: skip
    x, y = m.completed, r.completed
    if matched:
        pairing = pair_seeds(m.seeds, r.seeds)
        if pairing.status == "refused":
            return pairing
        common = pairing["common_seeds"]
        u, v = m.at(common).values, r.at(common).values
        ok = np.isfinite(u) & np.isfinite(v)
        x, y = u[ok], v[ok]
    short = min(len(x), len(y))
    if short < MIN_N:
        return refused(method, call, m.n, f"{short} completed runs; {MIN_N - short} more are needed to speak of "
                       "equivalence")  # fmt: skip
    flat = np.ptp(differences(x[:, None], y[:, None])) == 0 if matched else np.ptp(x) == 0 and np.ptp(y) == 0
    if flat:
        diff = float(x.mean() - y.mean())
        return Answer(method=method, call=call, n=m.n, estimate=diff, status="degenerate",
                      code="identical" if diff == 0 else "degenerate_zero_variance",
                      wording=f"no spread: a constant difference of {diff:.4g}; duplicated runs?")  # fmt: skip
    return x, y, m.n if matched else m.n + r.n


def _bound(delta: float | None) -> float:
    if delta is None or not delta > 0:
        raise StatisticsError(f"an equivalence bound must be positive, but got {delta}")
    return float(delta)


def _t_interval(d: Floats, level: float) -> Interval:
    low, high = scipy.stats.t.interval(level, len(d) - 1, loc=d.mean(), scale=d.std(ddof=1) / math.sqrt(len(d)))
    return Interval(float(low), float(high), level, "paired t")
