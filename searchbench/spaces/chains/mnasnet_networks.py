"""Networks of the MnasNet space (Tan et al. 2019, section 4 and figure 4). This file imports torch.

Stem 3x3, blocks, 1x1, mean over the pixels, linear classifier. The paper leaves open: a skip (of the input itself, or
of its 3x3 average pool) is added where a layer keeps sides and channels; squeeze and excite stands before the last
convolution of a layer.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.chains.mnasnet import BlockPlan, plans
from searchbench.spaces.layers.convolutions import Head, SqueezeExcite, conv_norm, inverted, scaled
from searchbench.spaces.layers.networks import begin
from searchbench.spaces.networks import Shape, Supernet, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form


class SkippedBlock(nn.Module):
    """A layer and what is added to its output: its input, or that averaged over 3x3 pixels."""

    def __init__(self, layer: nn.Module, pool: bool) -> None:
        super().__init__()
        self.layer = layer
        self.skip = nn.AvgPool2d(3, 1, 1, count_include_pad=False) if pool else nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return self.skip(inputs) + self.layer(inputs)  # type: ignore[no-any-return]


class BlocksNetwork(nn.Module):
    """A stem, blocks of like layers, a head."""

    def __init__(
        self, blocks: Iterable[BlockPlan], inputs: int, stem: int, stem_stride: int, last: int, classes: int
    ) -> None:
        super().__init__()
        self.stem = conv_norm(inputs, stem, 3, stem_stride, activation=nn.ReLU)
        self.layers = nn.Sequential()
        read = stem
        for plan in blocks:
            for at in range(plan.layers):
                self.layers.append(_layer(plan, read, 1 if at else plan.stride))
                read = plan.channels
        self.head = Head(read, last, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        return self.head(self.layers(begin(self.stem, inputs)))  # type: ignore[no-any-return]


class MnasNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> BlocksNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        settings = self.space.settings
        stem, last = scaled(settings["stem"], width), scaled(settings["last"], width)
        with torch.device("meta"):
            blocks = plans(architecture, width)
            return BlocksNetwork(blocks, shape[0], stem, settings["stem_stride"], last, classes)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> Supernet:
        """Raises SpaceError: widths and depths of whole blocks are searched by training each network."""
        raise SpaceError("space `mnasnet` has no supernet: every network of it is trained by itself.")

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample), counted on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)


def _layer(plan: BlockPlan, inputs: int, stride: int) -> nn.Module:
    layer = _convolution(plan, inputs, stride)
    if plan.skip == "none" or stride > 1 or inputs != plan.channels:
        return layer
    return SkippedBlock(layer, pool=plan.skip == "pool")


def _convolution(plan: BlockPlan, inputs: int, stride: int) -> nn.Sequential:
    squeezed = max(1, int(inputs * plan.squeeze)) if plan.squeeze else 0
    if plan.convolution.startswith("mbconv"):
        expansion = int(plan.convolution.removeprefix("mbconv"))
        return inverted(inputs, plan.channels, plan.kernel, expansion, stride, activation=nn.ReLU, squeeze=squeezed)
    if plan.convolution == "dconv":
        return inverted(inputs, plan.channels, plan.kernel, 1, stride, activation=nn.ReLU, squeeze=squeezed)
    conv = conv_norm(inputs, plan.channels, plan.kernel, stride, activation=nn.ReLU)
    return nn.Sequential(conv, SqueezeExcite(plan.channels, squeezed)) if squeezed else conv
