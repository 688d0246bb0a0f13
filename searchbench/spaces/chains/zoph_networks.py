"""Networks of the layer-by-layer space (Zoph & Le 2017, sections 3.3 and 4.1). This file imports torch.

Convolution, batch norm, ReLU per layer. A layer that reads nothing reads the image; several inputs are concatenated,
smaller ones padded with zeros to the largest; layers that nothing reads are concatenated before the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.chains.zoph import LayerPlan, plans, unread
from searchbench.spaces.layers.convolutions import scaled
from searchbench.spaces.networks import Shape, Supernet, count
from searchbench.spaces.operations import convolution
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form


class ConvolutionsNetwork(nn.Module):
    """Convolutions that read each other, mean over the pixels, linear classifier.

    Args:
        layers: in order.
        ends: layers that the classifier reads.
        inputs: channels of the image.
        classes: to tell apart.
        width: multiplies the filters.
    """

    def __init__(
        self, layers: Sequence[LayerPlan], ends: Sequence[int], inputs: int, classes: int, width: float
    ) -> None:
        super().__init__()
        filters = [scaled(layer.filters, width) for layer in layers]
        self._inputs, self._ends = [layer.inputs for layer in layers], tuple(ends)
        self.layers = nn.ModuleList()
        for layer, outputs in zip(layers, filters, strict=True):
            read = sum(filters[source] for source in layer.inputs) or inputs
            conv = convolution(read, outputs, (layer.height, layer.width), layer.strides)
            self.layers.append(nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU()))
        self.classifier = nn.Linear(sum(filters[end] for end in ends), classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        image, values = inputs.contiguous(memory_format=torch.channels_last), []  # type: Tensor, list[Tensor]
        for layer, sources in zip(self.layers, self._inputs, strict=True):
            values.append(layer(joined([values[source] for source in sources]) if sources else image))
        return self.classifier(joined([values[end] for end in self._ends]).mean((2, 3)))  # type: ignore[no-any-return]


class ChainOfConvolutions:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(
        self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0
    ) -> ConvolutionsNetwork:
        """The network on the meta device; `width` multiplies its filters."""
        with torch.device("meta"):
            return ConvolutionsNetwork(list(plans(architecture)), unread(architecture), shape[0], classes, width)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> Supernet:
        """Raises SpaceError: what a layer reads depends on all others."""
        raise SpaceError("space `chain` has no supernet: every network of it is trained by itself.")

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample), counted on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)


def joined(values: Sequence[Tensor]) -> Tensor:
    """[B, C_i, H_i, W_i] concatenated along the channels, zeros below and to the right of smaller ones."""
    height, width = max(v.shape[2] for v in values), max(v.shape[3] for v in values)
    padded = [F.pad(v, (0, width - v.shape[3], 0, height - v.shape[2])) for v in values]
    return padded[0] if len(padded) == 1 else torch.cat(padded, 1)
