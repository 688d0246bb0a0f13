"""Mobile spaces whose depthwise convolutions have kernels of several sizes at a time.

`mixnet`: the channels of a layer are divided among them. `mixpath`: each sees all channels, and outputs are added.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product
from types import MappingProxyType
from typing import Any

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts, check_stages, read_stages, write_stages
from searchbench.spaces.space import Space

NETWORKS = "searchbench.spaces.chains.kernels_networks"
POINTWISE = ("", "a", "p", "ap")
"""Which 1x1 convolutions are in two groups: none, the expanding one, the projecting one, both."""


def block(name: str) -> tuple[tuple[int, ...], int, str]:
    """Kernels, expansion and grouped 1x1 convolutions of a block: ``k3.5e6ap``."""
    kernels, _, rest = name.removeprefix("k").partition("e")
    pointwise = rest.lstrip("0123456789")
    return tuple(map(int, kernels.split("."))), int(rest.removesuffix(pointwise)), pointwise


def mixnet(
    kernels: tuple[int, ...] = (3, 5, 7, 9, 11),
    expansions: tuple[int, ...] = (3, 6),
    pointwise: tuple[str, ...] = ("",),
    stem: int = 16,
    first: int = 16,
    channels: tuple[int, ...] = (24, 40, 80, 120, 200),
    layers: tuple[int, ...] = (2, 4, 3, 3, 3),
    strides: tuple[int, ...] = (2, 2, 2, 1, 2),
    squeezes: tuple[float, ...] = (0.0, 0.5, 0.25, 0.5, 0.5),
    last: int = 1536,
    stem_stride: int = 2,
) -> Space:
    """The options of Tan & Le 2019, "MixConv: mixed depthwise convolutional kernels", on the skeleton of MixNet-S: the
    channels of a depthwise convolution are divided among the first one to all of the kernels.

    Args:
        kernels: sides of depthwise kernels, odd; ascending.
        expansions: of the inverted residuals.
        pointwise: which 1x1 convolutions are in two groups, of "", "a" (the expanding one), "p" (the projecting one)
            and "ap"; all of them to hold the published networks.
        stem: output channels of the first convolution.
        first: output channels of the fixed block of expansion 1 that follows it.
        channels: output channels of every stage; even.
        layers: blocks of every stage.
        strides: of every stage's first block.
        squeezes: of every stage, channels of squeeze and excite as a share of a block's inputs; 0 is none.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.

    Differs: the paper searches with MnasNet's reinforcement learning, here any strategy does; squeeze and excite,
        widths and depths are the skeleton's.
    """
    counts = {
        "stem": stem,
        "first": first,
        "channels": channels,
        "layers": layers,
        "strides": strides,
        "last": last,
        "stem_stride": stem_stride,
    }
    _check("mixnet", kernels, expansions, counts)
    check_stages("mixnet", channels=channels, layers=layers, strides=strides, squeezes=squeezes)  # type: ignore[arg-type]
    if not pointwise or not set(pointwise) <= set(POINTWISE):
        raise StudyError(f'mixnet: `pointwise` must be of "", "a", "p" and "ap", but got {pointwise!r}.')
    if odd := [width for width in (first, *channels) if width % 2]:
        raise StudyError(f"mixnet: convolutions in two groups need even widths, but got {odd[0]}.")
    mixtures = [kernels[:number] for number in range(1, len(kernels) + 1)]
    more = {"kernels": kernels, "expansions": expansions, "pointwise": pointwise, "squeezes": squeezes}
    return _space("mixnet", _names(mixtures, expansions, pointwise), {**counts, **more}, "mixnet_networks")


def mixpath(
    paths: int = 2,
    kernels: tuple[int, ...] = (3, 5, 7, 9),
    expansions: tuple[int, ...] = (3, 6),
    stem: int = 32,
    channels: tuple[int, ...] = (48, 96, 192, 256, 320),
    layers: tuple[int, ...] = (2, 3, 3, 2, 2),
    strides: tuple[int, ...] = (1, 2, 2, 1, 1),
    last: int = 1280,
    stem_stride: int = 1,
) -> Space:
    """The space S1 of Chu et al. 2023, "MixPath: a unified approach for one-shot neural architecture search": one to
    `paths` depthwise convolutions at a time, whose outputs are added.

    In the supernet each kernel has its own weights, whatever is added to it, and the last batch norm of a layer is of
    as many kernels as are active (a shadow batch norm): sums of n alike outputs have n^2 times their variance.

    Args:
        paths: depthwise convolutions of a layer at most.
        kernels: their sides, odd; ascending.
        expansions: of the inverted residuals.
        stem: output channels of the first convolution.
        channels: output channels of every stage.
        layers: blocks of every stage.
        strides: of every stage's first block.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.
    """
    counts: dict[str, Any] = {
        "stem": stem,
        "channels": channels,
        "layers": layers,
        "strides": strides,
        "last": last,
        "stem_stride": stem_stride,
        "paths": paths,
    }
    _check("mixpath", kernels, expansions, counts)
    check_stages("mixpath", channels=channels, layers=layers, strides=strides)
    if paths > len(kernels):
        raise StudyError(f"mixpath: `paths` must not exceed the {len(kernels)} kernels, but got {paths}.")
    mixtures = [chosen for number in range(1, paths + 1) for chosen in combinations(kernels, number)]
    settings = {**counts, "kernels": kernels, "expansions": expansions, "affine": True}
    return _space("mixpath", _names(mixtures, expansions, ("",)), settings, "mixpath_networks")


def _names(
    mixtures: Iterable[tuple[int, ...]], expansions: tuple[int, ...], pointwise: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(
        f"k{'.'.join(map(str, mixture))}e{expansion}{grouped}"
        for mixture, expansion, grouped in product(mixtures, expansions, pointwise)
    )


def _space(name: str, blocks: tuple[str, ...], settings: dict[str, Any], builder: str) -> Space:
    return Space(
        name=name,
        decisions=tuple(Choice(f"layer {at}", blocks) for at in range(1, sum(settings["layers"]) + 1)),
        settings=MappingProxyType(settings),
        writer=write_stages,
        reader=read_stages,
        networks=f"{NETWORKS}:{builder}",
    )


def _check(space: str, kernels: tuple[int, ...], expansions: tuple[int, ...], counts: dict[str, Any]) -> None:
    check_counts(space, {**counts, "kernels": kernels, "expansions": expansions})
    if sorted(set(kernels)) != list(kernels) or not kernels or any(kernel % 2 == 0 for kernel in kernels):
        raise StudyError(f"{space}: `kernels` must be odd and ascend, but got {kernels!r}.")
    if len(set(expansions)) < len(expansions) or not expansions or 1 in expansions:
        raise StudyError(f"{space}: `expansions` must be distinct and exceed 1, but got {expansions!r}.")
