"""Networks of the spaces with elastic layers. This file imports torch.

Stem 3x3, a fixed block of expansion 1, the searched inverted residuals, 1x1, mean over the pixels, linear classifier;
ReLU6 throughout. Stand-alone networks are built of blocks of their own size; what is cut from what is the supernet's.
"""

from __future__ import annotations

from functools import partial
from itertools import product

from torch import nn

from searchbench.spaces.chains.mobile import shapes
from searchbench.spaces.layers.convolutions import Head, conv_norm, inverted, scaled
from searchbench.spaces.layers.elastic import ElasticInverted
from searchbench.spaces.layers.networks import Chain, ChainNetworks, Layer
from searchbench.spaces.networks import Path, Shape
from searchbench.spaces.space import Space

EPSILON = 1e-5


def ofa_networks(space: Space) -> ChainNetworks:
    """The builder of once-for-all's networks."""
    return ChainNetworks(space, ofa_chain)


def superkernel_networks(space: Space) -> ChainNetworks:
    """The builder of Single-Path NAS's networks."""
    return ChainNetworks(space, superkernel_chain)


def ofa_chain(space: Space, shape: Shape, classes: int, width: float, affine: bool) -> Chain:
    """What the networks of `mobile-ofa` are made of: every stage with as many layers as the deepest has."""
    settings = space.settings
    deepest, least = settings["depths"][-1], settings["depths"][0]
    ends = (deepest,) * len(settings["channels"])
    optional = [at % deepest >= least for at in range(deepest * len(ends))]
    chain = _chain(space, ends, optional, shape, classes, width, affine, transforms=True)
    return Chain(chain.stem, chain.layers, chain.head, partial(_route, settings["depths"], len(ends), space))


def superkernel_chain(space: Space, shape: Shape, classes: int, width: float, affine: bool) -> Chain:
    """What the networks of `mobile-superkernel` are made of."""
    blocks = len(space.settings["kernels"]) * len(space.settings["expansions"])
    optional = [decision.arity == blocks + 1 for decision in space.decisions]
    return _chain(space, space.settings["layers"], optional, shape, classes, width, affine, transforms=False)


def _chain(
    space: Space,
    layers: tuple[int, ...],
    optional: list[bool],
    shape: Shape,
    classes: int,
    width: float,
    affine: bool,
    *,
    transforms: bool,
) -> Chain:
    settings = space.settings
    stem, first, last = (scaled(settings[name], width) for name in ("stem", "first", "last"))
    channels = tuple(scaled(c, width) for c in settings["channels"])
    cuts = tuple(product(settings["kernels"], settings["expansions"]))
    made: list[Layer] = []
    steps = shapes(first, channels, layers, settings["strides"])
    for (inputs, outputs, stride, residual), skippable in zip(steps, optional, strict=True):
        blocks = tuple(
            partial(inverted, inputs, outputs, kernel, expansion, stride, affine=affine, eps=EPSILON)
            for kernel, expansion in cuts
        )
        whole = partial(
            ElasticInverted,
            inputs,
            outputs,
            stride,
            cuts,
            nn.ReLU6,
            affine=affine,
            eps=EPSILON,
            transforms=transforms,
        )
        made.append(Layer((*blocks, None) if skippable else blocks, residual, whole))

    def make_stem() -> nn.Module:
        conv = conv_norm(shape[0], stem, 3, settings["stem_stride"], activation=nn.ReLU6, affine=affine, eps=EPSILON)
        return nn.Sequential(conv, inverted(stem, first, 3, 1, 1, affine=affine, eps=EPSILON))

    head = partial(Head, channels[-1], last, classes, activation=nn.ReLU6, affine=affine, eps=EPSILON)
    return Chain(make_stem, tuple(made), head)


def _route(depths: tuple[int, ...], stages: int, space: Space, path: Path) -> Path:
    """The block of every layer, from the options of depths, kernels and expansions."""
    settings, deepest = space.settings, depths[-1]
    expansions, blocks = len(settings["expansions"]), len(settings["kernels"]) * len(settings["expansions"])
    per_stage, found = 1 + 2 * deepest, []
    for stage in range(stages):
        depth, *own = path[stage * per_stage : (stage + 1) * per_stage]
        for layer in range(deepest):
            there = layer < depths[depth]
            found.append(own[2 * layer] * expansions + own[2 * layer + 1] if there else blocks)
    return tuple(found)
