"""Pareto fronts and hypervolumes against known answers, inclusion-exclusion and a count of points."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchbench.errors import StatisticsError
from searchbench.statistics import hypervolume, pareto


def by_inclusion_exclusion(points: list[tuple[int, ...]], reference: tuple[int, ...]) -> float:
    total = 0.0
    for size in range(1, len(points) + 1):
        for some in itertools.combinations(points, size):
            corner = [max(p[d] for p in some) for d in range(len(reference))]
            total += (-1) ** (size + 1) * math.prod(max(0, r - c) for r, c in zip(reference, corner, strict=True))
    return total


def test_known_volumes() -> None:
    assert hypervolume([(1, 3), (2, 2), (3, 1)], (4, 4)) == 6.0
    assert hypervolume([(1, 2, 3), (3, 2, 1)], (4, 4, 4)) == 3 * 2 * 1 + 1 * 2 * 3 - 1 * 2 * 1
    assert hypervolume([(0, 0, 0, 0)], (2, 3, 4, 5)) == 120.0
    assert hypervolume([(4, 0), (5, 5)], (4, 4)) == 0.0


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@given(data=st.data())
def test_volume_is_that_of_inclusion_and_exclusion(objectives: int, data: st.DataObject) -> None:
    point = st.tuples(*[st.integers(0, 6)] * objectives)
    points = data.draw(st.lists(point, min_size=1, max_size=7))
    reference = (5,) * objectives
    assert hypervolume(points, reference) == pytest.approx(by_inclusion_exclusion(points, reference))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20))
def test_front_is_what_nothing_dominates_and_has_the_whole_volume(points: list[tuple[int, int, int]]) -> None:
    front = pareto(points)
    kept = [points[at] for at in front]
    free = {p for p in points if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)}
    assert set(kept) == free
    assert len(kept) == len(free)
    assert hypervolume(kept, (6, 6, 6)) == hypervolume(points, (6, 6, 6))


def test_volume_never_falls_when_a_point_is_added() -> None:
    points = np.random.default_rng(0).random((40, 3))
    volumes = [hypervolume(points[:n], (1, 1, 1)) for n in range(1, 41)]
    assert volumes == sorted(volumes)


def test_impossible_points_are_refused() -> None:
    with pytest.raises(StatisticsError, match="reference"):
        hypervolume([(1.0, 2.0)], (3.0,))
    with pytest.raises(StatisticsError, match="NaN"):
        hypervolume([(1.0, math.nan)], (3.0, 3.0))


def test_two_objectives_keep_what_many_would() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        points = rng.integers(0, 6, (rng.integers(1, 12), 2)).astype(float)
        third = np.concatenate([points, np.zeros((len(points), 1))], axis=1)
        assert pareto(points) == pareto(third)
