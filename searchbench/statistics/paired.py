"""Two strategies, paired by seed: sign-flip permutation, exact Wilcoxon, paired t-interval.

Whether runs are paired is decided before running: only if the seed drives shared randomness (split, initial
designs, evaluation noise). Then a pair is one seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import (
    MAX_FAILED_SHARE,
    Arm,
    Better,
    Floats,
    RunStatus,
    arm,
    direction,
)
from searchbench.statistics.claims import sensitivity, with_claim
from searchbench.statistics.effects import hodges_lehmann, rank_biserial, standardised
from searchbench.statistics.exact import DECIMALS, min_p_paired, sign_flip, signed_rank, signed_rank_demsar
from searchbench.statistics.power import detectable_d, min_pairs
from searchbench.statistics.record import Answer, Effect, Interval, facts, refused
from searchbench.statistics.reliability import failure_rates

_FLIP, _FLIP_CALL = "sign-flip permutation of the mean difference", "scipy.stats.permutation_test"
_RANK, _RANK_CALL = "Wilcoxon signed-rank (exact)", "scipy.stats.wilcoxon"


def pair_seeds(a: Sequence[int], b: Sequence[int]) -> Answer:
    """Whether two seed lists can be paired, and which seeds are missing from which.

    A list contained in the other is an arm with missing runs; lists that each hold a seed the other lacks were
    planned differently, and pairing is refused.
    """
    common = [s for s in a if s in set(b)]
    missing_b, missing_a = [s for s in a if s not in set(b)], [s for s in b if s not in set(a)]
    known = facts(common_seeds=common, missing_a=missing_a, missing_b=missing_b)
    method, call, n = "pairing by seed", "set intersection", len(a) + len(missing_a)
    if (missing_a and missing_b) or not common:
        return refused(
            method, call, n, f"the arms ran different seeds (only a: {missing_b}, only b: {missing_a}); compare "
            "them unpaired, or run the same seeds", code="seeds_differ", facts=known,
        )  # fmt: skip
    if missing_a or missing_b:
        who, which = ("a", missing_a) if missing_a else ("b", missing_b)
        return Answer(
            method=method, call=call, n=n, n_effective=len(common), status="incomplete", code="incomplete_pairs",
            wording=f"paired on {len(common)} of {n} seeds; {who} is missing {which}", facts=known,
        )  # fmt: skip
    return Answer(method=method, call=call, n=n, wording=f"paired by seed, {n} pairs", facts=known)


@dataclass(frozen=True, slots=True)
class Differences:
    """Statistics of complete paired differences, one per column.

    Attributes:
        d: differences a - b [n, columns], rounded.
        mean, low, high: mean difference and its t-interval, unrounded data.
        t, t_p: the paired t-test behind the interval; it never leads. NaN and 1 where nothing varies.
        p, w: Wilcoxon's p and W.
        flip: sign-flip p, None where it was not asked for.
    """

    d: Floats
    mean: Floats
    low: Floats
    high: Floats
    t: Floats
    t_p: Floats
    w: Floats
    p: Floats
    flip: Floats | None
    flips: int


def differences(a: Floats, b: Floats, *, level: float, flip: bool, seed: int) -> Differences:
    """`Differences` of complete score matrices [n, columns], n >= 2."""
    raw = a - b
    d = np.round(raw, DECIMALS)
    mean, half = raw.mean(axis=0), _half_width(raw, level)
    w, p = signed_rank(d)
    flips, count = sign_flip(d, seed=seed) if flip else (None, 0)
    se = half / stats.t.ppf(0.5 + level / 2, len(d) - 1)
    t = np.divide(mean, se, out=np.full_like(mean, np.nan), where=np.ptp(d, axis=0) > 0)
    t_p = np.nan_to_num(2 * stats.t.sf(np.abs(t), len(d) - 1), nan=1.0)
    return Differences(d, mean, mean - half, mean + half, t, t_p, w, p, flips, count)


def _half_width(d: Floats, level: float) -> Floats:
    n = len(d)
    bound = stats.t.ppf(0.5 + level / 2, n - 1)
    return np.asarray(bound * d.std(axis=0, ddof=1) / np.sqrt(n), dtype=np.float64)


def answers(found: Differences, *, level: float, alpha: float) -> list[Answer]:
    """One unworded `Answer` per column; the sign-flip p leads where it was computed, else Wilcoxon's."""
    n = len(found.d)
    rb, dz = rank_biserial(found.d), standardised(found.d)
    nonzero, spread = (found.d != 0).sum(axis=0), found.d.std(axis=0, ddof=1)
    multiple = detectable_d(n, paired=True, alpha=alpha)
    constant = np.ptp(found.d, axis=0) == 0
    out = []
    for j in range(found.d.shape[1]):
        if constant[j]:
            out.append(_constant(found, j))
            continue
        leads = found.flip is not None
        out.append(
            Answer(
                method=_FLIP if leads else _RANK,
                call=_FLIP_CALL if leads else _RANK_CALL,
                n=n,
                wording="",
                n_effective=int(nonzero[j]),
                estimate=float(found.mean[j]),
                interval=Interval(float(found.low[j]), float(found.high[j]), level, "paired t"),
                effect=Effect("rank-biserial", float(rb[j])),
                p=float(found.p[j] if found.flip is None else found.flip[j]),
                facts=(
                    ("W", float(found.w[j])),
                    ("wilcoxon_p", float(found.p[j])),
                    ("signflip_p", None if found.flip is None else float(found.flip[j])),
                    ("n_perm", found.flips),
                    ("rank_biserial", float(rb[j])),
                    ("dz", float(dz[j])),
                    ("mean_diff", float(found.mean[j])),
                    ("t", float(found.t[j])),
                    ("df", n - 1),
                    ("t_p", float(found.t_p[j])),
                    ("detectable", None if multiple is None else float(multiple * spread[j])),
                    ("said_n", f"{n} pairs"),
                ),
            )
        )
    return out


def _constant(found: Differences, j: int) -> Answer:
    n, offset = len(found.d), float(found.mean[j])
    if found.d[0, j] == 0:
        return Answer(
            method="comparison of identical vectors", call="numpy.ptp", n=n, n_effective=0, estimate=0.0,
            effect=Effect("A12", 0.5), p=1.0, status="degenerate", code="identical",
            wording=f"the {n} pairs are identical: no difference, and a duplicated or cached run is likely",
            facts=facts(mean_diff=0.0, A12=0.5), warnings=("identical score vectors: check for a duplicated cache",),
        )  # fmt: skip
    return Answer(
        method="constant difference", call="numpy.ptp", n=n, estimate=offset, status="degenerate",
        code="degenerate_zero_variance", facts=facts(mean_diff=offset),
        wording=f"every pair differs by exactly {offset:.4g}: a deterministic offset, not evidence a test can weigh",
    )  # fmt: skip


def paired(
    a: Arm | ArrayLike,
    b: Arm | ArrayLike,
    *,
    better: Better | None = None,
    names: tuple[str, str] = ("a", "b"),
    alpha: float = 0.05,
    level: float = 0.95,
    rope: float | None = None,
    comparisons: int = 1,
    seed: int = 0,
) -> Answer:
    """Compare two arms that ran the same seeds. The estimate is mean(a - b) in raw units.

    Below 6 pairs no exact test can reach 0.05: estimate and t-interval only. The strategies' failures count as
    worst rank (Wilcoxon then leads), with a sensitivity line; pairs lost to infrastructure are listed and left out.

    Args:
        better: direction of the metric; without it no arm is called better.
        rope: declared half-width of practical equivalence, raw units.
        comparisons: size of the family this test will be adjusted in (for the minimum number of pairs).
        seed: declared seed of random sign flips beyond 16 pairs.

    Raises:
        StatisticsError: a failed run must be ranked worst but no direction is known.
    """
    a, b = arm(a, name=names[0], better=better), arm(b, name=names[1], better=better)
    pairing = pair_seeds(a.seeds, b.seeds)
    if pairing.status == "refused":
        return pairing
    a, b, lost = _align(a, b, pairing)
    say = better or a.better or b.better
    whole = a.n_ok == a.n and b.n_ok == b.n
    if a.n < 2:
        answer = _too_few(a, b, level, alpha, comparisons)
    elif whole:
        answer = _complete(a, b, level=level, alpha=alpha, comparisons=comparisons, seed=seed)
    else:
        answer = _worst_rank(a, b, level=level, alpha=alpha, comparisons=comparisons)
    answer = with_claim(answer, a.name, b.name, better=say, alpha=alpha, rope=rope)
    if lost or pairing.status == "incomplete":
        answer = _as_incomplete(answer, lost, pairing)
    return answer


def _align(a: Arm, b: Arm, pairing: Answer) -> tuple[Arm, Arm, list[int]]:
    seeds = list(a.seeds) + list(pairing["missing_a"])
    a, b = a.at(seeds), b.at(seeds)
    pairs = zip(seeds, a.statuses, b.statuses, strict=True)
    lost = [s for s, x, y in pairs if RunStatus.INFRA in (x, y)]
    kept = [s for s in seeds if s not in set(lost)]
    return a.at(kept), b.at(kept), lost


def _complete(a: Arm, b: Arm, *, level: float, alpha: float, comparisons: int, seed: int) -> Answer:
    x, y = a.values[:, None], b.values[:, None]
    d = np.round(x - y, DECIMALS)
    if np.ptp(d) > 0 and a.n < min_pairs(alpha):
        return _too_few(a, b, level, alpha, comparisons)
    found = differences(x, y, level=level, flip=True, seed=seed)
    answer = answers(found, level=level, alpha=alpha)[0]
    if answer.status == "degenerate":
        return answer
    r = _correlation(x[:, 0], y[:, 0])
    answer = answer.with_facts(
        pairing_correlation=r,
        said_n=f"{a.n} pairs by seed" + ("" if r is None else f", r={r:.2f}"),
        hodges_lehmann=hodges_lehmann(d[:, 0]),
        A12=float(np.mean(d > 0) + np.mean(d == 0) / 2),
        diffs=d[:, 0],
        std_diff=float((x - y).std(ddof=1)),
    )
    return below_family_minimum(answer, min_pairs(alpha, comparisons), comparisons, alpha)


def below_family_minimum(answer: Answer, needed: int, comparisons: int, alpha: float) -> Answer:
    """Refuse a badge that no data could win: at this n even the smallest p does not survive Holm."""
    if comparisons == 1 or answer.n >= needed or answer.status in ("degenerate", "undefined"):
        return answer
    least = min_p_paired(answer.n) * comparisons
    reason = (
        f"{answer.n} paired seeds cannot survive Holm over {comparisons} comparisons at {alpha:g} (smallest "
        f"adjusted p {min(1.0, least):.3g}); {needed - answer.n} more per arm are needed"
    )
    return replace(answer, status="refused", code="insufficient_n_for_family", refusal_reason=reason, wording=reason)


def _too_few(a: Arm, b: Arm, level: float, alpha: float, comparisons: int) -> Answer:
    n, need = a.n, min_pairs(alpha, comparisons)
    d = (a.values - b.values)[np.isfinite(a.values - b.values)]
    reason = (
        f"{n} paired seed{'s' if n != 1 else ''} cannot reach p < {alpha:g} with an exact test (minimum "
        f"{min_p_paired(n):g}); {need - n} more per arm are needed"
    )
    mean = float(d.mean()) if d.size else None
    interval, known = None, facts(min_p=min_p_paired(n), more_seeds_needed=need - n, mean_diff=mean)
    if d.size > 1 and np.ptp(d) > 0:
        half = float(_half_width(d, level))
        interval = Interval(float(d.mean()) - half, float(d.mean()) + half, level, "paired t")
        known += facts(dz=float(d.mean() / d.std(ddof=1)), pairing_correlation=_correlation(a.values, b.values))
    text = reason
    if mean is not None:
        tail = f" ({100 * level:g}% CI {interval})" if interval is not None else ""
        text = f"{a.name} - {b.name} = {mean:.4g}{tail}; {reason}"
    return refused(
        "estimate and paired t-interval; test refused", "statsmodels DescrStatsW.tconfint_mean", n, reason,
        n_effective=int(d.size), n_failed=a.n_failed + b.n_failed, estimate=mean, interval=interval,
        p=1.0 if n == 1 and mean is not None else None, facts=known, wording=text,
    )  # fmt: skip


def _worst_rank(a: Arm, b: Arm, *, level: float, alpha: float, comparisons: int) -> Answer:
    better = direction(a, b)
    d = worst_rank_differences(a.losses(), b.losses())
    d = -d if better == "higher" else d
    both = np.isfinite(a.values) & np.isfinite(b.values)
    done = (a.values - b.values)[both]
    share = max(a.failed_share, b.failed_share)
    known = facts(
        lost_a=a.n_failed, lost_b=b.n_failed, completed_pairs=done.size, said_n=_said_completed(a, b),
        failure_p=failure_rates(a, b).p,
    )  # fmt: skip
    mean, interval = _completed_mean(done, level, share)
    if a.n < min_pairs(alpha):
        answer = _too_few(a, b, level, alpha, comparisons)
        return replace(answer, estimate=mean, interval=interval, facts=answer.facts + known)
    w, p = signed_rank(d[:, None])
    alone = np.round(done, DECIMALS)[:, None]
    p_done = float(signed_rank(alone)[1][0]) if done.size else 1.0
    rb = float(rank_biserial(d[:, None])[0])
    same_side = bool(done.size and np.sign(alone.mean()) == np.sign(rb))
    refusal = f"{100 * share:.0f} % of an arm failed: means are not compared" if share > MAX_FAILED_SHARE else ""
    warnings = (refusal,) if refusal else ()
    return Answer(
        method="Wilcoxon signed-rank, failures ranked worst", call=_RANK_CALL, n=a.n,
        n_effective=int((d != 0).sum()), n_failed=a.n_failed + b.n_failed, estimate=mean, interval=interval,
        effect=Effect("rank-biserial", rb), p=float(p[0]), warnings=warnings, refusal_reason=refusal,
        code="too_many_failures" if refusal else "ok",
        facts=known + facts(W=w[0], p_worst_rank=p[0], p_completed_only=p_done, lean=rb, rank_biserial=rb,
                            same_side=same_side,
            sensitivity=sensitivity(float(p[0]), p_done, same_side, alpha)),
    wording="")  # fmt: skip


def worst_rank_differences(a: Floats, b: Floats) -> Floats:
    """Differences of losses (lower is better, +inf = failed) for ranking: a lone failure outranks every finite
    difference, failures tie with each other, and two failures in a pair tie at zero."""
    both = np.isfinite(a) & np.isfinite(b)
    d = np.zeros(len(a))
    d[both] = np.round(a[both] - b[both], DECIMALS)
    beyond = np.abs(d).max(initial=0.0) + 1.0
    d[np.isposinf(a) & np.isfinite(b)] = beyond
    d[np.isfinite(a) & np.isposinf(b)] = -beyond
    return d


def _completed_mean(done: Floats, level: float, share: float) -> tuple[float | None, Interval | None]:
    if share > MAX_FAILED_SHARE or done.size == 0:
        return None, None
    mean = float(done.mean())
    if done.size < 2 or np.ptp(done) == 0:
        return mean, None
    half = float(_half_width(done, level))
    return mean, Interval(mean - half, mean + half, level, "paired t, completed pairs")


def _as_incomplete(answer: Answer, lost: list[int], pairing: Answer) -> Answer:
    note = f"pairs lost to infrastructure, to be rerun: {lost}" if lost else pairing.wording
    code = "infra_pending" if lost and pairing.status != "incomplete" else "incomplete_pairs"
    return replace(
        answer, status="incomplete", code=code, facts=answer.facts + pairing.facts + facts(infra_seeds=lost),
        warnings=(*answer.warnings, note), wording=f"{answer.wording}; {note}",
    )  # fmt: skip


def _said_completed(a: Arm, b: Arm) -> str:
    return f"completed {a.name} {a.n_ok}/{a.n}, {b.name} {b.n_ok}/{b.n}"


def _correlation(x: Floats, y: Floats) -> float | None:
    ok = np.isfinite(x) & np.isfinite(y)
    x, y = x[ok], y[ok]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def signed_rank_normal(a: ArrayLike, b: ArrayLike) -> Answer:
    """Wilcoxon as Demsar (2006) computes it over data sets: zeros split, normal approximation."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise StatisticsError("error_nan: scores over data sets must be finite; rank failures worst first")
    d = np.round(x - y, DECIMALS)
    if not d.any():
        return _constant(differences(x[:, None], y[:, None], level=0.95, flip=False, seed=0), 0)
    t, z, p = signed_rank_demsar(d)
    return Answer(
        method="Wilcoxon signed-rank, zeros split, normal approximation", call=_RANK_CALL, n=len(d),
        estimate=float(d.mean()), effect=Effect("rank-biserial", float(rank_biserial(d[:, None])[0])), p=p,
        wording=f"T={t:g}, z={z:.3f}, p={p:.3g} over {len(d)} data sets", facts=facts(T=t, z=z),
    )  # fmt: skip
