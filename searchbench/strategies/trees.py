"""Regression trees on one-hot encodings, a whole forest at a time in NumPy.

scikit-learn grows one tree after the other, through Python; here all trees grow level by level, and what a split leaves
on its sides is counted over the few columns of a row that are not zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from searchbench.spaces.space import Array

Ints = npt.NDArray[np.int64]
PURE = float(np.finfo(np.float64).eps)
"""Variance up to which nothing is left to be split, as in scikit-learn."""
TIES = 1e-10
"""Relative differences of gains that are rounding: which of such splits is taken is drawn."""


@dataclass(frozen=True, eq=False)
class Trees:
    """A forest that has been grown: nodes of all trees one after the other, roots first."""

    trees: int
    column: Ints
    """[nodes], the column that sends a row left (0) or right (1); of a leaf the last one, which is always 0."""
    children: Ints
    """[nodes, 2]; a leaf is its own child."""
    means: Array
    """[nodes]."""
    variances: Array
    """[nodes]."""
    depth: int

    def leaves(self, encodings: Array) -> Ints:
        """The leaf of every row [m, D] in every tree, [trees, m]."""
        rows = _with_column_of_zeros(encodings).astype(np.int64)
        width, flat, ways = rows.shape[1], rows.ravel(), self.children.ravel()
        starts = np.arange(len(rows)) * width
        at = np.repeat(np.arange(self.trees), len(rows)).reshape(self.trees, len(rows))
        for _ in range(self.depth):
            at = ways.take(2 * at + flat.take(starts + self.column.take(at)))
        return at

    def predict(self, encodings: Array) -> tuple[Array, Array]:
        """Mean [m] and variance [m]: the mean of the leaves' variances, and the variance of their means."""
        leaves = self.leaves(encodings)
        means = self.means.take(leaves)
        return means.mean(axis=0), self.variances.take(leaves).mean(axis=0) + means.var(axis=0)


def grow(encodings: Array, values: Array, weights: Ints, min_leaf: int, rng: np.random.Generator) -> Trees:
    """A tree for every row of `weights` [trees, n]: how often it sees each of the n samples.

    At every node, of the splits that leave at least `min_leaf` different samples on either side, the one that lowers
    the weighted variance the most; `rng` decides between equals. Nothing else ends a branch.
    """
    trees = len(weights)
    columns = encodings.shape[1] + 1  # the last one fills rows with inactive decisions, and splits nothing
    ones = _columns_of_ones(encodings)
    tree, sample = np.nonzero(weights)
    node = tree.copy()  # among those of this level
    weight = weights[tree, sample].astype(np.float64)
    weighted = weight * values[sample]
    square = weighted * values[sample]
    found: list[tuple[Ints, Ints, Array, Array]] = []
    first, count, depth = 0, trees, 0
    while True:
        mass, total = np.bincount(node, weight, count), np.bincount(node, weighted, count)
        mean = total / mass
        variance = np.maximum(np.bincount(node, square, count) / mass - mean * mean, 0.0)
        undecided = (np.bincount(node, minlength=count) >= 2 * min_leaf) & (variance > PURE)
        node, sample, weight, weighted, square = _those(undecided[node], node, sample, weight, weighted, square)
        column = np.full(count, columns - 1)
        place = np.cumsum(undecided) - 1
        column[undecided] = _best_splits(
            place[node], ones[sample], weight, weighted, (int(undecided.sum()), columns), min_leaf, rng
        )
        children = np.repeat(first + np.arange(count)[:, None], 2, axis=1)
        split = column < columns - 1
        born = 2 * int(split.sum())
        children[split] = (first + count + np.arange(born)).reshape(-1, 2)
        found.append((column, children, mean, variance))
        if not born:
            break
        node, sample, weight, weighted, square = _those(split[node], node, sample, weight, weighted, square)
        side = (ones[sample] == column[node][:, None]).any(axis=1).astype(np.int64)
        node = children[node, side] - (first + count)
        first, count, depth = first + count, born, depth + 1
    column, children, means, variances = (np.concatenate(part) for part in zip(*found, strict=True))
    return Trees(trees, column, children, means, variances, depth)


def _those(chosen: npt.NDArray[np.bool_], *parts: Any) -> Any:
    return tuple(part[chosen] for part in parts)


def _best_splits(
    node: Ints,
    ones: Ints,
    weight: Array,
    weighted: Array,
    shape: tuple[int, int],
    min_leaf: int,
    rng: np.random.Generator,
) -> Ints:
    """The column that splits each node best, or the last one where none may, [nodes].

    Args:
        node, ones, weight, weighted: of every sample in it: its node, its columns of 1, its weight, and that times
            its value.
        shape: numbers of nodes and of columns.
        min_leaf, rng: see `grow`.
    """
    cell = (node[:, None] * shape[1] + ones).ravel()
    size, each = math.prod(shape), ones.shape[1]
    right_mass = np.bincount(cell, weight.repeat(each), size).reshape(shape)
    right_total = np.bincount(cell, weighted.repeat(each), size).reshape(shape)
    right_seen = np.bincount(cell, minlength=size).reshape(shape)
    left_seen = np.bincount(node, minlength=shape[0])[:, None] - right_seen
    left_mass = np.bincount(node, weight, shape[0])[:, None] - right_mass
    left_total = np.bincount(node, weighted, shape[0])[:, None] - right_total
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = right_total**2 / right_mass + left_total**2 / left_mass
    gain[(right_seen < min_leaf) | (left_seen < min_leaf)] = -np.inf
    gain[:, -1] = -np.inf
    best: Ints = gain.argmax(axis=1)
    greatest = gain[np.arange(shape[0]), best]
    best[np.isneginf(greatest)] = shape[1] - 1
    equal = gain >= (greatest - TIES * np.abs(greatest))[:, None]
    tied = (equal.sum(axis=1) > 1) & np.isfinite(greatest)
    best[tied] = np.where(equal[tied], rng.random((int(tied.sum()), shape[1])), -1.0).argmax(axis=1)
    return best


def bootstrap(trees: int, n: int, rng: np.random.Generator) -> Ints:
    """How often each tree sees each of n samples when it draws n of them, [trees, n]; draws as scikit-learn's."""
    seeds = np.random.RandomState(int(rng.integers(2**31))).randint(np.iinfo(np.int32).max, size=trees)
    drawn = [np.random.RandomState(seed).randint(0, n, n, dtype=np.int32) for seed in seeds]
    return np.array([np.bincount(one, minlength=n) for one in drawn])


def _with_column_of_zeros(encodings: Array) -> Array:
    return np.hstack([encodings, np.zeros((len(encodings), 1))])


def _columns_of_ones(encodings: Array) -> Ints:
    """The columns of each row that are 1, [n, most], filled with the number of columns where a row has fewer."""
    row, column = np.nonzero(encodings)
    counts = np.bincount(row, minlength=len(encodings))
    found = np.full((len(encodings), int(counts.max(initial=1))), encodings.shape[1])
    found[row, np.arange(len(row)) - (np.cumsum(counts) - counts).repeat(counts)] = column
    return found
