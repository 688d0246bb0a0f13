"""The mixed cell of the NAS-Bench-201 space in other forms: partial channels, norms after nodes, dropped skips."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.nasbench201.cells import CONV1, CONV3, LEAVING, POOL, SKIP, SOURCES, EdgePlan, Nodes
from searchbench.spaces.nasbench201.space import EDGES
from searchbench.spaces.networks import Mixed
from searchbench.spaces.operations import ConvBank, average_pool
from searchbench.spaces.topology import Form


class FormedCell(nn.Module):
    """All operations of all edges on the first C/K channels; the other channels bypass them.

    Raises:
        SpaceError: the channels are not divisible by K.
    """

    def __init__(self, channels: int, form: Form) -> None:
        super().__init__()
        if channels % form.partial:
            raise SpaceError(f"partial channels need channels divisible by {form.partial}, but got {channels}.")
        self.form, self.inner = form, channels // form.partial
        self.conv1 = nn.ModuleList(ConvBank(self.inner, 1, len(LEAVING[node])) for node in SOURCES)
        self.conv3 = nn.ModuleList(ConvBank(self.inner, 3, len(LEAVING[node])) for node in SOURCES)
        norms = SOURCES if form.node_norm else ()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, affine=False) for _ in norms)

    def forward(self, inputs: Tensor, parts: tuple[EdgePlan, ...], mixed: Mixed | None) -> Tensor:
        """[B, C, H, W] -> the same shape. `mixed` None: every executed operation weighs one."""
        keep = kept(mixed, len(EDGES), inputs)
        mixture, bypass = Nodes(inputs[:, : self.inner], keep), Nodes(inputs[:, self.inner :], keep)
        if mixed is not None and mixed.scalars is not None:
            for edge, number in enumerate(mixed.scalars):
                source = EDGES[edge][1]
                mixture.add(source, LEAVING[source].index(edge), number.expand_as(inputs[:, : self.inner]))
        for plan in parts:
            value = inputs if plan.node == 0 else self._read(mixture[plan.node], bypass, plan.node)
            self._operate(mixture, value[:, : self.inner], plan, mixed)
            if self.form.partial > 1:
                for at in sorted({*plan.conv1, *plan.conv3, *plan.linear}):
                    past = value[:, self.inner :]
                    edges = None if mixed is None else mixed.edges
                    bypass.add(plan.node, at, past if edges is None else edges[LEAVING[plan.node][at]] * past)
        if not parts and (mixed is None or mixed.scalars is None):
            return torch.zeros_like(inputs)
        return self._read(mixture.output(), bypass, 3)

    def _read(self, mixed: Tensor, bypass: Nodes, node: int) -> Tensor:
        """The value of a node after its sums."""
        value = mixed if self.form.partial == 1 else shuffled(torch.cat((mixed, bypass[node]), 1), self.form.partial)
        if self.norms:
            value = self.norms[node - 1](value)
        return value

    def _operate(self, nodes: Nodes, value: Tensor, plan: EdgePlan, mixed: Mixed | None) -> None:
        for banks, edges, op in ((self.conv1, plan.conv1, CONV1), (self.conv3, plan.conv3, CONV3)):
            if edges:
                scale = self._scale(plan, edges, op, mixed)
                nodes.add_stacked(plan.node, edges, banks[plan.node](F.relu(value), edges, scale))
        pooled = average_pool(value) if plan.pool else value
        for source, edges, op in ((value, plan.skip, SKIP), (pooled, plan.pool, POOL)):
            for at in edges:
                term = dropped(source, mixed) if op == SKIP and mixed is not None else source
                weight = 1.0 if mixed is None else mixed.weights[LEAVING[plan.node][at]][op]
                if op == SKIP and mixed is not None and mixed.auxiliary:
                    weight = weight + mixed.auxiliary
                nodes.add(plan.node, at, weight * term)

    def _scale(self, plan: EdgePlan, edges: tuple[int, ...], op: int, mixed: Mixed | None) -> Tensor | None:
        if mixed is None:
            return None
        weights = torch.stack([mixed.weights[LEAVING[plan.node][at]][op] for at in edges])
        return weights.repeat_interleave(self.inner)


def shuffled(value: Tensor, groups: int) -> Tensor:
    """Channels [C] seen as [groups, C/groups], transposed: with C = 16 and 4 groups, 0 4 8 12 1 5 9 13 2 …"""
    batch, channels, height, width = value.shape
    split = value.reshape(batch, groups, channels // groups, height, width)
    return split.transpose(1, 2).reshape(batch, channels, height, width)


def dropped(value: Tensor, mixed: Mixed) -> Tensor:
    """Each element dropped with the mixture's probability, the others scaled up."""
    if not mixed.dropout:
        return value
    keep = torch.rand(value.shape, generator=mixed.noise, device="cpu") >= mixed.dropout
    return value * keep.to(value) / (1.0 - mixed.dropout)


def kept(mixed: Mixed | None, edges: int, like: Tensor) -> Tensor | None:
    """What the outputs of a cell's edges are multiplied by, [edges, B, 1, 1, 1]: for each sample 0 with the mixture's
    probability p of dropping the edge, else 1/(1 - p). None where nothing is dropped."""
    if mixed is None or not mixed.drop_path:
        return None
    keep = torch.rand((edges, len(like), 1, 1, 1), generator=mixed.noise, device="cpu") >= mixed.drop_path
    return keep.to(like) / (1.0 - mixed.drop_path)
