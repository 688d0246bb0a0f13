"""Networks of the ShuffleNet space (Guo et al. 2020 and its released code). This file imports torch.

Differs: no dropout before the classifier.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from searchbench.spaces.layers.convolutions import Head, conv_norm, scaled
from searchbench.spaces.layers.networks import Chain, ChainNetworks, Layer
from searchbench.spaces.networks import Shape
from searchbench.spaces.space import Space

KERNELS: tuple[int | None, ...] = (3, 5, 7, None)
"""The depthwise kernel of every kind of block; None is the Xception-like form."""


class ShuffleUnit(nn.Module):
    """A ShuffleNetV2 unit: one part of the channels passes by, the other is transformed, both are concatenated.

    With stride 1 the odd channels are transformed and the even ones pass; with stride 2 both parts read all channels,
    and what passes by is a depthwise and a 1x1 convolution.

    Args:
        inputs, outputs: channels.
        kernel: of the depthwise convolution; None stacks three of 3x3, each with a 1x1 convolution behind it.
        stride: 1 or 2.
        middle: channels in the middle of the transformed part; None is half of the outputs.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int | None, stride: int, affine: bool, middle: int | None = None
    ) -> None:
        super().__init__()
        read = inputs if stride > 1 else inputs // 2
        wide, made = outputs // 2 if middle is None else middle, outputs - read
        make = _xception if kernel is None else partial(_separable, kernel=kernel)
        self.main = make(read, wide, made, stride=stride, affine=affine)
        self.aside: nn.Module | None = None
        if stride > 1:
            self.aside = nn.Sequential(
                conv_norm(inputs, inputs, kernel or 3, stride, groups=inputs, affine=affine),
                conv_norm(inputs, inputs, affine=affine, activation=nn.ReLU),
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H', W']."""
        if self.aside is not None:
            return torch.cat((self.aside(inputs), self.main(inputs)), 1)
        return torch.cat((inputs[:, 0::2], self.main(inputs[:, 1::2])), 1)


def _separable(read: int, wide: int, made: int, *, kernel: int, stride: int, affine: bool) -> nn.Sequential:
    return nn.Sequential(
        conv_norm(read, wide, affine=affine, activation=nn.ReLU),
        conv_norm(wide, wide, kernel, stride, groups=wide, affine=affine),
        conv_norm(wide, made, affine=affine, activation=nn.ReLU),
    )


def _xception(read: int, wide: int, made: int, *, stride: int, affine: bool) -> nn.Sequential:
    parts = []
    for at, (a, b) in enumerate(((read, wide), (wide, wide), (wide, made))):
        parts.append(conv_norm(a, a, 3, stride if at == 0 else 1, groups=a, affine=affine))
        parts.append(conv_norm(a, b, affine=affine, activation=nn.ReLU))
    return nn.Sequential(*parts)


def shuffle_chain(space: Space, shape: Shape, classes: int, width: float, affine: bool) -> Chain:
    """What the space's networks are made of."""
    settings = space.settings
    inputs = stem = scaled(settings["stem"], width, 2)
    layers = []
    for channels, blocks in zip(settings["channels"], settings["layers"], strict=True):
        outputs = scaled(channels, width, 2)
        for at in range(blocks):
            unit = partial(ShuffleUnit, inputs, outputs, stride=1 if at else 2, affine=affine)
            layers.append(Layer(tuple(partial(unit, kernel=kernel) for kernel in KERNELS)))
            inputs = outputs
    activation = nn.ReLU
    return Chain(
        partial(conv_norm, shape[0], stem, 3, settings["stem_stride"], affine=affine, activation=activation),
        tuple(layers),
        partial(Head, inputs, scaled(settings["last"], width), classes, affine=affine, bias=False),
    )


def shuffle_networks(space: Space) -> ChainNetworks:
    """The builder of the space's networks."""
    return ChainNetworks(space, shuffle_chain)
