"""Axis V: on which data each player learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from searchbench.errors import StudyError
from searchbench.strategies.strategy import SplitName

Part = tuple[SplitName, tuple[float, float]]
"""A split of the task, and the fixed share of it."""


class DataSplit(Protocol):
    """Fixed parts of the data, the same in every epoch."""

    @property
    def w(self) -> Part:
        """What the weights learn on."""

    @property
    def alpha(self) -> Part:
        """What the architecture learns on."""


@dataclass(frozen=True, slots=True)
class TaskSplit:
    """The weights learn on the task's training split, the architecture on its validation split."""

    w: Part = ("train", (0.0, 1.0))
    alpha: Part = ("valid", (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Ratio:
    """The task's training split is divided: its first r/(r + 1) for the weights, the rest for the architecture, so that
    with r weight steps per architecture step both pass over their data equally often. Ratio(1) is half and half.

    Source: Liu et al. 2019 (r = 1); DARTS-PRIME (Maile et al. 2021).

    Raises:
        StudyError: r is not positive.
    """

    r: float = 1.0

    def __post_init__(self) -> None:
        if not self.r > 0:
            raise StudyError(f"the ratio `r` must be positive, but got {self.r}.")

    @property
    def w(self) -> Part:
        return "train", (0.0, self.r / (self.r + 1))

    @property
    def alpha(self) -> Part:
        return "train", (self.r / (self.r + 1), 1.0)


def samples(part: Part, in_split: int) -> int:
    """How many of a split's samples a part has; the tolerance is that of `Batches`."""
    low, high = (int(edge * in_split + 1e-9) for edge in part[1])
    return high - low
