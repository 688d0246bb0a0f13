"""A Gaussian process over graphs of operations, compared by the Weisfeiler-Lehman kernel."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.acquisition import Acquisition, ExpectedImprovement, Predict
from searchbench.strategies.model_based import ModelBased, RandomAndNear
from searchbench.strategies.strategy import Scenario

BUCKETS = 1024
"""Into which the labels of each height are counted."""
NOISES = (1e-6, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0)
"""Of which the most likely is taken, relative to the kernel's amplitude."""


@dataclass(frozen=True, slots=True)
class SubgraphCounts:
    """How often each label stands in an architecture's graph after 0, 1 … `height` rounds of Weisfeiler-Lehman,
    [(height + 1) x BUCKETS]: rooted subtrees of ever greater depth.

    Labels are counted in buckets; two that meet in one are taken for the same.

    Raises:
        StudyError: `height` is negative.
    """

    height: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.height, int) or self.height < 0:
            raise StudyError(f"`height` must be a non-negative integer, but got {self.height!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return graphless(scenario.space)

    def of(self, space: Space, architecture: Architecture) -> Array:
        assert space.graph is not None, "refused when the study is planned"
        counts = np.zeros((self.height + 1, BUCKETS))
        for row, labels in zip(counts, space.graph(architecture).refinements(self.height), strict=True):
            for label in labels:
                row[_bucket(label)] += 1
        return counts.ravel()


def graphless(space: Space) -> str | None:
    """Why architectures of a space cannot be compared as graphs, or None."""
    return None if space.graph else f"it compares graphs of operations, and architectures of `{space.name}` have none."


def _bucket(label: str) -> int:
    return int.from_bytes(hashlib.blake2b(label.encode(), digest_size=4).digest(), "big") % BUCKETS


@dataclass(frozen=True, slots=True)
class GraphProcess:
    """k(G, G') = amplitude x kappa(G, G') / sqrt(kappa(G, G) kappa(G', G')) + noise, kappa = the sum over the heights
    0 … H of the dot products of label counts. Values are standardised; the deviation is that of the function.

    H, the noise and the amplitude are those of the greatest marginal likelihood: the amplitude in closed form, the
    others out of a few.

    Source: Ru et al. 2021, "Interpretable neural architecture search via Bayesian optimisation with Weisfeiler-Lehman
        kernels" (NAS-BOWL), section 3.1; Shervashidze et al. 2011.
    Differs: the noise is chosen from a grid, where the released code descends to it.
    """

    def start(self, space: Space) -> GraphProcess:
        """It keeps nothing between fits."""
        return self

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        mean, scale = float(values.mean()), float(values.std()) or 1.0
        targets = (values - mean) / scale
        heights = encodings.shape[1] // BUCKETS
        fits = [_fitted(_unit(encodings, h), targets, noise) for h in range(heights) for noise in NOISES]
        best = max(fits, key=lambda fit: fit.likelihood)
        height = fits.index(best) // len(NOISES)

        def predict(points: Array) -> tuple[Array, Array]:
            cross = _unit(points, height) @ best.rows.T
            spread = solve_triangular(best.root, cross.T, lower=True)
            variance = best.amplitude * np.maximum((_unit(points, height) ** 2).sum(1) - (spread**2).sum(0), 0.0)
            return mean + scale * (cross @ best.weights), scale * np.sqrt(variance)

        return predict


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    rows: Array
    root: Array
    """[n, n], Cholesky's factor of kernel + noise, the amplitude left out."""
    weights: Array
    amplitude: float
    likelihood: float


def _fitted(rows: Array, targets: Array, noise: float) -> _Fit:
    root = cholesky(rows @ rows.T + (noise + 1e-10) * np.eye(len(rows)), lower=True)
    weights = cho_solve((root, True), targets)
    amplitude = max(float(targets @ weights) / len(targets), 1e-12)
    likelihood = -0.5 * len(targets) * math.log(amplitude) - float(np.log(np.diag(root)).sum())
    return _Fit(rows, root, weights, amplitude, likelihood)


def _unit(encodings: Array, height: int) -> Array:
    """Counts up to a height, scaled to length 1; those of an empty graph stay 0."""
    counts: Array = encodings[:, : (height + 1) * BUCKETS]
    lengths = np.linalg.norm(counts, axis=1, keepdims=True)
    return counts / np.where(lengths > 0, lengths, 1.0)


def nas_bowl(
    initial: int = 10, batch: int = 5, height: int = 2, candidates: int = 200, acquisition: Acquisition | None = None
) -> ModelBased:
    """Bayesian optimisation over graphs: a Gaussian process with the Weisfeiler-Lehman kernel, expected improvement
    among random cells and mutants of the best.

    Args:
        initial: random designs.
        batch: measured per fit.
        height: greatest depth of the subtrees that are compared.
        candidates: half of them random, half mutants of the ten best.
        acquisition: another one, to ablate.

    Raises:
        StudyError: a value is out of range.

    Source: Ru, Wan, Dong & Osborne 2021, "Interpretable neural architecture search via Bayesian optimisation with
        Weisfeiler-Lehman kernels", Algorithm 1.
    Differs: skip connections are operations with a label, where the paper takes them out of the graph; mutants change
        one decision. NASBOT (Kandasamy et al. 2018) and Auto-Keras (Jin et al. 2019) compare whole networks by optimal
        transport and by edit distances; here the kernel is this one, of cells.
    """
    half = candidates // 2
    return ModelBased(
        GraphProcess(),
        acquisition or ExpectedImprovement(),
        RandomAndNear(candidates - half, half, 10),
        SubgraphCounts(height),
        initial,
        batch,
    )
