"""Many strategies over blocks (paired seeds of one task, or one score per task): Friedman and what follows.

Source: Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006), section 3.2. The
tie-corrected statistic is printed (scipy's 10.23 for his example), his uncorrected 9.28 stands in the facts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy import special

from searchbench.errors import StatisticsError, did_you_mean
from searchbench.statistics.arms import Better, Floats
from searchbench.statistics.families import holm
from searchbench.statistics.record import Answer, Effect, facts, refused
from searchbench.statistics.ties import mid_ranks

MIN_BLOCKS = 5
MIN_BLOCKS_FOR_CD = 10

_METHOD, _CALL = "Friedman test, Iman-Davenport F", "scipy.stats.rankdata; scipy.stats.f.sf"


def block_ranks(scores: ArrayLike, *, better: Better) -> Floats:
    """Mid-ranks [blocks, strategies], rank 1 = best; float noise ties, relative to the scores of its block."""
    x = np.asarray(scores, dtype=np.float64)
    return mid_ranks(-x if better == "higher" else x, axis=1)


def friedman(scores: ArrayLike, *, better: Better, alpha: float = 0.05, unit: str = "blocks") -> Answer:
    """Do any of k strategies differ over N complete blocks?

    Refused for k < 3 (use a two-sample test), for an incomplete block (each is named), and below 5 blocks, where
    the F approximation rejects too often.

    Args:
        scores: [N, k]; NaN or infinite = a run that did not complete, to be ranked worst first or rerun.
    """
    x = _matrix(scores)
    stop = _refusal(x)
    if stop is not None:
        return stop
    ranks = block_ranks(x, better=better)
    n, k = ranks.shape
    mean = ranks.mean(axis=0)
    spread = _tie_spread(ranks)
    if spread == 0:
        return Answer(
            method=_METHOD, call=_CALL, n=n, status="degenerate", code="degenerate", wording="every block is a tie",
            facts=facts(average_ranks=mean),
        )  # fmt: skip
    if n < MIN_BLOCKS:
        f_error, chi_error = type_one_error(n, k, alpha)
        reason = (
            f"{n} blocks of {k}: Iman-Davenport type-I error {f_error:.3f} at N={n},k={k} for a nominal {alpha:g} "
            f"(chi2 {chi_error:.3f}); {MIN_BLOCKS - n} more {unit} are needed"
        )
        return refused(_METHOD, _CALL, n, reason, code="too_few_blocks", facts=facts(average_ranks=mean))
    return _test(mean, spread, n, k, unit=unit, alpha=alpha)


def _test(mean: Floats, spread: float, n: int, k: int, *, unit: str, alpha: float) -> Answer:
    numbers = chi_square(mean, n, k, spread)
    plain = chi_square(mean, n, k, 1.0)
    q, f, p_f = numbers
    word = f"average ranks differ over {n} {unit}" if p_f < alpha else f"no evidence of difference over {n} {unit}"
    w = q / (n * (k - 1))
    return Answer(
        method=_METHOD, call=_CALL, n=n, p=p_f, effect=Effect("Kendall W", w), estimate=w,
        warnings=() if n >= k else (f"{k} strategies over {n} {unit}: rows are {unit}; is the matrix transposed?",),
        wording=f"{word}: F={f:.3g} on {k - 1} and {(k - 1) * (n - 1)} df, p={p_f:.3g}, W={w:.2f}",
        facts=facts(
            average_ranks=mean, Q=q, p_chi2=special.chdtrc(k - 1, q), kendall_W=w, F=f,
            df=(k - 1, (k - 1) * (n - 1)), chi2_uncorrected=plain[0], F_uncorrected=plain[1], p_F_uncorrected=plain[2],
        ),
    )  # fmt: skip


def chi_square(mean_ranks: Floats, n: int, k: int, tie_spread: float) -> tuple[float, float, float]:
    """Friedman's chi2 (divided by the tie correction), Iman-Davenport's F and its p."""
    q = 12 * n / (k * (k + 1)) * float(((mean_ranks - (k + 1) / 2) ** 2).sum()) / tie_spread
    room = n * (k - 1) - q
    if room <= 1e-9 * n * k:
        # Perfect agreement makes F infinite; its exact probability is (1/k!)^(N-1).
        return q, math.inf, math.exp(-(n - 1) * math.lgamma(k + 1))
    f = (n - 1) * q / room
    return q, f, float(special.fdtrc(k - 1, (k - 1) * (n - 1), f))


def _tie_spread(ranks: Floats) -> float:
    """Share of the untied rank variance that ties leave: 1 without ties, 0 if every block is one tie."""
    k = ranks.shape[1]
    spread = ((ranks - (k + 1) / 2) ** 2).sum(axis=1)
    return float(spread.mean() / (k * (k * k - 1) / 12))


@lru_cache(maxsize=64)
def type_one_error(n: int, k: int, alpha: float = 0.05) -> tuple[float, float]:
    """How often F and chi2 reject a true null at N = n blocks: exact up to 20,000 rankings, else 4,000 simulated."""
    total = math.factorial(k) ** (n - 1) if k <= 7 else math.inf
    base = np.arange(1.0, k + 1)
    if total <= 20_000:
        rows = [np.array(p) for p in itertools.permutations(base)]
        draws = np.array([sum(c, base) for c in itertools.product(rows, repeat=n - 1)]) / n
    else:
        rng = np.random.default_rng(2)
        draws = rng.permuted(np.tile(base, (4_000 * n, 1)), axis=1).reshape(4_000, n, k).mean(axis=1)
    q = 12 * n / (k * (k + 1)) * ((draws - (k + 1) / 2) ** 2).sum(axis=1)
    room = np.maximum(n * (k - 1) - q, 1e-12)
    p = special.fdtrc(k - 1, (k - 1) * (n - 1), (n - 1) * q / room)
    return float((p < alpha).mean()), float((special.chdtrc(k - 1, q) < alpha).mean())


def critical_difference(k: int, n: int, *, alpha: float = 0.05) -> Answer:
    """Nemenyi's critical difference of average ranks: q_alpha / sqrt(2) * sqrt(k (k + 1) / (6 N))."""
    q = float(scipy.stats.studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    cd = q * math.sqrt(k * (k + 1) / (6 * n))
    tail = "" if cd < k - 1 else ", more than any two can differ"
    return Answer(
        method="Nemenyi critical difference", call="scipy.stats.studentized_range.ppf", n=n, estimate=cd,
        wording=f"critical difference {cd:.2f} of a possible {k - 1} over {n} blocks{tail}",
        facts=facts(cd=cd, max_possible_rank_gap=k - 1, can_separate=cd < k - 1, diagram=n >= MIN_BLOCKS_FOR_CD),
    )  # fmt: skip


def nemenyi(scores: ArrayLike, *, better: Better, alpha: float = 0.05) -> Answer:
    """All-pairs Nemenyi p-values on average ranks; refused below 10 blocks, where almost nothing can differ."""
    x = _matrix(scores)
    stop = _refusal(x)
    if stop is not None:
        return stop
    ranks = block_ranks(x, better=better)
    n, k = ranks.shape
    cd = critical_difference(k, n, alpha=alpha)
    method, call = "Nemenyi test", "scipy.stats.studentized_range.sf"
    if n < MIN_BLOCKS_FOR_CD or not cd["can_separate"]:
        more = max(1, MIN_BLOCKS_FOR_CD - n)
        reason = f"{cd.wording}: no diagram and no pairwise claim; {more} more blocks are needed"
        return refused(method, call, n, reason, code="too_few_blocks", facts=cd.facts)
    mean = ranks.mean(axis=0)
    gap = np.abs(mean[:, None] - mean[None, :])
    p = nemenyi_p(gap, k, n)
    return Answer(
        method=method, call=call, n=n, estimate=cd.estimate, family_size=k * (k - 1) // 2, wording=cd.wording,
        facts=cd.facts + facts(average_ranks=mean, p_matrix=p),
    )  # fmt: skip


def nemenyi_p(gap: Floats, k: int, n: int) -> Floats:
    """p of average-rank gaps; symmetric matrix in, symmetric matrix out, ones on the diagonal."""
    i, j = np.triu_indices(len(gap), 1)
    unique, back = np.unique(np.round(gap[i, j], 12), return_inverse=True)
    # The studentised range is slow to integrate (about 1 ms each): only distinct gaps are looked up.
    found = scipy.stats.studentized_range.sf(unique * math.sqrt(2) / math.sqrt(k * (k + 1) / (6 * n)), k, np.inf)
    p = np.ones_like(gap)
    p[i, j] = p[j, i] = np.clip(found, 0.0, 1.0)[back]
    return p


def against_control(scores: ArrayLike, *, control: int | str, better: Better, alpha: float = 0.05) -> Answer:
    """Average ranks of each strategy against one control: z and Holm-adjusted p (Demsar 2006, section 3.2.2)."""
    x = _matrix(scores)
    stop = _refusal(x)
    if stop is not None:
        return stop
    n, k = x.shape
    if n < MIN_BLOCKS:
        return refused("ranks against a control, Holm", "scipy.stats.norm", n,
                       f"{n} blocks are too few; {MIN_BLOCKS - n} more are needed", code="too_few_blocks")  # fmt: skip
    mean = block_ranks(x, better=better).mean(axis=0)
    names = names_of(scores, k)
    if control in names:
        control = names.index(str(control))
    if isinstance(control, str) or not 0 <= control < k:
        raise StatisticsError(f"there is no control `{control}`; {did_you_mean(str(control), names)}")
    others = [j for j in range(k) if j != control]
    z = (mean[control] - mean[others]) / math.sqrt(k * (k + 1) / (6 * n))
    p = np.minimum(1.0, 2 * special.ndtr(-np.abs(z)))
    adjusted = holm(p)
    return Answer(
        method="ranks against a control, Holm", call="scipy.stats.norm; Holm", n=n,
        family_size=k - 1, estimate=float(mean[control]),
        wording=f"{int((adjusted < alpha).sum())} of {k - 1} differ from the control over {n} blocks",
        facts=facts(names=names, average_ranks=mean, others=others, z=z, p_raw=p, p_holm=adjusted),
    )  # fmt: skip


def names_of(scores: Any, k: int) -> tuple[str, ...]:
    """Names of the strategies: a mapping's keys, a DataFrame's columns, else s0 …"""
    found = scores.columns if hasattr(scores, "columns") else scores if isinstance(scores, Mapping) else None
    return tuple(f"s{j}" for j in range(k)) if found is None else tuple(map(str, found))


def _matrix(scores: Any) -> Floats:
    if isinstance(scores, Mapping):
        lengths = {name: len(own) for name, own in scores.items()}
        if len(set(lengths.values())) > 1:
            raise StatisticsError(f"blocks need as many scores of every strategy, but got {lengths}")
        scores = np.column_stack(list(scores.values()))
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim != 2:
        raise StatisticsError(f"blocks need a matrix [blocks, strategies], but got shape {x.shape}")
    return x


def _refusal(x: Floats) -> Answer | None:
    n, k = x.shape
    if k < 3:
        return refused(_METHOD, _CALL, n, f"{k} strategies: use a two-sample test (`paired` or `unpaired`)",
                       code="use_two_sample_test")  # fmt: skip
    holes = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if holes.size:
        rows = [f"row {i}" for i in holes]
        reason = f"incomplete: {', '.join(rows)}; rank failures worst, or rerun them; no block is dropped silently"
        return Answer(
            method=_METHOD, call=_CALL, n=n, n_effective=n - len(rows), n_failed=int((~np.isfinite(x)).sum()),
            status="incomplete", code="incomplete_block", refusal_reason=reason, wording=reason,
            facts=facts(must_list=rows),
        )  # fmt: skip
    return None
