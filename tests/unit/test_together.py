"""Training together against training one by one: the same numbers, whatever the stack is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from searchbench.estimators.batches import Batches
from searchbench.estimators.together import Together, fit_together
from searchbench.estimators.training import Training, begin, fit, measure, order_seed, weights_seed
from searchbench.spaces.nasbench201.networks import CellNetworks
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.nasbench201.stacks import Stacks
from searchbench.spaces.networks import initialise
from searchbench.spaces.space import Space
from searchbench.tasks.task import Recipe, Split

RECIPE = Recipe(epochs=2, batch_size=32, lr=0.05, weight_decay=1e-3, bn_momentum=0.3)
CELLS = (
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|",
    "|avg_pool_3x3~0|+|avg_pool_3x3~0|skip_connect~1|+|nor_conv_3x3~0|nor_conv_3x3~1|avg_pool_3x3~2|",
    "|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|none~1|nor_conv_3x3~2|",
    "|nor_conv_1x1~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|nor_conv_1x1~0|nor_conv_1x1~1|nor_conv_1x1~2|",
    "|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
)
SKELETONS = {
    "one cell": nasbench201(channels=4, cells=1, stages=1),
    "two stages": nasbench201(channels=4, cells=2, stages=2),
    "long rows": nasbench201(channels=20, cells=1, stages=1),
}


def data(count: int = 100) -> Batches:
    rng = np.random.default_rng(0)
    targets = rng.integers(4, size=count)
    inputs = rng.normal(size=(count, 2, 7, 8)).astype(np.float32) + targets[:, None, None, None].astype(np.float32)
    return Batches(Split(inputs, targets))


def in_double(batches: Batches) -> Batches:
    batches.inputs = batches.inputs.double()
    return batches


def trainings(space: Space, seeds: tuple[int, ...] = (1,) * len(CELLS), recipe: Recipe = RECIPE) -> list[Training]:
    """One training per cell, in double precision: there only rounding of the last digits is left to differ."""
    networks = [space.builder().network(space.parse(cell), (2, 7, 8), 4) for cell in CELLS]
    return [
        begin(initialise(network, weights_seed(seed)).double(), recipe, seed)
        for network, seed in zip(networks, seeds, strict=True)
    ]


def state(network: nn.Module) -> Tensor:
    return torch.cat([v.flatten() for name, v in network.state_dict().items() if "num_batches" not in name])


@pytest.mark.parametrize("name", SKELETONS)
def test_training_together_gives_what_training_one_by_one_gives(name: str) -> None:
    space, batches, valid = SKELETONS[name], in_double(data()), in_double(data(60))
    together, alone = trainings(space), trainings(space)
    failures = fit_together(together, space.builder(), batches, 2, measure_on=valid, at_once=4)
    for training in alone:
        fit(training, batches, 2, measure_on=valid)
    assert failures == [None] * len(CELLS)
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.losses == pytest.approx(theirs.losses, abs=1e-5)
        assert ours.errors == theirs.errors
        assert measure(ours.network, valid) == theirs.errors[-1]


def test_weights_statistics_and_momenta_come_back_so_that_training_goes_on() -> None:
    space, batches = SKELETONS["two stages"], in_double(data())
    together, alone = trainings(space)[:4], trainings(space)[:4]
    fit_together(together, space.builder(), batches, 1)
    fit_together(together[:2], space.builder(), batches, 2)
    for training in together:
        fit(training, batches, 2)
    for training in alone:
        fit(training, batches, 2)
    for ours, theirs in zip(together, alone, strict=True):
        assert torch.allclose(state(ours.network), state(theirs.network), atol=1e-6)


def test_every_network_may_have_an_order_of_its_own() -> None:
    space, batches = SKELETONS["one cell"], in_double(data())
    seeds = (1, 2, 3, 1, 2, 3)
    together, alone = trainings(space, seeds), trainings(space, seeds)
    fit_together(together, space.builder(), batches, 2)
    for training in alone:
        fit(training, batches, 2)
    assert [t.losses for t in together] == [pytest.approx(t.losses, abs=1e-5) for t in alone]


def test_gradients_are_clipped_network_by_network() -> None:
    space, batches = SKELETONS["one cell"], in_double(data())
    recipe = Recipe(epochs=2, batch_size=32, lr=0.05, clip=0.3)
    together, alone = (trainings(space, recipe=recipe) for _ in range(2))
    fit_together(together, space.builder(), batches, 2)
    for training in alone:
        fit(training, batches, 2)
    for ours, theirs in zip(together[:4], alone[:4], strict=True):
        assert torch.allclose(state(ours.network), state(theirs.network), atol=1e-5)


def test_a_network_that_diverges_leaves_the_others_alone() -> None:
    space, batches, valid = SKELETONS["one cell"], in_double(data()), in_double(data(60))
    together, alone = trainings(space), trainings(space)
    for group in (together, alone):
        group[1].network.frame.stem.conv.weight.data.fill_(math.nan)
    failures = fit_together(together, space.builder(), batches, 2, measure_on=valid)
    assert [failure.reason if failure else None for failure in failures] == [None, "nan", None, None, None, None]
    assert "the training loss of epoch 1" in str(failures[1])
    assert together[1].losses == []
    for at in (0, 2, 3, 4, 5):
        fit(alone[at], batches, 2, measure_on=valid)
        assert together[at].losses == pytest.approx(alone[at].losses, abs=1e-5)
        assert together[at].errors == alone[at].errors


def test_a_passed_deadline_fails_what_is_unfinished() -> None:
    space = SKELETONS["one cell"]
    group = trainings(space)
    failures = fit_together(group, space.builder(), in_double(data()), 2, deadline=0.0)
    assert {failure.reason for failure in failures if failure} == {"timeout"}
    assert all(training.epochs == 0 for training in group)


def test_errors_in_training_are_counted_on_the_way() -> None:
    space, batches = SKELETONS["one cell"], in_double(data())
    one, alone = Together(trainings(space)[:1], space.builder()), trainings(space)[0]
    one.fit(batches, 1)
    predicted: list[Tensor] = []
    alone.network.register_forward_hook(lambda _, inputs, logits: predicted.append(logits.argmax(1)))
    wanted = [batch.targets for batch in batches.epoch(RECIPE.batch_size, order_seed(1, 0))]
    fit(alone, batches, 1)
    wrong = int((torch.cat(predicted) != torch.cat(wanted)).sum())
    assert one.train_errors[0] == [wrong / batches.count(RECIPE.batch_size)]


def test_trainings_of_one_stack_must_be_alike() -> None:
    space = SKELETONS["one cell"]
    group = trainings(space)[:2]
    fit(group[0], in_double(data()), 1)
    with pytest.raises(ValueError, match="one recipe and equally many epochs"):
        Together(group, space.builder())


def test_the_builder_says_that_it_stacks() -> None:
    assert isinstance(CellNetworks(SKELETONS["one cell"]), Stacks)
