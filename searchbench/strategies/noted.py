"""What a search that trains a supernet notes in an epoch: its losses, and how often the supernet was right; of a
language model its perplexity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from searchbench.strategies.strategy import Loss

LARGEST_LOSS = 700.0
"""In nats; the exponential of more is no number."""


@dataclass(slots=True, eq=False)
class Noted:
    """The minibatches of one player in one epoch. What is counted stays on the device until it is read, once."""

    reads: str = "images"
    """What the supernet reads; of a "text" nothing is counted."""
    losses: list[float] = field(default_factory=list)
    _right: Tensor | None = None
    _seen: int = 0
    _watched: bool = False
    """Whether the losses noted are those of logits."""

    def count(self, logits: Tensor, targets: Tensor) -> None:
        """Number of `logits` [B, classes] that are highest where `targets` [B] says."""
        if self.reads == "text":
            return
        right = (logits.detach().argmax(1) == targets).sum()
        self._right = right if self._right is None else self._right + right
        self._seen += len(targets)

    def watching(self, loss: Loss = F.cross_entropy) -> Loss:
        """This loss, counting on the way what is right: free, for the logits are there."""
        self._watched = True

        def watched(logits: Tensor, targets: Tensor) -> Tensor:
            self.count(logits, targets)
            return loss(logits, targets)

        return watched

    def means(self, prefix: str) -> dict[str, float]:
        """`<prefix>_loss` and `<prefix>_accuracy` (or `<prefix>_perplexity`) over the epoch, as far as anything was
        noted."""
        found = {f"{prefix}_loss": float(np.mean(self.losses))} if self.losses else {}
        if self.reads == "text" and found and self._watched:
            found[f"{prefix}_perplexity"] = math.exp(min(found[f"{prefix}_loss"], LARGEST_LOSS))
        if self._right is not None:
            found[f"{prefix}_accuracy"] = float(self._right) / self._seen
        return found
