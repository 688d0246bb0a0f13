"""The operations that cells are made of, in the forms that are quick to run. This file imports torch.

Everything here works on channels-last tensors, which one thread convolves and pools up to twice as fast as planar ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution with a stride: every so many-th pixel is taken first, then convolved with stride 1.

    The same mathematics, without a fault of PyTorch's CPU backend (2.13, its AVX2 path, and maybe others): the backward
    pass of a 1x1 convolution with stride 2 writes out of bounds on channels-last input of fewer than 8 channels and an
    even side, see docs/known_faults.md.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, ceil(H/stride), ceil(W/stride)]."""
        return F.conv2d(subsampled(inputs, *self.stride), self.weight, self.bias, groups=self.groups)


def subsampled(value: Tensor, down: int, across: int) -> Tensor:
    """Every `down`-th row and every `across`-th column of [B, C, H, W], from the first."""
    return value[:, :, ::down, ::across]


def convolution(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    bias: bool = False,
) -> nn.Conv2d:
    """A convolution whose side is divided by the stride, upwards; kernels are odd."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    strides = (stride, stride) if isinstance(stride, int) else stride
    kind = PointwiseConv if sides == (1, 1) and strides != (1, 1) else nn.Conv2d
    return kind(inputs, outputs, sides, strides, (sides[0] // 2, sides[1] // 2), groups=groups, bias=bias)


class ConvNorm(nn.Module):
    """Convolution without bias, then affine batch norm. A stride of 2 halves the side, upwards."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = convolution(inputs, outputs, kernel, stride)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H', W']."""
        return self.norm(self.conv(inputs))  # type: ignore[no-any-return]


class Reduction(nn.Module):
    """Residual block of stride 2: two ReLU-conv3x3-BN beside average pool 2x2 and a 1x1 convolution without norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride=2)
        self.second = ConvNorm(outputs, outputs, 3)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, ceil(H/2), ceil(W/2)]."""
        residual = self.second(F.relu(self.first(F.relu(inputs))))
        # ceil_mode: an odd side must come out as the strided convolution has it
        pooled = F.avg_pool2d(inputs, 2, 2, ceil_mode=True, count_include_pad=False)
        return residual + self.shortcut(pooled)  # type: ignore[no-any-return]


class ConvBank(nn.Module):
    """The convolutions of one kernel size that read the same node of a supernet's cell, one per edge that leaves it.

    Those that are asked for run as one convolution and one batch norm over their stacked channels, which is the same
    mathematics as one by one. The weight of an operation in a mixture is the batch norm's scale: w * BN(x) at no cost.

    Differs: each convolution has a bias (it counts as a parameter, as in the benchmark's supernet), but it is not
        added: the batch norm behind it subtracts it again.
    """

    def __init__(self, channels: int, kernel: int, edges: int) -> None:
        super().__init__()
        self.channels = channels
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, kernel, padding=kernel // 2) for _ in range(edges))
        self.norm = nn.BatchNorm2d(edges * channels, affine=False)

    def forward(self, activated: Tensor, chosen: Sequence[int], scale: Tensor | None) -> Tensor:
        """Outputs of the `chosen` edges, stacked along the channels.

        Args:
            activated: [B, C, H, W], the node's value after its ReLU.
            chosen: positions of edges, ascending.
            scale: [len(chosen) * C], the weight of each output channel; None means one.

        Returns:
            [B, len(chosen) * C, H, W].
        """
        kernels = [cast(Tensor, self.convs[edge].weight) for edge in chosen]
        kernel = kernels[0] if len(kernels) == 1 else torch.cat(kernels)
        stacked = F.conv2d(activated, kernel, padding=kernel.shape[-1] // 2)
        return self._normalised(stacked, chosen, scale)

    def _normalised(self, stacked: Tensor, chosen: Sequence[int], scale: Tensor | None) -> Tensor:
        means, variances = self.norm.running_mean, self.norm.running_var
        assert means is not None
        assert variances is not None
        at = self._stacked_channels(chosen)
        mean, variance = means[at], variances[at]
        output = F.batch_norm(stacked, mean, variance, scale, None, self.training, self._momentum(), self.norm.eps)
        if self.training and not isinstance(at, slice):  # a slice is a view, updated in place; indices made a copy
            means[at], variances[at] = mean, variance
        return output

    def _stacked_channels(self, chosen: Sequence[int]) -> slice | Tensor:
        c = self.channels
        if chosen[-1] - chosen[0] + 1 == len(chosen):
            return slice(chosen[0] * c, (chosen[-1] + 1) * c)
        return torch.tensor([edge * c + channel for edge in chosen for channel in range(c)])

    def _momentum(self) -> float:
        """The newest batch's weight; momentum None is a plain average over batches, of one path at a time."""
        if not self.training:
            return 0.0
        tracked = self.norm.num_batches_tracked
        assert tracked is not None
        tracked.add_(1)
        return self.norm.momentum if self.norm.momentum is not None else 1.0 / float(tracked)


def average_pool(inputs: Tensor) -> Tensor:
    """Average pool 3x3 of stride 1 that leaves the padding out of the average; no norm."""
    return F.avg_pool2d(inputs, 3, 1, 1, count_include_pad=False)


def weighted_sums(sources: Sequence[Tensor], coefficients: Tensor) -> list[Tensor]:
    """Several weighted sums of the same tensors, as one matrix product.

    Args:
        sources: n tensors [B, C, H, W], channels last.
        coefficients: [sums, n].

    Returns:
        One tensor [B, C, H, W], channels last, per row of `coefficients`.
    """
    batch, channels, height, width = sources[0].shape
    flat = torch.stack([source.permute(0, 2, 3, 1).reshape(-1) for source in sources])
    sums = (coefficients @ flat).view(len(coefficients), batch, height, width, channels)
    return [row.permute(0, 3, 1, 2) for row in sums.unbind(0)]
