"""Where an architecture is one route through blocks: logits of the ways on, what a route costs, and the likeliest one.

A block is a node of the topology; edges that leave it are the ways on, each with operations of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from searchbench.spaces.space import Space
from searchbench.spaces.topology import Form, Topology
from searchbench.strategies.differentiable.connect import Chosen, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.networks import Mixed, Path


@dataclass(frozen=True, slots=True)
class RoutedEdges:
    """p_ij = softmax_j(beta_i) over the edges that leave block i; what enters block j is sum_i p_ij H_ij(x_i), H_ij the
    mixture of the edge's operations.

    A route drawn by p has an edge ij with probability P(i) p_ij, where P(0) = 1 and P(j) = sum_i P(i) p_ij. A cost that
    adds up over a route is then expected to be sum_ij P(i) p_ij C_ij: what the paper's recursion from the last block to
    the first, C_i = sum_j p_ij (C_ij + C_j), comes to.

    Source: Fang et al. 2020, "Densely connected search space for more flexible neural architecture search", sections
    3.2 and 3.3.
    """

    weighs = True

    def form(self, form: Form) -> Form:
        return replace(form, routes=True)

    def weights(self, beta: Tensor | None, topology: Topology) -> Tensor | None:
        assert beta is not None
        return shares(beta, topology.forks())

    def passing(self, beta: Tensor | None, topology: Topology) -> Tensor | None:
        import torch

        p = self.weights(beta, topology)
        assert p is not None
        arriving: dict[int, Tensor] = {}
        passing: dict[int, Tensor] = {}
        for rows in topology.forks():
            reached = arriving.get(topology.edges[rows[0]].source, p.new_ones(()))
            for at in rows:
                target = topology.edges[at].target
                passing[at] = reached * p[at]
                arriving[target] = arriving[target] + passing[at] if target in arriving else passing[at]
        return torch.stack([passing[at] for at in range(len(topology.edges))])

    def dress(self, mixture: Mixed, beta: Tensor | None, topology: Topology) -> Mixed:
        edges = self.weights(beta, topology)
        assert edges is not None
        return replace(mixture, weights=[row * p for row, p in zip(mixture.weights, edges.unbind(0), strict=True)])

    def unsupported(self, space: Space) -> str | None:
        if space.wiring is None or not space.wiring.routed:
            return f"it weighs the ways from block to block, and the blocks of `{space.name}` follow one another."
        return None


@dataclass(frozen=True, slots=True)
class LikeliestRoute:
    """The route of greatest product of p_ij, found by dynamic programming from the first block to the last (Viterbi),
    with the heaviest operation of each of its edges. The weights of an edge's operations add up to p_ij. Of equal
    routes into a block the one from the nearest; of equal operations the first.

    Source: Fang et al. 2020, "Densely connected search space for more flexible neural architecture search", section
    3.3, and its code.
    """

    projects = False

    def protocol(self, topology: Topology) -> str:
        return "likeliest route, heaviest operations on it"

    def leaves_none(self, topology: Topology) -> bool:
        return False

    def choose(self, weights: Weights, topology: Topology) -> Chosen:
        (cell,) = topology.cells
        best: dict[int, tuple[float, tuple[int, ...]]] = {topology.inputs(cell)[0]: (1.0, ())}
        for at in sorted(topology.rows(cell), key=lambda at: (topology.edges[at].target, -topology.edges[at].source)):
            source, target = topology.edges[at].source, topology.edges[at].target
            likely, route = best[source]
            likely *= float(weights[at].sum())
            if target not in best or likely > best[target][0]:
                best[target] = likely, (*route, at)
        chosen = np.zeros(weights.shape, dtype=bool)
        for at in best[max(best)][1]:
            chosen[at, max(topology.carrying[at], key=lambda op: (weights[at, op], -op))] = True
        return chosen

    def unsupported(self, space: Space) -> str | None:
        return RoutedEdges().unsupported(space)


def shares(beta: Tensor, groups: Iterable[list[int]]) -> Tensor:
    """[decisions]: the softmax of logits [decisions] within each group of decisions."""
    import torch

    parts: list[Tensor] = []
    order: list[int] = []
    for rows in groups:
        parts.append(beta[rows].softmax(0))
        order += rows
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return torch.cat(parts)[inverse]


def costs_of_routes(topology: Topology, cost: Callable[[Path], float]) -> tuple[list[list[float]], float]:
    """([decisions, options], what is fixed) such that the cost of any route is what is fixed plus the entries of its
    edges and operations, where costs of routes add up over edges.

    An entry is the cost of going on over the edge with the operation, above that of going on over the first edge that
    leaves its source, beyond which every route goes on so. What may not stand on an edge costs as the least that may.

    Args:
        cost: of a route, an operation per decision and -1 where an edge is not taken.
    """
    (cell,) = topology.cells
    first = topology.inputs(cell)[0]
    before: dict[int, tuple[int, ...]] = {first: ()}
    for at in topology.forwards(cell):
        before.setdefault(topology.edges[at].target, (*before[topology.edges[at].source], at))
    after: dict[int, tuple[int, ...]] = {topology.edges[rows[0]].target: () for rows in topology.forks()}
    for rows in reversed(list(topology.forks())):
        edge = topology.edges[rows[0]]
        after[edge.source] = (rows[0], *after[edge.target])

    def over(route: Iterable[int], at: int = -1, operation: int = -1) -> float:
        path = [-1] * len(topology.edges)
        for edge in route:
            path[edge] = topology.carrying[edge][0]
        if at >= 0:
            path[at] = operation
        return cost(tuple(path))

    table = []
    for at, edge in enumerate(topology.edges):
        usual = over((*before[edge.source], *after[edge.source]))
        route = (*before[edge.source], at, *after[edge.target])
        row = {op: over(route, at, op) - usual for op in topology.carrying[at]}
        table.append([row.get(op, min(row.values())) for op in range(len(topology.operations))])
    return table, over(after[first])
