"""Rungs and brackets: at which epochs successive halving stops, and how many architectures reach each."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from searchbench.errors import StudyError
from searchbench.strategies.strategy import Scenario


@dataclass(frozen=True, slots=True)
class Bracket:
    """One run of successive halving, from many short trainings to few long ones."""

    sizes: tuple[int, ...]
    """Architectures evaluated at each rung."""
    epochs: tuple[float, ...]
    """Epochs they have been trained for when they are compared there."""

    @property
    def cost(self) -> float:
        """Epochs where every rung trains from scratch."""
        return sum(size * epochs for size, epochs in zip(self.sizes, self.epochs, strict=True))

    @property
    def cost_resumed(self) -> float:
        """Epochs where every training continues."""
        steps = [b - a for a, b in zip((0.0, *self.epochs[:-1]), self.epochs, strict=True)]
        return sum(size * step for size, step in zip(self.sizes, steps, strict=True))


def last_rung(low: float, high: float, eta: int) -> int:
    """Steps of `eta` between two budgets: floor(log_eta(high / low)), free of rounding at exact powers."""
    steps = 0
    while low * eta ** (steps + 1) <= high * (1 + 1e-9):
        steps += 1
    return steps


def ladder(low: float, high: float, eta: int) -> tuple[float, ...]:
    """b_j = high eta^-(s_max - j), j = 0 … s_max."""
    top = last_rung(low, high, eta)
    return tuple(high / eta ** (top - j) for j in range(top + 1))


def upwards(low: float, stops: tuple[float, ...], eta: int) -> tuple[float, ...]:
    """Rungs counted up from the smallest, low eta^k, at epochs the estimator can stop at, the last of them the full
    training, even where it is no power: what nobody is trained to cannot be recommended.
    """
    powers = (low * eta**k for k in range(last_rung(low, stops[-1], eta) + 1))
    return tuple(dict.fromkeys((*(rounded(power, stops) for power in powers), stops[-1])))


def looks(scenario: Scenario) -> tuple[float, ...]:
    """The stops at which a training is looked at that goes on unless something speaks against it: all of them; where
    every evaluation begins anew, powers of three of the first, so that all of a training costs one and a half times
    what its end does, and not the sum over all stops."""
    return scenario.stops if scenario.continues else upwards(scenario.stops[0], scenario.stops, 3)


def brackets(low: float, high: float, eta: int = 3, ceiling: bool = False) -> tuple[Bracket, ...]:
    """One round of Hyperband, the most aggressive bracket first.

    Bracket s = s_max … 0 starts n0 = floor((s_max + 1) / (s + 1)) eta^s architectures and keeps
    n_i = max(floor(n0 eta^-i), 1) at its rung i, as HpBandSter does; with `ceiling`, the paper's
    n0 = ceil((s_max + 1) eta^s / (s + 1)).
    """
    rungs = ladder(low, high, eta)
    top = len(rungs) - 1
    found = []
    for s in range(top, -1, -1):
        first = -(-(top + 1) * eta**s // (s + 1)) if ceiling else (top + 1) // (s + 1) * eta**s
        sizes = tuple(max(first // eta**i, 1) for i in range(s + 1))
        found.append(Bracket(sizes, rungs[top - s :]))
    return tuple(found)


def at_stops(bracket: Bracket, stops: tuple[float, ...]) -> Bracket:
    """The bracket at epochs the estimator can stop at, rounded down; of rungs that coincide the larger one stays."""
    kept: dict[float, int] = {}
    for size, epochs in zip(bracket.sizes, bracket.epochs, strict=True):
        kept.setdefault(rounded(epochs, stops), size)
    return Bracket(tuple(kept.values()), tuple(kept))


def rounded(epochs: float, stops: tuple[float, ...]) -> float:
    """The last stop not after `epochs` (the first one, where all are)."""
    return stops[max(bisect_right(stops, epochs * (1 + 1e-9)) - 1, 0)]


def cycle(rounds: tuple[Bracket, ...]) -> Iterator[Bracket]:
    """The brackets over and over."""
    while True:
        yield from rounds


def lowest(min_epochs: float | None, scenario: Scenario) -> float:
    """The epochs of the lowest rung: what was declared, or the first stop there is."""
    return scenario.stops[0] if min_epochs is None else float(min_epochs)


def check_halving(eta: int, min_epochs: float | None) -> None:
    """Raise StudyError where a value is out of range."""
    if not isinstance(eta, int) or isinstance(eta, bool) or eta < 2:
        raise StudyError(f"`eta` must be an integer of at least 2, but got {eta!r}.")
    if min_epochs is not None and not (min_epochs > 0 and math.isfinite(min_epochs)):
        raise StudyError(f"`min_epochs` must be positive, but got {min_epochs!r}.")


def no_rungs(min_epochs: float | None, scenario: Scenario) -> str | None:
    """Why a multi-fidelity strategy cannot run in this scenario, or None."""
    if len(scenario.stops) < 2:
        return "the estimator has one length of training only, so there is no lower fidelity to begin with"
    if min_epochs is not None and min_epochs > scenario.stops[-1]:
        return f"`min_epochs` is {min_epochs:g}, but the full training has {scenario.stops[-1]:g} epochs"
    return None
