from __future__ import annotations

import networkx
import numpy as np
import pytest
from scipy import stats

from searchbench.errors import SpaceError
from searchbench.spaces.graphs.generators import BarabasiAlbert, Dag, ErdosRenyi, WattsStrogatz, connected, parse

GENERATORS = [ErdosRenyi(0.2), BarabasiAlbert(5), WattsStrogatz(4, 0.75), WattsStrogatz(4, 0.0)]
each = pytest.mark.parametrize("generator", GENERATORS, ids=str)


def drawn(generator, seed, nodes=32):
    return generator.draw(nodes, np.random.default_rng(seed))


def graph(dag):
    found = networkx.DiGraph(dag.edges)
    found.add_nodes_from(range(dag.nodes))
    return found


@each
def test_graphs_are_acyclic_connected_and_a_function_of_the_seed(generator):
    for seed in range(10):
        dag = drawn(generator, seed)
        assert networkx.is_directed_acyclic_graph(graph(dag))
        assert networkx.is_weakly_connected(graph(dag))
        assert dag == drawn(generator, seed)
    assert generator == WattsStrogatz(4, 0.0) or drawn(generator, 0) != drawn(generator, 1)


@each
def test_every_node_lies_between_a_source_and_a_sink(generator):
    for seed in range(10):
        dag = drawn(generator, seed)
        found = graph(dag)
        assert set(dag.sources) == {n for n in found if found.in_degree(n) == 0}
        assert set(dag.sinks) == {n for n in found if found.out_degree(n) == 0}
        reached = set(dag.sources).union(*(networkx.descendants(found, s) for s in dag.sources))
        needed = set(dag.sinks).union(*(networkx.ancestors(found, s) for s in dag.sinks))
        assert reached == needed == set(range(32))


@pytest.mark.parametrize(("nodes", "k", "p"), [(32, 4, 0.75), (32, 4, 0.0), (16, 6, 1.0), (9, 2, 0.5)])
def test_watts_strogatz_always_has_half_of_n_times_k_edges(nodes, k, p):
    for seed in range(20):
        assert len(drawn(WattsStrogatz(k, p), seed, nodes).edges) == nodes * k // 2


def test_watts_strogatz_without_rewiring_is_the_ring_lattice():
    lattice = networkx.watts_strogatz_graph(32, 4, 0.0)
    assert set(drawn(WattsStrogatz(4, 0.0), 0).edges) == {tuple(sorted(edge)) for edge in lattice.edges}


def test_watts_strogatz_rewires_the_share_of_edges_it_is_told_to():
    lattice = set(drawn(WattsStrogatz(4, 0.0), 0).edges)
    kept = np.mean([len(lattice & set(drawn(WattsStrogatz(4, 0.3), seed).edges)) / 64 for seed in range(200)])
    assert abs(kept - 0.7) < 0.02  # a few are rewired to where another lattice edge was


@pytest.mark.parametrize("m", [1, 5, 7])
def test_barabasi_albert_has_m_sources_and_m_edges_per_newcomer(m):
    for seed in range(10):
        dag = drawn(BarabasiAlbert(m), seed)
        assert dag.sources == tuple(range(m))
        assert len(dag.edges) == m * (32 - m)
        assert all(len(dag.predecessors(node)) == m for node in range(m, 32))
        assert dag.predecessors(m) == tuple(range(m))


def test_barabasi_albert_prefers_nodes_of_high_degree():
    """With one edge per newcomer, node 3 joins node 1 (in the middle of 0-1-2) or an end in proportion to degree."""
    targets = []
    for seed in range(3000):
        dag = drawn(BarabasiAlbert(1), seed, 4)
        degrees = np.zeros(4)
        for edge in dag.edges[:-1] if dag.edges[-1][1] == 3 else [e for e in dag.edges if e[1] != 3]:
            degrees[list(edge)] += 1
        (target,) = dag.predecessors(3)
        targets.append(degrees[target])
    share = np.mean(np.array(targets) == 2)  # degrees 1, 2, 1: the middle gets half
    assert stats.binomtest(int(share * 3000), 3000, 0.5).pvalue > 1e-4


def test_erdos_renyi_links_each_pair_with_its_probability():
    counts = [len(drawn(ErdosRenyi(0.4), seed, 20).edges) for seed in range(300)]  # practically always connected
    expected, deviation = 190 * 0.4, np.sqrt(190 * 0.4 * 0.6 / 300)
    assert abs(np.mean(counts) - expected) < 4 * deviation


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ER(0.2)", ErdosRenyi(0.2)), ("BA(5)", BarabasiAlbert(5)), ("WS(4, 0.75)", WattsStrogatz(4, 0.75))],
)
def test_the_literatures_notation_names_a_generator(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["WS(4)", "WS(3,0.5)", "WS(4,1.5)", "ER(2)", "BA(0)", "BA(0.5)", "XY(1)", "ER()"])
def test_a_misspelt_or_impossible_generator_is_refused(text):
    with pytest.raises(SpaceError):
        parse(text)


@pytest.mark.parametrize("generator", [BarabasiAlbert(8), WattsStrogatz(8, 0.5), ErdosRenyi(0.0)], ids=str)
def test_a_generator_that_cannot_wire_so_many_nodes_says_so(generator):
    with pytest.raises(SpaceError, match=r"N=8|never|no connected"):
        drawn(generator, 0, 8)


def test_two_separate_parts_are_not_connected():
    assert not connected(Dag(4, ((0, 1), (2, 3))))
    assert connected(Dag(4, ((0, 1), (1, 3), (2, 3))))
