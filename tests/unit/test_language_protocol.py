"""The protocol by which language models are trained and judged: averaging, the best epoch, rolling back, lengths."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from searchbench.errors import EvaluationFailed, StudyError
from searchbench.estimators.judge import TrainJudge
from searchbench.estimators.passages import Passages
from searchbench.estimators.train import Train
from searchbench.estimators.training import begin, fit, measure, order_seed, weights_seed
from searchbench.estimators.watch import stalled
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import initialise
from searchbench.spaces.recurrent.darts_rnn import darts_rnn
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable.papers_recurrent import recurrent
from searchbench.strategies.differentiable.split import TaskSplit
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import Recipe, Tokens
from searchbench.tasks.text import descriptions, penn_treebank, wikitext2
from searchbench.trial import FULL

QUIET = {"dropout": 0.0, "dropout_hidden": 0.0, "dropout_inputs": 0.0, "dropout_embedded": 0.0, "dropout_words": 0.0}
SPACE = darts_rnn(nodes=3, units=6, network_units=6, slowness=0.0, **QUIET)
TASK = descriptions(tokens=900, measured=200, vocabulary=40, epochs=6, columns=4, test_columns=2, lr=1.0)
WORDS = 5
STEPS = 10
"""Of an epoch: a hundred targets in each stream, in passages of ten."""
RESTLESS = {"lr": 9.0, "clip": 2.0}
"""The second epoch is worse than the first, and averages are better than any."""


class Unigram(nn.Module):
    """The same logits everywhere; NaN in training passes `poisoned`, counted from 1."""

    def __init__(self, poisoned: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(WORDS))
        self.passes, self.poisoned = 0, poisoned

    def forward(self, passage):
        self.passes += self.training
        lost = self.training and self.passes in self.poisoned
        return self.logits.expand(passage.tokens.numel(), WORDS) * (math.nan if lost else 1.0)


def passages(seed=0, count=202, deviation=0.0, halved=0.0, bptt=10, columns=2):
    tokens = np.random.default_rng(seed).integers(WORDS, size=count)
    return Passages(Tokens(tokens, bptt, deviation, columns, halved))


def recipe(epochs=8, lr=1.0, **settings):
    given = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0} | settings
    return Recipe(epochs=epochs, batch_size=2, lr=lr, lr_final=lr, **given)


def trained(network, epochs=8, valid=None, **settings):
    training = begin(network, recipe(epochs, **settings), seed=3)
    fit(training, passages(), epochs, measure_on=passages(1) if valid is None else valid)
    return training


# -- the trigger -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "fires"),
    [
        ([9, 8, 7, 6, 5, 4], False),
        ([5, 9, 9, 9, 9, 9], False),  # five older values: none is older than five epochs
        ([5, 9, 9, 9, 9, 9, 9], True),
        ([5, 9, 9, 9, 9, 9, 5], False),  # equal is not above
        ([5, 9, 9, 9, 9, 9, 4, 6], True),
        ([9, 5, 9, 9, 9, 9, 8], False),  # above the least, which is only five epochs older
        ([9, 5, 9, 9, 9, 9, 8, 6], True),
        ([], False),
    ],
)
def test_the_trigger_fires_above_the_least_value_older_than_five_epochs(values, fires) -> None:
    assert stalled(values, 5) == fires


def test_weights_after_the_trigger_are_averaged_as_the_optimiser_of_the_library_does() -> None:
    at, epochs = 2, 5
    training = trained(Unigram(), epochs, average_after=0, **RESTLESS)
    assert training.watch.averaged_from == at
    network = Unigram()
    optimizer = torch.optim.SGD(network.parameters(), lr=9.0)
    iterates: list[torch.Tensor] = []
    for epoch in range(epochs):
        if epoch == at:
            optimizer = torch.optim.ASGD(network.parameters(), lr=9.0, lambd=0.0, t0=0)
        for batch in passages().epoch(2, order_seed(3, epoch)):
            optimizer.zero_grad()
            F.cross_entropy(network(batch.inputs), batch.targets).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimizer.step()
            iterates.append(network.logits.detach().clone())
    averaged = iterates[at * len(iterates) // epochs :]
    assert torch.allclose(training.network.logits, iterates[-1], atol=1e-6)
    assert torch.allclose(training.watch.measured.logits, torch.stack(averaged).mean(0), atol=1e-6)
    assert torch.allclose(optimizer.state[network.logits]["ax"], torch.stack(averaged[1:]).mean(0), atol=1e-6)
    assert training.errors[-1] == measure(training.watch.measured, passages(1)) != measure(network, passages(1))


def test_without_a_trigger_the_last_weights_are_measured() -> None:
    training = trained(Unigram(), epochs=3)
    assert training.watch.result() is training.network
    assert training.watch.metrics() == {}


# -- the best epoch ----------------------------------------------------------------------------------------------


def test_the_network_handed_over_is_that_of_the_best_epoch_and_training_goes_on_from_the_last() -> None:
    training = trained(Unigram(), epochs=6, keep_best=True, lr=20.0, clip=2.0)
    best = int(np.argmin(training.errors))
    assert best < 5
    short = trained(Unigram(), best + 1, lr=20.0, clip=2.0)
    assert torch.equal(training.watch.result().logits, short.network.logits)
    assert not torch.equal(training.network.logits, short.network.logits)
    assert training.error == training.errors[best] == measure(training.watch.result(), passages(1))
    assert training.watch.metrics() == {"best_epoch": best + 1.0, "rolled_back": 0.0}


@pytest.mark.parametrize("settings", [{}, {"keep_best": True}, {"keep_best": True, "average_after": 0}])
def test_training_in_two_parts_is_the_same_as_at_once(settings) -> None:
    given = RESTLESS | settings
    whole = trained(Unigram(), 6, **given)
    parts = begin(Unigram(), recipe(6, **given), seed=3)
    for epochs in (1, 3, 6):
        fit(parts, passages(), epochs, measure_on=passages(1))
    assert parts.errors == whole.errors
    assert torch.equal(parts.watch.result().logits, whole.watch.result().logits)


def test_a_loss_that_is_not_finite_rolls_back_to_the_best_epoch_and_spends_its_own() -> None:
    network = Unigram(poisoned=(3 * STEPS + 2,))
    training = trained(network, epochs=6, keep_best=True)
    clean = trained(Unigram(), epochs=3, keep_best=True)
    best = int(np.argmin(clean.errors))
    assert training.errors[:3] == clean.errors
    assert (training.errors[3], training.losses[3]) == (clean.errors[best], clean.losses[best])
    assert network.passes == 6 * STEPS
    assert training.epochs == 6
    assert training.watch.rolled_back == 1
    assert torch.isfinite(training.network.logits).all()
    again = begin(Unigram(), recipe(6), seed=3)
    again.network.load_state_dict(trained(Unigram(), best + 1).network.state_dict())
    again.losses += [0.0] * 4
    fit(again, passages(), 5, measure_on=passages(1))
    assert again.errors[-1] == training.errors[4]


def test_rolling_back_takes_the_averaged_weights_and_their_number_along() -> None:
    settings = {"keep_best": True, "average_after": 0, **RESTLESS}
    averaging = trained(Unigram(), epochs=3, **settings)
    assert averaging.watch.averaged_from == 2
    assert averaging.watch.best.epoch == 3
    lost = trained(Unigram(poisoned=(3 * STEPS + 1,)), epochs=4, **settings)
    assert lost.watch.rolled_back == 1
    assert torch.equal(lost.network.logits, averaging.watch.measured.logits)
    assert int(lost.watch._average.n_averaged) == int(averaging.watch._average.n_averaged) == STEPS
    assert torch.equal(lost.watch.measured.logits, averaging.watch.measured.logits)


def test_rolling_back_before_the_trigger_ends_the_averaging() -> None:
    settings = {"keep_best": True, "average_after": 0, **RESTLESS}
    assert trained(Unigram(), epochs=2, **settings).watch.averaged_from == 2
    training = trained(Unigram(poisoned=(2 * STEPS + 5,)), epochs=3, **settings)
    assert training.watch.rolled_back == 1
    assert training.watch.averaged_from is None
    assert training.watch.best.average is None
    assert training.watch.measured is training.network


def test_a_training_that_is_lost_in_its_first_epoch_has_nothing_to_go_back_to() -> None:
    with pytest.raises(EvaluationFailed, match="the training loss of epoch 1"):
        trained(Unigram(poisoned=(1,)), keep_best=True)


def test_without_keeping_the_best_a_lost_epoch_ends_the_training() -> None:
    with pytest.raises(EvaluationFailed, match="epoch 2"):
        trained(Unigram(poisoned=(11,)), average_after=5)


def test_an_infinite_perplexity_is_a_loss_that_exploded() -> None:
    network = Unigram()
    with torch.no_grad():
        network.logits[0] = 1e4
    with pytest.raises(EvaluationFailed, match="perplexity became inf"):
        measure(network, passages())


# -- in the estimator and the judge --------------------------------------------------------------------------------


def test_the_estimator_keeps_the_best_epoch_and_charges_every_measurement() -> None:
    estimator = Train(device="cpu").open(SPACE, TASK, Seeds("t", 0))
    cell = SPACE.sample(np.random.default_rng(0))
    measurement, cost = estimator.evaluate(cell, estimator.complete(FULL), seed=1)
    curve = [measurement.metrics[f"valid_perplexity_{epoch}"] for epoch in range(1, 7)]
    assert measurement.value == min(curve)
    assert measurement.metrics["best_epoch"] == 1 + int(np.argmin(curve))
    assert cost.inference_samples == 6 * (200 // 4 - 1) * 4
    assert cost == replace(estimator.price(cell, estimator.complete(FULL)), device_s=cost.device_s)


def test_the_judge_tests_the_best_epoch_in_its_own_streams_and_never_trains_on_what_validates() -> None:
    seeds, cell = Seeds("t", 0), SPACE.sample(np.random.default_rng(0))
    outcome = TrainJudge(device="cpu").open(SPACE, TASK, seeds).verdict(cell)
    data, seed = TASK.judge_data(seeds), seeds.seed("retrain", cell.key)
    network = initialise(SPACE.builder().network(cell, (), TASK.classes), weights_seed(seed))
    training = begin(network, TASK.recipe, seed)
    train, valid, test = (Passages(part) for part in (data.train, data.valid, data.test))
    fit(training, train, 6, measure_on=valid)
    assert outcome.test_error == measure(training.watch.result(), test)
    assert outcome.metrics["best_epoch"] == training.watch.best.epoch
    assert (data.test.columns, data.valid.columns) == (2, 4)
    assert outcome.cost.inference_samples == (200 // 2 - 1) * 2 + 6 * (200 // 4 - 1) * 4
    assert len(data.train) == 900
    assert not np.array_equal(data.valid.tokens, data.test.tokens)


def test_a_recipe_that_validates_is_refused_where_the_judge_keeps_nothing_to_validate_on(monkeypatch) -> None:
    monkeypatch.setattr(Digits, "recipe", Recipe(epochs=1, batch_size=8, lr=0.1, keep_best=True))
    with pytest.raises(StudyError, match="leave both out"):
        TrainJudge(device="cpu").open(nasbench201(channels=4, cells=1, stages=1), Digits(), Seeds("t", 0))


@pytest.mark.parametrize("wrong", [-1, 1.5, True])
def test_an_impossible_window_is_refused(wrong) -> None:
    with pytest.raises(StudyError, match="average_after"):
        descriptions(average_after=wrong)


# -- the published numbers -------------------------------------------------------------------------------------------


def test_the_recipe_of_texts_is_the_published_one() -> None:
    for task in (wikitext2(), penn_treebank()):
        assert task.recipe == Recipe(
            epochs=8000,
            batch_size=64,
            lr=20.0,
            lr_final=20.0,
            momentum=0.0,
            nesterov=False,
            weight_decay=8e-7,
            clip=0.25,
            average_after=5,
            keep_best=True,
        )
        assert (task.bptt, task.deviation, task.halved, task.columns, task.test_columns) == (35, 5.0, 0.05, 10, 1)


def test_the_search_of_recurrent_cells_has_the_published_settings() -> None:
    search = recurrent(STRATEGIES.factory("darts")())
    weights, alphas = search.weights, search.alphas
    assert (weights.batch_size, weights.lr, weights.lr_final, weights.clip) == (256, 20.0, 20.0, 0.25)
    assert (weights.weight_decay, weights.momentum) == (5e-7, 0.0)
    assert (alphas.lr, alphas.weight_decay, alphas.betas, alphas.scale) == (3e-3, 1e-3, (0.9, 0.999), 1e-3)
    assert search.split == TaskSplit()
    settings = darts_rnn().settings
    names = ("dropout", "dropout_hidden", "dropout_inputs", "dropout_embedded", "dropout_words", "slowness", "units")
    assert tuple(settings[name] for name in names) == (0.75, 0.25, 0.75, 0.2, 0.1, 1e-3, 300)


def lengths(text):
    return np.array([size // 2 for size in text.sizes(2, 7)][:-1])


def test_stand_alone_networks_read_passages_around_35_or_half_of_it() -> None:
    found = lengths(passages(count=400_000, bptt=35, deviation=5.0, halved=0.05))
    assert found.min() >= 5
    assert found.max() <= 55
    # int() of a normal draw lies half a token below it on average: 0.95 x 34.5 + 0.05 x 17
    assert found.mean() == pytest.approx(33.6, abs=4 * found.std() / math.sqrt(len(found)))
    assert (found < 22).mean() == pytest.approx(0.05 * 0.82 + 0.95 * 0.0047, abs=0.01)


def test_supernets_read_passages_of_35_or_17_tokens() -> None:
    found = lengths(passages(count=400_000, bptt=35, deviation=5.0, halved=0.05).unjittered())
    assert set(found) == {35, 17}
    assert (found == 17).mean() == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / len(found)))
    estimator = Train(device="cpu").open(SPACE, TASK, Seeds("t", 0))
    sizes = estimator.bench().sizes("train", 4, 0, (0.0, 1.0))
    assert set(sizes[:-1]) <= {4 * TASK.bptt, 4 * TASK.bptt // 2}


def test_perplexity_is_exp_of_the_mean_loss_over_passages_weighted_by_their_lengths() -> None:
    network, data = trained(Unigram(), epochs=2).network.eval(), passages(2, count=75, columns=1)
    total, seen = 0.0, 0
    for batch in data.in_order(1):
        total += F.cross_entropy(network(batch.inputs), batch.targets).item() * len(batch)
        seen += len(batch)
    assert seen == 74
    assert measure(network, data) == pytest.approx(math.exp(total / seen), rel=1e-6)
