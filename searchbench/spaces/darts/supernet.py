"""The supernet of the DARTS space: every operation on every edge, weights of a mixture shared by cells of a type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from searchbench.spaces.darts.fused import (
    Run,
    State,
    Statistics,
    channels_last,
    convolved,
    is_convolution,
    linear,
    normalised_pools,
    split,
    together,
)
from searchbench.spaces.darts.genotypes import Genotype, GenotypeCell, Node
from searchbench.spaces.darts.networks import preprocessing, reductions, stem_of
from searchbench.spaces.darts.operations import FactorizedReduce, Pool, multiply_accumulates, operation
from searchbench.spaces.darts.space import CELLS, EDGES, TARGETS, architecture, genotype
from searchbench.spaces.nasbench201.forms import dropped, kept, shuffled
from searchbench.spaces.networks import Active, Mixed, Path, Shape
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

Chosen = Sequence[Sequence[int]]
"""Operations executed, per decision."""

Positions = tuple[int, ...]
"""Some of the edges that leave a state, by their places among all that do."""

LEAVING = tuple(tuple(at for at, (_, source) in enumerate(EDGES) if source == node) for node in range(TARGETS[-1]))
"""Edges that leave each state of a cell but the last."""


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
        allowed = None if space.wiring is None else space.wiring.allowed
        self._everything: Chosen = allowed or (tuple(range(len(self.operations))),) * len(self.options)
        self.stem = stem_of(settings["stem"], shape[0], settings["channels"])
        self._build(form.cells or settings["cells"], settings["channels"])
        self.classifier = nn.Linear(self.outputs, classes)
        # last, so that all other weights begin as they do without auxiliary skips
        self.skips = nn.ModuleList(_auxiliary_skips(cell) for cell in cast(list[MixedCell], list(self.cells)))
        self._fixed_macs, self._op_macs = self._count(shape, classes)

    @property
    def _candidates(self) -> list[tuple[str, ...]]:
        """Names of the operations that may stand on each edge."""
        return [tuple(self.operations[op] for op in ops) for ops in self._everything]

    def _build(self, cells: int, width: int) -> None:
        inputs, reduced, built = self.stem.outputs, self.stem.reduces, []
        for at in range(cells):
            reduction = at in reductions(cells)
            width *= 2 if reduction else 1
            edges = self._candidates[len(EDGES) * reduction :][: len(EDGES)]
            built.append(MixedCell(self.operations, edges, inputs, width, reduction, reduced, self.form))
            inputs, reduced = (inputs[1], len(TARGETS) * width), reduction
        self.cells = nn.ModuleList(built)
        self.outputs = inputs[1]

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        turns = self._turns(active)
        before, last = self.stem(channels_last(inputs))
        for cell, skips in zip(cast(list[MixedCell], list(self.cells)), self.skips, strict=True):
            before, last = last, cell(before, last, turns[cell.reduction], skips)
        for turn in turns:
            turn.seen.write()
        return self.classifier(last.mean((2, 3)))  # type: ignore[no-any-return]

    def _turns(self, active: Active) -> list[Turn]:
        """What the cells of each type are to do."""
        chosen, n = self._chosen(active), len(EDGES)
        if not isinstance(active, Mixed):
            return [Turn(chosen[at * n : at * n + n]) for at in range(len(CELLS))]
        given: object = active.weights
        weights = given if isinstance(given, Tensor) else torch.stack(list(active.weights))
        return [
            Turn(chosen[at * n : at * n + n], active, at * n, _columns(weights[at * n : at * n + n]))
            for at in range(len(CELLS))
        ]

    def _chosen(self, active: Active) -> Chosen:
        if not isinstance(active, Mixed):
            return tuple((op,) for op in active)
        return self._everything if active.active is None else active.active

    def owned(self) -> list[tuple[int, int, list[nn.Parameter]]]:
        learnable = () if self.space.wiring is None else self.space.wiring.learnable
        found = []
        for cell in cast(list[MixedCell], list(self.cells)):
            for at, edge in enumerate(cast(list[MixedEdge], list(cell.edges))):
                for name in (name for name in edge.operations if name in learnable):
                    weights = list(edge.operations[name].parameters())
                    found.append((len(EDGES) * cell.reduction + at, self.operations.index(name), weights))
        return found

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
                if self.form.auxiliary_skip and stride == 2:
                    fixed += cell.width**2 * pixels
        return fixed, table

    def _stem_macs(self, pixels: int) -> tuple[int, int]:
        """Multiply-accumulates of the stem, and the pixels behind it."""
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
            cells.append(GenotypeCell(tuple(nodes), TARGETS))
        return architecture(self.space, Genotype(*cells))


@dataclass(slots=True, eq=False)
class Turn:
    """What the cells of one type do in one pass."""

    chosen: Chosen
    """Operations executed, per edge."""
    mixed: Mixed | None = None
    first: int = 0
    """Decision of the first edge."""
    columns: Sequence[Sequence[Tensor]] = ()
    """Per state and operation, the weights of the edges that leave the state; empty on a path."""
    seen: Statistics = field(default_factory=Statistics)

    _runs: dict[int, list[tuple[int, Positions]]] = field(default_factory=dict)

    def runs(self, source: int) -> list[tuple[int, Positions]]:
        """Operations that are executed on edges that leave a state, and these edges' positions among all that do."""
        found = self._runs.get(source)
        if found is None:
            by_op: dict[int, list[int]] = {}
            for at, edge in enumerate(LEAVING[source]):
                for op in self.chosen[edge]:
                    by_op.setdefault(op, []).append(at)
            found = self._runs[source] = [(op, tuple(by_op[op])) for op in sorted(by_op) if op >= 0]
        return found

    def scale(self, source: int, ops: Sequence[int], at: Positions) -> Tensor | None:
        """The operations' weights on these edges, one operation after the other."""
        if not self.columns:
            return None
        columns = [self.columns[source][op] for op in ops]
        if len(at) < len(columns[0]):
            columns = [torch.stack([column[position] for position in at]) for column in columns]
        return columns[0] if len(columns) == 1 else torch.cat(columns)


def _columns(weights: Tensor) -> list[tuple[Tensor, ...]]:
    """[edges, operations] by the states that edges leave."""
    rows = weights.unbind(0)
    return [torch.stack([rows[edge] for edge in edges], 1).unbind(0) for edges in LEAVING]


@dataclass(frozen=True, slots=True, eq=False)
class Arriving:
    """Where an edge ends."""

    node: Gathered
    keep: Tensor | None
    """Factor of all that comes over the edge; None: 1."""

    def add(self, part: str, term: Tensor) -> None:
        self.node.add(part, term if self.keep is None else self.keep * term)


class Gathered:
    """The sum of what enters a state: what went through operations, past them, and beside them."""

    def __init__(self) -> None:
        self.inner: Tensor | None = None
        self.past: Tensor | None = None
        self.beside: Tensor | None = None

    def add(self, part: str, term: Tensor) -> None:
        so_far = getattr(self, part)
        setattr(self, part, term if so_far is None else so_far + term)


class MixedCell(nn.Module):
    """A cell with all operations that may stand on each of its 14 edges, run by the states that edges leave, see
    `darts_fused`."""

    def __init__(
        self,
        operations: Sequence[str],
        edges: Sequence[Sequence[str]],
        inputs: tuple[int, int],
        width: int,
        reduction: bool,
        reduced: bool,
        form: Form,
    ) -> None:
        super().__init__()
        self.names, self.width, self.reduction = tuple(operations), width, reduction
        self.form, self.partial, self.inner = form, form.partial, width // form.partial
        self.first, self.second = preprocessing(inputs, width, reduced, affine=False)
        # the older input is reduced on the way if the cell before was a reduction: counted at the newer one's size
        self.preprocessing_macs = width * (inputs[0] + inputs[1])
        self.edges = nn.ModuleList(MixedEdge(own, width, self.stride(at), form) for at, own in enumerate(edges))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, affine=False) for _ in (TARGETS if form.node_norm else ()))
        self._runs: dict[tuple[int, tuple[int, ...], Positions], Run] = {}

    def stride(self, edge: int) -> int:
        """2 on the edges of a reduction cell that leave its inputs."""
        return 2 if self.reduction and EDGES[edge][1] < 2 else 1

    def forward(self, before: Tensor, last: Tensor, turn: Turn, skips: nn.ModuleDict) -> Tensor:
        """The outputs of the two cells before, [B, C, H, W] each -> the concatenated nodes.

        Args:
            skips: the auxiliary skips of edges of stride 2, by number.
        """
        first, second = (channels_last(value) for value in (self.first(before), self.second(last)))
        values, nodes = [first, second], {target: Gathered() for target in TARGETS}
        keep = kept(turn.mixed, len(EDGES), first)
        ends = [Arriving(nodes[target], None if keep is None else keep[at]) for at, (target, _) in enumerate(EDGES)]
        for source, edges in enumerate(LEAVING):
            if source in nodes:
                values.append(self._read(nodes[source], source, second))
            state, into = State(values[source], self.inner), [ends[edge] for edge in edges]
            self._leave(state, source, edges, turn, into)
            self._skip(state.value, edges, turn, into, skips)
        values.append(self._read(nodes[TARGETS[-1]], TARGETS[-1], second))
        return torch.cat(values[2:], 1)

    def _read(self, node: Gathered, target: int, like: Tensor) -> Tensor:
        """The value of a state after its sums."""
        value = node.inner
        if value is None and (self.partial > 1 or node.beside is None):
            step = 2 if self.reduction else 1
            value = torch.zeros_like(like[:, : self.inner, ::step, ::step])
        if node.past is not None:
            value = channels_last(shuffled(torch.cat((cast(Tensor, value), node.past), 1), self.partial))
        if node.beside is not None:
            value = node.beside if value is None else value + node.beside
        return self.norms[target - 2](value) if self.norms else cast(Tensor, value)

    def _leave(self, state: State, source: int, edges: Sequence[int], turn: Turn, into: list[Arriving]) -> None:
        """Add to the nodes what reaches them from one state."""
        kinds: dict[tuple[object, Positions], list[int]] = {}
        plain: list[tuple[int, Positions, Sequence[Tensor]]] = []
        for op, at in turn.runs(source):
            name = self.names[op]
            if name == "none":
                continue
            modules = self._parts(name, edges, at)
            if is_convolution(modules[0]):
                kinds.setdefault((type(modules[0]) if state.small else op, at), []).append(op)
            else:
                plain.append((op, at, self._plain(modules, state, turn)))
        self._convolve(kinds, source, state, turn, into)
        self._mix(plain, source, turn, into)
        if self.partial > 1:
            self._pass(state.value[:, self.inner :], edges, turn, into)

    def _convolve(
        self,
        kinds: Mapping[tuple[object, Positions], Sequence[int]],
        source: int,
        state: State,
        turn: Turn,
        into: list[Arriving],
    ) -> None:
        """Add the sums of convolutions; those of one kind are run together."""
        sums: dict[tuple[Positions, int], Tensor] = {}
        for (_, at), ops in kinds.items():
            run = self._run(source, tuple(ops), at)
            stacked, apart = convolved(run, turn.scale(source, ops, at), state, turn.seen)
            for part in split(stacked, len(at) * self.inner):
                sums[at, apart] = sums[at, apart] + part if (at, apart) in sums else part
        for (at, apart), stacked in sums.items():
            for position, part in zip(at, split(together(stacked, apart), self.inner), strict=True):
                into[position].add("inner", part)

    def _run(self, source: int, ops: tuple[int, ...], at: Positions) -> Run:
        """What is run together, put together once."""
        found = self._runs.get((source, ops, at))
        if found is None:
            parts = [part for op in ops for part in self._parts(self.names[op], LEAVING[source], at)]
            found = self._runs[source, ops, at] = Run(parts)
        return found

    def _parts(self, name: str, edges: Sequence[int], at: Sequence[int]) -> list[nn.Module]:
        """An operation on some of the edges that leave a state."""
        return [cast(MixedEdge, self.edges[edges[position]]).operations[name] for position in at]

    def _plain(self, modules: Sequence[nn.Module], state: State, turn: Turn) -> Sequence[Tensor]:
        """Outputs of operations without convolutions, per edge; one tensor for all where they are alike."""
        if isinstance(modules[0], Pool):
            return normalised_pools(cast(Sequence[Pool], modules), state, turn.seen)
        if isinstance(modules[0], nn.Identity):
            if turn.mixed is None or not turn.mixed.dropout:
                return [state.inner] * len(modules)
            return [dropped(state.inner, turn.mixed) for _ in modules]
        return [module(state.inner) for module in modules]

    def _mix(
        self, plain: list[tuple[int, Positions, Sequence[Tensor]]], source: int, turn: Turn, into: list[Arriving]
    ) -> None:
        """Add the weighted sums of what has no convolutions: in one product where all edges add up the same."""
        alike = all(len(at) == len(into) and all(value is values[0] for value in values) for _, at, values in plain)
        if alike and len(plain) > 1 and turn.columns:
            weights = torch.stack([turn.columns[source][op] for op, _, _ in plain], 1)
            for node, term in zip(into, linear([values[0] for _, _, values in plain], weights), strict=True):
                node.add("inner", term)
            return
        for op, at, values in plain:
            for position, value in zip(at, values, strict=True):
                into[position].add("inner", turn.columns[source][op][position] * value if turn.columns else value)

    def _skip(
        self, value: Tensor, edges: Sequence[int], turn: Turn, into: list[Arriving], skips: nn.ModuleDict
    ) -> None:
        """Add the auxiliary skips."""
        if turn.mixed is None or not turn.mixed.auxiliary:
            return
        for edge, node in zip(edges, into, strict=True):
            skipped = skips[str(edge)](value) if self.stride(edge) == 2 else value
            node.add("beside", turn.mixed.auxiliary * skipped)

    def _pass(self, past: Tensor, edges: Sequence[int], turn: Turn, into: list[Arriving]) -> None:
        """Add the channels that bypass the operations."""
        if self.stride(edges[0]) == 2:
            past = nn.functional.max_pool2d(past, 2, 2)
        weights = None if turn.mixed is None else turn.mixed.edges
        for edge, node in zip(edges, into, strict=True):
            node.add("past", past if weights is None else weights[turn.first + edge] * past)


class MixedEdge(nn.Module):
    """The operations of one edge, on the first C/K channels."""

    def __init__(self, operations: Sequence[str], width: int, stride: int, form: Form) -> None:
        super().__init__()
        inner = width // form.partial
        self.operations = nn.ModuleDict(
            {name: operation(name, inner, stride, affine=False) for name in operations if name != "none"}
        )


def _auxiliary_skips(cell: MixedCell) -> nn.ModuleDict:
    """Multiply-accumulates of the edges whose skip is not the identity; empty in a form without."""
    strided = [edge for edge in range(len(EDGES)) if cell.form.auxiliary_skip and cell.stride(edge) == 2]
    return nn.ModuleDict({str(edge): FactorizedReduce(cell.width, cell.width, affine=False) for edge in strided})
