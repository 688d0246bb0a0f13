"""Networks of the hierarchical space (Liu et al. 2018). This file imports torch.

Stem 3x3; stages of cells, a separable convolution of stride 2 that doubles the channels between two; ReLU, mean over
the pixels, linear classifier. Every edge of a cell has a motif of its own, with weights of its own.

Differs: values that meet in a node are added, where the paper concatenates them, so that every edge keeps its channels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.graphs.hierarchical import Graph, expanded
from searchbench.spaces.layers.convolutions import scaled
from searchbench.spaces.layers.networks import begin
from searchbench.spaces.networks import Shape, Supernet, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form


class GraphModule(nn.Module):
    """A pruned graph: a node's value is the sum over its edges of what they make of the nodes they come from."""

    def __init__(self, graph: Graph, nodes: int, edge: Callable[[str], nn.Module]) -> None:
        super().__init__()
        self._edges, self._last = sorted(graph, key=lambda pair: (pair[1], pair[0])), nodes - 1
        self.parts = nn.ModuleDict({f"{i}-{j}": edge(graph[i, j]) for i, j in self._edges})

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape; zeros without any edge."""
        values = {0: inputs}
        for i, j in self._edges:
            term = self.parts[f"{i}-{j}"](values[i])
            values[j] = values[j] + term if j in values else term
        return values[self._last] if self._last in values else torch.zeros_like(inputs)


class HierarchicalNetwork(nn.Module):
    """Stem, stages and classifier."""

    def __init__(self, stages: nn.ModuleList, inputs: int, widths: list[int], classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(inputs, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]))
        self.stages = stages
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        value = begin(self.stem, inputs)
        for stage in self.stages:
            value = stage(value)
        return self.classifier(F.relu(value).mean((2, 3)))  # type: ignore[no-any-return]


class HierarchicalNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(
        self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0
    ) -> HierarchicalNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        settings = self.space.settings
        motifs, cell = expanded(architecture)
        first = scaled(settings["channels"], width)
        widths = [first << stage for stage in range(settings["stages"])]

        def motif(name: str, channels: int) -> nn.Module:
            return GraphModule(motifs[name], settings["motif_nodes"], lambda op: operation(op, channels))

        def cell_of(channels: int) -> nn.Module:
            return GraphModule(cell, settings["cell_nodes"], lambda name: motif(name, channels))

        with torch.device("meta"):
            stages = nn.ModuleList()
            for at, channels in enumerate(widths):
                smaller = [_separable(widths[at - 1], channels, 2)] if at else []
                stages.append(nn.Sequential(*smaller, *(cell_of(channels) for _ in range(settings["cells"]))))
            return HierarchicalNetwork(stages, shape[0], widths, classes)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> Supernet:
        """Raises SpaceError: what a motif reads depends on where it stands."""
        raise SpaceError("space `hierarchical` has no supernet: every network of it is trained by itself.")

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample), counted on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)


def operation(name: str, channels: int) -> nn.Module:
    """An operation of level 1, [B, C, H, W] -> the same shape. Convolutions: ReLU, convolution, batch norm."""
    if name == "identity":
        return nn.Identity()
    if name == "max3x3":
        return nn.MaxPool2d(3, 1, 1)
    if name == "avg3x3":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    if name == "separable3x3":
        return _separable(channels, channels, 1)
    size, groups = (1, 1) if name == "conv1x1" else (3, channels)
    conv = nn.Conv2d(channels, channels, size, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(channels))


def _separable(inputs: int, outputs: int, stride: int) -> nn.Module:
    deep = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
    return nn.Sequential(nn.ReLU(), deep, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
