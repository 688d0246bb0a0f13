"""Axis B: the gradient of the validation loss with respect to the architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from searchbench.cost import Cost

if TYPE_CHECKING:
    from searchbench.strategies.differentiable.game import Game
    from searchbench.tasks.task import Batch


class Hypergradient(Protocol):
    """Fills the architecture's gradient; the weights end as they began."""

    def fill(self, game: Game, train: Batch, valid: Batch) -> float:
        """Add to `game.alpha.grad`; returns the validation loss."""

    def price(self, game: Game, train: int, valid: int) -> Cost:
        """The charge of `fill` for minibatches of these sizes."""


@dataclass(frozen=True, slots=True)
class FirstOrder:
    """g = grad_alpha L_val(w, alpha) at the current weights.

    Source: Liu et al. 2019, section 2.3 (xi = 0).
    Differs: gradients of the weights, which nobody reads, are not computed.
    """

    def fill(self, game: Game, train: Batch, valid: Batch) -> float:
        with game.frozen_weights():
            return game.lab.gradients(game.supernet, valid, game.mixture("alpha"))

    def price(self, game: Game, train: int, valid: int) -> Cost:
        return game.lab.price(game.supernet, game.mixture("alpha"), train=valid)
