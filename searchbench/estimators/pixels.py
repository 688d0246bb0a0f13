"""Images that stay bytes until a minibatch of them is wanted, and are normalised on their device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from searchbench.tasks.task import READ, Samples, normalised

ON_CARD_BYTES = 2 << 30
"""Most that is copied to a card at once and for good; what is more, or not decoded yet, follows by minibatches."""


class Pixels:
    """Samples, as minibatches of floats on a device.

    Args:
        samples: where their bytes lie.
        device: where minibatches are made. On a card the bytes themselves are kept, where they are not too many.
    """

    def __init__(self, samples: Samples, device: torch.device) -> None:
        self._samples, self._device = samples, device
        self._levels = torch.from_numpy(samples.levels).to(device)
        there = device.type != "cpu" and samples.held and np.prod(samples.shape) <= ON_CARD_BYTES
        self._kept = self._whole() if there else None

    def read(self, order: Tensor, batch_size: int) -> Iterator[Tensor]:
        """Images [B, C, H, W] by an order of sample numbers on the CPU, in minibatches."""
        if self._kept is not None:
            for chosen in torch.split(order.to(self._device), batch_size):
                yield self._normalised(self._kept[chosen])
            return
        for block in self._samples.blocks(part.numpy() for part in torch.split(order, batch_size)):
            yield self._arrived(block)

    def _arrived(self, block: np.ndarray) -> Tensor:
        """Floats on the device, of bytes on the host. A card is sent the bytes, a quarter as much."""
        if self._device.type == "cpu":
            return torch.from_numpy(normalised(block, self._samples.levels))
        return self._normalised(torch.from_numpy(block).pin_memory().to(self._device, non_blocking=True))

    def _normalised(self, block: Tensor) -> Tensor:
        planes = [level.take(block[:, channel].long()) for channel, level in enumerate(self._levels)]
        return torch.stack(planes, 1)

    def _whole(self) -> Tensor:
        kept = torch.empty(self._samples.shape, dtype=torch.uint8, device=self._device)
        parts = torch.split(torch.arange(len(kept)), READ)
        for part, block in zip(parts, self._samples.blocks(p.numpy() for p in parts), strict=True):
            kept[part[0] : part[-1] + 1] = torch.from_numpy(block).to(self._device)
        return kept
