"""Networks of the NAS-Bench-Macro space (Su et al. 2021 and the released code). This file imports torch."""

from __future__ import annotations

from functools import partial

from torch import nn

from searchbench.spaces.layers.convolutions import Head, conv_norm, inverted, scaled
from searchbench.spaces.layers.networks import Chain, ChainNetworks, Layer
from searchbench.spaces.networks import Shape
from searchbench.spaces.space import Space

KINDS = ((3, 3), (5, 6))
"""Kernel and expansion of the two inverted residuals."""


def macro_chain(space: Space, shape: Shape, classes: int, width: float, affine: bool) -> Chain:
    """What the space's networks are made of: stem 3x3 of stride 1, layers, 1x1, mean over the pixels, classifier."""
    settings = space.settings
    inputs = stem = scaled(settings["stem"], width)
    layers = []
    for number in settings["layers"]:
        for at in range(number):
            outputs, stride = (inputs, 1) if at else (2 * inputs, 2)
            blocks = tuple(
                partial(inverted, inputs, outputs, kernel, expansion, stride, affine=affine, activation=nn.ReLU)
                for kernel, expansion in KINDS
            )
            nothing = None if at else partial(conv_norm, inputs, outputs, 1, stride, affine=affine)
            layers.append(Layer((nothing, *blocks), residual=at > 0))
            inputs = outputs
    return Chain(
        partial(conv_norm, shape[0], stem, 3, affine=affine, activation=nn.ReLU),
        tuple(layers),
        partial(Head, inputs, scaled(settings["last"], width), classes, affine=affine),
    )


def macro_networks(space: Space) -> ChainNetworks:
    """The builder of the space's networks."""
    return ChainNetworks(space, macro_chain)
