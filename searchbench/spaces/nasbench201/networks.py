"""Networks of the NAS-Bench-201 space: the skeleton with one cell repeated, stand-alone or as a supernet.

Skeleton (Dong & Yang 2020, section 2 and the released code): conv3x3-BN stem; stages of cells, a residual block of
stride 2 that doubles the channels between two stages; BN, ReLU, global average, linear classifier.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.nasbench201.cells import (
    CONV1,
    CONV3,
    KERNELS,
    LEAVING,
    SKIP,
    Chosen,
    EdgePlan,
    MixedCell,
    Scales,
    StandAloneCell,
    plans,
)
from searchbench.spaces.nasbench201.forms import FormedCell
from searchbench.spaces.nasbench201.space import EDGES, OPERATIONS
from searchbench.spaces.networks import Active, Known, Mixed, Path, Shape
from searchbench.spaces.operations import ConvBank, ConvNorm, Reduction
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form


class CellNetwork(nn.Module):
    """The stand-alone network of one cell.

    Args:
        chosen: operations per edge (one each).
        skeleton: what the cell is put into.
    """

    def __init__(self, chosen: Chosen, skeleton: Skeleton) -> None:
        super().__init__()
        self.frame = Frame(skeleton)
        self.cells = nn.ModuleList(StandAloneCell(chosen, width) for width in skeleton.cell_channels())

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        value = self.frame.begin(inputs)
        for at, cell in enumerate(self.cells):
            value = cell(self.frame.enter(at, value))
        return self.frame.finish(value)


class CellSupernet(nn.Module):
    """All networks of the space with shared weights, mixed or one path at a time; see `networks.Supernet`.

    Batch norms of the cells are not affine (an affine one would absorb the weights of a mixture). `none` is never
    executed, but keeps its share of a mixture's weights. Charged multiply-accumulates of a path are those of its
    stand-alone network: operations on edges that cannot matter count, though they are not executed.
    """

    def __init__(self, space: Space, skeleton: Skeleton, form: Form = PLAIN) -> None:
        super().__init__()
        self.space, self.skeleton, self.form = space, skeleton, form
        self.options = (len(OPERATIONS),) * len(EDGES)
        self.frame = Frame(skeleton)
        self.formed = form not in (PLAIN, Form(auxiliary_skip=True))  # an auxiliary skip is more weight on the skip
        widths = skeleton.cell_channels()
        self.cells = nn.ModuleList(FormedCell(width, form) if self.formed else MixedCell(width) for width in widths)
        self._base_macs, self._op_macs = skeleton.base_macs(), skeleton.op_macs(form.partial)
        self._everything: Chosen = (tuple(range(len(OPERATIONS))),) * len(EDGES)

    def forward(self, inputs: Tensor, active: Active, known: Known | None = None) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]. `known`: of these images, in a pass over a path without gradient."""
        mixed = active if isinstance(active, Mixed) else None
        parts = plans(self._chosen(active), entered=mixed is not None and mixed.scalars is not None)
        how = mixed if self.formed else self._scales(parts, mixed)
        begin = partial(self.frame.begin, inputs)
        value = begin() if known is None else known.of("begin", begin)
        for at, cell in enumerate(self.cells):
            more = () if known is None or at else (known,)
            value = cell(self.frame.enter(at, value), parts, how, *more)
        return self.frame.finish(value)

    def owned(self) -> list[tuple[int, int, list[nn.Parameter]]]:
        found = []
        for cell in cast(list[MixedCell], list(self.cells)):
            for op, banks in ((CONV1, cell.conv1), (CONV3, cell.conv3)):
                for bank, leaving in zip(cast(list[ConvBank], list(banks)), LEAVING, strict=True):
                    pairs = zip(cast(list[nn.Conv2d], list(bank.convs)), leaving, strict=True)
                    found += [(edge, op, [cast(nn.Parameter, conv.weight)]) for conv, edge in pairs]
        return found

    def kept_bytes(self, images: int) -> int | None:
        """Stem, ReLU and pool, and either kernel size for each subset of the three edges that leave the first node."""
        if self.formed:
            return None
        edges = len(LEAVING[0])
        tensors = 3 + len(KERNELS) * edges * (1 << edges - 1)
        return 4 * images * tensors * self.skeleton.channels * self.skeleton.areas()[0]

    def _scales(self, parts: tuple[EdgePlan, ...], mixed: Mixed | None) -> list[Scales] | None:
        if mixed is None:
            return None
        weights = mixed.weights
        if mixed.auxiliary:
            extra = torch.zeros_like(weights[0])
            extra[SKIP] = mixed.auxiliary
            weights = [row + extra for row in weights]
        return [Scales.of(plan, weights) for plan in parts]

    def _chosen(self, active: Active) -> Chosen:
        if not isinstance(active, Mixed):
            return tuple((op,) for op in active)
        if active.active is None:
            return self._everything
        return tuple(tuple(ops) for ops in active.active)

    def macs(self, active: Active) -> int:
        return self._base_macs + sum(self._op_macs.get(op, 0) for ops in self._chosen(active) for op in ops)

    def path(self, architecture: Architecture) -> Path:
        return tuple(OPERATIONS.index(str(value)) for value in architecture.values)

    def architecture(self, path: Path) -> Architecture:
        return self.space.architecture(tuple(OPERATIONS[op] for op in path))

    def executed(self, path: Path) -> tuple[EdgePlan, ...]:
        """What is left of a path without the edges that nothing enters or that lead nowhere."""
        return plans(self._chosen(path))


class Frame(nn.Module):
    """What surrounds the cells: stem, reductions, head."""

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        widths = skeleton.stage_channels()
        self.first_of_stage = {stage * skeleton.cells: stage - 1 for stage in range(1, skeleton.stages)}
        self.stem = ConvNorm(skeleton.shape[0], widths[0], 3)
        self.reductions = nn.ModuleList(Reduction(a, b) for a, b in itertools.pairwise(widths))
        self.norm = nn.BatchNorm2d(widths[-1])
        self.classifier = nn.Linear(widths[-1], skeleton.classes)

    def begin(self, inputs: Tensor) -> Tensor:
        # asked twice: with one input channel the format of the input says nothing, and the stem's output is planar
        stem = self.stem(inputs.contiguous(memory_format=torch.channels_last))
        return stem.contiguous(memory_format=torch.channels_last)  # type: ignore[no-any-return]

    def enter(self, cell: int, value: Tensor) -> Tensor:
        """What cell number `cell` reads: through a reduction if it is the first of a later stage."""
        stage = self.first_of_stage.get(cell)
        return value if stage is None else self.reductions[stage](value)

    def finish(self, value: Tensor) -> Tensor:
        return self.classifier(F.relu(self.norm(value)).mean((2, 3)))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What the cell is put into, and its sizes in closed form."""

    channels: int
    cells: int
    stages: int
    shape: Shape
    classes: int

    def stage_channels(self) -> list[int]:
        return [self.channels << stage for stage in range(self.stages)]

    def cell_channels(self) -> Iterator[int]:
        """Channels of every cell, in order."""
        return (width for width in self.stage_channels() for _ in range(self.cells))

    def areas(self) -> list[int]:
        """Pixels per stage; a side is halved upwards."""
        _, height, width = self.shape
        found = []
        for _ in range(self.stages):
            found.append(height * width)
            height, width = -(-height // 2), -(-width // 2)
        return found

    def base_params(self) -> int:
        """Parameters outside the cells."""
        widths = self.stage_channels()
        stem = widths[0] * (9 * self.shape[0] + 2)
        reductions = sum(b * (9 * a + 2) + b * (9 * b + 2) + a * b for a, b in itertools.pairwise(widths))
        return stem + reductions + 2 * widths[-1] + (widths[-1] + 1) * self.classes

    def base_macs(self) -> int:
        """Multiply-accumulates of one sample outside the cells."""
        widths, areas = self.stage_channels(), self.areas()
        stem = 9 * self.shape[0] * widths[0] * areas[0]
        pairs = zip(widths, widths[1:], areas[1:], strict=False)
        return stem + sum((9 * a * b + 9 * b * b + a * b) * area for a, b, area in pairs) + widths[-1] * self.classes

    def op_params(self) -> dict[int, int]:
        """Parameters that one edge with each convolution has, over all cells, in a stand-alone network."""
        return {
            op: self.cells * sum(k * k * width * width + 2 * width for width in self.stage_channels())
            for op, k in KERNELS.items()
        }

    def op_macs(self, partial: int = 1) -> dict[int, int]:
        """Multiply-accumulates of one edge with each convolution on 1/partial of the channels, over all cells."""
        widths = [width // partial for width in self.stage_channels()]
        pairs = list(zip(widths, self.areas(), strict=True))
        return {op: self.cells * sum(k * k * w * w * area for w, area in pairs) for op, k in KERNELS.items()}


class CellNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> CellNetwork:
        """The stand-alone network on the meta device. `width` multiplies the channels (rounded, at least one)."""
        with torch.device("meta"):
            return CellNetwork(_one_each(architecture), self._skeleton(shape, classes, width))

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> CellSupernet:
        """The supernet on the meta device."""
        with torch.device("meta"):
            return CellSupernet(self.space, self._skeleton(shape, classes), form)

    def stack(self, networks: Sequence[CellNetwork]) -> nn.Module:
        """Stand-alone networks of one shape and width as one module, see `stacked.Stacks`."""
        from searchbench.spaces.nasbench201.stack_networks import StackedCellNetworks

        return StackedCellNetworks(networks)

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, multiply-accumulates of one sample), disconnected operations included, in closed form."""
        params, macs, op_params, op_macs = _sizes(self._skeleton(shape, classes, width))
        for value in architecture.values:
            params += op_params.get(value, 0)
            macs += op_macs.get(value, 0)
        return params, macs

    def _skeleton(self, shape: Shape, classes: int, width: float = 1.0) -> Skeleton:
        settings = self.space.settings
        channels = max(1, round(settings["channels"] * width))
        return Skeleton(channels, settings["cells"], settings["stages"], shape, classes)


@lru_cache(maxsize=64)
def _sizes(skeleton: Skeleton) -> tuple[int, int, dict[object, int], dict[object, int]]:
    """(parameters, multiply-accumulates) outside the cells, and of one edge by the operation's name."""
    params: dict[object, int] = {OPERATIONS[op]: number for op, number in skeleton.op_params().items()}
    macs: dict[object, int] = {OPERATIONS[op]: number for op, number in skeleton.op_macs().items()}
    return skeleton.base_params(), skeleton.base_macs(), params, macs


def _one_each(architecture: Architecture) -> Chosen:
    return tuple((OPERATIONS.index(str(value)),) for value in architecture.values)
