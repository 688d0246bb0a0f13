"""Operations that stop learning before the others do: their weights stay, their logits go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from searchbench.errors import StudyError
from searchbench.spaces.space import Space

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.strategies.differentiable.game import Game

Compared = Literal["apart", "accumulated"]


@dataclass(slots=True, eq=False)
class Halted:
    """What is known of every operation of every cell, in the order of `Owning.owned`."""

    sums: Tensor
    """[operations] similarities so far in this window."""
    seen: Tensor
    """[operations] how many."""
    stopped: Tensor
    """[operations] whether it learns no more."""
    trained: list[list[Tensor] | None] = field(default_factory=list)
    """The gradients of the last step of the weights; none before the first one of an epoch."""

    def state_dict(self) -> dict[str, Tensor]:
        return {"sums": self.sums, "seen": self.seen, "stopped": self.stopped}


@dataclass(frozen=True, slots=True)
class OperationStop:
    """An operation stops learning when its gradients on training and on validation images have pointed apart: when the
    mean of cos(g_train, g_val) over `window` steps is below `threshold`. Each copy of an operation, one a cell, stops
    by itself.

    Source: Jiang et al. 2023, "Operation-level early stopping for robustifying differentiable NAS" (OLES).
    Differs: `compared` "accumulated" is what the released code does, where the gradient on validation images is added
        to the one on training images before the two are compared, and cosines are taken along the first dimension of
        a weight; there a window has 21 steps that are divided by 20.

    Raises:
        StudyError: a value is out of range.
    """

    threshold: float = 0.1
    window: int = 20
    compared: Compared = "apart"

    def __post_init__(self) -> None:
        if not -1 <= self.threshold <= 1 or self.window < 1:
            raise StudyError(f"`threshold` must lie in [-1, 1] and `window` be at least 1 step, but got {self}.")
        if self.compared not in ("apart", "accumulated"):
            raise StudyError(f'gradients are compared "apart" or "accumulated", but got {self.compared!r}.')

    def begin(self, game: Game) -> None:
        """Forget the gradients of the epoch before, which a checkpoint does not keep."""
        import torch

        owned = game.owned
        if game.halted is None:
            zeros = torch.zeros(len(owned), dtype=torch.float64)
            game.halted = Halted(zeros, torch.zeros(len(owned), dtype=torch.long), torch.zeros(len(owned)).bool())
        game.halted.trained = [None] * len(owned)

    def hold(self, game: Game) -> None:
        """Before a step of the weights: those of operations that have stopped get no gradient, and so no step."""
        assert game.halted is not None
        for at in game.halted.stopped.nonzero().flatten().tolist():
            for weight in game.owned[at]:
                weight.grad = None

    def note(self, game: Game) -> None:
        """After a step of the weights: keep its gradients."""
        assert game.halted is not None
        for at, weights in enumerate(game.owned):
            learnt = [w.grad.clone() for w in weights if w.grad is not None]
            game.halted.trained[at] = learnt if len(learnt) == len(weights) else None

    def compare(self, game: Game) -> None:
        """After a step of the logits, whose loss has filled the weights' gradients: which operations stop."""
        halted = game.halted
        assert halted is not None
        for at, (weights, trained) in enumerate(zip(game.owned, halted.trained, strict=True)):
            validated = [w.grad for w in weights if w.grad is not None]
            if trained is None or len(validated) < len(weights) or bool(halted.stopped[at]):
                continue
            halted.sums[at] += self.similarity(trained, validated)
            halted.seen[at] += 1
            if halted.seen[at] == self.window:
                halted.stopped[at] = halted.sums[at] / self.window < self.threshold
                halted.sums[at], halted.seen[at] = 0.0, 0

    def similarity(self, trained: list[Tensor], validated: list[Tensor]) -> float:
        """Cosine between the gradients of one operation's weights."""
        import torch
        import torch.nn.functional as F

        if self.compared == "accumulated":
            pairs = zip(trained, validated, strict=True)
            return float(torch.stack([F.cosine_similarity(t + v, t, dim=0).mean() for t, v in pairs]).mean())
        one, other = (torch.cat([part.flatten() for part in parts]) for parts in (trained, validated))
        return float(F.cosine_similarity(one, other, dim=0))

    def unsupported(self, space: Space) -> str | None:
        if space.wiring is None or not space.wiring.learnable or space.reads != "images":
            return f"it stops operations one by one, and those of `{space.name}` do not say which weights are theirs."
        return None
