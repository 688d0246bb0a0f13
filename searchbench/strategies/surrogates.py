"""Gaussian-process and forest surrogates, on scikit-learn.

scikit-learn's regressors are what scikit-optimize builds on; they are maintained, deterministic given a seed, and a
dependency of the package already. (Optuna's own Gaussian process competes as ``optuna:gp``.)
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Array, Space
from searchbench.strategies.acquisition import Predict


class LiveSurrogate(Protocol):
    """A surrogate within one run."""

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        """Fitted to `encodings` [n, D] and `values` [n]."""


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
    Differs: nothing.
    """

    trees: int = 100
    min_leaf: int = 3
    extremely_random: bool = False

    def __post_init__(self) -> None:
        for name in ("trees", "min_leaf"):
            if not getattr(self, name) > 0:
                raise StudyError(f"a forest's `{name}` must be positive, but got {getattr(self, name)!r}.")

    def start(self, space: Space) -> Forest:
        """It keeps nothing between fits."""
        return self

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

        kind = ExtraTreesRegressor if self.extremely_random else RandomForestRegressor
        forest = kind(self.trees, min_samples_leaf=self.min_leaf, random_state=int(rng.integers(2**31)), n_jobs=1)
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
        self._groups = [decision.width for decision in space.decisions] if categorical else None
        self._kernel: Any = None
        self._fitted_at = 0.0

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        from sklearn.base import clone
        from sklearn.gaussian_process import GaussianProcessRegressor

        if self._kernel is None:
            self._kernel = _kernel(encodings.shape[1], self._groups)
        due = len(values) >= self._fitted_at * (1 + self._settings.growth)
        process = GaussianProcessRegressor(
            self._kernel,
            alpha=1e-10,
            optimizer="fmin_l_bfgs_b" if due else None,
            n_restarts_optimizer=self._settings.restarts if due else 0,
            normalize_y=True,
            random_state=int(rng.integers(2**31)),
        )
        with warnings.catch_warnings():  # a hyper-parameter at its bound is no fault
            warnings.simplefilter("ignore")
            process.fit(encodings, values)
        if due:
            self._kernel, self._fitted_at = clone(process.kernel_), len(values)
        process.kernel_.set_params(k2__noise_level=0.0)  # it has entered the weights of the data, and ends there

        def predict(points: Array) -> tuple[Array, Array]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mean, std = process.predict(points, return_std=True)
            return mean, std

        return predict


def _kernel(dimensions: int, groups: list[int] | None) -> Any:
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    amplitude = ConstantKernel(1.0, (0.01, 1000.0))
    if groups is None:
        shape = Matern(np.ones(dimensions), (0.01, 100.0), nu=2.5)
    else:
        shape = hamming()(tuple(groups), np.ones(len(groups)))
    return amplitude * shape + WhiteKernel(1.0, (1e-5, 1e2))


@functools.cache
def hamming() -> Any:
    """The Hamming kernel, a class of scikit-learn's kernel interface (made when first used: its import is slow)."""
    from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

    class Hamming(Kernel):  # type: ignore[misc]
        """exp(-sum_d weight_d [x_d != x'_d]) over one-hot encoded decisions of `groups` options each."""

        def __init__(
            self, groups: tuple[int, ...], weights: Array, weights_bounds: tuple[float, float] = (1e-3, 10.0)
        ) -> None:
            self.groups, self.weights, self.weights_bounds = groups, weights, weights_bounds

        @property
        def hyperparameter_weights(self) -> Any:
            return Hyperparameter("weights", "numeric", self.weights_bounds, len(self.groups))

        def __call__(self, X: Array, Y: Array | None = None, eval_gradient: bool = False) -> Any:
            at = np.cumsum((0, *self.groups[:-1]))
            left = np.add.reduceat(X * np.arange(X.shape[1]), at, axis=1)
            right = left if Y is None else np.add.reduceat(Y * np.arange(X.shape[1]), at, axis=1)
            active = np.add.reduceat(X, at, axis=1)
            other = active if Y is None else np.add.reduceat(Y, at, axis=1)
            unequal = (left[:, None] != right) | (active[:, None] != other)
            kernel = np.exp(-(unequal @ self.weights))
            if not eval_gradient:
                return kernel
            return kernel, -kernel[:, :, None] * unequal * self.weights

        def diag(self, X: Array) -> Array:
            return np.ones(len(X))

        def is_stationary(self) -> bool:
            return True

    return Hamming
