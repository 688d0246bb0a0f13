"""Axis X: what is added to edges or nodes during the search and is gone afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from searchbench.errors import StudyError
from searchbench.spaces.topology import Form
from searchbench.strategies.differentiable.turn import Turn

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.networks import Mixed


@runtime_checkable
class Forming(Protocol):
    """An extra that changes what the supernet is built of."""

    def form(self, form: Form) -> Form:
        """The supernet's form with this part in it."""


@runtime_checkable
class Dressing(Protocol):
    """An extra that changes what the supernet computes in a step."""

    def dress(self, mixture: Mixed, turn: Turn) -> Mixed:
        """The mixture with this part in it."""


@runtime_checkable
class Viewing(Protocol):
    """An extra that changes what the supernet sees, which must be images then."""

    def view(self, images: Tensor, turn: Turn) -> Tensor:
        """[B, C, H, W] as it is shown."""


Extra = Forming | Dressing | Viewing
"""Changes the forward pass only."""


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

    Args:
        initial: p0, of every stage or one for each; stages beyond the last have that.
        share: of a stage's epochs.

    Raises:
        StudyError: a value is out of range.
    """

    initial: float | tuple[float, ...] = 0.4
    share: float = 0.4

    def __post_init__(self) -> None:
        if not (self._initials and all(0 <= p < 1 for p in self._initials) and 0 <= self.share <= 1):
            raise StudyError(f"`initial` must lie in [0, 1) and `share` in [0, 1], but got {self}.")

    @property
    def _initials(self) -> tuple[float, ...]:
        return self.initial if isinstance(self.initial, tuple) else (self.initial,)

    def probability(self, epoch: int, epochs: int, stage: int = 0) -> float:
        """Probability in an epoch of a stage, both counted from 0."""
        initial, warm = self._initials[min(stage, len(self._initials) - 1)], int(self.share * epochs + 1e-9)
        if epoch < warm:
            return initial * (epochs - epoch - 1) / epochs
        return initial * math.exp(-0.2 * (epoch - warm))

    def form(self, form: Form) -> Form:
        return replace(form, skip_dropout=True)

    def dress(self, mixture: Mixed, turn: Turn) -> Mixed:
        if turn.phase == "alpha":
            return mixture
        at = turn.moment
        return replace(mixture, dropout=self.probability(at.epoch, at.epochs, at.stage), noise=turn.rng)


@dataclass(frozen=True, slots=True)
class DropPath:
    """Drop, for each sample, the whole output of an edge with probability p(e) = last e/(E - 1), else scaled up by
    1/(1 - p): on both players' turns, each cell drawing for itself.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search", and its code.

    Raises:
        StudyError: `last` is not in [0, 1).
    """

    last: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.last < 1:
            raise StudyError(f"the probability of dropping a path must lie in [0, 1), but got {self.last}.")

    def probability(self, epoch: int, epochs: int) -> float:
        """Probability in an epoch, counted from 0."""
        return _rising(self.last, epoch, epochs)

    def form(self, form: Form) -> Form:
        return replace(form, drop_path=True)

    def dress(self, mixture: Mixed, turn: Turn) -> Mixed:
        p = self.probability(turn.moment.epoch, turn.moment.epochs)
        return replace(mixture, drop_path=p, noise=turn.rng) if p else mixture


@dataclass(frozen=True, slots=True)
class Cutout:
    """A square of half the side is cut out of an image with probability last e/(E - 1), for both players.

    Source: Zela et al. 2020, whose code raises it together with drop-path.

    Raises:
        StudyError: `last` is not in [0, 1].
    """

    last: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.last <= 1:
            raise StudyError(f"the probability of cutout must lie in [0, 1], but got {self.last}.")

    def view(self, images: Tensor, turn: Turn) -> Tensor:
        from searchbench.estimators.augment import cutout, sometimes

        probability = _rising(self.last, turn.moment.epoch, turn.moment.epochs)
        assert turn.rng is not None, "a search has a generator"
        return sometimes(cutout, probability)(images, turn.rng) if probability else images


@dataclass(frozen=True, slots=True)
class RandomSmoothing:
    """On the weights' turn, the weights of operations are moved by U(-eps, eps) each, kept within [0, 1] and scaled to
    the sum they had, eps = first + (last - first) e/E: the supernet learns to do well around its architecture, not at
    it alone.

    Source: Chen & Hsieh 2020, "Stabilizing differentiable architecture search via perturbation-based regularization",
    equation 5, and the released code of SDARTS-RS.

    Raises:
        StudyError: a radius is out of range.
    """

    first: float = 0.03
    last: float = 0.3

    def __post_init__(self) -> None:
        check_radii(self.first, self.last)

    def dress(self, mixture: Mixed, turn: Turn) -> Mixed:
        import torch

        if turn.phase != "w":
            return mixture
        weights = torch.stack(tuple(mixture.weights))
        radius = self.first + (self.last - self.first) * turn.moment.epoch / turn.moment.epochs
        noise = 2 * torch.rand(weights.shape, generator=turn.rng, dtype=torch.float64).to(weights) - 1
        return replace(mixture, weights=on_the_simplex(weights + radius * noise, weights, mixture.active).unbind(0))


def check_radii(first: float, last: float) -> None:
    """Raise StudyError where radii of a perturbation are out of range."""
    if not 0 <= first <= last <= 1:
        raise StudyError(f"0 <= `first` <= `last` <= 1 must hold for radii of a perturbation, got {first}, {last}.")


def on_the_simplex(moved: Tensor, weights: Tensor, active: Sequence[Sequence[int]] | None) -> Tensor:
    """What `weights` [decisions, options] were moved to, within [0, 1], scaled to the sums they had; operations that
    are not executed stay at 0. Where nothing is left of a row, all of it goes to its largest."""
    import torch

    if active is not None:
        executed = torch.zeros_like(moved, dtype=torch.bool)
        for row, operations in zip(executed, active, strict=True):
            row[list(operations)] = True
        moved = moved.masked_fill(~executed, float("-inf"))
    clipped = moved.clamp(0.0, 1.0)
    empty = clipped.sum(-1, keepdim=True) == 0
    largest = torch.zeros_like(moved).scatter_(-1, moved.argmax(-1, keepdim=True), 1.0)
    clipped = torch.where(empty, largest, clipped)
    return clipped / clipped.sum(-1, keepdim=True) * weights.sum(-1, keepdim=True)


@dataclass(frozen=True, slots=True)
class UndrawnAsScalars:
    """An operation that was not drawn enters its edge's sum as its weight, a number that is zero going forward, so that
    its logit gets the sum of the edge's gradient over samples, channels and pixels.

    Source: the released code of GDAS for NAS-Bench-201 (Dong & Yang 2020); the paper has no such term.
    """

    def form(self, form: Form) -> Form:
        return replace(form, scalars=True)

    def dress(self, mixture: Mixed, turn: Turn) -> Mixed:
        import torch

        if turn.phase == "w" or mixture.active is None:  # there all of them are zero, and nobody reads their gradient
            return mixture
        undrawn = [
            row.sum() - row[list(drawn)].sum() for row, drawn in zip(mixture.weights, mixture.active, strict=True)
        ]
        return replace(mixture, scalars=torch.stack(undrawn))


def _rising(last: float, epoch: int, epochs: int) -> float:
    """Values from 0 in the first epoch to `last` in the last one."""
    return last * epoch / max(1, epochs - 1)


@dataclass(frozen=True, slots=True)
class NodeNorm:
    """A batch norm that is not affine after each node's sum, for relaxations whose weights do not sum to one.

    Source: DARTS-PRIME (Maile et al. 2021), with CRB.
    """

    def form(self, form: Form) -> Form:
        return replace(form, node_norm=True)
