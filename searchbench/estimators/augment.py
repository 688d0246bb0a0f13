"""Augmentations of a minibatch, on its device, drawn from one generator.

Random numbers are drawn on the CPU, so the same seed gives the same augmentation on every device. Inputs are already
normalised: zero is the mean of a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from searchbench.errors import StudyError, did_you_mean

Augmentation = Callable[[Tensor, Generator], Tensor]


def crop(inputs: Tensor, generator: Generator) -> Tensor:
    """Pad every side by an eighth of it with zeros and cut the original size out, at a place per sample.

    `inputs` [B, C, H, W]. For 32 x 32 this is the usual padding by 4 (He et al. 2016, section 4.2).
    """
    count, channels, height, width = inputs.shape
    pad_h, pad_w = max(1, height // 8), max(1, width // 8)
    padded = F.pad(inputs, (pad_w, pad_w, pad_h, pad_h))
    top = _draw(2 * pad_h + 1, count, generator, inputs.device)
    left = _draw(2 * pad_w + 1, count, generator, inputs.device)
    rows = (top[:, None] + torch.arange(height, device=inputs.device))[:, None, :, None]
    columns = (left[:, None] + torch.arange(width, device=inputs.device))[:, None, None, :]
    samples = torch.arange(count, device=inputs.device)[:, None, None, None]
    planes = torch.arange(channels, device=inputs.device)[None, :, None, None]
    return padded[samples, planes, rows, columns]


def flip(inputs: Tensor, generator: Generator) -> Tensor:
    """Mirror left and right with probability one half, per sample. `inputs` [B, C, H, W]."""
    mirrored = _draw(2, len(inputs), generator, inputs.device).bool()
    return torch.where(mirrored[:, None, None, None], inputs.flip(-1), inputs)


def cutout(inputs: Tensor, generator: Generator) -> Tensor:
    """Set a square of half the side to zero, centred on a uniform pixel and clipped at the border, per sample.

    `inputs` [B, C, H, W] (DeVries & Taylor 2017; 16 of 32 on CIFAR-10, as in DARTS).
    """
    count, _, height, width = inputs.shape
    keep = _outside(height, count, generator, inputs.device)[:, None, :, None]
    keep = keep | _outside(width, count, generator, inputs.device)[:, None, None, :]
    return inputs * keep


def sometimes(change: Augmentation, probability: float) -> Augmentation:
    """The augmentation on a share of the samples, drawn one by one; the others stay as they are."""

    def changed(inputs: Tensor, generator: Generator) -> Tensor:
        chosen = (torch.rand(len(inputs), generator=generator) < probability).to(inputs.device)
        return torch.where(chosen[:, None, None, None], change(inputs, generator), inputs)

    return changed


def _outside(side: int, count: int, generator: Generator, device: torch.device) -> Tensor:
    """[count, side]: which positions of one axis lie outside an interval of half its length."""
    start = _draw(side, count, generator, device)[:, None] - side // 4
    positions = torch.arange(side, device=device)
    return (positions < start) | (positions >= start + side // 2)


def _draw(high: int, count: int, generator: Generator, device: torch.device) -> Tensor:
    return torch.randint(high, (count,), generator=generator).to(device)


BY_NAME: Mapping[str, Augmentation] = MappingProxyType({"crop": crop, "flip": flip, "cutout": cutout})


def augmentations(names: tuple[str, ...]) -> tuple[Augmentation, ...]:
    """The augmentations of these names, in order. Raises StudyError on an unknown one."""
    for name in names:
        if name not in BY_NAME:
            raise StudyError(f"unknown augmentation `{name}`; {did_you_mean(name, BY_NAME)}")
    return tuple(BY_NAME[name] for name in names)
