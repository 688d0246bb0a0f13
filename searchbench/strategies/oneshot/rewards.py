"""What ENAS's controller is rewarded with: how well inherited weights do on a validation minibatch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from searchbench.errors import StudyError
from searchbench.spaces.space import Space

if TYPE_CHECKING:
    from torch import Tensor


class Reward(Protocol):
    """A number that the policy raises."""

    def of(self, logits: Tensor, targets: Tensor) -> float:
        """The reward from `logits` [B, classes] and `targets` [B] of one minibatch."""

    def minimised(self, reward: float) -> float:
        """Reward as a value in the words of the task, the less the better."""

    def unsupported(self, space: Space) -> str | None:
        """Why it has no meaning for the networks of a space, or None."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of the minibatch that is classified right."""

    def of(self, logits: Tensor, targets: Tensor) -> float:
        return float((logits.argmax(1) == targets).double().mean())

    def minimised(self, reward: float) -> float:
        """The error."""
        return 1 - reward

    def unsupported(self, space: Space) -> str | None:
        if space.reads == "images":
            return None
        return f"its reward is accuracy, but the networks of `{space.name}` model a text; use `enas-recurrent`."


@dataclass(frozen=True, slots=True)
class InversePerplexity:
    """scale / perplexity of the minibatch; 0 where the perplexity is no number.

    Source: Pham et al. 2018, section 3.1 (c / ppl), and the released code (c = 80).

    Raises:
        StudyError: the scale is not positive.
    """

    scale: float = 80.0

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise StudyError(f"the reward's `scale` must be positive, but got {self.scale!r}.")

    def of(self, logits: Tensor, targets: Tensor) -> float:
        from torch.nn.functional import cross_entropy

        loss = float(cross_entropy(logits.double(), targets))
        return 0.0 if math.isnan(loss) else self.scale * math.exp(-loss)

    def minimised(self, reward: float) -> float:
        """The perplexity."""
        return self.scale / reward if reward > 0 else math.inf

    def unsupported(self, space: Space) -> str | None:
        if space.reads == "text":
            return None
        return f"its reward is {self.scale:g} / perplexity, but the networks of `{space.name}` classify images."
