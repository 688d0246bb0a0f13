"""Graphs of operations, the Weisfeiler-Lehman kernel, and the Gaussian process over it."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, WhiteKernel

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.darts.space import darts
from searchbench.spaces.graphs.nasbench101 import nasbench101
from searchbench.spaces.labelled import LabelledGraph, graph_of_edges
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies.graph_process import BUCKETS, GraphProcess, SubgraphCounts, _bucket, nas_bowl
from searchbench.strategies.model_based import OneHot
from searchbench.strategies.surrogates import GaussianProcess
from searchbench.tables.shipped import SHIPPED
from searchbench.testing import Stage
from searchbench.testing.rehearsal import scenario

CELLS = nasbench201()


def cell(text: str) -> Any:
    return CELLS.graph(CELLS.parse(text))  # type: ignore[misc]


def shown(graph: LabelledGraph) -> set[tuple[str, str]]:
    return {(graph.labels[a], graph.labels[b]) for a, b in graph.arcs}


def test_operations_on_edges_become_vertices_and_dead_ends_are_left_out() -> None:
    graph = cell("|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|skip_connect~1|none~2|")
    assert graph.labels == ("input 0", "nor_conv_3x3", "skip_connect", "output")  # node 2 leads nowhere
    assert shown(graph) == {("input 0", "nor_conv_3x3"), ("nor_conv_3x3", "skip_connect"), ("skip_connect", "output")}
    empty = cell("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert empty.labels == ("input 0", "output")
    assert empty.arcs == ()


def test_equal_operations_on_one_node_stay_apart() -> None:
    graph = graph_of_edges([(0, 2, "a"), (1, 2, "a"), (2, 3, "b")], inputs=(0, 1), outputs=(3,))
    assert graph.labels == ("input 0", "input 1", "a", "a", "b", "output")
    assert set(graph.arcs) == {(0, 2), (1, 3), (2, 4), (3, 4), (4, 5)}


def test_isomorphic_cells_have_the_same_counts_and_others_have_not() -> None:
    one = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|skip_connect~1|skip_connect~2|"
    two = "|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|skip_connect~1|skip_connect~2|"
    other = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|"
    counts = [SubgraphCounts(2).of(CELLS, CELLS.parse(text)) for text in (one, two, other)]
    assert np.array_equal(counts[0], counts[1])
    assert not np.array_equal(counts[0], counts[2])


@pytest.mark.parametrize("space", [nasbench101(), darts(4, 3)], ids=["nasbench101", "darts"])
def test_every_architecture_of_cell_spaces_is_a_graph(space: Space) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        architecture = space.sample(rng)
        graph = space.graph(architecture)  # type: ignore[misc]
        assert all(0 <= a < b < len(graph.labels) for a, b in graph.arcs)
        assert SubgraphCounts(1).of(space, architecture).sum() == 2 * len(graph.labels)


def plain_kernel(one: LabelledGraph, other: LabelledGraph, height: int) -> float:
    """By definition: labels as nested tuples, no digest, no bucket."""

    def rounds(graph: LabelledGraph) -> list[Counter[Any]]:
        labels: list[Any] = list(graph.labels)
        found = [Counter(labels)]
        for _ in range(height):
            after = [sorted(repr(labels[b]) for a, b in graph.arcs if a == at) for at in range(len(labels))]
            labels = [(label, tuple(others)) for label, others in zip(labels, after, strict=True)]
            found.append(Counter(labels))
        return found

    pairs = zip(rounds(one), rounds(other), strict=True)
    return float(sum(a[label] * b[label] for a, b in pairs for label in a))


def test_counts_multiply_to_the_weisfeiler_lehman_kernel() -> None:
    rng = np.random.default_rng(1)
    drawn = [CELLS.sample(rng) for _ in range(12)]
    counts = np.array([SubgraphCounts(2).of(CELLS, a) for a in drawn])
    graphs = [CELLS.graph(a) for a in drawn]  # type: ignore[misc]
    expected = [[plain_kernel(a, b, 2) for b in graphs] for a in graphs]
    assert (counts @ counts.T).tolist() == expected
    labels = {label for graph in graphs for row in graph.refinements(2) for label in row}
    assert len({_bucket(label) for label in labels}) > 0.9 * len(labels)


@pytest.mark.parametrize("height", [0, 2])
def test_the_process_is_the_library_s_with_the_same_kernel_of_the_likeliest_height(height: int) -> None:
    rng = np.random.default_rng(2)
    drawn = [CELLS.sample(rng) for _ in range(40)]
    counts = np.array([SubgraphCounts(height).of(CELLS, a) for a in drawn])
    values = np.array([a.values.count("nor_conv_3x3") for a in drawn], dtype=float) + rng.normal(size=40)
    mean, std = GraphProcess().fit(counts[:30], values[:30], rng)(counts[30:])
    best, rows = None, counts
    for depth, noise in product(range(height + 1), (1e-6, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0)):
        upto = counts[:, : (depth + 1) * BUCKETS]
        scaled = upto / np.linalg.norm(upto, axis=1, keepdims=True)
        fixed: Any = "fixed"
        kernel = ConstantKernel(1.0, (1e-9, 1e9)) * (DotProduct(0.0, fixed) + WhiteKernel(noise, fixed))
        process = GaussianProcessRegressor(kernel, normalize_y=True).fit(scaled[:30], values[:30])
        if best is None or process.log_marginal_likelihood_value_ > best.log_marginal_likelihood_value_:
            best, rows = process, scaled
    assert best is not None
    theirs, noisy = best.predict(rows[30:], return_std=True)
    np.testing.assert_allclose(mean, theirs, rtol=1e-4)
    white = best.kernel_.k1.constant_value * best.kernel_.k2.k2.noise_level * values[:30].std() ** 2
    np.testing.assert_allclose(std, np.sqrt(np.maximum(noisy**2 - white, 0)), rtol=1e-3, atol=1e-4)


def test_fifty_cells_rank_the_others_better_than_by_their_decisions() -> None:
    """On the shipped table (6,466 cells): .855 against .697 by the Hamming kernel, means of five samples."""
    table = pq.read_table(SHIPPED["nasbench201-digits"], columns=["architecture", "valid_0_12"])
    architectures = table.column(0).to_pylist()
    values = 1 - np.array(table.column(1).to_pylist())
    found = []
    for surrogate, encoding in ((GraphProcess(), SubgraphCounts(2)), (GaussianProcess(), OneHot())):
        chosen = np.random.default_rng(3).permutation(len(values))[:450]
        encoded = np.array([encoding.of(CELLS, CELLS.parse(architectures[at])) for at in chosen])
        predict = surrogate.start(CELLS).fit(encoded[:50], values[chosen[:50]], np.random.default_rng(0))
        found.append(spearmanr(predict(encoded[50:])[0], values[chosen[50:]]).statistic)
    assert found[0] > 0.8
    assert found[0] > found[1]


def test_spaces_without_graphs_are_skipped_with_the_reason() -> None:
    plain = Space("plain", (Choice("x", (1, 2)),))
    assert "have none" in str(nas_bowl().unsupported(scenario(Stage(plain, 5), nas_bowl(), 0)))
    assert nas_bowl().unsupported(scenario(Stage(CELLS, 5), nas_bowl(), 0)) is None
    with pytest.raises(StudyError, match="`height` must be"):
        SubgraphCounts(-1)
    assert len(SubgraphCounts(1).of(CELLS, CELLS.sample(np.random.default_rng(0)))) == 2 * BUCKETS
