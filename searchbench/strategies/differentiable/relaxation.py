"""Axis R: from logits to the weights of a mixed operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from searchbench.strategies.differentiable.turn import Turn

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.networks import Mixed


class Relaxation(Protocol):
    """How logits [decisions, options] become the weights of operations."""

    @property
    def smooth(self) -> bool:
        """Whether the loss is twice differentiable in the logits, without noise."""

    @property
    def probabilities(self) -> bool:
        """Whether the weights of a decision are probabilities."""

    @property
    def with_none(self) -> bool:
        """Whether `none` is a candidate."""

    @property
    def samples(self) -> bool:
        """Whether which operations are executed is drawn anew at every step."""

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        """[decisions, options], without noise: what is logged, regularised and discretised."""

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        """What the supernet computes in a step; differentiable in `alpha`."""


@runtime_checkable
class Centred(Protocol):
    """A relaxation under which logits of 0 are not the middle."""

    def centre(self, options: int) -> float:
        """Where logits begin when no operation is preferred."""


@runtime_checkable
class Settling(Protocol):
    """A relaxation whose logits have to stay within bounds, or move by a rule of their own."""

    def settle(self, alpha: Tensor, before: Tensor, mixture: Mixed, turn: Turn) -> None:
        """Put the logits right, in place, after a step from `before` with a mixture."""


def masked_softmax(alpha: Tensor, turn: Turn) -> Tensor:
    """Softmax over the operations that are not pruned; pruned ones weigh nothing."""
    if turn.mask is None or bool(turn.mask.all()):
        return alpha.softmax(-1)
    alive = turn.mask.any(-1, keepdim=True)
    weights = alpha.masked_fill(~turn.mask & alive, float("-inf")).softmax(-1)
    return weights if bool(alive.all()) else weights * alive  # an edge that was taken out has nothing to share


def masked_log_softmax(alpha: Tensor, turn: Turn) -> Tensor:
    """The softmax's logarithm: minus infinity where pruned, without a gradient there."""
    if turn.mask is None or bool(turn.mask.all()):
        return alpha.softmax(-1).log()
    return alpha.masked_fill(~turn.mask, float("-inf")).log_softmax(-1)


def _mixed(weights: Tensor, turn: Turn) -> Mixed:
    from searchbench.spaces.networks import Mixed

    return Mixed(weights.unbind(0), turn.active)


@dataclass(frozen=True, slots=True)
class Softmax:
    """w_eo = exp(alpha_eo) / sum_o' exp(alpha_eo'), every operation executed.

    Source: Liu et al. 2019, "DARTS: Differentiable Architecture Search", equation 2.
    """

    smooth = probabilities = with_none = True
    samples = False

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return masked_softmax(alpha, turn)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        return _mixed(masked_softmax(alpha, turn), turn)


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """w_eo = sigmoid(alpha_eo), each operation on its own, `none` left out.

    Source: Chu et al. 2020, "Fair DARTS".
    """

    smooth = True
    probabilities = with_none = samples = False

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        weights = alpha.sigmoid()
        return weights if turn.mask is None else weights * turn.mask

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        return _mixed(self.weights(alpha, turn), turn)


@dataclass(frozen=True, slots=True)
class ClippedLinear:
    """CRB: w_eo = min(max(alpha_eo, 0), 1), `none` left out; logits begin at 1/|O|.

    Source: DARTS-PRIME (Maile et al. 2021), clipped linear activation. Its gradient is zero above 1.
    """

    smooth = True
    probabilities = with_none = samples = False

    def centre(self, options: int) -> float:
        return 1.0 / options

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        weights = alpha.clamp(0.0, 1.0)
        return weights if turn.mask is None else weights * turn.mask

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        return _mixed(self.weights(alpha, turn), turn)
