"""Does searching beat drawing architectures at random? Relative improvement over random *sampling*.

Yang et al., "NAS evaluation is frustratingly hard" (ICLR 2020), section 3.1: RI = 100 (Acc_m - Acc_r) / Acc_r, r the
mean of at least 8 randomly sampled architectures of the same space, trained by the same pipeline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import scipy

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Arm, Floats, arm
from searchbench.statistics.families import adjusted_together
from searchbench.statistics.record import Answer, Effect, Interval, facts, refused

MIN_ARCHITECTURES = 8

BEATS, NO_EVIDENCE = "beats random sampling", "no evidence that it beats random sampling"
_METHOD, _CALL = "relative improvement over random sampling", "arithmetic; delta method, scipy.stats.t"


def improvement_of_means(method_mean: float, random_mean: float) -> float:
    """RI in percent from two mean accuracies (published rows; label it indicative across pipelines)."""
    if not random_mean > 0:
        raise StatisticsError(f"a relative improvement needs a positive reference, but got {random_mean}")
    return 100.0 * (method_mean - random_mean) / random_mean


def relative_improvement(
    accuracy: Arm | Floats | list[float],
    random_sampling: Arm | Floats | list[float] | None,
    *,
    same_pipeline: bool = True,
    paired_by_seed: bool = False,
    level: float = 0.95,
    comparisons: int = 1,
) -> Answer:
    """RI of a method's accuracies over those of randomly sampled architectures, with its interval.

    Refused without a random-sampling arm of the same space and pipeline. Below 8 architectures per arm the number
    is shown and the claim refused. The interval is the delta method on the ratio of means.

    Args:
        level: of the interval, which holds jointly over `comparisons`.
        comparisons: size of the family this belongs to; see `beating_random`.
    """
    if random_sampling is None or not same_pipeline:
        why = "there is no random-sampling arm" if random_sampling is None else "the random arm ran another pipeline"
        return refused(_METHOD, _CALL, 0, f"{why}: sample at least {MIN_ARCHITECTURES} architectures at random from "
                       "the same space and train them alike", code="no_random_arm")  # fmt: skip
    m, r = arm(accuracy, better="higher"), arm(random_sampling, better="higher")
    x, y = m.completed, r.completed
    if not len(x) or not len(y):
        return Answer(method=_METHOD, call=_CALL, n=m.n, n_failed=m.n_failed, status="undefined",
                      code="no_completed_runs", wording="an arm has no completed run")  # fmt: skip
    value = improvement_of_means(float(x.mean()), float(y.mean()))
    matched = paired_by_seed and m.seeds == r.seeds and m.n_ok == m.n and r.n_ok == r.n
    interval, p = _ratio_interval(x, y, matched, level, comparisons)
    known = facts(RI_percent=value, mean=x.mean(), random_mean=y.mean(), n_random=len(y))
    said = f"RI {value:+.2f} %" + (f" [{interval.low:+.2f}, {interval.high:+.2f}]" if interval else "")
    short = min(len(x), len(y))
    if short < MIN_ARCHITECTURES:
        reason = f"{short} architectures; {MIN_ARCHITECTURES - short} more per arm are needed for a claim"
        return refused(_METHOD, _CALL, len(x) + len(y), reason, estimate=value, interval=interval, facts=known,
                       n_failed=m.n_failed + r.n_failed, wording=f"{said}; {reason}")  # fmt: skip
    p_adj = None if p is None else min(1.0, p * comparisons)
    beats = p_adj is not None and p_adj < 1 - level and value > 0
    short_of = m.n_ok < m.n or r.n_ok < r.n
    return Answer(
        method=_METHOD, call=_CALL, n=m.n + r.n, n_effective=len(x) + len(y), n_failed=m.n_failed + r.n_failed,
        estimate=value, interval=interval, effect=Effect("RI percent", value, interval), p=p, facts=known,
        status="incomplete" if short_of else "ok", code="incomplete" if short_of else "ok",
        p_adj=p_adj if comparisons > 1 else None, family_size=comparisons,
        wording=f"{said}: {_verdict(beats)}" + (f" (completed {m.n_ok}/{m.n} and {r.n_ok}/{r.n})" if short_of else ""),
    )  # fmt: skip


def beating_random(
    accuracies: Mapping[str, Arm], random_sampling: Arm, *, alpha: float = 0.05, paired_by_seed: bool = True
) -> dict[str, Answer]:
    """`relative_improvement` of every method of a table, Holm-adjusted together, with joint intervals."""
    m = max(1, len(accuracies))
    found = [
        relative_improvement(a, random_sampling, paired_by_seed=paired_by_seed, level=1 - alpha, comparisons=m)
        for a in accuracies.values()
    ]
    return {
        name: _in_family(x, alpha) for name, x in zip(accuracies, adjusted_together(found, alpha), strict=True)
    } if found else {}  # fmt: skip


def _in_family(x: Answer, alpha: float) -> Answer:
    if x.p_adj is None or x.status == "refused":
        return x
    beats = x.p_adj < alpha and (x.estimate or 0.0) > 0
    said = x.wording.replace(NO_EVIDENCE, BEATS).replace(BEATS, _verdict(beats))
    return replace(x, wording=f"{said}, adjusted p={x.p_adj:.3g} over {x.family_size}")


def _verdict(beats: bool) -> str:
    return BEATS if beats else NO_EVIDENCE


def _ratio_interval(
    x: Floats, y: Floats, matched: bool, level: float, comparisons: int
) -> tuple[Interval | None, float | None]:
    n, m = len(x), len(y)
    if min(n, m) < 2:
        return None, None
    ratio = x.mean() / y.mean()
    if matched:
        se, df = (x - ratio * y).std(ddof=1) / math.sqrt(n) / y.mean(), float(n - 1)
    else:
        vx, vy = x.var(ddof=1) / n, ratio**2 * y.var(ddof=1) / m
        if vx + vy == 0:
            return None, None
        se, df = math.sqrt(vx + vy) / y.mean(), (vx + vy) ** 2 / (vx**2 / (n - 1) + vy**2 / (m - 1))
    if not se > 1e-15 * abs(ratio):
        return None, None
    half = scipy.stats.t.ppf(1 - (1 - level) / comparisons / 2, df) * se
    p = float(2 * scipy.stats.t.sf(abs(ratio - 1) / se, df))
    low, high = (100 * (ratio + s * half - 1) for s in (-1, 1))
    return Interval(float(low), float(high), level, "delta-method t", comparisons), min(1.0, np.float64(p).item())
