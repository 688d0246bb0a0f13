"""Networks of SCARLET's space. This file imports torch.

Stem 3x3, a fixed block of expansion 1, the searched inverted residuals, 1x1, mean over the pixels, linear classifier;
ReLU6 in what is fixed, hard swish in what is searched, squeeze and excite with a quarter of the middle's channels and a
hard sigmoid. Source: the released networks.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from searchbench.spaces.chains.mobile import shapes
from searchbench.spaces.chains.scarlet import FORMS
from searchbench.spaces.layers.convolutions import HardSigmoid, Head, SqueezeExcite, conv_norm, inverted, scaled
from searchbench.spaces.layers.networks import Chain, ChainNetworks, Layer
from searchbench.spaces.networks import Shape
from searchbench.spaces.space import Space


def squeezing(
    inputs: int, outputs: int, kernel: int, expansion: int, stride: int, squeezed: bool, affine: bool
) -> nn.Sequential:
    """The branch of an inverted residual with hard swish and, if asked for, squeeze and excite of a quarter."""
    branch = inverted(inputs, outputs, kernel, expansion, stride, affine=affine, activation=nn.Hardswish)
    if squeezed:
        middle = inputs * expansion
        branch.insert(len(branch) - 1, SqueezeExcite(middle, max(1, middle // 4), gate=HardSigmoid))
    return branch


def scarlet_chain(space: Space, shape: Shape, classes: int, width: float, affine: bool) -> Chain:
    """What the networks are made of."""
    settings = space.settings
    stem, first, last = (scaled(settings[name], width) for name in ("stem", "first", "last"))
    channels = tuple(scaled(c, width) for c in settings["channels"])
    layers: list[Layer] = []
    for inputs, outputs, stride, residual in shapes(first, channels, settings["layers"], settings["strides"]):
        blocks = tuple(
            partial(squeezing, inputs, outputs, kernel, expansion, stride, squeezed, affine)
            for kernel, expansion, squeezed in FORMS.values()
        )
        if space.decisions[len(layers)].arity == len(blocks):
            layers.append(Layer(blocks, residual))
            continue
        linear = partial(nn.Conv2d, inputs, outputs, 1, bias=False)
        layers.append(Layer((*blocks, None), residual, stand_in=linear if settings["stabilised"] else None))

    def make_stem() -> nn.Module:
        conv = conv_norm(shape[0], stem, 3, settings["stem_stride"], activation=nn.ReLU6, affine=affine)
        return nn.Sequential(conv, inverted(stem, first, 3, 1, 1, affine=affine))

    head = partial(Head, channels[-1], last, classes, activation=nn.ReLU6, affine=affine)
    return Chain(make_stem, tuple(layers), head)


def scarlet_networks(space: Space) -> ChainNetworks:
    """The builder of the space's networks."""
    return ChainNetworks(space, scarlet_chain)
