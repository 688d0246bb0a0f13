"""What a part is told when it is asked: whose turn it is, when, and where the decisions lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from searchbench.spaces.topology import Topology

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Phase = Literal["w", "alpha", "both"]
"""Whose step it is: the weights' (w), the architecture's (alpha), or both at once on one minibatch."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A minibatch of a search; all counted from 0."""

    epoch: int = 0
    epochs: int = 1
    batch: int = 0
    batches: int = 1
    stage: int = 0
    """Of a search in stages, each with epochs of its own."""

    @property
    def progress(self) -> float:
        """t/T = (e + (b + 1)/B)/E, in (0, 1]."""
        return (self.epoch + (self.batch + 1) / self.batches) / self.epochs


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """What a relaxation needs to know beyond the logits."""

    phase: Phase = "alpha"
    rng: torch.Generator | None = None
    moment: Moment = field(default_factory=Moment)
    mask: Tensor | None = None
    """[decisions, options], False where an operation is pruned; None prunes none."""
    topology: Topology | None = None

    @property
    def active(self) -> tuple[tuple[int, ...], ...] | None:
        """Operations that are not pruned, per decision; None if none is."""
        if self.mask is None or bool(self.mask.all()):
            return None
        return tuple(tuple(row.nonzero().flatten().tolist()) for row in self.mask)
