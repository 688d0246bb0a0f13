"""What only a GPU can show; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
import torch

import searchbench as sb
from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.estimators.graphs import Graphs
from searchbench.estimators.train import Train
from searchbench.estimators.training import reproducible
from searchbench.harness.declared.components import describe
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.run import run_search
from searchbench.results.columns import read_trials
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.spaces.networks import Mixed
from searchbench.strategies import STRATEGIES
from searchbench.strategies.strategy import Scenario
from searchbench.tables.building.plan import TableJob, table_plan
from searchbench.tables.building.training import train_stack
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import Batch, Split, StoredSplit
from searchbench.trial import FULL

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
@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_inherited_weights_score_on_a_gpu_what_they_score_on_a_cpu(space: str) -> None:
    def losses(device: str) -> list[float]:
        lent = bench(space, device)
        scorer = lent.inherited(lent.supernet(3), 32, 2, 1)
        rng = np.random.default_rng(2)
        drawn = [lent.networks.space.sample(rng) for _ in range(8)]  # type: ignore[attr-defined]
        measured = [scorer.evaluate(a, scorer.complete(FULL), 0)[0] for a in drawn]
        assert measured == [scorer.evaluate(a, scorer.complete(FULL), 0)[0] for a in drawn]
        return [one.metrics["valid_loss"] for one in measured]

    assert losses("cuda") == pytest.approx(losses("cpu"), rel=1e-3)


@dataclass
class Bytes:
    """Images as bytes; `held` where they are decoded."""

    held: bool
    images = np.random.default_rng(0).integers(256, size=(50, 3, 8, 8), dtype=np.uint8)
    shape = images.shape
    levels = np.random.default_rng(1).normal(size=(3, 256)).astype(np.float32)

    def blocks(self, orders: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        return (self.images[order] for order in orders)


def minibatches_of(samples: Bytes | np.ndarray, device: str) -> list[torch.Tensor]:
    kind: Any = Split if isinstance(samples, np.ndarray) else StoredSplit
    split = kind(samples, np.arange(50) % 10)
    batches = Batches(split, device)
    return [batch.inputs.cpu() for batch in (*batches.epoch(16, 3, augment=("crop", "flip")), *batches.in_order(16))]


def test_images_kept_as_bytes_give_the_minibatches_of_floats() -> None:
    whole = minibatches_of(StoredSplit(Bytes(True), np.zeros(50, dtype=np.int64)).inputs, "cpu")  # type: ignore[arg-type]
    assert all(map(torch.equal, whole, minibatches_of(Bytes(True), "cpu")))


@gpu
@pytest.mark.parametrize("held", [True, False])
def test_images_kept_as_bytes_are_on_a_gpu_what_they_are_on_a_cpu(held: bool) -> None:
    assert all(map(torch.equal, minibatches_of(Bytes(held), "cpu"), minibatches_of(Bytes(held), "cuda")))


@gpu
def test_augmentation_on_a_gpu_is_a_function_of_its_seed() -> None:
    def inputs(seed: int) -> torch.Tensor:
        batch: Batch = next(bench("nasbench201", "cuda").batches("train", 32, seed, (0.0, 1.0)))
        return batch.inputs.cpu()

    assert torch.equal(inputs(1), inputs(1))
    assert not torch.equal(inputs(1), inputs(2))


@gpu
@pytest.mark.parametrize(
    "name", ["darts", "darts-second-order", "r-darts-dp", "gdas", "snas", "pc-darts", "proxyless", "spos"]
)
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


def gradients_of_passes(space: str, graphs: Graphs) -> list[torch.Tensor]:
    """Of both players in turns, six steps of the weights; then the running statistics."""
    lent = replace(bench(space, "cuda"), graphs=graphs)
    supernet = lent.supernet(3)
    weights = list(cast(torch.nn.Module, supernet).parameters())
    optimizer = torch.optim.SGD(weights, 0.05)
    alpha = torch.zeros((len(supernet.options), supernet.options[0]), device="cuda", requires_grad=True)
    found = []
    for at, batch in enumerate(list(lent.batches("train", 32, 5, (0.0, 1.0))) * 2):
        alpha.grad = None
        for weight in weights:
            weight.requires_grad_(False)
        lent.gradients(supernet, batch, Mixed((at * alpha + 1).softmax(-1).unbind(0)), None)
        assert alpha.grad is not None
        found.append(alpha.grad.clone())
        for weight in weights:
            weight.requires_grad_(True)
        optimizer.zero_grad(set_to_none=True)
        lent.gradients(supernet, batch, Mixed(alpha.detach().softmax(-1).unbind(0)), None)
        found += [weight.grad.clone() for weight in weights if weight.grad is not None]
        optimizer.step()
    return found + [b.double() for b in cast(torch.nn.Module, supernet).buffers()]


@gpu
@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_recorded_passes_have_the_gradients_and_statistics_of_passes_as_they_are(space: str) -> None:
    with reproducible(torch.device("cuda")):
        plain, recorded = (gradients_of_passes(space, Graphs(after)) for after in (None, 1))
    for a, b in zip(plain, recorded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


@gpu
def test_gradients_that_were_not_cleared_are_added_to_even_where_passes_are_recorded() -> None:
    lent = replace(bench("nasbench201", "cuda"), graphs=Graphs(0))
    supernet = lent.supernet(3)
    weights = list(cast(torch.nn.Module, supernet).parameters())
    mixture = Mixed(torch.full((6, 5), 0.2, device="cuda").unbind(0))
    batch = next(lent.batches("train", 32, 5, (0.0, 1.0)))
    lent.gradients(supernet, batch, mixture, None)
    once = [weight.grad.clone() for weight in weights if weight.grad is not None]
    lent.gradients(supernet, batch, mixture, None)
    twice = [weight.grad for weight in weights if weight.grad is not None]
    for a, b in zip(once, twice, strict=True):
        torch.testing.assert_close(2 * a, b, rtol=1e-4, atol=1e-5)


@gpu
def test_a_stack_trained_on_a_gpu_agrees_with_a_cpu_to_a_few_samples() -> None:
    plan = table_plan("nasbench201-digits")
    texts = next(plan.jobs()).architectures[:4]
    rows = [train_stack(TableJob(plan, texts, 0, device)) for device in ("cpu", "cuda")]
    gaps = [abs(a - b) for x, y in zip(*rows, strict=True) for a, b in zip(x.valid, y.valid, strict=True)]
    assert sorted(gaps)[len(gaps) // 2] <= 3 / 599


@gpu
@pytest.mark.parametrize(("halvings", "status"), [(0, "memory"), (6, "ok")])
def test_a_card_that_is_too_small_fails_the_trial_or_halves_its_batch_as_declared(halvings: int, status: str) -> None:
    space = sb.Use("nasbench201", channels=64, cells=3)
    train = sb.Use("train", epochs=1, batch_size=512, halvings=halvings, device="cuda")
    problem = sb.Problem(space, "digits", train, label="small card")
    (spec,) = plan(sb.Study("s", problem, ["random"], 1, sb.Budget(evaluations=1))).runs
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 4e8 / total))
    try:
        (trial,) = read_trials(run_search(spec).trials).to_pylist()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert trial["status"] == status
    if status == "memory":
        assert "too small for minibatches of 512 samples" in trial["error"]
    else:
        assert trial["metric_batch_size"] < 512


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(StudyError, match="`precision` must be one of fp32, bf16, but got 'fp8'"):
        Train(precision="fp8")


@pytest.mark.parametrize(("given", "after"), [({}, 8), ({"recorded": False}, None)])
def test_whether_passes_are_recorded_is_declared_and_tells_problems_apart(given: dict[str, bool], after: int) -> None:
    space, digits = SPACES.factory("nasbench201")(channels=4, cells=1, stages=1), Digits()
    opened = Train(epochs=1, **given).open(space, digits, Seeds("s", 0))
    assert opened.bench().graphs.after == after
    assert (describe(Train(epochs=1, **given)) == describe(Train(epochs=1))) == (not given)


def test_bf16_changes_nothing_on_a_cpu() -> None:
    assert first_loss("nasbench201", "cpu", "bf16") == first_loss("nasbench201", "cpu")
