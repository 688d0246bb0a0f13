"""One job of a table: a stack of trainings, measured as they go. This file imports torch.

It reads the test split, so it runs in the processes that judge, where no search ever runs.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache

import torch

from searchbench.estimators.batches import Batches, pictures
from searchbench.estimators.together import Together
from searchbench.estimators.training import begin, choose_device, weights_seed
from searchbench.spaces.nasbench201.stacks import Stacks
from searchbench.spaces.networks import initialise
from searchbench.tables.building.plan import TableJob, TablePlan


@dataclass(frozen=True, slots=True)
class TrainedRow:
    """What one training left behind: accuracies in [0, 1] after each recorded epoch, NaN from where it diverged."""

    architecture: str
    repeat: int
    train: tuple[float, ...]
    """In training, over the minibatches of the epoch, each before its step."""
    valid: tuple[float, ...]
    test: tuple[float, ...]
    loss: tuple[float, ...]
    """Mean training loss of the epoch."""
    seconds: float
    """Processor time of the stack's training without measuring, in equal shares."""


@lru_cache(maxsize=2)
def _splits(plan: TablePlan, device: torch.device) -> tuple[Batches, Batches, Batches]:
    task, seeds = plan.make_task(), plan.seeds()
    search, judge = task.search_data(seeds), task.judge_data(seeds)
    return (
        Batches(pictures(search.train), device),
        Batches(pictures(search.valid), device),
        Batches(pictures(judge.test), device),
    )


def train_stack(job: TableJob) -> list[TrainedRow]:
    """Worker entry point: train a stack and measure it after every recorded epoch."""
    plan, device = job.plan, choose_device(job.device)
    train, valid, test = _splits(plan, device)
    together = _begin(job, device)
    measured: list[tuple[list[float], list[float]]] = []
    spent = 0.0
    for epoch in plan.recorded:
        started = time.process_time()
        together.fit(train, epoch)
        spent += time.process_time() - started
        measured.append((together.error_rates(valid), together.error_rates(test)))
    share = spent / len(job.architectures)
    return [_row(job, at, together, measured, share) for at in range(len(job.architectures))]


def _begin(job: TableJob, device: torch.device) -> Together:
    plan = job.plan
    space, task, seed = plan.make_space(), plan.make_task(), plan.seed(job.repeat)
    networks_of = space.builder()
    parsed = [space.parse(text) for text in job.architectures]
    networks = [networks_of.network(architecture, task.shape, task.classes) for architecture in parsed]
    assert isinstance(networks_of, Stacks), "a table is built of networks that train together"
    initialised = [initialise(network, weights_seed(seed), device) for network in networks]
    return Together([begin(network, plan.recipe, seed) for network in initialised], networks_of)


def _row(
    job: TableJob, at: int, together: Together, measured: list[tuple[list[float], list[float]]], seconds: float
) -> TrainedRow:
    losses, errors = together.trainings[at].losses, together.train_errors[at]
    alive = [epoch <= len(losses) for epoch in job.plan.recorded]

    def until_failure(values: list[float]) -> tuple[float, ...]:
        return tuple(value if ok else math.nan for value, ok in zip(values, alive, strict=True))

    reached = [min(epoch, len(losses)) - 1 for epoch in job.plan.recorded]
    return TrainedRow(
        architecture=job.architectures[at],
        repeat=job.repeat,
        train=until_failure([1.0 - errors[epoch] if losses else math.nan for epoch in reached]),
        valid=until_failure([1.0 - both[0][at] for both in measured]),
        test=until_failure([1.0 - both[1][at] for both in measured]),
        loss=until_failure([losses[epoch] if losses else math.nan for epoch in reached]),
        seconds=seconds,
    )
