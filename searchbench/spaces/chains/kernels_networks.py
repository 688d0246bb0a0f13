"""Networks of the spaces with several kernels at a time. This file imports torch.

`mixnet`: stem 3x3 and a fixed block of expansion 1, both with ReLU, as the first stage has; swish after it. `mixpath`:
stem 3x3, ReLU6 throughout. Both end in 1x1, mean over the pixels and a linear classifier. Sources: the released
networks of MixNet (whose fixed block has a residual, here it has none) and of MixPath.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn

from searchbench.spaces.chains.kernels import block
from searchbench.spaces.chains.mobile import shapes
from searchbench.spaces.layers.convolutions import Activation, Head, SqueezeExcite, conv_norm, inverted, scaled
from searchbench.spaces.layers.networks import Chain, ChainNetworks, Layer
from searchbench.spaces.networks import Shape
from searchbench.spaces.operations import convolution
from searchbench.spaces.space import Space


class MixedDepthwise(nn.Module):
    """A depthwise convolution whose channels are divided among kernels, what is left over going to the first.

    Source: Tan & Le 2019, "MixConv", section 3.
    """

    def __init__(self, channels: int, kernels: Sequence[int], stride: int) -> None:
        super().__init__()
        each, over = divmod(channels, len(kernels))
        self.parts = [each + over, *[each] * (len(kernels) - 1)]
        self.convs = nn.ModuleList(
            convolution(part, part, kernel, stride, groups=part)
            for part, kernel in zip(self.parts, kernels, strict=True)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H', W']."""
        pieces = torch.split(inputs, self.parts, 1)
        return torch.cat([conv(piece) for conv, piece in zip(self.convs, pieces, strict=True)], 1)


class SummedKernels(nn.Module):
    """The branches of inverted residuals whose depthwise convolutions are added, with one set of weights.

    1x1 to `expansion` times the inputs, each kernel with a batch norm and an activation of its own, their sum, linear
    1x1, and the batch norm of as many kernels as there were.

    Args:
        inputs, outputs: channels.
        stride: of depthwise convolutions.
        blocks: kernels and expansion of every option.

    Source: Chu et al. 2023, "MixPath", section 3.2, and the released code.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, blocks: Sequence[tuple[tuple[int, ...], int]], affine: bool
    ) -> None:
        super().__init__()
        self.blocks = blocks
        self.expand, self.project = nn.ModuleDict(), nn.ModuleDict()
        self.kernels, self.norms = nn.ModuleDict(), nn.ModuleDict()
        activation = nn.ReLU6
        for expansion in sorted({expansion for _, expansion in blocks}):
            middle, own = inputs * expansion, [kernels for kernels, e in blocks if e == expansion]
            self.expand[str(expansion)] = conv_norm(inputs, middle, affine=affine, activation=activation)
            self.project[str(expansion)] = convolution(middle, outputs, 1)
            for kernel in sorted({kernel for kernels in own for kernel in kernels}):
                self.kernels[f"{expansion}x{kernel}"] = conv_norm(
                    middle, middle, kernel, stride, groups=middle, affine=affine, activation=activation
                )
            for number in sorted({len(kernels) for kernels in own}):
                self.norms[f"{expansion}x{number}"] = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, inputs: Tensor, option: int = 0) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'] through one option."""
        kernels, expansion = self.blocks[option]
        expanded = self.expand[str(expansion)](inputs)
        summed = reduce(torch.add, [self.kernels[f"{expansion}x{kernel}"](expanded) for kernel in kernels])
        return self.norms[f"{expansion}x{len(kernels)}"](self.project[str(expansion)](summed))  # type: ignore[no-any-return]


def mixing(
    inputs: int,
    outputs: int,
    stride: int,
    name: str,
    squeezed: int,
    activation: Activation,
    affine: bool,
) -> nn.Sequential:
    """The branch of an inverted residual with a mixed depthwise convolution."""
    kernels, expansion, grouped = block(name)
    middle = inputs * expansion
    parts: list[nn.Module] = [
        conv_norm(inputs, middle, groups=2 if "a" in grouped else 1, affine=affine, activation=activation),
        nn.Sequential(MixedDepthwise(middle, kernels, stride), nn.BatchNorm2d(middle, affine=affine), activation()),
    ]
    if squeezed:
        parts.append(SqueezeExcite(middle, squeezed, activation))
    return nn.Sequential(*parts, conv_norm(middle, outputs, groups=2 if "p" in grouped else 1, affine=affine))


def mixnet_chain(space: Space, shape: Shape, classes: int, width: float, affine: bool) -> Chain:
    """What the networks of `mixnet` are made of."""
    settings = space.settings
    stem, last = scaled(settings["stem"], width), scaled(settings["last"], width)
    first, *channels = (scaled(c, width, 2) for c in (settings["first"], *settings["channels"]))
    stages = [at for at, number in enumerate(settings["layers"]) for _ in range(number)]
    layers: list[Layer] = []
    for inputs, outputs, stride, residual in shapes(first, tuple(channels), settings["layers"], settings["strides"]):
        stage = stages[len(layers)]
        squeezed = int(inputs * settings["squeezes"][stage])
        activation: Activation = nn.SiLU if stage else nn.ReLU
        names = (str(name) for name in space.decisions[len(layers)].values())
        blocks = [partial(mixing, inputs, outputs, stride, name, squeezed, activation, affine) for name in names]
        layers.append(Layer(tuple(blocks), residual))

    def make_stem() -> nn.Module:
        conv = conv_norm(shape[0], stem, 3, settings["stem_stride"], activation=nn.ReLU, affine=affine)
        return nn.Sequential(conv, inverted(stem, first, 3, 1, 1, activation=nn.ReLU, affine=affine))

    return Chain(make_stem, tuple(layers), partial(Head, channels[-1], last, classes, affine=affine))


def mixpath_chain(space: Space, shape: Shape, classes: int, width: float, affine: bool) -> Chain:
    """What the networks of `mixpath` are made of."""
    settings = space.settings
    stem, last = scaled(settings["stem"], width), scaled(settings["last"], width)
    channels = tuple(scaled(c, width) for c in settings["channels"])
    blocks = [block(str(name))[:2] for name in space.decisions[0].values()]
    layers = [
        Layer(
            tuple(partial(SummedKernels, inputs, outputs, stride, (own,), affine) for own in blocks),
            residual,
            partial(SummedKernels, inputs, outputs, stride, tuple(blocks), affine),
        )
        for inputs, outputs, stride, residual in shapes(stem, channels, settings["layers"], settings["strides"])
    ]
    begin = partial(conv_norm, shape[0], stem, 3, settings["stem_stride"], activation=nn.ReLU6, affine=affine)
    return Chain(begin, tuple(layers), partial(Head, channels[-1], last, classes, activation=nn.ReLU6, affine=affine))


def mixnet_networks(space: Space) -> ChainNetworks:
    """The builder of MixNet's networks."""
    return ChainNetworks(space, mixnet_chain)


def mixpath_networks(space: Space) -> ChainNetworks:
    """The builder of MixPath's networks."""
    return ChainNetworks(space, mixpath_chain)
