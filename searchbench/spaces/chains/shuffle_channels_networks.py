"""Networks of the ShuffleNet space with searched widths (Guo et al. 2020, section 3.4). This file imports torch.

In the supernet every weight is allocated at its largest width, and a narrower block uses its leading channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.chains.shuffle import RATIOS
from searchbench.spaces.chains.shuffle_networks import KERNELS, ShuffleUnit
from searchbench.spaces.layers.convolutions import Head, conv_norm, leading_norm, scaled
from searchbench.spaces.layers.networks import (
    Chain,
    ChainNetwork,
    Layer,
    architecture_of,
    begin,
    path_of,
    require_plain,
)
from searchbench.spaces.networks import Active, Mixed, Path, Shape, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

Place = tuple[int, int, int]
"""Input channels, output channels and stride of a block."""


class SlicedConv(nn.Module):
    """Convolution and batch norm that use their leading input and output channels only."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, depthwise: bool, relu: bool) -> None:
        super().__init__()
        groups = inputs if depthwise else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=False)
        self.depthwise, self.relu = depthwise, relu

    def forward(self, inputs: Tensor, outputs: int | None = None) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H', W']; None uses all outputs."""
        read = inputs.shape[1]
        made = (read if self.depthwise else self.conv.out_channels) if outputs is None else outputs
        kernel = self.conv.weight[:made] if self.depthwise else self.conv.weight[:made, :read]
        groups = read if self.depthwise else 1
        value = F.conv2d(inputs, kernel, None, self.conv.stride, self.conv.padding, 1, groups)
        value = leading_norm(self.norm, value)
        return F.relu(value) if self.relu else value


class SlicedUnit(nn.Module):
    """One kind of block with its middle at the largest width; see `ShuffleUnit`."""

    def __init__(self, place: Place, kernel: int | None, middle: int) -> None:
        super().__init__()
        inputs, outputs, stride = place
        read = inputs if stride > 1 else inputs // 2
        made = outputs - read
        if kernel is None:
            pairs = ((read, middle), (middle, middle), (middle, made))
            parts = [
                part
                for at, (a, b) in enumerate(pairs)
                for part in (SlicedConv(a, a, 3, 1 if at else stride, True, False), SlicedConv(a, b, 1, 1, False, True))
            ]
        else:
            parts = [
                SlicedConv(read, middle, 1, 1, False, True),
                SlicedConv(middle, middle, kernel, stride, True, False),
                SlicedConv(middle, made, 1, 1, False, True),
            ]
        self.main = nn.ModuleList(parts)
        self.aside: nn.Module | None = None
        if stride > 1:
            self.aside = nn.Sequential(
                conv_norm(inputs, inputs, kernel or 3, stride, groups=inputs, affine=False),
                conv_norm(inputs, inputs, affine=False, activation=nn.ReLU),
            )

    def forward(self, inputs: Tensor, middle: int) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'] with `middle` channels in the middle."""
        value = inputs if self.aside is not None else inputs[:, 1::2]
        for at, part in enumerate(self.main):
            full = at == len(self.main) - 1 or part.depthwise
            value = part(value, None if full else middle)
        return torch.cat((inputs[:, 0::2] if self.aside is None else self.aside(inputs), value), 1)


class ShuffleChannelSupernet(nn.Module):
    """All networks of the space with shared weights, one path at a time; see `networks.Supernet`."""

    def __init__(self, builder: ShuffleChannelNetworks, shape: Shape, classes: int) -> None:
        super().__init__()
        self._builder, self._shape, self._classes = builder, shape, classes
        self.space, settings = builder.space, builder.space.settings
        self.places = list(places(builder.space, 1.0))
        self.options = tuple(decision.arity or 0 for decision in self.space.decisions)
        self.stem = conv_norm(shape[0], settings["stem"], 3, settings["stem_stride"], affine=False, activation=nn.ReLU)
        self.blocks = nn.ModuleList(
            nn.ModuleList(SlicedUnit(place, kernel, middle_of(place, RATIOS[-1])) for kernel in KERNELS)
            for place in self.places
        )
        self.head = Head(self.places[-1][1], settings["last"], classes, affine=False, bias=False)

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]. Raises SpaceError for a mixture, as widths have none."""
        path = _single(active)
        value = begin(self.stem, inputs)
        pairs = zip(self.places, self.blocks, path, path[len(self.places) :], strict=False)
        for place, blocks, kind, ratio in pairs:
            value = blocks[kind](value, middle_of(place, RATIOS[ratio]))  # type: ignore[index]
        return self.head(value)  # type: ignore[no-any-return]

    def macs(self, active: Active) -> int:
        return self._builder.size(self.architecture(_single(active)), self._shape, self._classes)[1]

    def path(self, architecture: Architecture) -> Path:
        return path_of(architecture)

    def architecture(self, path: Path) -> Architecture:
        return architecture_of(self.space, path)


class ShuffleChannelNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> ChainNetwork:
        """The stand-alone network on the meta device; `width` multiplies its channels."""
        layers = []
        for place, kernel, middle in self._blocks(architecture, width):
            layers.append(Layer((partial(_unit, place, kernel, middle),)))
        with torch.device("meta"):
            return ChainNetwork(self._chain(tuple(layers), shape, classes, width), (0,) * len(layers))

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> ShuffleChannelSupernet:
        """The supernet on the meta device. Raises SpaceError unless it is the plain one."""
        require_plain(self.space, form)
        with torch.device("meta"):
            return ShuffleChannelSupernet(self, shape, classes)

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample): a sum over the blocks, each counted once and remembered."""
        settings, side = self.space.settings, (shape[1], shape[2])
        stem, last = scaled(settings["stem"], width, 2), scaled(settings["last"], width)
        sizes = [_stem_size(shape, stem, settings["stem_stride"])]
        side = _strided(side, settings["stem_stride"])
        outputs = stem
        for place, kernel, middle in self._blocks(architecture, width):
            sizes.append(_unit_size(place, kernel, middle, side))
            side, outputs = _strided(side, place[2]), place[1]
        sizes.append(_head_size(outputs, last, classes, side))
        return sum(params for params, _ in sizes), sum(macs for _, macs in sizes)

    def _blocks(self, architecture: Architecture, width: float) -> Iterator[tuple[Place, int | None, int]]:
        path = path_of(architecture)
        half = len(path) // 2
        for place, kind, ratio in zip(places(self.space, width), path[:half], path[half:], strict=True):
            yield place, KERNELS[kind], middle_of(place, RATIOS[ratio])

    def _chain(self, layers: tuple[Layer, ...], shape: Shape, classes: int, width: float) -> Chain:
        settings = self.space.settings
        stem, inputs = scaled(settings["stem"], width, 2), scaled(settings["channels"][-1], width, 2)
        return Chain(
            partial(conv_norm, shape[0], stem, 3, settings["stem_stride"], activation=nn.ReLU),
            layers,
            partial(Head, inputs, scaled(settings["last"], width), classes, bias=False),
        )


def places(space: Space, width: float) -> Iterator[Place]:
    """Where every block stands."""
    inputs = scaled(space.settings["stem"], width, 2)
    for channels, blocks in zip(space.settings["channels"], space.settings["layers"], strict=True):
        outputs = scaled(channels, width, 2)
        for at in range(blocks):
            yield inputs, outputs, 1 if at else 2
            inputs = outputs


def middle_of(place: Place, ratio: float) -> int:
    """Channels in the middle of a block: a ratio of half its outputs, rounded down."""
    return max(1, int(place[1] // 2 * ratio + 1e-9))


def _single(active: Active) -> Path:
    if isinstance(active, Mixed):
        raise SpaceError("`shuffle-channels` has no mixtures: widths are sliced from one weight, one path at a time.")
    return active


def _unit(place: Place, kernel: int | None, middle: int) -> ShuffleUnit:
    inputs, outputs, stride = place
    return ShuffleUnit(inputs, outputs, kernel, stride, affine=True, middle=middle)


def _strided(side: tuple[int, int], stride: int) -> tuple[int, int]:
    return -(-side[0] // stride), -(-side[1] // stride)


@lru_cache(maxsize=1 << 14)
def _unit_size(place: Place, kernel: int | None, middle: int, side: tuple[int, int]) -> tuple[int, int]:
    with torch.device("meta"):
        return count(_unit(place, kernel, middle), (place[0], *side))


@lru_cache(maxsize=64)
def _stem_size(shape: Shape, stem: int, stride: int) -> tuple[int, int]:
    with torch.device("meta"):
        return count(conv_norm(shape[0], stem, 3, stride), shape)


@lru_cache(maxsize=64)
def _head_size(inputs: int, last: int, classes: int, side: tuple[int, int]) -> tuple[int, int]:
    with torch.device("meta"):
        return count(Head(inputs, last, classes, bias=False), (inputs, *side))
