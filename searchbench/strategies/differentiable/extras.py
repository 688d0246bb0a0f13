"""Axis X: what is added to edges or nodes during the search and is gone afterwards."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from searchbench.errors import StudyError
from searchbench.spaces.topology import Form
from searchbench.strategies.differentiable.turn import Turn

if TYPE_CHECKING:
    from searchbench.spaces.networks import Mixed


class Extra(Protocol):
    """Changes the forward pass only."""

    def form(self, form: Form) -> Form:
        """The supernet's form with this part in it."""

    def dress(self, mixture: Mixed, turn: Turn) -> Mixed:
        """The mixture with this part in it."""


@dataclass(frozen=True, slots=True)
class AuxiliarySkip:
    """Edge output = sum_o w_o o(x) + beta(e) skip(x), beta(e) = first (E - e)/E.

    Source: Chu et al. 2021, "DARTS-: robustly stepping out of performance collapse without indicators".

    Raises:
        StudyError: `first` is negative.
    """

    first: float = 1.0

    def __post_init__(self) -> None:
        if self.first < 0:
            raise StudyError(f"the auxiliary skip's weight must not be negative, but got {self.first}.")

    def beta(self, epoch: int, epochs: int) -> float:
        """Weight in an epoch, counted from 0."""
        return self.first * (epochs - epoch) / epochs

    def form(self, form: Form) -> Form:
        return replace(form, auxiliary_skip=True)

    def dress(self, mixture: Mixed, turn: Turn) -> Mixed:
        return replace(mixture, auxiliary=self.beta(turn.moment.epoch, turn.moment.epochs))


@dataclass(frozen=True, slots=True)
class SkipDropout:
    """Each element of a skip connection's output is dropped with probability p:
    p0 (E - e - 1)/E in the first `share` of the E epochs of a stage, then p0 exp(-0.2 (e - share E)).

    Only on the weights' turn. Source: Chen et al. 2019, "Progressive DARTS", and its code.

    Raises:
        StudyError: a value is out of range.
    """

    initial: float = 0.4
    share: float = 0.4

    def __post_init__(self) -> None:
        if not (0 <= self.initial < 1 and 0 <= self.share <= 1):
            raise StudyError(f"`initial` must lie in [0, 1) and `share` in [0, 1], but got {self}.")

    def probability(self, epoch: int, epochs: int) -> float:
        """In an epoch, counted from 0."""
        warm = int(self.share * epochs + 1e-9)
        if epoch < warm:
            return self.initial * (epochs - epoch - 1) / epochs
        return self.initial * math.exp(-0.2 * (epoch - warm))

    def form(self, form: Form) -> Form:
        return replace(form, skip_dropout=True)

    def dress(self, mixture: Mixed, turn: Turn) -> Mixed:
        if turn.phase == "alpha":
            return mixture
        return replace(mixture, dropout=self.probability(turn.moment.epoch, turn.moment.epochs), noise=turn.rng)


@dataclass(frozen=True, slots=True)
class NodeNorm:
    """A batch norm that is not affine after each node's sum, for relaxations whose weights do not sum to one.

    Source: DARTS-PRIME (Maile et al. 2021), with CRB.
    """

    def form(self, form: Form) -> Form:
        return replace(form, node_norm=True)

    def dress(self, mixture: Mixed, turn: Turn) -> Mixed:
        return mixture
