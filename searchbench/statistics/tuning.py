"""What trying more is worth: expected best of n configurations, and the inflation of a best-of-k row.

Unbiased estimator of Tang et al. ("Showing your work doesn't always work", ACL 2020); the plug-in of Dodge et al.
(EMNLP 2019) is biased low and kept for comparison with published curves only.
"""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy.special import gammaln

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Better, Floats
from searchbench.statistics.record import Answer, facts, refused
from searchbench.statistics.resampling import seed_counts


def expected_best(
    values: ArrayLike,
    *,
    n: int | None = None,
    better: Better = "higher",
    level: float = 0.95,
    resamples: int = 1_000,
    seed: int = 0,
) -> Answer:
    """Expected best of n of the B configurations tried, for every n, with a bootstrap band over configurations.

    Args:
        values: final scores of all B configurations tried, finite.
        n: the n asked about; B by default. Refused above B; above B/2 the curve is greyed (no claim).
    """
    x = _ordered(values, better)
    size = len(x)
    method, call = "expected best of n, unbiased (Tang et al. 2020)", "sum C(i-1, n-1)/C(B, n) x_(i)"
    asked = size if n is None else n
    if not 1 <= asked <= size:
        return refused(method, call, size, f"the expected best of {asked} cannot be told from {size} configurations; "
                       f"try {max(asked - size, 1)} more", code="n_exceeds_b")  # fmt: skip
    weights = _weights(size)
    sign = 1.0 if better == "higher" else -1.0
    curve = sign * (weights @ x)
    counts = seed_counts(seed, resamples, size).astype(int)
    draws = np.stack([np.repeat(x, c) for c in counts]) @ weights.T
    low, high = np.sort(sign * np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=0), axis=0)
    grey = [k > size / 2 for k in range(1, size + 1)]
    tail = " (beyond B/2: no claim)" if grey[asked - 1] else ""
    return Answer(
        method=method, call=call, n=size, estimate=float(curve[asked - 1]), code="beyond_half" if tail else "ok",
        wording=f"expected best of {asked} out of {size} configurations: {curve[asked - 1]:.4g}{tail}",
        facts=facts(n=list(range(1, size + 1)), expected_max=curve, expected_best=curve, low=low, high=high,
                    grey=grey, plug_in=sign * (_plug_in_weights(size) @ x)),
    )  # fmt: skip


def _ordered(values: ArrayLike, better: Better) -> Floats:
    x = np.asarray(values, dtype=np.float64).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise StatisticsError("error_nan: scores must be finite; give a failed configuration its declared worst value")
    return np.sort(x if better == "higher" else -x)


def _weights(size: int) -> Floats:
    """C(i-1, n-1)/C(B, n), [n, i], for n, i = 1 … B."""
    i, n = np.arange(1, size + 1)[None, :], np.arange(1, size + 1)[:, None]
    log = _log_choose(i - 1, n - 1) - _log_choose(np.full_like(n, size), n)
    return np.where(i >= n, np.exp(np.where(i >= n, log, 0.0)), 0.0)


def _log_choose(n: np.ndarray, k: np.ndarray) -> Floats:
    out = gammaln(n + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1)
    return np.asarray(out, dtype=np.float64)


def _plug_in_weights(size: int) -> Floats:
    i, n = np.arange(1, size + 1)[None, :] / size, np.arange(1, size + 1)[:, None]
    return np.asarray(i**n - (i - 1 / size) ** n, dtype=np.float64)


def best_of_k(mean: float, std: float, k: int, *, better: Better) -> Answer:
    """Where the best of k runs of a normal arm is expected: what a best-of row owes to selection alone."""
    if k < 1 or std < 0:
        raise StatisticsError(f"best of k needs k >= 1 and std >= 0, but got k={k}, std={std}")
    shift = order_statistic(k)
    value = mean + (std if better == "higher" else -std) * shift
    return Answer(
        method="expected best of k normal runs", call="scipy.integrate.quad", n=k, estimate=value,
        wording=f"the best of {k} runs of {mean:g} ± {std:g} is expected at {value:.2f}, by selection alone",
        facts=facts(expected_best_of_k=value, order_statistic=shift),
    )  # fmt: skip


def order_statistic(k: int) -> float:
    """Expected maximum of k standard normals (1.02938 for k = 4)."""
    if k == 1:
        return 0.0
    # x k phi(x) Phi(x)^(k-1), in logs so that large k does not underflow.
    value, _ = scipy.integrate.quad(
        lambda x: x * k * math.exp(float(scipy.stats.norm.logpdf(x) + (k - 1) * scipy.stats.norm.logcdf(x))),
        -12, 12, epsabs=1e-12, epsrel=1e-10, limit=200,
    )  # fmt: skip
    return float(value)
