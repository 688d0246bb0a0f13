"""Weights, logits, images and noise that follow from names, so that an author's program and this package's supernet can
be given the same.
"""

from __future__ import annotations

from zlib import crc32

import torch
from torch import Tensor, nn

CHANNELS, CELLS, CLASSES, IMAGES, SIDE, TAU = 4, 3, 4, 6, 8, 2.5


def normal(name: str, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers that follow from a name."""
    generator = torch.Generator().manual_seed(crc32(name.encode()))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def weight_of(name: str, like: Tensor) -> Tensor:
    """A weight that follows from its place; kernels as large as He's."""
    fan_in = like[0].numel() if like.dim() > 1 else like.numel()
    return normal(name, tuple(like.shape)) * (2 / fan_in) ** 0.5


def put(name: str, module: nn.Module) -> None:
    """Give every kernel and matrix of a module, and the biases of a classifier, its weight."""
    at = 0
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            with torch.no_grad():
                part.weight.copy_(weight_of(f"{name}.{at}", part.weight))
                if part.bias is not None:
                    part.bias.copy_(weight_of(f"{name}.{at}.bias", part.bias))
            at += 1


def put_convolutions(name: str, module: nn.Module) -> None:
    """`put` of every convolution and matrix, counted, in whatever they are nested."""
    layers = (part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear))
    for at, part in enumerate(layers):
        put(f"{name} {at}", part)


PAIR = (1, 4)
"""Two operations of every layer of a block."""


def images(name: str = "images") -> Tensor:
    """[B, 3, H, W]."""
    return normal(name, (IMAGES, 3, SIDE, SIDE))


TARGETS = torch.tensor([0, 1, 2, 3, 0, 1])


def logits_of(edges: int, options: int, name: str = "alpha") -> Tensor:
    """[edges, options]."""
    return normal(name, (edges, options))


def gumbels(edges: int, options: int) -> Tensor:
    """Gumbel(0, 1), [edges, options]."""
    generator = torch.Generator().manual_seed(crc32(b"gumbel"))
    uniform = torch.rand((edges, options), generator=generator, dtype=torch.float64).clamp(1e-20, 1 - 1e-16)
    return -(-uniform.log()).log()
