"""Kernel density estimates over a space's decisions: the model of BOHB."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from searchbench.spaces.choices import Choice, Decision, Integer, Value
from searchbench.spaces.space import Architecture, Array, Space


class Coordinates:
    """One number per decision: the index of a categorical's option, a number scaled to [0, 1], NaN where inactive.

    An integer stands in the middle of its own cell, the stretch of [0, 1] that rounds to it; so the first and the last
    have as much room as those between.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._index = [
            {v: i for i, v in enumerate(d.options)} if isinstance(d, Choice) else None for d in space.decisions
        ]
        self.arities = np.array([len(index) if index else 0 for index in self._index])
        """[D] options of each categorical, 0 for a number."""

    def of(self, architecture: Architecture) -> Array:
        """[D]."""
        parts = zip(self._space.decisions, self._index, architecture.values, strict=True)
        return np.array([math.nan if v is None else float(at[v]) if at else to_unit(d, v) for d, at, v in parts])

    def architecture(self, point: Array, rng: np.random.Generator) -> Architecture:
        """The architecture at a point; coordinates of decisions it does not activate are ignored."""
        values: list[Value] = []
        for decision, x in zip(self._space.decisions, point.tolist(), strict=True):
            when = decision.when
            if when is not None and values[self._space.position[when.name]] not in when.values:
                values.append(None)
            elif isinstance(decision, Choice):
                values.append(decision.options[int(x)])
            else:
                values.append(decision.sample(rng) if math.isnan(x) else from_unit(decision, x))
        return self._space.architecture(tuple(values))

    def filled(self, rows: Array, rng: np.random.Generator) -> Array:
        """[n, D] without NaN: what is inactive takes the value of a random row in which it is active, else a draw."""
        rows = rows.copy()
        for at in np.argwhere(np.isnan(rows)):
            column = rows[:, at[1]]
            active = column[~np.isnan(column)]
            arity = self.arities[at[1]]
            drawn = float(rng.integers(arity)) if arity else float(rng.random())
            rows[tuple(at)] = active[rng.integers(len(active))] if len(active) else drawn
        return rows


def to_unit(decision: Decision, value: Value) -> float:
    """Where the value of an integer or real decision stands in [0, 1] of its scale."""
    if not isinstance(decision, Integer):
        return decision.encode(value)[0]
    (low, high), at = _bounds(decision), float(value)  # type: ignore[arg-type]
    return math.log(at / low) / math.log(high / low) if decision.log else (at - low) / (high - low)


def from_unit(decision: Decision, unit: float) -> Value:
    """The value of an integer or real decision at `unit` in [0, 1] of its scale."""
    low, high = _bounds(decision)
    value = low * (high / low) ** unit if decision.log else low + unit * (high - low)  # type: ignore[attr-defined]
    if isinstance(decision, Integer):
        value = round(value)
    return min(max(value, decision.low), decision.high)  # type: ignore[attr-defined,no-any-return]


def _bounds(decision: Decision) -> tuple[float, float]:
    """The ends of its scale: of integers, those of the first and of the last one's cell."""
    low, high = decision.low, decision.high  # type: ignore[attr-defined]
    return (low - 0.5, high + 0.5) if isinstance(decision, Integer) else (low, high)


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """A product-kernel density.

    p(x) = 1/n sum_i prod_d K_d(x_d, x_id): a Gaussian of bandwidth h_d for a number; for a categorical of c options
    1 - h_d where equal, h_d / (c - 1) where not (Aitchison & Aitken 1976).
    """

    rows: Array
    """[n, D] what it was fitted to."""
    bandwidths: Array
    """[D]."""
    arities: Array
    """[D] options of each categorical, 0 for a number."""

    @classmethod
    def fit(cls, rows: Array, arities: Array, least: float) -> Density:
        """Bandwidths, at least `least`: of a number by the normal reference rule, 1.06 std n^(-1 / (4 + D)); of a
        categorical of c options (c - 1) / c n^(-2 / (4 + D)), the rate of Li & Racine 2007, whatever the order of its
        options; at (c - 1) / c its kernel would be uniform, beyond it no density."""
        n, dimensions = rows.shape
        numeric = 1.06 * rows.std(axis=0) * n ** (-1 / (4 + dimensions))
        uniform = (arities - 1) / np.maximum(arities, 1)
        bandwidths = np.where(arities > 0, uniform * n ** (-2 / (4 + dimensions)), numeric)
        return cls(rows, np.maximum(bandwidths, np.where(arities > 1, np.minimum(least, uniform), least)), arities)

    def __call__(self, points: Array) -> Array:
        """The density at `points` [m, D]: [m]."""
        gap = points[:, None, :] - self.rows
        h, c = self.bandwidths, self.arities
        with np.errstate(divide="ignore", invalid="ignore"):
            numeric = np.exp(-0.5 * (gap / h) ** 2) / (math.sqrt(2 * math.pi) * h)
        unequal = h / np.maximum(c - 1, 1)
        kernels = np.where(c > 0, np.where(gap == 0, 1 - h, unequal), numeric)
        density: Array = kernels.prod(axis=2).mean(axis=1)
        return density

    def around(self, count: int, factor: float, rng: np.random.Generator) -> Array:
        """[count, D]: each from a random row; numbers from a normal of `factor` times the bandwidth truncated to
        [0, 1], categoricals kept with probability 1 - h and otherwise drawn uniformly."""
        centres = self.rows[rng.integers(len(self.rows), size=count)]
        scale = np.maximum(factor * self.bandwidths, 1e-12)
        low, high = ndtr(-centres / scale), ndtr((1 - centres) / scale)
        numbers = centres + scale * ndtri(low + rng.random(centres.shape) * (high - low))
        redrawn = (rng.random(centres.shape) * np.maximum(self.arities, 1)).astype(np.int64)
        options = np.where(rng.random(centres.shape) < 1 - self.bandwidths, centres, redrawn)
        return np.where(self.arities > 0, options, np.clip(numbers, 0.0, 1.0))
