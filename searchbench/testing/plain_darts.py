"""The supernet of the DARTS space written out, operation by operation: what the quick form must agree with.

Every edge runs every operation by itself and multiplies its output by its weight, as Liu et al. 2019 wrote it.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.darts.space import EDGES, TARGETS
from searchbench.spaces.darts.supernet import DartsSupernet, MixedCell, MixedEdge
from searchbench.spaces.nasbench201.forms import kept, shuffled
from searchbench.spaces.networks import Active, Mixed


def plain_logits(net: DartsSupernet, inputs: Tensor, active: Active) -> Tensor:
    """[B, C, H, W] -> logits [B, classes]. Knows no dropped skips, whose noise has an order of its own."""
    mixed = active if isinstance(active, Mixed) else None
    chosen = net._chosen(active)
    before, last = net.stem(inputs)
    for number, cell in enumerate(cast(list[MixedCell], list(net.cells))):
        states = [cell.first(before), cell.second(last)]
        keep = kept(mixed, len(EDGES), states[0])
        for target in TARGETS:
            terms = [
                _edge(number, at, states[source], len(EDGES) * cell.reduction + at, chosen, net, mixed)
                * (1.0 if keep is None else keep[at])
                for at, (node, source) in enumerate(EDGES)
                if node == target
            ]
            value = cast(Tensor, sum(terms))
            states.append(cell.norms[target - 2](value) if cell.norms else value)
        before, last = last, torch.cat(states[2:], 1)
    return net.classifier(last.mean((2, 3)))  # type: ignore[no-any-return]


def _edge(
    number: int,
    at: int,
    value: Tensor,
    decision: int,
    chosen: object,
    net: DartsSupernet,
    mixed: Mixed | None,
) -> Tensor:
    cell = cast(MixedCell, net.cells[number])
    edge, stride, inner = cast(MixedEdge, cell.edges[at]), cell.stride(at), cell.inner
    total = torch.zeros_like(value[:, :inner, ::stride, ::stride])
    for op in cast(tuple[tuple[int, ...], ...], chosen)[decision]:
        name = net.operations[op] if op >= 0 else "none"
        if name != "none":
            term = edge.operations[name](value[:, :inner])
            total = total + (term if mixed is None else mixed.weights[decision][op] * term)
    if cell.partial > 1:
        past = value[:, inner:] if stride == 1 else F.max_pool2d(value[:, inner:], 2, 2)
        past = past if mixed is None or mixed.edges is None else mixed.edges[decision] * past
        total = shuffled(torch.cat((total, past), 1), cell.partial)
    if mixed is not None and mixed.auxiliary:
        skips = cast(nn.ModuleDict, net.skips[number])
        total = total + mixed.auxiliary * (skips[str(at)](value) if str(at) in skips else value)
    return total
