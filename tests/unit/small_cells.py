"""Two small topologies and what tests of the parts of differentiable search share."""

from __future__ import annotations

import numpy as np
import torch

from searchbench.spaces.topology import Edge, Topology

SMALL = Topology(  # two nodes, with two and with three inputs
    tuple(Edge("cell", 2, source) for source in (0, 1)) + tuple(Edge("cell", 3, source) for source in (0, 1, 2)),
    ("none", "skip_connect", "conv"),
    keeps=2,
    learnable=("conv",),
)
DARTS_LIKE = Topology(
    tuple(Edge(cell, t, s) for cell in ("normal", "reduce") for t in (2, 3, 4, 5) for s in range(t)),
    ("none", "max", "avg", "skip_connect", "sep3", "sep5", "dil3", "dil5"),
    keeps=2,
    sparse=False,
    learnable=("sep3", "sep5", "dil3", "dil5"),
)
WEIGHTS = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.8, 0.15, 0.05], [0.3, 0.3, 0.4]])


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def gradient(relax, alpha, turn, at):
    """d/d alpha of sum_o weight_o at_o."""
    alpha = alpha.clone().requires_grad_()
    mixture = relax.mixture(alpha, turn)
    (torch.stack(list(mixture.weights)) * at).sum().backward()
    return alpha.grad, mixture
