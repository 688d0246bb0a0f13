"""Axis R, continued: relaxations that draw, or that execute one operation of an edge while pretending to mix.

Those share one trick: `hard + (soft - soft.detach())` is exactly `hard` going forward and has the gradient of `soft`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from searchbench.errors import StudyError
from searchbench.strategies.differentiable.relaxation import masked_log_softmax, masked_softmax
from searchbench.strategies.differentiable.turn import Turn

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.networks import Mixed


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """`hard` going forward, to the bit; the gradient goes to `soft`."""
    return hard + (soft - soft.detach())


def gumbel(shape: tuple[int, ...], turn: Turn, like: Tensor) -> Tensor:
    """Draws of Gumbel(0, 1) = -log(-log U), finite always (U is kept away from 0 and 1)."""
    import torch

    uniform = torch.rand(shape, generator=turn.rng, dtype=torch.float64).clamp(1e-20, 1 - 1e-16)
    return (-(-uniform.log()).log()).to(like)


def one_hot(chosen: Tensor, like: Tensor) -> Tensor:
    """[decisions] -> [decisions, options]."""
    import torch

    return torch.zeros_like(like).scatter_(-1, chosen.unsqueeze(-1), 1.0)


@dataclass(frozen=True, slots=True)
class GumbelHard:
    """One operation per edge, drawn from softmax(alpha); p = softmax((log softmax(alpha) + g)/tau), g ~ Gumbel(0, 1),
    weight = onehot(argmax p) with the gradient of p.

    tau falls linearly from `first` in the first epoch to `last` in the last.

    Source: Dong & Yang 2019, "Searching for a robust neural architecture in four GPU hours" (GDAS).
    Differs: logits of operations that were not drawn get their gradient through the drawn one's weight only, as in
        the authors' code for the NASNet space; `extras.UndrawnAsScalars` adds what their other code does.

    Raises:
        StudyError: a temperature is not positive.
    """

    first: float = 10.0
    last: float = 0.1
    smooth = False
    probabilities = with_none = samples = True

    def __post_init__(self) -> None:
        _check_temperatures(self.first, self.last)

    def tau(self, epoch: int, epochs: int) -> float:
        """Temperature of an epoch, counted from 0."""
        return self.first + (self.last - self.first) * epoch / max(1, epochs - 1)

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return masked_softmax(alpha, turn)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        from searchbench.spaces.networks import Mixed

        logs = masked_log_softmax(alpha, turn)
        tau = self.tau(turn.moment.epoch, turn.moment.epochs)
        soft = ((logs + gumbel(tuple(alpha.shape), turn, alpha)) / tau).softmax(-1)
        chosen = soft.argmax(-1)
        weights = straight_through(one_hot(chosen, soft), soft)
        return Mixed(weights.unbind(0), tuple((op,) for op in chosen.tolist()))


@dataclass(frozen=True, slots=True)
class Concrete:
    """Z = softmax((log softmax(alpha) + g)/tau), g ~ Gumbel(0, 1), as soft weights: every operation is executed.

    tau falls linearly from `first`, by (first - last)/epochs per epoch.

    Source: Xie et al. 2019, "SNAS: stochastic neural architecture search".

    Raises:
        StudyError: a temperature is not positive.
    """

    first: float = 1.0
    last: float = 0.03
    smooth = samples = False
    probabilities = with_none = True

    def __post_init__(self) -> None:
        _check_temperatures(self.first, self.last)

    def tau(self, epoch: int, epochs: int) -> float:
        """Temperature of an epoch, counted from 0."""
        return self.first + (self.last - self.first) * epoch / epochs

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return masked_softmax(alpha, turn)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        return _concrete(alpha, self.tau(turn.moment.epoch, turn.moment.epochs), turn)


@dataclass(frozen=True, slots=True)
class CoolingConcrete:
    """`Concrete` whose temperature falls by one factor every epoch, first (last / first)^(e/E).

    Source: Wu et al. 2019, "FBNet", section 4.3: 5, times 0.956 in each of 90 epochs, 0.087 in the end.

    Raises:
        StudyError: a temperature is not positive.
    """

    first: float = 5.0
    last: float = 5.0 * 0.956**90
    smooth = samples = False
    probabilities = with_none = True

    def __post_init__(self) -> None:
        _check_temperatures(self.first, self.last)

    def tau(self, epoch: int, epochs: int) -> float:
        """Temperature of an epoch, counted from 0."""
        return float(self.first * (self.last / self.first) ** (epoch / epochs))

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return masked_softmax(alpha, turn)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        return _concrete(alpha, self.tau(turn.moment.epoch, turn.moment.epochs), turn)


def _concrete(alpha: Tensor, tau: float, turn: Turn) -> Mixed:
    """softmax((log softmax(alpha) + g)/tau), g ~ Gumbel(0, 1), every operation executed."""
    from searchbench.spaces.networks import Mixed

    soft = ((masked_log_softmax(alpha, turn) + gumbel(tuple(alpha.shape), turn, alpha)) / tau).softmax(-1)
    return Mixed(soft.unbind(0), turn.active)


@dataclass(frozen=True, slots=True)
class DirichletWeights:
    """w_e ~ Dir(beta_e), beta = elu(alpha) + 1, drawn anew at every step; every operation is executed. The gradient
    goes through the draw. Without noise, w = beta / sum beta, the mean.

    Source: Chen et al. 2021, "DrNAS: Dirichlet neural architecture search", sections 3.1 and 3.2.
    """

    smooth = samples = False
    probabilities = with_none = True

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        from searchbench.strategies.differentiable.dirichlet import concentration

        beta = concentration(alpha)
        beta = beta if turn.mask is None else beta * turn.mask
        return beta / beta.sum(-1, keepdim=True)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        from searchbench.spaces.networks import Mixed
        from searchbench.strategies.differentiable.dirichlet import concentration, draw

        drawn = draw(concentration(alpha), turn.mask, turn.rng)
        return Mixed(drawn.unbind(0), turn.active)


@dataclass(frozen=True, slots=True)
class BinaryGate:
    """One path: g = onehot(i), i ~ softmax(alpha); dL/dalpha_i ~ sum_j dL/dg_j p_j (delta_ij - p_i).

    On the architecture's turn, dL/dg_j = <dL/dout, o_j(x)> needs the outputs of several operations:

    * "full": of all;
    * "two": of two, drawn without replacement from p; probabilities are renormalised over the pair, one of them is
      active, and after the step both logits are shifted so that the probabilities of all others stay as they were.

    Where the active operation is a zero, `zero` says whether the edge's logits move, as this gradient has it, or are
    skipped in that step, as in the released code.

    Source: Cai et al. 2019, "ProxylessNAS", section 3.2.2, and its code.
    Differs: in "full", all operations' outputs are kept at once, which needs their memory.

    Raises:
        StudyError: an unknown mode.
    """

    mode: Literal["full", "two"] = "two"
    zero: Literal["moves", "skips"] = field(default="moves", metadata={"described": "unless default"})
    smooth = False
    probabilities = with_none = samples = True

    def __post_init__(self) -> None:
        if self.mode not in ("full", "two"):
            raise StudyError(f'`mode` must be "full" or "two", but got {self.mode!r}.')
        if self.zero not in ("moves", "skips"):
            raise StudyError(f'`zero` must be "moves" or "skips", but got {self.zero!r}.')

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return masked_softmax(alpha, turn)

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        from searchbench.spaces.networks import Mixed

        probabilities = masked_softmax(alpha, turn)
        if turn.phase == "w":
            chosen = drawn(probabilities, turn)
            return Mixed(one_hot(chosen, probabilities).unbind(0), tuple((op,) for op in chosen.tolist()))
        if self.mode == "full":
            gates = one_hot(drawn(probabilities, turn), probabilities)
            return Mixed(self._gated(gates, probabilities, turn).unbind(0), turn.active)
        return self._pair(alpha, turn)

    def _gated(self, gates: Tensor, soft: Tensor, turn: Turn) -> Tensor:
        """The gates with the gradient of `soft`, except where a zero is active and skips."""
        rows = gates.argmax(-1) == self._skipped(turn)
        return straight_through(gates, soft.where(~rows.unsqueeze(-1), soft.detach()))

    def _skipped(self, turn: Turn) -> int:
        """The operation at which an edge is skipped; -1 is none."""
        none = None if turn.topology is None else turn.topology.none
        return -1 if self.zero == "moves" or none is None else none

    def _pair(self, alpha: Tensor, turn: Turn) -> Mixed:
        from searchbench.spaces.networks import Mixed

        on_pair = drawn_pair(alpha, turn)
        shares = alpha.masked_fill(~on_pair, float("-inf")).softmax(-1)
        weights = self._gated(one_hot(drawn(shares, turn), shares), shares, turn)
        return Mixed(weights.unbind(0), executed(on_pair))

    def settle(self, alpha: Tensor, before: Tensor, mixture: Mixed, turn: Turn) -> None:
        """Settle, in mode "two": untouched logits go back to where they were (an optimiser's momentum moved them),
        and both of the pair are shifted by log(sum exp(new) / sum exp(old)) so that the other probabilities stay. In
        either mode, those of an edge that is skipped stay where they were."""
        if turn.phase != "alpha":
            return
        import torch

        for row, weights in enumerate(mixture.weights):
            if int(weights.argmax()) == self._skipped(turn):
                alpha[row] = before[row]
        if self.mode == "full":
            return
        assert mixture.active is not None
        for row, pair in enumerate(mixture.active):
            at = torch.tensor(list(pair), device=alpha.device)
            new = alpha[row, at]
            shift = new.logsumexp(0) - before[row, at].logsumexp(0)
            alpha[row] = before[row]
            alpha[row, at] = new - shift


@dataclass(frozen=True, slots=True)
class Proximal:
    """alpha-bar = prox(alpha): per edge 1 at the largest logit, else 0; then, where a space keeps some inputs per node,
    only on those edges of a node whose logit is largest. Logits live in [0, 1] and begin at 1/2.

    The weights' step executes the operations of weight 1; the architecture's step executes all, because the gradient
    at alpha-bar, which is applied to alpha, needs their outputs.

    Source: Yao et al. 2020, "Efficient neural architecture search via proximal iterations" (NASP).
    """

    smooth = probabilities = samples = False
    with_none = True

    def centre(self, options: int) -> float:
        return 0.5

    def weights(self, alpha: Tensor, turn: Turn) -> Tensor:
        return alpha if turn.mask is None else alpha * turn.mask

    def prox(self, alpha: Tensor, turn: Turn) -> Tensor:
        """[decisions, options] of zeros and ones."""
        import torch

        eligible = alpha.detach() if turn.mask is None else alpha.detach().masked_fill(~turn.mask, -1.0)
        z = one_hot(eligible.argmax(-1), alpha.detach())
        if turn.topology is not None and turn.topology.keeps is not None:
            best = eligible.amax(-1).tolist()
            for rows in turn.topology.nodes():
                kept = sorted(rows, key=lambda at: -best[at])[: turn.topology.keeps]
                dropped = torch.tensor([at for at in rows if at not in kept], dtype=torch.long, device=z.device)
                z[dropped] = 0.0
        return z

    def mixture(self, alpha: Tensor, turn: Turn) -> Mixed:
        from searchbench.spaces.networks import Mixed

        z = self.prox(alpha, turn)
        if turn.phase == "w":
            return Mixed(z.unbind(0), tuple(tuple(row.nonzero().flatten().tolist()) for row in z))
        return Mixed(straight_through(z, alpha).unbind(0), turn.active)

    def settle(self, alpha: Tensor, before: Tensor, mixture: Mixed, turn: Turn) -> None:
        """Clip to [0, 1]."""
        alpha.clamp_(0.0, 1.0)


def drawn_pair(alpha: Tensor, turn: Turn) -> Tensor:
    """[decisions, options], True for two options of every decision, drawn without replacement from softmax(alpha); for
    one where all others are pruned."""
    import torch

    # the two largest of log p + Gumbel are a draw of two without replacement
    noisy = masked_softmax(alpha, turn).detach().log() + gumbel(tuple(alpha.shape), turn, alpha)
    pair = noisy.topk(min(2, alpha.shape[-1]), -1).indices
    on_pair = torch.zeros_like(alpha, dtype=torch.bool).scatter_(-1, pair, True)
    return on_pair if turn.mask is None else on_pair & turn.mask


def executed(options: Tensor) -> tuple[tuple[int, ...], ...]:
    """Options [decisions, options] that are True, per decision."""
    return tuple(tuple(row.nonzero().flatten().tolist()) for row in options)


def drawn(probabilities: Tensor, turn: Turn) -> Tensor:
    """One option per decision, [decisions]."""
    import torch

    return (
        torch.multinomial(probabilities.detach().double().cpu(), 1, generator=turn.rng)
        .squeeze(-1)
        .to(probabilities.device)
    )


def _check_temperatures(first: float, last: float) -> None:
    if not (first > 0 and last > 0):
        raise StudyError(f"temperatures must be positive, but got first={first}, last={last}.")
