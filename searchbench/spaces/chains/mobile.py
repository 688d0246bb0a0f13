"""MobileNet-like spaces: a chain of inverted residuals, each of some depthwise kernel and expansion.

`mobile-fairnas` has 19 layers of 6 blocks (Chu et al. 2019, FairNAS): 6^19 = 6.1e14 networks. `mobile-proxyless` has
21, of which 15 may also be left out (Cai et al. 2019, ProxylessNAS): 6^6 * 7^15 = 2.2e17.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from searchbench.spaces.choices import Choice
from searchbench.spaces.labelled import LabelledGraph, chained
from searchbench.spaces.layers.settings import check_counts, check_stages, read_stages, write_blocks, write_stages
from searchbench.spaces.space import Architecture, Space

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 6)
BLOCKS = tuple(f"k{kernel}e{expansion}" for kernel in KERNELS for expansion in EXPANSIONS)


def mobile_fairnas(
    stem: int = 32,
    first: int = 16,
    channels: tuple[int, ...] = (32, 40, 80, 96, 192, 320),
    layers: tuple[int, ...] = (2, 4, 4, 4, 4, 1),
    strides: tuple[int, ...] = (2, 2, 2, 1, 2, 1),
    last: int = 1280,
    stem_stride: int = 2,
) -> Space:
    """FairNAS's space: no layer can be left out.

    Args:
        stem: output channels of the first convolution.
        first: output channels of the fixed block of expansion 1 that follows it.
        channels: output channels of every stage.
        layers: blocks of every stage.
        strides: of every stage's first block.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.
    """
    return _mobile("mobile-fairnas", False, False, stem, first, channels, layers, strides, last, stem_stride)


def mobile_proxyless(
    zero: bool = True,
    stem: int = 32,
    first: int = 16,
    channels: tuple[int, ...] = (24, 40, 80, 96, 192, 320),
    layers: tuple[int, ...] = (4, 4, 4, 4, 4, 1),
    strides: tuple[int, ...] = (2, 2, 2, 1, 2, 1),
    last: int = 1280,
    stem_stride: int = 2,
) -> Space:
    """ProxylessNAS's space. The batch norms of its supernet are affine, as it is only run one or two blocks at a time.

    Args:
        zero: whether a block of stride 1 and equal widths can be left out. It is then the identity, so networks that
            differ only in which block of a stage is left out share their key.

    Other args and errors as for `mobile_fairnas`.
    """
    return _mobile("mobile-proxyless", zero, True, stem, first, channels, layers, strides, last, stem_stride)


def _mobile(
    name: str,
    zero: bool,
    affine: bool,
    stem: int,
    first: int,
    channels: tuple[int, ...],
    layers: tuple[int, ...],
    strides: tuple[int, ...],
    last: int,
    stem_stride: int,
) -> Space:
    counts = {
        "stem": stem,
        "first": first,
        "channels": channels,
        "layers": layers,
        "strides": strides,
        "last": last,
        "stem_stride": stem_stride,
    }
    networks = "searchbench.spaces.chains.mobile_networks:mobile_networks"
    return chain_of_blocks(name, BLOCKS, counts, {"zero": zero, "affine": affine}, networks, zero=zero)


def chain_of_blocks(
    name: str, blocks: tuple[str, ...], counts: Mapping[str, Any], more: Mapping[str, Any], networks: str, *, zero: bool
) -> Space:
    """The space of stages of layers, each of which is one of `blocks`.

    Args:
        name: of the space.
        blocks: names of what a layer may be.
        counts: settings that are positive integers or tuples of such, `channels`, `layers` and `strides` of every stage
            among them; the first layer reads `first` channels, or `stem` where there is no such setting.
        more: other settings.
        networks: the path of their builder.
        zero: whether a layer of stride 1 and equal widths can be left out.

    Raises:
        StudyError: a count is no positive integer, or stages have not as many entries of each.
    """
    channels, layers, strides = (counts[each] for each in ("channels", "layers", "strides"))
    check_counts(name, counts)
    check_stages(name, channels=channels, layers=layers, strides=strides)
    return Space(
        name=name,
        decisions=tuple(
            Choice(f"layer {at}", (*blocks, "zero") if zero and skippable else blocks)
            for at, (*_, skippable) in enumerate(
                shapes(counts.get("first", counts["stem"]), channels, layers, strides), start=1
            )
        ),
        settings=MappingProxyType({**counts, **more}),
        canonical=write_blocks,
        writer=write_stages,
        reader=read_stages,
        networks=networks,
        graph=graph,
    )


def graph(architecture: Architecture) -> LabelledGraph:
    """The blocks with their output channels, those that are left out not among them."""
    settings, values = architecture.space.settings, map(str, architecture.values)
    first = settings.get("first", settings["stem"])
    each = shapes(first, *(settings[name] for name in ("channels", "layers", "strides")))
    return chained((block, width) for block, (_, width, *_) in zip(values, each, strict=True) if block != "zero")


def shapes(
    first: int, channels: tuple[int, ...], layers: tuple[int, ...], strides: tuple[int, ...]
) -> list[tuple[int, int, int, bool]]:
    """(input channels, output channels, stride, whether the input can be added to the output) of every layer."""
    found, inputs = [], first
    for outputs, blocks, stride in zip(channels, layers, strides, strict=True):
        for at in range(blocks):
            step = 1 if at else stride
            found.append((inputs, outputs, step, step == 1 and inputs == outputs))
            inputs = outputs
    return found
