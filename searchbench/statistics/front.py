"""Several objectives at once: what nothing else beats, and how much of a box it dominates. All are minimised."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Floats


def pareto(points: ArrayLike) -> list[int]:
    """Indices of the points [N, D] that no other dominates, in lexicographic order; of equal points the first."""
    given = _points(points)
    order = np.lexsort(given.T[::-1])
    if given.shape[1] == 2:  # in that order what is beaten at all is beaten by the lowest so far
        second = given[order, 1]
        before = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]])[: len(second)]
        first = np.arange(len(second)) == 0
        return [int(at) for at in order[first | (second < before)]]
    kept: list[int] = []
    for at in order.tolist():
        if not any((given[other] <= given[at]).all() for other in kept):
            kept.append(at)
    return kept


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """The volume that points [N, D] dominate within the box below `reference` [D]; exact, for any D.

    Sliced along the last objective: between two successive values of it the volume is that of the points so far in
    one dimension less. Points that do not dominate the reference contribute nothing.

    Raises:
        StatisticsError: shapes differ, or the reference is not finite.

    Source: Zitzler & Thiele 1999 (S metric); Knowles 2002 (hypervolume by slicing objectives).
    """
    given, corner = _points(points), np.asarray(reference, dtype=np.float64)
    if corner.shape != (given.shape[1],) or not np.isfinite(corner).all():
        raise StatisticsError(
            f"`reference` must be one finite number per objective, but got {corner.tolist()} for {given.shape[1]}."
        )
    inside = given[(given < corner).all(1)]
    return _sliced(inside, corner) if len(inside) else 0.0


def _sliced(points: Floats, corner: Floats) -> float:
    points = points[pareto(points)]
    if points.shape[1] == 1:
        return float(corner[0] - points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    ends = np.append(points[1:, -1], corner[-1])
    total = 0.0
    for at, (begin, end) in enumerate(zip(points[:, -1], ends, strict=True)):
        if end > begin:
            total += float(end - begin) * _sliced(points[: at + 1, :-1], corner[:-1])
    return total


def _points(points: ArrayLike) -> Floats:
    given = np.asarray(points, dtype=np.float64)
    if given.ndim != 2 or np.isnan(given).any():
        raise StatisticsError(f"points must be [N, D] numbers without NaN, but got shape {given.shape}.")
    return given
