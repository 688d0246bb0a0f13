"""Mean and standard deviation of independent runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of finite numbers: how many, their mean, and their standard deviation (ddof 1, NaN below two)."""

    n: int
    mean: float
    std: float


def summarise(values: Iterable[float]) -> Summary:
    """Summary of the finite ones among `values`; exactly rounded sums, so that their order does not matter."""
    kept = [float(value) for value in values if math.isfinite(value)]
    return Summary(len(kept), mean(kept), statistics.stdev(kept) if len(kept) > 1 else math.nan)


def mean(values: Iterable[float]) -> float:
    """Mean of the finite ones among `values`, by an exactly rounded sum; NaN where there is none."""
    kept = [float(value) for value in values if math.isfinite(value)]
    return math.fsum(kept) / len(kept) if kept else math.nan
