"""The reduced spaces S1 to S4 of Zela et al. 2020, and searches in them."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_differentiable_resume import cell_lab, strategy_of

from searchbench.errors import SpaceError, StudyError
from searchbench.harness.running.loop import drive
from searchbench.spaces import SPACES
from searchbench.spaces.darts.operations import Noise
from searchbench.spaces.darts.published import PUBLISHED
from searchbench.spaces.darts.robust import S1_EDGES, darts_s1
from searchbench.spaces.darts.space import EDGES, OPERATIONS, darts, genotype
from searchbench.spaces.networks import Mixed, initialise
from searchbench.testing.plain_darts import plain_logits


def test_s1_offers_two_operations_on_each_of_28_edges():
    assert len(S1_EDGES) == 28
    assert {len(pair) for pair in S1_EDGES} == {2}
    assert S1_EDGES[0] == ("skip_connect", "dil_conv_3x3")
    assert S1_EDGES[13] == ("dil_conv_3x3", "dil_conv_5x5")
    assert S1_EDGES[14] == ("max_pool_3x3", "avg_pool_3x3")
    assert S1_EDGES[27] == ("skip_connect", "dil_conv_5x5")


def test_cells_of_s1_carry_their_edges_candidates_only_and_read_back():
    space, rng = darts_s1(), np.random.default_rng(0)
    assert space.size == (2**8 * 3 * 6 * 10) ** 2
    for _ in range(30):
        drawn = space.sample(rng)
        found = genotype(drawn)
        for number, cell in enumerate((found.normal, found.reduce)):
            for target, node in enumerate(cell.nodes, start=2):
                for name, source in node:
                    assert name in S1_EDGES[14 * number + EDGES.index((target, source))]
        assert space.parse(str(drawn)) == drawn


def test_a_cell_with_another_operation_is_none_of_s1():
    with pytest.raises(SpaceError, match="carries skip_connect or dil_conv_3x3, but got sep_conv_3x3"):
        darts_s1().parse(str(PUBLISHED["DARTS_V1"]))


@pytest.mark.parametrize("edges", [[], [["sep_conv_3x3"]] * 27, [["none"]] * 28, [["sep_conv_3x3"] * 2] * 28])
def test_impossible_candidates_are_refused(edges):
    with pytest.raises(StudyError, match="edges"):
        darts(edges=edges)


@pytest.mark.parametrize("name", ["darts-s1", "darts-s2", "darts-s3", "darts-s4"])
@pytest.mark.parametrize(("strategy", "parameters"), [("darts", {}), ("gdas", {}), ("darts-prime", {"clipped": True})])
def test_reduced_spaces_are_searched_and_derive_their_own_cells(name, strategy, parameters):
    space = SPACES.factory(name)(channels=4, cells=3)
    metered = cell_lab(space)
    chosen = strategy_of(strategy, 1, **parameters)
    assert chosen.unsupported(metered.scenario) is None
    search = chosen.start(metered.scenario)
    drive(search, metered)
    assert metered.final.architecture in space
    assert bool(search._session.trained.alpha.isfinite().all())
    mask, topology = search._session.trained.mask, space.wiring
    assert all(topology.may_stand(edge, int(op)) for edge, op in mask.nonzero())


def test_a_mixture_in_s1_is_charged_two_operations_per_edge():
    space = darts_s1(4, 3)
    metered = cell_lab(space)
    game = strategy_of("darts", 1).start(metered.scenario)._begin(metered)
    assert [len(ops) for ops in game.mixture("w").active] == [2] * 28


# -- what S1 builds ---------------------------------------------------------------


def weights_of(name, channels, stride):
    """Parameters of an operation without affine norms, by the formulas of the literature's code."""
    if name == "skip_connect":
        return channels**2 if stride == 2 else 0
    kind, _, kernel = name.partition("_conv_")
    once = int(kernel[0] or 0) ** 2 * channels + channels**2 if kernel else 0
    return {"sep": 2 * once, "dil": once}.get(kind, 0)


def expected_parameters(edges, channels, cells, classes):
    """Stem, preprocessing, the operations of every edge, and the classifier."""
    total, width = 3 * 3 * 3 * 3 * channels + 2 * 3 * channels, channels
    before = last = 3 * channels
    for at in range(cells):
        reduction = at in (cells // 3, 2 * cells // 3)
        width *= 2 if reduction else 1
        total += (before + last) * width
        for row, (_, source) in enumerate(EDGES):
            stride = 2 if reduction and source < 2 else 1
            total += sum(weights_of(name, width, stride) for name in edges[14 * reduction + row])
        before, last = last, 4 * width
    return total + last * classes + classes


@pytest.mark.parametrize(("channels", "cells"), [(16, 8), (4, 3)])
def test_every_edge_of_s1_has_the_weights_of_its_own_two_operations_only(channels, cells):
    everywhere = (OPERATIONS[1:],) * 28
    whole, s1 = (build(channels, cells).builder().supernet((3, 32, 32), 10) for build in (darts, darts_s1))
    for net, edges in ((whole, everywhere), (s1, S1_EDGES)):
        found = sum(weight.numel() for weight in net.parameters())
        assert found == expected_parameters(edges, channels, cells, 10)
    assert sum(weight.numel() for weight in whole.parameters()) == {16: 1_930_618, 4: 72_854}[channels]


def test_the_supernet_of_s1_computes_the_weighted_sum_written_out():
    net = initialise(darts_s1(4, 3).builder().supernet((1, 8, 8), 3), 0).double()
    inputs = torch.randn((8, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.rand((28, 7), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    active = darts_s1().wiring.allowed
    assert torch.allclose(net(inputs, Mixed(weights, active)), plain_logits(net, inputs, Mixed(weights, active)))
    assert net.macs(Mixed(weights)) == net.macs(Mixed(weights, active))


# -- latencies of its edges --------------------------------------------------------


def additive(space, per_edge):
    """A latency that is 1 ms and something for each operation that is kept, by edge."""

    def latency(architecture):
        found = genotype(architecture)
        terms = [
            per_edge[14 * number + EDGES.index((target, source))][name]
            for number, cell in enumerate((found.normal, found.reduce))
            for target, node in enumerate(cell.nodes, start=2)
            for name, source in node
        ]
        return 1.0 + sum(terms)

    return latency


@pytest.mark.parametrize("name", ["darts", "darts-s1", "darts-s2", "darts-s4"])
def test_latencies_of_operations_are_found_from_whole_architectures(name):
    space, rng = SPACES.factory(name)(channels=4, cells=3), np.random.default_rng(0)
    topology = space.wiring
    per_edge = [{op: float(rng.random()) for op in topology.operations} for _ in range(28)]
    metered = cell_lab(space)
    metered.scenario = replace(metered.scenario, latency=additive(space, per_edge))
    game = strategy_of("proxyless", 1, cost=0.1, of="latency_ms").start(metered.scenario)._begin(metered)
    table, quickest = game.latencies
    kept = []
    for at in range(28):
        own = {i: per_edge[at][op] for i, op in enumerate(topology.operations) if topology.may_stand(at, i)}
        own = {i: ms for i, ms in own.items() if topology.operations[i] != "none"}
        expected = [own.get(i, min(own.values())) - min(own.values()) for i in range(len(topology.operations))]
        assert table[at].tolist() == pytest.approx(expected, abs=1e-6)
        kept += [min(own.values())] if EDGES[at % 14][1] < 2 else []
    assert quickest == pytest.approx(1.0 + sum(kept))


@pytest.mark.parametrize("name", ["darts-s1", "darts-s4"])
def test_a_search_by_latency_runs_on_reduced_spaces(name):
    space = SPACES.factory(name)(channels=4, cells=3)
    metered = cell_lab(space)
    metered.scenario = replace(metered.scenario, latency=lambda architecture: float(len(str(architecture))))
    search = strategy_of("proxyless", 1, cost=0.1, of="latency_ms", every=1, warmup=0.0).start(metered.scenario)
    drive(search, metered)
    assert metered.final.architecture in space


# -- noise of S4 -------------------------------------------------------------------


def test_every_noise_has_a_stream_of_its_own_that_the_initial_weights_decide():
    def noises(seed):
        net = initialise(SPACES.factory("darts-s4")(4, 3).builder().supernet((1, 8, 8), 3), seed)
        parts = [part for part in net.modules() if isinstance(part, Noise)]
        return torch.stack([part(torch.zeros(1, 1, 4, 4))[:, :, :2, :2] for part in parts])

    one, same, other = noises(0), noises(0), noises(1)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len(one.flatten(1).unique(dim=0)) == len(one) == 3 * 14


def test_a_killed_search_of_s4_resumes_in_the_midst_of_its_noise_to_the_bit():
    space = SPACES.factory("darts-s4")(channels=4, cells=3)
    strategy = strategy_of("darts", 3)

    def advanced(search, metered, epochs):
        for _ in range(epochs):
            search.advance(metered)
        return search

    whole = cell_lab(space)
    undisturbed = advanced(strategy.start(whole.scenario), whole, 3)
    first = cell_lab(space)
    file, killed = io.BytesIO(), advanced(strategy.start(first.scenario), first, 1)
    torch.save({"search": killed.state_dict(), "lab": first.state_dict()}, file)
    file.seek(0)
    state, second = torch.load(file, weights_only=False), cell_lab(space)
    resumed = strategy.start(second.scenario)
    resumed.load_state_dict(state["search"])
    second.load_state_dict(state["lab"])
    advanced(resumed, second, 2)
    assert torch.equal(undisturbed._session.trained.alpha, resumed._session.trained.alpha)
    for key, value in undisturbed._session.trained.supernet.state_dict().items():
        assert torch.equal(value, resumed._session.trained.supernet.state_dict()[key]), key
