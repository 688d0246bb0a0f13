"""How well several supernets, each with a scale of its own, rank the same architectures: tau-b is taken within a
supernet and averaged over supernets, never over a pool of both.

Two things were drawn: the architectures and the supernets. An interval for both resamples both, architectures in
common to all supernets (they score the same ones) and supernets in common to all methods (they share seeds).
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Floats
from searchbench.statistics.correlation import MIN_ARCHITECTURES, resampled_tau
from searchbench.statistics.record import Answer, Interval, facts, refused
from searchbench.statistics.resampling import percentile, seed_counts

_METHOD, _CALL = "Kendall tau-b within each supernet, averaged", "scipy.stats.kendalltau"
BOTH, ALONE = "bootstrap of architectures and supernets", "bootstrap of architectures, these supernets"


def supernet_correlation(
    truth: ArrayLike, proxies: ArrayLike, *, level: float = 0.95, resamples: int = 1_000, seed: int = 0
) -> Answer:
    """The mean of tau-b over supernets.

    Args:
        truth: [n], higher is better.
        proxies: [supernets, n] scores of the same architectures, higher is better.

    Returns:
        The mean with an interval over architectures and supernets. Facts: `taus`, one per supernet; `std` over them
        (None of one); `architectures`, the (low, high) of the interval over architectures alone.

    Raises:
        StatisticsError: shapes differ or a value is not finite.
    """
    x, ys = _checked(truth, proxies)
    n = len(x)
    taus = tuple(float(scipy.stats.kendalltau(x, y).statistic) for y in ys) if n > 1 else (np.nan,) * len(ys)
    if not np.isfinite(taus).all():
        return Answer(
            method=_METHOD, call=_CALL, n=n, status="undefined", code="undefined_constant_input",
            wording="the truth or a supernet's scores are constant: nothing to rank", facts=facts(taus=taus, std=None),
        )  # fmt: skip
    mean, std = float(np.mean(taus)), float(np.std(taus, ddof=1)) if len(taus) > 1 else None
    if n < MIN_ARCHITECTURES:
        reason = f"{n} architectures; {MIN_ARCHITECTURES - n} more are needed to claim a rank correlation"
        return refused(_METHOD, _CALL, n, reason, estimate=mean, facts=facts(taus=taus, std=std), wording=reason)
    both, alone = _draws(x, ys, resamples, seed)
    interval, own = percentile(both, level, BOTH), percentile(alone, level, ALONE)
    return Answer(
        method=_METHOD, call=_CALL, n=n, estimate=mean, interval=interval,
        wording=f"tau-b {mean:.2f} {interval} within {len(taus)} supernets over {n} architectures",
        facts=facts(taus=taus, std=std, architectures=(own.low, own.high)),
    )  # fmt: skip


def correlation_difference(
    truth: ArrayLike, a: ArrayLike, b: ArrayLike, *, level: float = 0.95, resamples: int = 1_000, seed: int = 0
) -> Interval:
    """The interval of the mean of tau-b(a) - tau-b(b), supernets paired by their order, both resampled together.

    Args:
        truth: [n].
        a, b: [supernets, n].

    Raises:
        StatisticsError: shapes differ or a value is not finite.
    """
    x, first = _checked(truth, a)
    _, second = _checked(truth, b)
    if len(first) != len(second):
        raise StatisticsError(f"supernets are paired, but got {len(first)} and {len(second)} of them")
    return percentile(_draws(x, first, resamples, seed)[0] - _draws(x, second, resamples, seed)[0], level, BOTH)


def _checked(truth: ArrayLike, proxies: ArrayLike) -> tuple[Floats, Floats]:
    x, ys = np.asarray(truth, dtype=np.float64), np.asarray(proxies, dtype=np.float64)
    if x.ndim != 1 or ys.ndim != 2 or ys.shape[1] != len(x) or not len(ys):
        raise StatisticsError(f"truth [n] and proxies [supernets, n] must fit, but got {x.shape} and {ys.shape}")
    if not (np.isfinite(x).all() and np.isfinite(ys).all()):
        raise StatisticsError("error_nan: truth and scores must be finite; leave a failed architecture out by name")
    return x, ys


def _draws(x: Floats, ys: Floats, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Means over supernets in each resample [resamples]: of architectures and supernets, and of architectures alone."""
    counts = seed_counts(seed, resamples, len(x))
    taus = np.stack([np.nan_to_num(resampled_tau(x, y, counts)) for y in ys], axis=1)
    weights = seed_counts(seed, resamples, len(ys), stream=1) / len(ys)
    return (taus * weights).sum(axis=1), taus.mean(axis=1)
