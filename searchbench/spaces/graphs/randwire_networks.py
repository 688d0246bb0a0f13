"""Randomly wired networks as modules (Xie et al. 2019, sections 3.2 and 3.4). This file imports torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.graphs.generators import Dag
from searchbench.spaces.graphs.randwire import graphs
from searchbench.spaces.layers.convolutions import conv_norm, scaled
from searchbench.spaces.networks import DropEdge, Shape, Supernet
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

LAST = 1280
"""Channels of the 1x1 convolution before the classifier."""


class EdgeWeights(nn.Module):
    """Weights in (0, 1) of the edges into one node, a sigmoid of what is learnt; 1/2 at first."""

    def __init__(self, edges: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(edges))

    def start(self, generator: torch.Generator) -> None:
        """All 1/2; see `networks.Starting`."""
        nn.init.zeros_(self.logits)

    def forward(self, inputs: list[Tensor], without: int | None = None) -> Tensor:
        """The weighted sum of tensors [B, C, H, W], one of which may be left out."""
        weighted = list(zip(inputs, torch.sigmoid(self.logits), strict=True))
        if without is not None:
            del weighted[without]
        (first, weight), *others = weighted
        total: Tensor = first * weight
        for value, weight in others:
            total = torch.addcmul(total, value, weight)
        return total


class Node(nn.Module):
    """ReLU, the node's operation, batch norm. Where several edges enter, their weighted sum first."""

    def __init__(self, edges: int, inputs: int, outputs: int, stride: int, operation: str) -> None:
        super().__init__()
        self.aggregate = EdgeWeights(edges) if edges > 1 else None
        self.transform = nn.Sequential(*_operation(operation, inputs, outputs, stride), nn.BatchNorm2d(outputs))

    def forward(self, inputs: list[Tensor], without: int | None = None) -> Tensor:
        """The values of the nodes that edges come from, one of which may be left out -> [B, outputs, H', W']."""
        value = inputs[0] if self.aggregate is None else self.aggregate(inputs, without)
        return self.transform(F.relu(value))  # type: ignore[no-any-return]


class WiredStage(nn.Module):
    """A graph's nodes: sources read the stage's input with stride 2, the mean of the sinks is the output."""

    def __init__(self, dag: Dag, inputs: int, outputs: int, operation: str) -> None:
        super().__init__()
        self.sinks = dag.sinks
        self.predecessors = [dag.predecessors(node) for node in range(dag.nodes)]
        self.nodes = nn.ModuleList(
            Node(len(before), outputs if before else inputs, outputs, 1 if before else 2, operation)
            for before in self.predecessors
        )

    @property
    def removable(self) -> list[tuple[int, int]]:
        """(node, number among those that enter it) of every edge into a node that several enter."""
        several = ((at, before) for at, before in enumerate(self.predecessors) if len(before) > 1)
        return [(at, edge) for at, before in several for edge in range(len(before))]

    def forward(self, inputs: Tensor, removed: tuple[int, int] | None = None) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, ceil(H/2), ceil(W/2)], without an edge of `removable`, if one is given."""
        values: list[Tensor] = []
        for at, (node, before) in enumerate(zip(self.nodes, self.predecessors, strict=True)):
            without = removed[1] if removed is not None and removed[0] == at else None
            values.append(node([values[u] for u in before] if before else [inputs], without))
        total = values[self.sinks[0]]
        for sink in self.sinks[1:]:
            total = total + values[sink]
        return total / len(self.sinks)


class RandWireNetwork(nn.Module):
    """Plain convolutions, wired stages, 1x1 convolution, mean over the pixels, linear classifier.

    The first convolution has C/2 channels, a second one C. Every convolution is behind a ReLU, except the first.
    """

    def __init__(self, plan: WiringPlan, dags: tuple[Dag, ...], classes: int) -> None:
        super().__init__()
        self.drop_edge = DropEdge()
        self.stem = nn.Sequential()
        for at, (inputs, outputs) in enumerate(plan.plain):
            if at:
                self.stem.append(nn.ReLU())
            self.stem.append(conv_norm(inputs, outputs, 3, plan.stem_stride))
        pairs = zip(dags, plan.wired, strict=True)
        self.stages = nn.ModuleList(WiredStage(dag, *widths, plan.operation) for dag, widths in pairs)
        self.last = conv_norm(plan.wired[-1][1], LAST)
        self.classifier = nn.Linear(LAST, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        value = self.stem(inputs.contiguous(memory_format=torch.channels_last))
        value = value.contiguous(memory_format=torch.channels_last)
        removed = self._removed()
        for at, stage in enumerate(self.stages):
            value = stage(value, removed.get(at))
        return self.classifier(F.relu(self.last(F.relu(value))).mean((2, 3)))  # type: ignore[no-any-return]

    def _removed(self) -> dict[int, tuple[int, int]]:
        """The edges, by stage: the edge that is left out of this pass, if one is."""
        if not self.training or not self.drop_edge.probability:
            return {}
        edges = [(at, edge) for at, stage in enumerate(self.stages) for edge in cast(WiredStage, stage).removable]
        drawn = self.drop_edge.drawn(len(edges))
        return {} if drawn is None else dict([edges[drawn]])


class WiringPlan:
    """Channels of every part of a network, and its sizes in closed form."""

    def __init__(self, space: Space, shape: Shape, width: float) -> None:
        settings = space.settings
        channels = scaled(settings["channels"], width, 2) if width != 1 else settings["channels"]
        self.shape, self.stem_stride, self.operation = shape, settings["stem_stride"], settings["operation"]
        widths = [shape[0], channels // 2, channels][: settings["convolutions"] + 1]
        self.plain = list(itertools.pairwise(widths))
        stages = [channels * multiple for _, multiple in settings["wired"]]
        self.wired = list(zip([widths[-1], *stages], stages, strict=False))

    def areas(self) -> Iterator[int]:
        """Pixels after every plain convolution and every stage."""
        _, height, width = self.shape
        for stride in [self.stem_stride] * len(self.plain) + [2] * len(self.wired):
            height, width = -(-height // stride), -(-width // stride)
            yield height * width

    def size(self, dags: tuple[Dag, ...], classes: int) -> tuple[int, int]:
        """(parameters, MACs of one sample); the weighted sums count as parameters, not as MACs."""
        areas = list(self.areas())
        params, macs = (LAST + 1) * classes + LAST * (self.wired[-1][1] + 2), LAST * classes
        macs += LAST * self.wired[-1][1] * areas[-1]
        for (inputs, outputs), area in zip(self.plain, areas, strict=False):
            params += 9 * inputs * outputs + 2 * outputs
            macs += 9 * inputs * outputs * area
        for dag, (inputs, outputs), area in zip(dags, self.wired, areas[len(self.plain) :], strict=True):
            for node in range(dag.nodes):
                before = len(dag.predecessors(node))
                weights = _weights(self.operation, outputs if before else inputs, outputs)
                params += weights + 2 * outputs + (before if before > 1 else 0)
                macs += weights * area
        return params, macs

    def edge_macs(self, dags: tuple[Dag, ...]) -> int:
        """Multiply-accumulates of the weighted sums."""
        total = 0
        for dag, (_, outputs), area in zip(dags, self.wired, list(self.areas())[len(self.plain) :], strict=True):
            entering = [len(dag.predecessors(node)) for node in range(dag.nodes)]
            total += sum(edges for edges in entering if edges > 1) * outputs * area
        return total


class RandWireNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> RandWireNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        with torch.device("meta"):
            return RandWireNetwork(WiringPlan(self.space, shape, width), graphs(architecture), classes)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> Supernet:
        """Raises SpaceError: graphs share no positions, so their networks share no weights."""
        raise SpaceError(f"space `{self.space.name}` has no supernet: its networks share no weights.")

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample's convolutions and classifier), in closed form."""
        return WiringPlan(self.space, shape, width).size(graphs(architecture), classes)

    def edge_macs(self, architecture: Architecture, shape: Shape, width: float = 1.0) -> int:
        """Multiply-accumulates of the weighted sums at the nodes, which published figures include."""
        return WiringPlan(self.space, shape, width).edge_macs(graphs(architecture))


def _operation(kind: str, inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    if kind == "conv":
        return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)]
    spread: nn.Module = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
    if kind == "max-pool":
        spread = nn.MaxPool2d(3, stride, 1)
    elif kind == "average-pool":
        spread = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    return [spread, nn.Conv2d(inputs, outputs, 1, bias=False)]


def _weights(kind: str, inputs: int, outputs: int) -> int:
    return {"conv": 9 * inputs * outputs, "separable": 9 * inputs + inputs * outputs}.get(kind, inputs * outputs)
