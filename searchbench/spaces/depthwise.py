"""Depthwise convolutions of channels-last tensors whose backward pass is as quick on a CPU as their forward pass.

PyTorch 2.13's weight gradient (oneDNN 3.12) takes up to ten times the forward pass where kernels are wider than three
taps, its input gradient up to twice. Here the gradient of a wide kernel is put together from those of narrow ones.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

NARROW = 3
"""Widest kernel whose weight gradient is quick."""
LEAST_WIDTH, LEAST_SIZE = 8, 2**17
"""Narrower images, and fewer numbers, gain nothing."""


def gains(value: Tensor, kernel: Tensor) -> bool:
    """Whether `depthwise` is quicker than what PyTorch does."""
    return kernel.shape[-1] > NARROW and value.shape[-1] >= LEAST_WIDTH and value.numel() >= LEAST_SIZE


def depthwise(value: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """`conv2d` with one filter per channel.

    Args:
        value: [B, C, H, W], channels last.
        kernel: [C, 1, k, k], k odd.
        stride: 1 or 2.
        padding: (k - 1) / 2, so that a stride of 1 keeps the sides.
    """
    return cast(Tensor, _Depthwise.apply(value, kernel, stride, padding))  # type: ignore[no-untyped-call]


class _Depthwise(torch.autograd.Function):
    """The backward pass consists of operations that have one of their own, for second derivatives."""

    @staticmethod
    def forward(value: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
        return F.conv2d(value, kernel, None, stride, padding, groups=len(kernel))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int, int], output: Tensor) -> None:
        value, kernel, ctx.stride, ctx.padding = inputs
        ctx.save_for_backward(value, kernel)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        value, kernel = ctx.saved_tensors
        for_value = for_kernel = None
        slope = slope.contiguous(memory_format=torch.channels_last)
        if ctx.needs_input_grad[0]:
            for_value = _by_value(slope, value, kernel, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            for_kernel = _by_kernel(slope, value, kernel, ctx.stride, ctx.padding)
        return for_value, for_kernel, None, None


def _by_value(slope: Tensor, value: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """The convolution turned round: forward passes are quicker than backward ones."""
    if stride == 1:
        return F.conv2d(slope, kernel.flip(2, 3), None, 1, padding, groups=len(kernel))
    return _gradient(slope, value, kernel, (stride, stride), (padding, padding), (True, False))


def _by_kernel(slope: Tensor, value: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    size, width = kernel.shape[-1], value.shape[-1]
    if stride == 1:
        return _by_columns(slope, value, kernel, padding)
    if size == 5 and stride == 2 and width % 2 == 0:
        return _by_phases(slope, value, kernel, padding)
    return _gradient(slope, value, kernel, (stride, stride), (padding, padding))


def _by_columns(slope: Tensor, value: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """The middle three columns of taps together, every other one by itself with the slopes moved over it."""
    columns = []
    for ahead in (*range(-padding, -1), 0, *range(2, padding + 1)):
        taps = kernel[..., padding + ahead - (ahead == 0) : padding + ahead + 1 + (ahead == 0)]
        # dropped on one side and filled up with zeros on the other
        moved = slope if ahead == 0 else F.pad(slope, (ahead, -ahead))
        columns.append(_gradient(moved, value, taps, (1, 1), (padding, int(ahead == 0))))
    return torch.cat(columns, 3)


def _by_phases(slope: Tensor, value: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Two kernels for one of stride 2: of its five columns of taps, three meet even columns of images, two odd."""
    even = _gradient(slope, value[..., ::2], kernel[..., ::2], (2, 1), (padding, 1))
    odd = _gradient(F.pad(slope, (0, 1)), value[..., 1::2], kernel[..., 1::2], (2, 1), (padding, 1))
    columns = (even[..., :1], odd[..., :1], even[..., 1:2], odd[..., 1:], even[..., 2:])
    return torch.cat(columns, 3)


def _gradient(
    slope: Tensor,
    value: Tensor,
    kernel: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    wanted: tuple[bool, bool] = (False, True),
) -> Tensor:
    """PyTorch's own gradient, of the value or the kernel."""
    rest = ([1, 1], False, [0, 0], len(kernel), [*wanted, False])
    found = torch.ops.aten.convolution_backward(slope, value, kernel, None, stride, padding, *rest)
    return cast(Tensor, found[wanted.index(True)])
