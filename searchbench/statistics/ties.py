"""Which numbers are equal: rounding relative to the data, so that no conclusion depends on a unit.

A difference of two scores carries the rounding of both and of the arithmetic that made them (scipy#26082: noise un-ties
a 0.1 grid). Numbers nearer to each other than eleven digits of the scores are one number, whatever the scale.
"""

from __future__ import annotations

import numpy as np

from searchbench.statistics.arms import Floats

RELATIVE = 1e-11
"""Share of the largest score within which two differences are one."""


def resolution(*scores: Floats) -> Floats:
    """Smallest difference that the precision of `scores` can tell, per column [n, columns] -> [columns]."""
    sizes = [np.abs(np.where(np.isfinite(x), x, 0.0)).max(axis=0, initial=0.0) for x in scores]
    return np.asarray(RELATIVE * np.maximum.reduce(sizes), dtype=np.float64)


def settled(d: Floats, least: Floats) -> Floats:
    """Differences [n, columns] with those of one size made equal, and those of no size made zero.

    Args:
        d: finite differences.
        least: the smallest difference that can be told, [columns].
    """
    order = np.argsort(np.abs(d), axis=0, kind="stable")
    size = np.take_along_axis(np.abs(d), order, axis=0)
    new = np.diff(size, axis=0, prepend=np.zeros((1, d.shape[1]))) > least
    size = np.maximum.accumulate(np.where(new, size, 0.0), axis=0)
    out = np.empty_like(d)
    np.put_along_axis(out, order, size, axis=0)
    return np.sign(d) * out


def ranked(x: Floats) -> Floats:
    """Mid-ranks down each column [n] or [n, columns], 1 = least; what is to the last bit equal shares its ranks.

    As `scipy.stats.rankdata`, without importing `scipy.stats`, which takes longer than a table of ten thousand runs.
    """
    order = np.argsort(x, axis=0, kind="stable")
    ordered = np.take_along_axis(x, order, axis=0)
    end = np.ones((1, *x.shape[1:]), dtype=bool)
    changes = ordered[1:] != ordered[:-1]
    place = np.arange(1.0, len(x) + 1).reshape(-1, *[1] * (x.ndim - 1))
    first = np.maximum.accumulate(np.where(np.concatenate([end, changes]), place, 0.0), axis=0)
    last = np.minimum.accumulate(np.where(np.concatenate([changes, end]), place, np.inf)[::-1], axis=0)[::-1]
    out = np.empty(x.shape)
    np.put_along_axis(out, order, (first + last) / 2, axis=0)
    return out


def mid_ranks(x: Floats, axis: int) -> Floats:
    """Mid-ranks along `axis` (1 = least), float noise tied; infinities rank as the extremes they are."""
    least = np.expand_dims(resolution(np.moveaxis(x, axis, 0)), axis)
    order = np.argsort(x, axis=axis, kind="stable")
    sorted_x = np.take_along_axis(x, order, axis=axis)
    with np.errstate(invalid="ignore"):  # inf - inf: the same extreme twice, which is a tie
        steps = np.nan_to_num(np.diff(sorted_x, axis=axis), nan=0.0, posinf=np.inf, neginf=0.0) > least
    first = np.zeros_like(np.take(sorted_x, [0], axis=axis))
    group = np.concatenate([first, np.cumsum(steps, axis=axis)], axis=axis)
    out = np.empty_like(x)
    np.put_along_axis(out, order, np.moveaxis(ranked(np.moveaxis(group, axis, 0)), 0, axis), axis=axis)
    return out
