"""The loop of ENAS: a phase of the weights, a phase of the controller, and the choice at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from searchbench.spaces.networks import Path, Supernet
from searchbench.spaces.space import Architecture
from searchbench.strategies.noted import Noted
from searchbench.strategies.oneshot.enas import PUBLISHED_RATIO, Enas
from searchbench.strategies.oneshot.enas_controllers import Drawn, Policy, controller_of
from searchbench.strategies.strategy import Lab, Scenario
from searchbench.strategies.supernet import epochs_within, mean_price
from searchbench.tasks.task import Batch

DRAWS = 64
"""Uniform paths that estimate the mean price of an epoch."""


@dataclass(slots=True, eq=False)
class Players:
    """The supernet and the controller, and what trains each."""

    supernet: Supernet
    weights: torch.optim.Optimizer
    controller: nn.Module
    policy: torch.optim.Optimizer
    generator: torch.Generator
    """Of the controller's draws."""

    def draw(self) -> Drawn:
        return cast(Policy, self.controller).draw(self.generator)

    def state_dict(self) -> dict[str, Any]:
        return {
            "supernet": cast(nn.Module, self.supernet).state_dict(),
            "weights": self.weights.state_dict(),
            "controller": self.controller.state_dict(),
            "policy": self.policy.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        cast(nn.Module, self.supernet).load_state_dict(state["supernet"])
        self.weights.load_state_dict(state["weights"])
        self.controller.load_state_dict(state["controller"])
        self.policy.load_state_dict(state["policy"])
        self.generator.set_state(state["generator"])


class EnasSearch:
    """The live search. A slice is an epoch of both phases; the last is the choice."""

    def __init__(self, settings: Enas, scenario: Scenario) -> None:
        self._settings, self._scenario = settings, scenario
        self._players: Players | None = None
        self._restored: Mapping[str, Any] | None = None
        self._epoch = 0
        self._epochs: int | None = settings.weights.epochs
        self._baseline: float | None = None
        self._chosen = False

    @property
    def done(self) -> bool:
        return self._chosen

    def advance(self, lab: Lab) -> None:
        """An epoch, or the choice."""
        players = self._begin(lab)
        assert self._epochs is not None
        if self._epoch < self._epochs:
            noted = self._train(lab, players)
            reward, entropy = self._learn(lab, players)
            self._epoch += 1
            lab.log(epoch=self._epoch, **noted.means("train"), reward=reward, entropy=entropy)
        else:
            self._choose(lab, players)
            self._chosen = True

    def state_dict(self) -> dict[str, Any]:
        return {
            "epoch": self._epoch,
            "epochs": self._epochs,
            "baseline": self._baseline,
            "chosen": self._chosen,
            "players": self._restored if self._players is None else self._players.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._epoch, self._epochs = state["epoch"], state["epochs"]
        self._baseline, self._chosen = state["baseline"], state["chosen"]
        self._players, self._restored = None, state["players"]

    def _begin(self, lab: Lab) -> Players:
        if self._players is None:
            seeds, supernet = self._scenario.seeds, lab.supernet()
            weights = self._settings.weights.optimizer(cast(nn.Module, supernet).parameters())
            controller = controller_of(self._scenario.space, seeds.torch_seed("policy"))
            policy = torch.optim.Adam(controller.parameters(), self._settings.lr, betas=(0.0, 0.999), eps=1e-3)
            generator = torch.Generator().manual_seed(seeds.torch_seed("search", "controller"))
            self._players = Players(supernet, weights, controller, policy, generator)
            if self._restored is not None:
                self._players.load_state_dict(self._restored)
                self._restored = None
            else:
                lab.recommend(self._scenario.space.sample(seeds.rng("init")))
            if self._epochs is None:
                self._epochs = self._affordable(lab, supernet)
        return self._players

    def _affordable(self, lab: Lab, supernet: Supernet) -> int:
        """Epochs of both phases that leave enough for the choice."""
        settings, rng = self._settings, self._scenario.seeds.rng("search", "prices")
        train = sum(lab.sizes("train", settings.weights.batch_size))
        infer = self._steps(lab) * settings.aggregate * self._reward_batch(lab)
        paths = [tuple(rng.integers(supernet.options).tolist()) for _ in range(DRAWS)]
        epoch = mean_price(lab.price(supernet, path, train=train, infer=infer) for path in paths)
        choice = settings.candidates * self._reward_batch(lab)
        final = mean_price(lab.price(supernet, path, infer=choice) for path in paths)
        left = lab.left()
        share = min((1 - getattr(final, axis) / much for axis, much in left.items() if much > 0), default=1.0)
        return epochs_within(lab, epoch, max(share, 0.0), afterwards=final)

    def _steps(self, lab: Lab) -> int:
        if self._settings.steps is not None:
            return self._settings.steps
        images = PUBLISHED_RATIO * lab.samples("train")
        return max(1, round(images / (self._settings.aggregate * self._reward_batch(lab))))

    def _reward_batch(self, lab: Lab) -> int:
        return min(self._settings.weights.batch_size, lab.samples("valid"))

    def _train(self, lab: Lab, players: Players) -> Noted:
        """The phase of the weights: a fresh draw per minibatch; the controller is held."""
        settings = self._settings.weights
        assert self._epochs is not None
        settings.set_rate(players.weights, self._epoch, self._epochs)
        noted = Noted()
        for batch in lab.batches("train", settings.batch_size):
            with torch.no_grad():
                path = players.draw().path
            loss = lab.step(players.supernet, batch, path, players.weights, noted.watching(), settings.clip)
            noted.losses.append(loss)
        return noted

    def _learn(self, lab: Lab, players: Players) -> tuple[float, float]:
        """The phase of the controller: weights are held, and the statistics of batch norms. Mean reward and entropy."""
        settings, rewards, entropies = self._settings, [], []
        batches = self._validation(lab)
        with _held(players.supernet):
            for _ in range(self._steps(lab)):
                loss = torch.zeros(())
                for _ in range(settings.aggregate):
                    drawn = players.draw()
                    accuracy = _accuracy(lab, players.supernet, next(batches), drawn.path)
                    reward = accuracy + settings.entropy * float(drawn.entropy.detach())
                    advantage = reward - self._moved_baseline(reward)
                    loss = loss - advantage * drawn.log_probability + settings.skip_weight * drawn.penalty
                    rewards.append(reward)
                    entropies.append(float(drawn.entropy.detach()))
                _descend(players, loss / settings.aggregate)
        return float(np.mean(rewards)), float(np.mean(entropies))

    def _moved_baseline(self, reward: float) -> float:
        decay = self._settings.decay
        self._baseline = reward if self._baseline is None else decay * self._baseline + (1 - decay) * reward
        return self._baseline

    def _validation(self, lab: Lab) -> Iterator[Batch]:
        """Minibatches of the validation split without end, each full."""
        size = self._reward_batch(lab)
        while True:
            yield from (batch for batch in lab.batches("valid", size) if len(batch) == size)

    def _choose(self, lab: Lab, players: Players) -> None:
        """The best of fresh draws, on the same validation minibatch."""
        batch = next(self._validation(lab))
        best: tuple[float, Architecture] | None = None
        with _held(players.supernet), torch.no_grad():
            for _ in range(self._settings.candidates):
                path = players.draw().path
                error = 1 - _accuracy(lab, players.supernet, batch, path)
                if best is None or error < best[0]:
                    best = error, players.supernet.architecture(path)
                    lab.recommend(best[1], error)


def _accuracy(lab: Lab, supernet: Supernet, batch: Batch, path: Path) -> float:
    return float((lab.infer(supernet, batch, path).argmax(1) == batch.targets).double().mean())


def _descend(players: Players, loss: torch.Tensor) -> None:
    parameters = list(players.controller.parameters())
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    players.policy.step()


@contextmanager
def _held(supernet: Supernet) -> Iterator[None]:
    """Batch norms use the statistics of each minibatch; afterwards their own are as they were."""
    buffers = list(cast(nn.Module, supernet).buffers())
    kept = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.copy_(value)
