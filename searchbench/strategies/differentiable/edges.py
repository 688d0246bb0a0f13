"""Axis E: how much of an edge passes through its operations, and what whole edges weigh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from searchbench.errors import StudyError
from searchbench.spaces.space import Space
from searchbench.spaces.topology import Form, Topology
from searchbench.strategies.differentiable.routes import shares

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.networks import Mixed


class EdgeSampling(Protocol):
    """Wraps the mixed operations of edges."""

    @property
    def weighs(self) -> bool:
        """Whether whole edges have logits."""

    def form(self, form: Form) -> Form:
        """The supernet's form with this part in it."""

    def weights(self, beta: Tensor | None, topology: Topology) -> Tensor | None:
        """[decisions] weights of whole edges; None means one each."""

    def passing(self, beta: Tensor | None, topology: Topology) -> Tensor | None:
        """[decisions] probabilities that an architecture has each edge; None: what an edge has counts in full."""

    def dress(self, mixture: Mixed, beta: Tensor | None, topology: Topology) -> Mixed:
        """The mixture with edges weighed."""


@dataclass(frozen=True, slots=True)
class FullEdges:
    """All channels pass through the operations, every edge counts alike."""

    weighs = False

    def form(self, form: Form) -> Form:
        return form

    def weights(self, beta: Tensor | None, topology: Topology) -> Tensor | None:
        return None

    def passing(self, beta: Tensor | None, topology: Topology) -> Tensor | None:
        return None

    def dress(self, mixture: Mixed, beta: Tensor | None, topology: Topology) -> Mixed:
        return mixture

    def unsupported(self, space: Space) -> str | None:
        if space.wiring is not None and space.wiring.routed:
            return (
                f"an architecture of `{space.name}` is one route through its blocks, and it has no logits for routes."
            )
        return None


@dataclass(frozen=True, slots=True)
class PartialChannels:
    """PC(1/K): the first C/K channels pass through the operations, the rest bypass them, then channels are shuffled;
    node = sum_i softmax_i(beta) edge_i, the softmax over the inputs of the node. Discretisation ranks by the product
    of both softmaxes.

    Source: Xu et al. 2020, "PC-DARTS". Always the first channels, as in its code; the shuffle mixes them.

    Raises:
        StudyError: `divisor` is below 1.
    """

    divisor: int = 4
    weighs = True

    def __post_init__(self) -> None:
        if self.divisor < 1:
            raise StudyError(f"`divisor` must be at least 1, but got {self.divisor}.")

    def form(self, form: Form) -> Form:
        return replace(form, partial=self.divisor)

    def weights(self, beta: Tensor | None, topology: Topology) -> Tensor | None:
        assert beta is not None
        return shares(beta, topology.nodes())

    def passing(self, beta: Tensor | None, topology: Topology) -> Tensor | None:
        return None

    def dress(self, mixture: Mixed, beta: Tensor | None, topology: Topology) -> Mixed:
        edges = self.weights(beta, topology)
        assert edges is not None
        weights = [row * edge for row, edge in zip(mixture.weights, edges.unbind(0), strict=True)]
        return replace(mixture, weights=weights, edges=edges)

    def unsupported(self, space: Space) -> str | None:
        channels = space.settings.get("channels", 0)
        if channels % self.divisor:
            return f"partial channels need channels divisible by {self.divisor}, but `{space.name}` has {channels}."
        return None
