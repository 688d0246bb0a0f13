"""What leaves one state of a DARTS cell, run together: few calls over stacked channels instead of one per operation.

The same mathematics as operation by operation (`searchbench.testing.plain_darts` is that form):

- convolutions of one kind read one state with one call; their batch norms are one over the stacked channels;
- the weight of an operation in a mixture is the scale of its batch norm, which has none of its own;
- depthwise and pointwise convolutions, between which nothing stands, are multiplied into one dense one if small;
- dilated convolutions are done without dilation, and taps that meet padding only are left out;
- a state has one ReLU and one pool of each kind, and a pool's batch norm is the same for all its edges.

On a CPU everything works on channels-last tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.darts.operations import (
    DepthwisePointwise,
    FactorizedReduce,
    Pool,
    Separable,
    pooled,
    scaled_norm,
)
from searchbench.spaces.operations import subsampled, weighted_sums

DENSE_EXTENT = 128
"""Channels times side up to which a CPU convolves a state faster with the product of a depthwise and a pointwise kernel
than with both. A GPU does for several edges at once, whatever the extent: it has no quick depthwise convolution of
stacked channels."""


@dataclass(slots=True, eq=False)
class Statistics:
    """What batch norms have seen in one pass, to be written into their running statistics at once."""

    norms: list[nn.BatchNorm2d] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)
    variances: list[Tensor] = field(default_factory=list)

    def note(self, norms: Sequence[nn.BatchNorm2d], mean: Tensor, variance: Tensor) -> None:
        """Stacked statistics [sum of channels] of norms, or [channels], which they share."""
        width = norms[0].num_features
        parts = len(mean) // width
        self.norms += norms
        self.means += mean.split(width) * (len(norms) // parts)  # type: ignore[no-untyped-call]
        self.variances += variance.split(width) * (len(norms) // parts)  # type: ignore[no-untyped-call]

    def write(self) -> None:
        """Move every running statistic towards what was seen."""
        with torch.no_grad():
            for momentum, rows in self._by_momentum().items():
                for kept, seen in (("running_mean", self.means), ("running_var", self.variances)):
                    running = [getattr(self.norms[row], kept) for row in rows]
                    torch._foreach_lerp_(running, [seen[row] for row in rows], momentum)

    def _by_momentum(self) -> dict[float, list[int]]:
        """Momentum None is a plain average over batches, as in batch norms themselves."""
        rows: dict[float, list[int]] = {}
        for row, norm in enumerate(self.norms):
            momentum = norm.momentum
            if momentum is None:
                tracked = cast(Tensor, norm.num_batches_tracked).add_(1)
                momentum = 1.0 / float(tracked)
            rows.setdefault(momentum, []).append(row)
        return rows


def normalised(value: Tensor, norms: Sequence[nn.BatchNorm2d], scale: Tensor | None, seen: Statistics) -> Tensor:
    """Batch norms over stacked channels [B, len(norms) * C, H, W], times a weight per norm [len(norms)]."""
    width, first = norms[0].num_features, norms[0]
    # contiguous: of one norm this is a view of stride 0, which PyTorch's backward on a CPU reads out of bounds
    spread = None if scale is None else scale.unsqueeze(1).expand(-1, width).reshape(-1).contiguous()
    if not first.training:
        mean = torch.cat([cast(Tensor, norm.running_mean) for norm in norms])
        variance = torch.cat([cast(Tensor, norm.running_var) for norm in norms])
        return F.batch_norm(value, mean, variance, spread, None, False, 0.0, first.eps)
    return _by_batch(value, norms, spread, seen)


def _by_batch(value: Tensor, norms: Sequence[nn.BatchNorm2d], spread: Tensor | None, seen: Statistics) -> Tensor:
    mean = torch.zeros(value.shape[1], dtype=cast(Tensor, norms[0].running_mean).dtype, device=value.device)
    variance = torch.zeros_like(mean)  # both become this batch's own with momentum 1
    output = F.batch_norm(value, mean, variance, spread, None, True, 1.0, norms[0].eps)
    seen.note(norms, mean, variance)
    return output


def repeated(value: Tensor, times: int) -> Tensor:
    """[B, C, H, W] -> [B, times * C, H, W], channels last."""
    if times == 1:
        return value
    batch, channels, height, width = value.shape
    rows = value.permute(0, 2, 3, 1).unsqueeze(3).expand(-1, -1, -1, times, -1)
    return rows.reshape(batch, height, width, times * channels).permute(0, 3, 1, 2)


class State:
    """A state of a cell with what several operations make of it alike; `inner` channels pass through operations."""

    def __init__(self, value: Tensor, inner: int) -> None:
        self.value = value
        self.inner = value if inner == value.shape[1] else channels_last(value[:, :inner])
        self._made: dict[str, Tensor] = {}

    @property
    def activated(self) -> Tensor:
        return self._once("relu", lambda: F.relu(self.inner))

    def activated_times(self, times: int) -> Tensor:
        return self._once(f"relu {times}", lambda: repeated(self.activated, times))

    def pooled(self, kind: str, kernel: int, stride: int) -> Tensor:
        return self._once(f"{kind} {kernel}", lambda: pooled(kind, self.inner, kernel, stride))

    def _once(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


def channels_last(value: Tensor) -> Tensor:
    """This tensor with channels last; as it is on a GPU, where a copy costs more than the format gains."""
    return value if value.is_cuda else value.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One operation on several of the edges that leave a state."""

    modules: Sequence[nn.Module]
    scale: Tensor | None
    """[edges] weights in the mixture; None means one each."""


def convolved(run: Run, state: State, seen: Statistics) -> Tensor:
    """Outputs of separable, dilated or reducing convolutions, stacked in the order of the run's edges."""
    first = run.modules[0]
    if isinstance(first, Separable):
        separable = cast(Sequence[Separable], run.modules)
        begun = [module.first for module in separable]
        value = _once(begun, state, None)
        value = F.relu(normalised(value, [_norm(part) for part in begun], None, seen), inplace=True)
        ended = [module.second for module in separable]
        return normalised(_once(ended, None, value), [_norm(part) for part in ended], run.scale, seen)
    if isinstance(first, DepthwisePointwise):
        parts = cast(Sequence[DepthwisePointwise], run.modules)
        return normalised(_once(parts, state, None), [_norm(part) for part in parts], run.scale, seen)
    reduces = cast(Sequence[FactorizedReduce], run.modules)
    value = _reduced(reduces, state.activated)
    return normalised(value, [_norm(part) for part in reduces], run.scale, seen)


def is_convolution(module: nn.Module) -> bool:
    """Whether `convolved` runs it."""
    return isinstance(module, Separable | DepthwisePointwise | FactorizedReduce)


def _norm(part: nn.Module) -> nn.BatchNorm2d:
    return cast(nn.BatchNorm2d, part.norm)


def _once(parts: Sequence[DepthwisePointwise], state: State | None, own: Tensor | None) -> Tensor:
    """Depthwise and pointwise convolutions, stacked: of one state, or each of its `own` part of the channels."""
    conv, n = parts[0].depthwise, len(parts)
    width = conv.out_channels
    depthwise = _stacked(part.depthwise.weight for part in parts)
    pointwise = _stacked(part.pointwise.weight for part in parts)
    like = cast(Tensor, own if state is None else state.inner)
    small = state is not None and width * max(like.shape[2:]) <= DENSE_EXTENT
    if n > 1 if like.is_cuda else small:
        taps = depthwise.view(n, 1, width, *conv.kernel_size)
        dense = (pointwise.view(n, width, width, 1, 1) * taps).flatten(0, 1)
        value, groups = (state.activated, 1) if state is not None else (like, n)
        return convolved_with(dense, conv, value, groups)
    value = like if state is None else state.activated_times(n)
    return F.conv2d(convolved_with(depthwise, conv, value, n * width), pointwise, groups=n)


def convolved_with(kernel: Tensor, conv: nn.Conv2d, value: Tensor, groups: int) -> Tensor:
    """A square convolution with another kernel. On a CPU in the form whose backward pass is quick:

    - where stride and dilation are equal, what is read are pixels that far apart, without either;
    - a dilated depthwise convolution is a plain one of all pixels that far apart, from each of the first ones;
    - taps so far out that they meet padding only are left out.
    """
    stride, padding, dilation = conv.stride[0], int(conv.padding[0]), conv.dilation[0]
    if value.is_cuda:
        return F.conv2d(value, kernel, None, stride, padding, dilation, groups)
    if stride == dilation > 1:
        value = channels_last(subsampled(value, stride, stride))
        stride, padding, dilation = 1, padding // dilation, 1
    apart = dilation if groups == value.shape[1] and not any(side % dilation for side in value.shape[2:]) else 1
    value = _apart(value, apart)
    padding, dilation = padding // apart, dilation // apart
    spare = kernel.shape[-1] // 2 - (max(value.shape[2:]) - 1) // dilation
    if spare > 0 and stride == 1:
        kernel, padding = kernel[:, :, spare:-spare, spare:-spare], padding - spare * dilation
    return _together(F.conv2d(value, kernel, None, stride, padding, dilation, groups), apart)


def _apart(value: Tensor, step: int) -> Tensor:
    """[B, C, H, W] -> every `step`-th row and column from each of the first ones, [step^2 B, C, H / step, W / step]."""
    if step == 1:
        return value
    batch, channels, height, width = value.shape
    rows = value.permute(0, 2, 3, 1).reshape(batch, height // step, step, width // step, step, channels)
    return rows.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)


def _together(value: Tensor, step: int) -> Tensor:
    """Undo `_apart`."""
    if step == 1:
        return value
    channels, height, width = value.shape[1:]
    rows = value.permute(0, 2, 3, 1).reshape(step, step, -1, height, width, channels)
    joined = rows.permute(2, 3, 0, 4, 1, 5).reshape(-1, step * height, step * width, channels)
    return joined.permute(0, 3, 1, 2)


def _stacked(kernels: Iterable[Tensor]) -> Tensor:
    listed = list(kernels)
    return listed[0] if len(listed) == 1 else torch.cat(listed)


def _reduced(parts: Sequence[FactorizedReduce], activated: Tensor) -> Tensor:
    """Both halves of the outputs of factorized reductions, before the norm."""
    # pixels are taken before, see `PointwiseConv`
    first = F.conv2d(subsampled(activated, 2, 2), _stacked(part.first.weight for part in parts))
    second = F.conv2d(subsampled(activated[:, :, 1:, 1:], 2, 2), _stacked(part.second.weight for part in parts))
    if len(parts) == 1:
        return torch.cat((first, second), 1)
    half = first.shape[1] // len(parts)
    pairs = zip(first.split(half, 1), second.split(half, 1), strict=True)  # type: ignore[no-untyped-call]
    return torch.cat([side for pair in pairs for side in pair], 1)


def normalised_pools(pools: Sequence[Pool], state: State, seen: Statistics) -> Sequence[Tensor]:
    """Per edge, the normalised pool without its weight: in training one tensor for all edges."""
    value = state.pooled(pools[0].kind, pools[0].kernel, pools[0].stride)
    if not pools[0].training:
        return [scaled_norm(pool.norm, value, None) for pool in pools]
    norms = [cast(nn.BatchNorm2d, pool.norm) for pool in pools]
    return [_by_batch(value, norms, None, seen)] * len(pools)


def linear(sources: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
    """Per edge, sum_i weights[edge, i] sources[i]."""
    return weighted_sums([channels_last(source) for source in sources], weights)
