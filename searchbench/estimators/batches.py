"""A split on a device, and its minibatches in an order that a seed alone decides."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from searchbench.errors import StudyError
from searchbench.estimators.augment import augmentations
from searchbench.estimators.metrics import ErrorRate
from searchbench.estimators.pixels import Pixels
from searchbench.seeds import derive
from searchbench.tasks.task import Batch, ImageSplit, StoredSplit, Tokens

Share = tuple[float, float]
WHOLE: Share = (0.0, 1.0)


class Batches:
    """A split on a device, or read to it from what is kept as bytes, a minibatch at a time.

    A *share* (low, high) is the fixed part of the split between two fractions of its length, so disjoint shares never
    have a sample in common, whatever the epoch. A split comes in random order, so any share is a fair sample of it.

    Args:
        split: samples on the host.
        device: where minibatches are made.
        resolution: multiplier of the image side, applied before any augmentation (bilinear, antialiased).
    """

    metric = ErrorRate()

    def __init__(self, split: ImageSplit, device: torch.device | str = "cpu", resolution: float = 1.0) -> None:
        to = torch.device(device)
        self.inputs: torch.Tensor | Pixels = (
            Pixels(split.samples, to)
            if isinstance(split, StoredSplit)
            else resized(torch.from_numpy(split.inputs).to(to), resolution)
        )
        self._resolution = resolution
        self.targets = torch.from_numpy(split.targets).to(device)

    def __len__(self) -> int:
        return len(self.targets)

    def count(self, batch_size: int, share: Share = WHOLE) -> int:
        """Samples that `epoch` yields. Raises StudyError as it does."""
        low, high = self._bounds(share)
        return high - low - _dropped(high - low, batch_size)

    def sizes(self, batch_size: int, seed: int, share: Share = WHOLE) -> list[int]:
        """Samples of each minibatch that `epoch` yields."""
        full, rest = divmod(self.count(batch_size, share), batch_size)
        return [batch_size] * full + ([rest] if rest else [])

    def epoch(self, batch_size: int, seed: int, share: Share = WHOLE, augment: tuple[str, ...] = ()) -> Iterator[Batch]:
        """One pass over a share, shuffled and augmented by `seed` alone.

        A remainder of a single sample is left out: batch norm cannot normalise one value per channel.

        Raises:
            StudyError: the share is no part of [0, 1] or holds fewer than two samples, or an augmentation is unknown.
        """
        low, high = self._bounds(share)
        changes = augmentations(augment)
        noise = torch.Generator().manual_seed(derive(seed, "augmentation"))
        order = torch.randperm(high - low, generator=torch.Generator().manual_seed(derive(seed, "order")))
        order = order[: self.count(batch_size, share)] + low
        for stored, targets in self._read(order, batch_size):
            inputs = stored
            for change in changes:
                inputs = change(inputs, noise)
            yield Batch(inputs, targets)

    def measured(self, share: float = 1.0) -> int:
        """Samples that `in_order` yields, at least one."""
        return max(1, round(share * len(self)))

    def in_order(self, batch_size: int, share: float = 1.0) -> Iterator[Batch]:
        """Every sample of the first share once, as stored and not augmented: for measuring."""
        # read by their numbers and so copied: a network that begins with an operation in place must not change the data
        for inputs, targets in self._read(torch.arange(self.measured(share)), batch_size):
            yield Batch(inputs, targets)

    def _read(self, order: torch.Tensor, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Images and targets by an order of sample numbers on the CPU, in minibatches."""
        there = torch.split(order.to(self.targets.device), batch_size)
        if isinstance(self.inputs, Pixels):
            read = (resized(inputs, self._resolution) for inputs in self.inputs.read(order, batch_size))
        else:
            read = (self.inputs[chosen] for chosen in there)
        return ((inputs, self.targets[chosen]) for inputs, chosen in zip(read, there, strict=True))

    def _bounds(self, share: Share) -> tuple[int, int]:
        if not 0 <= share[0] < share[1] <= 1:
            raise StudyError(f"a share must satisfy 0 <= low < high <= 1, but got {share}.")
        # the tolerance keeps a share such as 0.3 of 10, whose product is 2.9999…, from losing a sample
        low, high = (int(edge * len(self) + 1e-9) for edge in share)
        if high - low < 2:
            raise StudyError(
                f"a share of a split must hold at least two samples, but {share} of {len(self)} holds {high - low}; "
                "take a larger share."
            )
        return low, high


def pictures(split: ImageSplit | Tokens) -> ImageSplit:
    """The split, where something can use images only. Raises StudyError where it is a text."""
    if isinstance(split, Tokens):
        raise StudyError("this estimator is for images, but the task is a text; use the estimator `train`.")
    return split


def resized(inputs: torch.Tensor, resolution: float) -> torch.Tensor:
    """`inputs` [N, C, H, W] with both sides multiplied by `resolution`, see `side`."""
    if resolution == 1.0:
        return inputs
    height, width = (side(n, resolution) for n in inputs.shape[2:])
    return F.interpolate(inputs, (height, width), mode="bilinear", antialias=True, align_corners=False)


def side(pixels: int, resolution: float) -> int:
    """The side in pixels at a resolution: rounded half up, at least 1."""
    return max(1, int(pixels * resolution + 0.5))


def _dropped(samples: int, batch_size: int) -> int:
    return 1 if samples % batch_size == 1 else 0
