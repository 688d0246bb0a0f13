"""A differentiable search as a composition of parts, one per axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from searchbench.errors import StudyError
from searchbench.strategies.differentiable.discretise import ArgmaxPerEdge, Discretise
from searchbench.strategies.differentiable.hypergradient import FirstOrder, Hypergradient
from searchbench.strategies.differentiable.relaxation import Relaxation, Softmax
from searchbench.strategies.differentiable.schedule import Alternate, Schedule
from searchbench.strategies.strategy import Scenario, TrainingSearch
from searchbench.strategies.supernet import SupernetTraining

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class AlphaTraining:
    """Adam on the logits of the architecture, which begin at `scale` N(0, 1).

    Raises:
        StudyError: a value is out of range.
    """

    lr: float = 3e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-3
    scale: float = 1e-3

    def __post_init__(self) -> None:
        if not (self.lr > 0 and self.weight_decay >= 0 and self.scale >= 0):
            raise StudyError(
                "the architecture's `lr` must be positive, `weight_decay` and `scale` must not be negative, "
                f"but got lr={self.lr}, weight_decay={self.weight_decay}, scale={self.scale}."
            )

    def optimizer(self, alpha: Iterable[torch.Tensor]) -> torch.optim.Adam:
        """A fresh optimiser; its rate stays constant."""
        import torch

        return torch.optim.Adam(alpha, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


@dataclass(frozen=True, slots=True)
class Differentiable:
    """Train a supernet's weights and the logits of its operations in turn; hand over the heaviest operations.

    Every paper of the family is a value of this, see `papers`.
    """

    relax: Relaxation = field(default_factory=Softmax)
    schedule: Schedule = field(default_factory=Alternate)
    hypergradient: Hypergradient = field(default_factory=FirstOrder)
    discretise: Discretise = field(default_factory=ArgmaxPerEdge)
    weights: SupernetTraining = field(default_factory=SupernetTraining)
    alphas: AlphaTraining = field(default_factory=AlphaTraining)

    def unsupported(self, scenario: Scenario) -> str | None:
        if len({decision.arity for decision in scenario.space.decisions}) > 1:
            return f"it keeps the same number of logits per decision, and those of `{scenario.space.name}` differ."
        return self.weights.unsupported(scenario) or self.discretise.unsupported(scenario.space)

    def start(self, scenario: Scenario) -> TrainingSearch:
        from searchbench.strategies.differentiable.engine import DifferentiableSearch

        return DifferentiableSearch(self, scenario)
