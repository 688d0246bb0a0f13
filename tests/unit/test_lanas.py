"""The tree of LaNAS: how it halves, and which half it goes to."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from searchbench.errors import StudyError
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies import lanas
from searchbench.strategies.lanas import LaNas, Leaf, TreeNode, TreeSearch, descend, grow
from searchbench.strategies.random import Random
from searchbench.testing import Stage, fly
from searchbench.testing.rehearsal import evaluate, scenario
from searchbench.trial import Proposal, Trial

CELLS = nasbench201()


def leaves(node: TreeNode) -> list[TreeNode]:
    return [node] if node.good is None or node.poor is None else [*leaves(node.good), *leaves(node.poor)]


def test_halves_hold_everything_once_and_the_good_one_is_better() -> None:
    rng = np.random.default_rng(0)
    encodings = rng.integers(2, size=(200, 12)).astype(float)
    values = encodings @ np.arange(12.0) + rng.normal(size=200)
    root = grow(encodings, values, 3, 10)
    assert sorted(v for leaf in leaves(root) for v in leaf.values) == sorted(values)
    assert 4 <= len(leaves(root)) <= 8

    def check(node: TreeNode) -> None:
        if node.good is not None and node.poor is not None:
            assert node.good.values.mean() < node.values.mean() < node.poor.values.mean()
            check(node.good)
            check(node.poor)

    check(root)


def node(values: list[float], good: TreeNode | None = None, poor: TreeNode | None = None) -> TreeNode:
    return TreeNode(np.array(values), np.zeros(2), 0.0, good, poor)


def test_it_goes_to_the_better_half_unless_the_other_is_little_known() -> None:
    many, few = [0.4, 0.5] * 20, [0.55, 0.6]
    root = node([*many, *few], node(many), node(few))
    assert [good for _, good in descend(root, 0.0).way] == [True]
    n, spread = len(many) + len(few), np.std([*many, *few])

    def gains(c: float) -> float:
        bounds = [-np.mean(v) + 2 * c * spread * math.sqrt(2 * math.log(n) / len(v)) for v in (many, few)]
        return float(bounds[0] - bounds[1])

    assert gains(0.1) > 0 > gains(1.0)
    assert [good for _, good in descend(root, 0.1).way] == [True]
    assert [good for _, good in descend(root, 1.0).way] == [False]


def test_depth_counts_the_halves_from_the_root_that_a_point_falls_into() -> None:
    first, second = TreeNode(np.zeros(1), np.array([1.0, 0.0, 0.0])), TreeNode(np.zeros(1), np.array([0.0, 1.0, 0.0]))
    leaf = Leaf(((first, True), (second, False)))
    assert leaf.depth(np.array([[-1.0, 1.0], [-1.0, -1.0], [1.0, 1.0]])).tolist() == [2, 1, 0]


def test_alike_values_are_not_split() -> None:
    assert grow(np.eye(20), np.ones(20), 3, 5).good is None
    assert grow(np.eye(4), np.arange(4.0), 3, 5).good is None


def test_the_model_of_a_node_is_a_ridge_regression_whose_constant_is_free() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.random((30, 3)), 5.0 + rng.normal(size=30)
    root = grow(x, y, 1, 30)  # as many as a node must have
    centred = x - x.mean(axis=0)
    slopes = np.linalg.solve(centred.T @ centred + 1e-3 * np.eye(3), centred.T @ (y - y.mean()))
    assert root.weights == pytest.approx([*slopes, y.mean() - x.mean(axis=0) @ slopes])
    assert root.middle == pytest.approx(y.mean())
    assert grow(x, y, 1, 31).weights is None


def test_the_bound_of_a_half_counts_what_its_own_parent_has() -> None:
    good, poor = node([0.9] * 3), node([1.0] * 2)
    upper = node([0.9] * 3 + [1.0] * 2, good, poor)
    root = node([*upper.values, *[3.0] * 95], upper, node([3.0] * 95))
    spread = np.std(root.values)

    def gain(n: int, c: float) -> float:
        bonus = [2 * c * spread * math.sqrt(2 * math.log(n) / k) for k in (3, 2)]
        return float(-0.9 + bonus[0] - (-1.0 + bonus[1]))

    c = 0.37
    assert gain(5, c) > 0 > gain(100, c)
    assert [taken for _, taken in descend(root, c).way] == [True, True]


def test_results_enter_the_nodes_on_their_way_down_at_once() -> None:
    root = node([0.4] * 6 + [0.6] * 6, node([0.4] * 6), node([0.6] * 6))
    leaf = descend(root, 0.1)
    assert [good for _, good in leaf.way] == [True]
    leaf.saw(0.9, 0)  # it missed the leaf
    assert (len(root.values), len(root.good.values)) == (13, 6)  # type: ignore[union-attr]
    for _ in range(6):
        leaf.saw(0.9, 1)
    assert (len(root.values), len(root.good.values), len(root.poor.values)) == (19, 12, 6)  # type: ignore[union-attr]
    assert [good for _, good in descend(root, 0.1).way] == [False]


def test_a_disappointing_half_is_left_before_the_tree_is_grown_anew() -> None:
    search, taken = started(initial=20, every=100, tries=200), list[tuple[bool, ...]]()
    for number in range(60):
        proposal = search.ask()
        assert proposal is not None
        if search.leaf is not None:
            taken.append(tuple(good for _, good in search.leaf.way))
        value = unlike_a_cell(proposal, number).value if search.leaf is None else 9.0
        search.tell(replace(evaluate(proposal, number, "fair"), value=value))
    assert all(taken[0])
    assert len(set(taken)) > 2


def test_of_equal_halves_it_goes_to_the_good_one() -> None:
    assert [taken for _, taken in descend(node([0.5] * 4, node([0.5] * 2), node([0.5] * 2)), 0.1).way] == [True]


def started(**settings: int) -> TreeSearch:
    strategy = LaNas(**settings)  # type: ignore[arg-type]
    return strategy.start(scenario(Stage(CELLS, 90), strategy))


def test_the_tree_is_grown_from_all_values_when_the_designs_are_in_and_then_every_so_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search, grown = started(initial=5, every=3), list[list[float]]()

    def seen(encodings: Any, values: Any, height: int, least: int) -> TreeNode:
        assert np.array_equal(encodings, [CELLS.encode(t.architecture) for t in told])
        grown.append(values.tolist())
        return TreeNode(values)

    monkeypatch.setattr(lanas, "grow", seen)
    values, told = [0.3, math.nan, 0.7, 0.5, 0.4, 0.9, 0.2, 0.1, 0.6], list[Trial]()
    for number, value in enumerate(values):
        proposal = search.ask()
        assert proposal is not None
        trial = evaluate(proposal, number, "only failures" if math.isnan(value) else "fair")
        told.append(replace(trial, value=value))
        search.tell(told[-1])
    assert grown == [[0.3, 0.7, 0.7, 0.5, 0.4], [0.3, 0.9, 0.7, 0.5, 0.4, 0.9, 0.2, 0.1]]  # a failure is the worst


def test_where_no_draw_falls_into_the_leaf_the_first_that_went_down_farthest_is_taken_once() -> None:
    search = started(initial=1, tries=3)
    nowhere = TreeNode(np.zeros(1), np.array([*[0.0] * len(CELLS.encode(CELLS.sample(np.random.default_rng(0)))), 1.0]))
    search.leaf = Leaf(((nowhere, True),))
    rng = scenario(Stage(CELLS, 90), LaNas(initial=1, tries=3)).seeds.rng("search")
    draws = [CELLS.sample(rng) for _ in range(90)]
    asked: list[Any] = [search.ask() for _ in range(30)]
    assert [p.architecture for p in asked[:2]] == [draws[0], draws[3]]
    assert len({p.architecture.key for p in asked}) == 30


def unlike_a_cell(proposal: Proposal, number: int) -> Trial:
    wanted = ("nor_conv_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "none", "avg_pool_3x3")
    pairs = zip(proposal.architecture.values, wanted, strict=True)
    return replace(evaluate(proposal, number, "fair"), value=float(sum(a != b for a, b in pairs)))


def test_it_finds_better_cells_than_random_draws() -> None:
    def best(strategy: LaNas | Random) -> float:
        flights = [fly(strategy, Stage(CELLS, 90), 1, replicate=r, values=unlike_a_cell) for r in range(4)]
        return float(np.mean([min(t.value for t in flight.trials) for flight in flights]))

    assert best(LaNas(20, every=10, tries=300)) < best(Random(replacement=False)) - 0.9


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(StudyError, match="`initial` must be a positive integer"):
        LaNas(initial=0)
    with pytest.raises(StudyError, match="`exploration` must not be negative"):
        LaNas(exploration=-1.0)
