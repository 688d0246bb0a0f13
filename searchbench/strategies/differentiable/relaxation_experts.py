"""Axis R, continued: experts whose rewards move them directly, a softmax that anneals, a template trained on all alike,
and draws by rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchbench.errors import StudyError
from searchbench.strategies.differentiable.relaxation import masked_softmax
from searchbench.strategies.differentiable.relaxation_sampled import drawn, one_hot, straight_through
from searchbench.strategies.differentiable.turn import Turn

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.networks import Mixed


@dataclass(frozen=True, slots=True)
class ExpertAdvice:
    """w = v / sum v, v = exp(alpha), whose gradient goes to the logits as it is: dL/dalpha_o = dL/dw_o = <dL/dp, f_o>,
    p the edge's output and f_o the operation's. What is left of it is a reward that does not look at the others'.

    Source: Nayman et al. 2019, "XNAS: neural architecture search with expert advice", Algorithm 1.
    """

    smooth = samples = False
    probabilities = with_none = True

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        moved = alpha if turn.mask is None else alpha * turn.mask
        return straight_through(masked_softmax(alpha.detach(), turn), moved)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        from searchbench.spaces.networks import Mixed

        return Mixed(self.weights(alpha, turn).unbind(0), turn.active)


@dataclass(frozen=True, slots=True)
class AnnealedSoftmax:
    """w = softmax(alpha / T), every operation executed; T falls by one factor every epoch, first (last / first)^(e/E).

    Source: Noy et al. 2019, "ASAP: architecture search, anneal and prune": 1.6, times 0.95 in each of 50 epochs, 0.123
    in the end.

    Raises:
        StudyError: a temperature is not positive.
    """

    first: float = 1.6
    last: float = 1.6 * 0.95**50
    smooth = probabilities = with_none = True
    samples = False

    def __post_init__(self) -> None:
        if not self.first >= self.last > 0:
            raise StudyError(f"temperatures fall and stay above 0, but got first={self.first}, last={self.last}.")

    def temperature(self, epoch: int, epochs: int) -> float:
        """Temperature of an epoch, counted from 0."""
        return float(self.first * (self.last / self.first) ** (epoch / epochs))

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return masked_softmax(alpha / self.temperature(turn.moment.epoch, turn.moment.epochs), turn)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        from searchbench.spaces.networks import Mixed

        return Mixed(self.weights(alpha, turn).unbind(0), turn.active)


@dataclass(frozen=True, slots=True)
class Template:
    """The weights learn on one path a minibatch, drawn uniformly; the logits on the softmax over all operations.

    Source: Dong & Yang 2019, "One-shot neural architecture search via self-evaluated template network" (SETN).
    """

    smooth = False
    probabilities = with_none = samples = True

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return masked_softmax(alpha, turn)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        import torch

        from searchbench.spaces.networks import Mixed

        if turn.phase != "w":
            return Mixed(masked_softmax(alpha, turn).unbind(0), turn.active)
        even = torch.ones_like(alpha) if turn.mask is None else turn.mask.to(alpha)
        chosen = drawn(even, turn)
        return Mixed(one_hot(chosen, alpha).unbind(0), tuple((op,) for op in chosen.tolist()))


@dataclass(frozen=True, slots=True)
class ByRank:
    """One operation per edge, drawn with probability 1/(rank sum_k 1/k), the one of largest logit having rank 1.

    Without noise, the softmax of the logits, which says how far apart they are.

    Source: Carlucci et al. 2019, "MANAS: multi-agent neural architecture search", section 5.1 (Zipf sampling).
    """

    smooth = probabilities = False
    with_none = samples = True

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return masked_softmax(alpha, turn)

    def shares(self, alpha: Tensor, turn: Turn) -> Tensor:
        """[decisions, options] with which operations are drawn."""
        logits = alpha.detach() if turn.mask is None else alpha.detach().masked_fill(~turn.mask, float("-inf"))
        rank = logits.sort(dim=-1, descending=True, stable=True).indices.argsort(-1) + 1
        inverse = 1.0 / rank if turn.mask is None else turn.mask / rank
        return inverse / inverse.sum(-1, keepdim=True)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        from searchbench.spaces.networks import Mixed

        chosen = drawn(self.shares(alpha, turn), turn)
        return Mixed(one_hot(chosen, alpha.detach()).unbind(0), tuple((op,) for op in chosen.tolist()))
