"""Population-based bandits: settings of copied trainings, chosen by a Gaussian process over what intervals gained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.adapters.flat import not_flat
from searchbench.strategies.densities import from_unit, to_unit
from searchbench.strategies.kernels import Kernel, Range, TimeVarying
from searchbench.strategies.pbt import Gained, PopulationBased, ReachedInterval

CANDIDATES = 2000
KEPT = 1000
"""Gains that the process sees, the latest."""
LEAST = 2
"""Gains of which there must be a process."""


@dataclass(frozen=True, slots=True)
class Bandit:
    """Upper confidence bounds on what an interval gains, of a Gaussian process that forgets.

    x = (t, value before the interval, setting), y = fall of the value per interval, standardised and clipped to [-2, 2]
    k(x, x') = amplitude exp(-w |x - x'|^2) (1 - e)^(|t - t'| / 2) + noise, t apart from the rest of x
    next setting = argmax mean(x) + sqrt(beta) std(x), at the t and value of what was copied
    beta = 0.2 + max(0, log 0.4 n), n the gains that are known

    The deviation is that of a process which has also seen what is under way, at whatever value: it depends on where one
    looked, not on what one saw.

    Args:
        restarts: of the fit of the hyper-parameters, besides where they last stood.

    Raises:
        StudyError: a value is out of range.
    """

    restarts: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.restarts, int) or isinstance(self.restarts, bool) or self.restarts < 0:
            raise StudyError(f"`restarts` must be a non-negative integer, but got {self.restarts!r}.")

    def unsupported(self, setting: Space) -> str | None:
        """Why these hyper-parameters cannot be explored: its process is one of numbers without conditions."""
        odd = [decision.name for decision in setting.decisions if isinstance(decision, Choice)]
        if odd:
            return f"its process is one over numbers, and `{odd[0]}` is a category; pbt takes categories"
        return not_flat(setting, "pb2")

    def start(self, setting: Space, rng: np.random.Generator) -> BanditExplorer:
        return BanditExplorer(self, setting, rng)


def pb2(
    population: int | None = None,
    ready: int = 1,
    quantile: float = 0.2,
    restarts: int = 1,
    synchronous: bool = False,
) -> PopulationBased:
    """Population-based bandits: `PopulationBased` whose settings are chosen by `Bandit`.

    Args:
        population, ready, quantile, synchronous: see `PopulationBased`.
        restarts: see `Bandit`.

    Raises:
        StudyError: a value is out of range.

    Source: Parker-Holder, Nguyen & Roberts 2020, "Provably Efficient Online Hyperparameter Optimization with
        Population-Based Bandits", Algorithm 1; beta, what is standardised, and the value before an interval as part of
        x, as in the authors' code in Ray Tune.
    Differs: as `pbt`. Time is counted in intervals (Ray Tune scales it to [0, 1], where all is forgotten alike) and the
        bound takes the deviation, as the paper (Ray Tune the variance). The bound is maximised over 2,000 uniform
        settings, there by L-BFGS from ten. A noise is fitted, there none. While fewer than two gains are known,
        settings are drawn; first intervals, which begin with no value, are no gains. Numbers only, on their own scales.
    """
    return PopulationBased(population, ready, quantile, Bandit(restarts), synchronous)


class BanditExplorer:
    """The live explorer."""

    def __init__(self, settings: Bandit, setting: Space, rng: np.random.Generator) -> None:
        self._settings, self._setting, self._rng = settings, setting, rng
        self._kernel = Kernel(TimeVarying(), amplitude=Range(1.0, 0.01, 100.0), noise=Range(0.01, 1e-6, 1.0))
        self._theta, self._fitted_at = self._kernel.first, 0
        self.gains: list[Gained] = []

    def learn(self, gained: Gained) -> None:
        if math.isfinite(gained.gain):
            self.gains.append(gained)

    def explore(self, copied: ReachedInterval, under_way: Sequence[Architecture]) -> Architecture:
        if len(self.gains) < LEAST:
            return self._setting.sample(self._rng)
        candidates = self._rng.random((CANDIDATES, len(self._setting.decisions)))
        best = int(self.bounds(candidates, copied, under_way).argmax())
        return self._at(candidates[best])

    def bounds(self, candidates: Array, copied: ReachedInterval, under_way: Sequence[Architecture]) -> Array:
        """Upper confidence bounds of settings [m, D] in [0, 1] for what has been copied: [m]."""
        seen = self.gains[-KEPT:]
        before = np.array([gained.before for gained in seen])
        low, width = before.min(), (before.max() - before.min()) or 1.0

        def rows(after: float | Array, value: float | Array, settings: Array) -> Array:
            at = np.broadcast_to((np.asarray(value) - low) / width, len(settings))
            return np.column_stack([np.broadcast_to(after, len(settings)), at, settings])

        known = rows(np.array([float(g.after) for g in seen]), before, self._units([g.setting for g in seen]))
        targets = _standardised(np.array([g.gain for g in seen]))
        self._fit(known, targets)
        here = float(len(copied.settings)), copied.value
        points = rows(*here, candidates)
        mean, std = self._kernel.posterior(known, targets, self._theta).at(points)
        if under_way:
            looked = np.vstack([known, rows(*here, self._units(under_way))])
            _, std = self._kernel.posterior(looked, np.zeros(len(looked)), self._theta).at(points)
        bounds: Array = mean + math.sqrt(0.2 + max(0.0, math.log(0.4 * len(seen)))) * std
        return bounds

    def _fit(self, known: Array, targets: Array) -> None:
        seed = int(self._rng.integers(2**31))
        if len(known) >= 1.1 * self._fitted_at:
            self._theta = self._kernel.likeliest(known, targets, self._theta, self._settings.restarts, seed)
            self._fitted_at = len(known)

    def _units(self, settings: Sequence[Architecture]) -> Array:
        """[n, D] in [0, 1]."""
        decisions = self._setting.decisions
        return np.array([[to_unit(d, v) for d, v in zip(decisions, s.values, strict=True)] for s in settings])

    def _at(self, point: Array) -> Architecture:
        pairs = zip(self._setting.decisions, point.tolist(), strict=True)
        return self._setting.architecture(tuple(from_unit(decision, unit) for decision, unit in pairs))


def _standardised(gains: Array) -> Array:
    """To mean 0 and deviation 1, within [-2, 2]."""
    found: Array = np.clip((gains - gains.mean()) / (gains.std() or 1.0), -2.0, 2.0)
    return found
