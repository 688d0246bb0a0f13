"""The operations that cells of blocks choose from, each [B, C, H, W] -> [B, C, ceil(H/s), ceil(W/s)]. Imports torch.

ReLU, convolution, batch norm, in this order; separable ones twice, with nothing between depthwise and pointwise
(Zoph et al. 2018, appendix A).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.operations import convolution

CONVOLUTIONS = {"conv1": 1, "conv3": 3}
FACTORISED = {"conv1x3-3x1": 3, "conv1x7-7x1": 7}
SEPARABLE = {"sep3": 3, "sep5": 5, "sep7": 7}
POOLS = {"avg3": 3, "max3": 3, "max5": 5, "max7": 7}


class Halve(nn.Module):
    """ReLU, 2x2 average pool, 1x1 convolution, batch norm. An odd side is halved upwards.

    Differs: the papers' factorised reduction concatenates two 1x1 convolutions of stride 2, one shifted by a pixel.
    """

    def __init__(self, inputs: int, outputs: int, affine: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, ceil(H/2), ceil(W/2)]."""
        pooled = F.avg_pool2d(F.relu(inputs), 2, 2, ceil_mode=True, count_include_pad=False)
        return self.norm(self.conv(pooled))  # type: ignore[no-any-return]


def fit(inputs: int, outputs: int, affine: bool, halve: bool) -> nn.Module:
    """Brings a cell's input to the cell's channels and, where it is larger, to its sides."""
    if halve:
        return Halve(inputs, outputs, affine)
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs, affine=affine))


def operation(name: str, channels: int, stride: int, affine: bool) -> nn.Module:
    """The operation of that name, with `channels` in and out."""
    if name == "identity":
        return nn.Identity() if stride == 1 else Halve(channels, channels, affine)
    if name in POOLS:
        size = POOLS[name]
        if name.startswith("avg"):
            return nn.AvgPool2d(size, stride, size // 2, count_include_pad=False)
        return nn.MaxPool2d(size, stride, size // 2)
    return nn.Sequential(*_convolutions(name, channels, stride, affine))


def _convolutions(name: str, channels: int, stride: int, affine: bool) -> list[nn.Module]:
    if name in SEPARABLE:
        size = SEPARABLE[name]
        return [
            *_separable(channels, size, stride, affine),
            *_separable(channels, size, 1, affine),
        ]
    if name == "dil3":
        return _separable(channels, 3, stride, affine, dilation=2)
    if name in FACTORISED:
        size = FACTORISED[name]
        first = nn.Conv2d(channels, channels, (1, size), (1, stride), (0, size // 2), bias=False)
        second = nn.Conv2d(channels, channels, (size, 1), (stride, 1), (size // 2, 0), bias=False)
        norms = (nn.BatchNorm2d(channels, affine=affine) for _ in range(2))
        return [nn.ReLU(), first, next(norms), nn.ReLU(), second, next(norms)]
    size = CONVOLUTIONS[name]
    conv = convolution(channels, channels, size, stride)
    return [nn.ReLU(), conv, nn.BatchNorm2d(channels, affine=affine)]


def _separable(channels: int, size: int, stride: int, affine: bool, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (size // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, size, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]
