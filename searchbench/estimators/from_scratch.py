"""The live estimator of `Train`: one run's trainings from scratch."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, StudyError
from searchbench.estimators.batches import Batches, side
from searchbench.estimators.bench import Bench
from searchbench.estimators.estimator import Asked
from searchbench.estimators.graphs import Graphs
from searchbench.estimators.passages import Passages, batches_of, for_supernets
from searchbench.estimators.recipes import check_subset
from searchbench.estimators.together import fit_together
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
from searchbench.spaces.nasbench201.stacks import Stacks
from searchbench.spaces.networks import Networks, Shape, initialise
from searchbench.spaces.space import Architecture
from searchbench.tasks.task import Recipe, SearchData
from searchbench.trial import FULL, Fidelity, Measurement

if TYPE_CHECKING:
    from searchbench.estimators.train import Train

KEPT_BYTES = 256 * 2**20
"""Unfinished trainings are kept for continuation up to this much memory, the latest first."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """A complete fidelity."""

    epochs: int
    subset: float
    width: float
    resolution: float


Minibatches = Batches | Passages


class FromScratch:
    """The live estimator of one run: holds train and validation data, and no way to any other.

    A continued evaluation (`resume`) gives exactly what training from scratch to the same fidelity gives, and is
    charged the additional epochs and its measurement. The latest unfinished trainings are kept in memory; one that was
    pushed out is repeated unseen, at the same charge, so that the record does not depend on memory.
    """

    def __init__(
        self,
        *,
        spec: Train,
        networks: Networks,
        recipe: Recipe,
        shape: Shape,
        data: SearchData,
        device: torch.device,
    ) -> None:
        self._spec, self._networks, self._recipe, self._shape = spec, networks, recipe, shape
        self._data, self._device = data, device
        self._splits: dict[float, tuple[Minibatches, Minibatches]] = {}
        self._kept: OrderedDict[tuple[Any, ...], Training] = OrderedDict()

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """Every open field at the spec's value.

        Raises:
            StudyError: epochs are not a whole number up to the full training's, or a subset is over 1.
        """
        at = self._setting(fidelity)
        return Fidelity(float(at.epochs), at.subset, at.width, at.resolution)

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """3 MACs for each of the network's per training sample, 1 per validation sample."""
        at = self._setting(fidelity)
        _, macs = self._size(architecture, at)
        train, valid = self._batches(at.resolution)
        epochs = at.epochs - self._done(at, resume)
        measurements = max(1, epochs) if self._measures_epochs else 1
        samples = train.count(self._recipe.batch_size, (0.0, at.subset))
        return training_cost(macs, epochs, samples, at.subset, measurements * len(valid))

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """Train with `seed` and measure. To continue exactly, `seed` must be that of the evaluation continued.

        Raises:
            EvaluationFailed: the training diverged, ran out of time or memory, or broke.
        """
        at, cost = self._setting(fidelity), self.price(architecture, fidelity, resume)
        started = time.perf_counter()
        watch_memory(self._device)
        with failures_named():
            training, error = self._train(architecture, at, seed, resume is not None)
        metrics = self._metrics(architecture, at, training, error)
        spent = replace(cost, device_s=time.perf_counter() - started, peak_memory_bytes=peak_memory(self._device))
        return Measurement(error, metrics), spent

    def evaluate_together(self, asked: Sequence[Asked]) -> list[tuple[Measurement, Cost] | EvaluationFailed]:
        """Train all in one graph, at one fidelity, and measure each.

        Raises:
            EvaluationFailed: what fails them all: time, memory, or something broke.
        """
        at, builder = self._setting(asked[0][1]), cast(Stacks, self._networks)
        limit, started = self._spec.time_limit_s, time.perf_counter()
        deadline = None if limit is None else time.monotonic() + limit
        train, valid = (cast(Batches, part) for part in self._batches(at.resolution))
        watch_memory(self._device)
        found: list[tuple[Measurement, Cost] | EvaluationFailed] = []
        with failures_named():
            trainings = [self._begin(architecture, at, seed, self._recipe) for architecture, _, seed in asked]
            failures = fit_together(
                trainings, builder, train, at.epochs, share=(0.0, at.subset),
                measure_on=valid if self._spec.curve else None, deadline=deadline, at_once=len(trainings),
            )  # fmt: skip
            for (architecture, _, seed), training, failure in zip(asked, trainings, failures, strict=True):
                found.append(failure or self._measured(architecture, at, seed, training, valid))
        each = (time.perf_counter() - started) / len(asked)
        peak = peak_memory(self._device)
        return [
            one
            if isinstance(one, EvaluationFailed)
            else (one[0], replace(one[1], device_s=each, peak_memory_bytes=peak))
            for one in found
        ]

    def _measured(
        self, architecture: Architecture, at: _Setting, seed: int, training: Training, valid: Batches
    ) -> tuple[Measurement, Cost] | EvaluationFailed:
        try:
            error = training.errors[-1] if self._spec.curve else measure(training.network, valid)
        except EvaluationFailed as failure:
            return failure
        if at.epochs < self._recipe.epochs:
            self._keep((architecture.values, seed, at.subset, at.width, at.resolution), training)
        fidelity = Fidelity(float(at.epochs), at.subset, at.width, at.resolution)
        metrics = self._metrics(architecture, at, training, error)
        return Measurement(error, metrics), self.price(architecture, fidelity)

    def bench(self) -> Bench:
        """This data and device, and the recipe's augmentation, for searches that train a supernet."""
        full = self._setting(FULL)
        train, valid = self._batches(full.resolution)
        return Bench(
            networks=self._networks,
            train=for_supernets(train),
            valid=for_supernets(valid),
            shape=self._shape_at(full),
            classes=self._data.classes,
            augment=self._recipe.augment,
            bn_momentum=self._recipe.bn_momentum,
            device=self._device,
            precision=self._spec.precision,
            graphs=Graphs() if self._spec.recorded else Graphs(after=None),
        )

    def _train(self, architecture: Architecture, at: _Setting, seed: int, resume: bool) -> tuple[Training, float]:
        limit = self._spec.time_limit_s
        deadline = None if limit is None else time.monotonic() + limit
        key = (architecture.values, seed, at.subset, at.width, at.resolution)
        kept = self._kept.pop(key, None) if resume else None
        train, valid = self._batches(at.resolution)
        curve = valid if self._measures_epochs else None

        def trained(recipe: Recipe) -> tuple[Training, float]:
            fits = kept is not None and kept.epochs <= at.epochs and kept.recipe == recipe
            training = kept if kept is not None and fits else self._begin(architecture, at, seed, recipe)
            fit(training, train, at.epochs, share=(0.0, at.subset), measure_on=curve, deadline=deadline)
            return training, training.error if self._measures_epochs else measure(training.network, valid)

        training, error = within_memory(self._recipe, self._spec.halvings, trained)
        if at.epochs < self._recipe.epochs:
            self._keep(key, training)
        return training, error

    @property
    def _measures_epochs(self) -> bool:
        return self._spec.curve or self._recipe.validates

    def _begin(self, architecture: Architecture, at: _Setting, seed: int, recipe: Recipe) -> Training:
        network = self._networks.network(architecture, self._shape_at(at), self._data.classes, at.width)
        return begin(initialise(network, weights_seed(seed), self._device), recipe, seed)

    def _keep(self, key: tuple[Any, ...], training: Training) -> None:
        self._kept[key] = training
        self._kept.move_to_end(key)
        while sum(_bytes(kept) for kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)

    def _metrics(self, architecture: Architecture, at: _Setting, training: Training, error: float) -> dict[str, float]:
        params, macs = self._size(architecture, at)
        metric = self._batches(at.resolution)[1].metric
        metrics = {
            **{f"valid_{name}": value for name, value in metric.also(error).items()},
            "train_loss": training.losses[-1],
            "train_loss_sum": sum(training.losses),
            "params": float(params),
            "macs": float(macs),
            **training.watch.metrics(),
            **({"batch_size": float(training.recipe.batch_size)} if training.recipe != self._recipe else {}),
        }
        return metrics | {f"valid_{metric.name}_{epoch}": e for epoch, e in enumerate(training.errors, start=1)}

    def _setting(self, fidelity: Fidelity) -> _Setting:
        spec, full = self._spec, self._recipe.epochs
        epochs = full if fidelity.epochs is None else fidelity.epochs
        if epochs != int(epochs) or not 1 <= epochs <= full:
            raise StudyError(
                f"train: a fidelity's `epochs` must be a whole number from 1 to {full} (the full training), "
                f"but got {epochs!r}; round it, or raise the estimator's `epochs`."
            )
        subset = spec.subset if fidelity.subset is None else fidelity.subset
        check_subset(subset)
        width = spec.width if fidelity.width is None else fidelity.width
        resolution = spec.resolution if fidelity.resolution is None else fidelity.resolution
        return _Setting(int(epochs), float(subset), float(width), float(resolution))

    def _done(self, at: _Setting, resume: Fidelity | None) -> int:
        """Epochs that are not charged again: those of an evaluation that differs in length only."""
        if resume is None:
            return 0
        before = self._setting(resume)
        same = replace(before, epochs=at.epochs) == at
        return before.epochs if same and before.epochs <= at.epochs else 0

    def _batches(self, resolution: float) -> tuple[Minibatches, Minibatches]:
        if resolution not in self._splits:
            self._splits[resolution] = (
                batches_of(self._data.train, self._device, resolution),
                batches_of(self._data.valid, self._device, resolution),
            )
        return self._splits[resolution]

    def _shape_at(self, at: _Setting) -> Shape:
        if not self._shape:
            return self._shape
        channels, height, width = self._shape
        return channels, side(height, at.resolution), side(width, at.resolution)

    def _size(self, architecture: Architecture, at: _Setting) -> tuple[int, int]:
        return self._networks.size(architecture, self._shape_at(at), self._data.classes, at.width)


def _bytes(training: Training) -> int:
    """Weights and momentum, and what is kept of epochs."""
    return (2 + training.watch.copies) * sum(p.numel() * p.element_size() for p in training.network.parameters())
