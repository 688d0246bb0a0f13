"""The training loop against closed forms, a loop written out, and its own promises."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import EvaluationFailed, StudyError
from searchbench.estimators.batches import Batches
from searchbench.estimators.training import (
    accumulate,
    begin,
    choose_device,
    failures_named,
    fit,
    learning_rate,
    measure,
    order_seed,
    scaled_rate,
    train_pass,
    training_cost,
    update,
    weights_seed,
)
from searchbench.spaces.networks import initialise
from searchbench.tasks.task import Batch, Recipe, Split

RECIPE = Recipe(epochs=4, batch_size=16, lr=0.1, lr_final=0.01, weight_decay=1e-3, bn_momentum=0.3)


def network(seed: int = 0) -> nn.Module:
    with torch.device("meta"):
        layers = (nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    return initialise(nn.Sequential(*layers), seed)


def data(count: int = 70) -> Batches:
    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=count)
    inputs = rng.normal(size=(count, 1, 4, 4)).astype(np.float32) + targets[:, None, None, None].astype(np.float32)
    return Batches(Split(inputs, targets))


def weights(module: nn.Module) -> Tensor:
    return torch.cat([value.double().flatten() for value in module.state_dict().values()])


def test_accumulate_adds_gradients_and_returns_the_loss() -> None:
    model, batch = network(), next(data().epoch(16, 0))
    loss = accumulate(model, batch.inputs, batch.targets)
    once = model[4].weight.grad.clone()
    accumulate(model, batch.inputs, batch.targets)
    assert torch.allclose(model[4].weight.grad, 2 * once)
    model.zero_grad()
    expected = F.cross_entropy(model(batch.inputs), batch.targets)
    expected.backward()
    assert loss == pytest.approx(expected.item())
    assert torch.allclose(model[4].weight.grad, once)


def test_accumulate_refuses_a_loss_that_is_not_finite() -> None:
    model = network()
    with pytest.raises(EvaluationFailed, match="nan: the training loss became nan"):
        accumulate(model, torch.full((4, 1, 4, 4), float("nan")), torch.zeros(4, dtype=torch.long))


def test_update_clips_the_norm_over_all_parameters_of_the_optimiser() -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [a]}, {"params": [b]}], lr=1.0)
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    update(optimizer, clip=1.0)
    assert torch.allclose(torch.cat([a, b]), -torch.tensor([0.6, 0.0, 0.8]), atol=1e-5)


def test_fit_equals_the_loop_written_out() -> None:
    batches, ours = data(), begin(network(), RECIPE, seed=5)
    fit(ours, batches, 4)
    theirs = network()
    theirs[1].momentum = 0.3
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4, eta_min=0.01)
    for epoch in range(4):
        for batch in batches.epoch(16, order_seed(5, epoch)):
            optimizer.zero_grad()
            F.cross_entropy(theirs(batch.inputs), batch.targets).backward()
            optimizer.step()
        schedule.step()
    assert torch.allclose(weights(ours.network), weights(theirs), atol=1e-5)
    assert ours.losses[-1] < ours.losses[0]


def test_fewer_epochs_are_exactly_the_beginning_of_more() -> None:
    whole, begun = begin(network(), RECIPE, 5), begin(network(), RECIPE, 5)
    fit(whole, data(), 4)
    fit(begun, data(), 2)
    assert begun.losses == whole.losses[:2]
    fit(begun, data(), 4)
    assert begun.losses == whole.losses
    assert torch.equal(weights(begun.network), weights(whole.network))


def test_seeds_decide_the_order_and_nothing_else_does() -> None:
    trainings = [begin(network(), RECIPE, seed) for seed in (1, 1, 2)]
    for number, training in enumerate(trainings):
        torch.manual_seed(number)
        fit(training, data(), 1)
    same, again, other = (weights(training.network) for training in trainings)
    assert torch.equal(same, again)
    assert not torch.equal(same, other)


def test_every_epoch_has_an_order_of_its_own() -> None:
    of_epochs = {order_seed(seed, epoch) for seed in (1, 2) for epoch in range(4)}
    assert len(of_epochs | {weights_seed(1), weights_seed(2)}) == 10
    first, second = (torch.cat([b.targets for b in data().epoch(16, order_seed(5, epoch))]) for epoch in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)


def test_the_learning_rate_is_that_of_darts() -> None:
    recipe = Recipe(epochs=50, batch_size=64, lr=0.025, lr_final=0.001)
    rates = [round(learning_rate(recipe, epoch), 7) for epoch in (0, 1, 25, 49)]
    assert rates == [0.025, 0.0249763, 0.013, 0.0010237]


def test_divergence_is_noticed_by_the_end_of_its_epoch() -> None:
    training = begin(network(), Recipe(epochs=3, batch_size=16, lr=1e30), 0)
    with pytest.raises(EvaluationFailed) as failure:
        fit(training, data(), 3)
    assert failure.value.reason == "nan"
    assert training.epochs <= 1


def test_a_deadline_in_the_past_ends_the_training_at_once() -> None:
    training = begin(network(), RECIPE, 0)
    with pytest.raises(EvaluationFailed, match="timeout: the time limit passed in epoch 1 of 4"):
        fit(training, data(), 4, deadline=time.monotonic() - 1)
    assert torch.equal(weights(training.network), weights(network()))


def test_errors_after_each_epoch_are_recorded_and_change_nothing() -> None:
    watched, alone = begin(network(), RECIPE, 0), begin(network(), RECIPE, 0)
    fit(watched, data(), 3, measure_on=data(33))
    fit(alone, data(), 3)
    assert len(watched.errors) == 3
    assert watched.errors[-1] == measure(alone.network, data(33))
    assert torch.equal(weights(watched.network), weights(alone.network))


def test_clip_and_label_smoothing_of_the_recipe_are_used() -> None:
    plain = begin(network(), RECIPE, 0)
    fit(plain, data(), 1)
    for change in ({"clip": 0.01}, {"label_smoothing": 0.2}, {"augment": ("flip",)}):
        training = begin(network(), Recipe(epochs=4, batch_size=16, lr=0.1, lr_final=0.01, **change), 0)
        fit(training, data(), 1)
        assert not torch.equal(weights(training.network), weights(plain.network))


def test_the_error_rate_counts_every_sample_in_evaluation_mode() -> None:
    model, batches = network(), data(71)
    model.train()
    error = measure(model, batches, batch_size=10)
    assert model.training
    model.eval()
    with torch.no_grad():
        wrong = int((model(batches.inputs).argmax(1) != batches.targets).sum())
    assert error == wrong / 71
    assert measure(model, batches) == error


def test_an_output_that_is_not_finite_is_a_failure() -> None:
    model = network()
    nn.init.constant_(model[4].bias, math.inf)
    with pytest.raises(EvaluationFailed, match="output is not finite"):
        measure(model, data())


def test_cost_counts_three_passes_a_training_sample_and_one_a_measured_one() -> None:
    cost = training_cost(macs=10, epochs=4, samples=50, subset=0.5, measured=7)
    assert (cost.evaluations, cost.epochs, cost.train_samples, cost.inference_samples) == (1, 2.0, 200, 7)
    assert cost.macs == 10 * (3 * 200 + 7)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "memory"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory"),
        (RuntimeError("shapes do not match"), "error"),
        (ZeroDivisionError("division by zero"), "error"),
    ],
)
def test_whatever_breaks_gets_its_reason(error: Exception, reason: str) -> None:
    with pytest.raises(EvaluationFailed) as failure, failures_named():
        raise error
    assert failure.value.reason == reason
    assert failure.value.__cause__ is error


def test_host_memory_that_cannot_be_had_is_a_memory_failure() -> None:
    with pytest.raises(EvaluationFailed) as failure, failures_named():
        torch.empty(2**60)
    assert failure.value.reason == "memory"


def test_what_a_user_wrote_wrong_is_not_a_failed_evaluation() -> None:
    with pytest.raises(StudyError), failures_named():
        raise StudyError("wrong")


def test_devices_are_checked() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(StudyError, match="`device` must be one of auto, cpu, cuda, but got 'tpu'"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(StudyError, match="PyTorch sees no CUDA device"):
            choose_device("cuda")


def test_a_step_that_fails_leaves_the_learning_rate_as_it_was() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    seen: list[float] = []

    def failing() -> None:
        with scaled_rate(optimizer, 0.1):
            seen.append(optimizer.param_groups[0]["lr"])
            raise EvaluationFailed("nan", "the loss became nan.")

    with pytest.raises(EvaluationFailed):
        failing()
    assert seen == [pytest.approx(0.05)]
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_the_loss_of_a_pass_is_the_mean_over_samples_whatever_their_minibatch() -> None:
    weight = nn.Parameter(torch.zeros(()))
    passed = [Batch(torch.ones(3), torch.zeros(3)), Batch(torch.full((1,), 5.0), torch.zeros(1))]
    mean = train_pass(
        lambda inputs: inputs + weight,
        torch.optim.SGD([weight], lr=0.0),
        passed,
        lambda outputs, targets: outputs.mean(),
        lambda: None,
    )
    assert float(mean) == 2.0


def test_the_error_of_a_training_is_its_last_unless_the_best_epoch_is_kept() -> None:
    for keeps, expected in ((False, 0.2), (True, 0.1)):
        training = begin(network(), replace(RECIPE, keep_best=keeps), 0)
        training.errors += [0.3, 0.1, 0.2]
        assert training.error == expected
