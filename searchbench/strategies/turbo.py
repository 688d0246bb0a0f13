"""TuRBO: Bayesian optimisation within a box around the best, which grows with success and shrinks with failure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Architecture, Array
from searchbench.strategies.adapters.flat import not_flat
from searchbench.strategies.densities import from_unit, to_unit
from searchbench.strategies.kernels import Kernel, Matern, Posterior, Range
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.surrogates import finite
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial

SMALLEST, FIRST, LARGEST = 0.5**7, 0.8, 1.6
"""Sides of the trust region, on the scale from 0 to 1."""
CANDIDATES = 2000


@dataclass(frozen=True, slots=True)
class Turbo:
    """A Gaussian process of what was measured since the last restart; the next point is the least of a draw from it
    among candidates in a box around the best.

    box: centre +- w_d L / 2, w the length scales over their mean, scaled to a product of 1, within [0, 1]
    candidate: the centre, each coordinate with probability min(20 / D, 1) a uniform draw of the box, one at least
    L doubles after `successes` improvements on end (by more than a thousandth of the best), to 1.6 at most, and halves
    after max(4, D) results on end that are none; below 1/128 all begins anew

    Args:
        initial: random designs after every restart, the first ones of the common stream.
        successes: improvements on end until the box grows.
        restarts: of the fit of the hyper-parameters, besides where they last stood.

    Raises:
        StudyError: a value is out of range.

    Source: Eriksson et al. 2019, "Scalable global optimization via local Bayesian optimization", TuRBO-1, and the
        released code.
    Differs: results count one by one, whatever is under way (a batch of one); uniform candidates, 100 D and 2,000 at
        most, for its Sobol ones; the draw is of the function, there of measurements with their noise; uniform designs,
        there 2 D of a Latin hypercube; hyper-parameters by L-BFGS on the marginal likelihood (there 50 steps of Adam),
        refitted with every tenth of the data. A failed evaluation counts as the worst value since the restart. For
        numbers only.
    """

    initial: int = 10
    successes: int = 3
    restarts: int = 0

    def __post_init__(self) -> None:
        for name, least in (("initial", 2), ("successes", 1), ("restarts", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise StudyError(f"`{name}` must be an integer of at least {least}, but got {value!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        space = scenario.space
        if any(isinstance(decision, Choice) for decision in space.decisions):
            return f"its box is one of numbers, and space `{space.name}` has categories."
        return not_flat(space, "turbo")

    def start(self, scenario: Scenario) -> TrustRegion:
        return TrustRegion(self, scenario)


@dataclass(slots=True)
class Box:
    """The side of the trust region, and what it has seen on end."""

    dimensions: int
    successes: int
    side: float = FIRST
    improved: int = 0
    failed: int = 0

    def saw(self, value: float, best: float) -> None:
        """A value, and the best before it."""
        if value < best - 1e-3 * abs(best):
            self.improved, self.failed = self.improved + 1, 0
        else:
            self.improved, self.failed = 0, self.failed + 1
        if self.improved == self.successes:
            self.side, self.improved = min(2 * self.side, LARGEST), 0
        elif self.failed == max(4, self.dimensions):
            self.side, self.failed = self.side / 2, 0

    @property
    def over(self) -> bool:
        return self.side < SMALLEST


def within(centre: Array, scales: Array, side: float) -> tuple[Array, Array]:
    """The box around `centre` [D] for length scales [D], clipped to [0, 1]: its lower and upper corner."""
    weights = scales / scales.mean()
    weights = weights / np.exp(np.log(weights).mean())
    return np.clip(centre - weights * side / 2, 0, 1), np.clip(centre + weights * side / 2, 0, 1)


def perturbed(centre: Array, low: Array, high: Array, count: int, rng: np.random.Generator) -> Array:
    """[count, D]: the centre, some coordinates of which are drawn from the box, one at least."""
    dimensions = len(centre)
    moved = rng.random((count, dimensions)) < min(20 / dimensions, 1.0)
    still = ~moved.any(axis=1)
    moved[still, rng.integers(dimensions, size=int(still.sum()))] = True
    return np.where(moved, low + rng.random((count, dimensions)) * (high - low), centre)


class TrustRegion:
    """The live search. Any number of proposals may be under way."""

    def __init__(self, settings: Turbo, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._designs, self._rng = scenario.seeds.rng("init"), scenario.seeds.rng("search")
        self._asked: UnderWay[int] = UnderWay()
        self.regions = 0
        """Restarts so far."""
        shape = Matern(len(self._space.decisions), Range(0.5, 0.005, 2.0))
        self._kernel = Kernel(shape, amplitude=Range(1.0, 0.05, 20.0), noise=Range(0.005, 5e-4, 0.2))
        self._begin()

    def _begin(self) -> None:
        self.box = Box(len(self._space.decisions), self._settings.successes)
        self._designed = 0
        self._points: list[Array] = []
        self._values: list[float] = []
        self._theta = self._kernel.first
        self._fitted_at = 0

    def ask(self) -> Proposal:
        known = any(math.isfinite(value) for value in self._values)
        if self._designed < self._settings.initial or not known:
            self._designed += 1
            architecture = self._space.sample(self._designs)
        else:
            architecture = self._architecture(self._next())
        return self._asked.add(Proposal(architecture), self.regions)

    def _next(self) -> Array:
        points, values = np.array(self._points), self._finite()
        process = self._fit(points, values)
        low, high = within(points[values.argmin()], np.exp(self._theta[1:-1]), self.box.side)
        count = min(100 * len(low), CANDIDATES)
        candidates = perturbed(points[values.argmin()], low, high, count, self._rng)
        mean, covariance = process.jointly(candidates)
        covariance[np.diag_indices(count)] += 1e-6
        drawn = mean + np.linalg.cholesky(covariance) @ self._rng.standard_normal(count)
        found: Array = candidates[int(drawn.argmin())]
        return found

    def _finite(self) -> Array:
        return finite(np.array(self._values))

    def _fit(self, points: Array, values: Array) -> Posterior:
        seed, spread = int(self._rng.integers(2**31)), values.std()
        targets = (values - np.median(values)) / (spread if spread > 0 else 1.0)
        if len(values) >= 1.1 * self._fitted_at:
            self._theta = self._kernel.likeliest(points, targets, self._theta, self._settings.restarts, seed)
            self._fitted_at = len(values)
        return self._kernel.posterior(points, targets, self._theta)

    def _unit(self, architecture: Architecture) -> Array:
        return np.array([to_unit(d, v) for d, v in zip(self._space.decisions, architecture.values, strict=True)])

    def _architecture(self, point: Array) -> Architecture:
        pairs = zip(self._space.decisions, point.tolist(), strict=True)
        return self._space.architecture(tuple(from_unit(decision, unit) for decision, unit in pairs))

    def tell(self, trial: Trial) -> None:
        if self._asked.take(trial) != self.regions:  # of a region that was given up
            return
        value = math.inf if trial.failed else trial.value
        if len(self._values) >= self._settings.initial and any(map(math.isfinite, self._values)):
            self.box.saw(value, min(self._values))
        self._points.append(self._unit(trial.architecture))
        self._values.append(value)
        if self.box.over:
            self.regions += 1
            self._begin()
