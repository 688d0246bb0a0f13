"""Axis U: who moves on which minibatch, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from searchbench.errors import StudyError
from searchbench.strategies.differentiable.relaxation import Phase


class Schedule(Protocol):
    """The steps of one training minibatch."""

    def steps(self, epoch: int, batch: int) -> Sequence[Phase]:
        """In order; both counted from 0."""

    def alpha_steps(self, epoch: int, batches: int) -> int:
        """How many steps of the architecture an epoch has, to price it beforehand."""


@dataclass(frozen=True, slots=True)
class Alternate:
    """One step of each on every minibatch.

    Args:
        order: ("alpha", "w") is the original's; ("w", "alpha") is NAS-Bench-201's.

    Raises:
        StudyError: `order` is not an order of the two.
    """

    order: tuple[Phase, ...] = ("w", "alpha")

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", tuple(self.order))  # a study file writes a list
        if sorted(self.order) != ["alpha", "w"]:
            raise StudyError(f'`order` must be ["w", "alpha"] or ["alpha", "w"], but got {list(self.order)}.')

    def steps(self, epoch: int, batch: int) -> Sequence[Phase]:
        return self.order

    def alpha_steps(self, epoch: int, batches: int) -> int:
        return batches
