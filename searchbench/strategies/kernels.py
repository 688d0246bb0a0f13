"""Gaussian processes over encoded architectures: k = amplitude x shape(x, x') + noise, its likelihood, its posterior.

scikit-learn's regressor, its optimiser and its restarts, without what an interface for any kernel costs: distances of
the data are taken once per fit, and only those of pairs i < j.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dlauum, dpotrf, dpotrs, dtrtri
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from searchbench.spaces.space import Array

Positions = npt.NDArray[np.int64]
JITTER = 1e-10
"""Added to the diagonal besides the noise."""
NUMBERED = 12
"""Decisions whose 2^d ways of differing are fewer than the pairs of a hundred points."""
BLOCK = 48
"""Rows of a triangle up to which LAPACK's inverse, which takes no blocks here, is the quickest."""


class Range(NamedTuple):
    """A positive hyper-parameter: where it begins and between what it stays."""

    first: float
    low: float
    high: float


WEIGHTS, LENGTHS = Range(1.0, 1e-3, 10.0), Range(1.0, 0.01, 100.0)
SQUARES, FORGETTING = Range(1.0, 1e-3, 1e3), Range(0.05, 5e-6, 0.35)
"""Of `TimeVarying`; what it forgets is e = 0.1 first, and between 1e-5 and 0.5."""


class Shape(Protocol):
    """A correlation of encodings, 1 at no distance, with hyper-parameters theta [d] on a log scale."""

    @property
    def ranges(self) -> Sequence[Range]:
        """Range of every hyper-parameter, [d]."""

    def rows(self, encodings: Array) -> Array:
        """What it compares, a row per encoding."""

    def matrix(self, left: Array, right: Array, theta: Array) -> Array:
        """Correlations of rows [n, D] with rows [m, D], [n, m]."""

    def parts(self, rows: Array, first: Positions, second: Positions) -> Array:
        """Distances per hyper-parameter of the rows at positions `first` and `second`, [pairs, d]."""

    def kinds(self, parts: Array) -> Positions | None:
        """A number for every pair, [pairs], equal where all its parts are; None where hardly two pairs are alike."""

    def of_parts(self, parts: Array, theta: Array) -> tuple[Array, Array, Array]:
        """Correlations of the pairs, [pairs], and what makes its slope along theta_d: s [pairs] and c [d], of which
        s x parts_d x c_d is the slope."""


@dataclass(frozen=True)
class Hamming:
    """exp(-sum_d w_d [x_d != x'_d]) over one-hot encoded decisions of `groups` options each; theta = log w. What is
    inactive on both sides is equal."""

    groups: tuple[int, ...]
    weights: Range = WEIGHTS

    @property
    def ranges(self) -> Sequence[Range]:
        return (self.weights,) * len(self.groups)

    @cached_property
    def _of_column(self) -> Array:
        """The decision of each column of the rows: those of the encoding, then inactivity, one a decision."""
        decisions = np.arange(len(self.groups))
        return np.concatenate([decisions.repeat(self.groups), decisions])

    def rows(self, encodings: Array) -> Array:
        starts = np.cumsum((0, *self.groups[:-1]))
        return np.hstack([encodings, 1.0 - np.add.reduceat(encodings, starts, axis=1)])

    def matrix(self, left: Array, right: Array, theta: Array) -> Array:
        weights = np.exp(theta)
        alike = (left * weights[self._of_column]) @ right.T
        alike -= weights.sum()
        found: Array = np.exp(np.minimum(alike, 0.0, out=alike), out=alike)
        return found

    def parts(self, rows: Array, first: Positions, second: Positions) -> Array:
        options = np.array([rows[:, self._of_column == at].argmax(1) for at in range(len(self.groups))])
        return np.array([one[first] != one[second] for one in options], dtype=np.float64).T

    def kinds(self, parts: Array) -> Positions | None:
        if len(self.groups) > NUMBERED:
            return None
        numbers: Positions = (parts @ 2.0 ** np.arange(len(self.groups))).astype(np.int64)
        return numbers

    def of_parts(self, parts: Array, theta: Array) -> tuple[Array, Array, Array]:
        weights = np.exp(theta)
        correlations = np.exp(-(parts @ weights))
        return correlations, -correlations, weights


@dataclass(frozen=True)
class Matern:
    """(1 + t + t^2 / 3) exp(-t), t^2 = 5 sum_d ((x_d - x'_d) / l_d)^2: Matern 5/2; theta = log l."""

    dimensions: int
    lengths: Range = LENGTHS

    @property
    def ranges(self) -> Sequence[Range]:
        return (self.lengths,) * self.dimensions

    def rows(self, encodings: Array) -> Array:
        return encodings

    def matrix(self, left: Array, right: Array, theta: Array) -> Array:
        lengths = np.exp(theta)
        return self._of(np.sqrt(5.0) * cdist(left / lengths, right / lengths))

    def parts(self, rows: Array, first: Positions, second: Positions) -> Array:
        squares: Array = (rows[first] - rows[second]) ** 2
        return squares

    def kinds(self, parts: Array) -> Positions | None:
        return None

    def of_parts(self, parts: Array, theta: Array) -> tuple[Array, Array, Array]:
        weights = np.exp(-2.0 * theta)
        t = np.sqrt(5.0 * (parts @ weights))
        return self._of(t), 5.0 / 3.0 * (1.0 + t) * np.exp(-t), weights

    @staticmethod
    def _of(t: Array) -> Array:
        found: Array = (1.0 + t + t * t / 3.0) * np.exp(-t)
        return found


@dataclass(frozen=True)
class TimeVarying:
    """exp(-w sum_d (x_d - x'_d)^2) (1 - e)^(|t - t'| / 2) over rows (t, x_1, …, x_D): what was seen long ago says less;
    theta = (log w, log of -log(1 - e) / 2).

    Source: Bogunovic et al. 2016, section 2, with a squared exponential in the place of k.
    """

    weight: Range = SQUARES
    forgetting: Range = FORGETTING

    @property
    def ranges(self) -> Sequence[Range]:
        return (self.weight, self.forgetting)

    def rows(self, encodings: Array) -> Array:
        return encodings

    def matrix(self, left: Array, right: Array, theta: Array) -> Array:
        squares = cdist(left[:, 1:], right[:, 1:], "sqeuclidean")
        apart = np.abs(left[:, :1] - right[:, 0])
        weights = np.exp(theta)
        found: Array = np.exp(-(weights[0] * squares + weights[1] * apart))
        return found

    def parts(self, rows: Array, first: Positions, second: Positions) -> Array:
        squares = ((rows[first, 1:] - rows[second, 1:]) ** 2).sum(axis=1)
        return np.column_stack([squares, np.abs(rows[first, 0] - rows[second, 0])])

    def kinds(self, parts: Array) -> Positions | None:
        return None

    def of_parts(self, parts: Array, theta: Array) -> tuple[Array, Array, Array]:
        weights = np.exp(theta)
        correlations = np.exp(-(parts @ weights))
        return correlations, -correlations, weights


@dataclass(frozen=True)
class Kernel:
    """amplitude x shape + noise; hyper-parameters theta = (log amplitude, those of the shape, log noise)."""

    shape: Shape
    amplitude: Range
    noise: Range

    @property
    def _ranges(self) -> tuple[Range, ...]:
        return (self.amplitude, *self.shape.ranges, self.noise)

    @property
    def first(self) -> Array:
        """Where the hyper-parameters begin."""
        return np.log([one.first for one in self._ranges])

    @property
    def bounds(self) -> Array:
        """[1 + d + 1, 2]."""
        return np.log([(one.low, one.high) for one in self._ranges])

    def likeliest(self, encodings: Array, targets: Array, start: Array, restarts: int, seed: int) -> Array:
        """The hyper-parameters of the greatest marginal likelihood that L-BFGS finds from `start` and from `restarts`
        uniform draws within the bounds (on the log scale)."""
        likelihood = Likelihood(self, encodings, targets)
        low, high = self.bounds.T
        drawn = np.random.RandomState(seed).uniform(low, high, (restarts, len(low)))
        ends = [
            minimize(likelihood.descended, begin, method="L-BFGS-B", jac=True, bounds=self.bounds)
            for begin in (start, *drawn)
        ]
        found: Array = min(ends, key=lambda end: float(end.fun)).x
        return found

    def posterior(self, encodings: Array, targets: Array, theta: Array) -> Posterior:
        """What is known of the function, its noise left out, once `targets` [n] were seen at `encodings` [n, D]."""
        rows = self.shape.rows(encodings)
        matrix = math.exp(theta[0]) * self.shape.matrix(rows, rows, theta[1:-1])
        matrix[np.diag_indices(len(rows))] += math.exp(theta[-1]) + JITTER
        root, fault = dpotrf(np.asfortranarray(matrix), lower=1, overwrite_a=1)
        if fault:
            raise np.linalg.LinAlgError("the kernel's matrix is not positive definite.")
        weights, _ = dpotrs(root, targets, lower=1)
        return Posterior(self.shape, theta, rows, root, weights)


class Likelihood:
    """The marginal likelihood of fixed data as a function of the hyper-parameters."""

    def __init__(self, kernel: Kernel, encodings: Array, targets: Array) -> None:
        self._shape, self._targets, n = kernel.shape, targets, len(targets)
        second, first = np.triu_indices(n, 1)
        parts = kernel.shape.parts(kernel.shape.rows(encodings), first, second)
        kinds = kernel.shape.kinds(parts)
        self._counts = self._starts = None
        if kinds is not None:  # pairs of a kind one after the other, and computed once
            order = np.argsort(kinds, kind="stable")
            _, self._starts, self._counts = np.unique(kinds[order], return_index=True, return_counts=True)
            first, second, parts = first[order], second[order], parts[order[self._starts]]
        self._parts, self._pairs = parts, (first, second)
        self._below = first + second * n
        """Of every pair, in a matrix of column after column."""

    def descended(self, theta: Array) -> tuple[float, Array]:
        """Minus its logarithm, and the gradient of that."""
        n, amplitude, noise = len(self._targets), math.exp(theta[0]), math.exp(theta[-1])
        correlations, slope, scale = self._shape.of_parts(self._parts, theta[1:-1])
        matrix = np.empty((n, n), order="F")
        columns = matrix.reshape(-1, order="F")
        columns[self._below] = self._of_pairs(amplitude * correlations)
        columns[:: n + 1] = amplitude + noise + JITTER
        root, fault = dpotrf(matrix, lower=1, overwrite_a=1)  # which reads nothing above the diagonal, and clears it
        if fault:
            return math.inf, np.zeros_like(theta)
        weights, _ = dpotrs(root, self._targets, lower=1)
        value = 0.5 * self._targets @ weights + np.log(root.diagonal()).sum() + 0.5 * n * math.log(2 * math.pi)
        inverse, _ = dlauum(inverted(root), lower=1, overwrite_c=1)
        first, second = self._pairs
        pull = self._of_kinds(weights.take(first) * weights.take(second) - inverse.reshape(-1, order="F")[self._below])
        on_diagonal = 0.5 * float(weights @ weights - np.trace(inverse))
        gradient = np.empty_like(theta)
        gradient[0] = amplitude * (float(pull @ correlations) + on_diagonal)
        gradient[1:-1] = amplitude * scale * ((pull * slope) @ self._parts)
        gradient[-1] = noise * on_diagonal
        return float(value), -gradient

    def _of_pairs(self, of_kinds: Array) -> Array:
        """[pairs] from a number for each kind."""
        return of_kinds if self._counts is None else of_kinds.repeat(self._counts)

    def _of_kinds(self, of_pairs: Array) -> Array:
        """Sums over the pairs of each kind."""
        return of_pairs if self._starts is None else np.add.reduceat(of_pairs, self._starts)


def inverted(root: Array) -> Array:
    """The inverse of a lower triangular matrix [n, n] with nothing above its diagonal, by halves: so most of it are
    products of whole matrices."""
    n = len(root)
    if n <= BLOCK:
        found: Array = dtrtri(root, lower=1)[0]
        return found
    half = n // 2
    first, last = inverted(root[:half, :half]), inverted(root[half:, half:])
    whole = np.zeros((n, n), order="F")
    whole[:half, :half], whole[half:, half:] = first, last
    whole[half:, :half] = -(last @ (root[half:, :half] @ first))
    return whole


@dataclass(frozen=True, eq=False)
class Posterior:
    """A Gaussian process that has seen data."""

    shape: Shape
    theta: Array
    rows: Array
    """[n, D]."""
    root: Array
    """[n, n], Cholesky's factor of the kernel's matrix, below the diagonal."""
    weights: Array
    """[n], that matrix's inverse times the targets."""

    def at(self, encodings: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the function, [m] each."""
        cross = self._cross(self.shape.rows(encodings))
        variance = math.exp(self.theta[0]) - np.einsum("nm,nm->m", *[self._whitened(cross)] * 2)
        return cross @ self.weights, np.sqrt(np.maximum(variance, 0.0))

    def jointly(self, encodings: Array) -> tuple[Array, Array]:
        """Mean [m] and covariance [m, m] of the function."""
        rows = self.shape.rows(encodings)
        cross = self._cross(rows)
        spread = self._whitened(cross)
        covariance = math.exp(self.theta[0]) * self.shape.matrix(rows, rows, self.theta[1:-1]) - spread.T @ spread
        return cross @ self.weights, covariance

    def _cross(self, rows: Array) -> Array:
        return math.exp(self.theta[0]) * self.shape.matrix(rows, self.rows, self.theta[1:-1])

    def _whitened(self, cross: Array) -> Array:
        """[n, m]."""
        found: Array = dtrsm(1.0, self.root, cross.T, lower=1)
        return found
