"""Two strategies, paired by seed: the estimand's exact test, its inversion as interval, failures looked at twice.

Whether runs are paired is decided before running: only if the seed drives shared randomness (split, initial
designs, evaluation noise). Then a pair is one seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

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
from searchbench.statistics.claims import said_interval, sensitivity, with_claim
from searchbench.statistics.effects import (
    cohen_d_av,
    hedges_factor,
    hodges_lehmann,
    rank_biserial,
    standardised,
)
from searchbench.statistics.estimand import Estimand, EstimandName, opposed
from searchbench.statistics.estimand import estimand as find_estimand
from searchbench.statistics.exact import RESAMPLES, signed_rank, signed_rank_demsar
from searchbench.statistics.power import min_pairs
from searchbench.statistics.record import Answer, Effect, Interval, facts, freeze, refused
from searchbench.statistics.reliability import failure_rates
from searchbench.statistics.ties import resolution, settled

_RANK_CALL = "scipy.stats.wilcoxon"
NORMAL_T = "paired t, assumes normal differences"


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
class Question:
    """What is asked of paired differences.

    Attributes:
        estimand: what of them is tested, estimated and ranked by.
        alpha: error allowed, over the whole family.
        level: nominal level of intervals; they hold jointly over the family.
        comparisons: size of the family.
        rope: declared half-width of practical equivalence, raw units.
        seed: declared seed of random flips.
        intervals: whether intervals are asked for beside the tests.
    """

    estimand: Estimand
    alpha: float = 0.05
    level: float = 0.95
    comparisons: int = 1
    rope: float | None = None
    seed: int = 0
    intervals: bool = True

    @property
    def resamples(self) -> int:
        """Random flips, enough for the smallest step of Holm's in a large family."""
        return RESAMPLES if self.comparisons <= 100 else 10 * RESAMPLES + 9

    @property
    def tail(self) -> float:
        """What one interval may miss so that all hold jointly (Bonferroni)."""
        return (1 - self.level) / self.comparisons

    @property
    def needed(self) -> int:
        """Fewest pairs with which one test alone could ever reject."""
        return min_pairs(self.alpha, least_p=self.estimand.least_p)

    @property
    def needed_in_family(self) -> int:
        """Fewest pairs with which one of the family could."""
        return min_pairs(self.alpha, self.comparisons, least_p=self.estimand.least_p)


MAX_INTERVALS = 500
"""Families of more comparisons get p-values and ranks, but no joint intervals: nobody reads thousands."""


def differences(a: Floats, b: Floats) -> Floats:
    """a - b [n, columns], float noise settled relative to the scores."""
    return settled(a - b, resolution(a, b))


def answers(d: Floats, asked: Question) -> list[Answer]:
    """One unworded `Answer` per column of settled differences [n, columns], n >= 2."""
    n = len(d)
    led = asked.estimand
    found = led.test(d, seed=asked.seed, resamples=asked.resamples)
    beside = _Beside.of(d, asked.level)
    constant = np.ptp(d, axis=0) == 0
    with_intervals = asked.intervals and asked.comparisons <= MAX_INTERVALS
    nonzero = (d != 0).sum(axis=0)
    out = []
    for j in range(d.shape[1]):
        if constant[j]:
            out.append(_constant(d[:, j]))
            continue
        out.append(
            Answer(
                method=led.method,
                call=led.call,
                n=n,
                wording="",
                n_effective=int(nonzero[j]),
                estimate=float(found.estimate[j]),
                interval=interval_of(d[:, j], asked) if with_intervals else None,
                effect=Effect(led.effect, float(found.effect[j])),
                p=float(found.p[j]),
                facts=(
                    ("estimand", led.name),
                    ("lean", float(found.lean[j])),
                    ("n_perm", found.flips),
                    ("diffs", freeze(d[:, j])),
                    ("rope", asked.rope),
                    ("comparisons", asked.comparisons),
                    ("said_n", f"{n} pairs"),
                    *beside.facts(j),
                ),
            )
        )
    return out


@dataclass(frozen=True, slots=True)
class _Beside:
    """What other tests and effects say of the same differences, by column; none of it leads."""

    d: Floats
    t: Floats
    t_p: Floats
    w: Floats
    w_p: Floats
    rb: Floats
    dz: Floats
    t_bound: float

    @classmethod
    def of(cls, d: Floats, level: float) -> _Beside:
        dz = standardised(d)
        t = dz * np.sqrt(len(d))
        t_p = np.nan_to_num(2 * special.stdtr(len(d) - 1, -np.abs(t)), nan=1.0)
        return cls(
            d, t, t_p, *signed_rank(d), rank_biserial(d), dz, float(special.stdtrit(len(d) - 1, 0.5 + level / 2))
        )

    def facts(self, j: int) -> tuple[tuple[str, Any], ...]:
        n = len(self.d)
        mean, sd = self.d[:, j].mean(), self.d[:, j].std(ddof=1)
        half = self.t_bound * sd / np.sqrt(n)
        return (
            ("W", float(self.w[j])), ("wilcoxon_p", float(self.w_p[j])), ("rank_biserial", float(self.rb[j])),
            ("dz", float(self.dz[j])), ("hedges_gz", float(self.dz[j]) * hedges_factor(n - 1)),
            ("mean_diff", float(mean)), ("sd", float(sd)),
            ("t", float(self.t[j])), ("df", n - 1), ("t_p", float(self.t_p[j])),
            ("t_interval", (float(mean - half), float(mean + half))),
        )  # fmt: skip


def interval_of(d: Floats, asked: Question, tail: float | None = None) -> Interval | None:
    """What the estimand's test does not reject, jointly over the family; where no number of these differences could be
    rejected, the t-interval, which assumes that they are normal and says so."""
    tail = asked.tail if tail is None else tail
    low, high = asked.estimand.interval(d, alpha=tail, seed=asked.seed, resamples=asked.resamples)
    if np.isfinite(low) and np.isfinite(high):
        return Interval(low, high, asked.level, asked.estimand.inversion, asked.comparisons)
    return t_interval(d, asked) if asked.estimand.name == "mean" else None


def t_interval(d: Floats, asked: Question) -> Interval | None:
    """Paired t-interval of the mean of differences [n]; None where nothing varies."""
    if len(d) < 2 or np.ptp(d) == 0:
        return None
    half = float(special.stdtrit(len(d) - 1, 1 - asked.tail / 2) * d.std(ddof=1) / np.sqrt(len(d)))
    mean = float(d.mean())
    return Interval(mean - half, mean + half, asked.level, NORMAL_T, asked.comparisons)


def _constant(d: Floats) -> Answer:
    n, offset = len(d), float(d.mean())
    if d[0] == 0:
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
    level: float | None = None,
    rope: float | None = None,
    comparisons: int = 1,
    seed: int = 0,
    estimand: EstimandName | Estimand = "mean",
) -> Answer:
    """Compare two arms that ran the same seeds. The estimate is that of a - b in raw units.

    Below 6 pairs no exact test can reach 0.05: estimate and t-interval only. The strategies' failures are looked at
    twice, ranked worst (Wilcoxon then leads) and left out; where the two disagree there is no claim. Pairs lost to
    infrastructure are listed and left out.

    Args:
        better: direction of the metric; without it no arm is called better.
        level: of the interval; 1 - alpha by default.
        rope: declared half-width of practical equivalence, raw units.
        comparisons: size of the family this test will be adjusted in; the interval holds jointly over it.
        seed: declared seed of random sign flips beyond 16 pairs.
        estimand: what of the differences is tested and estimated: "mean", "median", "iqm" or "rank".

    Raises:
        StatisticsError: a failed run must be ranked worst but no direction is known, or there is no such estimand.
    """
    a, b = arm(a, name=names[0], better=better), arm(b, name=names[1], better=better)
    asked = Question(find_estimand(estimand), alpha, 1 - alpha if level is None else level, comparisons, rope, seed)
    answer = compared(a, b, asked)
    if answer.code == "seeds_differ":
        return answer
    return with_claim(answer, a.name, b.name, better=better or a.better or b.better, alpha=alpha, rope=rope)


def compared(a: Arm, b: Arm, asked: Question) -> Answer:
    """`paired`, not worded as a claim yet."""
    pairing = pair_seeds(a.seeds, b.seeds)
    if pairing.status == "refused":
        return pairing
    a, b, lost = _align(a, b, pairing)
    if a.n < 2:
        answer = _too_few(a, b, asked)
    elif a.n_ok == a.n and b.n_ok == b.n:
        answer = _complete(a, b, asked)
    else:
        answer = _worst_rank(a, b, asked)
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


def _complete(a: Arm, b: Arm, asked: Question) -> Answer:
    x, y = a.values[:, None], b.values[:, None]
    d = differences(x, y)[:, 0]
    if np.ptp(d) > 0 and a.n < asked.needed:
        return _too_few(a, b, asked)
    answer = answers(d[:, None], asked)[0]
    if answer.status == "degenerate":
        return answer
    r = _correlation(x[:, 0], y[:, 0])
    answer = answer.with_facts(
        pairing_correlation=r,
        said_n=f"{a.n} pairs by seed" + ("" if r is None else f", r={r:.2f}"),
        hodges_lehmann=hodges_lehmann(d),
        A12=float(np.mean(d > 0) + np.mean(d == 0) / 2),
        cohen_d_av=cohen_d_av(x[:, 0], y[:, 0]),
        std_diff=float(d.std(ddof=1)),
        opposed=opposed(asked.estimand, d, asked.alpha),
    )
    return below_family_minimum(answer, asked)


def below_family_minimum(answer: Answer, asked: Question) -> Answer:
    """Refuse a badge that no data could win: at this n even the smallest p does not survive Holm."""
    needed, m = asked.needed_in_family, asked.comparisons
    if m == 1 or answer.n >= needed or answer.status in ("degenerate", "undefined"):
        return answer
    least = asked.estimand.least_p(answer.n) * m
    reason = (
        f"{answer.n} paired seeds cannot survive Holm over {m} comparisons at {asked.alpha:g} (smallest "
        f"adjusted p {min(1.0, least):.3g}); {needed - answer.n} more per arm are needed"
    )
    return replace(answer, status="refused", code="insufficient_n_for_family", refusal_reason=reason, wording=reason)


def _too_few(a: Arm, b: Arm, asked: Question) -> Answer:
    n, need = a.n, asked.needed_in_family
    d = (a.values - b.values)[np.isfinite(a.values - b.values)]
    least = asked.estimand.least_p(n)
    reason = (
        f"{n} paired seed{'s' if n != 1 else ''} cannot reach p < {asked.alpha:g} with an exact test (minimum "
        f"{least:g}); {need - n} more per arm are needed"
    )
    mean = float(d.mean()) if d.size else None
    interval, known = None, facts(min_p=least, more_seeds_needed=need - n, mean_diff=mean)
    if d.size > 1 and np.ptp(d) > 0:
        interval = t_interval(d, asked)
        known += facts(dz=float(d.mean() / d.std(ddof=1)), pairing_correlation=_correlation(a.values, b.values))
    text = reason
    if mean is not None:
        tail = f" ({said_interval(interval)}, assumes normal differences)" if interval is not None else ""
        text = f"{a.name} - {b.name} = {mean:.4g}{tail}; {reason}"
    return refused(
        "estimate and paired t-interval; test refused", "statsmodels DescrStatsW.tconfint_mean", n, reason,
        n_effective=int(d.size), n_failed=a.n_failed + b.n_failed, estimate=mean, interval=interval,
        p=1.0 if n == 1 and mean is not None else None, facts=known, wording=text,
    )  # fmt: skip


def _worst_rank(a: Arm, b: Arm, asked: Question) -> Answer:
    sign = -1.0 if direction(a, b) == "higher" else 1.0
    losses = np.stack([a.losses(), b.losses()])
    share = max(a.failed_share, b.failed_share)
    answer = twice(sign * losses, np.array([1.0, -1.0]), asked, share=share, sign=sign)
    known = facts(
        lost_a=a.n_failed, lost_b=b.n_failed, said_n=_said_completed(a, b), failure_p=failure_rates(a, b).p,
    )  # fmt: skip
    if a.n < asked.needed:
        few = _too_few(a, b, asked)
        return replace(few, estimate=answer.estimate, interval=answer.interval, facts=few.facts + known)
    answer = replace(answer, n_failed=a.n_failed + b.n_failed, facts=answer.facts + known)
    return below_family_minimum(answer, asked)


def twice(scores: Floats, weights: Floats, asked: Question, *, share: float, sign: float = 1.0) -> Answer:
    """One contrast of cells with failed runs, tested with failures ranked worst and without them, unworded.

    The one failure policy, of two arms (weights 1, -1) and of factorial contrasts alike: the signed-rank test of
    contrasts in which a failure outranks every value, beside the estimand's test of complete seeds.

    Args:
        scores: [cells, n]; sign * inf where a run failed.
        weights: of each cell, [cells].
        share: largest share of failed runs in a cell; above 20 % the estimate is withheld.
        sign: +1 where lower is better, -1 where higher is.
    """
    led = asked.estimand
    d = worst_contrasts(scores, weights, sign=sign)[:, None]
    whole = np.isfinite(scores).all(axis=0)
    done = contrasts(scores[:, whole], weights)
    (w,), (p,) = signed_rank(d)
    rb = float(rank_biserial(d)[0])
    p_done, lean, estimate = 1.0, 0.0, None
    if done.size:
        found = led.test(done[:, None], seed=asked.seed, resamples=asked.resamples)
        p_done, lean, estimate = float(found.p[0]), float(found.lean[0]), float(found.estimate[0])
    few = share > MAX_FAILED_SHARE or not done.size
    refusal = f"{100 * share:.0f} % of an arm failed: means are not compared" if share > MAX_FAILED_SHARE else ""
    interval = None if few or done.size < 2 or np.ptp(done) == 0 else interval_of(done, asked)
    return Answer(
        method="Wilcoxon signed-rank, failures ranked worst", call=_RANK_CALL, n=scores.shape[1],
        n_effective=int((d != 0).sum()), estimate=None if few else estimate, interval=interval,
        effect=Effect("rank-biserial", rb), p=float(p), warnings=(refusal,) if refusal else (), refusal_reason=refusal,
        code="too_many_failures" if refusal else "ok", wording="",
        facts=facts(
            estimand=led.name, W=w, p_worst_rank=p, p_completed_only=p_done, lean=rb, rank_biserial=rb, rope=asked.rope,
            completed_pairs=done.size, same_side=bool(lean * rb > 0),
            sensitivity=sensitivity(float(p), p_done, bool(lean * rb > 0), asked.alpha),
        ),
    )  # fmt: skip


def contrasts(scores: Floats, weights: Floats) -> Floats:
    """Weighted sum over cells of finite scores [cells, n] -> [n], float noise settled."""
    if not scores.shape[1]:
        return np.empty(0)
    least = resolution(scores.reshape(-1, 1)) * np.abs(weights).sum()
    return np.asarray(settled((weights @ scores)[:, None], least)[:, 0], dtype=np.float64)


def worst_contrasts(scores: Floats, weights: Floats, *, sign: float) -> Floats:
    """Contrasts [n] for ranking: one with a failure (sign * inf) in it outranks every finite one, towards the side its
    failed cells weigh to; failures tie with each other, and those that weigh against each other alike tie at zero."""
    failed = ~np.isfinite(scores)
    whole = ~failed.any(axis=0)
    d = np.zeros(scores.shape[1])
    d[whole] = contrasts(scores[:, whole], weights)
    beyond = 3 * np.abs(d).max(initial=0.0) or 1.0
    weight = weights @ failed
    d[~whole] = sign * beyond * np.sign(np.where(np.abs(weight) > 1e-9, weight, 0.0))[~whole]
    return d


def _as_incomplete(answer: Answer, lost: list[int], pairing: Answer) -> Answer:
    note = f"pairs lost to infrastructure, to be rerun: {lost}" if lost else pairing.wording
    code = "infra_pending" if lost and pairing.status != "incomplete" else "incomplete_pairs"
    return replace(
        answer, status="incomplete", code=code, facts=answer.facts + pairing.facts + facts(infra_seeds=lost),
        warnings=(*answer.warnings, note), wording=f"{answer.wording}; {note}".removeprefix("; "),
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
    d = differences(x[:, None], y[:, None])[:, 0]
    if not d.any():
        return _constant(d)
    t, z, p = signed_rank_demsar(d)
    return Answer(
        method="Wilcoxon signed-rank, zeros split, normal approximation", call=_RANK_CALL, n=len(d),
        estimate=float(d.mean()), effect=Effect("rank-biserial", float(rank_biserial(d[:, None])[0])), p=p,
        wording=f"T={t:g}, z={z:.3f}, p={p:.3g} over {len(d)} data sets", facts=facts(T=t, z=z),
    )  # fmt: skip
