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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
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
from searchbench.spaces.depthwise import depthwise, gains
from searchbench.spaces.operations import subsampled, weighted_sums

DENSE_EXTENT = 128
"""Channels times side up to which a CPU convolves a state faster with the product of a depthwise and a pointwise kernel
than with both. A GPU does for several edges at once, whatever the extent: it has no quick depthwise convolution of
stacked channels."""


@dataclass(slots=True, eq=False)
class Statistics:
    """What batch norms have seen in one pass, to be written into their running statistics at once."""

    seen: list[tuple[Sequence[nn.BatchNorm2d], Tensor, Tensor]] = field(default_factory=list)

    def note(self, norms: Sequence[nn.BatchNorm2d], mean: Tensor, variance: Tensor) -> None:
        """Stacked statistics [sum of channels] of norms, or [channels], which they share."""
        self.seen.append((norms, mean, variance))

    def write(self) -> None:
        """Move every running statistic towards what was seen."""
        for momentum, rows in self._by_momentum().items():
            norms, means, variances = zip(*rows, strict=True)
            torch._foreach_lerp_([norm.running_mean for norm in norms], list(means), momentum)
            torch._foreach_lerp_([norm.running_var for norm in norms], list(variances), momentum)

    def _by_momentum(self) -> dict[float, list[tuple[nn.BatchNorm2d, Tensor, Tensor]]]:
        """Norms, means and variances. Momentum None is a plain average over batches, as in batch norms themselves."""
        found: dict[float, list[tuple[nn.BatchNorm2d, Tensor, Tensor]]] = {}
        for norms, *stacked in self.seen:
            parts = [values.view(-1, norms[0].num_features).unbind(0) for values in stacked]
            means, variances = (part * (len(norms) // len(part)) for part in parts)
            rows = zip(norms, means, variances, strict=True)
            if norms[0].momentum is not None:
                found.setdefault(norms[0].momentum, []).extend(rows)
                continue
            for row in rows:
                tracked = cast(Tensor, row[0].num_batches_tracked).add_(1)
                found.setdefault(1.0 / float(tracked), []).append(row)
        return found


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


def split(value: Tensor, channels: int) -> tuple[Tensor, ...]:
    """Parts of so many channels each."""
    if value.shape[1] == channels:
        return (value,)
    return value.split(channels, 1)  # type: ignore[no-untyped-call,no-any-return]


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
    def small(self) -> bool:
        """Whether calls take longer than what they compute."""
        return self.inner.shape[1] * max(self.inner.shape[2:]) <= DENSE_EXTENT and not self.inner.is_cuda

    @property
    def activated(self) -> Tensor:
        return self._once("relu", lambda: F.relu(self.inner))

    def activated_for(self, conv: nn.Conv2d, times: int) -> Tensor:
        """What so many depthwise convolutions read, stacked."""
        every, apart, *_ = layout(conv, self.inner, depthwise=True)
        return self._once(f"relu {times} {every} {apart}", lambda: repeated(self._spread(every, apart), times))

    def _spread(self, every: int, apart: int) -> Tensor:
        return self._once(f"relu {every} {apart}", lambda: _apart(_every(self.activated, every), apart))

    def pooled(self, kind: str, kernel: int, stride: int) -> Tensor:
        return self._once(f"{kind} {kernel}", lambda: pooled(kind, self.inner, kernel, stride))

    def _once(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


def channels_last(value: Tensor) -> Tensor:
    """This tensor with channels last; as it is on a GPU, where a copy costs more than the format gains."""
    return value if value.is_cuda else value.contiguous(memory_format=torch.channels_last)


class Run:
    """Operations of one kind on several of the edges that leave a state: all edges of one, then those of the next."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = modules
        self.parts: tuple[Sequence[nn.Module], ...]
        """Modules that are done one after the other; each has a norm of its own."""
        if isinstance(modules[0], Separable):
            self.parts = tuple([getattr(module, name) for module in modules] for name in ("first", "second"))
        else:
            self.parts = (modules,)
        self.norms = [[cast(nn.BatchNorm2d, part.norm) for part in parts] for parts in self.parts]


def convolved(run: Run, scale: Tensor | None, state: State, seen: Statistics) -> tuple[Tensor, int]:
    """Outputs of separable, dilated or reducing convolutions, stacked in the order of the run's modules.

    Args:
        scale: [modules] weights in the mixture; None means one each.

    Returns:
        The outputs, and how far apart the pixels are that stand beside each other: `together` puts them right. What
        norms and sums of several runs do is the same in either order.
    """
    if isinstance(run.parts[0][0], FactorizedReduce):
        value = _reduced(cast(Sequence[FactorizedReduce], run.parts[0]), state.activated)
        return normalised(value, run.norms[0], scale, seen), 1
    first, *more = cast(Sequence[Sequence[DepthwisePointwise]], run.parts)
    value, apart = _of_state(first, state)
    for norms, parts in zip(run.norms, more, strict=False):
        value = F.relu(normalised(value, norms, None, seen), inplace=True)
        value = _of_own(parts, value)
    return normalised(value, run.norms[-1], scale, seen), apart


def is_convolution(module: nn.Module) -> bool:
    """Whether `convolved` runs it."""
    return isinstance(module, Separable | DepthwisePointwise | FactorizedReduce)


def _of_state(parts: Sequence[DepthwisePointwise], state: State) -> tuple[Tensor, int]:
    """Depthwise and pointwise convolutions of one state, stacked; how far apart its neighbouring pixels are."""
    conv, kernel, pointwise = _kernels(parts, state.inner)
    n, width = len(parts), conv.out_channels
    if n > 1 if state.inner.is_cuda else state.small:
        taps = kernel.view(n, 1, width, *kernel.shape[2:])
        dense = (pointwise.view(n, width, width, 1, 1) * taps).flatten(0, 1)
        return convolved_with(dense, conv, state.activated, 1), 1
    _, apart, stride, dilation = layout(conv, state.inner, depthwise=True)
    value = _plainly(kernel, state.activated_for(conv, n), stride, dilation, n * width)
    return F.conv2d(value, pointwise, groups=n), apart


def _of_own(parts: Sequence[DepthwisePointwise], value: Tensor) -> Tensor:
    """Depthwise and pointwise convolutions, each of its own part of the channels."""
    conv, kernel, pointwise = _kernels(parts, value)
    n, width = len(parts), conv.out_channels
    if n > 1 and value.is_cuda:
        taps = kernel.view(n, 1, width, *kernel.shape[2:])
        return convolved_with((pointwise.view(n, width, width, 1, 1) * taps).flatten(0, 1), conv, value, n)
    return F.conv2d(convolved_with(kernel, conv, value, n * width), pointwise, groups=n)


def _kernels(parts: Sequence[DepthwisePointwise], like: Tensor) -> tuple[nn.Conv2d, Tensor, Tensor]:
    """The largest depthwise convolution, all their kernels in one size, and the pointwise ones."""
    convs = [part.depthwise for part in parts]
    conv = max(convs, key=lambda conv: conv.kernel_size)
    kernels = _of_one_size([conv.weight for conv in convs], _useful(conv, like))
    return conv, kernels, _stacked([part.pointwise.weight for part in parts])


def convolved_with(kernel: Tensor, conv: nn.Conv2d, value: Tensor, groups: int) -> Tensor:
    """A square convolution with another kernel, in the form whose backward pass is quick, see `layout`."""
    every, apart, stride, dilation = layout(conv, value, depthwise=groups == value.shape[1])
    return together(_plainly(kernel, _apart(_every(value, every), apart), stride, dilation, groups), apart)


def layout(conv: nn.Conv2d, value: Tensor, depthwise: bool) -> tuple[int, int, int, int]:
    """How a convolution is done on a CPU: of every so many-th pixel, of pixels so far apart, with which stride and
    dilation.

    - where stride and dilation are equal, what is read are pixels that far apart, without either;
    - a dilated depthwise convolution is a plain one of all pixels that far apart, from each of the first ones.
    """
    stride, dilation = conv.stride[0], conv.dilation[0]
    if value.is_cuda:
        return 1, 1, stride, dilation
    if stride == dilation:
        return stride, 1, 1, 1
    apart = dilation if depthwise and not any(side % dilation for side in value.shape[2:]) else 1
    return 1, apart, stride, dilation // apart


def _plainly(kernel: Tensor, value: Tensor, stride: int, dilation: int, groups: int) -> Tensor:
    padding = dilation * (kernel.shape[-1] // 2)
    if groups == len(kernel) and dilation == 1 and gains(value, kernel):
        return depthwise(value, kernel, stride, padding)
    return F.conv2d(value, kernel, None, stride, padding, dilation, groups)


def _every(value: Tensor, step: int) -> Tensor:
    return value if step == 1 else channels_last(subsampled(value, step, step))


def _apart(value: Tensor, step: int) -> Tensor:
    """[B, C, H, W] -> every `step`-th row and column from each of the first ones, [step^2 B, C, H / step, W / step]."""
    if step == 1:
        return value
    batch, channels, height, width = value.shape
    rows = value.permute(0, 2, 3, 1).reshape(batch, height // step, step, width // step, step, channels)
    return rows.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)


def together(value: Tensor, step: int) -> Tensor:
    """Undo `_apart`."""
    if step == 1:
        return value
    channels, height, width = value.shape[1:]
    rows = value.permute(0, 2, 3, 1).reshape(step, step, -1, height, width, channels)
    joined = rows.permute(2, 3, 0, 4, 1, 5).reshape(-1, step * height, step * width, channels)
    return joined.permute(0, 3, 1, 2)


def _useful(conv: nn.Conv2d, value: Tensor) -> int:
    """Size of a kernel without the taps so far out that they meet padding only."""
    size, dilation = conv.kernel_size[0], conv.dilation[0]
    if value.is_cuda or conv.stride[0] > 1:
        return size
    return min(size, 1 + 2 * ((max(value.shape[2:]) - 1) // dilation))


def _of_one_size(kernels: Sequence[Tensor], size: int) -> Tensor:
    """Stacked kernels, filled up with zeros or cut around their middles to one size."""
    found = []
    for own, alike in groupby(kernels, key=lambda kernel: kernel.shape[-1]):
        stack = _stacked(list(alike))
        found.append(stack if own == size else F.pad(stack, ((size - own) // 2,) * 4))
    return _stacked(found)


def _stacked(kernels: Sequence[Tensor]) -> Tensor:
    return kernels[0] if len(kernels) == 1 else torch.cat(list(kernels))


def _reduced(parts: Sequence[FactorizedReduce], activated: Tensor) -> Tensor:
    """Both halves of the outputs of factorized reductions, before the norm."""
    # pixels are taken before, see `PointwiseConv`
    first = F.conv2d(subsampled(activated, 2, 2), _stacked([part.first.weight for part in parts]))
    second = F.conv2d(subsampled(activated[:, :, 1:, 1:], 2, 2), _stacked([part.second.weight for part in parts]))
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
