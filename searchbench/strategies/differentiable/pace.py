"""Settings that follow the budget: what a paper says in steps is brought to the number of steps that are affordable.

The papers' searches make some 20,000 steps of their logits; in a few hundred at the same rate nothing is decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, Self, TypeVar, runtime_checkable

Settings = Literal["budget", "paper"]
"""Whether steps are brought to the budget's, or taken as the paper has them."""

LEAST_STEPS = 100
"""Steps of the logits below which a search says that it decided nothing, and up to which sparse schedules condense."""
FASTEST = 0.1
"""Largest rate that a short search gives its logits: Adam moves a logit by about the rate, whatever the gradient."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The steps that a search will make."""

    epochs: int
    batches: int
    """Of the weights, in an epoch."""
    logit_steps: float = 0.0
    """In all; 0 while schedules are being settled."""

    @property
    def minibatches(self) -> int:
        return self.epochs * self.batches

    def condensed(self, every: float, least: int | None) -> float:
        """One step of the logits in so many minibatches: `every`, or as few as it takes for `least` steps in all."""
        if least is None:
            return every
        return max(1.0, min(every, self.minibatches / least, float(self.batches)))


@runtime_checkable
class Paced(Protocol):
    """A part that says something in steps or epochs."""

    def at(self, pace: Pace) -> Self:
        """The part for a search of so many."""


P = TypeVar("P")


def paced(part: P, pace: Pace) -> P:
    """A part at a pace; itself where it says nothing in steps."""
    return part.at(pace) if isinstance(part, Paced) else part
