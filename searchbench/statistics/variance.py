"""Where does the spread come from: the search, or the evaluation of what it found?

Var(mean) = s2_search / n + s2_eval / (n m): the searches are the replication unit. Treating n x m evaluations as
independent shrinks the standard error for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import ArrayLike

from searchbench.errors import StatisticsError
from searchbench.statistics.record import Answer, Interval, facts, refused

MIN_SEARCHES, MIN_EVALUATIONS = 3, 2

_METHOD, _CALL = "one-way random-effects variance components", "(MSB - MSW) / m; check: statsmodels MixedLM"


def variance_components(
    evaluations: Sequence[ArrayLike] | ArrayLike,
    *,
    cost_search: float | None = None,
    cost_evaluation: float | None = None,
    level: float = 0.95,
) -> Answer:
    """Split the variance of evaluations [searches][evaluations each] into search and evaluation parts.

    Refused below 3 searches, or below 2 evaluations of each. With the two costs, the evaluations per search that
    buy most precision: sqrt(cost_search/cost_eval * s2_eval/s2_search).
    """
    groups = [np.asarray(g, dtype=np.float64).ravel() for g in evaluations]  # type: ignore[union-attr]
    if any(not np.isfinite(g).all() for g in groups):
        raise StatisticsError("error_nan: evaluations must be finite; leave a failed one out of its search by name")
    n, sizes = len(groups), np.array([len(g) for g in groups], dtype=np.float64)
    if n < MIN_SEARCHES or sizes.min() < MIN_EVALUATIONS:
        least = int(sizes.min()) if n else 0
        reason = (
            f"{n} searches with at least {least} evaluations each; {MIN_SEARCHES} searches with {MIN_EVALUATIONS} "
            "evaluations each are needed to tell the two apart"
        )
        return refused(_METHOD, _CALL, n, reason)
    means, total = np.array([g.mean() for g in groups]), sizes.sum()
    grand = float((sizes * means).sum() / total)
    msb = float((sizes * (means - grand) ** 2).sum() / (n - 1))
    msw = float(sum(((g - g.mean()) ** 2).sum() for g in groups) / (total - n))
    m = float((total - (sizes**2).sum() / total) / (n - 1))
    search, mean = max(0.0, (msb - msw) / m), float(means.mean())
    se = float(means.std(ddof=1) / math.sqrt(n))
    naive = float(np.concatenate(groups).std(ddof=1) / math.sqrt(total))
    known = facts(
        var_search=search, var_evaluation=msw, msb=msb, msw=msw, se=se, naive_se=naive, mean=mean,
        icc=search / (search + msw) if search + msw > 0 else None, truncated=msb < msw,
        best_m=_best_m(search, msw, cost_search, cost_evaluation),
    )  # fmt: skip
    if msb == 0:
        return Answer(method=_METHOD, call=_CALL, n=n, estimate=mean, status="degenerate", code="degenerate",
                      facts=known, wording="the searches do not differ at all; duplicated runs?")  # fmt: skip
    half = float(scipy.stats.t.ppf(0.5 + level / 2, n - 1)) * se
    return Answer(
        method=_METHOD, call=_CALL, n=n, estimate=mean, facts=known,
        interval=Interval(mean - half, mean + half, level, "t over searches"),
        wording=(
            f"search std {math.sqrt(search):.3g}, evaluation std {math.sqrt(msw):.3g}; SE of the mean {se:.3g} over "
            f"{n} searches (counting evaluations as runs would claim {naive:.3g})"
        ),
    )  # fmt: skip


def _best_m(search: float, evaluation: float, cost_s: float | None, cost_e: float | None) -> float | None:
    if not cost_s or not cost_e or search == 0:
        return None
    return max(1.0, math.sqrt(cost_s / cost_e * evaluation / search))
