"""Does a proxy rank architectures as the truth does? Kendall's tau-b and Spearman with a ceiling and a floor.

Two trainings of the same 32 DARTS architectures agree at tau = 0.48 only (Yang et al. 2020, section 5.3): no proxy
can honestly be expected near 1. And counting parameters is a proxy too: that is the floor to beat.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Better, Floats
from searchbench.statistics.record import Answer, Interval, facts, refused
from searchbench.statistics.resampling import seed_counts

MIN_ARCHITECTURES = 10
_EXACT_UP_TO = 1_500

_METHOD, _CALL = "Kendall tau-b", "scipy.stats.kendalltau"


def rank_correlation(
    truth: ArrayLike,
    proxy: ArrayLike,
    *,
    again: ArrayLike | None = None,
    n_params: ArrayLike | None = None,
    decimals: int | None = None,
    level: float = 0.95,
    resamples: int = 1_000,
    seed: int = 0,
) -> Answer:
    """Tau-b (and Spearman) between the truth and a proxy over architectures, bootstrapping architectures.

    Args:
        truth, proxy: [n] values, both "higher is better".
        again: the truth measured with other training seeds; tau(truth, again) is the noise ceiling.
        n_params: sizes; tau(truth, n_params) is the floor.
        decimals: also give the two "sparse" variants: rounding the truth, or the prediction (NAS-Bench-301).

    Raises:
        StatisticsError: lengths differ or a value is not finite.
    """
    x, y = _vectors(truth, proxy)
    n = len(x)
    if n < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        which = "truth" if n < 2 or np.ptp(x) == 0 else "proxy"
        return Answer(
            method=_METHOD, call=_CALL, n=n, status="undefined", code="undefined_constant_input",
            wording=f"the {which} is constant: nothing to rank", facts=facts(tau_b=None, spearman=None),
        )  # fmt: skip
    tau = float(scipy.stats.kendalltau(x, y).statistic)
    known = facts(
        tau_b=tau, spearman=scipy.stats.spearmanr(x, y).statistic, variant="tau-b",
        ceiling=_reference(x, again), floor=_reference(x, n_params), **_counts(x, y, tau),
    )  # fmt: skip
    if decimals is not None:
        known += facts(
            tau_round_ground_truth=_tau(np.round(x, decimals), y),
            tau_round_prediction=_tau(x, np.round(y, decimals)),
        )
    said = f"tau-b {tau:.3f} over {n} architectures"
    if n < MIN_ARCHITECTURES:
        reason = f"{n} architectures; {MIN_ARCHITECTURES - n} more are needed to claim a rank correlation"
        return refused(_METHOD, _CALL, n, reason, estimate=tau, facts=known, wording=f"{said}; {reason}")
    interval = tau_interval(x, y, level=level, resamples=resamples, seed=seed)
    return Answer(
        method=_METHOD, call=_CALL, n=n, estimate=tau, interval=interval, facts=known,
        wording=f"{said} {interval}{_beside(dict(known))}",
    )  # fmt: skip


def _counts(x: Floats, y: Floats, tau: float) -> dict[str, int]:
    """Concordant, discordant and tied pairs, which tau-b is made of, without going through the pairs.

    tau-b = (concordant - discordant) / sqrt((pairs - tied in x) (pairs - tied in y)), and what is neither is tied.
    """
    pairs = len(x) * (len(x) - 1) // 2
    in_x, in_y, in_both = _tied(x), _tied(y), _tied(np.stack([x, y], axis=1))
    apart = pairs - in_x - in_y + in_both
    surplus = round(tau * np.sqrt(float(pairs - in_x) * float(pairs - in_y)))
    concordant = (apart + surplus) // 2
    return {"concordant": concordant, "discordant": apart - concordant, "tied": pairs - apart}


def _tied(values: Floats) -> int:
    """Pairs of equal rows."""
    _, counts = np.unique(values, axis=0, return_counts=True)
    return int((counts * (counts - 1) // 2).sum())


def _vectors(truth: ArrayLike, proxy: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(truth, dtype=np.float64).ravel(), np.asarray(proxy, dtype=np.float64).ravel()
    if len(x) != len(y):
        raise StatisticsError(f"truth and proxy need the same architectures, but got {len(x)} and {len(y)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise StatisticsError("error_nan: truth and proxy must be finite; leave a failed architecture out by name")
    return x, y


def _tau(x: Floats, y: Floats) -> float | None:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(scipy.stats.kendalltau(x, y).statistic)


def _reference(x: Floats, other: ArrayLike | None) -> float | None:
    return None if other is None else _tau(*_vectors(x, other))


def _beside(known: dict[str, float | None]) -> str:
    ceiling, floor = known["ceiling"], known["floor"]
    parts = [
        "noise ceiling not measured" if ceiling is None else f"noise ceiling {ceiling:.3f}",
        "#params floor not measured" if floor is None else f"#params floor {floor:.3f}",
    ]
    return "; " + ", ".join(parts)


def tau_interval(x: Floats, y: Floats, *, level: float = 0.95, resamples: int = 1_000, seed: int = 0) -> Interval:
    """Percentile bootstrap of tau-b over architectures.

    Beyond 1,500 architectures the normal interval on atanh(tau), standard error sqrt(0.437/(n - 4))
    (Fieller, Hartley & Pearson 1957), as narrow there as any bootstrap.
    """
    n = len(x)
    if n > _EXACT_UP_TO:
        tau = float(scipy.stats.kendalltau(x, y).statistic)
        half = float(scipy.stats.norm.ppf(0.5 + level / 2)) * np.sqrt(0.437 / (n - 4))
        centre = np.arctanh(np.clip(tau, -1 + 1e-12, 1 - 1e-12))
        return Interval(float(np.tanh(centre - half)), float(np.tanh(centre + half)), level, "Fieller z")
    draws = resampled_tau(x, y, seed_counts(seed, resamples, n))
    draws = draws[np.isfinite(draws)]
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high), level, "bootstrap over architectures")


def resampled_tau(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Tau-b in every resample of the architectures [resamples]; NaN in one in which nothing differs.

    With c the counts of a resample, its concordance is c' S c over sign products S, so that all resamples are one
    matrix product; beyond 1,500 architectures one resample is sorted after the other.
    """
    if len(x) > _EXACT_UP_TO:
        drawn = [np.repeat(np.arange(len(x)), row.astype(np.int64)) for row in counts]
        return np.asarray([scipy.stats.kendalltau(x[at], y[at]).statistic for at in drawn])
    sx, sy = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    both, only_x, only_y = (((counts @ m) * counts).sum(axis=1) for m in (sx * sy, np.abs(sx), np.abs(sy)))
    room = np.sqrt(only_x * only_y)
    return np.asarray(np.divide(both, room, out=np.full_like(room, np.nan), where=room > 0), dtype=np.float64)


def top_k(truth: ArrayLike, proxy: ArrayLike, k: int, *, better: Better = "higher") -> Answer:
    """What picking the proxy's k best costs: regret of the best among them, and the share that belongs there.

    Args:
        truth: [n] in its own direction `better`; the proxy is always "higher is better".
    """
    x, y = _vectors(truth, proxy)
    if not 1 <= k <= len(x):
        raise StatisticsError(f"top-k needs 1 <= k <= {len(x)} architectures, but got k={k}")
    gain = x if better == "higher" else -x
    picked = np.argsort(-y, kind="stable")[:k]
    kth = np.sort(gain)[::-1][k - 1]
    regret, precision = float(gain.max() - gain[picked].max()), float((gain[picked] >= kth).mean())
    return Answer(
        method="top-k regret and precision", call="numpy.argsort", n=len(x), estimate=regret,
        wording=f"regret@{k} {regret:.4g}, precision@{k} {precision:.2f} over {len(x)} architectures",
        facts=facts(regret_at_k=regret, precision_at_k=precision, k=k),
    )  # fmt: skip
