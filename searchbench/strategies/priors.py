"""What somebody believes of the best architecture before anything is measured, as a distribution over a space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from searchbench.errors import SpaceError, StudyError, did_you_mean
from searchbench.spaces.choices import Choice, Decision, Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.densities import from_unit, to_unit


@dataclass(frozen=True, slots=True)
class Prior:
    """A belief about some decisions, each on its own; of the others nothing is believed.

    A categorical of m options has its centre with probability `confidence` and every other option with
    (1 - confidence) / (m - 1); a number is normal around its centre on its own scale from 0 to 1, with the deviation
    1 - confidence, truncated to the scale.

    Args:
        centre: (decision, value) pairs.
        confidence: in (0, 1); NePS calls .25 low, .5 medium and .75 high.

    Raises:
        StudyError: there is no belief in it, or `confidence` is out of range.

    Source: Hvarfner et al. 2022 (piBO) and Mallik et al. 2023 (PriorBand); widths as in NePS.
    Differs: nothing.
    """

    centre: tuple[tuple[str, Any], ...]
    confidence: float = 0.5

    def __post_init__(self) -> None:
        if not self.centre:
            raise StudyError('a prior needs a value of at least one decision, as { optimizer = "sgd" }.')
        if not 0 < self.confidence < 1:
            raise StudyError(f"`confidence` must lie in (0, 1), but got {self.confidence!r}.")

    def unfit(self, space: Space) -> str | None:
        """Why nobody can believe this of a space, or None."""
        known = {decision.name: decision for decision in space.decisions}
        for name, value in self.centre:
            if name not in known:
                return f"its prior names `{name}`, which is no decision of the space; {did_you_mean(name, known)}"
            if not known[name].contains(value):
                return f"its prior takes {value!r} for `{name}`, which is none of its values."
        return None

    def of(self, space: Space) -> Belief:
        """The distribution over a space.

        Raises:
            SpaceError: see `unfit`.
        """
        reason = self.unfit(space)
        if reason is not None:
            raise SpaceError(reason)
        return Belief(space, dict(self.centre), self.confidence)


def prior_of(given: Mapping[str, Any] | tuple[tuple[str, Any], ...], confidence: float) -> Prior:
    """A prior from what a study file or a caller writes."""
    pairs = given.items() if isinstance(given, Mapping) else given
    return Prior(tuple((str(name), value) for name, value in pairs), confidence)


class Belief:
    """A product distribution over the decisions of a space, centred at some values."""

    def __init__(self, space: Space, centre: Mapping[str, Value], confidence: float) -> None:
        self._space, self._centre, self._confidence = space, centre, confidence

    def around(self, architecture: Architecture) -> Belief:
        """A belief as sure of all decisions of an architecture."""
        pairs = zip(self._space.decisions, architecture.values, strict=True)
        return Belief(self._space, {d.name: v for d, v in pairs if v is not None}, self._confidence)

    def sample(self, rng: np.random.Generator) -> Architecture:
        values: list[Value] = []
        for decision in self._space.decisions:
            values.append(self._drawn(decision, rng) if _active(decision, values, self._space) else None)
        return self._space.architecture(tuple(values))

    def _drawn(self, decision: Decision, rng: np.random.Generator) -> Value:
        if decision.name not in self._centre:
            return decision.sample(rng)
        centre = self._centre[decision.name]
        if isinstance(decision, Choice):
            others = [option for option in decision.options if option != centre]
            stays = not others or rng.random() < self._confidence
            return centre if stays else others[int(rng.integers(len(others)))]
        return truncated(decision, centre, 1 - self._confidence, rng)

    def density(self, architecture: Architecture) -> float:
        """The density of an architecture; a uniform decision counts 1 whatever its value."""
        pairs = zip(self._space.decisions, architecture.values, strict=True)
        return math.prod(self._weight(decision, value) for decision, value in pairs if value is not None)

    def _weight(self, decision: Decision, value: Value) -> float:
        if decision.name not in self._centre:
            return 1.0
        centre = self._centre[decision.name]
        if isinstance(decision, Choice):
            options = len(decision.options)
            if options == 1:
                return 1.0
            # relative to uniform, so that decisions of many options do not outweigh others
            return options * (self._confidence if value == centre else (1 - self._confidence) / (options - 1))
        middle, at, scale = to_unit(decision, centre), to_unit(decision, value), 1 - self._confidence
        inside = float(ndtr((1 - middle) / scale) - ndtr(-middle / scale))
        return math.exp(-0.5 * ((at - middle) / scale) ** 2) / (math.sqrt(2 * math.pi) * scale * inside)


def truncated(decision: Decision, centre: Value, deviation: float, rng: np.random.Generator) -> Value:
    """A number around a centre, normal on its own scale from 0 to 1 and truncated to it."""
    if decision.arity == 1:
        return centre
    middle = to_unit(decision, centre)
    low, high = ndtr(-middle / deviation), ndtr((1 - middle) / deviation)
    return from_unit(decision, float(np.clip(middle + deviation * ndtri(low + rng.random() * (high - low)), 0.0, 1.0)))


def _active(decision: Decision, before: list[Value], space: Space) -> bool:
    when = decision.when
    return when is None or before[space.position[when.name]] in when.values


def perturbed(architecture: Architecture, rate: float, deviation: float, rng: np.random.Generator) -> Architecture:
    """Each decision changed with probability `rate`: a categorical to another option, a number by a truncated normal of
    `deviation` on its own scale; what becomes active is drawn."""
    space, values = architecture.space, list[Value]()
    for decision, before in zip(space.decisions, architecture.values, strict=True):
        if not _active(decision, values, space):
            values.append(None)
        elif before is None:
            values.append(decision.sample(rng))
        elif rng.random() >= rate:
            values.append(before)
        elif isinstance(decision, Choice):
            values.append(decision.mutate(before, rng))
        else:
            values.append(truncated(decision, before, deviation, rng))
    return space.architecture(tuple(values))
