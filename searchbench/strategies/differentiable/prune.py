"""Axis P: operations that leave the race before it ends. Pruned operations are never executed and never return."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args, runtime_checkable

from searchbench.errors import StudyError
from searchbench.spaces.space import Space

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from searchbench.spaces.topology import Topology


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of epochs between two rebuilds of the supernet."""

    number: int
    first: int
    length: int


class Prune(Protocol):
    """Says which operations remain, as a mask [decisions, options]."""

    @property
    def prunes(self) -> bool:
        """Whether it ever removes anything."""


@runtime_checkable
class Staged(Protocol):
    """A pruning that builds the supernet anew."""

    def stage(self, epoch: int, epochs: int) -> Stage:
        """Where an epoch lies; when a stage ends, supernet and logits begin anew."""

    def cells(self, stage: int) -> int | None:
        """Cells of a stage's supernet; None: the space's own number."""


def stage_of(prune: Prune, epoch: int, epochs: int) -> Stage:
    """Where an epoch lies; a pruning without stages has one."""
    return prune.stage(epoch, epochs) if isinstance(prune, Staged) else Stage(0, 0, epochs)


def equal_stage(epoch: int, epochs: int, number: int) -> Stage:
    """Where an epoch lies among so many stages of the same length."""
    bounds = [epochs * at // number for at in range(number + 1)]
    at = max(at for at, first in enumerate(bounds[:-1]) if first <= epoch)
    return Stage(at, bounds[at], bounds[at + 1] - bounds[at])


@runtime_checkable
class StepPruning(Protocol):
    """A pruning that goes by the logits, step by step."""

    def after_step(self, alpha: Tensor, mask: Tensor, topology: Topology, ahead: float = math.inf) -> Tensor:
        """The mask after a step of the architecture; may put logits in place.

        Args:
            alpha: [decisions, options] logits.
            mask: before.
            topology: of the space.
            ahead: the rate of the logits times the steps that are still to come.
        """


@runtime_checkable
class EpochPruning(Protocol):
    """A pruning that goes by the weights of operations, epoch by epoch."""

    def after_epoch(self, weights: Tensor, mask: Tensor, epoch: int, epochs: int, topology: Topology) -> Tensor:
        """The mask after an epoch, given the weights by which operations are ranked."""


@runtime_checkable
class Opening(Protocol):
    """A pruning under which some operations are not in the race from the beginning."""

    def opening(self, mask: Tensor, topology: Topology) -> Tensor:
        """The mask of the first epoch, given that of what may stand on the edges."""


@dataclass(frozen=True, slots=True)
class Unpruned:
    """Every operation stays to the end."""

    prunes = False


@dataclass(frozen=True, slots=True)
class Monotone:
    """MONO: an operation whose logit falls to 0 or below is put to 0 and dies for ever.

    The last operation among those that enter a node stays, with logit 0.

    Source: DARTS-PRIME (Maile et al. 2021), with CRB.
    """

    prunes = True

    def after_step(self, alpha: Tensor, mask: Tensor, topology: Topology, ahead: float = math.inf) -> Tensor:
        import torch

        alive = mask & (alpha > 0)
        for rows in topology.nodes():
            if not alive[rows].any():
                contenders = alpha[rows].masked_fill(~mask[rows], float("-inf"))
                at, option = divmod(int(contenders.argmax()), alpha.shape[1])
                alive[rows[at], option] = True
        with torch.no_grad():
            alpha.copy_((alpha * alive).clamp(min=0.0))
        return alive


@dataclass(frozen=True, slots=True)
class Milestones:
    """MILE: progressive discretisation. After the first `warmup` of the epochs, at regular milestones until the last,

    * "fix-best": the edge with the heaviest operation keeps that one alone;
    * "drop-worst": every edge that has a choice loses its lightest operation;

    weights go on as they are. The number of milestones is what it takes to leave one operation per edge, which is never
    `none`: no architecture would be derived from it.

    Source: the abstract of PD-DARTS only; when milestones come and what is kept across them is our reading.

    Raises:
        StudyError: a value is out of range.
    """

    strategy: Literal["fix-best", "drop-worst"] = "drop-worst"
    warmup: float = 0.2
    prunes = True

    def __post_init__(self) -> None:
        if self.strategy not in ("fix-best", "drop-worst") or not 0 <= self.warmup < 1:
            raise StudyError(
                '`strategy` must be "fix-best" or "drop-worst" and `warmup` must lie in [0, 1), but got '
                f"{self.strategy!r} and {self.warmup}."
            )

    def after_epoch(self, weights: Tensor, mask: Tensor, epoch: int, epochs: int, topology: Topology) -> Tensor:
        total = len(mask) if self.strategy == "fix-best" else mask.shape[1] - 1
        for _ in range(self._due(epoch + 1, epochs, total) - self._due(epoch, epochs, total)):
            mask = self._strike(weights, mask, topology.none)
        return mask

    def _due(self, done: int, epochs: int, total: int) -> int:
        """Milestones passed when so many epochs are done; the last is passed with the last epoch."""
        warm = self.warmup * epochs
        return int(total * max(0.0, done - warm) / (epochs - warm) + 1e-9)

    def _strike(self, weights: Tensor, mask: Tensor, none: int | None) -> Tensor:
        open_edges = mask.sum(1) > 1
        if not open_edges.any():
            return mask
        mask, weights = mask.clone(), weights.clone()
        if self.strategy == "fix-best":
            if none is not None:
                weights[:, none] = -1.0
            best = weights.masked_fill(~mask, -1.0).masked_fill(~open_edges[:, None], -1.0)
            edge, option = divmod(int(best.argmax()), mask.shape[1])
            mask[edge] = False
            mask[edge, option] = True
            return mask
        if none is not None:
            weights[mask.sum(1) == 2, none] = -1.0
        lightest = weights.masked_fill(~mask, float("inf")).argmin(1)
        for edge in open_edges.nonzero().flatten().tolist():
            mask[edge, int(lightest[edge])] = False
        return mask


Measure = Literal["accuracy", "loss"]


@runtime_checkable
class Perturbing(Protocol):
    """A pruning that goes by what the supernet is worth without an operation, or without an edge."""

    @property
    def measure(self) -> Measure:
        """What worth is: accuracy, or less loss."""

    def measurements(self, mask: Tensor, topology: Topology) -> int:
        """How often it will ask, at most, for the worth under a mask."""

    def after_measured_epoch(
        self,
        worth: Callable[[Tensor], float],
        rng: np.random.Generator,
        mask: Tensor,
        epoch: int,
        epochs: int,
        topology: Topology,
    ) -> Tensor:
        """The mask after an epoch.

        Args:
            worth: of the supernet on the architecture's data, with the operations in a mask [decisions, options]
                alone, their weights as they are in the whole.
            rng: the strategy's own stream for this epoch.
            mask: before.
            epoch, epochs: which one, counted from 0, of how many.
            topology: of the space.
        """


@dataclass(frozen=True, slots=True)
class Perturbation:
    """PT: in the last `share` of the epochs, at regular milestones, an edge drawn at random keeps one operation alone:
    the one without which the supernet is worth least, of equals the first. `none` is not kept. Where a space keeps
    some edges per node, nodes drawn at random follow when all edges are decided: of each, one by one, the edge goes
    without which the supernet is worth most, of equals the last.

    Source: Wang et al. 2021, "Rethinking architecture selection in differentiable NAS", Algorithm 1 and its topology
    stage, and the released code, which leaves the weights of what stays as they are.

    Raises:
        StudyError: a value is out of range.
    """

    share: float = 0.2
    measure: Measure = "accuracy"
    prunes = True

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise StudyError(f"`share` of the epochs must lie in (0, 1], but got {self.share!r}.")
        if self.measure not in get_args(Measure):
            raise StudyError(f'`measure` must be "accuracy" or "loss", but got {self.measure!r}.')

    def measurements(self, mask: Tensor, topology: Topology) -> int:
        operations = sum(len(self._contenders(row, topology)) for row in mask)
        keeps = topology.keeps or 0
        return operations + sum(sum(range(keeps + 1, len(rows) + 1)) for rows in self._crowded(topology))

    def after_measured_epoch(
        self,
        worth: Callable[[Tensor], float],
        rng: np.random.Generator,
        mask: Tensor,
        epoch: int,
        epochs: int,
        topology: Topology,
    ) -> Tensor:
        mask = mask.clone()
        total = len(mask) + len(self._crowded(topology))
        for _ in range(self._due(epoch + 1, epochs, total) - self._due(epoch, epochs, total)):
            undecided = (mask.sum(1) > 1).nonzero().flatten().tolist()
            nodes = [rows for rows in self._crowded(topology) if self._entering(rows, mask) > (topology.keeps or 0)]
            if undecided:
                edge = undecided[int(rng.integers(len(undecided)))]
                kept = self._missed(worth, mask, edge, topology)
                mask[edge] = False
                mask[edge, kept] = True
            elif nodes:
                self._thin(worth, mask, nodes[int(rng.integers(len(nodes)))], topology.keeps or 0)
        return mask

    def _missed(self, worth: Callable[[Tensor], float], mask: Tensor, edge: int, topology: Topology) -> int:
        """The operation whose absence costs most."""
        without = {}
        for option in self._contenders(mask[edge], topology):
            absent = mask.clone()
            absent[edge, option] = False
            without[option] = worth(absent)
        return min(without, key=without.__getitem__)

    def _thin(self, worth: Callable[[Tensor], float], mask: Tensor, rows: list[int], keeps: int) -> None:
        """Take the edges of a node that are missed least out of a mask."""
        while self._entering(rows, mask) > keeps:
            without = {}
            for edge in (edge for edge in rows if mask[edge].any()):
                absent = mask.clone()
                absent[edge] = False
                without[edge] = worth(absent)
            most = max(without.values())
            mask[max(edge for edge, found in without.items() if found == most)] = False

    def _entering(self, rows: list[int], mask: Tensor) -> int:
        return int(mask[rows].any(1).sum())

    def _crowded(self, topology: Topology) -> list[list[int]]:
        """The edges of every node that has more than an architecture keeps."""
        keeps = topology.keeps
        return [] if keeps is None else [rows for rows in topology.nodes() if len(rows) > keeps]

    def _contenders(self, row: Tensor, topology: Topology) -> list[int]:
        return [option for option in row.nonzero().flatten().tolist() if option != topology.none]

    def _due(self, done: int, epochs: int, total: int) -> int:
        """Edges and nodes decided when so many epochs are done: the first at the end of the search, the last with the
        last epoch."""
        return round(total * max(0.0, done - (1 - self.share) * epochs) / (self.share * epochs))


@dataclass(frozen=True, slots=True)
class Stages:
    """STAGE: as many stages as `keep` has entries, each with a fresh supernet and fresh logits; at the end of stage s
    every edge keeps its `keep[s]` heaviest operations; one that keeps a single operation keeps another than `none`.

    Args:
        depths: cells of each stage's supernet; empty: the space's own number in all.

    Source: Chen et al. 2019, "Progressive DARTS": 5, 3, 1 of 8 operations; 5, 11, 17 cells. As in its code, edges are
    ranked, and skips capped, by the weights that the last stage ended with, before it is pruned.

    Raises:
        StudyError: `keep` does not fall, or `depths` has another length.
    """

    keep: tuple[int, ...] = (5, 3, 1)
    depths: tuple[int, ...] = ()
    prunes = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep", tuple(self.keep))
        object.__setattr__(self, "depths", tuple(self.depths))
        falls = all(a > b for a, b in zip(self.keep, self.keep[1:], strict=False))
        if not self.keep or not falls or self.keep[-1] < 1:
            raise StudyError(f"`keep` must fall from stage to stage and stay above 0, but got {self.keep}.")
        if self.depths and len(self.depths) != len(self.keep):
            raise StudyError(f"`depths` must have one entry per stage, {len(self.keep)}, but got {self.depths}.")

    def stage(self, epoch: int, epochs: int) -> Stage:
        return equal_stage(epoch, epochs, len(self.keep))

    def cells(self, stage: int) -> int | None:
        return self.depths[stage] if self.depths else None

    def after_epoch(self, weights: Tensor, mask: Tensor, epoch: int, epochs: int, topology: Topology) -> Tensor:
        now = self.stage(epoch, epochs)
        if epoch + 1 < now.first + now.length:
            return mask
        kept = mask.clone().fill_(False)
        if self.keep[now.number] == 1 and topology.none is not None:
            weights = weights.clone()
            weights[:, topology.none] = 0.0
        ranked = weights.masked_fill(~mask, -1.0).sort(dim=1, descending=True, stable=True).indices
        return kept.scatter_(1, ranked[:, : self.keep[now.number]], True) & mask

    def unsupported(self, space: Space) -> str | None:
        options = len(space.wiring.operations) if space.wiring is not None else 0
        if options and self.keep[0] >= options:
            kept = self.keep[0]
            return f"its first stage must drop some of the {options} operations of `{space.name}`, but keeps {kept}."
        return None
