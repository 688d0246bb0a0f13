"""Axis A: who perturbs the architecture on the weights' turn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from searchbench.cost import Cost
from searchbench.errors import StudyError
from searchbench.strategies.differentiable.extras import check_radii, on_the_simplex

if TYPE_CHECKING:
    from searchbench.spaces.networks import Mixed
    from searchbench.strategies.differentiable.game import Game
    from searchbench.tasks.task import Batch


@dataclass(frozen=True, slots=True)
class Adversary:
    """The weights learn at the worst mixture near the architecture: w' = argmax L_train(w, a + delta), |delta| <= eps
    in every operation, by `steps` steps of projected gradient ascent from a random start.

    delta <- clip(delta + (2 eps / steps) sign(grad_a L_train), -eps, eps), then a + delta is kept within [0, 1] and
    scaled to the sum it had; eps = first + (last - first) e/E. Where the loss is no higher in the end, a stays.

    Source: Chen & Hsieh 2020, "Stabilizing differentiable architecture search via perturbation-based regularization",
    section 4.2, and the released code of SDARTS-ADV.
    Differs: batch norms use the statistics of the minibatch in the ascent, as in training.

    Raises:
        StudyError: a radius or the number of steps is out of range.
    """

    first: float = 0.03
    last: float = 0.3
    steps: int = 7

    def __post_init__(self) -> None:
        check_radii(self.first, self.last)
        if self.steps < 1:
            raise StudyError(f"an adversary takes at least 1 of its `steps`, but got {self.steps}.")

    def worst(self, game: Game, train: Batch, mixture: Mixed) -> Mixed:
        """The mixture at which the weights' step is taken."""
        import torch

        weights = torch.stack(tuple(mixture.weights)).detach()
        at = game.moment
        radius = self.first + (self.last - self.first) * at.epoch / at.epochs
        if radius == 0:
            return mixture
        noise = 2 * torch.rand(weights.shape, generator=game.rng, dtype=torch.float64).to(weights) - 1
        moved = on_the_simplex(weights + radius * noise, weights, mixture.active)
        for _ in range(self.steps):
            moved = moved.detach().requires_grad_()
            with game.frozen_weights():
                game.lab.gradients(game.supernet, train, replace(mixture, weights=moved.unbind(0)))
            assert moved.grad is not None
            climbed = moved.detach() + 2 * radius / self.steps * moved.grad.sign()
            within = weights + (climbed - weights).clamp(-radius, radius)
            moved = on_the_simplex(within, weights, mixture.active)
        found = replace(mixture, weights=moved.unbind(0))
        return found if self._loss(game, train, found) >= self._loss(game, train, mixture) else mixture

    def _loss(self, game: Game, train: Batch, mixture: Mixed) -> float:
        import torch.nn.functional as F

        return float(F.cross_entropy(game.lab.infer(game.supernet, train, mixture), train.targets))

    def price(self, game: Game, train: int) -> Cost:
        """The charge of `worst` for so many samples."""
        return game.price("w", train=self.steps * train, infer=2 * train)
