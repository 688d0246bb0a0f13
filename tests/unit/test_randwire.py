from __future__ import annotations

import math
import pickle
from dataclasses import replace
from functools import partial

import networkx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from small_training import losses

from searchbench.cost import Budget, Cost
from searchbench.errors import SpaceError, StudyError
from searchbench.estimators.batches import Batches
from searchbench.estimators.judge import TrainJudge
from searchbench.estimators.training import begin, fit
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.spaces.graphs.generators import Dag
from searchbench.spaces.graphs.randwire import OPERATIONS, graphs, randwire, randwire_regular
from searchbench.spaces.graphs.randwire_networks import EdgeWeights, Node, WiredStage
from searchbench.spaces.networks import DropEdge, count, initialise
from searchbench.strategies.generators import Generator, GeneratorGrid
from searchbench.strategies.grid import Grid
from searchbench.strategies.random import Random
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import Recipe
from searchbench.testing import Stage, check_strategy
from searchbench.trial import FULL, Trial

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

REFERENCE = [
    # generator, draws of ours, draws of the reference, its means and deviations: weights, MACs, MACs with the sums
    (randwire, "WS(4,0.75)", 25, 25, (5.61, 577.9, 583.9), (0.08, 5.5, 5.4), 1.0),
    (randwire_regular, "WS(4,0.75)", 50, 12, (32.05, 3955, 3981), (0.78, 59, 59), 2.0),
    (randwire, "ER(0.2)", 25, 5, (5.69, 584, 594), (0.06, 5.4, 5.1), 1.0),
]
"""Counted on the meta device from independent draws; the reference names no deviation of ER's MACs: ours stand in."""


@pytest.mark.parametrize(("make", "generator", "ours", "theirs", "means", "deviations", "within"), REFERENCE)
def test_sizes_agree_with_the_reference_within_standard_errors_of_the_difference(
    make, generator, ours, theirs, means, deviations, within
):
    """The small regime at C = 78 over 25 seeds, and ER(0.2), agree within one; the regular regime within two."""
    found = sizes(make(generator, instances=ours))
    errors = np.hypot(found.std(0, ddof=1) / ours**0.5, np.array(deviations) / theirs**0.5)
    assert (np.abs(found.mean(0) - means) < within * errors).all()


def test_the_small_regime_spreads_as_published():
    """5.6 ± 0.1M weights and 583 ± 6.2M multiply-adds, weighted sums included (Xie et al. 2019)."""
    found = sizes(randwire(instances=25))
    ratio = found.std(0, ddof=1) / [0.08, 5.5, 5.4]
    assert ((stats.chi2.ppf(0.005, 24) < 24 * ratio**2) & (24 * ratio**2 < stats.chi2.ppf(0.995, 24))).all()
    mean = found.mean(0)
    assert abs(mean[0] - 5.6) < 0.1
    assert abs(mean[2] - 583) < abs(mean[1] - 583) < 6.2


@pytest.mark.parametrize(
    ("generator", "expected", "table"),
    [
        ("WS(4,0)", (5_929_468, 603_665_420, 6_742_008), (5.93, 604, 610)),
        ("BA(5)", (5_677_900, 583_760_444, 14_447_160), (5.678, None, None)),
        ("BA(7)", (5_552_128, 573_807_956, 18_727_800), (5.552, None, None)),
    ],
)
def test_generators_with_a_fixed_number_of_edges_and_sources_have_one_size(generator, expected, table):
    found = sizes(randwire(generator, instances=4)) * 1e6
    params, macs, sums = expected
    assert (found == [params, macs, macs + sums]).all()
    for value, wanted, digits in zip(found[0] / 1e6, table, (3 if generator != "WS(4,0)" else 2, 0, 0), strict=True):
        assert wanted is None or round(value, digits) == wanted


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("separable", (5_677_661, 583_760_444)),
        ("conv", (35_804_927, 4_026_426_944)),
        ("max-pool", (5_530_943, 553_971_776)),
        ("average-pool", (5_530_943, 553_971_776)),
    ],
)
def test_every_node_operation_has_its_size_at_the_size_of_imagenet(operation, expected):
    space = randwire(instances=1, operation=operation)
    builder, architecture = space.builder(), space.parse("WS(4,0.75) #0")
    assert builder.size(architecture, *IMAGENET) == expected
    assert count(builder.network(architecture, *IMAGENET), IMAGENET[0]) == expected


@pytest.mark.parametrize("operation", ["max-pool", "average-pool"])
def test_a_pooling_node_pools_before_it_mixes_channels(operation):
    node = initialise(Node(1, 3, 5, 1, operation), 0).eval()
    inputs = torch.randn((2, 3, 6, 6), generator=torch.Generator().manual_seed(0))
    pool = F.max_pool2d if operation == "max-pool" else partial(F.avg_pool2d, count_include_pad=False)
    expected = F.conv2d(pool(inputs.relu(), 3, 1, 1), node.transform[1].weight)
    torch.testing.assert_close(node([inputs]), node.transform[2](expected))


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


def test_an_edge_that_is_left_out_adds_nothing_and_the_others_keep_their_weights():
    aggregate = initialise(EdgeWeights(3), 0)
    inputs = [torch.full((1, 2, 3, 3), float(value)) for value in (1, 2, 4)]
    assert torch.equal(aggregate(inputs, 1), torch.full((1, 2, 3, 3), 2.5))
    assert torch.equal(aggregate(inputs, 0), torch.full((1, 2, 3, 3), 3.0))


def test_only_edges_into_nodes_that_several_enter_can_be_left_out():
    dag = graphs(small(generators=("BA(3)",)).parse("BA(3) #1"))[0]
    stage = WiredStage(dag, 4, 4, "separable")
    assert len(stage.removable) == sum(n for n in map(len, stage.predecessors) if n > 1) == 3 * 5
    line = WiredStage(Dag(3, ((0, 1), (1, 2))), 4, 4, "separable")
    assert line.removable == []
    assert DropEdge(1.0, torch.Generator().manual_seed(0)).drawn(0) is None


def test_a_minibatch_in_ten_is_trained_without_one_edge_and_evaluation_with_all():
    space = small(nodes=8)
    network = initialise(space.builder().network(space.parse("WS(4,0.75) #0"), *DIGITS), 0)
    network.drop_edge.probability, network.drop_edge.generator = 0.1, torch.Generator().manual_seed(0)
    drawn = [network._removed() for _ in range(2000)]
    assert all(len(removed) <= 1 for removed in drawn)
    assert stats.binomtest(sum(map(bool, drawn)), 2000, 0.1).pvalue > 1e-4
    assert len({tuple(removed.items()) for removed in drawn}) > 20
    network.eval()
    assert not any(network._removed() for _ in range(100))


def test_training_with_drop_edge_repeats_itself_from_any_epoch():
    space = small(nodes=6, stages=1, channels=4)
    batches = Batches(Digits().search_data(Seeds("t", 0)).valid)
    recipe = Recipe(epochs=3, batch_size=32, lr=0.05, drop_edge=0.5)

    def begun(recipe=recipe):
        return begin(initialise(space.builder().network(space.parse("WS(4,0.75) #0"), *DIGITS), 0), recipe, 7)

    whole, parts, without = begun(), begun(), begun(replace(recipe, drop_edge=0.0))
    fit(whole, batches, 3)
    for epochs in (1, 3):
        fit(parts, batches, epochs)
        parts.network.drop_edge.generator = None  # as after a restart
    fit(without, batches, 3)
    assert whole.losses == parts.losses != without.losses


def test_drop_edge_is_refused_where_networks_are_not_wired():
    TrainJudge(drop_edge=0.1).check(small(), Digits())
    with pytest.raises(StudyError, match="not wired by graphs"):
        TrainJudge(drop_edge=0.1).check(SPACES.factory("nasbench201")(), Digits())
    with pytest.raises(StudyError, match="`drop_edge` must lie in"):
        TrainJudge(drop_edge=1.5)


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


def told(search, space, values):
    """Run it to the end with a value per generator, a draw's own part on top."""
    asked = []
    while (proposal := search.ask()) is not None:
        generator, instance = proposal.architecture.values
        asked.append((generator, instance))
        value = values[generator] + (instance % 7) / 100
        failed = math.isnan(value)
        search.tell(
            Trial(len(asked), proposal.architecture, FULL, "error" if failed else "ok", value, Cost(evaluations=1))
        )
    return asked


THREE = ("WS(4,0.5)", "WS(4,0.75)", "BA(3)")


def test_generators_are_compared_by_the_means_of_their_draws_and_a_fresh_draw_of_the_best_is_handed_over():
    space = small(generators=THREE)
    search = GeneratorGrid(instances=4).start(scenario(space, 0))
    asked = told(search, space, {"WS(4,0.5)": 0.9, "WS(4,0.75)": 0.5, "BA(3)": 0.7})
    assert [generator for generator, _ in asked] == list(THREE) * 4  # one of each in turn
    assert len({instance for _, instance in asked}) == 12
    generator, instance = search.recommend().values
    assert generator == "WS(4,0.75)"
    assert instance not in {i for _, i in asked}
    assert search.recommend() == search.recommend()


def test_one_lucky_draw_does_not_make_a_generator():
    space = small(generators=THREE[:2])
    search = GeneratorGrid(instances=3).start(scenario(space, 1))
    for number, value in enumerate((0.01, 0.4, 0.9, 0.4, 0.9, 0.4)):  # the first has the best draw, and the worse mean
        search.tell(Trial(number, search.ask().architecture, FULL, "ok", value, Cost(evaluations=1)))
    assert search.recommend().values[0] == "WS(4,0.75)"


def test_a_generator_whose_draw_fails_comes_last():
    space = small(generators=THREE)
    search = GeneratorGrid(instances=2).start(scenario(space, 0))
    told(search, space, {"WS(4,0.5)": math.nan, "WS(4,0.75)": 0.8, "BA(3)": 0.7})
    assert search.recommend().values[0] == "BA(3)"


def test_a_space_without_generators_is_skipped_with_the_reason():
    space = SPACES.factory("nasbench201")()
    assert "no choice named `generator`" in GeneratorGrid().unsupported(scenario(space, 0))
    assert GeneratorGrid().unsupported(scenario(small(), 0)) is None
    with pytest.raises(StudyError, match="`instances`"):
        GeneratorGrid(instances=0)


def test_a_grid_over_generators_conforms():
    check_strategy(GeneratorGrid(instances=2), on=(Stage(small(generators=THREE), 6),))
