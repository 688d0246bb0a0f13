"""The supernet of the DARTS space: every operation on every edge, weights of a mixture shared by cells of a type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from searchbench.spaces.darts import CELLS, EDGES, TARGETS, architecture, genotype
from searchbench.spaces.darts_networks import preprocessing, reductions, stem_of
from searchbench.spaces.darts_operations import (
    DepthwisePointwise,
    FactorizedReduce,
    Pool,
    Separable,
    multiply_accumulates,
    operation,
    pooled,
    scaled_norm,
)
from searchbench.spaces.genotypes import Cell, Genotype, Node
from searchbench.spaces.nasbench201_forms import dropped, shuffled
from searchbench.spaces.networks import Active, Mixed, Path, Shape
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

Chosen = Sequence[Sequence[int]]
"""Operations executed, per decision."""


class DartsSupernet(nn.Module):
    """All networks of the space with shared weights, mixed or one path at a time; see `networks.Supernet`.

    `none` is never executed, but keeps its share of a mixture's weights. A path has `none` where an edge is not taken.
    """

    def __init__(self, space: Space, shape: Shape, classes: int, form: Form = PLAIN) -> None:
        super().__init__()
        settings = space.settings
        self.space, self.form = space, form
        self.operations: tuple[str, ...] = settings["operations"]
        self.none = self.operations.index("none") if "none" in self.operations else None
        self.options = (len(self.operations),) * (len(CELLS) * len(EDGES))
        self.stem = stem_of(settings["stem"], shape[0], settings["channels"])
        self._build(form.cells or settings["cells"], settings["channels"])
        self.classifier = nn.Linear(self.outputs, classes)
        self._fixed_macs, self._op_macs = self._count(shape, classes)
        self._everything: Chosen = (tuple(range(len(self.operations))),) * len(self.options)

    def _build(self, cells: int, width: int) -> None:
        inputs, reduced, built = self.stem.outputs, self.stem.reduces, []
        for at in range(cells):
            reduction = at in reductions(cells)
            width *= 2 if reduction else 1
            built.append(MixedCell(self.operations, inputs, width, reduction, reduced, self.form))
            inputs, reduced = (inputs[1], len(TARGETS) * width), reduction
        self.cells = nn.ModuleList(built)
        self.outputs = inputs[1]

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        chosen, mixed = self._chosen(active), active if isinstance(active, Mixed) else None
        before, last = self.stem(inputs)
        for cell in self.cells:
            before, last = last, cell(before, last, chosen, mixed)
        return self.classifier(last.mean((2, 3)))  # type: ignore[no-any-return]

    def _chosen(self, active: Active) -> Chosen:
        if not isinstance(active, Mixed):
            return tuple((op,) for op in active)
        return self._everything if active.active is None else active.active

    def macs(self, active: Active) -> int:
        chosen = self._chosen(active)
        return self._fixed_macs + sum(
            self._op_macs[decision >= len(EDGES)][decision % len(EDGES)][op]
            for decision, ops in enumerate(chosen)
            for op in ops
            if op >= 0
        )

    def _count(self, shape: Shape, classes: int) -> tuple[int, list[list[list[int]]]]:
        """Multiply-accumulates outside the edges; those of each operation on each edge over all cells of a type."""
        pixels = shape[1] * shape[2]
        fixed, pixels = self._stem_macs(pixels)
        fixed += self.outputs * classes
        table = [[[0] * len(self.operations) for _ in EDGES] for _ in CELLS]
        for cell in cast(list[MixedCell], list(self.cells)):
            fixed += cell.preprocessing_macs * pixels
            pixels //= 4 if cell.reduction else 1
            for edge, row in enumerate(table[cell.reduction]):
                width, stride = cell.width // self.form.partial, cell.stride(edge)
                for op, name in enumerate(self.operations):
                    row[op] += multiply_accumulates(name, width, stride) * pixels
                if cast(MixedEdge, cell.edges[edge]).auxiliary is not None:
                    fixed += cell.width**2 * pixels
        return fixed, table

    def _stem_macs(self, pixels: int) -> tuple[int, int]:
        """Of the stem, and the pixels behind it."""
        total = 0
        for conv in (part for part in self.stem.modules() if isinstance(part, nn.Conv2d)):
            pixels //= conv.stride[0] ** 2
            total += conv.weight.numel() * pixels
        return total, pixels

    def path(self, architecture: Architecture) -> Path:
        found = genotype(architecture)
        at = {(cell, *edge): 14 * number + e for number, cell in enumerate(CELLS) for e, edge in enumerate(EDGES)}
        path = [self._nothing] * len(self.options)
        for name, cell in zip(CELLS, (found.normal, found.reduce), strict=True):
            for target, node in zip(TARGETS, cell.nodes, strict=True):
                for op, source in node:
                    path[at[name, target, source]] = self.operations.index(op)
        return tuple(path)

    @property
    def _nothing(self) -> int:
        """What stands in a path where an edge is not taken; -1 in spaces without `none`."""
        return -1 if self.none is None else self.none

    def architecture(self, path: Path) -> Architecture:
        """Edges that a sparse path lacks are filled up with `none` from the lowest sources."""
        cells = []
        for number in range(len(CELLS)):
            nodes: list[Node] = []
            for target in TARGETS:
                rows = [(source, path[14 * number + EDGES.index((target, source))]) for source in range(target)]
                taken = [(self.operations[op], source) for source, op in rows if op != self._nothing]
                spare = [("none", source) for source, op in rows if op == self._nothing]
                nodes.append((*taken, *spare[: 2 - len(taken)]))
            cells.append(Cell(tuple(nodes), TARGETS))
        return architecture(self.space, Genotype(*cells))


class MixedCell(nn.Module):
    """A cell with all operations on all of its 14 edges."""

    def __init__(
        self,
        operations: Sequence[str],
        inputs: tuple[int, int],
        width: int,
        reduction: bool,
        reduced: bool,
        form: Form,
    ) -> None:
        super().__init__()
        self.width, self.reduction = width, reduction
        self.first, self.second = preprocessing(inputs, width, reduced, affine=False)
        # the older input is reduced on the way if the cell before was a reduction: counted at the newer one's size
        self.preprocessing_macs = width * (inputs[0] + inputs[1])
        self.edges = nn.ModuleList(MixedEdge(operations, width, self.stride(edge), form) for edge in range(len(EDGES)))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, affine=False) for _ in (TARGETS if form.node_norm else ()))

    def stride(self, edge: int) -> int:
        """2 on the edges of a reduction cell that leave its inputs."""
        return 2 if self.reduction and EDGES[edge][1] < 2 else 1

    def forward(self, before: Tensor, last: Tensor, chosen: Chosen, mixed: Mixed | None) -> Tensor:
        states = [State(self.first(before)), State(self.second(last))]
        first = len(EDGES) * self.reduction
        for target in TARGETS:
            value: Tensor | None = None
            for at, (_, source) in ((e, edge) for e, edge in enumerate(EDGES) if edge[0] == target):
                term = self.edges[at](states[source], first + at, chosen[first + at], mixed)
                if term is not None:
                    value = term if value is None else value + term
            if value is None:
                step = 2 if self.reduction else 1
                value = torch.zeros_like(states[1].value[:, :, ::step, ::step])
            states.append(State(self.norms[target - 2](value) if self.norms else value))
        return torch.cat([state.value for state in states[2:]], 1)


class State:
    """A state of a cell with what several edges make of it alike: its first channels, their ReLU and their pools."""

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self._made: dict[str, Tensor] = {}

    def first(self, channels: int) -> Tensor:
        """The channels that pass through operations, the same number for all edges."""
        return self._once("first", lambda: self.value[:, :channels])

    def activated(self, channels: int) -> Tensor:
        return self._once("relu", lambda: nn.functional.relu(self.first(channels)))

    def pooled(self, kind: str, channels: int, stride: int) -> Tensor:
        return self._once(kind, lambda: pooled(kind, self.first(channels), stride))

    def _once(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


class MixedEdge(nn.Module):
    """All operations of one edge, on the first C/K channels."""

    def __init__(self, operations: Sequence[str], width: int, stride: int, form: Form) -> None:
        super().__init__()
        self.partial, self.stride, self.inner = form.partial, stride, width // form.partial
        self.names = tuple(operations)
        self.operations = nn.ModuleDict(
            {name: operation(name, self.inner, stride, affine=False) for name in operations if name != "none"}
        )
        strided = form.auxiliary_skip and stride == 2
        self.auxiliary = FactorizedReduce(width, width, affine=False) if strided else None

    def forward(self, state: State, decision: int, chosen: Sequence[int], mixed: Mixed | None) -> Tensor | None:
        """The edge's weighted sum; None where nothing is executed."""
        value, total = state.value, self._sum(state, decision, chosen, mixed)
        if self.partial > 1:
            total = self._with_bypass(value, total, decision, mixed)
        if mixed is not None and mixed.auxiliary:
            skip = value if self.auxiliary is None else self.auxiliary(value)
            total = mixed.auxiliary * skip if total is None else total + mixed.auxiliary * skip
        return total

    def _sum(self, state: State, decision: int, chosen: Sequence[int], mixed: Mixed | None) -> Tensor | None:
        total: Tensor | None = None
        row = None if mixed is None else mixed.weights[decision].unbind(0)
        for op in chosen:
            name = self.names[op] if op >= 0 else "none"
            if name == "none":
                continue
            term = self._term(self.operations[name], state, None if row is None else row[op], mixed)
            total = term if total is None else total + term
        return total

    def _term(self, module: nn.Module, state: State, weight: Tensor | None, mixed: Mixed | None) -> Tensor:
        if isinstance(module, DepthwisePointwise | Separable):
            return module.activated(state.activated(self.inner), weight)
        if isinstance(module, Pool):
            return scaled_norm(module.norm, state.pooled(module.kind, self.inner, self.stride), weight)
        term: Tensor = module(state.first(self.inner))
        if mixed is not None and isinstance(module, nn.Identity):
            term = dropped(term, mixed)
        return term if weight is None else weight * term

    def _with_bypass(self, value: Tensor, total: Tensor | None, decision: int, mixed: Mixed | None) -> Tensor:
        past = value[:, self.inner :]
        if self.stride == 2:
            past = nn.functional.max_pool2d(past, 2, 2)
        if mixed is not None and mixed.edges is not None:
            past = mixed.edges[decision] * past
        if total is None:
            total = past.new_zeros((len(past), self.inner, *past.shape[2:]))
        return shuffled(torch.cat((total, past), 1), self.partial)
