"""DenseNAS's relaxation: one-hot mixtures, the cost of a chain and the likeliest route beside all routes one by one."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_training import digits

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.chains.densenas import densenas
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import Mixed, initialise
from searchbench.spaces.topology import Edge, Form, Topology
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable import (
    Complexity,
    Differentiable,
    ExpectedCost,
    LikeliestRoute,
    LogCost,
    Proximity,
    RoutedEdges,
    Sigmoid,
    SoftPair,
    Stages,
    TopEdges,
)
from searchbench.strategies.differentiable.discretise import SpaceRule, path_of
from searchbench.strategies.differentiable.game import Game
from searchbench.strategies.differentiable.regularise import expected_cost, reference_cost
from searchbench.strategies.differentiable.routes import costs_of_routes, shares
from searchbench.strategies.differentiable.turn import Moment, Turn

DIGITS = (1, 8, 8), 10
SPACE = densenas(stem=8, first=8, widths=((8, 12), (16, 20)), strides=(1, 2), layers=2, last=16, stem_stride=1)
TINY = densenas(stem=4, first=4, widths=((4,), (6, 8)), strides=(1, 2), layers=1, last=8, stem_stride=1)
"""Three routes, with one layer in each block."""


def supernet_of(space: Any) -> Any:
    return initialise(space.builder().supernet(*DIGITS, Form(routes=True)), 1)


def routes_of(topology: Topology) -> list[tuple[int, ...]]:
    """All routes, as decisions in order, found by walking."""
    (start,), end = topology.inputs("blocks"), max(edge.target for edge in topology.edges)

    def onwards(node: int) -> list[tuple[int, ...]]:
        if node == end:
            return [()]
        leaving = [(at, edge.target) for at, edge in enumerate(topology.edges) if edge.source == node]
        return [(at, *rest) for at, target in leaving for rest in onwards(target)]

    return onwards(start)


def drawn_logits(topology: Topology, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of operations and of connections, and which operations may stand where."""
    generator = torch.Generator().manual_seed(seed)
    shape = len(topology.edges), len(topology.operations)
    mask = torch.zeros(shape, dtype=torch.bool)
    for edge, operations in enumerate(topology.allowed or ()):
        mask[edge, list(operations)] = True
    alpha, beta = torch.randn(shape, generator=generator).double(), torch.randn(shape[0], generator=generator).double()
    return alpha.requires_grad_(), beta.requires_grad_(), mask


def game_over(space: Any, seed: int = 0) -> Game:
    alpha, beta, mask = drawn_logits(space.wiring, seed)
    optimizer: Any = None
    return Game(
        lab=optimizer,
        supernet=space.builder().supernet(*DIGITS, Form(routes=True)),
        topology=space.wiring,
        relax=SoftPair(),
        alpha=alpha,
        mask=mask,
        weights=[],
        weight_optimizer=optimizer,
        alpha_optimizer=optimizer,
        rng=torch.Generator().manual_seed(0),
        sampling=RoutedEdges(),
        beta=beta,
    )


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_one_hot_weights_compute_and_cost_what_the_derived_network_does(training: bool) -> None:
    supernet, rng = supernet_of(SPACE).train(training), np.random.default_rng(0)
    inputs = digits(4)[0]
    for _ in range(2):
        architecture = SPACE.sample(rng)
        path = supernet.path(architecture)
        assert supernet.architecture(path) == architecture
        weights = torch.zeros(len(path), len(supernet.operations))
        for edge, operation in enumerate(path):
            if operation >= 0:
                weights[edge, operation] = 1.0
        alone: Any = initialise(SPACE.builder().network(architecture, *DIGITS), 2).train(training)
        shared = supernet.state_dict()
        alone.load_state_dict({name: shared[name] for name in alone.state_dict()})
        expected = alone(inputs)
        torch.testing.assert_close(supernet(inputs, Mixed(weights)), expected)
        route = Mixed(weights, [(operation,) if operation >= 0 else () for operation in path])
        torch.testing.assert_close(supernet(inputs, route), expected)
        assert supernet.macs(route) == supernet.macs(path) == SPACE.builder().size(architecture, *DIGITS)[1]
    with pytest.raises(SpaceError, match="one route"):
        supernet.architecture((0,) * len(path))


def test_what_enters_a_block_is_the_sum_of_aligned_inputs_each_times_its_probability() -> None:
    """x_j = sum_i p_ij H_ij(x_i), written out for two blocks of one layer."""
    supernet, topology = supernet_of(TINY).double().train(), TINY.wiring
    assert topology is not None
    beta = drawn_logits(topology, 3)[1].detach()
    names = [(way.weights, way.block) for way in supernet.connections]
    p = dict(zip(names, shares(beta, topology.forks()), strict=True))
    hot = torch.zeros(len(topology.edges), len(topology.operations)).double()
    for row, allowed in enumerate(topology.allowed or ()):
        hot[row, allowed[0]] = 1.0
    mixture = Mixed(hot.unbind(0), [(allowed[0],) for allowed in topology.allowed or ()])
    frame, inputs = supernet.frame, digits(4)[0].double()
    of = frame.layers
    first = frame.stem(inputs)
    four = of["1_4_from_fixed_k3e3"](first)
    six = p["2_6_from_1_4", "2_6"] * of["2_6_from_1_4_k3e3"](four)
    eight = p["2_8_from_1_4", "2_8"] * of["2_8_from_1_4_k3e3"](four)
    eight = eight + p["2_8_from_2_6", "2_8"] * of["2_8_from_2_6_k3e3"](six)
    end = p["6", "end"] * frame.ends["6"](six) + p["8", "end"] * frame.ends["8"](eight)
    expected = frame.classifier(end.mean((2, 3)))
    torch.testing.assert_close(supernet(inputs, RoutedEdges().dress(mixture, beta, topology)), expected)
    assert float(p["2_6_from_1_4", "2_6"] + p["2_8_from_1_4", "2_8"]) == pytest.approx(1)
    assert float(p["1_4_from_fixed", "1_4"]) == float(p["8", "end"]) == 1


def test_the_expected_cost_is_the_mean_over_all_routes_and_operations_and_so_is_its_gradient() -> None:
    game = game_over(TINY)
    topology, supernet = game.topology, game.supernet
    p, weights = RoutedEdges().weights(game.beta, topology), game.activated()
    assert p is not None
    mean = torch.zeros((), dtype=torch.float64)
    total, seen = 0.0, 0
    for route in routes_of(topology):
        for operations in product(*(topology.carrying[at] for at in route)):
            path = [-1] * len(topology.edges)
            chance: Any = 1.0
            for at, operation in zip(route, operations, strict=True):
                path[at] = operation
                chance = chance * p[at] * weights[at, operation]
            mean, total, seen = mean + chance * supernet.macs(tuple(path)), total + float(chance.detach()), seen + 1
    assert (seen, round(total, 12)) == (36 + 36 + 216, 1.0)
    found = expected_cost(game)
    assert float(found.detach()) == pytest.approx(float(mean.detach()), rel=1e-12)
    assert game.beta is not None
    logits = game.alpha, game.beta
    for ours, theirs in zip(torch.autograd.grad(found, logits), torch.autograd.grad(mean, logits), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-6)


def test_the_recursion_from_the_last_block_is_the_expected_cost() -> None:
    """Section 3.3: C_i = sum_j p_ij (C_ij + C_j), every layer with its own multiply-accumulates."""
    game = game_over(SPACE, seed=5)
    supernet: Any = game.supernet
    base, own = supernet._sizes
    assert game.beta is not None
    p, weights = shares(game.beta.detach(), game.topology.forks()), game.activated().detach()
    costs: dict[int, float] = {max(edge.target for edge in game.topology.edges): 0.0}
    for rows in reversed(list(game.topology.forks())):
        costs[game.topology.edges[rows[0]].source] = sum(
            float(p[at]) * (sum(float(weights[at, op]) * macs for op, macs in own[at].items())
                            + costs[game.topology.edges[at].target])
            for at in rows
        )  # fmt: skip
    assert float(expected_cost(game).detach()) == pytest.approx(base + costs[0], rel=1e-12)


def test_costs_of_edges_add_up_to_those_of_every_route_also_where_only_whole_networks_are_measured() -> None:
    supernet: Any = SPACE.builder().supernet(*DIGITS, Form(routes=True))
    topology, rng = supernet.space.wiring, np.random.default_rng(0)
    table, fixed = costs_of_routes(topology, lambda path: 0.5 + 1e-6 * supernet.macs(path))
    for _ in range(10):
        path = supernet.path(SPACE.sample(rng))
        found = fixed + sum(table[at][operation] for at, operation in enumerate(path) if operation >= 0)
        assert found == pytest.approx(0.5 + 1e-6 * supernet.macs(path), rel=1e-9)


def test_the_likeliest_route_is_that_of_all_routes() -> None:
    topology = SPACE.wiring
    assert topology is not None
    routes = routes_of(topology)
    assert len(routes) == 9
    handed_over = set()
    for seed in range(20):
        alpha, beta, mask = drawn_logits(topology, seed)
        p = RoutedEdges().weights(3 * beta.detach(), topology)
        assert p is not None
        weights = (SoftPair().weights(alpha.detach(), Turn(mask=mask)) * p.unsqueeze(1)).numpy()
        best = max(routes, key=lambda route: float(torch.stack([p[at] for at in route]).prod()))
        path = path_of(SpaceRule().choose(weights, topology), topology)
        assert tuple(at for at, operation in enumerate(path) if operation >= 0) == best
        for at in best:
            assert path[at] == max(topology.carrying[at], key=lambda op: float(weights[at, op]))
        handed_over.add(best)
    assert len(handed_over) > 3


def test_of_equal_routes_the_one_from_the_nearest_block_is_taken() -> None:
    topology = TINY.wiring
    assert topology is not None
    weights = np.ones((len(topology.edges), len(topology.operations)))
    path = path_of(LikeliestRoute().choose(weights, topology), topology)
    supernet: Any = TINY.builder().supernet(*DIGITS, Form(routes=True))
    assert str(supernet.architecture(path)) == "4:k3e3|6:k3e3/8:k3e3"


def test_a_pair_is_mixed_by_its_own_softmax_and_keeps_its_share_of_the_whole() -> None:
    alpha = torch.randn(200, 5, generator=torch.Generator().manual_seed(1)).double()
    mask = torch.ones(200, 5, dtype=torch.bool)
    mask[0] = torch.tensor([False, False, True, False, False])
    turn = Turn("alpha", torch.Generator().manual_seed(2), Moment(), mask)
    mixture = SoftPair().mixture(alpha, turn)
    assert mixture.active is not None
    assert mixture.active[0] == (2,)
    for row, pair in enumerate(mixture.active[1:], start=1):
        assert len(pair) == 2
        torch.testing.assert_close(mixture.weights[row][list(pair)], alpha[row, list(pair)].softmax(0))
        assert int((mixture.weights[row] > 0).sum()) == 2
    moved = alpha + 0.1 * torch.randn(alpha.shape, generator=torch.Generator().manual_seed(3)).double()
    settled = moved.clone()
    SoftPair().settle(settled, alpha, mixture, turn)
    for row, pair in enumerate(mixture.active[1:], start=1):
        at, others = list(pair), [op for op in range(5) if op not in pair]
        assert float(settled[row, at].exp().sum()) == pytest.approx(float(alpha[row, at].exp().sum()))
        assert settled[row, others].tolist() == moved[row, others].tolist()
        torch.testing.assert_close(settled[row, at].diff(), moved[row, at].diff())
    single = SoftPair().mixture(alpha, Turn("w", torch.Generator().manual_seed(2), Moment(), mask))
    assert {len(row) for row in single.active or ()} == {1}
    assert all(float(row.max()) == float(row.sum()) == 1 for row in single.weights)


def test_the_loss_grows_by_the_logarithm_of_the_expected_cost() -> None:
    game = game_over(TINY)
    assert game.beta is not None
    loss = torch.tensor(2.0).double()
    expected = 2 + 0.15 * np.log(float(expected_cost(game).detach())) / np.log(15)
    assert float(LogCost().outer(loss, game, None).detach()) == pytest.approx(expected)
    reference = reference_cost(None, game)
    with torch.no_grad():
        game.alpha.zero_()
        game.beta.zero_()
        assert reference == pytest.approx(float(expected_cost(game)))
    for wrong in ({"base": 1.0}, {"weight": -1.0}, {"of": "joules"}):
        with pytest.raises(StudyError):
            LogCost(**wrong)  # type: ignore[arg-type]


def test_parts_that_routes_do_not_go_with_are_refused() -> None:
    for wrong in (
        {"relax": Sigmoid()},
        {"prune": Stages((2, 1))},
        {"regularise": (Proximity(),)},
        {"regularise": (Complexity(),)},
    ):
        with pytest.raises(StudyError, match="do not go together"):
            Differentiable(edges=RoutedEdges(), **wrong)  # type: ignore[arg-type]
    Differentiable(edges=RoutedEdges(), regularise=(ExpectedCost(),))
    assert "follow one another" in (LikeliestRoute().unsupported(nasbench201()) or "")
    assert TopEdges().unsupported(SPACE) is not None
    assert STRATEGIES.factory("densenas")().edges == RoutedEdges()


def test_routes_lead_from_one_input_to_one_output() -> None:
    with pytest.raises(SpaceError, match="one input to one output"):
        Topology((Edge("cell", 2, 0), Edge("cell", 2, 1)), ("a",), routed=True)


def test_a_step_moves_the_logits_of_every_way_and_of_drawn_pairs_alone() -> None:
    supernet, topology = supernet_of(SPACE).train(), SPACE.wiring
    assert topology is not None
    alpha, beta, mask = drawn_logits(topology, 1)
    turn = Turn("alpha", torch.Generator().manual_seed(4), Moment(), mask, topology)
    inner = SoftPair().mixture(alpha.float(), turn)
    mixture = RoutedEdges().dress(inner, beta.float(), topology)
    inputs, targets = digits(8)
    F.cross_entropy(supernet(inputs, mixture), targets).backward()
    assert alpha.grad is not None
    assert beta.grad is not None
    open_ways = [rows for rows in topology.forks() if len(rows) > 1]
    assert all(bool((beta.grad[rows] != 0).all()) for rows in open_ways)
    for row, pair in enumerate(inner.active or ()):
        assert {at for at in range(8) if alpha.grad[row, at] != 0} == (set(pair) if len(pair) == 2 else set())
