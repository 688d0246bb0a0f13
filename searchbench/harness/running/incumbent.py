"""The best validated architecture of a run so far."""

from __future__ import annotations

import math

from searchbench.spaces.space import Architecture
from searchbench.trial import Fidelity, Trial, better


class Incumbent:
    """Highest fidelity first, then lowest value; among equals the first stays.

    Args:
        able: whether only networks count that can learn, see `Space.carrying`.
    """

    __slots__ = ("_able", "_fidelity", "_size", "architecture", "magnitude", "number", "value")

    def __init__(self, able: bool = False) -> None:
        self._able = able
        self.architecture: Architecture | None = None
        self.magnitude = 0.0
        self.value = float("nan")
        self.number = -1
        self._fidelity: Fidelity | None = None
        self._size = 0.0

    def offer(self, trial: Trial) -> bool:
        """Whether `trial` became the incumbent."""
        if trial.failed:
            return False
        if trial.fidelity is not self._fidelity:  # most runs have one fidelity, completed to one object
            self._fidelity, self._size = trial.fidelity, magnitude(trial.fidelity)
        size = self._size
        if size > self.magnitude or (size == self.magnitude and better(trial.value, self.value)):
            if self._able and not trial.architecture.space.carrying(trial.architecture):
                return False
            self.architecture, self.value = trial.architecture, trial.value
            self.magnitude, self.number = size, trial.number
            return True
        return False


def magnitude(fidelity: Fidelity) -> float:
    """How close to the real thing a completed fidelity is: the product of its fields."""
    given = (fidelity.epochs, fidelity.subset, fidelity.width, fidelity.resolution)
    return math.prod(part for part in given if part is not None)
