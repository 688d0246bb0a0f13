"""What is measured of a network's output: the share of wrong classes, or how surprised it is by the next token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor


class Metric(Protocol):
    """A value to minimise, from a sum over samples."""

    @property
    def name(self) -> str: ...
    def total(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sum over the samples [B] of a minibatch, a scalar."""

    def value(self, total: float, samples: int) -> float:
        """The value of a whole split."""

    def also(self, value: float) -> dict[str, float]:
        """The value in other words."""


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Share of samples that are misclassified, in [0, 1]."""

    name = "error"

    def total(self, logits: Tensor, targets: Tensor) -> Tensor:
        return (logits.argmax(1) != targets).sum()

    def value(self, total: float, samples: int) -> float:
        return total / samples

    def also(self, value: float) -> dict[str, float]:
        return {"accuracy": 1.0 - value}


@dataclass(frozen=True, slots=True)
class Perplexity:
    """exp of the mean negative log likelihood in nats."""

    name = "perplexity"

    def total(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, reduction="sum")

    def value(self, total: float, samples: int) -> float:
        try:
            return math.exp(total / samples)
        except OverflowError:
            return math.inf

    def also(self, value: float) -> dict[str, float]:
        return {"loss": math.log(value)}
