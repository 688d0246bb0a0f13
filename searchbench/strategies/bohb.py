"""BOHB: Hyperband whose architectures come from a model of what has been good so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Float, Integer
from searchbench.spaces.space import Architecture, Array
from searchbench.strategies.densities import Coordinates, Density
from searchbench.strategies.halving import Halving, rounds
from searchbench.strategies.rungs import check_halving, no_rungs
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Trial


@dataclass(frozen=True, slots=True)
class Bohb:
    """Hyperband, but a new architecture is, with probability 1 - `random_fraction`, the best of some candidates under
    a pair of densities fitted to the longest trainings of which there are enough.

    l: density of the best max(d + 1, top n), g: of the next max(d + 1, (1 - top) n) trainings of one length
    next = argmin g(x) / l(x) over `candidates` drawn around the rows of l with `spread` times its bandwidths

    With d decisions the model needs 2(d + 1) trainings of one length; before that, everything is random.

    Args:
        eta, min_epochs: as in `Hyperband`.
        random_fraction: share of architectures drawn at random for ever.
        candidates: drawn around the good ones, of which the best is evaluated.
        top: share of the trainings that count as good.
        spread: by which candidates' bandwidths are multiplied.
        min_bandwidth: below which no bandwidth falls.

    Raises:
        StudyError: a value is out of range.

    Source: Falkner et al. 2018, Algorithm 2; defaults of the released code (HpBandSter).
    Differs: the released code sets a categorical's bandwidth by the spread of its options' *indices*, which with five
        options exceeds (c - 1) / c and turns the kernel upside down; here it does not depend on their order. Random
        architectures come from the stream of initial designs.
    """

    eta: int = 3
    min_epochs: float | None = None
    random_fraction: float = 1 / 3
    candidates: int = 64
    top: float = 0.15
    spread: float = 3.0
    min_bandwidth: float = 1e-3

    def __post_init__(self) -> None:
        check_halving(self.eta, self.min_epochs)
        if not 0 <= self.random_fraction <= 1:
            raise StudyError(f"`random_fraction` must lie in [0, 1], but got {self.random_fraction!r}.")
        if not 0 < self.top < 1:
            raise StudyError(f"`top` must lie in (0, 1), but got {self.top!r}.")
        for name in ("candidates", "spread", "min_bandwidth"):
            if not getattr(self, name) > 0:
                raise StudyError(f"`{name}` must be positive, but got {getattr(self, name)!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        for decision in scenario.space.decisions:
            if not isinstance(decision, Choice | Integer | Float):
                return f"its densities know no kernel for `{decision.name}`, a {type(decision).__name__}"
        return no_rungs(self.min_epochs, scenario)

    def start(self, scenario: Scenario) -> Halving:
        return Halving(rounds(self.eta, self.min_epochs, scenario), GoodAndBad(self, scenario))


class GoodAndBad:
    """Draws from the pair of densities of the longest trainings that have one."""

    def __init__(self, settings: Bohb, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._designs, self._rng = scenario.seeds.rng("init"), scenario.seeds.rng("search")
        self._coordinates = Coordinates(scenario.space)
        self._seen: dict[float, list[tuple[float, Array]]] = {}
        self._models: dict[float, tuple[Density, Density]] = {}

    def draw(self, epochs: float) -> Architecture:
        if not self._models or self._rng.random() < self._settings.random_fraction:
            return self._space.sample(self._designs)
        good, bad = self._models[max(self._models)]
        points = good.around(self._settings.candidates, self._settings.spread, self._rng)
        ratio = np.maximum(bad(points), 1e-32) / np.maximum(good(points), 1e-32)
        return self._coordinates.architecture(points[int(ratio.argmin())], self._rng)

    def learn(self, trial: Trial) -> None:
        epochs = trial.fidelity.epochs or math.nan
        seen = self._seen.setdefault(epochs, [])
        seen.append((math.inf if trial.failed else trial.value, self._coordinates.of(trial.architecture)))
        if not self._models or epochs >= max(self._models):
            self._fit(epochs, seen)

    def _fit(self, epochs: float, seen: list[tuple[float, Array]]) -> None:
        least = len(self._space.decisions) + 1
        n_good = max(least, int(self._settings.top * len(seen)))
        n_bad = max(least, int((1 - self._settings.top) * len(seen)))
        rows = np.array([row for _, row in sorted(seen, key=lambda pair: pair[0])])
        good, bad = rows[:n_good], rows[n_good : n_good + n_bad]
        if len(good) < least or len(bad) < least:
            return
        arities, floor = self._coordinates.arities, self._settings.min_bandwidth
        self._models[epochs] = (
            Density.fit(self._coordinates.filled(good, self._rng), arities, floor),
            Density.fit(self._coordinates.filled(bad, self._rng), arities, floor),
        )
