"""The factorised hierarchical space of MnasNet: seven blocks of like layers, as MobileNetV2 has (Tan et al. 2019).

Per block: the convolution, its kernel, squeeze and excite, the skip, the width and the number of layers. With two
expansions of the inverted residual that is 4 * 2 * 2 * 3 * 3 * 3 = 432 forms of a block, the paper's S; with the
convolutions as the paper lists them it would be 324.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts, check_stages
from searchbench.spaces.space import Architecture, Space

CONVOLUTIONS = ("conv", "dconv", "mbconv3", "mbconv6")
KERNELS = (3, 5)
SQUEEZES = (0.0, 0.25)
SKIPS = ("pool", "identity", "none")
WIDTHS = (0.75, 1.0, 1.25)
DEPTHS = (-1, 0, 1)
FIELDS = ("conv", "kernel", "squeeze", "skip", "width", "depth")


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """A block with its numbers worked out."""

    convolution: str
    kernel: int
    squeeze: float
    """Channels of squeeze and excite as a share of a layer's inputs; 0 is none."""
    skip: str
    channels: int
    layers: int
    stride: int
    """Of the first layer."""


def mnasnet(
    stem: int = 32,
    channels: tuple[int, ...] = (16, 24, 32, 64, 96, 160, 320),
    layers: tuple[int, ...] = (1, 2, 3, 4, 3, 3, 1),
    strides: tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1),
    last: int = 1280,
    stem_stride: int = 2,
) -> Space:
    """The space on MobileNetV2's skeleton, (432)^7 = 2.8e18 points.

    Args:
        stem: output channels of the first convolution.
        channels: of every block, before its width is chosen.
        layers: of every block, before its depth is chosen; never fewer than one is left.
        strides: of every block's first layer.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.
    """
    settings = {
        "stem": stem,
        "channels": channels,
        "layers": layers,
        "strides": strides,
        "last": last,
        "stem_stride": stem_stride,
    }
    check_counts("mnasnet", settings)
    check_stages("mnasnet", channels=channels, layers=layers, strides=strides)
    options = (CONVOLUTIONS, KERNELS, SQUEEZES, SKIPS, WIDTHS, DEPTHS)
    return Space(
        name="mnasnet",
        decisions=tuple(
            Choice(f"block {block} {field}", values)
            for block in range(1, len(channels) + 1)
            for field, values in zip(FIELDS, options, strict=True)
        ),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.chains.mnasnet_networks:MnasNetworks",
        shares_weights=False,
    )


def plans(architecture: Architecture, width: float = 1.0) -> Iterator[BlockPlan]:
    """The blocks of an architecture, with channels times `width`."""
    settings, values = architecture.space.settings, list(architecture.values)
    for at, stride in enumerate(settings["strides"]):
        conv, kernel, squeeze, skip, wide, deep = values[6 * at : 6 * at + 6]
        channels = max(1, round(settings["channels"][at] * float(str(wide)) * width))
        layers = max(1, settings["layers"][at] + int(str(deep)))
        yield BlockPlan(str(conv), int(str(kernel)), float(str(squeeze)), str(skip), channels, layers, stride)


def canonical(architecture: Architecture) -> str:
    """The blocks as they are built: depths that leave the same number of layers share a key, and so do skips where no
    layer has one (a block of a single layer that changes sides or channels)."""
    inputs, found = architecture.space.settings["stem"], []
    for plan in plans(architecture):
        skips = plan.layers > 1 or (plan.stride == 1 and inputs == plan.channels)
        skip = plan.skip if skips else "none"
        found.append(f"{plan.convolution} k{plan.kernel} se{plan.squeeze:g} {skip} c{plan.channels} n{plan.layers}")
        inputs = plan.channels
    return "|".join(found)


def write(architecture: Architecture) -> str:
    """Blocks apart by bars: ``mbconv6 k3 se0 identity x1 +0``."""
    values = list(architecture.values)
    parts = []
    for at in range(0, len(values), 6):
        conv, kernel, squeeze, skip, width, depth = values[at : at + 6]
        parts.append(f"{conv} k{kernel} se{squeeze} {skip} x{width} {depth:+d}")
    return "|".join(parts)


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Raises SpaceError."""
    values: list[object] = []
    blocks = text.split("|")
    if len(blocks) != len(space.settings["strides"]):
        raise SpaceError(f"`mnasnet` has {len(space.settings['strides'])} blocks apart by bars, but got {text!r}.")
    for block in blocks:
        words = block.split()
        try:
            conv, kernel, squeeze, skip, width, depth = words
            values += [conv, int(kernel[1:]), float(squeeze[2:]), skip, float(width[1:]), int(depth)]
        except ValueError:
            raise SpaceError(f"a block is written `mbconv6 k3 se0.25 identity x1.0 +0`, but got {block!r}.") from None
    return space.architecture(tuple(values))
