from __future__ import annotations

import pickle

import networkx
import numpy as np
import pytest
import torch
from small_training import losses

from searchbench.cost import Budget
from searchbench.errors import SpaceError, StudyError
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.spaces.networks import count, initialise
from searchbench.spaces.randwire import OPERATIONS, graphs, randwire, randwire_regular
from searchbench.spaces.randwire_networks import EdgeWeights, WiredStage
from searchbench.strategies.generators import Generator
from searchbench.strategies.grid import Grid
from searchbench.strategies.random import Random
from searchbench.strategies.strategy import Scenario

IMAGENET = (3, 224, 224), 1000
DIGITS = (1, 8, 8), 10


def small(**changed):
    return randwire(**{"channels": 8, "nodes": 8, "stages": 2, "stem_stride": 1, **changed})


def sizes(space):
    """(weights, MACs, MACs with the weighted sums) in millions, a row per instance."""
    builder = space.builder()
    found = [(*builder.size(a, *IMAGENET), builder.edge_macs(a, IMAGENET[0])) for a in space.enumerate()]
    return np.array([(params, macs, macs + edges) for params, macs, edges in found]) / 1e6


# -- published sizes ------------------------------------------------------------


def test_the_small_regime_has_the_published_sizes():
    """5.6 ± 0.1M weights and 583 ± 6.2M multiply-adds (Xie et al. 2019), here over 25 instances of WS(4, 0.75)."""
    mean, deviation = sizes(randwire(instances=25)).mean(0), sizes(randwire(instances=25)).std(0, ddof=1)
    assert mean == pytest.approx([5.61, 577.9, 583.9], rel=0.005)
    assert deviation == pytest.approx([0.08, 5.5, 5.4], rel=0.4)


def test_the_regular_regime_has_the_published_sizes():
    """31.9 ± 0.66M weights and 4.0 ± 0.09B multiply-adds at C = 109."""
    mean = sizes(randwire_regular(instances=12)).mean(0)
    assert mean == pytest.approx([32.05, 3955, 3981], rel=0.015)


@pytest.mark.parametrize(
    ("generator", "expected", "tolerance"),
    [
        ("WS(4,0)", [5.929, 603.7, 610.4], 1e-4),
        ("BA(5)", [5.678, None, None], 1e-4),
        ("BA(7)", [5.552, None, None], 1e-4),
        ("ER(0.2)", [5.69, 584, 594], 0.005),
    ],
)
def test_other_generators_have_the_reference_sizes(generator, expected, tolerance):
    found = sizes(randwire(generator, instances=10)).mean(0)
    for value, wanted in zip(found, expected, strict=True):
        assert wanted is None or value == pytest.approx(wanted, rel=tolerance)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("make", [randwire, randwire_regular])
def test_closed_form_sizes_are_what_the_network_runs(make, operation):
    space = make(channels=9, nodes=12, stages=3, generators=("WS(4,0.5)", "ER(0.3)"), operation=operation)
    builder, rng = space.builder(), np.random.default_rng(0)
    for width, architecture in ((1.0, space.sample(rng)), (0.5, space.sample(rng))):
        network = builder.network(architecture, (3, 33, 31), 7, width)
        assert count(network, (3, 33, 31)) == builder.size(architecture, (3, 33, 31), 7, width)


# -- the space ------------------------------------------------------------


def test_an_architecture_is_its_graphs_whatever_was_drawn_before():
    space = small()
    architecture = space.parse("WS(4,0.75) #7")
    first = graphs(architecture)
    graphs(space.parse("WS(4,0.75) #8"))
    assert graphs(pickle.loads(pickle.dumps(space)).parse("WS(4,0.75) #7")) == first
    assert first[0] != first[1]  # every stage draws its own


def test_instances_that_are_wired_alike_share_a_key():
    space = small(generators=("WS(4,0)", "WS(4,0.75)"))
    assert space.parse("WS(4,0) #1").key == space.parse("WS(4,0) #2").key
    assert space.parse("WS(4,0.75) #1").key != space.parse("WS(4,0.75) #2").key


@pytest.mark.parametrize("text", ["WS(4,0.75)", "WS(4,0.75) #x", "ER(0.2) #1", "WS(4,0.75) #-1"])
def test_a_misspelt_instance_is_refused(text):
    with pytest.raises(SpaceError):
        small().parse(text)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"operation": "pool"}, "operation"), ({"channels": 1}, "channels"), ({"instances": 0}, "instances")],
)
def test_impossible_settings_are_refused(settings, says):
    with pytest.raises(StudyError, match=says):
        small(**settings)


def test_a_generator_that_cannot_wire_the_nodes_is_refused_at_once():
    with pytest.raises(SpaceError, match="m < N"):
        small(generators=("BA(9)",))


@pytest.mark.parametrize("name", ["randwire", "randwire-regular"])
def test_the_space_is_registered_under_its_name(name):
    assert SPACES.factory(name)().name == name


# -- networks ------------------------------------------------------------


def test_nodes_sum_their_inputs_by_weights_that_begin_at_one_half():
    aggregate = initialise(EdgeWeights(3), 0)
    inputs = [torch.full((1, 2, 3, 3), float(value)) for value in (1, 2, 4)]
    assert torch.equal(aggregate(inputs), torch.full((1, 2, 3, 3), 3.5))
    aggregate.logits.data = torch.tensor([50.0, -50.0, 0.0])
    torch.testing.assert_close(aggregate(inputs), torch.full((1, 2, 3, 3), 1 + 0 + 2.0))


def test_a_stage_computes_what_its_graph_says():
    architecture = small(generators=("ER(0.4)",), nodes=6).parse("ER(0.4) #3")
    dag = graphs(architecture)[0]
    stage = initialise(WiredStage(dag, 4, 8, "separable"), 1).eval()
    inputs = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    values = {}
    for node in range(6):
        before = [values[u] for u in dag.predecessors(node)]
        total = inputs if not before else before[0] if len(before) == 1 else sum(before) / 2
        values[node] = stage.nodes[node].transform(total.relu())
    expected = torch.stack([values[sink] for sink in dag.sinks]).mean(0)
    assert expected.shape == (2, 8, 4, 4)
    torch.testing.assert_close(stage(inputs), expected)


def test_another_order_of_the_nodes_leaves_the_size_alone():
    space = small(generators=("ER(0.4)",), nodes=12)
    dag = graphs(space.parse("ER(0.4) #1"))[0]
    order = list(networkx.lexicographical_topological_sort(networkx.DiGraph(dag.edges), key=lambda node: -node))
    renamed = {node: at for at, node in enumerate(order)}
    other = type(dag)(dag.nodes, tuple(sorted((renamed[u], renamed[v]) for u, v in dag.edges)))
    assert other != dag
    one, two = (count(WiredStage(d, 4, 8, "separable").to("meta"), (4, 8, 8)) for d in (dag, other))
    assert one == two


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_network_learns_digits(operation):
    space = small(operation=operation)
    found = losses(space.builder().network(space.parse("WS(4,0.75) #0"), *DIGITS), steps=40, lr=0.03)
    assert found[-1] < 0.7 * found[0]


def test_there_is_no_supernet():
    with pytest.raises(SpaceError, match="share no weights"):
        small().builder().supernet(*DIGITS)


# -- sampled, never selected ------------------------------------------------------------


def scenario(space, replicate):
    return Scenario(space, Seeds("test", replicate, "generator"), Budget(evaluations=10))


def test_the_generator_hands_over_its_one_draw_whatever_came_of_it():
    space = small()
    handed = []
    for replicate in range(5):
        search = Generator().start(scenario(space, replicate))
        proposal = search.ask()
        assert search.ask() is None
        assert proposal.architecture == Random().start(scenario(space, replicate)).ask().architecture
        assert search.recommend() == proposal.architecture
        handed.append(search.recommend())
    assert len({a.key for a in handed}) == 5


def test_grid_goes_through_every_generator_and_instance():
    space = small(generators=("WS(4,0.5)", "WS(4,0.75)", "BA(3)"), instances=2)
    search, seen = Grid().start(scenario(space, 0)), set()
    while (proposal := search.ask()) is not None:
        seen.add(str(proposal.architecture))
    assert seen == {f"{g} #{i}" for g in ("WS(4,0.5)", "WS(4,0.75)", "BA(3)") for i in (0, 1)}
