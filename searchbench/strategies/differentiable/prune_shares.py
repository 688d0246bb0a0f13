"""Axis P, continued: operations that leave because they can no longer win, or weigh too little, or are like another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchbench.errors import StudyError
from searchbench.spaces.space import Space
from searchbench.strategies.differentiable.prune import Stage, equal_stage

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.topology import Topology


@dataclass(frozen=True, slots=True)
class Wipeout:
    """After each step t of T an operation leaves that cannot become the heaviest any more, whatever comes:

    v_i < max_j v_j exp(-2 eta L (T - t)), v = exp(alpha), eta the rate and L the `bound` of the gradient.

    After the last step one operation is left on an edge, or those of equal weight; `none` is never left alone.

    Source: Nayman et al. 2019, "XNAS: neural architecture search with expert advice", Algorithm 1.

    Raises:
        StudyError: `bound` is not positive.
    """

    bound: float = 1.0
    prunes = True

    def __post_init__(self) -> None:
        if not self.bound > 0:
            raise StudyError(f"the `bound` of the gradient must be positive, but got {self.bound!r}.")

    def after_step(self, alpha: Tensor, mask: Tensor, topology: Topology, ahead: float = math.inf) -> Tensor:
        alive = alpha.detach().masked_fill(~mask, -math.inf)
        # rounding must not wipe out what can still draw level
        least = alive.amax(1, keepdim=True) - 2 * self.bound * ahead * (1 + 1e-6)
        return keeping_one(mask & (alive >= least), alive, mask, topology.none)


@dataclass(frozen=True, slots=True)
class BelowShare:
    """After each epoch operations leave that weigh less than `share` of what all would if they were alike; the
    heaviest other than `none` stays.

    Source: Noy et al. 2019, "ASAP: architecture search, anneal and prune", with the threshold 0.4/|O|.

    Raises:
        StudyError: `share` is not in [0, 1].
    """

    share: float = 0.4
    prunes = True

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise StudyError(f"the `share` below which operations leave must lie in [0, 1], but got {self.share!r}.")

    def after_epoch(self, weights: Tensor, mask: Tensor, epoch: int, epochs: int, topology: Topology) -> Tensor:
        return keeping_one(mask & (weights >= self.share / mask.shape[1]), weights, mask, topology.none)


def keeping_one(kept: Tensor, weights: Tensor, mask: Tensor, none: int | None) -> Tensor:
    """What is kept, and where that is nothing but `none`, the heaviest of the others in `mask` as well."""
    import torch

    some = kept.clone()
    eligible = mask.clone()
    if none is not None:
        some[:, none] = eligible[:, none] = False
    bare = ~some.any(1) & eligible.any(1)
    best = weights.masked_fill(~eligible, -math.inf).argmax(1, keepdim=True)
    return kept | (torch.zeros_like(kept).scatter_(1, best, True) & bare.unsqueeze(1))


LIKE = (
    ("max_pool_3x3", "avg_pool_3x3"),
    ("sep_conv_3x3", "sep_conv_5x5"),
    ("dil_conv_3x3", "dil_conv_5x5"),
    ("nor_conv_3x3", "nor_conv_1x1"),
)
"""Operations whose outputs are alike, the one that stands for its group first."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Two stages of the same length, each with a fresh supernet and fresh logits: in the first one operation of each
    group is in the race, in the second, on each edge, the whole group of its heaviest, beside `none`.

    Operations that are in no group of `like` are one for themselves.

    Source: Li et al. 2019, "StacNAS: towards stable and consistent differentiable neural architecture search"; groups
    of the cells of DARTS as in its code, of whose feature maps the paper found the correlations.

    Raises:
        StudyError: an operation is in two groups.
    """

    like: tuple[tuple[str, ...], ...] = LIKE
    prunes = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "like", tuple(tuple(group) for group in self.like))
        named = [name for group in self.like for name in group]
        if len(set(named)) != len(named):
            raise StudyError(f"an operation belongs to one group only, but got {self.like}.")

    def groups(self, topology: Topology) -> list[list[int]]:
        """Indices of operations, a list a group, the one that stands for it first; `none` is in no group."""
        names = topology.operations
        found = [[names.index(name) for name in group if name in names] for group in self.like]
        grouped = {at for group in found for at in group}
        alone = [[at] for at in range(len(names)) if at not in grouped and at != topology.none]
        return sorted((group for group in [*found, *alone] if group), key=min)

    def stage(self, epoch: int, epochs: int) -> Stage:
        return equal_stage(epoch, epochs, 2)

    def cells(self, stage: int) -> int | None:
        return None

    def opening(self, mask: Tensor, topology: Topology) -> Tensor:
        kept = mask.clone().fill_(False)
        for edge in range(len(mask)):
            for group in self.groups(topology):
                standing = [at for at in group if mask[edge, at]]
                kept[edge, standing[:1]] = True
        if topology.none is not None:
            kept[:, topology.none] = mask[:, topology.none]
        return kept

    def after_epoch(self, weights: Tensor, mask: Tensor, epoch: int, epochs: int, topology: Topology) -> Tensor:
        now = self.stage(epoch, epochs)
        if now.number or epoch + 1 < now.first + now.length:
            return mask
        kept = mask.clone().fill_(False)
        if topology.none is not None:
            kept[:, topology.none] = mask[:, topology.none]
            weights = weights.clone()
            weights[:, topology.none] = -1.0
        heaviest = weights.masked_fill(~mask, -math.inf).argmax(1).tolist()
        for edge, winner in enumerate(heaviest):
            (group,) = (group for group in self.groups(topology) if winner in group)
            kept[edge, [at for at in group if topology.may_stand(edge, at)]] = True
        return kept

    def unsupported(self, space: Space) -> str | None:
        if space.wiring is not None and all(len(group) < 2 for group in self.groups(space.wiring)):
            return f"no two operations of `{space.name}` are in a group; say in `like` which are alike."
        return None
