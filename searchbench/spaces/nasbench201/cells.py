"""The cell of the NAS-Bench-201 space as modules: one operation per edge, or all of them with shared weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.nasbench201.space import EDGES, OPERATIONS
from searchbench.spaces.networks import Known
from searchbench.spaces.operations import ConvBank, ConvNorm, average_pool, weighted_sums

NONE, SKIP, CONV1, CONV3, POOL = range(len(OPERATIONS))
KERNELS = {CONV1: 1, CONV3: 3}
SOURCES, OUTPUT = (0, 1, 2), 3
LEAVING = tuple(tuple(e for e, (_, source) in enumerate(EDGES) if source == node) for node in SOURCES)
"""Edges that leave each node, in order of their targets."""

Chosen = tuple[tuple[int, ...], ...]
"""Operations executed, per edge."""


@dataclass(frozen=True, slots=True)
class EdgePlan:
    """What leaves one node: positions, among the edges that leave it, of those that execute each operation."""

    node: int
    conv1: tuple[int, ...]
    conv3: tuple[int, ...]
    skip: tuple[int, ...]
    pool: tuple[int, ...]

    @property
    def linear(self) -> tuple[int, ...]:
        """Positions of edges with a skip or a pool."""
        return tuple(sorted({*self.skip, *self.pool}))


@lru_cache(maxsize=1 << 15)
def plans(chosen: Chosen, *, entered: bool = False) -> tuple[EdgePlan, ...]:
    """What to execute for each node, in order, leaving out edges that nothing enters or that lead nowhere. `entered`:
    something enters every node, whatever is executed."""
    live = live_edges(chosen, entered=entered)
    found = []
    for node in SOURCES:
        leaving = [(at, chosen[e]) for at, e in enumerate(LEAVING[node]) if e in live]
        with_op = [tuple(at for at, ops in leaving if op in ops) for op in (CONV1, CONV3, SKIP, POOL)]
        if leaving:
            found.append(EdgePlan(node, *with_op))
    return tuple(found)


def live_edges(chosen: Chosen, *, entered: bool = False) -> frozenset[int]:
    """Edges on some route from the cell's input to its output on which every edge executes something; from any node
    where all are `entered`."""
    carrying = [e for e, ops in enumerate(chosen) if any(op != NONE for op in ops)]
    reached, needed = set(SOURCES) if entered else {0}, {OUTPUT}
    for e in carrying:  # edges are ordered by target, so one sweep each way is enough
        if EDGES[e][1] in reached:
            reached.add(EDGES[e][0])
    for e in reversed(carrying):
        if EDGES[e][0] in needed:
            needed.add(EDGES[e][1])
    return frozenset(e for e in carrying if EDGES[e][1] in reached and EDGES[e][0] in needed)


class StandAloneCell(nn.Module):
    """One operation per edge. Convolutions of a kernel size that read the same node are one convolution.

    Differs: an edge out of a node that nothing reaches gives zeros; in the released code a convolution there gives
        its batch norm's learned bias. Parameters of such edges exist, and count, but are never used.
    """

    def __init__(self, chosen: Chosen, channels: int) -> None:
        super().__init__()
        self.plans = plans(chosen)
        self.convs = nn.ModuleDict()
        for plan in self.plans:
            for name, kernel, edges in (("conv1", 1, plan.conv1), ("conv3", 3, plan.conv3)):
                if edges:
                    self.convs[f"{name} of {plan.node}"] = ConvNorm(channels, channels * len(edges), kernel)
        live = live_edges(chosen)
        dead = [op for e, (op,) in enumerate(chosen) if op in KERNELS and e not in live]
        self.unused = nn.ModuleList(ConvNorm(channels, channels, KERNELS[op]) for op in dead)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape; zeros where no route leads to the output."""
        nodes = Nodes(inputs)
        for plan in self.plans:
            value = nodes[plan.node]
            activated = F.relu(value) if plan.conv1 or plan.conv3 else value
            for name, edges in (("conv1", plan.conv1), ("conv3", plan.conv3)):
                if edges:
                    nodes.add_stacked(plan.node, edges, self.convs[f"{name} of {plan.node}"](activated))
            nodes.add_linear(plan, value)
        return nodes.output()


class MixedCell(nn.Module):
    """All operations of all edges, of which every call executes those it is told to."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv1 = nn.ModuleList(ConvBank(channels, 1, len(LEAVING[node])) for node in SOURCES)
        self.conv3 = nn.ModuleList(ConvBank(channels, 3, len(LEAVING[node])) for node in SOURCES)

    def forward(
        self, inputs: Tensor, parts: tuple[EdgePlan, ...], scales: Sequence[Scales] | None, known: Known | None = None
    ) -> Tensor:
        """[B, C, H, W] -> the same shape.

        Args:
            inputs: of the cell.
            parts: what to execute.
            scales: the operations' weights, per plan; None means one each.
            known: of the inputs, of paths only: what leaves node 0 depends on nothing else.
        """
        nodes = Nodes(inputs)
        for at, plan in enumerate(parts):
            value = nodes[plan.node]
            scale = scales[at] if scales is not None else None
            if scale is None and known is not None and plan.node == 0:
                nodes.add_stacked_pair(plan, *self._known(value, plan, known))
                nodes.add_linear(plan, value, known.of("pool", partial(average_pool, value)) if plan.pool else None)
                continue
            nodes.add_stacked_pair(plan, *self._convolved(value, plan, scale))
            if scale is None:
                nodes.add_linear(plan, value)
            elif scale.linear is not None:
                sources = ([value] if plan.skip else []) + ([average_pool(value)] if plan.pool else [])
                for edge, term in zip(plan.linear, weighted_sums(sources, scale.linear), strict=True):
                    nodes.add(plan.node, edge, term)
        return nodes.output()

    def _known(self, value: Tensor, plan: EdgePlan, known: Known) -> tuple[Tensor | None, ...]:
        """The outputs of both banks at a node, by the edges that ask for them."""
        found: list[Tensor | None] = []
        for name, banks, edges in (("conv1", self.conv1, plan.conv1), ("conv3", self.conv3, plan.conv3)):
            if not edges:
                found.append(None)
                continue
            activated = known.of("activated", partial(F.relu, value))
            found.append(known.of((name, edges), partial(banks[plan.node], activated, edges, None)))
        return tuple(found)

    def _convolved(self, value: Tensor, plan: EdgePlan, scale: Scales | None) -> tuple[Tensor | None, Tensor | None]:
        if not (plan.conv1 or plan.conv3):
            return None, None
        activated = F.relu(value)
        one, three = (scale.conv1, scale.conv3) if scale is not None else (None, None)
        first = self.conv1[plan.node](activated, plan.conv1, _spread(one, self.channels)) if plan.conv1 else None
        second = self.conv3[plan.node](activated, plan.conv3, _spread(three, self.channels)) if plan.conv3 else None
        return first, second


class Nodes:
    """Values of a cell's nodes while they are being summed up.

    Args:
        inputs: of the cell.
        keep: factor of what comes over each edge; None: 1.
    """

    def __init__(self, inputs: Tensor, keep: Tensor | None = None) -> None:
        self._inputs, self._keep = inputs, keep
        self._values: list[Tensor | None] = [inputs, None, None, None]

    def __getitem__(self, node: int) -> Tensor:
        value = self._values[node]
        assert value is not None, "a plan leaves out nodes that nothing reaches"
        return value

    def add(self, source: int, edge: int, term: Tensor) -> None:
        """Add a term to the target of the `edge`-th edge that leaves `source`."""
        target = source + 1 + edge
        if self._keep is not None:
            term = self._keep[LEAVING[source][edge]] * term
        known = self._values[target]
        self._values[target] = term if known is None else known + term

    def add_stacked(self, source: int, edges: Sequence[int], stacked: Tensor) -> None:
        """Add terms stacked along the channels, one per edge."""
        terms = (stacked,) if len(edges) == 1 else stacked.chunk(len(edges), 1)
        for edge, term in zip(edges, terms, strict=True):
            self.add(source, edge, term)

    def add_stacked_pair(self, plan: EdgePlan, conv1: Tensor | None, conv3: Tensor | None) -> None:
        """Add the outputs of both banks, in one sum where they go to the same edges."""
        if conv1 is not None and conv3 is not None and plan.conv1 == plan.conv3:
            self.add_stacked(plan.node, plan.conv1, conv1 + conv3)
            return
        for edges, stacked in ((plan.conv1, conv1), (plan.conv3, conv3)):
            if stacked is not None:
                self.add_stacked(plan.node, edges, stacked)

    def add_linear(self, plan: EdgePlan, value: Tensor, pooled: Tensor | None = None) -> None:
        """Add skips and pools of weight one; the pool is computed once for all edges, if it is not given."""
        for edge in plan.skip:
            self.add(plan.node, edge, value)
        if plan.pool:
            pooled = average_pool(value) if pooled is None else pooled
            for edge in plan.pool:
                self.add(plan.node, edge, pooled)

    def output(self) -> Tensor:
        value = self._values[OUTPUT]
        return torch.zeros_like(self._inputs) if value is None else value


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Weights of the operations in one plan: `conv1` and `conv3` [edges], `linear` [edges, skip and/or pool]."""

    conv1: Tensor | None
    conv3: Tensor | None
    linear: Tensor | None

    @classmethod
    def of(cls, plan: EdgePlan, weights: Sequence[Tensor]) -> Scales:
        """Pick a plan's weights from one row [operations] per edge."""
        rows = [weights[e] for e in LEAVING[plan.node]]

        def column(edges: tuple[int, ...], op: int) -> Tensor | None:
            return torch.stack([rows[at][op] for at in edges]) if edges else None

        linear = None
        if plan.linear:
            columns = [(SKIP, plan.skip)] * bool(plan.skip) + [(POOL, plan.pool)] * bool(plan.pool)
            zero = rows[0].new_zeros(())
            terms = [[rows[at][op] if at in edges else zero for op, edges in columns] for at in plan.linear]
            linear = torch.stack([torch.stack(row) for row in terms])
        return cls(column(plan.conv1, CONV1), column(plan.conv3, CONV3), linear)


def _spread(weights: Tensor | None, channels: int) -> Tensor | None:
    """[edges] -> [edges * channels]."""
    if weights is None:
        return None
    # of one edge, the reshaped expansion is a view of stride 0, which batch norm's backward reads out of bounds
    return weights.unsqueeze(1).expand(-1, channels).reshape(-1).contiguous()
