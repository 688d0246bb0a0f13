"""Axis R, continued: two operations of an edge, drawn and mixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchbench.strategies.differentiable.relaxation import masked_softmax
from searchbench.strategies.differentiable.relaxation_sampled import drawn, drawn_pair, executed, one_hot
from searchbench.strategies.differentiable.turn import Turn

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.networks import Mixed


@dataclass(frozen=True, slots=True)
class SoftPair:
    """On the weights' turn one operation per edge, drawn from p = softmax(alpha). On the architecture's two, drawn from
    p without replacement and weighed by the softmax over the two logits; after the step both are shifted by
    log(sum exp(old) / sum exp(new)), so that what they take of the whole stays.

    Source: Fang et al. 2020, "Densely connected search space for more flexible neural architecture search", section
    3.3, and its code.
    """

    smooth = False
    probabilities = with_none = samples = True

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return masked_softmax(alpha, turn)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        from searchbench.spaces.networks import Mixed

        if turn.phase == "w":
            probabilities = masked_softmax(alpha, turn)
            chosen = drawn(probabilities, turn)
            return Mixed(one_hot(chosen, probabilities).unbind(0), tuple((op,) for op in chosen.tolist()))
        on_pair = drawn_pair(alpha, turn)
        shares = alpha.masked_fill(~on_pair, float("-inf")).softmax(-1)
        return Mixed(shares.unbind(0), executed(on_pair))

    def settle(self, alpha: Tensor, before: Tensor, mixture: Mixed, turn: Turn) -> None:
        """Shift both of a pair. Logits of operations that were not drawn stay where an optimiser's momentum and decay
        moved them, as in the released code."""
        if turn.phase != "alpha":
            return
        assert mixture.active is not None
        for row, pair in enumerate(mixture.active):
            at = list(pair)
            alpha[row, at] += before[row, at].logsumexp(0) - alpha[row, at].logsumexp(0)
