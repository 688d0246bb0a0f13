"""A text on a device, cut into passages that a recurrent network reads one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from searchbench.errors import StudyError
from searchbench.estimators.batches import WHOLE, Batches, Share
from searchbench.estimators.metrics import Perplexity
from searchbench.seeds import derive
from searchbench.spaces.recurrent.networks import Passage
from searchbench.tasks.task import Batch, ImageSplit, Tokens

LONGER, SHORTEST = 20, 5
"""A passage is at most so much longer than usual, and not shorter than this."""


class Passages:
    """A text, copied once to a device; stands where `Batches` of images do. A sample is a token that is predicted.

    A minibatch of size B is a passage of B streams; the text is divided evenly among them. The state at the end of a
    passage is where the next one begins, whatever network read it.
    """

    metric = Perplexity()

    def __init__(self, split: Tokens, device: torch.device | str = "cpu", resolution: float = 1.0) -> None:
        if resolution != 1.0:
            raise StudyError(f"a text has no resolution, but got resolution={resolution}; leave it at 1.")
        self.targets = torch.from_numpy(split.tokens).to(device)
        """The tokens."""
        self._split = split

    def __len__(self) -> int:
        return self.measured()

    def unjittered(self) -> Passages:
        """This text in passages of the usual length, or half of it."""
        return Passages(replace(self._split, deviation=0.0), self.targets.device)

    def count(self, batch_size: int, share: Share = WHOLE) -> int:
        """Samples that `epoch` yields. Raises StudyError as it does."""
        return (len(self._streams(batch_size, share)) - 1) * batch_size

    def sizes(self, batch_size: int, seed: int, share: Share = WHOLE) -> list[int]:
        """Samples of each minibatch that `epoch` yields."""
        return [length * batch_size for length in self._lengths(self.count(batch_size, share) // batch_size, seed)]

    def epoch(self, batch_size: int, seed: int, share: Share = WHOLE, augment: tuple[str, ...] = ()) -> Iterator[Batch]:
        """One pass over a share, in its order; `seed` decides the lengths of passages and what dropout drops.

        Raises:
            StudyError: the share is too short for so many streams, or an augmentation is named.
        """
        if augment:
            raise StudyError(f"a text is not augmented, but got {', '.join(augment)}.")
        streams = self._streams(batch_size, share)
        yield from self._read(streams, self._lengths(len(streams) - 1, seed), seed)

    def measured(self, share: float = 1.0) -> int:
        """Samples that `in_order` yields."""
        columns = self._split.columns
        return max(1, round(share * (len(self._streams(columns, WHOLE)) - 1))) * columns

    def in_order(self, batch_size: int, share: float = 1.0) -> Iterator[Batch]:
        """The first share of the text, in passages of equal length and the streams of measuring."""
        rows, usual = self.measured(share) // self._split.columns, self._split.bptt
        lengths = [usual] * (rows // usual) + ([rows % usual] if rows % usual else [])
        yield from self._read(self._streams(self._split.columns, WHOLE), lengths, 0)

    def _read(self, streams: Tensor, lengths: list[int], seed: int) -> Iterator[Batch]:
        start, state = 0, None
        for length in lengths:
            passage = Passage(streams[start : start + length], state, derive(seed, f"masks {start}"))
            targets = streams[start + 1 : start + 1 + length].reshape(-1)
            yield Batch(passage, targets, rate=length / self._split.bptt)
            start, state = start + length, passage.after

    def _lengths(self, rows: int, seed: int) -> list[int]:
        usual, deviation = self._split.bptt, self._split.deviation
        rng = np.random.Generator(np.random.PCG64(derive(seed, "lengths")))
        found, left = list[int](), rows
        while left > 0:
            base = usual if rng.random() >= self._split.halved else usual / 2
            length = int(rng.normal(base, deviation)) if deviation else int(base)
            found.append(min(max(min(SHORTEST, usual), length), usual + LONGER, left))
            left -= found[-1]
        return found

    def _streams(self, columns: int, share: Share) -> Tensor:
        """[rows, columns] of a share of the tokens; what does not divide evenly is left out."""
        if not 0 <= share[0] < share[1] <= 1:
            raise StudyError(f"a share must satisfy 0 <= low < high <= 1, but got {share}.")
        low, high = (int(edge * len(self.targets) + 1e-9) for edge in share)
        rows = (high - low) // columns
        if rows < 2:
            raise StudyError(
                f"{columns} streams need at least {2 * columns} tokens, but there are {high - low}; "
                "lower `batch_size` (or the task's `columns`), or take more text."
            )
        return self.targets[low : low + rows * columns].view(columns, rows).t().contiguous()


def for_supernets(batches: Batches | Passages) -> Batches | Passages:
    """Data as supernets read it: their passages of a text are not jittered."""
    return batches.unjittered() if isinstance(batches, Passages) else batches


def batches_of(
    split: ImageSplit | Tokens, device: torch.device | str = "cpu", resolution: float = 1.0
) -> Batches | Passages:
    """The minibatches of a split of either kind."""
    if isinstance(split, Tokens):
        return Passages(split, device, resolution)
    return Batches(split, device, resolution)
