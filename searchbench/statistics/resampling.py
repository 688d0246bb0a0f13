"""Bootstrap resamples of seeds, as counts: drawn once per declared seed and shared by everything compared.

Counts [resamples, n] turn a bootstrap mean into one matrix product, and the same counts for every strategy *are*
the joint resampling that keeps pairing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from searchbench.statistics.arms import Floats
from searchbench.statistics.record import Interval


@lru_cache(maxsize=32)
def seed_counts(seed: int, resamples: int, n: int, stream: int = 0) -> Floats:
    """How often each of n seeds is drawn in each resample [resamples, n]; read-only.

    Args:
        seed: declared seed.
        stream: an independent set under the same seed (one per task, or per unpaired arm).
    """
    rng = np.random.default_rng([seed, stream])
    counts = np.asarray(rng.multinomial(n, np.full(n, 1.0 / n), size=resamples), dtype=np.float64)
    counts.setflags(write=False)
    return counts


def percentile(draws: Floats, level: float, method: str) -> Interval:
    """Percentile interval of bootstrap draws [resamples]."""
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high), level, method)


def bca_mean(x: Floats, *, level: float, resamples: int, seed: int) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of a mean (Efron 1987); x [n] must vary.

    As `scipy.stats.bootstrap(method="BCa")`, on the shared resamples, a fifth of its time.
    """
    draws = seed_counts(seed, resamples, len(x)) @ x / len(x)
    below = (np.mean(draws < x.mean()) + np.mean(draws <= x.mean())) / 2
    bias = special.ndtri(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))
    away = x - x.mean()
    # The jackknife means of a mean are linear in x, so its acceleration is the skewness over 6 sqrt(n).
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    z = bias + special.ndtri([0.5 - level / 2, 0.5 + level / 2])
    at = special.ndtr(bias + z / (1 - acceleration * z))
    low, high = np.quantile(draws, at)
    return float(low), float(high)
