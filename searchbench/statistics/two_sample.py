"""The two-sample tests themselves, each with its effect and interval: Welch, Mann-Whitney, Brunner-Munzel.

`unpaired` decides which of them a pair of arms deserves; these answer for readers who ask for one by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import ArrayLike

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Better, Floats
from searchbench.statistics.claims import with_claim
from searchbench.statistics.effects import a12_effect, superiority
from searchbench.statistics.exact import rank_sum
from searchbench.statistics.record import Answer, Effect, Interval, facts, refused


@dataclass(frozen=True, slots=True)
class Summary:
    """A published mean ± std over n runs (ddof = 1 assumed)."""

    mean: float
    std: float
    n: int
    name: str = "a"


def welch(
    a: Summary | ArrayLike,
    b: Summary | ArrayLike,
    *,
    better: Better | None = None,
    alpha: float = 0.05,
    level: float = 0.95,
) -> Answer:
    """Welch's t-test of mean(a) - mean(b), from scores or from published summaries."""
    x, y = _named_apart(_summary(a, "a"), _summary(b, "b"))
    method, call = "Welch t-test", "scipy.stats.ttest_ind_from_stats(equal_var=False)"
    n, diff = x.n + y.n, x.mean - y.mean
    if min(x.n, y.n) < 2:
        return refused(method, call, n, "a spread needs at least 2 runs per arm", estimate=diff)
    va, vb = x.std**2 / x.n, y.std**2 / y.n
    if va + vb == 0 and diff == 0:
        return Answer(
            method=method, call=call, n=n, estimate=0.0, effect=Effect("A12", 0.5), p=1.0, status="degenerate",
            code="identical", wording="neither arm varies and they are equal: no difference; duplicated runs?",
        )  # fmt: skip
    if va + vb == 0:
        return Answer(
            method=method, call=call, n=n, estimate=diff, status="degenerate", code="degenerate_zero_variance",
            wording=f"neither arm varies; they differ by {diff:.4g}, which no test can weigh",
        )  # fmt: skip
    df = (va + vb) ** 2 / (va**2 / (x.n - 1) + vb**2 / (y.n - 1))
    test = scipy.stats.ttest_ind_from_stats(x.mean, x.std, x.n, y.mean, y.std, y.n, equal_var=False)
    half = float(scipy.stats.t.ppf(0.5 + level / 2, df)) * math.sqrt(va + vb)
    d = diff / math.sqrt((x.std**2 + y.std**2) / 2)
    answer = Answer(
        method=method,
        call=call,
        n=n,
        wording="",
        estimate=diff,
        interval=Interval(diff - half, diff + half, level, "Welch t"),
        effect=Effect("Cohen d", d),
        p=float(test.pvalue),
        facts=facts(t=test.statistic, df=df, diff=diff, se=math.sqrt(va + vb), said_n=f"n={x.n} and {y.n}"),
    )
    return with_claim(answer, x.name, y.name, better=better, alpha=alpha, rope=None)


def _named_apart(a: Summary, b: Summary) -> tuple[Summary, Summary]:
    """Both by names that differ, so that no arm is called better than itself."""
    return (replace(a, name="a"), replace(b, name="b")) if a.name == b.name else (a, b)


def _summary(x: Summary | ArrayLike, name: str) -> Summary:
    if isinstance(x, Summary):
        return x
    values = _finite(x)
    std = float(values.std(ddof=1)) if values.size > 1 and np.ptp(values) > 0 else 0.0
    return Summary(float(values.mean()), std, values.size, name)


def _finite(x: ArrayLike) -> Floats:
    values = np.asarray(x, dtype=np.float64).ravel()
    if values.size == 0 or not np.isfinite(values).all():
        raise StatisticsError("error_nan: scores must be finite; give arms with statuses to rank failures worst")
    return values


def mann_whitney(
    a: ArrayLike,
    b: ArrayLike,
    *,
    better: Better | None = None,
    names: tuple[str, str] = ("a", "b"),
    alpha: float = 0.05,
) -> Answer:
    """Mann-Whitney U with A12, two-sided; exact (ties included) below 10 runs in an arm.

    The exact p is twice the smaller tail, at most 1; under ties the null is not symmetric, and other definitions of
    two sides (scipy's among them) can differ a little. Ranks decide the side; means are shown beside.

    Args:
        better: direction of the metric; without it no arm is called better.
    """
    x, y = _finite(a)[:, None], _finite(b)[:, None]
    u, p = rank_sum(x, y)
    a12 = float(u[0]) / (len(x) * len(y))
    n = len(x) + len(y)
    answer = Answer(
        method="Mann-Whitney U", call="scipy.stats.mannwhitneyu", n=n, effect=a12_effect(a12, len(x), len(y)),
        estimate=float(x.mean() - y.mean()), p=float(p[0]), wording=f"U={u[0]:g}, A12={a12:.3f}, p={p[0]:.3g}",
        facts=facts(U_a=u[0], A12=a12, cliffs_delta=2 * a12 - 1, lean=a12 - 0.5, said_n=f"n={len(x)} and {len(y)}"),
    )  # fmt: skip
    return answer if better is None else with_claim(answer, *names, better=better, alpha=alpha, rope=None)


def brunner_munzel(a: ArrayLike, b: ArrayLike) -> Answer:
    """Brunner-Munzel test (t-approximation; wants 10 runs per arm). Separated arms fall back to Mann-Whitney."""
    x, y = _finite(a)[:, None], _finite(b)[:, None]
    stat, p = brunner_munzel_columns(x, y)
    a12 = float(superiority(x, y)[0])
    if math.isnan(stat[0]):
        method, call = "Mann-Whitney U (arms are separated)", "scipy.stats.mannwhitneyu"
    else:
        method, call = "Brunner-Munzel", "scipy.stats.brunnermunzel"
    return Answer(
        method=method, call=call, n=len(x) + len(y), estimate=float(x.mean() - y.mean()),
        effect=a12_effect(a12, len(x), len(y)), p=float(p[0]), wording=f"A12={a12:.3f}, p={p[0]:.3g}",
        facts=facts(statistic=stat[0], A12=a12),
    )  # fmt: skip


def brunner_munzel_columns(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Statistic and p by column. Its variance is zero at complete separation, where it would give p = 0 or NaN:
    there the Mann-Whitney p stands in and the statistic is NaN."""
    a12 = superiority(x, y)
    apart = (a12 == 0) | (a12 == 1) | (np.ptp(np.concatenate([x, y]), axis=0) == 0)
    stat, p = np.full(x.shape[1], np.nan), np.ones(x.shape[1])
    if (~apart).any():
        found = scipy.stats.brunnermunzel(x[:, ~apart], y[:, ~apart], axis=0)
        stat[~apart], p[~apart] = found.statistic, found.pvalue
    if apart.any():
        p[apart] = rank_sum(x[:, apart], y[:, apart])[1]
    return stat, p
