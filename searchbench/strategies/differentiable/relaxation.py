"""Axis R: from logits to the weights of a mixed operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from searchbench.spaces.networks import Mixed

Phase = Literal["w", "alpha"]
"""Whose step it is: the weights' or the architecture's."""


class Relaxation(Protocol):
    """How logits [decisions, options] become the weights of operations."""

    def weights(self, alpha: Tensor) -> Tensor:
        """[decisions, options], without noise: what is logged and discretised."""

    def mixture(self, alpha: Tensor, rng: torch.Generator, phase: Phase) -> Mixed:
        """What the supernet computes in a step; differentiable in `alpha`."""


@dataclass(frozen=True, slots=True)
class Softmax:
    """w_eo = exp(alpha_eo) / sum_o' exp(alpha_eo'), every operation executed.

    Source: Liu et al. 2019, "DARTS: Differentiable Architecture Search", equation 2.
    """

    def weights(self, alpha: Tensor) -> Tensor:
        return alpha.softmax(-1)

    def mixture(self, alpha: Tensor, rng: torch.Generator, phase: Phase) -> Mixed:
        from searchbench.spaces.networks import Mixed

        return Mixed(alpha.softmax(-1).unbind(0))
