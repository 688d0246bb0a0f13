"""The two players of a differentiable search, the weights and the architecture, and all they share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from searchbench.strategies.differentiable.relaxation import Phase, Relaxation
from searchbench.strategies.strategy import Lab

if TYPE_CHECKING:
    from searchbench.spaces.networks import Mixed, Supernet


@dataclass(slots=True, eq=False)
class Game:
    """min over alpha of L_val(w*(alpha), alpha), where w*(alpha) = argmin over w of L_train(w, alpha)."""

    lab: Lab
    supernet: Supernet
    relax: Relaxation
    alpha: Tensor
    """[decisions, options] logits."""
    weights: list[nn.Parameter]
    """The supernet's."""
    weight_optimizer: torch.optim.Optimizer
    alpha_optimizer: torch.optim.Optimizer
    rng: torch.Generator
    """Of the relaxation's noise."""

    def mixture(self, phase: Phase) -> Mixed:
        """What the supernet computes; on the weights' turn the architecture is a constant."""
        alpha = self.alpha if phase == "alpha" else self.alpha.detach()
        return self.relax.mixture(alpha, self.rng, phase)

    @contextmanager
    def frozen_weights(self) -> Iterator[None]:
        """No gradients of the weights inside."""
        for weight in self.weights:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in self.weights:
                weight.requires_grad_(True)

    def state_dict(self) -> dict[str, object]:
        return {
            "supernet": cast(nn.Module, self.supernet).state_dict(),
            "alpha": self.alpha.detach(),
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "alpha_optimizer": self.alpha_optimizer.state_dict(),
            "rng": self.rng.get_state(),
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        cast(nn.Module, self.supernet).load_state_dict(cast(dict[str, Tensor], state["supernet"]))
        with torch.no_grad():
            self.alpha.copy_(cast(Tensor, state["alpha"]))
        self.weight_optimizer.load_state_dict(cast(dict[str, object], state["weight_optimizer"]))
        self.alpha_optimizer.load_state_dict(cast(dict[str, object], state["alpha_optimizer"]))
        self.rng.set_state(cast(Tensor, state["rng"]))
