"""Mobile spaces whose supernets cut every option of a layer from one weight: once-for-all's, and Single-Path NAS's.

`mobile-ofa` has five stages of two to four inverted residuals, each of one of three kernels and three expansions:
((3 * 3)^2 + (3 * 3)^3 + (3 * 3)^4)^5 = 2.2e19 networks. `mobile-superkernel` has the blocks of `mobile-proxyless` with
two kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from types import MappingProxyType

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.chains.mobile import chain_of_blocks
from searchbench.spaces.choices import Choice, When
from searchbench.spaces.layers.settings import check_counts, check_stages
from searchbench.spaces.space import Architecture, Space

NETWORKS = "searchbench.spaces.chains.elastic_networks"


def mobile_ofa(
    stem: int = 32,
    first: int = 16,
    channels: tuple[int, ...] = (24, 40, 80, 96, 192),
    strides: tuple[int, ...] = (2, 2, 2, 1, 2),
    depths: tuple[int, ...] = (2, 3, 4),
    kernels: tuple[int, ...] = (3, 5, 7),
    expansions: tuple[int, ...] = (3, 4, 6),
    last: int = 1280,
    stem_stride: int = 2,
) -> Space:
    """The elastic space of Cai et al. 2020, "Once-for-all: train one network and specialize it for efficient
    deployment", section 3: depth of every stage, kernel and expansion of every layer that there is.

    In its supernet a shallower stage is the first layers of a deeper one, a narrower layer the leading channels of a
    wider one, a smaller kernel a transformation of the middle of a larger one.

    Args:
        stem: output channels of the first convolution.
        first: output channels of the fixed block of expansion 1 that follows it.
        channels: output channels of every stage.
        strides: of every stage's first layer.
        depths: layers of a stage, to choose from; ascending.
        kernels: sides of depthwise kernels, odd; ascending.
        expansions: ascending.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.

    Differs: blocks are MobileNetV2's, as in the released supernet on ProxylessNAS's skeleton (whose last stage of one
        block is left out), not MobileNetV3's; images keep their size, which is the task's.
    """
    counts = {"stem": stem, "first": first, "channels": channels, "strides": strides, "last": last}
    options = {"depths": depths, "kernels": kernels, "expansions": expansions}
    check_counts("mobile-ofa", {**counts, **options, "stem_stride": stem_stride})
    check_stages("mobile-ofa", channels=channels, strides=strides)
    _check_options("mobile-ofa", options)
    decisions: list[Choice] = []
    for stage in range(1, len(channels) + 1):
        decisions.append(Choice(f"depth {stage}", depths))
        for layer in range(1, depths[-1] + 1):
            deep = tuple(depth for depth in depths if depth >= layer)
            when = None if len(deep) == len(depths) else When(f"depth {stage}", deep)
            decisions.append(Choice(f"kernel {stage}.{layer}", kernels, when))
            decisions.append(Choice(f"expansion {stage}.{layer}", expansions, when))
    return Space(
        name="mobile-ofa",
        decisions=tuple(decisions),
        settings=MappingProxyType({**counts, **options, "stem_stride": stem_stride, "affine": True}),
        writer=write,
        reader=read,
        networks=f"{NETWORKS}:ofa_networks",
    )


def mobile_superkernel(
    zero: bool = True,
    stem: int = 32,
    first: int = 16,
    channels: tuple[int, ...] = (24, 40, 80, 96, 192, 320),
    layers: tuple[int, ...] = (4, 4, 4, 4, 4, 1),
    strides: tuple[int, ...] = (2, 2, 2, 1, 2, 1),
    kernels: tuple[int, ...] = (3, 5),
    expansions: tuple[int, ...] = (3, 6),
    last: int = 1280,
    stem_stride: int = 2,
) -> Space:
    """The space of Stamoulis et al. 2019, "Single-Path NAS: designing hardware-efficient ConvNets in less than 4
    hours", section 3: kernel 3 or 5, expansion 3 or 6, or left out.

    Its supernet has one kernel a layer: 3x3 is the middle of 5x5, expansion 3 the first half of the channels. A mixture
    is a weighted sum of kernels, at the price of the largest.

    Args:
        zero: whether a block of stride 1 and equal widths can be left out.
        layers: blocks of every stage.

    Other args and errors as for `mobile_ofa`.
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
    options = {"kernels": kernels, "expansions": expansions}
    check_counts("mobile-superkernel", options)
    _check_options("mobile-superkernel", options)
    blocks = tuple(f"k{kernel}e{expansion}" for kernel, expansion in product(kernels, expansions))
    more = {"zero": zero, "superkernels": True, "affine": False}
    networks = f"{NETWORKS}:superkernel_networks"
    return chain_of_blocks("mobile-superkernel", blocks, {**counts, **options}, more, networks, zero=zero)


def stages(architecture: Architecture) -> Iterator[list[tuple[int, int]]]:
    """(kernel, expansion) of every layer, stage by stage."""
    chosen = architecture.as_dict()
    for stage in range(1, len(architecture.space.settings["channels"]) + 1):
        layers = range(1, int(str(chosen[f"depth {stage}"])) + 1)
        yield [(int(str(chosen[f"kernel {stage}.{at}"])), int(str(chosen[f"expansion {stage}.{at}"]))) for at in layers]


def write(architecture: Architecture) -> str:
    """Layers apart by spaces, stages by bars: ``k3e6 k5e4|k7e3 k3e3 k3e6``."""
    return "|".join(" ".join(f"k{kernel}e{expansion}" for kernel, expansion in stage) for stage in stages(architecture))


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Raises SpaceError."""
    found = [part.split() for part in text.split("|")]
    if len(found) != len(space.settings["channels"]):
        raise SpaceError(f"`mobile-ofa` has {len(space.settings['channels'])} stages apart by bars, but got {text!r}.")
    values: dict[str, object] = {}
    for stage, layers in enumerate(found, start=1):
        values[f"depth {stage}"] = len(layers)
        for at, layer in enumerate(layers, start=1):
            kernel, _, expansion = layer.removeprefix("k").partition("e")
            if not (kernel.isdecimal() and expansion.isdecimal()):
                raise SpaceError(f"a layer is written `k5e6`, but got {layer!r}.")
            values[f"kernel {stage}.{at}"], values[f"expansion {stage}.{at}"] = int(kernel), int(expansion)
    return space.architecture(values)


def _check_options(space: str, options: dict[str, tuple[int, ...]]) -> None:
    for name, values in options.items():
        if sorted(set(values)) != list(values) or not values:
            raise StudyError(f"{space}: `{name}` must ascend, but got {values!r}.")
    if 1 in options["expansions"]:
        raise StudyError(f"{space}: `expansions` must exceed 1, as a block of expansion 1 has one convolution fewer.")
    if even := [kernel for kernel in options["kernels"] if kernel % 2 == 0]:
        raise StudyError(f"{space}: `kernels` must be odd, to have a middle, but got {even[0]}.")
