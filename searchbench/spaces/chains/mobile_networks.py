"""Networks of the MobileNet-like spaces. This file imports torch.

Stem 3x3, a fixed block of expansion 1, the searched inverted residuals, 1x1, mean over the pixels, linear classifier;
ReLU6 throughout. Sources: the released networks of FairNAS; section 4 and the code of ProxylessNAS (batch norms with
an epsilon of 1e-3).
"""

from __future__ import annotations

from functools import partial

from torch import nn

from searchbench.spaces.chains.mobile import EXPANSIONS, KERNELS, shapes
from searchbench.spaces.layers.convolutions import Head, conv_norm, inverted, scaled
from searchbench.spaces.layers.networks import Chain, ChainNetworks, Layer
from searchbench.spaces.networks import Shape
from searchbench.spaces.space import Space

EPSILON = {"mobile-fairnas": 1e-5, "mobile-proxyless": 1e-3}


def mobile_chain(space: Space, shape: Shape, classes: int, width: float, affine: bool) -> Chain:
    """What the networks of either space are made of."""
    settings, eps = space.settings, EPSILON[space.name]
    stem, first = scaled(settings["stem"], width), scaled(settings["first"], width)
    channels = tuple(scaled(c, width) for c in settings["channels"])
    layers: list[Layer] = []
    for inputs, outputs, stride, residual in shapes(first, channels, settings["layers"], settings["strides"]):
        blocks = tuple(
            partial(inverted, inputs, outputs, kernel, expansion, stride, affine=affine, eps=eps)
            for kernel in KERNELS
            for expansion in EXPANSIONS
        )
        # what may be left out is decided by the space: at some widths more layers could be
        nothing = space.decisions[len(layers)].arity == len(blocks) + 1
        layers.append(Layer((*blocks, None) if nothing else blocks, residual))

    def make_stem() -> nn.Module:
        conv = conv_norm(shape[0], stem, 3, settings["stem_stride"], activation=nn.ReLU6, affine=affine, eps=eps)
        return nn.Sequential(conv, inverted(stem, first, 3, 1, 1, affine=affine, eps=eps))

    head = partial(
        Head, channels[-1], scaled(settings["last"], width), classes, activation=nn.ReLU6, affine=affine, eps=eps
    )
    return Chain(make_stem, tuple(layers), head)


def mobile_networks(space: Space) -> ChainNetworks:
    """The builder of either space's networks."""
    return ChainNetworks(space, mobile_chain)
