"""Rules of derivation as mathematics: every number was worked out independently of this code."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from small_cells import DARTS_LIKE, SMALL, WEIGHTS

from searchbench.strategies.differentiable import (
    CappedTopEdges,
    Threshold,
    TopEdges,
)
from searchbench.strategies.differentiable.discretise import skips_of


def test_top_edges_keep_the_two_heaviest_of_every_node_with_their_best_operation():
    z = TopEdges(2).choose(WEIGHTS, SMALL)
    assert z.astype(int).tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert np.array_equal(TopEdges(2).choose(z.astype(float), SMALL), z)


def test_top_edges_are_the_euclidean_projection_once_none_is_put_to_zero():
    weights = WEIGHTS.copy()
    weights[:, 0] = 0.0
    z = TopEdges(2).choose(weights, SMALL)
    best = min(
        np.square(weights - candidate).sum()
        for candidate in (np.concatenate(nodes) for nodes in itertools.product(_feasible(2), _feasible(3)))
    )
    assert np.square(weights - z).sum() == pytest.approx(best, abs=1e-15)


def test_edges_of_equal_weight_are_kept_from_the_lower_source_on():
    weights = np.full((28, 8), 0.1)
    weights[:, 3] = 0.3
    z = TopEdges(2).choose(weights, DARTS_LIKE)
    for rows in DARTS_LIKE.nodes():
        assert [at for at in rows if z[at].any()] == sorted(rows)[:2]
    weights[:, 4] = 0.3  # and of equal operations the lower one is taken
    assert z.tolist() == TopEdges(2).choose(weights, DARTS_LIKE).tolist()
    heavier, second = weights.copy(), sorted(list(DARTS_LIKE.nodes())[1])
    heavier[second[-1], 3] = 0.3001
    kept = TopEdges(2).choose(heavier, DARTS_LIKE)
    assert [at for at in second if kept[at].any()] == [second[0], second[-1]]


def _feasible(edges):
    for kept in itertools.combinations(range(edges), 2):
        for ops in itertools.product((1, 2), repeat=2):
            z = np.zeros((edges, 3))
            z[list(kept), list(ops)] = 1
            yield z


def test_every_derived_cell_has_two_distinct_inputs_per_node_and_never_none():
    generator = np.random.default_rng(0)
    for _ in range(50):
        z = TopEdges(2).choose(generator.dirichlet(np.ones(8), size=28), DARTS_LIKE)
        assert not z[:, DARTS_LIKE.none].any()
        assert z.sum(1).max() == 1
        assert [int(z[rows].any(1).sum()) for rows in DARTS_LIKE.nodes()] == [2] * 8


def test_a_heavier_none_never_changes_an_edges_operation_but_can_drop_the_edge():
    logits = np.zeros((28, 8))
    logits[:, 4] = 0.5
    rows = list(DARTS_LIKE.nodes())[1]
    logits[rows[0], 4] = 0.6
    softmax = lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)  # noqa: E731
    before = TopEdges(2).choose(softmax(logits), DARTS_LIKE)
    assert before[rows[0], 4]
    logits[rows[0], 0] = 3.0
    after = TopEdges(2).choose(softmax(logits), DARTS_LIKE)
    assert not after[rows[0]].any()
    assert softmax(logits)[rows[0], 1:].argmax() == 3


def test_capping_leaves_at_most_two_skips_in_the_normal_cell_and_drops_the_lightest_first():
    weights = np.full((28, 8), 0.1)
    weights[:14, 3] = np.linspace(0.5, 0.9, 14)
    weights[:, 4] = 0.2
    capped = CappedTopEdges(2, 2).choose(weights, DARTS_LIKE)
    assert len(skips_of(TopEdges(2).choose(weights, DARTS_LIKE), DARTS_LIKE)) == 8
    assert skips_of(capped, DARTS_LIKE) == [12, 13]
    assert [int(capped[rows].any(1).sum()) for rows in DARTS_LIKE.nodes()] == [2] * 8
    assert weights[13, 3] == 0.9  # not changed in place


def test_capping_ends_where_nothing_but_skips_is_left():
    weights = np.zeros((5, 3))
    weights[:, 1] = [0.9, 0.8, 0.7, 0.6, 0.5]  # pruned to skips
    capped = CappedTopEdges(2, 1).choose(weights, SMALL)
    assert [int(capped[rows].any(1).sum()) for rows in SMALL.nodes()] == [2, 2]
    weights[4, 2] = 0.55
    assert CappedTopEdges(2, 1).choose(weights, SMALL)[4, 2]


def test_a_threshold_may_leave_two_one_or_no_inputs():
    weights = np.zeros((5, 3))
    weights[0, 1] = weights[2, 2] = weights[3, 2] = 0.9
    weights[4, 1] = 0.8
    z = Threshold(0.85).choose(weights, SMALL)
    assert z.sum() == 3
    assert not z[4].any()
    assert not Threshold(0.95).choose(weights, SMALL).any()
    assert Threshold(0.9).choose(weights, SMALL).sum() == 3  # just as much is enough
