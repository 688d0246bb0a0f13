"""Operations of the DARTS space. This file imports torch.

Order of all convolutions: ReLU, convolution without bias, batch norm. Norms are affine in stand-alone networks and not
in supernets, where an affine norm would absorb the weight of its operation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.operations import convolution

ROW_COLUMN = ("conv_3x1_1x3", "conv_7x1_1x7")


class ReluConvNorm(nn.Module):
    """ReLU, convolution (1x1 if not said otherwise), batch norm."""

    def __init__(self, inputs: int, outputs: int, affine: bool, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = convolution(inputs, outputs, kernel, stride)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.norm(self.conv(F.relu(inputs)))  # type: ignore[no-any-return]


class FactorizedReduce(nn.Module):
    """ReLU; two 1x1 convolutions of stride 2, half of the outputs each, the second one pixel further; batch norm."""

    def __init__(self, inputs: int, outputs: int, affine: bool) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs // 2, 1, 2)
        self.second = convolution(inputs, outputs // 2, 1, 2)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, outputs, H/2, W/2]; H and W are even."""
        activated = F.relu(inputs)
        both = torch.cat((self.first(activated), self.second(activated[:, :, 1:, 1:])), 1)
        return self.norm(both)  # type: ignore[no-any-return]


class DepthwisePointwise(nn.Module):
    """ReLU, depthwise convolution, 1x1 convolution, batch norm: once is a dilated, twice a separable convolution."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, stride, padding, dilation=dilation, groups=channels, bias=False
        )
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.activated(F.relu(inputs), None)

    def activated(self, inputs: Tensor, scale: Tensor | None) -> Tensor:
        """What comes behind the ReLU, times a weight."""
        return scaled_norm(self.norm, self.pointwise(self.depthwise(inputs)), scale)


class Separable(nn.Module):
    """Depthwise and pointwise convolution, twice."""

    def __init__(self, channels: int, kernel: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.first = DepthwisePointwise(channels, kernel, stride, 1, affine)
        self.second = DepthwisePointwise(channels, kernel, 1, 1, affine)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.activated(F.relu(inputs), None)

    def activated(self, inputs: Tensor, scale: Tensor | None) -> Tensor:
        """What comes behind the first ReLU, times a weight."""
        return self.second.activated(F.relu(self.first.activated(inputs, None)), scale)


class RowColumn(nn.Module):
    """ReLU, 1xk convolution, kx1 convolution, batch norm; the stride is split between them."""

    def __init__(self, channels: int, kernel: int, stride: int, affine: bool) -> None:
        super().__init__()
        pad = kernel // 2
        self.across = nn.Conv2d(channels, channels, (1, kernel), (1, stride), (0, pad), bias=False)
        self.along = nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (pad, 0), bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.norm(self.along(self.across(F.relu(inputs))))  # type: ignore[no-any-return]


class Pool(nn.Module):
    """Pool, "max" or "avg" (which leaves padding out of the average); in supernets followed by a norm."""

    def __init__(self, kind: str, channels: int, kernel: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.kind, self.kernel, self.stride = kind, kernel, stride
        self.norm = nn.Identity() if affine else nn.BatchNorm2d(channels, affine=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.norm(pooled(self.kind, inputs, self.kernel, self.stride))  # type: ignore[no-any-return]


def pooled(kind: str, inputs: Tensor, kernel: int, stride: int) -> Tensor:
    """Pool without a norm."""
    if kind == "max":
        return F.max_pool2d(inputs, kernel, stride, kernel // 2)
    return F.avg_pool2d(inputs, kernel, stride, kernel // 2, count_include_pad=False)


def scaled_norm(norm: nn.Module, value: Tensor, scale: Tensor | None) -> Tensor:
    """A norm's output times a weight [] at no cost: the weight is the scale of a batch norm that has none."""
    if scale is None:
        return norm(value)  # type: ignore[no-any-return]
    if not isinstance(norm, nn.BatchNorm2d) or norm.affine or norm.momentum is None:
        return scale * norm(value)  # type: ignore[no-any-return]
    spread = scale.expand(norm.num_features).contiguous()
    return F.batch_norm(
        value, norm.running_mean, norm.running_var, spread, None, norm.training, norm.momentum, norm.eps
    )


class Noise(nn.Module):
    """N(0, 1) of the output's shape, whatever comes in: the useless operation of space S4 (Zela et al. 2020).

    Its generator begins with the initial weights, goes on from pass to pass and is part of the module's state.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.generator = torch.Generator()

    def start(self, generator: torch.Generator) -> None:
        """Begin a stream of its own."""
        self.generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))

    def get_extra_state(self) -> Tensor:
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        self.generator.set_state(state)

    def forward(self, inputs: Tensor) -> Tensor:
        batch, channels, height, width = inputs.shape
        shape = batch, channels, -(-height // self.stride), -(-width // self.stride)
        if inputs.is_meta:
            return inputs.new_empty(shape)
        return torch.randn(shape, generator=self.generator).to(inputs)


def operation(name: str, channels: int, stride: int, affine: bool) -> nn.Module:
    """The operation of a name, from `channels` to as many."""
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)
    if name == "noise":
        return Noise(stride)
    kind, kernel = name.partition("_")[0], int(name[-1])
    if kind in ("max", "avg"):
        return Pool(kind, channels, kernel, stride, affine)
    if name in ROW_COLUMN:
        return RowColumn(channels, kernel, stride, affine)
    if kind == "conv":
        return ReluConvNorm(channels, channels, affine, kernel, stride)
    if kind == "dil":
        return DepthwisePointwise(channels, kernel, stride, 2, affine)
    assert kind == "sep", f"no operation is named {name}"
    return Separable(channels, kernel, stride, affine)


def multiply_accumulates(name: str, channels: int, stride: int) -> int:
    """Per pixel of the output, without norms and pools."""
    square, kind = channels * channels, name.partition("_")[0]
    if name == "skip_connect":
        return square if stride == 2 else 0
    if kind not in ("sep", "dil", "conv"):
        return 0
    kernel = int(name[-1])
    if kind == "conv":  # a row is convolved before the stride down the columns
        return kernel * square * (stride + 1) if name in ROW_COLUMN else kernel**2 * square
    once = kernel**2 * channels + square
    return 2 * once if kind == "sep" else once


def dropped_paths(value: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Drop-path: each sample's value is zeroed with a probability, the others are scaled up by 1/(1 - p)."""
    keep = torch.rand((len(value), 1, 1, 1), generator=generator) >= probability
    return value * keep.to(value) / (1.0 - probability)
