"""The cells of many networks as one function, its gradient written out.

By hand because it halves the traffic: with 8x8 images the time goes into moving activations, not into products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from searchbench.spaces.nasbench201 import stack_arithmetic as arithmetic
from searchbench.spaces.nasbench201.cells import OUTPUT, SOURCES, StandAloneCell
from searchbench.spaces.nasbench201.stacks import Part, StackedConvNorm, StackedNorm
from searchbench.spaces.operations import ConvNorm

CONVOLUTIONS = ("conv1", "conv3")


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """Where results of a group are added to."""

    target: int
    """Node."""
    results: slice | Tensor
    """Which results of the group: neighbours of each other, or positions."""
    networks: Tensor
    """Whose node is added to, one network per result."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One operation of all networks that read one node with it."""

    operation: str
    node: int
    readers: Tensor
    """Which network's node is read, one per result."""
    writes: tuple[Write, ...]

    def gather(self, values: Sequence[Tensor | None]) -> Tensor:
        """Gather from one stack [N, …] per node, what the results were added to: [results, …]."""
        like = values[self.writes[0].target]
        assert like is not None, "a write leads to the output"
        make = like.new_zeros if self.operation == "pool" else like.new_empty
        found = make(len(self.readers), *like.shape[1:])
        for write in self.writes:
            value = cast(Tensor, values[write.target])
            if isinstance(write.results, slice):
                torch.index_select(value, 0, write.networks, out=found[write.results])
            else:
                found.index_add_(0, write.results, value.index_select(0, write.networks))
        return found

    def scatter(self, results: Tensor, values: Sequence[Tensor]) -> None:
        """Add results to the nodes they belong to."""
        for write in self.writes:
            values[write.target].index_add_(0, write.networks, results[write.results])


class StackedCell(nn.Module):
    """`StandAloneCell` of several networks."""

    def __init__(self, cells: Sequence[StandAloneCell], device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.groups: list[Group] = []
        self.convs = nn.ModuleDict()
        for node in SOURCES:
            for operation in (*CONVOLUTIONS, "skip", "pool"):
                edges = _edges(cells, node, operation)
                if edges:
                    self._add(cells, node, operation, edges)

    def _add(self, cells: Sequence[StandAloneCell], node: int, operation: str, edges: list[_Edge]) -> None:
        self.groups.append(_group(node, operation, edges, self.device))
        if operation in CONVOLUTIONS:
            name = f"{operation} of {node}"
            blocks = [(edge, cast(ConvNorm, cells[edge.network].convs[name])) for edge in edges]
            kernels = [Part(edge.network, block.conv.weight, edge.channels(block)) for edge, block in blocks]
            norms = [(edge.network, block.norm, edge.channels(block)) for edge, block in blocks]
            self.convs[name] = StackedConvNorm(kernels, StackedNorm(norms))

    def conv(self, group: Group) -> StackedConvNorm:
        """The convolutions of a group."""
        return cast(StackedConvNorm, self.convs[f"{group.operation} of {group.node}"])

    def forward(self, value: Tensor) -> Tensor:
        """[N, H, B, W, C] -> the same shape."""
        used = [self.conv(group) for group in self.groups if group.operation in CONVOLUTIONS]
        weights = [w for conv in used for w in (conv.kernels.value, conv.norm.gamma.value, conv.norm.beta.value)]
        return cast(Tensor, _Cell.apply(value, self, *weights))  # type: ignore[no-untyped-call]


class _Cell(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, cell: StackedCell, *weights: Tensor) -> Tensor:
        values = [value, *(_shifted(value, cell, node) for node in range(1, OUTPUT + 1))]
        shares = arithmetic.pool_shares(value.shape[1], value.shape[3], value)
        saved: list[Tensor] = []
        for group in cell.groups:
            read = values[group.node].index_select(0, group.readers)
            if group.operation == "pool":
                read = arithmetic.window_sums(read).mul_(shares)
            elif group.operation in CONVOLUTIONS:
                read, kept = _convolve(read.relu_(), cell.conv(group))
                saved += kept
            group.scatter(read, values)
        ctx.cell, ctx.shares = cell, shares
        ctx.save_for_backward(*saved)
        return values[OUTPUT]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        cell: StackedCell = ctx.cell
        by_node: list[Tensor | None] = [None] * OUTPUT + [gradients[0].contiguous()]
        saved, by_weight = list(ctx.saved_tensors), []
        for group in reversed(cell.groups):
            gradient = group.gather(by_node)
            if group.operation == "pool":
                gradient = arithmetic.window_sums(gradient.mul_(ctx.shares))
            elif group.operation in CONVOLUTIONS:
                activated, matrices, centred, inverse = saved[-4:]
                del saved[-4:]
                gamma = cell.conv(group).norm.gamma.value
                gradient, of_weights = _convolve_backward(gradient, activated, matrices, centred, inverse, gamma)
                by_weight.append(of_weights)
            if by_node[group.node] is None:
                by_node[group.node] = torch.zeros_like(gradients[0])
            cast(Tensor, by_node[group.node]).index_add_(0, group.readers, gradient)
        flat = [gradient for of_weights in reversed(by_weight) for gradient in of_weights]
        return by_node[0], None, *flat


def _shifted(value: Tensor, cell: StackedCell, node: int) -> Tensor:
    """What a node begins with: the sum of the shifts of the batch norms that end there."""
    shift = value.new_zeros(len(value), value.shape[-1])
    for group in cell.groups:
        if group.operation in CONVOLUTIONS:
            norm = cell.conv(group).norm
            shifts = norm.beta.value if cell.training else norm.fixed()[1]
            for write in group.writes:
                if write.target == node:
                    shift.index_add_(0, write.networks, shifts[write.results])
    return arithmetic.spread(shift).expand(value.shape).contiguous()


def _convolve(activated: Tensor, conv: StackedConvNorm) -> tuple[Tensor, list[Tensor]]:
    """The convolution and its norm without the shift, and what the gradient needs."""
    width = activated.shape[3]
    if not conv.training:
        scale, _ = conv.norm.fixed()
        return arithmetic.convolve(
            activated, arithmetic.matrices_of(conv.kernels.value * scale[..., None, None, None], width)
        ), []
    matrices = arithmetic.matrices_of(conv.kernels.value, width)
    centred = arithmetic.convolve(activated, matrices)
    inverse = conv.norm.standardise(centred)
    return arithmetic.scaled(centred, conv.norm.gamma.value * inverse), [activated, matrices, centred, inverse]


def _convolve_backward(
    gradient: Tensor, activated: Tensor, matrices: Tensor, centred: Tensor, inverse: Tensor, gamma: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    by_output, by_gamma, by_beta = arithmetic.standardise_backward(gradient, centred, inverse, gamma)
    by_activated, by_kernels = arithmetic.convolve_backward(by_output, activated, matrices)
    # where the ReLU gave zero, nothing came through it
    by_read = torch.ops.aten.threshold_backward(by_activated, activated, 0)
    return by_read, (by_kernels, by_gamma, by_beta)


# -- which edges there are -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class _Edge:
    """An edge of one network with the operation in question."""

    target: int
    network: int
    position: int
    """Among the edges of its network that leave the same node with the same operation."""

    def channels(self, block: ConvNorm) -> slice:
        """Output channels of this edge in the network's own stacked convolution."""
        inputs = block.conv.in_channels
        return slice(self.position * inputs, (self.position + 1) * inputs)


def _edges(cells: Sequence[StandAloneCell], node: int, operation: str) -> list[_Edge]:
    """Sorted by target, so that results with one target are neighbours."""
    return sorted(
        _Edge(node + 1 + leaving, network, position)
        for network, cell in enumerate(cells)
        for plan in cell.plans
        if plan.node == node
        for position, leaving in enumerate(getattr(plan, operation))
    )


def _group(node: int, operation: str, edges: list[_Edge], device: torch.device) -> Group:
    """A pool is computed once per network, whatever the number of edges; anything else once per edge."""
    readers = sorted({edge.network for edge in edges}) if operation == "pool" else [edge.network for edge in edges]
    position = {network: at for at, network in enumerate(readers)}
    writes = []
    for target in sorted({edge.target for edge in edges}):
        at = [i for i, edge in enumerate(edges) if edge.target == target]
        networks = [edges[i].network for i in at]
        neighbours = slice(at[0], at[-1] + 1)
        results: slice | Tensor = neighbours
        if operation == "pool":
            results = torch.tensor([position[network] for network in networks], device=device)
        writes.append(Write(target, results, torch.tensor(networks, device=device)))
    return Group(operation, node, torch.tensor(readers, device=device), tuple(writes))
