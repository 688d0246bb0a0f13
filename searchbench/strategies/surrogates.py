"""Gaussian-process and forest surrogates. (Optuna's own Gaussian process competes as ``optuna:gp``.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Array, Space
from searchbench.strategies.acquisition import Predict
from searchbench.strategies.kernels import Hamming, Kernel, Matern, Range
from searchbench.strategies.trees import bootstrap, grow

LARGEST = 1e100
"""Of a value that a model is fitted to, either way: models square and sum them."""

PLACES = 32
"""Where a number that stands beside options may be split, at most."""


def finite(values: Array) -> Array:
    """Values [n] as models are fitted to them: what is not finite as the worst of the others, of which there is one at
    least, and what lies beyond `LARGEST` as that."""
    found: Array = np.where(np.isfinite(values), values, values[np.isfinite(values)].max())
    return found.clip(-LARGEST, LARGEST)


class LiveSurrogate(Protocol):
    """A surrogate within one run."""

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        """Fitted to `encodings` [n, D] and `values` [n]."""


@runtime_checkable
class Surrogate(Protocol):
    """A frozen description of a surrogate."""

    def start(self, space: Space) -> LiveSurrogate: ...


@dataclass(frozen=True, slots=True)
class Forest:
    """A random forest (or extremely randomised trees): mean of the trees; variance = mean of the leaves' variances
    + variance of the trees' means.

    Raises:
        StudyError: a value is not positive.

    Source: Hutter et al. 2014, section 4.3.2; defaults of scikit-optimize.
    Differs: where every decision is categorical, all trees are grown at once; the law is the same, equal splits are
        drawn by another generator. A number that an encoding has beside them is split at one of `PLACES` places.
    """

    trees: int = 100
    min_leaf: int = 3
    extremely_random: bool = False

    def __post_init__(self) -> None:
        for name in ("trees", "min_leaf"):
            if not getattr(self, name) > 0:
                raise StudyError(f"a forest's `{name}` must be positive, but got {getattr(self, name)!r}.")

    def start(self, space: Space) -> LiveSurrogate:
        """Neither form keeps anything between fits."""
        categorical = all(isinstance(decision, Choice) for decision in space.decisions)
        return ForestOfOptions(self) if categorical else ForestOfNumbers(self)


@dataclass(frozen=True, slots=True)
class ForestOfOptions:
    """A forest on encodings of 0 and 1. Such a column can be split in one place only, so that extremely randomised
    trees choose as the others do, among all samples. Of a number that stands beside options, such as a proxy's rank,
    each of up to `PLACES` places where it may be split is a column."""

    settings: Forest

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        trees, n = self.settings.trees, len(values)
        everything = self.settings.extremely_random
        weights = np.ones((trees, n), dtype=np.int64) if everything else bootstrap(trees, n, rng)
        places = Places.of(encodings)
        grown = grow(places.columns(encodings), values, weights, self.settings.min_leaf, rng)

        def predict(points: Array) -> tuple[Array, Array]:
            means, variances = grown.predict(places.columns(points))
            return means, np.sqrt(variances)

        return predict


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the columns of an encoding may be split, if they hold more than options."""

    numbers: tuple[int, ...]
    """Columns that do."""
    splits: tuple[Array, ...]
    """Of each, ascending."""

    @classmethod
    def of(cls, encodings: Array) -> Places:
        """Half-way between neighbouring values, [n, D] being known; where these are many, at quantiles."""
        numbers = np.flatnonzero(~np.isin(encodings, (0.0, 1.0)).all(axis=0))
        splits = []
        for column in numbers:
            known = np.unique(encodings[:, column])
            between = (known[1:] + known[:-1]) / 2
            evenly = np.linspace(0, len(between) - 1, min(len(between), PLACES)).round().astype(int)
            splits.append(between[evenly])
        return cls(tuple(numbers.tolist()), tuple(splits))

    def columns(self, encodings: Array) -> Array:
        """The options, and of every number which of its places lie below it."""
        if not self.numbers:
            return encodings
        below = [encodings[:, [at]] > splits for at, splits in zip(self.numbers, self.splits, strict=True)]
        return np.hstack([np.delete(encodings, self.numbers, axis=1), *below])


@dataclass(frozen=True, slots=True)
class ForestOfNumbers:
    """A forest on any encodings, scikit-learn's."""

    settings: Forest

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

        kind = ExtraTreesRegressor if self.settings.extremely_random else RandomForestRegressor
        seed, min_leaf = int(rng.integers(2**31)), self.settings.min_leaf
        forest = kind(self.settings.trees, min_samples_leaf=min_leaf, random_state=seed, n_jobs=1)
        forest.fit(encodings, values)

        def predict(points: Array) -> tuple[Array, Array]:
            points = np.asarray(points, dtype=np.float32)
            leaves = [(tree.tree_, tree.tree_.apply(points)) for tree in forest.estimators_]
            means = np.array([tree.value[at, 0, 0] for tree, at in leaves])
            within = np.maximum([tree.impurity[at] for tree, at in leaves], 0.0)  # rounding leaves it at -1e-17
            return means.mean(axis=0), np.sqrt(within.mean(axis=0) + means.var(axis=0))

        return predict


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """k = amplitude x Matern 5/2 with a length scale per coordinate + noise; where every decision is categorical,
    amplitude x exp(-sum_d l_d [x_d != x'_d]) + noise (Hamming). Values are standardised. The deviation it predicts is
    that of the function, without the noise of a measurement: another look at the same point improves nothing.

    Hyper-parameters maximise the marginal likelihood, from where they last stood and from `restarts` random points,
    whenever the data have grown by `growth`; in between they stay.

    Raises:
        StudyError: a value is out of range.

    Source: Rasmussen & Williams 2006; kernels, bounds and restarts of scikit-optimize.
    Differs: scikit-optimize fits the hyper-parameters anew after every evaluation (`growth` = 0 here); its Hamming
        weights range from 1e-5 to 1e5, ours from 1e-3 to 10, beyond which a decision changes nothing, or everything.
    """

    restarts: int = 2
    growth: float = 0.1

    def __post_init__(self) -> None:
        if self.restarts < 0 or not self.growth >= 0:
            raise StudyError(f"`restarts` and `growth` must not be negative, got {self.restarts}, {self.growth}.")

    def start(self, space: Space) -> LiveProcess:
        return LiveProcess(self, all(isinstance(decision, Choice) for decision in space.decisions), space)


class LiveProcess:
    """`GaussianProcess` within one run: remembers the hyper-parameters, and at how many values they were fitted."""

    def __init__(self, settings: GaussianProcess, categorical: bool, space: Space) -> None:
        self._settings = settings
        widths = tuple(decision.width for decision in space.decisions)
        shape = Hamming(widths) if categorical else Matern(sum(widths))
        self._kernel = Kernel(shape, amplitude=Range(1.0, 0.01, 1000.0), noise=Range(1.0, 1e-5, 100.0))
        self._theta = self._kernel.first
        self._fitted_at = 0.0

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        mean, scale = float(values.mean()), float(values.std()) or 1.0
        targets, seed = (values - mean) / scale, int(rng.integers(2**31))
        if len(values) >= self._fitted_at * (1 + self._settings.growth):
            self._theta = self._kernel.likeliest(encodings, targets, self._theta, self._settings.restarts, seed)
            self._fitted_at = len(values)
        posterior = self._kernel.posterior(encodings, targets, self._theta)

        def predict(points: Array) -> tuple[Array, Array]:
            means, deviations = posterior.at(points)
            return mean + scale * means, scale * deviations

        return predict
