"""Dirichlet distributions over the operations of each edge. This file imports torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Dirichlet, kl_divergence
from torch.distributions.dirichlet import _Dirichlet_backward

SMALLEST = 1e-6
"""Of concentrations: elu(alpha) + 1 comes to 0 in single precision."""


def concentration(alpha: Tensor) -> Tensor:
    """beta = elu(alpha) + 1 [decisions, options], above 0."""
    return (F.elu(alpha) + 1).clamp(min=SMALLEST)


class _Draw(torch.autograd.Function):
    """A draw from a generator of one's own, which torch.distributions does not take, with its pathwise gradient."""

    @staticmethod
    def forward(ctx: Any, beta: Tensor, generator: torch.Generator | None) -> Tensor:
        drawn: Tensor = torch._sample_dirichlet(beta, generator)
        ctx.save_for_backward(drawn, beta)
        return drawn

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        drawn, beta = ctx.saved_tensors
        return _Dirichlet_backward(drawn, beta, gradients[0]), None  # type: ignore[no-untyped-call]


def draw(beta: Tensor, mask: Tensor | None, generator: torch.Generator | None) -> Tensor:
    """[decisions, options]: a draw of each decision's distribution over the operations that are not pruned, with a
    gradient in `beta`; pruned ones weigh nothing. Drawn on the CPU, in double precision."""
    apart = beta.double().cpu()
    if mask is None or bool(mask.all()):
        return _Draw.apply(apart, generator).to(beta)  # type: ignore[no-any-return, no-untyped-call]
    rows = []
    for row, kept in zip(apart, mask.cpu(), strict=True):
        drawn = _Draw.apply(row[kept].unsqueeze(0), generator).squeeze(0)  # type: ignore[no-untyped-call]
        rows.append(torch.zeros_like(row).masked_scatter(kept, drawn))
    return torch.stack(rows).to(beta)


def divergence(beta: Tensor, mask: Tensor) -> Tensor:
    """Sum over decisions of KL(Dir(beta) || Dir(1)) over the operations that are not pruned."""
    rows = [row[kept] for row, kept in zip(beta, mask, strict=True)]
    parts = [kl_divergence(Dirichlet(row), Dirichlet(torch.ones_like(row))) for row in rows if len(row) > 1]
    return torch.stack(parts).sum() if parts else beta.sum() * 0.0
