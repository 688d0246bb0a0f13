"""Axis G: what is added to the architecture's loss. Weight decay belongs to the optimisers, see `AlphaTraining` and
`SupernetTraining` (R-DARTS multiplies the latter).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from searchbench.errors import StudyError
from searchbench.strategies.differentiable.discretise import Discretise

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.topology import Topology
    from searchbench.strategies.differentiable.game import Game


class Regulariser(Protocol):
    """A change of the outer loss. What it remembers is a value that the game carries along."""

    @property
    def projects(self) -> bool:
        """Whether it needs a discretisation that is a projection."""

    @property
    def expects(self) -> bool:
        """Whether it takes an expectation, so that the weights must be probabilities."""

    def outer(self, loss: Tensor, game: Game, memory: Any) -> Tensor:
        """The regularised loss, differentiable in `game.alpha`."""


@runtime_checkable
class Remembering(Protocol):
    """A regulariser that carries something along; the others are given None for a memory."""

    def fresh(self, game: Game) -> Any:
        """What it remembers before the first step."""

    def after_alpha_step(self, game: Game, memory: Any) -> Any:
        """What it remembers after a step of the architecture."""


def projection(activated: Tensor, rule: Discretise, topology: Topology) -> Tensor:
    """Pi_S(a) as zeros and ones, [decisions, options], without gradient."""
    import torch

    chosen = rule.choose(activated.detach().double().cpu().numpy(), topology)
    return torch.from_numpy(chosen).to(activated)


def distances(difference: Tensor, topology: Topology, power: int) -> Tensor:
    """Sum over cell types of the Euclidean norm of their rows, to the power 1 or 2."""
    import torch

    norms = [difference[topology.rows(cell)] for cell in topology.cells]
    if power == 2:
        return torch.stack([rows.square().sum() for rows in norms]).sum()
    return torch.stack([torch.linalg.vector_norm(rows) for rows in norms]).sum()


@dataclass(frozen=True, slots=True)
class Proximity:
    """PR: L_val + lambda(t) (rho/2) ||a(alpha) - Pi_S(a(alpha))||^power, lambda(t) = t/T, the projection a constant;
    one term per cell type.

    Source: DARTS-PRIME (Maile et al. 2021), equation 8; the released code takes the norm unsquared.

    Raises:
        StudyError: `rho` is negative or `power` not 1 or 2.
    """

    rho: float = 0.1
    power: int = 1
    rule: Discretise | None = None
    """What it projects by; None: the derivation of the search."""
    projects = True
    expects = False

    def __post_init__(self) -> None:
        _check(self.rho, self.power)

    def outer(self, loss: Tensor, game: Game, memory: None) -> Tensor:
        if self.rho == 0:
            return loss
        a = game.activated()
        apart = distances(a - projection(a, self.rule or game.derive, game.topology), game.topology, self.power)
        return loss + game.moment.progress * (self.rho / 2) * apart


@dataclass(frozen=True, slots=True)
class Admm:
    """L_val + (rho/2) ||a(alpha) - z + u||^power; every `every` steps of the architecture z <- Pi_S(a + u), then
    u <- discount u + a - z. z begins at a, u at 0.

    Source: DARTS-PRIME (Maile et al. 2021), steps S1 to S5 with the activation a(alpha) as the variable throughout.

    Raises:
        StudyError: a value is out of range.
    """

    rho: float = 0.1
    discount: float = 1.0
    every: int = 10
    power: int = 2
    rule: Discretise | None = None
    """What it projects by; None: the derivation of the search."""
    projects = True
    expects = False

    def __post_init__(self) -> None:
        _check(self.rho, self.power)
        if not (self.every >= 1 and 0 <= self.discount <= 1):
            raise StudyError(f"ADMM needs `every` >= 1 and `discount` in [0, 1], but got {self}.")

    def fresh(self, game: Game) -> tuple[Tensor, Tensor, int]:
        a = game.activated().detach()
        return a.clone(), a.new_zeros(a.shape), 0

    def outer(self, loss: Tensor, game: Game, memory: tuple[Tensor, Tensor, int]) -> Tensor:
        z, u, _ = memory
        return loss + (self.rho / 2) * distances(game.activated() - z + u, game.topology, self.power)

    def after_alpha_step(self, game: Game, memory: tuple[Tensor, Tensor, int]) -> tuple[Tensor, Tensor, int]:
        z, u, steps = memory
        if (steps + 1) % self.every:
            return z, u, steps + 1
        a = game.activated().detach()
        z = projection(a + u, self.rule or game.derive, game.topology)
        return z, self.discount * u + a - z, steps + 1


@dataclass(frozen=True, slots=True)
class ZeroOne:
    """L01: L_val - w mean (a - 1/2)^2 over all operations that are not pruned: towards 0 or 1.

    Source: Chu et al. 2020, "Fair DARTS".

    Raises:
        StudyError: `weight` is negative.
    """

    weight: float = 10.0
    projects = expects = False

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise StudyError(f"`weight` of a zero-one loss must not be negative, but got {self.weight!r}.")

    def outer(self, loss: Tensor, game: Game, memory: None) -> Tensor:
        return loss - self.weight * (game.activated()[game.mask] - 0.5).square().mean()


@dataclass(frozen=True, slots=True)
class ZeroOneLinear:
    """The control of `ZeroOne`: L_val - w mean |a - 1/2|, which pulls as hard near 1/2 as near 0 and 1.

    Source: Chu et al. 2020, "Fair DARTS", equation of L01'.

    Raises:
        StudyError: `weight` is negative.
    """

    weight: float = 10.0
    projects = expects = False

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise StudyError(f"`weight` of a zero-one loss must not be negative, but got {self.weight!r}.")

    def outer(self, loss: Tensor, game: Game, memory: None) -> Tensor:
        return loss - self.weight * (game.activated()[game.mask] - 0.5).abs().mean()


@dataclass(frozen=True, slots=True)
class ExpectedCost:
    """LAT, added: L_val + weight (E - reference)/reference, E = sum_edges sum_o p_o F(o) + what is fixed; F and E in
    `of`: "macs", or "latency_ms" by the problem's latency. `reference` None: E of equal probabilities.

    Source: Cai et al. 2019, "ProxylessNAS", section 3.3; Xie et al. 2019, SNAS.

    Raises:
        StudyError: a value is out of range.
    """

    weight: float = 0.1
    reference: float | None = None
    of: str = "macs"
    projects = False
    expects = True

    def __post_init__(self) -> None:
        _check_of(self.of)
        if self.weight < 0 or (self.reference is not None and self.reference <= 0):
            raise StudyError(f"`weight` must not be negative and `reference` must be positive, but got {self}.")

    def outer(self, loss: Tensor, game: Game, memory: None) -> Tensor:
        reference = reference_cost(self.reference, game, self.of)
        return loss + self.weight * (expected_cost(game, self.of) - reference) / reference


@dataclass(frozen=True, slots=True)
class ScaledByCost:
    """LAT, multiplied: factor L_val (ln E / ln reference)^power.

    Source: the released code of Cai et al. 2019, "ProxylessNAS", its default. Undefined where E <= 1.

    Raises:
        StudyError: a value is out of range.
    """

    factor: float = 0.2
    power: float = 0.3
    reference: float | None = None
    of: str = "macs"
    projects = False
    expects = True

    def __post_init__(self) -> None:
        _check_of(self.of)
        if self.factor <= 0 or (self.reference is not None and self.reference <= 1):
            raise StudyError(f"`factor` must be positive and `reference` above 1, but got {self}.")

    def outer(self, loss: Tensor, game: Game, memory: None) -> Tensor:
        import math

        ratio = expected_cost(game, self.of).log() / math.log(reference_cost(self.reference, game, self.of))
        return self.factor * loss * ratio**self.power


@dataclass(frozen=True, slots=True)
class LogCost:
    """L_val + weight log_base E, E the expected cost. Its gradient is that of E / E: the unit of E does not matter.

    Source: Fang et al. 2020, "Densely connected search space for more flexible neural architecture search", section
    3.3, equation of the loss; weight and base of the released code. Undefined where E <= 0.

    Raises:
        StudyError: a value is out of range.
    """

    weight: float = 0.15
    base: float = 15.0
    of: str = "macs"
    projects = False
    expects = True

    def __post_init__(self) -> None:
        _check_of(self.of)
        if self.weight < 0 or self.base <= 1:
            raise StudyError(f"`weight` must not be negative and `base` must be above 1, but got {self}.")

    def outer(self, loss: Tensor, game: Game, memory: None) -> Tensor:
        import math

        return loss + self.weight * expected_cost(game, self.of).log() / math.log(self.base)


@dataclass(frozen=True, slots=True)
class Complexity:
    """RES: L_val + eta sum_k (F_k / sum F) a_k^2, heavier operations pay more.

    Source: Yao et al. 2020, "NASP", with multiply-accumulates for parameters.

    Raises:
        StudyError: `eta` is negative.
    """

    eta: float = 0.1
    projects = expects = False

    def __post_init__(self) -> None:
        if not self.eta >= 0:
            raise StudyError(f"`eta` of the complexity must not be negative, but got {self.eta!r}.")

    def outer(self, loss: Tensor, game: Game, memory: None) -> Tensor:
        shares = game.costs / game.costs.sum()
        return loss + self.eta * (shares * game.activated().square()).sum()


@dataclass(frozen=True, slots=True)
class BetaDecay:
    """L_val + weight (e/E) mean over the decisions of log sum_o exp(alpha_o), e the epoch, counted from 0: the larger
    the weights that the softmax gives, the more it takes from their logits.

    Source: Ye et al. 2022, "beta-DARTS: beta-decay regularization for differentiable architecture search", equation 11,
    and the released code (weight 50 after 100 epochs).

    Raises:
        StudyError: `weight` is negative.
    """

    weight: float = 50.0
    projects = expects = False

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise StudyError(f"`weight` of beta decay must not be negative, but got {self.weight!r}.")

    def outer(self, loss: Tensor, game: Game, memory: None) -> Tensor:
        logits = game.alpha if bool(game.mask.all()) else game.alpha.masked_fill(~game.mask, float("-inf"))
        return loss + self.weight * game.moment.epoch / game.moment.epochs * logits.logsumexp(-1).mean()


@dataclass(frozen=True, slots=True)
class DirichletDivergence:
    """L_val + weight sum over the decisions of KL(Dir(beta) || Dir(1)), beta = elu(alpha) + 1.

    Source: Chen et al. 2021, "DrNAS: Dirichlet neural architecture search", equation 5.

    Raises:
        StudyError: `weight` is negative.
    """

    weight: float = 1e-3
    projects = expects = False

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise StudyError(f"`weight` of the divergence must not be negative, but got {self.weight!r}.")

    def outer(self, loss: Tensor, game: Game, memory: None) -> Tensor:
        from searchbench.strategies.differentiable.dirichlet import concentration, divergence

        return loss + self.weight * divergence(concentration(game.alpha), game.mask)


COSTS = ("macs", "latency_ms")


def expected_cost(game: Game, of: str = "macs") -> Tensor:
    """The cost expected under the weights of the operations and, where edges are taken by chance, of the edges; fixed
    ones included."""
    costs, fixed = _costs(game, of)
    return (_occurring(game.activated(), game.beta, game) * costs).sum() + fixed


def reference_cost(reference: float | None, game: Game, of: str = "macs") -> float:
    """The given one, or that of equal probabilities."""
    if reference is not None:
        return reference
    costs, fixed = _costs(game, of)
    equal = game.mask.to(costs) / game.mask.sum(1, keepdim=True)
    beta = None if game.beta is None else game.beta.new_zeros(game.beta.shape)
    return float((_occurring(equal, beta, game) * costs).sum()) + fixed


def _occurring(weights: Tensor, beta: Tensor | None, game: Game) -> Tensor:
    """[decisions, options] probabilities that an architecture has each operation on each edge."""
    passing = game.sampling.passing(beta, game.topology)
    return weights if passing is None else weights * passing.unsqueeze(1)


def _costs(game: Game, of: str) -> tuple[Tensor, float]:
    return (game.costs, game.fixed_cost) if of == "macs" else game.latencies


def _check_of(of: str) -> None:
    if of not in COSTS:
        raise StudyError(f"an expected cost is one of {', '.join(COSTS)}, but got {of!r}.")


def _check(rho: float, power: int) -> None:
    if rho < 0 or power not in (1, 2):
        raise StudyError(f"`rho` must not be negative and `power` must be 1 or 2, but got rho={rho}, power={power}.")
