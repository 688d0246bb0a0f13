"""Samplers that learn while the supernet is trained which of its paths to go on with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from searchbench.spaces.space import Architecture
from searchbench.strategies.sample import Listed
from searchbench.strategies.strategy import AskTellSearch
from searchbench.trial import Trial

if TYPE_CHECKING:
    from searchbench.spaces.networks import Path, Supernet

NO_FINALISTS = "its finder takes the paths that a sampler kept, and this sampler keeps none."


@dataclass(frozen=True, slots=True)
class Revision:
    """What a sampler is given before an epoch is trained."""

    epoch: int
    """Epochs that are over."""
    epochs: int
    rng: np.random.Generator
    """The stream that paths are drawn from."""
    scored: Callable[[Sequence[Path]], list[Trial]]
    """A trial for each path, by inherited weights on the validation split; paid for and recorded."""
    salient: Callable[[Sequence[Path]], list[float]]
    """For each path the sum of its gradients' absolute values, |dL/dw|, on one training minibatch; paid for as
    training, though weights stay as they are."""
    looks: int = 0
    """Paths that are to be looked at so, as `Reviser.looks` said."""


class Reviser(Protocol):
    """A sampler at work. What it has learnt is part of a checkpoint."""

    @property
    def scores(self) -> int:
        """Paths that are scored in all, however long the training is."""

    @property
    def scores_an_epoch(self) -> int:
        """Paths that are scored for every epoch besides, rounded up."""

    def looks(self, affordable: int) -> int:
        """Paths of which the gradients are looked at, where so many can well be afforded."""

    def draw(self, rng: np.random.Generator, done: float) -> tuple[Path, ...]:
        """What the next round trains."""

    def due(self, epoch: int, epochs: int) -> bool:
        """Whether something is to be learnt before an epoch, counted from 0; that of number `epochs` is not trained."""

    def revise(self, revision: Revision) -> None:
        """Learn it."""

    def kept(self) -> list[Path]:
        """The paths that are left at the end."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@runtime_checkable
class Revising(Protocol):
    """A sampler that learns."""

    def reviser(self, supernet: Supernet) -> Reviser:
        """The sampler at work over a supernet's options."""


@runtime_checkable
class AmongKept(Protocol):
    """A second half among the paths that a sampler kept, which begins when they are known."""

    def among(self, kept: Sequence[Architecture]) -> AskTellSearch:
        """A search of what these architectures are worth by inherited weights."""


@dataclass(frozen=True, slots=True)
class KeptPaths:
    """Score once more the paths that the sampler kept, and hand over the best: a second half."""

    def among(self, kept: Sequence[Architecture]) -> AskTellSearch:
        return Listed(kept)
