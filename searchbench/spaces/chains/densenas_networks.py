"""Networks of DenseNAS's space (Fang et al. 2020). This file imports torch.

Stem 3x3, a fixed block of expansion 1, the blocks that are taken, 1x1, mean over the pixels, linear classifier; ReLU6
throughout. A layer that keeps sides and channels adds its input; a skip is the identity.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import lru_cache

import torch
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.chains.densenas import HEADS, LAYERS, taken
from searchbench.spaces.chains.kernels import block
from searchbench.spaces.layers.convolutions import Head, conv_norm, inverted, scaled
from searchbench.spaces.layers.networks import architecture_of, begin, path_of, require_plain
from searchbench.spaces.networks import Active, Mixed, Path, Shape, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

Spot = tuple[int, int, int, str]
"""Channels read, channels made, stride, and the name of a layer."""
FIXED = "fixed"


def steps(architecture: Architecture, width: float = 1.0) -> Iterator[tuple[str, Spot]]:
    """(where its weights are, what it is) of every layer but skips. A block's first layer has weights for each block
    that it reads, the others have theirs whatever the block reads."""
    settings, before, stage = architecture.space.settings, FIXED, 0
    inputs = scaled(settings["first"], width)
    for own in taken(architecture):
        outputs, name = scaled(own.width, width), f"{own.stage}_{own.width}"
        for at, layer in enumerate(own.layers):
            if layer != "skip":
                stride = settings["strides"][own.stage - 1] if at == 0 and own.stage > stage else 1
                source = f"{name}_from_{before}" if at == 0 else f"{name}_{at}"
                yield f"{source}_{layer}", (inputs, outputs, stride, layer)
            inputs = outputs
        before, stage = name, own.stage


class DenseLayer(nn.Module):
    """An inverted residual, and its input where it keeps sides and channels."""

    def __init__(self, spot: Spot, affine: bool) -> None:
        super().__init__()
        inputs, outputs, stride, name = spot
        (kernel,), expansion, _ = block(name)
        self.branch = inverted(inputs, outputs, kernel, expansion, stride, affine=affine)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W']."""
        output: Tensor = self.branch(inputs)
        return inputs + output if self.residual else output


class DenseFrame(nn.Module):
    """Stem and head around layers that are told from call to call."""

    def __init__(self, space: Space, shape: Shape, classes: int, width: float, affine: bool) -> None:
        super().__init__()
        settings = space.settings
        stem, first, last = (scaled(settings[name], width) for name in ("stem", "first", "last"))
        conv = conv_norm(shape[0], stem, 3, settings["stem_stride"], activation=nn.ReLU6, affine=affine)
        self.stem = nn.Sequential(conv, inverted(stem, first, 3, 1, 1, affine=affine))
        self.layers = nn.ModuleDict()
        # the last stage ends in whichever of its blocks is taken last
        ends = [scaled(end, width) for end in settings["widths"][-1]]
        self.heads = nn.ModuleDict(
            {str(end): Head(end, last, classes, activation=nn.ReLU6, affine=affine) for end in ends}
        )

    def through(self, inputs: Tensor, names: list[str]) -> Tensor:
        """[B, C, H, W] -> logits [B, classes] through the layers of these names."""
        value = begin(self.stem, inputs)
        for name in names:
            value = self.layers[name](value)
        return self.heads[str(value.shape[1])](value)  # type: ignore[no-any-return]


class DenseNetwork(nn.Module):
    """The stand-alone network of an architecture."""

    def __init__(self, architecture: Architecture, shape: Shape, classes: int, width: float) -> None:
        super().__init__()
        self.frame = DenseFrame(architecture.space, shape, classes, width, True)
        found = dict(steps(architecture, width))
        self._names = list(found)
        self.frame.layers.update({name: DenseLayer(spot, True) for name, spot in found.items()})
        *_, end = taken(architecture)
        kept = str(scaled(end.width, width))
        self.frame.heads = nn.ModuleDict({kept: self.frame.heads[kept]})

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        return self.frame.through(inputs, self._names)


class DenseSupernet(nn.Module):
    """All networks of the space with shared weights, one path at a time; see `networks.Supernet`."""

    def __init__(self, builder: DenseNetworks, shape: Shape, classes: int) -> None:
        super().__init__()
        self.space, self._builder, self._shape, self._classes = builder.space, builder, shape, classes
        self.options = tuple(decision.arity or 0 for decision in self.space.decisions)
        affine = bool(self.space.settings["affine"])
        self.frame = DenseFrame(self.space, shape, classes, 1.0, affine)
        self.frame.layers.update({name: DenseLayer(spot, affine) for name, spot in everything(self.space).items()})

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]. Raises SpaceError for a mixture."""
        names = [name for name, _ in steps(self.architecture(self._single(active)))]
        return self.frame.through(inputs, names)

    def macs(self, active: Active) -> int:
        return self._builder.size(self.architecture(self._single(active)), self._shape, self._classes)[1]

    def executed(self, path: Path) -> Hashable:
        """The layers that run."""
        return tuple(name for name, _ in steps(self.architecture(path)))

    def path(self, architecture: Architecture) -> Path:
        return path_of(architecture)

    def architecture(self, path: Path) -> Architecture:
        return architecture_of(self.space, path)

    def _single(self, active: Active) -> Path:
        if isinstance(active, Mixed):
            raise SpaceError("the supernet of `densenas` runs one path at a time; it has no mixtures.")
        return active


class DenseNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> DenseNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        with torch.device("meta"):
            return DenseNetwork(architecture, shape, classes, width)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> DenseSupernet:
        """The supernet on the meta device. Raises SpaceError unless it is the plain one."""
        require_plain(self.space, form)
        with torch.device("meta"):
            return DenseSupernet(self, shape, classes)

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample): a sum over the layers, each counted once and remembered."""
        settings = self.space.settings
        stem, first, last = (scaled(settings[name], width) for name in ("stem", "first", "last"))
        sizes = [_stem_size(shape, stem, first, settings["stem_stride"])]
        side: tuple[int, ...] = tuple(-(-length // settings["stem_stride"]) for length in shape[1:])
        outputs = first
        for _, spot in steps(architecture, width):
            sizes.append(_layer_size(spot, side))
            side, outputs = tuple(-(-length // spot[2]) for length in side), spot[1]
        sizes.append(_head_size(outputs, last, classes, side))
        return sum(params for params, _ in sizes), sum(macs for _, macs in sizes)


def everything(space: Space) -> dict[str, Spot]:
    """All layers that a network of the space can have, by where their weights are."""
    settings, found = space.settings, dict[str, Spot]()
    before: list[tuple[str, int]] = [(FIXED, settings["first"])]
    for stage, widths in enumerate(settings["widths"], start=1):
        here: list[tuple[str, int]] = []
        for width in widths:
            name = f"{stage}_{width}"
            for source, inputs in (*before, *here):
                stride = settings["strides"][stage - 1] if (source, inputs) in before else 1
                for head in HEADS:
                    found[f"{name}_from_{source}_{head}"] = (inputs, width, stride, head)
            for at in range(1, settings["layers"]):
                found.update({f"{name}_{at}_{layer}": (width, width, 1, layer) for layer in LAYERS if layer != "skip"})
            here.append((name, width))
        before = here
    return found


@lru_cache(maxsize=4096)
def _layer_size(spot: Spot, side: tuple[int, ...]) -> tuple[int, int]:
    with torch.device("meta"):
        return count(DenseLayer(spot, True), (spot[0], *side))


@lru_cache(maxsize=64)
def _stem_size(shape: Shape, stem: int, first: int, stride: int) -> tuple[int, int]:
    with torch.device("meta"):
        conv = conv_norm(shape[0], stem, 3, stride, activation=nn.ReLU6)
        return count(nn.Sequential(conv, inverted(stem, first, 3, 1, 1)), shape)


@lru_cache(maxsize=64)
def _head_size(inputs: int, last: int, classes: int, side: tuple[int, ...]) -> tuple[int, int]:
    with torch.device("meta"):
        return count(Head(inputs, last, classes), (inputs, *side))
