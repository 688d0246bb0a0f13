"""Regression trees on one-hot encodings, a whole forest at a time in NumPy.

scikit-learn grows one tree after the other, through Python; here all trees grow level by level, and what every column
would split off is one product of matrices: which samples lie in a node (sparse) by what their columns hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from searchbench.spaces.space import Array

Ints = npt.NDArray[np.int64]
PURE = float(np.finfo(np.float64).eps)
"""Variance up to which nothing is left to be split, as in scikit-learn."""
TIES = 1e-10
"""Relative differences of gains that are rounding: which of such splits is taken is drawn."""
LEVELS = 4
"""Levels after which rows that are in their leaf are looked for."""


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
        found = np.repeat(np.arange(self.trees), len(rows))
        under_way, at, starts = np.arange(len(found)), found, np.tile(np.arange(len(rows)) * width, self.trees)
        for level in range(self.depth):
            if level and level % LEVELS == 0:  # half of the rows are in their leaf before the deepest has gone half way
                found[under_way] = at
                going = np.flatnonzero(self.column.take(at) < width - 1)
                under_way, at, starts = under_way[going], at[going], starts[going]
            at = ways.take(2 * at + flat.take(starts + self.column.take(at)))
        found[under_way] = at
        return found.reshape(self.trees, len(rows))

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
    trees, columns = len(weights), encodings.shape[1]  # a column more, which splits nothing, stands in every leaf
    held = np.hstack([encodings, encodings * values[:, None], values[:, None], np.ones((len(values), 1))])
    tree, sample = np.nonzero(weights)
    weight = weights[tree, sample].astype(np.float64)
    sizes = np.bincount(tree, minlength=trees)
    squares = weight * values[sample] ** 2
    found: list[tuple[Ints, Ints, Array, Array]] = []
    first, depth = 0, 0
    while True:  # samples stand node after node, and `sizes` says how many belong to each
        count, node = len(sizes), np.repeat(np.arange(len(sizes)), sizes)
        in_node = csr_array((weight, sample, np.concatenate([[0], np.cumsum(sizes)])), shape=(count, len(values)))
        sums = in_node @ held
        mass, total = sums[:, -1], sums[:, -2]
        mean = total / mass
        variance = np.maximum(np.bincount(node, squares, count) / mass - mean * mean, 0.0)
        column = np.full(count, columns)
        undecided = (sizes >= 2 * min_leaf) & (variance > PURE)
        in_node.data = np.ones(len(sample))
        seen = (in_node @ encodings)[undecided]
        column[undecided] = _best_splits(sums[undecided], seen, sizes[undecided], min_leaf, rng)
        split = column < columns
        born = 2 * int(split.sum())
        children = np.repeat(first + np.arange(count)[:, None], 2, axis=1)
        children[split] = (first + count + np.arange(born)).reshape(-1, 2)
        found.append((column, children, mean, variance))
        if not born:
            break
        asked = split[node]
        node, sample, weight, squares = node[asked], sample[asked], weight[asked], squares[asked]
        below = children[node, encodings[sample, column[node]].astype(np.int64)] - (first + count)
        order = np.argsort(below, kind="stable")
        sample, weight, squares, sizes = sample[order], weight[order], squares[order], np.bincount(below)
        first, depth = first + count, depth + 1
    column, children, means, variances = (np.concatenate(part) for part in zip(*found, strict=True))
    return Trees(trees, column, children, means, variances, depth)


def _best_splits(sums: Array, right_seen: Array, sizes: Ints, min_leaf: int, rng: np.random.Generator) -> Ints:
    """The column that splits each node best, or the number of columns where none may, [nodes].

    Args:
        sums: of each node, by column, the weight and then the weighted values of the samples that have it; then the
            weighted values and the weight of all, [nodes, 2 D + 2].
        right_seen: how many samples of the node have the column, [nodes, D].
        sizes: how many there are, [nodes].
        min_leaf, rng: see `grow`.
    """
    columns = right_seen.shape[1]
    right_mass, right_total = sums[:, :columns], sums[:, columns : 2 * columns]
    left_seen, left_mass = sizes[:, None] - right_seen, sums[:, -1:] - right_mass
    left_total = sums[:, -2:-1] - right_total
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = right_total**2 / right_mass + left_total**2 / left_mass
    gain[(right_seen < min_leaf) | (left_seen < min_leaf)] = -np.inf
    best: Ints = gain.argmax(axis=1)
    greatest = gain[np.arange(len(gain)), best]
    best[np.isneginf(greatest)] = columns
    equal = gain >= (greatest - TIES * np.abs(greatest))[:, None]
    tied = (equal.sum(axis=1) > 1) & np.isfinite(greatest)
    drawn = rng.random((int(tied.sum()), columns + 1))  # one for no split, which never is the best
    best[tied] = np.where(equal[tied], drawn[:, :-1], -1.0).argmax(axis=1)
    return best


def bootstrap(trees: int, n: int, rng: np.random.Generator) -> Ints:
    """How often each tree sees each of n samples when it draws n of them, [trees, n]; draws as scikit-learn's."""
    seeds = np.random.RandomState(int(rng.integers(2**31))).randint(np.iinfo(np.int32).max, size=trees)
    one = np.random.RandomState(0)  # seeded again and again: a new one costs thirty times that
    drawn = np.empty((trees, n), dtype=np.int64)
    for row, seed in zip(drawn, seeds, strict=True):
        one.seed(seed)
        row[:] = one.randint(0, n, n, dtype=np.int32)
    drawn += np.arange(trees)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=trees * n).reshape(trees, n)


def _with_column_of_zeros(encodings: Array) -> Array:
    return np.hstack([encodings, np.zeros((len(encodings), 1))])
