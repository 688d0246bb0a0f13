"""Optimisers of logits that PyTorch does not have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class BoundedDescent(torch.optim.Optimizer):
    """p <- p - lr g, with g within [-bound, bound]."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, bound: float | None) -> None:
        super().__init__(list(parameters), {"lr": lr, "bound": bound})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move all parameters that have a gradient."""
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                bound = group["bound"]
                p.sub_(group["lr"] * (p.grad if bound is None else p.grad.clamp(-bound, bound)))


class Assignment(torch.optim.Optimizer):
    """p <- -g."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(list(parameters), {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Put all parameters that have a gradient."""
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p.copy_(-p.grad)
