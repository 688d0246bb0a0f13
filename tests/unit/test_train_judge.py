"""The judge that trains."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from searchbench.estimators import JUDGES
from searchbench.estimators.batches import Batches
from searchbench.estimators.final_training import FinalTraining
from searchbench.estimators.judge import TrainJudge
from searchbench.estimators.training import begin, fit, measure, weights_seed
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import initialise
from searchbench.spaces.space import Architecture
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import Recipe

SPACE = nasbench201(channels=4, cells=1, stages=1)
SEEDS = Seeds("study", 0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def opened(seeds: Seeds = SEEDS, **settings: object) -> FinalTraining:
    return TrainJudge(**{"epochs": 2, "device": "cpu"} | settings).open(SPACE, Digits(), seeds)  # type: ignore[arg-type]


def cell() -> Architecture:
    return SPACE.parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|")


def test_the_verdict_is_the_test_error_after_training_on_train_and_valid() -> None:
    outcome = opened(epochs=3).verdict(cell())
    data, recipe = Digits().judge_data(SEEDS), Digits().recipe
    recipe = Recipe(epochs=3, batch_size=recipe.batch_size, lr=recipe.lr, weight_decay=recipe.weight_decay)
    seed = SEEDS.seed("retrain", cell().key)
    network = initialise(SPACE.builder().network(cell(), (1, 8, 8), 10), weights_seed(seed))
    training = begin(network, recipe, seed)
    fit(training, Batches(data.train), 3)
    assert outcome.status == "ok"
    assert outcome.test_error == measure(network, Batches(data.test))
    assert outcome.metrics["train_loss"] == training.losses[-1]
    assert outcome.metrics["test_accuracy"] == 1 - outcome.test_error


def test_judging_costs_the_epochs_over_train_and_valid_and_one_pass_over_test() -> None:
    cost, data = opened().verdict(cell()).cost, Digits().judge_data(SEEDS)
    _, macs = SPACE.builder().size(cell(), (1, 8, 8), 10)
    assert (cost.epochs, cost.train_samples, cost.inference_samples) == (2.0, 2 * len(data.train), len(data.test))
    assert cost.macs == macs * (3 * cost.train_samples + cost.inference_samples)
    assert cost.device_s > 0


def test_the_same_architecture_gets_the_same_verdict_whatever_was_judged_before() -> None:
    judge = opened()
    judge.verdict(SPACE.sample(SEEDS.rng("search")))
    again, first = judge.verdict(cell()), opened(Seeds("study", 0, private="darts")).verdict(cell())
    assert (again.test_error, again.metrics) == (first.test_error, first.metrics)


def test_another_replicate_retrains_with_another_seed() -> None:
    assert opened().verdict(cell()).metrics != opened(Seeds("study", 1)).verdict(cell()).metrics


def test_width_multiplies_the_channels_of_what_is_judged() -> None:
    params, _ = SPACE.builder().size(cell(), (1, 8, 8), 10, 2.0)
    assert opened(width=2, epochs=1).verdict(cell()).metrics["params"] == params


@pytest.mark.parametrize(("settings", "status"), [({"lr": 1e30}, "nan"), ({"time_limit_s": 1e-9}, "timeout")])
def test_a_training_that_fails_is_an_outcome_with_its_reason_and_cost(settings: dict[str, float], status: str) -> None:
    outcome = opened(**settings).verdict(cell())
    assert outcome.status == status
    assert math.isnan(outcome.test_error)
    assert outcome.error
    assert outcome.cost.train_samples > 0


def test_a_network_that_cannot_be_built_is_an_outcome_too(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = opened()

    def broken(*_: object) -> None:
        raise ValueError("no such operation")

    monkeypatch.setattr(type(judge.networks), "network", broken)
    outcome = judge.verdict(cell())
    assert (outcome.status, outcome.error) == ("error", "ValueError: no such operation")


def test_the_judge_is_registered() -> None:
    assert JUDGES.factory("train")(epochs=3) == TrainJudge(epochs=3)
