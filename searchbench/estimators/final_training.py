"""The live judge of `TrainJudge`: the final training of a replicate's architectures."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
from torch import nn

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed
from searchbench.estimators.batches import Batches
from searchbench.estimators.estimator import Keeper
from searchbench.estimators.passages import Passages, batches_of
from searchbench.estimators.training import (
    Training,
    begin,
    failures_named,
    fit,
    measure,
    peak_memory,
    training_cost,
    watch_memory,
    weights_seed,
    within_memory,
)
from searchbench.seeds import Seeds
from searchbench.spaces.networks import Networks, RegularisedNetworks, Shape, initialise
from searchbench.spaces.space import Architecture
from searchbench.tasks.task import JudgeData, Recipe
from searchbench.trial import Outcome, Status

Minibatches = Batches | Passages


@dataclass(frozen=True, slots=True, eq=False)
class FinalTraining:
    """The live judge of one replicate. The seed is of role "retrain" and keyed by the architecture, so the same
    architecture gets the same verdict whichever strategy hands it over."""

    networks: Networks
    recipe: Recipe
    width: float
    time_limit_s: float | None
    shape: Shape
    data: JudgeData
    device: torch.device
    seeds: Seeds
    halvings: int = 0
    """Of the minibatch, where a card's memory is too small for it."""
    keeper: Keeper | None = None
    """Of the training's state."""

    def kept_by(self, keeper: Keeper) -> FinalTraining:
        """The judge that leaves its training with a keeper after epochs, and continues from what is there."""
        return replace(self, keeper=keeper)

    def verdict(self, architecture: Architecture) -> Outcome:
        """Train, measure, and report; whatever breaks is a failed outcome with the reason."""
        started = time.perf_counter()
        watch_memory(self.device)
        cost = Cost()
        try:
            with failures_named():
                params, macs = self.networks.size(architecture, self.shape, self.data.classes, self.width)
                train, test = batches_of(self.data.train, self.device), batches_of(self.data.test, self.device)
                recipe, valid = self.recipe, self._valid()
                measured = len(test) + (0 if valid is None else recipe.epochs * len(valid))
                cost = training_cost(macs, recipe.epochs, train.count(recipe.batch_size), 1.0, measured)
                training = within_memory(recipe, self.halvings, partial(self._train, architecture, train, valid))
                started -= training.seconds
                error = measure(training.watch.result(), test)
        except EvaluationFailed as failure:
            return Outcome(
                cast(Status, failure.reason), math.nan, cost=self._spent(cost, started), error=failure.message
            )
        metrics = {
            **{f"test_{name}": value for name, value in test.metric.also(error).items()},
            "train_loss": training.losses[-1],
            "params": float(params),
            "macs": float(macs),
            **training.watch.metrics(),
            **({"batch_size": float(training.recipe.batch_size)} if training.recipe != recipe else {}),
        }
        return Outcome("ok", error, metrics, self._spent(cost, started))

    def _valid(self) -> Minibatches | None:
        """What the recipe decides by."""
        if not self.recipe.validates:
            return None
        assert self.data.valid is not None, "TrainJudge.open refuses tasks without"
        return batches_of(self.data.valid, self.device)

    def _train(
        self, architecture: Architecture, batches: Minibatches, valid: Minibatches | None, recipe: Recipe
    ) -> Training:
        seed = self.seeds.seed("retrain", architecture.key)
        training = begin(initialise(self._network(architecture), weights_seed(seed), self.device), recipe, seed)
        left = None if self.keeper is None else self.keeper.read()
        same = {"seed": seed, "batch_size": recipe.batch_size}  # of the same architecture
        if left is not None and {name: left.get(name) for name in same} == same:
            training.load_state_dict(left)
        began = time.monotonic() - training.seconds
        deadline = None if self.time_limit_s is None else began + self.time_limit_s

        def keep() -> None:
            if self.keeper is not None:
                spent = time.monotonic() - began
                self.keeper.write(lambda: {**training.state_dict(), **same, "seconds": spent})

        fit(training, batches, recipe.epochs, measure_on=valid, deadline=deadline, after_epoch=keep)
        return training

    def _network(self, architecture: Architecture) -> nn.Module:
        """Network to be judged, with an auxiliary classifier only if the recipe has one."""
        if not self.recipe.auxiliary:
            return self.networks.network(architecture, self.shape, self.data.classes, self.width)
        assert isinstance(self.networks, RegularisedNetworks), "TrainJudge.check refuses spaces without"
        return self.networks.regularised(architecture, self.shape, self.data.classes, self.width, auxiliary=True)

    def _spent(self, cost: Cost, started: float) -> Cost:
        return replace(cost, device_s=time.perf_counter() - started, peak_memory_bytes=peak_memory(self.device))
