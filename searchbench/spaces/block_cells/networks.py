"""Networks of cells made of blocks: NASNet's, PNAS's and ENAS's micro space. This file imports torch.

Stem 3x3; stages of normal cells, a reduction cell that doubles the channels between two; ReLU, mean over the pixels,
linear classifier. Every cell reads the two before it, brought to its channels and sides by 1x1 convolutions; in a
reduction cell, operations on those have stride 2. Unused states are concatenated; in ENAS's space a 1x1 convolution
brings them back to the cell's channels.

Differs: sides are halved by a 2x2 average pool and a 1x1 convolution, see `block_operations.Halve`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.block_cells.cells import ADD, NORMAL, REDUCTION, Cell, cells_of, loose_ends
from searchbench.spaces.block_cells.operations import Halve, fit, operation
from searchbench.spaces.layers.convolutions import scaled
from searchbench.spaces.layers.networks import begin, path_of, require_plain
from searchbench.spaces.networks import Active, Mixed, Path, Shape, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

Part = tuple[int, int, int, str]
"""One operation of a cell: block, side, the state it reads, its name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cell stands: the channels of what it reads, its own, and how sides change."""

    kind: str
    before: int
    last: int
    channels: int
    shrunk: bool
    """Whether the cell before the last has twice the sides of the last."""

    @property
    def stride(self) -> int:
        return 2 if self.kind == REDUCTION else 1


class BlockCell(nn.Module):
    """Some operations of a cell, of which every call executes those that its cell names.

    Args:
        place: where it stands.
        parts: operations to build.
        merged: states whose 1x1 convolution back to the cell's channels to build; None concatenates them as they are.
        ends: inputs of a reduction cell that can be part of its output.
        joint: whether blocks may concatenate their halves, which a 1x1 convolution then brings back.
    """

    def __init__(
        self,
        place: Place,
        parts: Iterable[Part],
        merged: Iterable[int] | None,
        ends: Iterable[int],
        joint: Iterable[int],
        affine: bool,
    ) -> None:
        super().__init__()
        channels, stride = place.channels, place.stride
        self.stride = stride
        self.fit_before = fit(place.before, channels, affine, place.shrunk)
        self.fit_last = fit(place.last, channels, affine, halve=False)
        self.parts = nn.ModuleDict(
            {_name(part): operation(part[3], channels, stride if part[2] < 2 else 1, affine) for part in parts}
        )
        self.ends = nn.ModuleDict({str(s): Halve(channels, channels, affine) for s in ends if stride == 2 and s < 2})
        self.joint = nn.ModuleDict({str(block): nn.Conv2d(2 * channels, channels, 1, bias=False) for block in joint})
        self.merge = self.norm = None
        if merged is not None:  # a concatenation through a 1x1 convolution is a sum of 1x1 convolutions
            convs = {str(state): nn.Conv2d(channels, channels, 1, bias=False) for state in merged}
            self.merge, self.norm = nn.ModuleDict(convs), nn.BatchNorm2d(channels, affine=affine)

    def forward(self, before: Tensor, last: Tensor, cell: Cell) -> Tensor:
        """The outputs of the two cells before -> the output, [B, C', H', W']."""
        states = [self.fit_before(before), self.fit_last(last)]
        for at, (*halves, how) in enumerate(cell):
            a, b = (
                self.parts[_name((at, side, state, name))](states[state]) for side, (state, name) in enumerate(halves)
            )
            states.append(a + b if how == ADD else self.joint[str(at)](F.relu(torch.cat((a, b), 1))))
        ends = loose_ends(cell)
        values = [self.ends[str(s)](states[s]) if str(s) in self.ends else states[s] for s in ends]
        if self.merge is None or self.norm is None:
            return torch.cat(values, 1)
        total = sum(self.merge[str(s)](F.relu(value)) for s, value in zip(ends, values, strict=True))
        return self.norm(total)  # type: ignore[no-any-return]


class BlockCellBody(nn.Module):
    """Stem, cells and classifier; `widths` are the channels that each cell puts out."""

    def __init__(
        self, places: Sequence[Place], cells: Sequence[BlockCell], shape: Shape, out: int, classes: int
    ) -> None:
        super().__init__()
        self.kinds = [place.kind for place in places]
        stem = places[0].last
        self.stem = nn.Sequential(nn.Conv2d(shape[0], stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem))
        self.cells = nn.ModuleList(cells)
        self.classifier = nn.Linear(out, classes)

    def forward(self, inputs: Tensor, cells: Mapping[str, Cell]) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]. A shared cell serves both purposes."""
        before = last = begin(self.stem, inputs)
        for kind, module in zip(self.kinds, self.cells, strict=True):
            before, last = last, module(before, last, cells.get(kind, cells[NORMAL]))
        return self.classifier(F.relu(last).mean((2, 3)))  # type: ignore[no-any-return]


class BlockCellNetwork(nn.Module):
    """The stand-alone network of an architecture."""

    def __init__(self, body: BlockCellBody, cells: Mapping[str, Cell]) -> None:
        super().__init__()
        self.body, self._cells = body, dict(cells)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        return self.body(inputs, self._cells)  # type: ignore[no-any-return]


class BlockCellSupernet(nn.Module):
    """All networks of ENAS's micro space with shared weights, one path at a time; see `networks.Supernet`.

    A weight belongs to a block, a side, the state that is read and the operation: two architectures that have these
    in common share it.
    """

    def __init__(self, builder: BlockCellNetworks, shape: Shape, classes: int) -> None:
        super().__init__()
        self.space = builder.space
        self.options = tuple(decision.arity or 0 for decision in self.space.decisions)
        self.body, self._sizes = builder.everything(shape, classes)

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]. Raises SpaceError for a mixture, as wirings have none."""
        return self.body(inputs, cells_of(self.architecture(_single(active))))  # type: ignore[no-any-return]

    def macs(self, active: Active) -> int:
        return self._sizes.macs(cells_of(self.architecture(_single(active))))

    def path(self, architecture: Architecture) -> Path:
        return path_of(architecture)

    def architecture(self, path: Path) -> Architecture:
        decisions = self.space.decisions
        return self.space.architecture(tuple(tuple(d.values())[at] for d, at in zip(decisions, path, strict=True)))


class PathMacs:
    """Multiply-accumulates of paths, summed over operations that were counted once."""

    def __init__(self, body: BlockCellBody, places: Sequence[Place], sides: Sequence[Shape], shape: Shape) -> None:
        self._kinds = [place.kind for place in places]
        self._parts: list[dict[str, int]] = []
        stem, known = count(body.stem, shape)[1], {}  # type: ignore[var-annotated]
        self._fixed = stem + body.classifier.weight.numel()
        before: Shape = (places[0].last, shape[1], shape[2])
        last = before
        for place, made, module in zip(places, sides, body.cells, strict=True):
            assert isinstance(module, BlockCell)
            self._fixed += count(module.fit_before, before)[1] + count(module.fit_last, last)[1]
            inner = (place.channels, *last[1:])
            own: dict[str, int] = {}
            for name, part in module.parts.items():
                shape_in = inner if int(name.split("-")[2]) < 2 else (place.channels, *made[1:])
                key = (name.split("-", 3)[3], place.stride, shape_in)
                known[key] = known.get(key) or count(part, shape_in)[1]
                own[name] = known[key]
            area = made[1] * made[2]
            own["merge"], own["end"] = place.channels**2 * area, place.channels**2 * area * (place.stride == 2)
            self._parts.append(own)
            before, last = last, made

    def macs(self, cells: Mapping[str, Cell]) -> int:
        """Multiply-accumulates of one sample."""
        total = self._fixed
        for kind, own in zip(self._kinds, self._parts, strict=True):
            cell = cells[kind]
            names = [
                _name((at, side, *half)) for at, (*halves, _) in enumerate(cell) for side, half in enumerate(halves)
            ]
            ends = loose_ends(cell)
            total += sum(own[name] for name in names) + own["merge"] * len(ends)
            total += own["end"] * sum(state < 2 for state in ends)
        return total


class BlockCellNetworks:
    """Builder of the spaces' networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> BlockCellNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        cells = cells_of(architecture)
        ends = {kind: loose_ends(cell) for kind, cell in cells.items()}
        outs = {kind: 1 if self._merges else len(states) for kind, states in ends.items()}
        places = self.places(width, outs)
        with torch.device("meta"):
            built = []
            for place in places:
                cell = cells.get(place.kind, cells[NORMAL])
                own = loose_ends(cell)
                joint = [at for at, (_, _, how) in enumerate(cell) if how != ADD]
                parts = [(at, side, *half) for at, (*halves, _) in enumerate(cell) for side, half in enumerate(halves)]
                built.append(BlockCell(place, parts, own if self._merges else None, own, joint, affine=True))
            out = places[-1].channels * outs[NORMAL]
            return BlockCellNetwork(BlockCellBody(places, built, shape, out, classes), cells)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> BlockCellSupernet:
        """The supernet on the meta device.

        Raises:
            SpaceError: in `nasnet` and `pnas`, where a cell's output has as many channels as it has unused states.
        """
        require_plain(self.space, form)
        if not self._merges:
            raise SpaceError(
                f"space `{self.space.name}` has no supernet: a cell's channels depend on its wiring; see `enas-micro`."
            )
        return BlockCellSupernet(self, shape, classes)

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample), counted on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)

    def everything(self, shape: Shape, classes: int) -> tuple[BlockCellBody, PathMacs]:
        """All operations of all cells on the meta device, and the sizes of paths through them."""
        blocks = self.space.settings["blocks"]
        operations = self._operations()
        places = self.places(1.0, {NORMAL: 1, REDUCTION: 1})
        states = range(blocks + 2)
        parts = [
            (block, side, state, name)
            for block, side in itertools.product(range(blocks), range(2))
            for state, name in itertools.product(range(block + 2), operations)
        ]
        with torch.device("meta"):
            cells = [BlockCell(place, parts, states, states, (), affine=False) for place in places]
            body = BlockCellBody(places, cells, shape, places[-1].channels, classes)
            return body, PathMacs(body, places, list(_shapes(places, shape)), shape)

    @property
    def _merges(self) -> bool:
        return bool(self.space.settings["merge"])

    def _operations(self) -> tuple[str, ...]:
        decision = next(d for d in self.space.decisions if d.name.endswith("op a"))
        return tuple(str(name) for name in decision.values())

    def places(self, width: float, outs: Mapping[str, int]) -> list[Place]:
        """Where every cell stands, if a cell puts out `outs` of its kind times its channels."""
        settings = self.space.settings
        channels = stem = scaled(settings["channels"], width)
        found: list[Place] = []
        before = last = stem
        for stage in range(settings["stages"]):
            kinds = [REDUCTION] * (stage > 0) + [NORMAL] * settings["cells"]
            for kind in kinds:
                channels *= 2 if kind == REDUCTION else 1
                found.append(Place(kind, before, last, channels, bool(found) and found[-1].kind == REDUCTION))
                before, last = last, channels * outs.get(kind, outs[NORMAL])
        return found


def _shapes(places: Sequence[Place], shape: Shape) -> Iterable[Shape]:
    """Shapes of every cell's states, after its stride."""
    _, height, width = shape
    for place in places:
        height, width = -(-height // place.stride), -(-width // place.stride)
        yield place.channels, height, width


def _single(active: Active) -> Path:
    if isinstance(active, Mixed):
        raise SpaceError("`enas-micro` has no mixtures: its wirings are executed one path at a time.")
    return active


def _name(part: Part) -> str:
    return "-".join(str(value) for value in part)
