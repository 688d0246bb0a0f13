"""How a gradient of the logits becomes a step: by Adam, as most papers have it, or by another rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from searchbench.errors import StudyError
from searchbench.strategies.differentiable.pace import FASTEST

if TYPE_CHECKING:
    import torch

    from searchbench.strategies.differentiable.composition import AlphaTraining


class LogitUpdate(Protocol):
    """The rule by which logits follow their gradient."""

    def rate(self, given: float, over: int, steps: float) -> float:
        """The rate with which `steps` steps lead as far as `over` steps do at the given one."""

    def optimizer(self, logits: Iterable[torch.Tensor], training: AlphaTraining) -> torch.optim.Optimizer:
        """A fresh optimiser; its rate stays constant."""


@dataclass(frozen=True, slots=True)
class AdamSteps:
    """Adam: a logit moves by about the rate whatever the size of its gradient, so rates go with 1/T, up to `FASTEST`.

    Source: Liu et al. 2019, "DARTS", and most papers since.
    """

    def rate(self, given: float, over: int, steps: float) -> float:
        return min(max(FASTEST, given), given * over / steps)

    def optimizer(self, logits: Iterable[torch.Tensor], training: AlphaTraining) -> torch.optim.Optimizer:
        import torch

        return torch.optim.Adam(logits, lr=training.lr, betas=training.betas, weight_decay=training.weight_decay)


@dataclass(frozen=True, slots=True)
class Exponentiated:
    """v <- v exp(-eta g), which is alpha <- alpha - eta g of the logits alpha = log v, g within [-bound, bound].

    Rates go with 1/sqrt(T), as the bounds of the regret want them.

    Source: Cesa-Bianchi & Lugosi 2006, "Prediction, learning, and games": the exponentially weighted forecaster.

    Raises:
        StudyError: `bound` is not positive.
    """

    bound: float | None = None
    """Largest gradient that a step takes as it is; None: any."""

    def __post_init__(self) -> None:
        if self.bound is not None and not self.bound > 0:
            raise StudyError(f"the `bound` of the gradient must be positive, but got {self.bound!r}.")

    def rate(self, given: float, over: int, steps: float) -> float:
        return float(given * (over / steps) ** 0.5)

    def optimizer(self, logits: Iterable[torch.Tensor], training: AlphaTraining) -> torch.optim.Optimizer:
        import torch

        optimizer = torch.optim.SGD(logits, lr=training.lr)
        if self.bound is not None:
            optimizer.register_step_pre_hook(self._cut)
        return optimizer

    def _cut(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        assert self.bound is not None
        for p in _moving(optimizer):
            p.grad.clamp_(-self.bound, self.bound)  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True)
class Assigned:
    """alpha <- -g: the gradient is what the logits are to be, whatever they were. There is no rate."""

    def rate(self, given: float, over: int, steps: float) -> float:
        return given

    def optimizer(self, logits: Iterable[torch.Tensor], training: AlphaTraining) -> torch.optim.Optimizer:
        import torch

        optimizer = torch.optim.SGD(logits, lr=1.0)
        optimizer.register_step_pre_hook(lambda moved, *_: _forget(moved))
        return optimizer


def _forget(optimizer: torch.optim.Optimizer) -> None:
    """Set parameters to 0 and rates to 1: a step leads to what it takes away."""
    for group in optimizer.param_groups:
        group["lr"] = 1.0
    for p in _moving(optimizer):
        p.data.zero_()


def _moving(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    """The parameters that have a gradient."""
    return (p for group in optimizer.param_groups for p in group["params"] if p.grad is not None)
