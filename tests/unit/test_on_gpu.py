"""What only a GPU can show; skipped where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.estimators.train import Train
from searchbench.harness.lab import MeteredLab
from searchbench.harness.table_plan import TableJob, table_plan
from searchbench.harness.table_training import train_stack
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.spaces.networks import Mixed
from searchbench.strategies import STRATEGIES
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.task import Batch, Split

on_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device here"),
]
gpu = lambda test: on_gpu[0](on_gpu[1](test))  # noqa: E731


def bench(space: str, device: str, precision: str = "fp32") -> Bench:
    rng = np.random.default_rng(0)

    def images() -> Batches:
        inputs = rng.normal(size=(96, 1, 8, 8)).astype(np.float32)
        return Batches(Split(inputs, rng.integers(10, size=96)), torch.device(device))

    small = {"channels": 4, "cells": 3} if space == "darts" else {"channels": 4, "cells": 1, "stages": 2}
    builder = SPACES.factory(space)(**small).builder()
    return Bench(builder, images(), images(), (1, 8, 8), 10, ("crop",), 0.1, torch.device(device), precision)


def first_loss(space: str, device: str, precision: str = "fp32") -> float:
    """Loss of one uniform mixture on the first minibatch."""
    lent = bench(space, device, precision)
    supernet = lent.supernet(3)
    options = supernet.options
    weights = [torch.full((count,), 1 / count, device=device) for count in options]
    batch = next(lent.batches("train", 32, 5, (0.0, 1.0)))
    return lent.gradients(supernet, batch, Mixed(torch.stack(weights)), None)


@gpu
@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_a_supernet_computes_on_a_gpu_what_it_computes_on_a_cpu(space: str) -> None:
    on_cpu = first_loss(space, "cpu")
    assert first_loss(space, "cuda") == pytest.approx(on_cpu, rel=1e-3)
    assert first_loss(space, "cuda", "bf16") == pytest.approx(on_cpu, rel=5e-2)


@gpu
def test_augmentation_on_a_gpu_is_a_function_of_its_seed() -> None:
    def inputs(seed: int) -> torch.Tensor:
        batch: Batch = next(bench("nasbench201", "cuda").batches("train", 32, seed, (0.0, 1.0)))
        return batch.inputs.cpu()

    assert torch.equal(inputs(1), inputs(1))
    assert not torch.equal(inputs(1), inputs(2))


@gpu
@pytest.mark.parametrize("name", ["darts", "darts-second-order", "gdas", "snas", "pc-darts", "proxyless", "spos"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_search_runs_on_a_gpu(name: str, precision: str) -> None:
    space = SPACES.factory("nasbench201")(channels=4, cells=1, stages=2)
    scenario = Scenario(space, Seeds("gpu", 0, "me"), Budget(samples=3000), trains=True)
    lab = MeteredLab(scenario, None, "charge", bench("nasbench201", "cuda", precision))  # type: ignore[arg-type]
    search = STRATEGIES.factory(name)(epochs=2, batch_size=32).start(scenario)
    for _ in range(2):
        if not search.done:
            search.advance(lab)
    assert lab.final is not None


@gpu
def test_a_stack_trained_on_a_gpu_agrees_with_a_cpu_to_a_few_samples() -> None:
    plan = table_plan("nasbench201-digits")
    texts = next(plan.jobs()).architectures[:4]
    rows = [train_stack(TableJob(plan, texts, 0, device)) for device in ("cpu", "cuda")]
    gaps = [abs(a - b) for x, y in zip(*rows, strict=True) for a, b in zip(x.valid, y.valid, strict=True)]
    assert sorted(gaps)[len(gaps) // 2] <= 3 / 599


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(StudyError, match="`precision` must be one of fp32, bf16, but got 'fp8'"):
        Train(precision="fp8")


def test_bf16_changes_nothing_on_a_cpu() -> None:
    assert first_loss("nasbench201", "cpu", "bf16") == first_loss("nasbench201", "cpu")
