"""Axis B, continued: credit given to operations for what was measured with them, instead of a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from searchbench.cost import Cost
from searchbench.errors import StudyError

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.spaces.networks import Mixed
    from searchbench.strategies.differentiable.game import Game
    from searchbench.tasks.task import Batch


@dataclass(frozen=True, slots=True)
class Exp3:
    """g_eo = L_val(a) 1[a_e = o] / pi_eo for one drawn path a: each decision is an agent that sees its own draw and the
    common loss, and takes it for its operation's, weighed by how seldom that is drawn.

    Source: Carlucci et al. 2019, "MANAS: multi-agent neural architecture search", equation 6; Auer et al. 2002, "The
    nonstochastic multiarmed bandit problem".
    """

    unrolls = joint = False
    scores = True

    def fill(self, game: Game, train: Batch, valid: Batch | None) -> tuple[float, Mixed | None]:
        import torch

        assert valid is not None
        with torch.no_grad():
            policy = game.activated()
            path = _path(game)
            loss = _loss(game, valid, path)
            at = torch.tensor(path, device=policy.device).unsqueeze(1)
            credit = torch.zeros_like(policy).scatter_(1, at, loss / policy.gather(1, at))
        game.alpha.grad = credit if game.alpha.grad is None else game.alpha.grad + credit
        return loss, None

    def price(self, game: Game, train: int, valid: int) -> Cost:
        return game.price("w", infer=valid)


@dataclass(frozen=True, slots=True)
class LinearCredit:
    """B = argmin over beta of sum_s (L_val(a_s) - beta . z_s)^2 over all paths measured so far, z_s their one-hot
    [decisions x options]; of all solutions the one of least norm. Fills the gradient with B, which `Assigned` takes.

    Source: Carlucci et al. 2019, "MANAS", equations 4 and 5.
    """

    unrolls = joint = scores = False

    def fill(self, game: Game, train: Batch, valid: Batch | None) -> tuple[float, Mixed | None]:
        import torch

        assert valid is not None
        path = _path(game)
        loss = _loss(game, valid, path)
        shape = game.alpha.shape
        z = torch.zeros(shape, dtype=torch.float64)
        z[range(len(path)), list(path)] = 1.0
        z = z.flatten()
        outer, mixed = (z.new_zeros(len(z), len(z)), torch.zeros_like(z)) if game.credit is None else game.credit
        game.credit = outer, mixed = outer + torch.outer(z, z), mixed + loss * z
        credit = (torch.linalg.pinv(outer, hermitian=True) @ mixed).view(shape).to(game.alpha)
        game.alpha.grad = credit
        return loss, None

    def price(self, game: Game, train: int, valid: int) -> Cost:
        return game.price("w", infer=valid)


@dataclass(frozen=True, slots=True)
class Shapley:
    """Shapley values of the operations, whose worth together is the supernet's accuracy on a minibatch.

    Operations are taken out one by one in each of `samples` random orders, until the accuracy is below `threshold` of
    the whole supernet's; an operation's value is the mean minus the standard deviation of what its leaving cost.
    Values of a cell type are brought to mean 0 and standard deviation 1, s; then
    m <- momentum m + (1 - momentum) s and g = -m.

    Source: Xiao et al. 2022, "Shapley-NAS: discovering operation contribution for neural architecture search",
    section 3.3, and its code.

    Raises:
        StudyError: a value is out of range.
    """

    samples: int = 10
    threshold: float = 0.5
    momentum: float = 0.8
    least_steps: int = 5
    """Steps below which a choice is chance; the paper takes 25."""
    unrolls = joint = scores = False

    def __post_init__(self) -> None:
        if self.samples < 1 or not 0 <= self.threshold <= 1 or not 0 <= self.momentum < 1:
            raise StudyError(
                f"Shapley values need samples >= 1, threshold in [0, 1] and momentum in [0, 1), but got {self}."
            )

    def fill(self, game: Game, train: Batch, valid: Batch | None) -> tuple[float, Mixed | None]:
        import torch

        assert valid is not None
        players = game.mask.nonzero().tolist()
        orders = [torch.randperm(len(players), generator=game.rng).tolist() for _ in range(self.samples)]
        whole = torch.ones_like(game.mask)
        accuracy = _accuracy(game, valid, whole)
        values = torch.stack([self._marginals(game, valid, players, order, accuracy) for order in orders])
        worth = values.mean(0) - values.std(0, correction=0)
        standard = torch.zeros_like(worth)
        for cell in game.topology.cells:
            rows = torch.tensor(game.topology.rows(cell))
            inside = game.mask[rows].cpu()
            found = worth[rows][inside]
            standard[rows] = standard[rows].masked_scatter(inside, (found - found.mean()) / _spread(found))
        before = torch.zeros_like(standard) if game.credit is None else game.credit
        game.credit = self.momentum * before + (1 - self.momentum) * standard
        game.alpha.grad = -game.credit.to(game.alpha)
        return 1.0 - accuracy, None

    def _marginals(
        self, game: Game, valid: Batch, players: Sequence[Sequence[int]], order: Sequence[int], whole: float
    ) -> Tensor:
        """[decisions, options]: what each operation's leaving cost, in this order."""
        import torch

        found = torch.zeros(game.mask.shape, dtype=torch.float64)
        kept, before = torch.ones_like(game.mask), whole
        for at in order:
            edge, option = players[at]
            kept[edge, option] = False
            now = _accuracy(game, valid, kept)
            found[edge, option] = before - now
            before = now
            if now < self.threshold * whole:
                break
        return found

    def price(self, game: Game, train: int, valid: int) -> Cost:
        # operations leave in random order, so that half of them work on average, on all of the samples
        looks = 1 + self.samples * int(game.mask.sum())
        whole = game.price("alpha", infer=looks * valid)
        return replace(whole, macs=ceil(whole.macs / 2))


def _path(game: Game) -> tuple[int, ...]:
    """A path, drawn as on the weights' turn."""
    active = game.mixture("w").active
    assert active is not None, "a relaxation that draws paths"
    return tuple(op for (op,) in active)


def _loss(game: Game, valid: Batch, path: tuple[int, ...]) -> float:
    import torch.nn.functional as F

    logits = game.lab.infer(game.supernet, valid, path)
    game.noted["alpha"].count(logits, valid.targets)
    return float(F.cross_entropy(logits, valid.targets))


def _accuracy(game: Game, valid: Batch, kept: Tensor) -> float:
    """Accuracy of the supernet with these operations alone, their weights as in the whole."""
    logits = game.lab.infer(game.supernet, valid, game.reduced(kept))
    return float((logits.argmax(1) == valid.targets).double().mean())


def _spread(values: Tensor) -> float:
    """Standard deviation; 1 where all are alike, so that their distance from the mean, 0, stays."""
    spread = float(values.std()) if len(values) > 1 else 0.0
    return spread or 1.0
