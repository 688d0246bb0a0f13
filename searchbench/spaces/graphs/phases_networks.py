"""Networks of NSGA-Net's macro space (Lu et al. 2019 and the released code). This file imports torch.

A node is a 3x3 convolution, batch norm and ReLU of the sum of what it reads; a phase's output is a batch norm and ReLU
of the sum of its ends. Then the mean over the pixels, and a linear classifier.
"""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.graphs.phases import PhaseGraph, bits, graph_of
from searchbench.spaces.layers.convolutions import conv_norm, scaled
from searchbench.spaces.layers.networks import begin
from searchbench.spaces.networks import Shape, Supernet, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form


class PhaseModule(nn.Module):
    """The nodes of a phase, all of the same channels."""

    def __init__(self, graph: PhaseGraph, channels: int) -> None:
        super().__init__()
        self.graph = graph
        self.nodes = nn.ModuleDict(
            {str(node): conv_norm(channels, channels, 3, activation=nn.ReLU) for node, _ in graph.reads}
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        values = {0: inputs}
        for node, sources in self.graph.reads:
            values[node] = self.nodes[str(node)](reduce(torch.add, [values[at] for at in sources]))
        return F.relu(self.norm(reduce(torch.add, [values[end] for end in self.graph.ends])))


class PhasesNetwork(nn.Module):
    """A stem, phases with a 2x2 max pool between two, a classifier."""

    def __init__(self, graphs: list[PhaseGraph], channels: int, inputs: int, classes: int) -> None:
        super().__init__()
        self.stem = conv_norm(inputs, channels, 3, activation=nn.ReLU)
        self.phases = nn.ModuleList(PhaseModule(graph, channels) if graph.reads else nn.Identity() for graph in graphs)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        value = begin(self.stem, inputs)
        for at, phase in enumerate(self.phases):
            value = phase(value if at == 0 else F.max_pool2d(value, 2, 2, ceil_mode=True))
        return self.classifier(value.mean((2, 3)))  # type: ignore[no-any-return]


class PhaseNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> PhasesNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        settings = self.space.settings
        graphs = [graph_of(own, settings["nodes"]) for own in bits(architecture)]
        with torch.device("meta"):
            return PhasesNetwork(graphs, scaled(settings["channels"], width), shape[0], classes)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> Supernet:
        """Raises SpaceError: every network is trained by itself, as in the paper."""
        raise SpaceError("space `nsga-net` has no supernet: every network of it is trained by itself.")

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample), counted on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)
