"""Grid search: every point once, and an honest prefix."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Decision, Float, Integer, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.grid import Grid, axes, count, order
from searchbench.strategies.strategy import Scenario


def points(grid: Grid, space: Space, replicate: int = 0, limit: int | None = None) -> list[Architecture]:
    search = grid.start(Scenario(space, Seeds("study", replicate), Budget(evaluations=1)))
    proposals = iter(search.ask, None)
    return [proposal.architecture for proposal in itertools.islice(proposals, limit)]


def test_grid_is_the_product_of_all_arities() -> None:
    space = nasbench201()
    found = points(Grid(), space)
    assert len(found) == len(set(found)) == 5**6 == count(space)
    assert set(found) == set(space.enumerate())


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (Float("x", 0.0, 1.0), (0.0, 0.25, 0.5, 0.75, 1.0)),
        (Float("x", 1e-4, 1.0, log=True), (1e-4, 1e-3, 1e-2, 1e-1, 1.0)),
        (Integer("x", 1, 3), (1, 2, 3)),
        (Integer("x", 1, 9), (1, 3, 5, 7, 9)),
        (Integer("x", 1, 256, log=True), (1, 4, 16, 64, 256)),
        (Choice("x", ("p", "q", "r", "s", "t", "u")), ("p", "q", "r", "s", "t", "u")),
    ],
)
def test_axis_is_spaced_on_the_decisions_own_scale(decision: Decision, expected: tuple[object, ...]) -> None:
    (axis,) = axes(Space("line", (decision,)), 5)
    assert axis == pytest.approx(expected) if isinstance(decision, Float) else axis == expected
    assert all(decision.contains(value) for value in axis)


def test_prefix_of_the_order_covers_the_first_decision_evenly() -> None:
    # lexicographically, the first 300 of 15,625 points would all have the same first operation
    first = Counter(a.values[0] for r in range(10) for a in points(Grid(), nasbench201(), r, 300))
    assert all(480 < n < 720 for n in first.values())
    assert len(first) == 5


def test_conditional_grid_lists_inactive_decisions_once() -> None:
    space = Space(
        "branch",
        (Choice("a", (0, 1)), Float("b", 0.0, 1.0, when=When("a", (1,))), Choice("c", ("x", "y"))),
    )
    found = points(Grid(points=3), space)
    assert len(found) == len(set(found)) == 2 + 3 * 2 == count(space, 3)


def test_grid_too_large_to_list_is_drawn_without_being_listed() -> None:
    space = Space("huge", tuple(Choice(f"d{i}", tuple(range(10))) for i in range(30)))
    found = points(Grid(), space, limit=2000)
    assert len(set(found)) == 2000
    digits = np.array([a.values for a in found])
    assert np.abs(digits.mean(axis=0) - 4.5).max() < 4 * 2.87 / np.sqrt(2000)


def test_order_without_a_list_is_a_permutation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("searchbench.strategies.grid.LISTABLE", 2)
    space = Space("small", (Choice("a", tuple(range(7))), Choice("b", (0, 1, 2))))
    orders = [tuple(a.values for a in order(space, 5, np.random.default_rng(seed))) for seed in range(50)]
    assert all(len(set(o)) == len(o) == 21 for o in orders)
    assert len(set(orders)) == 50


def test_grid_over_a_vast_conditional_space_is_refused_beforehand() -> None:
    decisions = (Choice("a", (0, 1)), *(Choice(f"d{i}", tuple(range(10)), When("a", (1,))) for i in range(7)))
    scenario = Scenario(Space("vast", decisions), Seeds("s", 0), Budget(evaluations=1))
    assert "needs at most 1,000,000" in str(Grid().unsupported(scenario))
    assert Grid().unsupported(Scenario(nasbench201(), Seeds("s", 0), Budget(evaluations=1))) is None


@pytest.mark.parametrize("points", [1, 2.5, True])
def test_impossible_number_of_points_is_refused(points: int) -> None:
    with pytest.raises(StudyError, match="`points` must be an integer of at least 2"):
        Grid(points=points)
