"""The ShuffleNet space of single-path one-shot search: 20 blocks, four kinds each (Guo et al. 2020).

Every block is a ShuffleNetV2 unit with a depthwise kernel of 3, 5 or 7, or its Xception-like form; 4^20 = 1.1e12
networks. `shuffle-channels` also chooses the width of every block's middle, of eight ratios.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts, check_stages
from searchbench.spaces.space import Architecture, Space

BLOCKS = ("shuffle3", "shuffle5", "shuffle7", "xception")
RATIOS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
"""Widths of a block's middle, as a share of half its outputs."""


def shuffle(
    stem: int = 16,
    channels: tuple[int, ...] = (64, 160, 320, 640),
    layers: tuple[int, ...] = (4, 4, 8, 4),
    last: int = 1024,
    stem_stride: int = 2,
) -> Space:
    """The space. The defaults are the ImageNet layout; digits want something like
    ``shuffle(stem=8, channels=(16, 32), layers=(2, 2), last=64, stem_stride=1)``.

    Args:
        stem: output channels of the first convolution; even, as half of a block's channels pass by it.
        channels: output channels of every stage, all even; a stage's first block has stride 2.
        layers: blocks of every stage.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.
    """
    settings = _settings("shuffle", stem, channels, layers, last, stem_stride)
    return Space(
        name="shuffle",
        decisions=tuple(Choice(f"block {at}", BLOCKS) for at in range(1, sum(layers) + 1)),
        settings=MappingProxyType(settings),
        writer=write,
        reader=read,
        networks="searchbench.spaces.chains.shuffle_networks:shuffle_networks",
    )


def shuffle_channels(
    stem: int = 16,
    channels: tuple[int, ...] = (64, 160, 320, 640),
    layers: tuple[int, ...] = (4, 4, 8, 4),
    last: int = 1024,
    stem_stride: int = 2,
) -> Space:
    """The space with the middle width of every block as a second decision: (4 * 8)^20 networks.

    Args and errors as for `shuffle`.
    """
    settings = _settings("shuffle-channels", stem, channels, layers, last, stem_stride)
    blocks = range(1, sum(layers) + 1)
    return Space(
        name="shuffle-channels",
        decisions=(
            *(Choice(f"block {at}", BLOCKS) for at in blocks),
            *(Choice(f"ratio {at}", RATIOS) for at in blocks),
        ),
        settings=MappingProxyType(settings),
        writer=write_channels,
        reader=read_channels,
        networks="searchbench.spaces.chains.shuffle_channels_networks:ShuffleChannelNetworks",
    )


def write(architecture: Architecture) -> str:
    """The released code's digits, one per block: ``21012020…``."""
    return "".join(str(BLOCKS.index(str(value))) for value in architecture.values)


def read(space: Space, text: str) -> Architecture:
    """Parse a string of digits. Raises SpaceError."""
    return space.architecture(tuple(BLOCKS[at] for at in _digits(text, len(space.decisions), len(BLOCKS))))


def write_channels(architecture: Architecture) -> str:
    """Digits of the blocks, a slash, digits of the ratios: ``21012020…/34403215…``."""
    half = len(architecture.values) // 2
    ratios = "".join(str(RATIOS.index(float(str(value)))) for value in architecture.values[half:])
    return "".join(str(BLOCKS.index(str(value))) for value in architecture.values[:half]) + "/" + ratios


def read_channels(space: Space, text: str) -> Architecture:
    """Parse two strings of digits. Raises SpaceError."""
    blocks, _, ratios = text.partition("/")
    half = len(space.decisions) // 2
    chosen = (
        *(BLOCKS[at] for at in _digits(blocks, half, len(BLOCKS))),
        *(RATIOS[at] for at in _digits(ratios, half, len(RATIOS))),
    )
    return space.architecture(chosen)


def _digits(text: str, number: int, options: int) -> list[int]:
    legal = "".join(str(at) for at in range(options))
    if len(text) != number or not set(text) <= set(legal):
        raise SpaceError(f"expected {number} digits from 0 to {options - 1}, but got {text!r}.")
    return [int(digit) for digit in text]


def _settings(
    name: str, stem: int, channels: tuple[int, ...], layers: tuple[int, ...], last: int, stem_stride: int
) -> dict[str, Any]:
    settings = {"stem": stem, "channels": channels, "layers": layers, "last": last, "stem_stride": stem_stride}
    check_counts(name, settings)
    check_stages(name, channels=channels, layers=layers)
    if any(width % 2 for width in (stem, *channels)):
        raise StudyError(f"{name}: channels must be even, but got stem={stem}, channels={channels}.")
    if any(b <= a for a, b in zip((stem, *channels), channels, strict=False)):
        raise StudyError(f"{name}: every stage must be wider than what it reads, but got {(stem, *channels)}.")
    return settings
