"""Networks of the NAS-Bench-101 space (Ying et al. 2019 and the released code). This file imports torch."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.graphs.nasbench101 import CellGraph, cell_of
from searchbench.spaces.layers.convolutions import conv_norm, scaled
from searchbench.spaces.layers.networks import begin
from searchbench.spaces.networks import Shape, Supernet, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

# batch norm as released: epsilon 1e-5
conv_norm_relu = partial(conv_norm, activation=nn.ReLU)
KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}


class CellModule(nn.Module):
    """One cell. The vertices that feed the output share its channels; any other vertex has as many as the widest it
    feeds, and a wider value is cut to the channels of its reader. The cell's input is projected for every reader."""

    def __init__(self, cell: CellGraph, inputs: int, outputs: int) -> None:
        super().__init__()
        self.cell, self.channels = cell, vertex_channels(cell, inputs, outputs)
        last = cell.vertices - 1
        self.projections = nn.ModuleDict(
            {str(v): conv_norm_relu(inputs, self.channels[v]) for u, v in sorted(cell.edges) if u == 0}
        )
        self.operations = nn.ModuleList(_operation(cell.operations[v - 1], self.channels[v]) for v in range(1, last))

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        last, values = self.cell.vertices - 1, [inputs]
        for vertex, operation in enumerate(self.operations, start=1):
            before = [u for u in range(1, vertex) if (u, vertex) in self.cell.edges]
            terms = [values[u][:, : self.channels[vertex]] for u in before]
            values.append(operation(self._with_input(terms, vertex, inputs)))
        found = [values[u] for u in range(1, last) if (u, last) in self.cell.edges]
        return self._with_input([torch.cat(found, 1)] if found else [], last, inputs)

    def _with_input(self, terms: list[Tensor], vertex: int, inputs: Tensor) -> Tensor:
        if str(vertex) in self.projections:
            terms = [*terms, self.projections[str(vertex)](inputs)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class Disconnected(nn.Module):
    """A cell without a way from input to output: zeros. Its network can only learn the classifier's biases."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        return inputs.new_zeros((len(inputs), self.outputs, *inputs.shape[2:]))


class CellNetwork(nn.Module):
    """Stem, stacks of modules with a 2x2 max pool between two, mean over the pixels, linear classifier."""

    def __init__(self, cell: CellGraph | None, widths: list[int], modules: int, inputs: int, classes: int) -> None:
        super().__init__()
        self.stem = conv_norm_relu(inputs, widths[0], 3)
        self.stacks = nn.ModuleList()
        read = widths[0]
        for outputs in widths:
            stack = nn.Sequential()
            for _ in range(modules):
                stack.append(Disconnected(outputs) if cell is None else CellModule(cell, read, outputs))
                read = outputs
            self.stacks.append(stack)
        self.classifier = nn.Linear(read, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        value = begin(self.stem, inputs)
        for at, stack in enumerate(self.stacks):
            value = stack(value if at == 0 else F.max_pool2d(value, 2, 2, ceil_mode=True))
        return self.classifier(value.mean((2, 3)))  # type: ignore[no-any-return]


class CellNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> CellNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        settings = self.space.settings
        channels = scaled(settings["channels"], width)
        widths = [channels << stack for stack in range(settings["stacks"])]
        with torch.device("meta"):
            return CellNetwork(cell_of(architecture).pruned(), widths, settings["modules"], shape[0], classes)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> Supernet:
        """Raises SpaceError: a vertex's channels depend on the whole cell, so cells do not share weights."""
        raise SpaceError("space `nasbench101` has no supernet: a vertex's channels depend on the whole cell.")

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample), counted on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)


def vertex_channels(cell: CellGraph, inputs: int, outputs: int) -> list[int]:
    """Channels of every vertex. The output's are split evenly over the vertices that feed it (of a remainder, one more
    for the first ones); going backwards, every other vertex has as many as the widest it feeds."""
    last = cell.vertices - 1
    feeding = [v for v in range(1, last) if (v, last) in cell.edges]
    channels = [0] * cell.vertices
    channels[0], channels[last] = inputs, outputs
    for at, vertex in enumerate(feeding):
        channels[vertex] = outputs // len(feeding) + (at < outputs % len(feeding))
    for vertex in reversed([v for v in range(1, last) if v not in feeding]):
        channels[vertex] = max(channels[v] for u, v in cell.edges if u == vertex)
    return channels


def _operation(name: str, channels: int) -> nn.Module:
    if name not in KERNELS:
        return nn.MaxPool2d(3, 1, 1)
    return conv_norm_relu(channels, channels, KERNELS[name])
