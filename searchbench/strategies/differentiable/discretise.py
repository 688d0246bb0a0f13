"""Axis D: from the weights of operations to one architecture. Every rule returns a matrix of zeros and ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.space import Space
from searchbench.spaces.topology import Topology
from searchbench.strategies.differentiable.connect import Chosen, Weights, connected
from searchbench.strategies.differentiable.routes import LikeliestRoute

NoneRule = Literal["excluded", "connected", "allowed"]
"""What becomes of `none` where every edge has an operation: "excluded": no edge takes it (Liu et al. 2019);
"connected": an edge may, as long as something of the input arrives at the output; "allowed": as it comes, also cells
that cannot learn (NAS-Bench-201's own protocol, Dong & Yang 2020)."""


class Discretise(Protocol):
    """A pure function of the weights."""

    @property
    def projects(self) -> bool:
        """Whether it is the projection onto a set of fixed cardinalities, which proximity to it can regularise."""

    def protocol(self, topology: Topology) -> str:
        """The rule in a few words, for the record."""

    def leaves_none(self, topology: Topology) -> bool:
        """Whether `none` is left out of the choice."""

    def choose(self, weights: Weights, topology: Topology) -> Chosen:
        """What is kept of weights [decisions, options]: at most one option per decision."""

    def unsupported(self, space: Space) -> str | None:
        """The rule that the space breaks, or None."""


def path_of(chosen: Chosen, topology: Topology) -> tuple[int, ...]:
    """The option of every decision; where nothing is kept, `none`, or -1 in a space without."""
    nothing = -1 if topology.none is None else topology.none
    return tuple(int(row.argmax()) if row.any() else nothing for row in chosen)


@dataclass(frozen=True, slots=True)
class ArgmaxPerEdge:
    """Every decision takes its heaviest option; ties go to the lower index.

    Of what `none` leaves to choose from, the choice of greatest total weight whose network can learn; see `connected`.
    Where nothing but `none` weighs anything (the others were pruned), an edge has it.

    Args:
        none: see `NoneRule`.

    For spaces in which every edge is kept. Source: Dong & Yang 2020, the weight-sharing baselines, with "allowed".

    Raises:
        StudyError: `none` is no such rule.
    """

    none: NoneRule = "excluded"
    projects = True

    def __post_init__(self) -> None:
        if self.none not in get_args(NoneRule):
            rules = ", ".join(f'"{rule}"' for rule in get_args(NoneRule))
            raise StudyError(f"`none` must be one of {rules}, but got {self.none!r}.")

    def protocol(self, topology: Topology) -> str:
        if topology.none is None:
            return "heaviest operations"
        return {
            "excluded": "heaviest operations without none",
            "connected": "heaviest operations with none, connected",
            "allowed": "heaviest operations with none (NAS-Bench-201's protocol)",
        }[self.none]

    def leaves_none(self, topology: Topology) -> bool:
        return self.none == "excluded"

    def choose(self, weights: Weights, topology: Topology) -> Chosen:
        eligible = where_allowed(weights, topology)
        if self.none == "excluded" and topology.none is not None:
            without = without_none(weights, topology)
            alive = without.max(-1, keepdims=True) > 0
            eligible = np.where(alive, without, eligible)
        chosen = np.zeros(weights.shape, dtype=bool)
        chosen[np.arange(len(weights)), eligible.argmax(-1)] = True
        return chosen if self.none == "allowed" else connected(chosen, weights, topology)

    def unsupported(self, space: Space) -> str | None:
        if space.conditional:
            return f"every decision of `{space.name}` would have to be taken, but some depend on others."
        if space.wiring is not None and space.wiring.keeps is not None:
            return f"taking an operation on every edge is no rule for `{space.name}`, which keeps " + (
                f"{space.wiring.keeps} inputs per node; discretise by the heaviest edges of every node."
            )
        return None


@dataclass(frozen=True, slots=True)
class TopEdges:
    """T2: of every node, the `keep` edges whose heaviest operation (`none` left out) is heaviest, each with it.

    Ties go to the lower source and to the lower operation. With keep = 1 it is the rule of recurrent cells. Where only
    operations that carry nothing are heaviest, the choice of greatest total weight that can learn, see `connected`.

    Source: Liu et al. 2019, section 2.4.

    Raises:
        StudyError: `keep` is below 1.
    """

    keep: int = 2
    projects = True

    def protocol(self, topology: Topology) -> str:
        return f"heaviest {self.keep} edges per node without none"

    def leaves_none(self, topology: Topology) -> bool:
        return True

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise StudyError(f"`keep` must be at least 1 edge per node, but got {self.keep}.")

    def choose(self, weights: Weights, topology: Topology) -> Chosen:
        chosen = np.zeros(weights.shape, dtype=bool)
        eligible = without_none(weights, topology)
        for rows in topology.nodes():
            for at in _heaviest(rows, eligible)[: self.keep]:
                chosen[at, eligible[at].argmax()] = True
        return connected(chosen, weights, topology, self.keep)

    def unsupported(self, space: Space) -> str | None:
        topology = space.wiring
        if topology is None:
            return f"it ranks the edges of nodes, and the decisions of `{space.name}` are not edges."
        if topology.keeps is None and topology.none is None:
            return f"it drops edges, and `{space.name}` has no operation `none`."
        if topology.keeps is not None and topology.keeps != self.keep and not topology.sparse:
            return f"`{space.name}` keeps {topology.keeps} inputs per node, not {self.keep}."
        return None


@dataclass(frozen=True, slots=True)
class CappedTopEdges:
    """T2 with at most `skips` skip connections in the normal cell: while there are more, the lightest selected one's
    weight is put to zero and all is derived again. Where nothing else is left to take, more remain.

    Source: Chen et al. 2019, "Progressive DARTS", section 3.3.2.

    Raises:
        StudyError: a count is out of range.
    """

    keep: int = 2
    skips: int = 2
    projects = True

    def protocol(self, topology: Topology) -> str:
        return f"{TopEdges(self.keep).protocol(topology)}, at most {self.skips} skips"

    def leaves_none(self, topology: Topology) -> bool:
        return True

    def __post_init__(self) -> None:
        if self.skips < 0:
            raise StudyError(f"`skips` must not be negative, but got {self.skips}.")
        TopEdges(self.keep)

    def choose(self, weights: Weights, topology: Topology) -> Chosen:
        weights, rule = weights.copy(), TopEdges(self.keep)
        while True:
            chosen = rule.choose(weights, topology)
            selected = skips_of(chosen, topology)
            weighed = [at for at in selected if weights[at, topology.skip] > 0]
            if len(selected) <= self.skips or not weighed:
                return chosen
            weights[min(weighed, key=lambda at: weights[at, topology.skip]), topology.skip] = 0.0

    def unsupported(self, space: Space) -> str | None:
        return TopEdges(self.keep).unsupported(space)


@dataclass(frozen=True, slots=True)
class Threshold:
    """TH: of every node, the at most `keep` edges whose heaviest operation is heaviest, if it weighs at least `theta`.
    A node may end with no input at all. For a cell in which nothing would arrive at the output, `theta` falls to where
    something does.

    Source: Chu et al. 2020, "Fair DARTS": 0.85 in its code for CIFAR-10.

    Raises:
        StudyError: a value is out of range.
    """

    theta: float = 0.85
    keep: int = 2
    projects = False

    def protocol(self, topology: Topology) -> str:
        return f"{TopEdges(self.keep).protocol(topology)}, of weight {self.theta} or more"

    def leaves_none(self, topology: Topology) -> bool:
        return True

    def __post_init__(self) -> None:
        if not 0 <= self.theta <= 1:
            raise StudyError(f"`theta` must lie in [0, 1], but got {self.theta}.")
        TopEdges(self.keep)

    def choose(self, weights: Weights, topology: Topology) -> Chosen:
        heaviest = without_none(weights, topology).max(-1)
        kept = TopEdges(self.keep).choose(weights, topology)
        chosen: Chosen = kept.copy()
        for cell in topology.cells:
            rows = topology.rows(cell)
            for theta in sorted({self.theta, *heaviest[rows]}, reverse=True):
                if theta <= self.theta:
                    chosen[rows] = kept[rows] & (heaviest[rows] >= theta)[:, None]
                    if topology.carries_in(cell, path_of(chosen, topology)):
                        break
        return chosen

    def unsupported(self, space: Space) -> str | None:
        if space.wiring is not None and not space.wiring.sparse:
            return (
                f"a threshold may leave a node with fewer than {self.keep} inputs, which architectures of "
                f"`{space.name}` do not allow; search its sparse variant."
            )
        return TopEdges(self.keep).unsupported(space)


@dataclass(frozen=True, slots=True)
class SpaceRule:
    """The rule of the space: the heaviest edges of every node where some are kept, the likeliest route where one is
    taken, else the heaviest option of every decision.

    Args:
        none: where every edge is kept, see `NoneRule`.

    Raises:
        StudyError: `none` is no such rule.
    """

    none: NoneRule = "excluded"
    projects = True

    def __post_init__(self) -> None:
        ArgmaxPerEdge(self.none)

    def protocol(self, topology: Topology) -> str:
        return self.rule(topology).protocol(topology)

    def leaves_none(self, topology: Topology) -> bool:
        return self.rule(topology).leaves_none(topology)

    def choose(self, weights: Weights, topology: Topology) -> Chosen:
        return self.rule(topology).choose(weights, topology)

    def unsupported(self, space: Space) -> str | None:
        if space.wiring is None:
            return None
        if self.none != "excluded" and space.wiring.keeps is not None:
            return (
                f'`none = "{self.none}"` is for spaces in which every edge has an operation; `{space.name}` drops some.'
            )
        return self.rule(space.wiring).unsupported(space)

    def rule(self, topology: Topology) -> Discretise:
        """The rule of a topology."""
        if topology.routed:
            return LikeliestRoute()
        return ArgmaxPerEdge(self.none) if topology.keeps is None else TopEdges(topology.keeps)


def without_none(weights: Weights, topology: Topology) -> Weights:
    """The weights, with `none` never the heaviest."""
    eligible = where_allowed(weights, topology)
    if topology.none is None:
        return eligible
    eligible = eligible.copy()
    eligible[:, topology.none] = -np.inf
    return eligible


def where_allowed(weights: Weights, topology: Topology) -> Weights:
    """The weights, with what may not stand on an edge never the heaviest."""
    if topology.allowed is None:
        return weights
    eligible = np.full_like(weights, -np.inf)
    for edge, allowed in enumerate(topology.allowed):
        eligible[edge, allowed] = weights[edge, allowed]
    return eligible


def skips_of(chosen: Chosen, topology: Topology) -> list[int]:
    """Decisions of the first cell type whose kept operation is a skip connection."""
    if topology.skip is None:
        return []
    return [at for at in topology.rows(topology.cells[0]) if chosen[at, topology.skip]]


def _heaviest(rows: Iterable[int], weights: Weights) -> list[int]:
    return sorted(rows, key=lambda at: -weights[at].max())  # stable: lower source first
