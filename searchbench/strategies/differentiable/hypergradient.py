"""Axis B: the gradient of the validation loss with respect to the architecture."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from searchbench.cost import Cost
from searchbench.errors import StudyError

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.networks import Mixed
    from searchbench.strategies.differentiable.game import Game
    from searchbench.tasks.task import Batch


class Hypergradient(Protocol):
    """Fills the architecture's gradient; the weights end as they began."""

    @property
    def unrolls(self) -> bool:
        """Whether it looks at the weights after a step, which needs every operation in the mixture."""

    @property
    def joint(self) -> bool:
        """Whether it fills the weights' gradients too, from the training minibatch."""

    @property
    def scores(self) -> bool:
        """Whether it needs a relaxation that draws single paths."""

    def fill(self, game: Game, train: Batch, valid: Batch | None) -> tuple[float, Mixed | None]:
        """Add to the gradients of the logits; returns the loss and the mixture it was taken at."""

    def price(self, game: Game, train: int, valid: int) -> Cost:
        """The (mean) charge of `fill` for minibatches of these sizes."""


@runtime_checkable
class Thorough(Protocol):
    """A hypergradient of which few steps mean something, because each measures much."""

    @property
    def least_steps(self) -> int:
        """Steps below which a choice is chance."""


@dataclass(frozen=True, slots=True)
class FirstOrder:
    """g = grad_alpha L_val(w, alpha) at the current weights.

    Source: Liu et al. 2019, section 2.3 (xi = 0).
    Differs: gradients of the weights are not computed where nobody reads them.
    """

    unrolls = joint = scores = False

    def fill(self, game: Game, train: Batch, valid: Batch | None) -> tuple[float, Mixed | None]:
        assert valid is not None
        if game.halted is not None:  # who stops goes by the weights' gradients too
            game.weight_optimizer.zero_grad(set_to_none=True)
        with game.frozen_weights() if game.halted is None else nullcontext():
            mixture = game.mixture("alpha")
            return game.lab.gradients(game.supernet, valid, mixture, game.outer_loss(mixture)), mixture

    def price(self, game: Game, train: int, valid: int) -> Cost:
        return game.price("alpha", train=valid)


@dataclass(frozen=True, slots=True)
class Unrolled:
    """Second order: the weights answer with one virtual step.

    w' = w - xi (mu m + grad_w L_train(w, alpha) + decay w);  v = grad_w' L_val(w', alpha)
    g = grad_alpha L_val(w', alpha) - xi [grad_alpha L_train(w + eps v) - grad_alpha L_train(w - eps v)]/(2 eps),
    eps = 0.01/||v||; xi is the weights' current rate unless given. Four passes instead of one.

    Source: Liu et al. 2019, equations 7 and 8, and the released code (momentum m and decay in the virtual step).
    Differs: the virtual step is the plain one with momentum also where the weights' own steps are Nesterov's. w is
        restored from a copy, to the bit. Running statistics of batch norms see the virtual weights too. Where
        paths are dropped, both sides of the difference drop the same.

    Raises:
        StudyError: `xi` is negative.
    """

    xi: float | None = None
    clip: float | None = None
    """Largest norm of the training gradient in the virtual step and of v; the second term of g is scaled down as the
    training gradient is (the released code for recurrent cells scales it up as well)."""
    unrolls = True
    joint = scores = False

    def __post_init__(self) -> None:
        if self.xi is not None and self.xi < 0:
            raise StudyError(f"the virtual step `xi` must not be negative, but got {self.xi}.")

    def fill(self, game: Game, train: Batch, valid: Batch | None) -> tuple[float, Mixed | None]:
        import torch

        assert valid is not None
        xi = float(game.weight_optimizer.param_groups[0]["lr"]) if self.xi is None else self.xi
        xi *= train.rate if self.xi is None else 1.0
        if xi == 0:
            return FirstOrder().fill(game, train, valid)
        kept = [w.detach().clone() for w in game.weights]
        try:
            xi_train = xi * _step_virtually(game, train, xi, self.clip)
            loss, mixture, direction = _validate(game, valid)
            _clip(direction, self.clip)
            norm = torch.stack([v.square().sum() for v in direction]).sum().sqrt()
            eps = 0.01 / norm if norm > 0 else norm
            with game.frozen_weights():
                drawn = game.rng.get_state()
                for sign in (1.0, -1.0):
                    game.rng.set_state(drawn)  # other drops on either side would be noise, divided by eps
                    _place(game, kept, direction, sign * eps)
                    _add(game, train, -sign * xi_train / (2 * eps) if norm > 0 else 0.0 * eps)
        finally:
            _place(game, kept, kept, 0.0)
            game.weight_optimizer.zero_grad(set_to_none=True)
        return loss, mixture

    def price(self, game: Game, train: int, valid: int) -> Cost:
        return game.price("alpha", train=3 * train) + game.price("alpha", train=valid)


def _clip(gradient: list[Tensor], clip: float | None) -> float:
    """Scale in place to a norm of at most `clip`; returns the factor."""
    import torch

    if clip is None:
        return 1.0
    norm = float(torch.stack([part.square().sum() for part in gradient]).sum().sqrt())
    factor = min(1.0, clip / (norm + 1e-6))
    for part in gradient:
        part.mul_(factor)
    return factor


def _step_virtually(game: Game, train: Batch, xi: float, clip: float | None) -> float:
    """Returns the factor by which the gradient was clipped."""
    import torch

    game.weight_optimizer.zero_grad(set_to_none=True)
    game.lab.gradients(game.supernet, train, game.mixture("w"))
    group = game.weight_optimizer.param_groups[0]
    factor = _clip([w.grad for w in game.weights if w.grad is not None], clip)
    with torch.no_grad():
        for w in game.weights:
            buffer = game.weight_optimizer.state[w].get("momentum_buffer")
            move = group["weight_decay"] * w
            if w.grad is not None:
                move = move + w.grad
            if buffer is not None:
                move = move + group["momentum"] * buffer
            w.sub_(xi * move)
    return factor


def _validate(game: Game, valid: Batch) -> tuple[float, Mixed, list[Tensor]]:
    """Adds grad_alpha L_val(w', alpha) to the logits' gradients; returns v = grad_w' as well."""
    import torch

    game.weight_optimizer.zero_grad(set_to_none=True)
    mixture = game.mixture("alpha")
    loss = game.lab.gradients(game.supernet, valid, mixture, game.outer_loss(mixture))
    return loss, mixture, [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in game.weights]


def _place(game: Game, weights: list[Tensor], direction: list[Tensor], factor: Tensor | float) -> None:
    """w <- weights + factor direction."""
    import torch

    with torch.no_grad():
        for w, kept, v in zip(game.weights, weights, direction, strict=True):
            w.copy_(kept if isinstance(factor, float) and factor == 0 else kept + factor * v)


def _add(game: Game, train: Batch, factor: Tensor) -> None:
    """Add `factor` grad_alpha L_train at the current weights to the logits' gradients."""
    logits = [game.alpha, *([] if game.beta is None else [game.beta])]
    before = [a.grad for a in logits]
    for a in logits:
        a.grad = None
    game.lab.gradients(game.supernet, train, game.mixture("alpha"))
    for a, so_far in zip(logits, before, strict=True):
        assert a.grad is not None
        a.grad = factor * a.grad if so_far is None else so_far + factor * a.grad


@dataclass(frozen=True, slots=True)
class JointGradient:
    """One backward pass of the training loss fills the gradients of both players.

    Source: Xie et al. 2019, "SNAS".
    """

    unrolls = scores = False
    joint = True

    def fill(self, game: Game, train: Batch, valid: Batch | None) -> tuple[float, Mixed | None]:
        game.weight_optimizer.zero_grad(set_to_none=True)
        mixture = game.mixture("both")
        return game.lab.gradients(game.supernet, train, mixture, game.outer_loss(mixture)), mixture

    def price(self, game: Game, train: int, valid: int) -> Cost:
        return game.price("both", train=train)


@dataclass(frozen=True, slots=True)
class ScoreFunction:
    """REINFORCE: g = -mean_m (R_m - b) grad_alpha log p(path_m) over `paths` paths on one validation minibatch.

    R = accuracy (target/cost)^power, the accuracy alone without a target; cost in `of`, as for `ExpectedCost`;
    b <- b + momentum (mean R - b).

    Source: Cai et al. 2019, "ProxylessNAS", section 3.3.2, and its code (momentum 0.99 on the newest mean).

    Raises:
        StudyError: a value is out of range.
    """

    paths: int = 10
    target: float | None = None
    power: float = 0.1
    momentum: float = 0.99
    of: str = "macs"
    unrolls = joint = False
    scores = True

    def __post_init__(self) -> None:
        if self.paths < 1 or (self.target is not None and self.target <= 0) or not 0 <= self.momentum <= 1:
            raise StudyError(f"REINFORCE needs paths >= 1, target > 0 and momentum in [0, 1], but got {self}.")

    def fill(self, game: Game, train: Batch, valid: Batch | None) -> tuple[float, Mixed | None]:
        import torch

        assert valid is not None
        probabilities = game.activated().detach()
        rewards, scores, errors = [], [], []
        for _ in range(self.paths):
            active = game.mixture("w").active
            assert active is not None
            path = tuple(op for (op,) in active)
            logits = game.lab.infer(game.supernet, valid, path)
            game.noted["alpha"].count(logits, valid.targets)
            accuracy = float((logits.argmax(1) == valid.targets).double().mean())
            cost = game.supernet.macs(path) if self.of == "macs" else game.latency(path)
            rewards.append(self.reward(accuracy, cost))
            errors.append(1.0 - accuracy)
            chosen = torch.tensor(path, device=game.alpha.device).unsqueeze(1)
            scores.append(torch.zeros_like(probabilities).scatter_(1, chosen, 1.0) - probabilities)
        mean = sum(rewards) / self.paths
        game.baseline = mean if game.baseline is None else game.baseline + self.momentum * (mean - game.baseline)
        gradient = torch.zeros_like(probabilities)
        for reward, score in zip(rewards, scores, strict=True):
            gradient -= (reward - game.baseline) * score / self.paths
        game.alpha.grad = gradient if game.alpha.grad is None else game.alpha.grad + gradient
        return sum(errors) / self.paths, None

    def reward(self, accuracy: float, cost: float) -> float:
        """Reward of one path."""
        return accuracy if self.target is None else accuracy * (self.target / cost) ** self.power

    def price(self, game: Game, train: int, valid: int) -> Cost:
        return game.price("w", infer=self.paths * valid)
