"""The two players of a differentiable search, the weights and the architecture, and all they share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.cost import Cost
from searchbench.spaces.topology import Topology
from searchbench.strategies.differentiable.discretise import Discretise, SpaceRule
from searchbench.strategies.differentiable.edges import EdgeSampling, FullEdges
from searchbench.strategies.differentiable.extras import Dressing, Extra, Viewing
from searchbench.strategies.differentiable.halting import Halted
from searchbench.strategies.differentiable.regularise import Regulariser, Remembering
from searchbench.strategies.differentiable.relaxation import Relaxation, Settling
from searchbench.strategies.differentiable.routes import costs_of_routes
from searchbench.strategies.differentiable.turn import Moment, Phase, Turn
from searchbench.strategies.noted import Noted
from searchbench.strategies.strategy import Lab, Loss
from searchbench.strategies.supernet import mean_price

if TYPE_CHECKING:
    from searchbench.spaces.networks import Mixed, Owning, Supernet
    from searchbench.tasks.task import Batch

DRAWS = 64
"""Mixtures drawn to estimate the mean price of a step whose executed operations are drawn."""


@dataclass(slots=True, eq=False)
class Game:
    """min over alpha of L_val(w*(alpha), alpha), where w*(alpha) = argmin over w of L_train(w, alpha)."""

    lab: Lab
    supernet: Supernet
    topology: Topology
    relax: Relaxation
    alpha: Tensor
    """[decisions, options] logits."""
    mask: Tensor
    """[decisions, options], False where an operation is pruned."""
    weights: list[nn.Parameter]
    """The supernet's."""
    weight_optimizer: torch.optim.Optimizer
    alpha_optimizer: torch.optim.Optimizer
    rng: torch.Generator
    """Of the relaxation's noise."""
    sampling: EdgeSampling = field(default_factory=FullEdges)
    beta: Tensor | None = None
    """[decisions] logits of whole edges, where edges are sampled."""
    derive: Discretise = field(default_factory=SpaceRule)
    extras: Sequence[Extra] = ()
    regularise: Sequence[Regulariser] = ()
    memories: list[Any] = field(default_factory=list)
    """What each regulariser remembers."""
    schedule_memory: Any = None
    moment: Moment = field(default_factory=Moment)
    noted: dict[str, Noted] = field(default_factory=lambda: {"w": Noted(), "alpha": Noted()})
    """What the current epoch has seen so far on the weights' turn and on the architecture's."""
    walk: list[Tensor] = field(default_factory=list)
    """The logits before each of their steps in the current epoch, [decisions, options] each."""
    opened: Tensor = field(init=False)
    """The mask with which the current epoch began."""
    baseline: float | None = None
    """Mean reward so far, of a score-function gradient."""
    credit: Any = None
    """What a hypergradient that gives credit remembers of what was measured."""
    halted: Halted | None = None
    """Operations whose weights learn no more, where some may stop."""
    _owned: list[list[nn.Parameter]] | None = None
    _costs: Tensor | None = None
    _fixed_cost: float | None = None
    _latencies: tuple[Tensor, float] | None = None

    def __post_init__(self) -> None:
        self.opened = self.mask

    def turn(self, phase: Phase) -> Turn:
        """What the parts are told."""
        return Turn(phase, self.rng, self.moment, self.mask, self.topology)

    def mixture(self, phase: Phase) -> Mixed:
        """What the supernet computes; on the weights' turn the architecture is a constant."""
        alpha = self.alpha.detach() if phase == "w" else self.alpha
        beta = self.beta.detach() if phase == "w" and self.beta is not None else self.beta
        turn = self.turn(phase)
        mixture = self.sampling.dress(self.relax.mixture(alpha, turn), beta, self.topology)
        for extra in self.extras:
            if isinstance(extra, Dressing):
                mixture = extra.dress(mixture, turn)
        return mixture

    def reduced(self, kept: Tensor) -> Mixed:
        """The architecture's mixture with the operations in `kept` [decisions, options] alone, their weights as they
        are in the whole; without gradient."""
        mixture = self.mixture("alpha")
        weights = [row.detach() * there for row, there in zip(mixture.weights, kept, strict=True)]
        active = tuple(tuple(row.nonzero().flatten().tolist()) for row in kept & self.mask)
        return replace(mixture, weights=weights, active=active)

    def viewed(self, batch: Batch) -> Batch:
        """A minibatch as the supernet is shown it, by both players."""
        for extra in self.extras:
            if isinstance(extra, Viewing):
                batch = replace(batch, inputs=extra.view(batch.inputs, self.turn("both")))
        return batch

    def activated(self) -> Tensor:
        """a(alpha), [decisions, options], without noise, differentiable."""
        return self.relax.weights(self.alpha, self.turn("alpha"))

    def outer_loss(self, mixture: Mixed) -> Loss:
        """Cross-entropy and the regularisers of the architecture."""
        # a path that carries nothing gives the architecture no gradient, which backward would refuse; zero it is
        anchor = 0.0 if mixture.active is None else 0.0 * torch.stack([w.sum() for w in mixture.weights]).sum()

        def loss(logits: Tensor, targets: Tensor) -> Tensor:
            value = F.cross_entropy(logits, targets)
            for part, memory in zip(self.regularise, self.memories, strict=True):
                value = part.outer(value, self, memory)
            return value + anchor

        return self.noted["alpha"].watching(loss)

    def after_alpha_step(self, before: Tensor, mixture: Mixed | None) -> None:
        """Put the logits right and let the regularisers look at them."""
        with torch.no_grad():
            if mixture is not None and isinstance(self.relax, Settling):
                self.relax.settle(self.alpha, before, mixture, self.turn("alpha"))
            pairs = zip(self.regularise, self.memories, strict=True)
            self.memories = [
                part.after_alpha_step(self, memory) if isinstance(part, Remembering) else memory
                for part, memory in pairs
            ]

    def price(self, phase: Phase, train: int = 0, infer: int = 0) -> Cost:
        """The (mean) charge for samples through a mixture."""
        draws = DRAWS if self.relax.samples else 1
        before = self.rng.get_state()
        prices = [self.lab.price(self.supernet, self.mixture(phase), train, infer) for _ in range(draws)]
        self.rng.set_state(before)
        return mean_price(prices)

    @property
    def owned(self) -> list[list[nn.Parameter]]:
        """The weights of every learnable operation of every cell."""
        if self._owned is None:
            self._owned = [weights for _, _, weights in cast("Owning", self.supernet).owned()]
        return self._owned

    @property
    def costs(self) -> Tensor:
        """[decisions, options] multiply-accumulates of each operation above those of the cheapest of its decision; of
        routes see `costs_of_routes`."""
        if self._costs is None and self.topology.routed:
            of_routes, self._fixed_cost = costs_of_routes(self.topology, self.supernet.macs)
            self._costs = _filled(of_routes).to(self.alpha)
        elif self._costs is None:
            base = (0,) * len(self.supernet.options)
            rows = [
                [self.supernet.macs((*base[:at], op, *base[at + 1 :])) for op in range(options)]
                for at, options in enumerate(self.supernet.options)
            ]
            table = _filled(rows)
            self._costs = (table - table.amin(1, keepdim=True)).to(self.alpha)
        return self._costs

    @property
    def fixed_cost(self) -> float:
        """Multiply-accumulates outside the decisions, and of the cheapest option of each; of routes see
        `costs_of_routes`."""
        costs = self.costs
        if self._fixed_cost is None:
            self._fixed_cost = float(self.supernet.macs(tuple(int(op) for op in costs.argmin(1))))
        return self._fixed_cost

    @property
    def latencies(self) -> tuple[Tensor, float]:
        """[decisions, options] milliseconds of each operation above the quickest of its decision, and those of the
        path of the quickest: exact where latencies add up over decisions. Where a node keeps some of its edges only,
        an edge is timed beside those from the lowest sources. What no architecture has costs nothing more. Of routes
        see `costs_of_routes`."""
        if self._latencies is None and self.topology.routed:
            rows, fixed = costs_of_routes(self.topology, self.latency)
            self._latencies = _filled(rows).to(self.alpha), fixed
        elif self._latencies is None:
            allowed = [[op for op in range(n) if self._occurs(at, op)] for at, n in enumerate(self.supernet.options)]
            base = [ops[0] for ops in allowed]
            table = torch.full(self.alpha.shape, math.inf, dtype=torch.float64)
            for at, ops in enumerate(allowed):
                for op in ops:
                    table[at, op] = self.latency(self._path([*base[:at], op, *base[at + 1 :]], at))
            quickest = self._path([int(op) for op in table.argmin(1)])
            above = table - table.amin(1, keepdim=True)
            self._latencies = above.where(above.isfinite(), 0.0).to(self.alpha), self.latency(quickest)
        return self._latencies

    def _occurs(self, at: int, op: int) -> bool:
        """Whether an architecture can have an operation on an edge."""
        absent = op == self.topology.none and self.topology.keeps is not None and not self.topology.sparse
        return self.topology.may_stand(at, op) and not absent

    def _path(self, operations: Sequence[int], including: int | None = None) -> tuple[int, ...]:
        """The path with these operations on every edge that is kept: of each node those from the lowest sources,
        `including` one."""
        keeps, kept = self.topology.keeps, set[int]()
        for rows in self.topology.nodes():
            first = [at for at in rows if at == including]
            kept |= {*first, *[at for at in rows if at != including][: None if keeps is None else keeps - len(first)]}
        nothing = -1 if self.topology.none is None else self.topology.none
        return tuple(op if at in kept else nothing for at, op in enumerate(operations))

    def latency(self, path: tuple[int, ...]) -> float:
        """Milliseconds of a path, by the problem's latency."""
        latency = self.lab.scenario.latency
        assert latency is not None, "checked before the search starts"
        return latency(self.supernet.architecture(path))

    @contextmanager
    def frozen_weights(self) -> Iterator[None]:
        """No gradients of the weights inside."""
        for weight in self.weights:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in self.weights:
                weight.requires_grad_(True)

    def state_dict(self) -> dict[str, object]:
        return {
            "supernet": cast(nn.Module, self.supernet).state_dict(),
            "alpha": self.alpha.detach(),
            "beta": None if self.beta is None else self.beta.detach(),
            "mask": self.mask,
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "alpha_optimizer": self.alpha_optimizer.state_dict(),
            "rng": self.rng.get_state(),
            "memories": self.memories,
            "schedule": self.schedule_memory,
            "baseline": self.baseline,
            "credit": self.credit,
            "halted": None if self.halted is None else self.halted.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        cast(nn.Module, self.supernet).load_state_dict(state["supernet"])
        with torch.no_grad():
            self.alpha.copy_(state["alpha"])
            if self.beta is not None:
                self.beta.copy_(state["beta"])
        self.mask = state["mask"].clone()
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.alpha_optimizer.load_state_dict(state["alpha_optimizer"])
        self.rng.set_state(state["rng"])
        self.memories = list(state["memories"])
        self.schedule_memory, self.baseline = state["schedule"], state["baseline"]
        self.credit = state.get("credit")
        halted = state.get("halted")
        self.halted = None if halted is None else Halted(**{name: value.clone() for name, value in halted.items()})


def _filled(rows: Sequence[Sequence[float]]) -> Tensor:
    """A table of rows that may differ in length: what may not stand on an edge costs as the cheapest that may, and is
    never weighed."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[min(row)] * (longest - len(row))] for row in rows], dtype=torch.float64)
