"""The one loop of differentiable search: the only place that knows in which order the parts act."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from searchbench.cost import Cost
from searchbench.errors import BudgetExhausted
from searchbench.spaces.space import Architecture
from searchbench.strategies.differentiable.composition import Differentiable
from searchbench.strategies.differentiable.game import Game
from searchbench.strategies.strategy import Lab, Scenario, SplitName
from searchbench.strategies.supernet import batch_sizes, epochs_within
from searchbench.tasks.task import Batch


class DifferentiableSearch:
    """The live search. One slice is one epoch; what it would hand over is renewed after each."""

    def __init__(self, settings: Differentiable, scenario: Scenario) -> None:
        self._settings, self._scenario = settings, scenario
        self._game: Game | None = None
        self._restored: Mapping[str, Any] | None = None
        self._epoch = 0
        self._epochs: int | None = settings.weights.epochs

    @property
    def done(self) -> bool:
        return self._epochs is not None and self._epoch >= self._epochs

    def advance(self, lab: Lab) -> None:
        """One epoch. When the budget ends in it, what has been learnt so far is recommended."""
        game = self._begin(lab)
        try:
            losses = self._train(game)
        except BudgetExhausted:
            lab.recommend(self._architecture(game))
            raise
        self._epoch += 1
        lab.recommend(self._architecture(game))
        lab.log(epoch=self._epoch, **losses, **self._diagnostics(game))

    def state_dict(self) -> dict[str, Any]:
        state = self._restored if self._game is None else self._game.state_dict()
        return {"epoch": self._epoch, "epochs": self._epochs, "game": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._epoch, self._epochs = state["epoch"], state["epochs"]
        self._game, self._restored = None, state["game"]

    # -- before the first epoch ----------------------------------------------------------------------------------

    def _begin(self, lab: Lab) -> Game:
        if self._game is None:
            self._game = self._new_game(lab)
            if self._restored is not None:
                self._game.load_state_dict(dict(self._restored))
                self._restored = None
            if self._epochs is None:
                self._epochs = epochs_within(lab, self._epoch_price(self._game))
        self._game.lab = lab
        return self._game

    def _new_game(self, lab: Lab) -> Game:
        supernet, seeds = lab.supernet(), self._scenario.seeds
        weights = list(cast(nn.Module, supernet).parameters())
        generator = torch.Generator().manual_seed(seeds.torch_seed("policy", "alpha"))
        shape = len(supernet.options), supernet.options[0]
        alpha = self._settings.alphas.scale * torch.randn(shape, generator=generator)
        alpha = alpha.to(weights[0].device).requires_grad_()
        return Game(
            lab=lab,
            supernet=supernet,
            relax=self._settings.relax,
            alpha=alpha,
            weights=weights,
            weight_optimizer=self._settings.weights.optimizer(weights),
            alpha_optimizer=self._settings.alphas.optimizer([alpha]),
            rng=torch.Generator().manual_seed(seeds.torch_seed("search", "relaxation")),
        )

    def _epoch_price(self, game: Game) -> Cost:
        """Of an epoch as `_train` makes it."""
        size = self._settings.weights.batch_size
        train = batch_sizes(game.lab.samples("train"), size)
        valid = batch_sizes(game.lab.samples("valid"), size)
        price = game.lab.price(game.supernet, game.mixture("w"), train=sum(train))
        for at in range(self._settings.schedule.alpha_steps(0, len(train))):
            price += self._settings.hypergradient.price(game, train[at % len(train)], valid[at % len(valid)])
        return price

    # -- an epoch ------------------------------------------------------------------------------------------------

    def _train(self, game: Game) -> dict[str, float]:
        """One pass over the training split; returns the mean losses."""
        settings, losses = self._settings, {"w": [], "alpha": []}  # type: tuple[Differentiable, dict[str, list[float]]]
        assert self._epochs is not None
        settings.weights.set_rate(game.weight_optimizer, self._epoch, self._epochs)
        valid = _endless(game.lab, "valid", settings.weights.batch_size)
        for at, train in enumerate(game.lab.batches("train", settings.weights.batch_size)):
            for phase in settings.schedule.steps(self._epoch, at):
                step = self._weight_step(game, train) if phase == "w" else self._alpha_step(game, train, next(valid))
                losses[phase].append(step)
        return {f"{name}_loss": float(np.mean(losses[key])) for name, key in _NAMES if losses[key]}

    def _weight_step(self, game: Game, train: Batch) -> float:
        mixture = game.mixture("w")
        return game.lab.step(game.supernet, train, mixture, game.weight_optimizer, clip=self._settings.weights.clip)

    def _alpha_step(self, game: Game, train: Batch, valid: Batch) -> float:
        game.alpha_optimizer.zero_grad(set_to_none=True)
        loss = self._settings.hypergradient.fill(game, train, valid)
        game.alpha_optimizer.step()
        return loss

    # -- after it ------------------------------------------------------------------------------------------------

    def _weights(self, game: Game) -> npt.NDArray[np.float64]:
        with torch.no_grad():
            weights: Tensor = self._settings.relax.weights(game.alpha)
        return weights.double().cpu().numpy()

    def _architecture(self, game: Game) -> Architecture:
        return game.supernet.architecture(self._settings.discretise.path(self._weights(game)))

    def _diagnostics(self, game: Game) -> dict[str, float]:
        """Mean entropy of the decisions in nats, and how many skips would be handed over."""
        weights = self._weights(game)
        logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
        skips = self._architecture(game).values.count("skip_connect")
        return {"entropy": float(-(weights * logs).sum(-1).mean()), "skips": float(skips)}


_NAMES = (("train", "w"), ("valid", "alpha"))


def _endless(lab: Lab, split: SplitName, batch_size: int) -> Iterator[Batch]:
    """Minibatches of one pass after another."""
    while True:
        yield from lab.batches(split, batch_size)
