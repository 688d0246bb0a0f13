"""What is handed over can learn: something of the input arrives at the output."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_differentiable_darts import cell_lab
from tiny_lab import lab, scenario

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.harness.running.loop import drive
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.spaces.darts.space import darts as darts_space
from searchbench.spaces.graphs.hierarchical import hierarchical
from searchbench.spaces.graphs.nasbench101 import nasbench101
from searchbench.spaces.nasbench201.space import TOPOLOGY, nasbench201
from searchbench.spaces.networks import initialise
from searchbench.spaces.topology import Edge, Topology
from searchbench.strategies.differentiable import ArgmaxPerEdge, Threshold, TopEdges
from searchbench.strategies.differentiable.discretise import path_of
from searchbench.strategies.differentiable.papers import darts, fair_darts
from searchbench.strategies.evolution import RegularizedEvolution
from searchbench.strategies.oneshot.enas import enas
from searchbench.strategies.oneshot.engine import Watched
from searchbench.strategies.oneshot.papers import one_shot, spos
from searchbench.strategies.random import Random
from searchbench.strategies.sample import Listed
from searchbench.strategies.scalarised import MnasReward, Scalarised
from searchbench.trial import FULL, Measurement, Trial

SPACE = nasbench201(channels=3, cells=1, stages=1)
DEAD = "|none~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|"
NOISY = Topology(
    tuple(Edge("cell", target, source) for target in (2, 3) for source in range(target)),
    ("none", "noise", "conv"),
    keeps=2,
    sparse=False,
    silent=("none", "noise"),
)


def preferring_none(seed):
    """[6, 5] weights of which `none`'s is often the largest."""
    return np.random.default_rng(seed).dirichlet([2.0, 0.4, 0.4, 0.4, 0.4], size=6)


def test_341_cells_of_nasbench201_carry_nothing():
    assert sum(not SPACE.carrying(cell) for cell in SPACE.enumerate()) == 341


@pytest.mark.parametrize("name", ["darts", "darts-s3", "darts-s4"])
def test_a_genotype_carries_as_its_path_does(name):
    space = SPACES.factory(name)()
    supernet, rng = space.builder().supernet((3, 8, 8), 10), np.random.default_rng(0)
    for _ in range(30):
        drawn = space.sample(rng)
        assert space.carrying(drawn) == space.topology.carries(supernet.path(drawn))


def test_the_best_scored_connected_cell_is_that_of_an_exhaustive_search():
    paths = [path for path in itertools.product(range(5), repeat=6) if TOPOLOGY.carries(path)]
    at, met = np.array(paths), 0
    for seed in range(40):
        weights = preferring_none(seed)
        if TOPOLOGY.carries(path_of(ArgmaxPerEdge("allowed").choose(weights, TOPOLOGY), TOPOLOGY)):
            continue
        met += 1
        best = tuple(paths[int(weights[np.arange(6), at].sum(1).argmax())])
        assert path_of(ArgmaxPerEdge("connected").choose(weights, TOPOLOGY), TOPOLOGY) == best
    assert met > 10


def test_where_edges_are_dropped_it_is_that_of_an_exhaustive_search_too():
    choices = []
    for kept in itertools.combinations((2, 3, 4), 2):
        for operations in itertools.product((1, 2), repeat=4):
            path = [-1] * 5
            for edge, operation in zip((0, 1, *kept), operations, strict=True):
                path[edge] = operation
            choices.append(path)
    rng, met = np.random.default_rng(0), 0
    for _ in range(200):
        weights = rng.dirichlet([1.0, 3.0, 0.3], size=5)
        found = path_of(TopEdges(2).choose(weights, NOISY), NOISY)
        legal = [path for path in choices if NOISY.carries(path)]
        totals = [sum(weights[e, op] for e, op in enumerate(path) if op >= 0) for path in legal]
        assert sum(weights[e, op] for e, op in enumerate(found) if op > 0) == pytest.approx(max(totals))
        met += max(totals) < max(sum(weights[e, op] for e, op in enumerate(p) if op >= 0) for p in choices)
    assert met > 20


def test_of_routes_and_operations_that_cost_the_same_the_first_are_taken():
    weights = np.tile([0.4, 0.2, 0.2, 0.2, 0.2], (6, 1))
    assert path_of(ArgmaxPerEdge("connected").choose(weights, TOPOLOGY), TOPOLOGY) == (0, 0, 0, 1, 0, 0)
    weights[3] = [1.0, 0.0, 0.0, 0.0, 0.0]  # the straight edge is dear: by the first node, or by the second
    assert path_of(ArgmaxPerEdge("connected").choose(weights, TOPOLOGY), TOPOLOGY) == (1, 0, 0, 0, 1, 0)


def test_none_is_left_out_unless_it_is_allowed_by_name():
    weights = preferring_none(3)
    assert 0 not in path_of(ArgmaxPerEdge().choose(weights, TOPOLOGY), TOPOLOGY)
    assert 0 in path_of(ArgmaxPerEdge("connected").choose(weights, TOPOLOGY), TOPOLOGY)
    with pytest.raises(StudyError, match='"excluded", "connected", "allowed"'):
        darts(none="perhaps")
    assert "is for spaces in which every edge" in darts(none="allowed").unsupported(scenario(space=darts_space()))


def test_an_edge_of_which_only_none_is_left_has_none():
    weights = np.full((6, 5), 0.5)
    weights[3] = 0.0
    assert path_of(ArgmaxPerEdge().choose(weights, TOPOLOGY), TOPOLOGY) == (1, 1, 1, 0, 1, 1)


def test_a_threshold_that_nothing_reaches_leaves_a_route():
    topology = darts_space(sparse=True).topology
    weights = np.random.default_rng(0).uniform(0.0, 0.4, size=(28, 8))
    chosen = Threshold(0.85).choose(weights, topology)
    assert topology.carries(path_of(chosen, topology))
    for cell in topology.cells:
        rows = topology.rows(cell)
        entering = [at for at in rows if topology.edges[at].source < 2]
        assert weights[rows][chosen[rows]].min() == weights[entering, 1:].max()  # no more edges than that takes


@pytest.mark.parametrize(("none", "connected"), [("excluded", True), ("connected", True), ("allowed", False)])
def test_a_search_that_learns_to_prefer_nothing_hands_over_a_cell_that_can_learn(none, connected):
    strategy, metered = darts(epochs=2, batch_size=16, none=none), lab(space=SPACE)
    search, logged = strategy.start(metered.scenario), []
    metered.log = lambda **values: logged.append(values)
    search.advance(metered)
    with torch.no_grad():
        search._session.trained.alpha[:, 0] += 9.0
    search.advance(metered)
    assert SPACE.carrying(metered.final.architecture) == connected
    assert {"excluded": "without none", "connected": "connected", "allowed": "NAS-Bench-201's protocol"}[none] in (
        logged[-1]["derivation"]
    )


def test_noise_alone_is_never_handed_over():
    space = SPACES.factory("darts-s4")(channels=4, cells=3)
    metered = cell_lab(space)
    search = fair_darts(epochs=2, batch_size=16).start(metered.scenario)
    search.advance(metered)
    with torch.no_grad():
        search._session.trained.alpha[:, 0] += 9.0
    search.advance(metered)
    assert space.carrying(metered.final.architecture)


def test_a_search_by_inherited_weights_prefers_what_can_learn():
    dead, living = SPACE.parse(DEAD), SPACE.parse(DEAD.replace("none~0|none~1", "skip_connect~0|none~1"))
    watched = Watched(Listed([dead, living]))
    for architecture, value in ((dead, 0.3), (living, 0.5)):
        watched.tell(Trial(0, architecture, FULL, "ok", value, Cost()))
    assert watched.choice() == (living, 0.5)


def test_a_budget_that_ends_in_the_training_leaves_a_random_cell_that_can_learn():
    replicate = next(
        r for r in itertools.count() if not SPACE.carrying(SPACE.sample(Seeds("test", r, "tiny").rng("init")))
    )
    metered = lab(Budget(samples=8), replicate=replicate, space=SPACE)
    drive(spos(epochs=1, batch_size=16).start(metered.scenario), metered)
    assert SPACE.carrying(metered.final.architecture)
    assert math.isnan(metered.final.value)


# -- whatever is asked and told ------------------------------------------------------------------------------------


class Prefers:
    """An estimator of which what cannot learn comes out best: validation of a few images is no better than that."""

    def __init__(self):
        self.asked = []

    def complete(self, fidelity):
        return replace(fidelity, epochs=1)

    def price(self, architecture, fidelity, resume=None):
        return Cost(evaluations=1)

    def evaluate(self, architecture, fidelity, seed, resume=None):
        self.asked.append(architecture)
        carries = architecture.space.carrying(architecture)
        rng = np.random.default_rng([len(architecture.key), *architecture.key.encode()])
        macs = {"macs": 900.0 if carries else 1.0}
        return Measurement(float(rng.random()) + carries, macs), Cost(evaluations=1)


def handed_over(strategy, space, evaluations):
    metered = lab(Budget(evaluations=evaluations), space=space)
    metered.evaluation.estimator = estimator = Prefers()
    drive(strategy.start(metered.scenario), metered)
    return metered.final, estimator.asked


@pytest.mark.parametrize(
    "strategy",
    [Random(), RegularizedEvolution(10, 3), Scalarised(RegularizedEvolution(10, 3), MnasReward("macs", 900.0))],
    ids=["random", "evolution", "a reward that speeds"],
)
def test_what_cannot_learn_is_not_handed_over_where_something_that_can_was_measured(strategy):
    final, measured = handed_over(strategy, SPACE, 60)
    assert not all(map(SPACE.carrying, measured))  # and each of those came out better than all that can
    assert SPACE.carrying(final.architecture)
    assert final.value >= 1.0 or math.isnan(final.value)


@pytest.mark.parametrize("make", [nasbench101, hierarchical])
def test_a_network_of_graphs_carries_where_its_output_depends_on_its_input(make):
    space, rng, met = make(channels=4), np.random.default_rng(0), set()
    for _ in range(12):
        drawn = space.sample(rng)
        network = initialise(space.builder().network(drawn, (1, 8, 8), 3), 0).train()
        with torch.no_grad():
            depends = not torch.allclose(*(network(torch.randn(4, 1, 8, 8)) for _ in range(2)))
        assert space.carrying(drawn) == depends
        met.add(depends)
    assert True in met


def test_a_controller_that_has_come_to_draw_nothing_leaves_something_that_can_learn():
    metered = lab(space=SPACE)
    search = enas(epochs=1, batch_size=16, steps=1, aggregate=1, candidates=3).start(metered.scenario)
    search.advance(metered)
    search._session.trained.controller.draw = lambda _: SimpleNamespace(tokens=[0] * 6)
    search.advance(metered)
    assert SPACE.carrying(metered.final.architecture)


def test_a_retraining_is_not_given_to_what_cannot_learn():
    dead, living = SPACE.parse(DEAD), SPACE.parse(DEAD.replace("none~0|none~1", "skip_connect~0|none~1"))
    metered = lab(Budget(evaluations=10), space=SPACE)
    metered.evaluation.estimator = Prefers()
    search, finding = one_shot(epochs=1, scores=2, retrain=1).start(metered.scenario), Watched(Listed([]))
    finding.values = {dead: 0.1, living: 0.5}
    search._retrain(metered, finding)
    assert metered.final.architecture == living
