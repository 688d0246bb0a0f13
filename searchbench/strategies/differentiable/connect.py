"""The best-scored choice of operations among those whose cells let something of their input through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchbench.spaces.topology import Topology

Weights = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Swap:
    """What it takes that an edge carries something."""

    loss: float
    """Weight given up."""
    edge: int
    operation: int
    instead_of: int
    """The edge that is left for it; the same one where only its operation changes."""


def connected(chosen: Chosen, weights: Weights, topology: Topology, keep: int | None = None) -> Chosen:
    """The choice of greatest total weight among those in which every cell has a route from an input to an output on
    which all operations carry something; `chosen`, the greatest of all, where it has.

    A cell without is given the route that costs least: on each of its edges the heaviest operation that carries takes
    the place of what stands there, or, where a node keeps `keep` edges and this one is not among them, of the lightest
    kept one. Where no operation of any route carries anything, nothing changes.

    Args:
        chosen: [decisions, options], at most one option per decision.
        weights: [decisions, options].
        keep: edges per node that are kept; None: all.
    """
    chosen = chosen.copy()
    path = [int(row.argmax()) if row.any() else -1 for row in chosen]
    for cell in topology.cells:
        if not topology.carries_in(cell, path):
            for swap in _cheapest_route(cell, chosen, weights, topology, keep):
                chosen[swap.instead_of] = False
                chosen[swap.edge] = False
                chosen[swap.edge, swap.operation] = True
    return chosen


def _cheapest_route(
    cell: str, chosen: Chosen, weights: Weights, topology: Topology, keep: int | None
) -> tuple[Swap, ...]:
    best: dict[int, tuple[float, tuple[Swap, ...]]] = dict.fromkeys(topology.inputs(cell), (0.0, ()))
    for edge in topology.forwards(cell):
        source, target = topology.edges[edge].source, topology.edges[edge].target
        swap = _swap(edge, chosen, weights, topology, keep)
        if swap is None or source not in best:
            continue
        loss, route = best[source]
        if target not in best or loss + swap.loss < best[target][0]:
            best[target] = loss + swap.loss, (*route, swap)
    ends = [best[node] for node in sorted(topology.leaving(cell)) if node in best]
    return min(ends, key=lambda end: end[0])[1] if ends else ()


def _swap(edge: int, chosen: Chosen, weights: Weights, topology: Topology, keep: int | None) -> Swap | None:
    carrying = topology.carrying[edge]
    if not carrying:
        return None
    operation = max(carrying, key=lambda op: (weights[edge, op], -op))
    gained = float(weights[edge, operation])
    if chosen[edge].any() or keep is None:
        return Swap(float((weights[edge] * chosen[edge]).sum()) - gained, edge, operation, edge)
    node = [
        at
        for at in topology.rows(topology.edges[edge].cell)
        if topology.edges[at].target == topology.edges[edge].target
    ]
    kept = [at for at in node if chosen[at].any()]
    if len(kept) < keep:
        return Swap(-gained, edge, operation, edge)
    lightest = min(kept, key=lambda at: float(weights[at][chosen[at]].sum()))
    return Swap(float(weights[lightest][chosen[lightest]].sum()) - gained, edge, operation, lightest)
