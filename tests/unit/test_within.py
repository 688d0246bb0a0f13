"""A limit is kept by every move in a space, and by every finder of a one-shot search."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_lab import CLASSES, SHAPE, SPACE, lab

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.declared.constraint import Constraint, Measures, view
from searchbench.harness.running.loop import drive
from searchbench.spaces import SPACES
from searchbench.spaces.within import cheapest
from searchbench.strategies.evolution import RegularizedEvolution
from searchbench.strategies.local import LocalSearch
from searchbench.strategies.nsga2 import Nsga2
from searchbench.strategies.oneshot import Bounded, OneShot, RandomScreening, Recalibration, SposEvolution
from searchbench.strategies.oneshot.papers import fairnas
from searchbench.strategies.random import Random
from searchbench.strategies.supernet import SupernetTraining

NET = SPACE.builder().supernet(SHAPE, CLASSES)
ALL = sorted(NET.macs(NET.path(a)) for a in SPACE.enumerate())
FINDERS = {
    "evolution": SposEvolution(population=8, generations=2, keep=3, mutations=4, crossovers=4),
    "screening": RandomScreening(20, 0.5, 3),
    "nsga2": Bounded(Nsga2(("value", "macs", "-params"), 6), 24),
    "random": Bounded(Random(), 20),
    "local": Bounded(LocalSearch(), 20),
    "regularized": Bounded(RegularizedEvolution(6, 3), 20),
}


def macs(architecture):
    return NET.macs(NET.path(architecture))


def limited(limit, space=SPACE, shape=SHAPE, classes=CLASSES):
    return view(space, Constraint(macs=limit), Measures(space, shape, classes, None))


def short(finder):
    return OneShot(
        finder=finder,
        weights=SupernetTraining(epochs=1, batch_size=16),
        recalibration=Recalibration(1, 16),
    )


@pytest.mark.parametrize("name", FINDERS)
@pytest.mark.parametrize("quantile", [0.002, 0.3], ids=["tight", "loose"])
def test_everything_scored_and_handed_over_keeps_to_the_limit(name, quantile):
    limit = ALL[int(quantile * len(ALL))]
    metered = lab(space=limited(limit))
    search = short(FINDERS[name]).start(metered.scenario)
    assert drive(search, metered) == "finished"
    scored = list(search._finding.values)
    assert scored
    assert max(map(macs, [*scored, metered.final.architecture])) <= limit


def test_an_impossible_limit_is_said_with_the_least_there_is():
    with pytest.raises(StudyError, match=rf"at most {ALL[0] - 1:,}: the least found is {ALL[0]:,}"):
        limited(ALL[0] - 1)


def test_a_limit_that_only_the_cheapest_keep_to_is_met():
    rng, within = np.random.default_rng(1), limited(ALL[0])
    drawn = [within.sample(rng) for _ in range(20)]
    assert all(macs(a) == ALL[0] for a in drawn)


def test_legal_draws_are_uniform_over_what_is_legal():
    limit = ALL[len(ALL) // 2]
    rng, within = np.random.default_rng(0), limited(limit)
    drawn = [within.sample(rng) for _ in range(2000)]
    expected = np.mean([macs(a) for a in within.enumerate()])
    spread = np.std([macs(a) for a in within.enumerate()])
    assert abs(np.mean([macs(a) for a in drawn]) - expected) < 4 * spread / 2000**0.5


def test_the_smallest_of_a_space_too_large_to_list_is_found_by_descent():
    space = SPACES.factory("shuffle")()
    net = space.builder().supernet((3, 224, 224), 1000)
    smallest = cheapest(space, lambda a: net.macs(net.path(a)), np.random.default_rng(0))
    by_layer = [
        min(range(4), key=lambda op: net.macs(tuple(op if i == at else 0 for i in range(20)))) for at in range(20)
    ]
    assert net.path(smallest) == tuple(by_layer)


def test_the_published_limit_of_330m_leaves_room_in_the_shuffle_space():
    space = SPACES.factory("shuffle")()
    net = space.builder().supernet((3, 224, 224), 1000)
    within = limited(330_000_000, space, (3, 224, 224), 1000)
    rng = np.random.default_rng(0)
    drawn = [within.sample(rng) for _ in range(100)]
    children = [within.crossover(a, b, rng) for a, b in itertools.pairwise(drawn)]
    mutants = [within.redraw(a, 0.1, rng) for a in drawn]
    assert max(net.macs(net.path(a)) for a in drawn + children + mutants) <= 330_000_000
    assert len(set(drawn)) == 100


def test_a_limited_search_continued_from_a_checkpoint_equals_the_uninterrupted_one():
    strategy, space = short(replace(FINDERS["evolution"], generations=9)), limited(ALL[len(ALL) // 3])
    whole_lab = lab(space=space)
    whole = strategy.start(whole_lab.scenario)
    drive(whole, whole_lab)
    first = lab(space=space)
    search = strategy.start(first.scenario)
    search.advance(first), search.advance(first)
    file = io.BytesIO()
    torch.save({"search": search.state_dict(), "lab": first.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=False)
    second = lab(space=space)
    continued = strategy.start(second.scenario)
    continued.load_state_dict(state["search"])
    second.load_state_dict(state["lab"])
    drive(continued, second)
    assert continued._finding.values == whole._finding.values


def test_fairnas_weighs_error_macs_and_parameters():
    metered = lab(Budget(epochs=1000))
    strategy = fairnas(epochs=1, batch_size=8, recalibrate=1, population=6, generations=3)
    search = strategy.start(metered.scenario)
    assert drive(search, metered) == "finished"
    assert metered.trials == 24
    parents = search._finding.search._search.parents
    value, cost, params = zip(*(ranked.objectives for ranked in parents), strict=True)
    assert all(0 <= v <= 1 for v in value)
    assert [macs(r.architecture) for r in parents] == list(cost)
    assert all(p < 0 for p in params)
