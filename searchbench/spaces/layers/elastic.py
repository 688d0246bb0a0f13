"""Inverted residuals of several kernels and expansions whose weights are cut from one. This file imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.layers.convolutions import Activation, leading_norm
from searchbench.spaces.networks import Mixed, Supernet

Cut = tuple[int, int]
"""Kernel and expansion of a block."""


class KernelTransform(nn.Module):
    """Makes a smaller kernel of the middle of a larger one: all its pixels, by a matrix that channels share.

    Args:
        kernel: side of the smaller one.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.matrix = nn.Parameter(torch.empty(kernel**2, kernel**2))

    def start(self, generator: torch.Generator) -> None:
        """Begin as the identity: a smaller kernel is the middle of the larger one."""
        with torch.no_grad():
            nn.init.eye_(self.matrix)

    def forward(self, larger: Tensor) -> Tensor:
        """[channels, 1, K, K] -> [channels, 1, kernel, kernel]."""
        middle = cropped(larger, self.kernel)
        return F.linear(middle.flatten(1), self.matrix).view_as(middle)


class ElasticInverted(nn.Module):
    """The branches of inverted residuals of several kernels and expansions, cut from the weights of the largest.

    A narrower block uses the leading channels of the middle, batch norms included. A smaller kernel is the middle of
    the next larger one, through a matrix of its own where there are `transforms`.

    Args:
        inputs, outputs: channels.
        stride: of the depthwise convolution.
        cuts: kernel and expansion of every option.
        activation: after the first two convolutions.
        affine, eps: of batch norms.
        transforms: whether smaller kernels are transformed.

    Source: Cai et al. 2020, "Once-for-all", section 3.2 (with transforms); Stamoulis et al. 2019, "Single-Path NAS",
        section 3 (without).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        cuts: tuple[Cut, ...],
        activation: Activation,
        *,
        affine: bool,
        eps: float,
        transforms: bool,
    ) -> None:
        super().__init__()
        self.cuts, self.inputs, self.stride = cuts, inputs, stride
        self.kernels = sorted({kernel for kernel, _ in cuts})
        self.widths = [inputs * expansion for expansion in sorted({expansion for _, expansion in cuts})]
        middle, kernel = self.widths[-1], self.kernels[-1]
        self.expand = nn.Conv2d(inputs, middle, 1, bias=False)
        self.expand_norm = nn.BatchNorm2d(middle, eps, affine=affine)
        self.depthwise = nn.Conv2d(middle, middle, kernel, stride, kernel // 2, groups=middle, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(middle, eps, affine=affine)
        self.project = nn.Conv2d(middle, outputs, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(outputs, eps, affine=affine)
        self.activation = activation()
        smaller = self.kernels[:-1] if transforms else []
        self.transforms = nn.ModuleDict({str(kernel): KernelTransform(kernel) for kernel in smaller})

    def kernel(self, side: int, channels: int) -> Tensor:
        """The depthwise kernel of a side for the leading channels, [channels, 1, side, side]."""
        weight = self.depthwise.weight[:channels]
        for smaller in reversed([kernel for kernel in self.kernels if side <= kernel < self.kernels[-1]]):
            transform = self.transforms[str(smaller)] if self.transforms else None
            weight = cropped(weight, smaller) if transform is None else transform(weight)
        return weight

    def forward(self, inputs: Tensor, option: int) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'] through one option."""
        side, expansion = self.cuts[option]
        middle = self.inputs * expansion
        return self._through(inputs, middle, self.kernel(side, middle))

    def _through(self, inputs: Tensor, middle: int, kernel: Tensor, kept: Tensor | None = None) -> Tensor:
        """`kept` [middle, 1, 1]: channels that go on; None: all."""
        value = F.conv2d(inputs, self.expand.weight[:middle])
        value = self.activation(leading_norm(self.expand_norm, value))
        value = F.conv2d(value, kernel, None, self.stride, kernel.shape[-1] // 2, 1, middle)
        value = self.activation(leading_norm(self.depthwise_norm, value))
        if kept is not None:
            value = value * kept
        return leading_norm(self.project_norm, F.conv2d(value, self.project.weight[:, :middle]))

    def superposed(self, inputs: Tensor, chosen: Sequence[int], weights: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'] with the weighted sum of the options' kernels, in one convolution, times the
        sum of their weights; `weights` [options]. What is missing from 1 goes to the largest kernel.

        Weights of 0 and 1 give the option of weight 1 where batch norms are not affine, and nothing where none has it.
        """
        total = torch.stack([weights[at] for at in chosen]).sum()
        masks = torch.stack([self._mask(at) for at in chosen])
        mask = torch.einsum("o,ocij->cij", torch.stack([weights[at] for at in chosen]), masks) + (1 - total)
        kernel = self.depthwise.weight * mask.unsqueeze(1)
        kept = (mask.detach().flatten(1).abs().sum(1) > 0).to(kernel)[:, None, None]
        return total * self._through(inputs, self.widths[-1], kernel, kept)

    def _mask(self, option: int) -> Tensor:
        """Where the largest kernel is an option's own, [channels, side, side] of ones and zeros."""
        side, expansion = self.cuts[option]
        whole = self.kernels[-1]
        edge = (whole - side) // 2
        mask = torch.zeros((self.widths[-1], whole, whole), device=self.depthwise.weight.device)
        mask[: self.inputs * expansion, edge : whole - edge, edge : whole - edge] = 1.0
        return mask

    def sort(self, bands: int) -> None:
        """Order the middle's channels by the sum of what reads them, |W_project|, the largest first. What the widest
        block computes stays as it is.

        Args:
            bands: widths, counted from the widest, whose own channels stay beyond those of the next narrower one; 0
                orders them all together.
        """
        edges = [0, *self.widths[len(self.widths) - 1 - bands :]]
        importance = self.project.weight.detach().abs().sum((0, 2, 3))
        order = torch.cat(
            [left + importance[left:right].argsort(descending=True, stable=True) for left, right in pairwise(edges)]
        )
        rows = [self.expand.weight, self.depthwise.weight]
        for norm in (self.expand_norm, self.depthwise_norm):
            rows += [t for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var) if t is not None]
        with torch.no_grad():
            for tensor in rows:
                tensor.copy_(tensor[order])
            self.project.weight.copy_(self.project.weight[:, order])

    # -- thresholds against the norms of weights -----------------------------------------------------------------

    @property
    def thresholds(self) -> int:
        """One for every kernel but the smallest, and one for every expansion."""
        return len(self.kernels) - 1 + len(self.widths)

    def gates(self, thresholds: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(gates of the rings around the smallest kernel, gates of the bands of channels), each 0 or 1 going forward:
        whether a ring's or a band's norm reaches its threshold; the gradient is that of the sigmoid of the difference.

        Args:
            thresholds: [`thresholds`], of the rings and then of the bands.
        """
        weight, whole = self.depthwise.weight, self.kernels[-1]
        rings, inner = [], cropped(weight, self.kernels[0])
        masked = F.pad(inner, [(whole - self.kernels[0]) // 2] * 4)
        for at, (smaller, larger) in enumerate(pairwise(self.kernels)):
            outer = cropped(weight, larger)
            ring = F.pad(outer, [(whole - larger) // 2] * 4) - F.pad(
                cropped(weight, smaller), [(whole - smaller) // 2] * 4
            )
            rings.append(_reaches(ring.norm(), thresholds[at]))
            masked = masked + rings[-1] * ring
        bands = [
            _reaches(masked[left:right].norm(), thresholds[len(rings) + at])
            for at, (left, right) in enumerate(pairwise([0, *self.widths]))
        ]
        return rings, bands

    def gated(self, thresholds: Tensor, skippable: bool) -> Tensor:
        """Weights [options, and nothing where `skippable`] that thresholds decide: products of nested gates."""
        rings, bands = self.gates(thresholds)
        whole = torch.ones_like(thresholds[0])
        sides = dict(zip(self.kernels, _nested([whole, *rings]), strict=True))
        reached = _nested([bands[0] if skippable else whole, *bands[1:]])
        widths = dict(zip(self.widths, reached, strict=True))
        weights = [sides[kernel] * widths[self.inputs * expansion] for kernel, expansion in self.cuts]
        return torch.stack([*weights, 1 - bands[0]] if skippable else weights)


def gated(supernet: Supernet, thresholds: Sequence[Tensor]) -> Mixed:
    """The mixture that the thresholds of every layer decide."""
    rows = []
    for layer, own, options in zip(elastic(supernet), thresholds, supernet.options, strict=True):
        rows.append(layer.gated(own, skippable=options > len(layer.cuts)))
    return Mixed(rows)


def elastic(supernet: Supernet) -> list[ElasticInverted]:
    """The layers of a supernet whose options are cut from one weight."""
    return [part for part in cast(nn.Module, supernet).modules() if isinstance(part, ElasticInverted)]


def cropped(kernels: Tensor, side: int) -> Tensor:
    """[..., K, K] -> [..., side, side], the middle."""
    edge = (kernels.shape[-1] - side) // 2
    return kernels[..., edge : edge + side, edge : edge + side]


def _nested(gates: Sequence[Tensor]) -> list[Tensor]:
    """The products of gates up to each, and not further: each needs all before it."""
    reached = torch.stack(list(gates)).cumprod(0)
    return [*(reached[:-1] - reached[1:]).unbind(0), reached[-1]]


def _reaches(norm: Tensor, threshold: Tensor) -> Tensor:
    """1 or 0 going forward, the sigmoid's gradient going back."""
    difference = norm - threshold
    soft = difference.sigmoid()
    return (difference >= 0).to(soft) + (soft - soft.detach())
