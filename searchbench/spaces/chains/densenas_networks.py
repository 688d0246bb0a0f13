"""Networks of DenseNAS's space (Fang et al. 2020). This file imports torch.

Stem 3x3, a fixed block of expansion 1, the blocks that are taken, 1x1, mean over the pixels, linear classifier; ReLU6
throughout. A layer that keeps sides and channels adds its input; a skip is the identity.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.chains.densenas import END, FIXED, Connection, connections, taken
from searchbench.spaces.chains.kernels import block
from searchbench.spaces.layers.convolutions import Head, conv_norm, inverted, scaled
from searchbench.spaces.layers.networks import architecture_of, begin, path_of, require_plain
from searchbench.spaces.networks import Active, Mixed, Path, Shape, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

Spot = tuple[int, int, int, str]
"""Channels read, channels made, stride, and the name of a layer."""
FIXED_LAYER = "k3e1"


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
        self.stem = nn.Sequential(conv, DenseLayer((stem, first, 1, FIXED_LAYER), affine))
        self.layers = nn.ModuleDict()
        # the last stage ends in whichever of its blocks is taken last
        ends = [scaled(end, width) for end in settings["widths"][-1]]
        self.ends = nn.ModuleDict({str(end): conv_norm(end, last, affine=affine, activation=nn.ReLU6) for end in ends})
        self.classifier = nn.Linear(last, classes)

    def through(self, inputs: Tensor, names: Sequence[str]) -> Tensor:
        """[B, C, H, W] -> logits [B, classes] through the layers of these names."""
        value = begin(self.stem, inputs)
        for name in names:
            value = self.layers[name](value)
        return self.classified(self.ends[str(value.shape[1])](value))

    def classified(self, features: Tensor) -> Tensor:
        """[B, last, H, W] -> logits [B, classes]."""
        return self.classifier(features.mean((2, 3)))  # type: ignore[no-any-return]


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
        self.frame.ends = nn.ModuleDict({kept: self.frame.ends[kept]})

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


class DenseRoutes(nn.Module):
    """All networks of the space with shared weights and all ways through its blocks: value = sum over the connections
    that enter it and their operations of weight times operation(source); see `networks.Supernet`.

    Its decisions are the space's connections. A path has -1 where one is not taken.

    Source: Fang et al. 2020, section 3.2, equations 1 to 3, where every block has one sum of aligned inputs.
    """

    def __init__(self, builder: DenseNetworks, shape: Shape, classes: int) -> None:
        super().__init__()
        self.space, self._builder, self._shape, self._classes = builder.space, builder, shape, classes
        topology, settings = self.space.wiring, self.space.settings
        assert topology is not None
        assert topology.allowed is not None
        self.operations, self._allowed = topology.operations, topology.allowed
        self.connections = tuple(connections(settings))
        self.options = (len(self.operations),) * len(self.connections)
        affine = bool(settings["affine"])
        self.frame = DenseFrame(self.space, shape, classes, 1.0, affine)
        self.frame.layers.update({name: DenseLayer(spot, affine) for name, spot in everything(self.space).items()})

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        if not isinstance(active, Mixed):
            return self.frame.through(inputs, self._names(active))
        values = {0: begin(self.frame.stem, inputs)}
        chosen = self._allowed if active.active is None else active.active
        for way, weights, operations in zip(self.connections, active.weights, chosen, strict=True):
            for operation in operations if way.source in values else ():
                term = weights[operation] * self._applied(way, operation, values[way.source])
                values[way.target] = values[way.target] + term if way.target in values else term
        end = self.connections[-1].target
        if end not in values:
            raise SpaceError("no route of the mixture arrives at the end of the network.")
        return self.frame.classified(values[end])

    def _applied(self, way: Connection, operation: int, value: Tensor) -> Tensor:
        name = self.operations[operation]
        if name == "skip":
            return value
        part = self.frame.ends[way.weights] if name == END else self.frame.layers[f"{way.weights}_{name}"]
        return part(value)  # type: ignore[no-any-return]

    def macs(self, active: Active) -> int:
        if not isinstance(active, Mixed):
            return self._builder.size(self.architecture(active), self._shape, self._classes)[1]
        base, each = self._sizes
        chosen = self._allowed if active.active is None else active.active
        return base + sum(sizes[op] for sizes, ops in zip(each, chosen, strict=True) for op in ops)

    @cached_property
    def _sizes(self) -> tuple[int, list[dict[int, int]]]:
        """Multiply-accumulates of what every path has, and of the operations of every connection."""
        settings = self.space.settings
        stem, macs = settings["stem_stride"], [dict[int, int]() for _ in self.connections]
        sides = {0: tuple(-(-length // stem) for length in self._shape[1:])}
        head = settings["last"] * self._classes
        for way, own, allowed in zip(self.connections, macs, self._allowed, strict=True):
            side = sides[way.source]
            sides[way.target] = tuple(-(-length // way.stride) for length in side)
            for operation in allowed:
                name, spot = self.operations[operation], (way.inputs, way.outputs, way.stride)
                if name == END:
                    own[operation] = _head_size(way.inputs, way.outputs, self._classes, side)[1] - head
                else:
                    own[operation] = 0 if name == "skip" else _layer_size((*spot, name), side)[1]
        return _stem_size(self._shape, settings["stem"], settings["first"], stem)[1] + head, macs

    def executed(self, path: Path) -> Hashable:
        """The layers that run."""
        return tuple(self._names(path))

    def path(self, architecture: Architecture) -> Path:
        """The operation of every connection on the architecture's route; -1 for the others."""
        found, before = [-1] * len(self.connections), FIXED
        at = {(way.weights, way.layer): number for number, way in enumerate(self.connections)}
        for own in taken(architecture):
            name = f"{own.stage}_{own.width}"
            for layer, operation in enumerate(own.layers):
                weights = f"{name}_{layer}" if layer else f"{name}_from_{before}"
                found[at[weights, layer + 1]] = self.operations.index(operation)
            before = name
        found[at[before.partition("_")[2], 1]] = self.operations.index(END)
        return tuple(found)

    def architecture(self, path: Path) -> Architecture:
        """The architecture whose route a path is. Raises SpaceError where it is none."""
        values: dict[str, object] = {}
        widths: dict[str, list[str]] = {}
        for way, operation in self._route(path):
            stage, _, width = way.block.partition("_")
            if width:
                values[f"layer {stage}.{width}.{way.layer}"] = self.operations[operation]
                widths.setdefault(stage, []).extend([width] if way.layer == 1 else [])
        return self.space.architecture(values | {f"blocks {stage}": ".".join(own) for stage, own in widths.items()})

    def _route(self, path: Path) -> Iterator[tuple[Connection, int]]:
        """The connections of a path in their order, with their operations."""
        at = 0
        for way, operation in zip(self.connections, path, strict=True):
            if operation >= 0:
                if way.source != at:
                    raise SpaceError(f"a path is one route through the blocks, but got {path!r}.")
                at = way.target
                yield way, operation

    def _names(self, path: Path) -> list[str]:
        return [name for name, _ in steps(self.architecture(path))]


class DenseNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> DenseNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        with torch.device("meta"):
            return DenseNetwork(architecture, shape, classes, width)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> DenseSupernet | DenseRoutes:
        """The supernet on the meta device, of single paths or, with `routes`, of all ways. Raises SpaceError for a form
        that is neither."""
        with torch.device("meta"):
            if form == Form(routes=True):
                return DenseRoutes(self, shape, classes)
            require_plain(self.space, form)
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
    return {
        f"{way.weights}_{name}": (way.inputs, way.outputs, way.stride, name)
        for way in connections(space.settings)
        for name in way.options
        if name not in ("skip", END)
    }


@lru_cache(maxsize=4096)
def _layer_size(spot: Spot, side: tuple[int, ...]) -> tuple[int, int]:
    with torch.device("meta"):
        return count(DenseLayer(spot, True), (spot[0], *side))


@lru_cache(maxsize=64)
def _stem_size(shape: Shape, stem: int, first: int, stride: int) -> tuple[int, int]:
    with torch.device("meta"):
        conv = conv_norm(shape[0], stem, 3, stride, activation=nn.ReLU6)
        return count(nn.Sequential(conv, DenseLayer((stem, first, 1, FIXED_LAYER), True)), shape)


@lru_cache(maxsize=64)
def _head_size(inputs: int, last: int, classes: int, side: tuple[int, ...]) -> tuple[int, int]:
    with torch.device("meta"):
        return count(Head(inputs, last, classes), (inputs, *side))
