"""Motifs of motifs: counts, keys, networks, and their evolution."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from small_training import digits, losses

from searchbench.cost import Budget, Cost
from searchbench.errors import SpaceError, StudyError
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.spaces.graphs.hierarchical import expanded, graphs_of, hierarchical, identity_chain, mutated, pruned
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import count, initialise
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.hierarchical import GrowingPopulation, HierarchicalEvolution
from searchbench.strategies.random import Random
from searchbench.strategies.strategy import Scenario
from searchbench.trial import FULL, Trial

SPACE = hierarchical()
SMALL = hierarchical(channels=4, stages=2)
PAIR = hierarchical(motifs=2, motif_nodes=3, cell_nodes=3)
DIGITS = (1, 8, 8), 10


def drawn(space: Space, number: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


# -- the space ------------------------------------------------------------


def test_the_chain_of_identities_is_written_by_its_paper() -> None:
    assert str(identity_chain(PAIR)) == "identity none identity|identity none identity|1 none 1"


def test_the_space_has_six_motifs_on_four_nodes_and_a_cell_on_five() -> None:
    assert SPACE.size == 7**46
    graphs = graphs_of(drawn(SPACE, 1)[0])
    assert list(graphs) == [*(f"motif {number}" for number in range(1, 7)), "cell"]
    arities = [d.arity for d in SPACE.decisions]
    assert arities == [7] * (6 * 6 + 10)


@pytest.mark.parametrize("text", ["", "identity none identity|1 none 1", "a b c|identity none identity|1 none 1"])
def test_a_misspelt_architecture_is_refused(text: str) -> None:
    with pytest.raises(SpaceError):
        PAIR.parse(text)


def key(text: str, space: Space = PAIR) -> str:
    return space.parse(text).key


def test_numbers_of_motifs_and_motifs_never_used_do_not_matter() -> None:
    one, other = "conv1x1 none max3x3", "none avg3x3 none"
    assert key(f"{one}|{other}|1 none 2") == key(f"{other}|{one}|2 none 1")
    assert key(f"{one}|{other}|1 none 1") == key(f"{one}|max3x3 max3x3 max3x3|1 none 1")
    assert key(f"{one}|{other}|1 none 2") != key(f"{one}|{other}|2 none 1")
    assert key(f"{one}|{one}|1 none 2") == key(f"{one}|{one}|1 none 1")


def test_what_lies_on_no_way_from_input_to_output_does_not_matter() -> None:
    """Edges are 0-1, 0-2, 1-2: a motif whose middle leads nowhere, and one without a way at all."""
    assert key("conv1x1 max3x3 none|none none none|none 1 none") == key("none max3x3 none|avg3x3 none none|none 1 none")
    assert key("none max3x3 none|none none max3x3|2 1 1") == key("none max3x3 none|none none none|none 1 none")
    assert key("none none none|none none none|1 2 1") == "none"


def test_the_order_of_inner_nodes_does_not_matter_but_sharing_a_node_does() -> None:
    space = hierarchical(motifs=1, motif_nodes=2, cell_nodes=4)
    graphs = {  # edges 0-1 0-2 0-3 1-2 1-3 2-3
        "one inner": ("1 none none none 1 none", "none 1 none none none 1"),
        "two ways": ("1 1 none none 1 1",),
        "chain": ("1 none none 1 none 1",),
    }
    keys = {name: {key(f"conv1x1|{text}", space) for text in texts} for name, texts in graphs.items()}
    assert all(len(found) == 1 for found in keys.values())
    assert len(set().union(*keys.values())) == 3


def test_keys_are_equal_exactly_where_graphs_are_isomorphic() -> None:
    """Against a search over all orders of nodes by another way: the adjacency matrices of networkx."""
    networkx = pytest.importorskip("networkx")
    space = hierarchical(motifs=2, motif_nodes=2, cell_nodes=4)
    rng, made = np.random.default_rng(0), []
    for _ in range(60):
        cell = " ".join(rng.choice(["none", "1", "2"], 6, p=[0.3, 0.4, 0.3]))
        architecture = space.parse(f"conv1x1|max3x3|{cell}")
        graph = networkx.DiGraph()
        graph.add_node(0, end="in")
        graph.add_node(3, end="out")
        for (i, j), name in expanded(architecture)[1].items():
            for node in (i, j):
                graph.add_node(node, end={0: "in", 3: "out"}.get(node, ""))
            graph.add_edge(i, j, op=name)
        made.append((architecture.key, graph))
    for (a, first), (b, second) in itertools.combinations(made, 2):
        same = networkx.is_isomorphic(first, second, node_match=lambda x, y: x == y, edge_match=lambda x, y: x == y)
        assert (a == b) == same


def test_pruning_keeps_exactly_the_edges_on_ways() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        graph = {edge: "x" for edge in itertools.combinations(range(5), 2) if rng.random() < 0.4}
        ways = [
            (0, *inner, 4)
            for length in range(4)
            for inner in itertools.combinations((1, 2, 3), length)
            if all(edge in graph for edge in itertools.pairwise((0, *inner, 4)))
        ]
        assert set(pruned(graph, 5)) == {edge for way in ways for edge in itertools.pairwise(way)}


# -- networks ------------------------------------------------------------


def test_sizes_are_what_the_network_runs_and_a_network_learns_digits() -> None:
    builder = SPACES.factory("hierarchical")(channels=4, stages=2).builder()
    architecture = drawn(SMALL, 1, seed=3)[0]
    network = builder.network(architecture, *DIGITS)
    assert builder.size(architecture, *DIGITS) == count(network, DIGITS[0])
    found = losses(network, steps=30, lr=0.03)
    assert found[-1] < 0.8 * found[0]


def test_a_cell_computes_the_sums_over_its_ways() -> None:
    space = hierarchical(motifs=2, motif_nodes=3, cell_nodes=3, channels=4, stages=1)
    pools = {"max3x3": torch.nn.MaxPool2d(3, 1, 1), "avg3x3": torch.nn.AvgPool2d(3, 1, 1, count_include_pad=False)}
    network = initialise(
        space.builder().network(space.parse("max3x3 identity avg3x3|none avg3x3 none|1 2 2"), *DIGITS), 0
    )
    value = network.stem(digits(2)[0])

    def motif(inputs: torch.Tensor) -> torch.Tensor:
        return inputs + pools["avg3x3"](pools["max3x3"](inputs))

    expected = pools["avg3x3"](value) + pools["avg3x3"](motif(value))
    torch.testing.assert_close(network.stages[0](value), expected)


def test_architectures_of_equal_key_are_of_equal_size_and_a_cell_without_a_way_has_a_network() -> None:
    builder = PAIR.builder()
    texts = (
        "conv1x1 none max3x3|none separable3x3 none|1 none 2",
        "none separable3x3 none|conv1x1 none max3x3|2 none 1",
    )
    assert builder.size(PAIR.parse(texts[0]), *DIGITS) == builder.size(PAIR.parse(texts[1]), *DIGITS)
    nothing = initialise(builder.network(PAIR.parse("none none none|none none none|1 2 1"), *DIGITS), 0)
    outputs = nothing(digits(3)[0])
    assert torch.isfinite(outputs).all()


# -- evolution ------------------------------------------------------------


def start(settings: Any, seed: int = 0) -> GrowingPopulation:
    return settings.start(Scenario(SPACE, Seeds("s", seed, repr(settings)), Budget(evaluations=999)))


def run(search: Any, trials: int, value: Any) -> list[Trial]:
    found = []
    for number in range(trials):
        architecture = search.ask().architecture
        result = value(architecture)
        status: Any = "nan" if math.isnan(result) else "ok"
        found.append(Trial(number, architecture, FULL, status, result, Cost(evaluations=1)))
        search.tell(found[-1])
    return found


def separables(architecture: Architecture) -> float:
    """Fewer separable convolutions on the cell's ways are worse."""
    motifs, cell = expanded(architecture)
    per_motif = {name: sum(op == "separable3x3" for op in graph.values()) for name, graph in motifs.items()}
    return 1 - sum(per_motif[name] for name in cell.values()) / 60


def test_a_mutation_changes_one_edge_at_most_and_every_level_as_often() -> None:
    rng, parent = np.random.default_rng(0), drawn(SPACE, 1)[0]
    touched = []
    for _ in range(4000):
        child = mutated(parent, 1, rng)
        differs = [at for at, (a, b) in enumerate(zip(parent.values, child.values, strict=True)) if a != b]
        assert len(differs) <= 1
        touched += differs
    assert len(touched) / 4000 == pytest.approx(6 / 7, abs=0.03)  # drawn anew: as it was one time in seven
    assert np.mean([at >= 36 for at in touched]) == pytest.approx(0.5, abs=0.04)


def test_first_members_are_strongly_mutated_chains_and_nobody_leaves() -> None:
    search = start(HierarchicalEvolution(population=30, mutations=1000))
    trials = run(search, 90, separables)
    assert len({t.architecture for t in trials[:30]}) == 30
    chain = identity_chain(SPACE)
    kept = np.mean([a == b for t in trials[:30] for a, b in zip(t.architecture.values, chain.values, strict=True)])
    assert kept == pytest.approx(1 / 7, abs=0.06)
    assert [m[2] for m in search.members] == [t.architecture for t in trials]


def test_children_descend_from_the_best_where_the_tournament_is_everybody() -> None:
    search = start(HierarchicalEvolution(population=10, share=1.0))
    trials = run(search, 60, separables)
    for number in range(10, 60):
        best = min(trials[:number], key=lambda t: (t.value, t.number)).architecture
        child = trials[number].architecture
        assert sum(a != b for a, b in zip(best.values, child.values, strict=True)) <= 1


def test_evolution_finds_better_cells_than_random_search() -> None:
    ours: list[float] = []
    theirs: list[float] = []
    for seed in range(3):
        ours.append(min(t.value for t in run(start(HierarchicalEvolution(50), seed), 400, separables)))
        theirs.append(min(t.value for t in run(start(Random(), seed), 400, separables)))
    assert max(ours) < min(theirs)


def test_failed_evaluations_do_not_join() -> None:
    search = start(HierarchicalEvolution(population=5))
    run(search, 20, lambda a: math.nan)
    assert search.members == []


def test_other_spaces_and_impossible_settings_are_refused() -> None:
    scenario = Scenario(nasbench201(), Seeds("s", 0), Budget(evaluations=1))
    assert "see `hierarchical`" in str(HierarchicalEvolution().unsupported(scenario))
    for wrong in ({"population": 0}, {"mutations": 1.5}, {"share": 0}):
        with pytest.raises(StudyError, match=next(iter(wrong))):
            HierarchicalEvolution(**wrong)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="at least 2 nodes"):
        hierarchical(cell_nodes=1)
    with pytest.raises(StudyError, match="positive"):
        hierarchical(motifs=0)
