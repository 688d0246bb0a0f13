"""The loop of ENAS: a phase of the weights, a phase of the controller, and the choice at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from searchbench.spaces.networks import Path, Supernet
from searchbench.spaces.recurrent.networks import LanguageModel
from searchbench.spaces.space import CARRYING_TRIES, Space
from searchbench.strategies.noted import Noted
from searchbench.strategies.oneshot.enas import PUBLISHED_RATIO, Enas
from searchbench.strategies.oneshot.enas_controllers import Drawn, Policy, controller_of
from searchbench.strategies.strategy import Lab, Scenario
from searchbench.strategies.supernet import epochs_within, mean_price
from searchbench.strategies.supernet_session import SupernetSession
from searchbench.tasks.task import Batch

LEAST_STEPS = 100
"""Steps of the controller below which what it draws is chance, as for logits of a differentiable search."""
FEW = f"decided by chance: the controller took fewer than {LEAST_STEPS} steps"
DRAWS = 64
"""Uniform paths that estimate the mean price of an epoch."""


@dataclass(slots=True, eq=False)
class Players:
    """The supernet and the controller, and what trains each."""

    space: Space
    supernet: Supernet
    weights: torch.optim.Optimizer
    controller: nn.Module
    policy: torch.optim.Optimizer
    generator: torch.Generator
    """Of the controller's draws."""

    def draw(self) -> Drawn:
        return cast(Policy, self.controller).draw(self.generator)

    def path(self, drawn: Drawn) -> Path:
        """What the supernet executes for a draw, which is in the order of the space's decisions."""
        options = (tuple(decision.values()) for decision in self.space.decisions)
        values = tuple(values[token] for values, token in zip(options, drawn.tokens, strict=True))
        return self.supernet.path(self.space.architecture(values))

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
        self._session = SupernetSession(settings.weights.epochs, self._new_players, self._affordable, fallback=scenario)
        self._baseline = settings.baseline
        self._chosen = False

    @property
    def done(self) -> bool:
        return self._chosen

    def advance(self, lab: Lab) -> None:
        """An epoch, or the choice."""
        players = self._session.begin(lab)
        if not self._session.over:
            noted = self._train(lab, players)
            reward, entropy = self._learn(lab, players)
            self._session.epoch += 1
            steps = self._session.epoch * self._steps(lab)
            few = {"caveat": FEW} if steps < LEAST_STEPS else {}
            lab.log(
                epoch=self._session.epoch,
                **noted.means("train"),
                reward=reward,
                entropy=entropy,
                controller_steps=float(steps),
                **few,
            )
        else:
            self._choose(lab, players)
            self._chosen = True

    def leaves(self, lab: Lab) -> Supernet:
        """The supernet, as it was trained."""
        return self._session.begin(lab).supernet

    def state_dict(self) -> dict[str, Any]:
        return {
            "session": self._session.state_dict(),
            "baseline": self._baseline,
            "chosen": self._chosen,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._session.load_state_dict(state["session"])
        self._baseline, self._chosen = state["baseline"], state["chosen"]

    def _new_players(self, lab: Lab) -> Players:
        seeds, supernet = self._scenario.seeds, lab.supernet()
        weights = self._settings.weights.optimizer(cast(nn.Module, supernet).parameters())
        controller = controller_of(self._scenario.space, seeds.torch_seed("policy"))
        beta, eps = self._settings.adam
        policy = torch.optim.Adam(controller.parameters(), self._settings.lr, betas=(beta, 0.999), eps=eps)
        generator = torch.Generator().manual_seed(seeds.torch_seed("search", "controller"))
        return Players(self._scenario.space, supernet, weights, controller, policy, generator)

    def _affordable(self, lab: Lab, players: Players) -> int:
        """Epochs of both phases that leave enough for the choice."""
        settings, rng, supernet = self._settings, self._scenario.seeds.rng("search", "prices"), players.supernet
        train = sum(lab.sizes("train", settings.weights.batch_size))
        infer = round(self._steps(lab) * settings.aggregate * self._reward_samples(lab))
        paths = [tuple(rng.integers(supernet.options).tolist()) for _ in range(DRAWS)]
        epoch = mean_price(lab.price(supernet, path, train=train, infer=infer) for path in paths)
        choice = settings.candidates * max(self._full(lab))
        final = mean_price(lab.price(supernet, path, infer=choice) for path in paths)
        left = lab.left()
        share = min((1 - getattr(final, axis) / much for axis, much in left.items() if much > 0), default=1.0)
        return epochs_within(lab, epoch, max(share, 0.0), afterwards=final)

    def _steps(self, lab: Lab) -> int:
        if self._settings.steps is not None:
            return self._settings.steps
        samples = PUBLISHED_RATIO * lab.samples("train")
        return max(1, round(samples / (self._settings.aggregate * self._reward_samples(lab))))

    def _reward_samples(self, lab: Lab) -> float:
        """Samples of a minibatch on which a draw is rewarded, in the mean."""
        return float(np.mean(self._full(lab)))

    def _full(self, lab: Lab) -> list[int]:
        """Samples of the minibatches of the next pass over the validation split; a smaller last one is left out."""
        sizes = lab.sizes("valid", min(self._settings.weights.batch_size, lab.samples("valid")))
        return sizes[:-1] if len(sizes) > 1 and sizes[-1] < max(sizes) else sizes

    def _train(self, lab: Lab, players: Players) -> Noted:
        """The phase of the weights: a fresh draw per minibatch; the controller is held."""
        settings = self._settings.weights
        settings.set_rate(players.weights, self._session.epoch, self._session.length)
        noted = Noted(self._scenario.space.reads)
        for batch in lab.batches("train", settings.batch_size):
            with torch.no_grad():
                path = players.path(players.draw())
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
                    reward = self._reward(lab, players, next(batches), players.path(drawn))
                    reward += settings.entropy * float(drawn.entropy.detach())
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
        """Minibatches of the validation split without end."""
        size = min(self._settings.weights.batch_size, lab.samples("valid"))
        while True:
            full = len(self._full(lab))
            yield from islice(lab.batches("valid", size), full)

    def _reward(self, lab: Lab, players: Players, batch: Batch, path: Path) -> float:
        return self._settings.reward.of(lab.infer(players.supernet, batch, path), batch.targets)

    def _choose(self, lab: Lab, players: Players) -> None:
        """The best of fresh draws that can learn, on the same validation minibatch; one that cannot is drawn anew."""
        batch = next(self._validation(lab))
        best: float | None = None
        with _held(players.supernet), torch.no_grad():
            for _ in range(self._settings.candidates):
                path = self._able(players)
                if path is None:  # the controller has come to nothing else; the design of the beginning stands
                    break
                value = self._settings.reward.minimised(self._reward(lab, players, batch, path))
                if best is None or value < best:
                    best = value
                    lab.recommend(players.supernet.architecture(path), value)

    def _able(self, players: Players) -> Path | None:
        """A draw that can learn, if there is one among many."""
        for _ in range(CARRYING_TRIES):
            path = players.path(players.draw())
            if self._scenario.space.carrying(players.supernet.architecture(path)):
                return path
        return None


def _descend(players: Players, loss: torch.Tensor) -> None:
    parameters = list(players.controller.parameters())
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    players.policy.step()


@contextmanager
def _held(supernet: Supernet) -> Iterator[None]:
    """Batch norms use the statistics of each minibatch; afterwards their own are as they were. Nothing is dropped."""
    modules = list(cast(nn.Module, supernet).modules())
    dropping = [module for module in modules if isinstance(module, LanguageModel) and module.training]
    buffers = list(cast(nn.Module, supernet).buffers())
    kept = [buffer.clone() for buffer in buffers]
    for module in dropping:
        module.training = False  # its own alone: the norms below it stay as they are
    try:
        yield
    finally:
        for module in dropping:
            module.training = True
        with torch.no_grad():
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.copy_(value)
