"""Two strategies with independent seeds: Welch's t-interval, Brunner-Munzel or exact Mann-Whitney, A12."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from searchbench.statistics.arms import MAX_FAILED_SHARE, Arm, Better, Floats, arm, direction
from searchbench.statistics.claims import sensitivity, with_claim
from searchbench.statistics.effects import (
    MIN_N_FOR_WORDS,
    cliff_magnitude,
    superiority,
    superiority_interval,
)
from searchbench.statistics.exact import min_p_unpaired, rank_sum
from searchbench.statistics.power import detectable_d, min_per_arm
from searchbench.statistics.record import Answer, Effect, Interval, facts
from searchbench.statistics.reliability import failure_rates
from searchbench.statistics.ties import ranked
from searchbench.statistics.two_sample import brunner_munzel_columns

BRUNNER_MUNZEL_MIN_N = 10


def unpaired(
    a: Arm | ArrayLike,
    b: Arm | ArrayLike,
    *,
    better: Better | None = None,
    names: tuple[str, str] = ("a", "b"),
    alpha: float = 0.05,
    level: float | None = None,
    rope: float | None = None,
    comparisons: int = 1,
) -> Answer:
    """Compare two arms whose seeds share nothing. The estimate is mean(a) - mean(b) in raw units.

    Brunner-Munzel from 10 runs per arm, exact Mann-Whitney from 4; below, the effect and t-interval only.
    Failed runs rank worst, with a sensitivity line; infrastructure losses are left out and listed.

    Args:
        better: direction of the metric; A12 is then P(a better), else P(a larger).
        level: of the interval; 1 - alpha by default.
        rope: declared half-width of practical equivalence, raw units.
        comparisons: size of the family this test will be adjusted in.
    """
    a, b = arm(a, name=names[0], better=better), arm(b, name=names[1], better=better)
    say = better or a.better or b.better
    done_a, done_b = a.completed, b.completed
    if not (a.n - a.n_infra and b.n - b.n_infra):
        return Answer(
            method="unpaired comparison", call="", n=a.n + b.n, status="undefined", code="no_runs",
            wording="an arm has no finished run",
        )  # fmt: skip
    answer = _ranked(a, b, say, alpha, 1 - alpha if level is None else level)
    if a.n_failed or b.n_failed:
        answer = _with_sensitivity(answer, a, b, alpha)
    elif len(done_a) > 1 and len(done_b) > 1:
        answer = _degenerate(answer, done_a, done_b)
    answer = _guard(answer, a.n - a.n_infra, b.n - b.n_infra, alpha, comparisons)
    lost = [s for s, x in zip(a.seeds + b.seeds, a.statuses + b.statuses, strict=True) if x == "infra"]
    answer = with_claim(answer, a.name, b.name, better=say, alpha=alpha, rope=rope)
    if lost:
        note = f"runs lost to infrastructure, to be rerun: {lost}"
        answer = replace(answer, status="incomplete", code="infra_pending", wording=f"{answer.wording}; {note}",
                         warnings=(*answer.warnings, note))  # fmt: skip
    return answer


def _scores(a: Arm, better: Better | None) -> Floats:
    """[n, 1] raw scores for ranking, failures infinitely bad, infrastructure losses left out."""
    if a.n_failed == 0:
        return a.completed[:, None]
    losses = a.losses()[~np.isnan(a.losses())]
    return (-losses if better == "higher" else losses)[:, None]


def _ranked(a: Arm, b: Arm, better: Better | None, alpha: float, level: float) -> Answer:
    if (a.n_failed or b.n_failed) and better is None:
        direction(a, b)
    x, y = a.completed[:, None], b.completed[:, None]
    few = max(a.failed_share, b.failed_share) > MAX_FAILED_SHARE or not (len(x) and len(y))
    means = None if few else _means(x, y, level, alpha)
    answer = columns(_scores(a, better), _scores(b, better), means, better=better, level=level)[0]
    return replace(answer, n_effective=a.n_ok + b.n_ok, n_failed=a.n_failed + b.n_failed)


@dataclass(frozen=True, slots=True)
class Means:
    """Welch's difference of means by column; all but `diff` are None below two runs in an arm."""

    diff: Floats
    low: Floats | None = None
    high: Floats | None = None
    t: Floats | None = None
    df: Floats | None = None
    p: Floats | None = None
    cohen_d: Floats | None = None
    detectable: Floats | None = None
    factor: float = 1.0


def _means(x: Floats, y: Floats, level: float, alpha: float) -> Means:
    n, m = len(x), len(y)
    diff = x.mean(axis=0) - y.mean(axis=0)
    if min(n, m) < 2:
        return Means(diff)
    vx, vy = _variance(x), _variance(y)
    se2 = vx / n + vy / m
    with np.errstate(divide="ignore", invalid="ignore"):
        df = se2**2 / ((vx / n) ** 2 / (n - 1) + (vy / m) ** 2 / (m - 1))
        t = diff / np.sqrt(se2)
        d = diff / np.sqrt(((n - 1) * vx + (m - 1) * vy) / (n + m - 2))
        half = special.stdtrit(df, 0.5 + level / 2) * np.sqrt(se2)
        p = 2 * special.stdtr(df, -np.abs(t))
    multiple = detectable_d(min(n, m), paired=False, alpha=alpha) or np.nan
    factor = 1 - 3 / (4 * (n + m - 2) - 1)
    return Means(diff, diff - half, diff + half, t, df, p, d, multiple * np.sqrt((vx + vy) / 2), factor)


def _variance(x: Floats) -> Floats:
    return np.where(np.ptp(x, axis=0) == 0, 0.0, x.var(axis=0, ddof=1))


def columns(x: Floats, y: Floats, means: Means | None, *, better: Better | None, level: float = 0.95) -> list[Answer]:
    """One unworded `Answer` per column of complete scores [n, columns] and [m, columns] (±inf = ranked worst)."""
    n, m = len(x), len(y)
    # Ranks stand in for scores: an infinity among them would reach a variance.
    ranks = ranked(np.concatenate([x, y]))
    rx, ry = ranks[:n], ranks[n:]
    big = min(n, m) >= BRUNNER_MUNZEL_MIN_N
    larger = superiority(rx, ry)
    toward = larger if better in (None, "higher") else 1 - larger
    u, p_u = rank_sum(rx, ry)
    stat, p_bm = brunner_munzel_columns(rx, ry) if min(n, m) > 1 else (np.full(len(u), np.nan), p_u)
    low, high = superiority_interval(toward, n, m, level)
    out = []
    for j in range(x.shape[1]):
        leads = big and not np.isnan(stat[j])
        value, a12 = float(toward[j]), float(larger[j])
        limits = Interval(min(float(low[j]), value), max(float(high[j]), value), level, "Newcombe score")
        word = cliff_magnitude(2 * value - 1) if min(n, m) >= MIN_N_FOR_WORDS else None
        effect = Effect("A12", value, limits if min(n, m) > 1 else None, word)
        out.append(Answer(
            method="Brunner-Munzel" if leads else "Mann-Whitney U" + ("" if big else " (exact)"),
            call="scipy.stats.brunnermunzel" if leads else "scipy.stats.mannwhitneyu",
            n=n + m, wording="", estimate=None if means is None else float(means.diff[j]),
            interval=_welch_interval(means, j, level), effect=effect, p=float((p_bm if big else p_u)[j]),
            facts=(
                ("U_a", float(u[j])), ("A12", a12), ("A12_a_larger", a12), ("cliffs_delta", 2 * a12 - 1),
                ("A12_better", None if better is None else value), ("mann_whitney_p", float(p_u[j])),
                ("brunner_munzel_p", float(p_bm[j])), ("said_n", f"n={n} and {m}"), ("lean", a12 - 0.5),
                *_welch_facts(means, j),
            ),
        ))  # fmt: skip
    return out


def _welch_interval(means: Means | None, j: int, level: float) -> Interval | None:
    if means is None or means.low is None or means.high is None or not np.isfinite(means.low[j]):
        return None
    return Interval(float(means.low[j]), float(means.high[j]), level, "Welch t")


def _welch_facts(means: Means | None, j: int) -> tuple[tuple[str, float], ...]:
    if means is None:
        return ()
    known = (("mean_diff", float(means.diff[j])),)
    if means.t is None or means.low is None or not np.isfinite(means.low[j]):
        return known
    named = {
        "welch_t": means.t, "welch_df": means.df, "welch_p": means.p, "cohen_d": means.cohen_d,
        "detectable": means.detectable,
    }  # fmt: skip
    g = ("hedges_g", means.factor * float(means.cohen_d[j])) if means.cohen_d is not None else ("hedges_g", np.nan)
    return (*known, *((k, float(v[j])) for k, v in named.items() if v is not None), g)


def unpaired_columns(
    a: Floats, b: Floats, *, better: Better, alpha: float, level: float, comparisons: int
) -> list[Answer]:
    """`unpaired` on complete arms, one comparison per column; a, b [n, columns], [m, columns], unworded."""
    found = columns(a, b, _means(a, b, level, alpha), better=better, level=level)
    return [_guard(_degenerate(x, a[:, j], b[:, j]), len(a), len(b), alpha, comparisons) for j, x in enumerate(found)]


def _with_sensitivity(answer: Answer, a: Arm, b: Arm, alpha: float) -> Answer:
    x, y = a.completed, b.completed
    p_done, a12_done = 1.0, 0.5
    if len(x) and len(y):
        u, p = rank_sum(x[:, None], y[:, None])
        big = min(len(x), len(y)) >= BRUNNER_MUNZEL_MIN_N
        p_done = float((brunner_munzel_columns(x[:, None], y[:, None])[1] if big else p)[0])
        a12_done = float(u[0]) / (len(x) * len(y))
    same_side = (a12_done - 0.5) * answer["lean"] > 0
    p_worst = 1.0 if answer.p is None else answer.p
    share = max(a.failed_share, b.failed_share)
    refusal = f"{100 * share:.0f} % of an arm failed: means are not compared" if share > MAX_FAILED_SHARE else ""
    warnings = (*answer.warnings, refusal) if refusal else answer.warnings
    return replace(
        answer, method=f"{answer.method}, failures ranked worst", warnings=warnings, refusal_reason=refusal,
        code="too_many_failures" if refusal else "ok",
        facts=answer.facts + facts(
            said_n=f"completed {a.name} {a.n_ok}/{a.n}, {b.name} {b.n_ok}/{b.n}",
            p_worst_rank=answer.p, p_completed_only=p_done, A12_completed_only=a12_done,
            failure_p=failure_rates(a, b).p, same_side=same_side,
            sensitivity=sensitivity(p_worst, p_done, same_side, alpha),
        ),
    )  # fmt: skip


def _degenerate(answer: Answer, x: Floats, y: Floats) -> Answer:
    if np.ptp(x) > 0 or np.ptp(y) > 0:
        if len(x) == len(y) and np.array_equal(np.sort(x), np.sort(y)):
            note = "identical score vectors: check for a duplicated cache"
            return replace(answer, p=1.0, status="degenerate", code="identical", warnings=(note,),
                           wording="the two arms hold the same scores: no difference; " + note)  # fmt: skip
        return answer
    if x[0] == y[0]:
        return replace(answer, p=1.0, status="degenerate", code="identical",
                       wording="every score of both arms is the same; duplicated runs?")  # fmt: skip
    return replace(
        answer, p=None, status="degenerate", code="degenerate_zero_variance", interval=None,
        wording=f"neither arm varies; they differ by {x[0] - y[0]:.4g}, a deterministic offset no test can weigh",
    )  # fmt: skip


def _guard(answer: Answer, n: int, m: int, alpha: float, comparisons: int) -> Answer:
    least = min_p_unpaired(n, m)
    possible = least * comparisons <= alpha and min(n, m) >= min(4, min_per_arm(alpha))
    if possible or answer.status == "degenerate":
        return answer
    need = min_per_arm(alpha, comparisons)
    if least <= alpha and min(n, m) >= 4:
        reason = (
            f"{n} and {m} seeds cannot survive Holm over {comparisons} comparisons at {alpha:g} (smallest adjusted "
            f"p {min(1.0, least * comparisons):.3g}); {max(need - min(n, m), 1)} more per arm are needed"
        )
        return replace(answer, status="refused", code="insufficient_n_for_family", refusal_reason=reason,
                       wording=reason)  # fmt: skip
    reason = (
        f"{n} and {m} unpaired seeds cannot support a test at {alpha:g} (smallest exact p {least:.3g}); "
        f"{max(need - min(n, m), 1)} more per arm are needed"
    )
    return replace(
        answer, p=1.0 if least == 1.0 else None, status="refused", code="insufficient_n", refusal_reason=reason,
        wording=reason, facts=answer.facts + facts(min_p=least, more_seeds_needed=max(need - min(n, m), 1)),
    )  # fmt: skip
