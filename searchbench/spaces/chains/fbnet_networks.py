"""Networks of FBNet's space. This file imports torch.

Stem 3x3, the searched inverted residuals, 1x1, mean over the pixels, linear classifier; ReLU throughout.

Differs: convolutions have no bias, as batch norms follow (the released ones have); no dropout before the classifier.
As in the released code a block of expansion 1 has no first pointwise convolution, in two groups neither: its channels
are shuffled, and its last convolution is grouped.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from searchbench.spaces.chains.fbnet import FORMS
from searchbench.spaces.chains.mobile import shapes
from searchbench.spaces.layers.convolutions import Head, conv_norm, inverted, scaled
from searchbench.spaces.layers.networks import Chain, ChainNetworks, Layer
from searchbench.spaces.networks import Shape
from searchbench.spaces.space import Space


def fbnet_chain(space: Space, shape: Shape, classes: int, width: float, affine: bool) -> Chain:
    """What the networks are made of."""
    settings = space.settings
    stem, last = scaled(settings["stem"], width, 2), scaled(settings["last"], width)
    channels = tuple(scaled(c, width, 2) for c in settings["channels"])
    layers: list[Layer] = []
    for inputs, outputs, stride, residual in shapes(stem, channels, settings["layers"], settings["strides"]):
        blocks = tuple(
            partial(
                inverted,
                inputs,
                outputs,
                kernel,
                expansion,
                stride,
                groups=groups,
                affine=affine,
                activation=nn.ReLU,
            )
            for kernel, expansion, groups in FORMS.values()
        )
        nothing = space.decisions[len(layers)].arity == len(blocks) + 1  # decided by the space, as at some widths
        layers.append(Layer((*blocks, None) if nothing else blocks, residual))  # more layers could be left out
    begin = partial(conv_norm, shape[0], stem, 3, settings["stem_stride"], activation=nn.ReLU, affine=affine)
    head = partial(Head, channels[-1], last, classes, affine=affine)
    return Chain(begin, tuple(layers), head)


def fbnet_networks(space: Space) -> ChainNetworks:
    """The builder of the space's networks."""
    return ChainNetworks(space, fbnet_chain)
