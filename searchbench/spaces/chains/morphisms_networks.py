"""Networks of Auto-Keras's space (Jin et al. 2019 and the released code, version 0.2). This file imports torch.

A layer is ReLU (but for the first), a 3x3 convolution and batch norm; every stage ends in a 2x2 max pool. Then the mean
over the pixels, a dense layer with ReLU and a linear classifier. A skip passes the pools on its way. What is added
passes ReLU, a 1x1 convolution and batch norm; what is concatenated is brought to the layer's width by these, after.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.chains.morphisms import ADD, CONCAT, GrownPlan, plan
from searchbench.spaces.layers.convolutions import conv_norm, scaled
from searchbench.spaces.networks import Shape, Supernet, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form


class GrownLayer(nn.Module):
    """A convolution and what skips bring to its output.

    Args:
        inputs, outputs: channels.
        added, joined: channels of what is added, and of what is concatenated.
        first: whether it reads the image.
    """

    def __init__(self, inputs: int, outputs: int, added: Sequence[int], joined: Sequence[int], first: bool) -> None:
        super().__init__()
        self._first = first
        self.conv = conv_norm(inputs, outputs, 3)
        self.added = nn.ModuleList(conv_norm(width, outputs) for width in added)
        self.joined = conv_norm(outputs + sum(joined), outputs) if joined else None

    def forward(self, inputs: Tensor, added: Sequence[Tensor], joined: Sequence[Tensor]) -> Tensor:
        """[B, C, H, W] of the layer before and of each skip -> [B, outputs, H, W]."""
        value: Tensor = self.conv(inputs if self._first else F.relu(inputs))
        for conv, skip in zip(self.added, added, strict=True):
            value = value + conv(F.relu(skip))
        return value if self.joined is None else self.joined(F.relu(torch.cat([value, *joined], 1)))


class GrownNetwork(nn.Module):
    """Stages of layers with skips between any two."""

    def __init__(self, planned: GrownPlan, widths: Sequence[int], dense: int, inputs: int, classes: int) -> None:
        super().__init__()
        self._added, self._joined = (_sources(planned, kind, len(widths)) for kind in (ADD, CONCAT))
        self._ends = {sum(map(len, planned.sizes[: at + 1])) for at in range(len(planned.sizes))}
        self.layers = nn.ModuleList(
            GrownLayer(before, width, [widths[one - 1] for one in added], [widths[one - 1] for one in joined], first)
            for before, width, added, joined, first in zip(
                (inputs, *widths), widths, self._added, self._joined, (True, *[False] * len(widths)), strict=False
            )
        )
        self.dense = nn.Linear(widths[-1], dense)
        self.classifier = nn.Linear(dense, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        values = [inputs.contiguous(memory_format=torch.channels_last)]
        for at, (layer, added, joined) in enumerate(zip(self.layers, self._added, self._joined, strict=True), start=1):
            value = layer(values[-1], [values[one] for one in added], [values[one] for one in joined])
            values.append(value)
            if at in self._ends:
                values = [values[0], *(F.max_pool2d(kept, 2, 2, ceil_mode=True) for kept in values[1:])]
        return self.classifier(F.relu(self.dense(values[-1].mean((2, 3)))))  # type: ignore[no-any-return]


def _sources(planned: GrownPlan, kind: str, layers: int) -> list[list[int]]:
    """Where the skips of a kind begin, by the layer to which they lead."""
    ends = range(1, layers + 1)
    return [[one for one, other, skip in planned.skips if other == at and skip == kind] for at in ends]


class GrownNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> GrownNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        settings, planned = self.space.settings, plan(architecture)
        widths = [scaled(settings["channels"] << (size - 1), width) for stage in planned.sizes for size in stage]
        with torch.device("meta"):
            return GrownNetwork(planned, widths, scaled(settings["dense"], width), shape[0], classes)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> Supernet:
        """Raises SpaceError: every network is trained by itself, as in the paper."""
        raise SpaceError("space `auto-keras` has no supernet: every network of it is trained by itself.")

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample), counted on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)
