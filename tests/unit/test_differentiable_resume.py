"""Searches that are killed and resumed, and the same parts on the DARTS space."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_lab import lab, scenario

from searchbench.cost import Budget
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.results.columns import first_difference
from searchbench.spaces.darts.space import darts as darts_space
from searchbench.strategies import STRATEGIES
from searchbench.tasks.task import Split

RESUMED = {
    "darts-fimt": {},
    "darts-admm": {},
    "darts-prime": {"clipped": True},
    "p-darts": {"keep": (3, 2, 1)},
    "pd-darts": {},
    "gdas": {},
    "nasp": {},
    "snas": {},
    "pc-darts": {"divisor": 3},
    "proxyless": {},
    "proxyless-reinforce": {},
    "darts-plus-rank": {"stable": 10},
    "darts-second-order": {},
    "r-darts-dp": {"drop": 0.4},
    "drnas-progressive": {"divisors": (3, 1)},
    "xnas": {},
    "manas-ls": {},
    "stacnas": {},
    "shapley-nas": {"samples": 1},
    "oles": {"window": 2, "threshold": 0.9, "order": ("alpha", "w")},
}


def strategy_of(name, epochs, **parameters):
    return STRATEGIES.factory(name)(epochs=epochs, batch_size=16, **parameters)


def finished(search, metered):
    drive(search, metered)
    return search, metered


def resumed(strategy, after):
    """A search saved to a file after some epochs, loaded again and finished."""
    first = lab()
    search = strategy.start(first.scenario)
    for _ in range(after):
        search.advance(first)
    file = io.BytesIO()
    torch.save({"search": search.state_dict(), "lab": first.state_dict()}, file)
    search.advance(first)  # what happens after the checkpoint must not reach it
    file.seek(0)
    state = torch.load(file, weights_only=False)
    second = lab()
    continued = strategy.start(second.scenario)
    continued.load_state_dict(state["search"])
    second.load_state_dict(state["lab"])
    return finished(continued, second)


def assert_same(one, other):
    (search_a, lab_a), (search_b, lab_b) = one, other
    assert str(lab_a.final.architecture) == str(lab_b.final.architecture)
    assert lab_a.spent.samples == lab_b.spent.samples
    assert first_difference(lab_a.traces.to_bytes(), lab_b.traces.to_bytes()) is None
    a, b = search_a._session.trained, search_b._session.trained
    assert torch.equal(a.alpha, b.alpha)
    assert torch.equal(a.mask, b.mask)
    for key, value in a.supernet.state_dict().items():
        assert torch.equal(value, b.supernet.state_dict()[key])


@pytest.mark.parametrize("name", RESUMED)
def test_a_killed_search_resumes_to_the_same_result_to_the_bit(name):
    strategy = strategy_of(name, 5, **RESUMED[name])
    whole = lab()
    assert_same(finished(strategy.start(whole.scenario), whole), resumed(strategy, 2))


def test_a_search_that_returns_to_an_earlier_epoch_resumes_to_the_same_result():
    strategy = strategy_of("darts-ada", 16, factor=0.01, begin=0)  # 0.01: returns as soon as two means can be compared
    whole = lab()
    one = finished(strategy.start(whole.scenario), whole)
    assert one[0]._progress.decay == 100.0
    assert_same(one, resumed(strategy, 11))


# -- the DARTS space ------------------------------------------------------------


def images(samples, seed):
    rng = np.random.default_rng(seed)
    targets = rng.integers(3, size=samples)
    inputs = rng.normal(size=(samples, 1, 8, 8)).astype(np.float32)
    inputs[np.arange(samples), 0, targets] += 1.5
    return Split(inputs, targets)


def cell_lab(space, replicate=0):
    bench = Bench(
        networks=space.builder(),
        train=Batches(images(16, 1)),
        valid=Batches(images(16, 2)),
        shape=(1, 8, 8),
        classes=3,
        augment=(),
        bn_momentum=0.1,
        device=torch.device("cpu"),
    )
    return MeteredLab(scenario(Budget(epochs=1000), space=space, replicate=replicate), None, "charge", bench)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("darts", {}),
        ("darts-prime", {"clipped": True}),
        ("darts-minus", {}),
        ("fair-darts", {}),
        ("p-darts", {"depths": (3, 3, 4)}),
        ("pc-darts", {}),
        ("gdas", {}),
        ("nasp", {}),
        ("proxyless", {"warmup": 0.0, "every": 1}),
    ],
)
def test_cells_of_the_darts_space_are_searched(name, parameters):
    space = darts_space(4, 3)
    metered = cell_lab(space)
    strategy = strategy_of(name, 3 if name == "p-darts" else 1, **parameters)
    assert strategy.unsupported(metered.scenario) is None
    drive(strategy.start(metered.scenario), metered)
    assert metered.final.architecture in space
    assert space.parse(str(metered.final.architecture)) == metered.final.architecture


def test_single_path_methods_cost_a_fraction_of_a_mixture_on_the_darts_space():
    space = darts_space(4, 3)
    macs = {}
    for name in ("darts", "gdas", "nasp"):
        metered = cell_lab(space)
        game = strategy_of(name, 1).start(metered.scenario)._begin(metered)
        macs[name] = game.price("w", train=1).macs
        active = game.mixture("w").active
        executed = 28 * 8 if active is None else sum(len(ops) for ops in active)
        assert executed == {"darts": 224, "gdas": 28, "nasp": 16}[name]
    assert macs["nasp"] < macs["gdas"] < macs["darts"] / 2


def test_a_threshold_needs_the_sparse_variant():
    strategy = strategy_of("fair-darts", 1, theta=0.6)
    assert "sparse variant" in strategy.unsupported(scenario(space=darts_space(4, 3)))
    space = darts_space(4, 3, sparse=True)
    metered = cell_lab(space)
    assert strategy.unsupported(metered.scenario) is None
    drive(strategy.start(metered.scenario), metered)
    assert metered.final.architecture in space
    assert space.carrying(metered.final.architecture)  # though nothing weighs 0.6 after one epoch


def test_weights_and_logits_live_where_their_optimisers_can_find_them():
    metered = cell_lab(darts_space(4, 3))
    host = strategy_of("pc-darts", 1)
    game = replace(host).start(metered.scenario)._begin(metered)
    held = [p for group in game.alpha_optimizer.param_groups for p in group["params"]]
    assert len(held) == 2
    assert held[0] is game.alpha
    assert held[1] is game.beta
