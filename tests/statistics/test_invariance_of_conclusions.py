"""No conclusion depends on the unit, the origin or the direction of a metric, nor on the order of labels and seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hyp

from searchbench import statistics as st
from searchbench.statistics.claims import established, leaning

ESTIMANDS = hyp.sampled_from(["mean", "median", "iqm", "rank"])
LABELS = ("base", "a", "b", "c")


@dataclass(frozen=True)
class Board:
    """Scores [strategies, seeds, tasks], lower is better unless mirrored; NaN = failed."""

    x: np.ndarray
    rope: float | None
    estimand: Any
    best: float = -10.0
    random: float = 10.0
    better: Any = "lower"
    labels: tuple[int, ...] = (0, 1, 2, 3)

    def changed(self, scale: float = 1.0, shift: float = 0.0) -> Board:
        rope = None if self.rope is None else abs(scale) * self.rope
        ends = scale * self.best + shift, scale * self.random + shift
        better = "lower" if scale > 0 else "higher"
        return Board(scale * self.x + shift, rope, self.estimand, *ends, better, self.labels)

    def with_seeds(self, order: list[int]) -> Board:
        return Board(self.x[:, order], self.rope, self.estimand, self.best, self.random, self.better, self.labels)

    def with_labels(self, order: tuple[int, ...]) -> Board:
        return Board(self.x, self.rope, self.estimand, self.best, self.random, self.better, order)

    def arms(self) -> list[st.Arm]:
        """Its strategies on the first task, in the order of its labels."""
        return [st.arm(self.x[i, :, 0], name=LABELS[i], better=self.better) for i in self.labels]

    @property
    def asked(self) -> dict[str, Any]:
        return {"rope": self.rope, "estimand": self.estimand}


@hyp.composite
def boards(draw: hyp.DrawFn) -> Board:
    n = draw(hyp.sampled_from([2, 5, 6, 9, 12, 20]))
    rng = np.random.default_rng(draw(hyp.integers(0, 2**31)))
    digits = draw(hyp.sampled_from([0, 1, 3]))  # ties, few ties, none
    x = np.round(rng.normal(0, 1, (4, n, 3)) + draw(hyp.sampled_from([0, 1, 2])) * np.arange(4)[:, None, None], digits)
    x[rng.random(x.shape) < draw(hyp.sampled_from([0, 0, 0.05]))] = np.nan
    return Board(x, draw(hyp.sampled_from([None, 0.31])), draw(ESTIMANDS))


Conclusions = dict[Any, tuple[Any, ...]]


def rounded(x: float | None) -> float | None:
    return None if x is None else float(f"{x:.6g}")


def of_family(family: st.Family) -> Conclusions:
    found: Conclusions = {}
    for (a, b), answer in family:
        winner = {"a": a, "b": b, "none": None}[family.winner(answer)]
        said = re.match(r"(\w+) is better than", answer.wording)
        assert (said[1] if said else None) == winner
        found[frozenset((a, b))] = (winner, answer.status, answer.code, rounded(answer.p), rounded(answer.p_adj))
    for name, ranks in family.rank_intervals().items():
        found[name] = ranks
    if family.omnibus is not None:
        found["omnibus"] = (family.omnibus.status, rounded(family.omnibus.p))
    return found


def leaderboard(board: Board) -> Conclusions:
    return of_family(st.baseline_then_others(board.arms(), "base", paired_by_seed=True, **board.asked))


def unpaired(board: Board) -> Conclusions:
    return of_family(st.all_pairs(board.arms(), paired_by_seed=False, rope=board.rope))


def ranking(board: Board) -> Conclusions:
    return of_family(st.all_pairs(board.arms(), paired_by_seed=True, **board.asked))


def compare(board: Board) -> Conclusions:
    a, b, *_ = board.arms()
    answer = st.paired(a, b, **board.asked)
    said = re.match(r"(\w+) is better than", answer.wording)
    seen = re.search(r"a difference of ([\d.e+-]+) would be seen", answer.wording)
    size = rounded(float(seen[1]) / (abs(board.random - board.best) / 20)) if seen else None
    key = frozenset((a.name, b.name))
    return {key: (said[1] if said else None, answer.status, answer.code, rounded(answer.p)), "seen": (size,)}


def ablation(board: Board) -> Conclusions:
    cells = [frozenset(), frozenset({"A"}), frozenset({"B"}), frozenset({"A", "B"})]
    by_name = {x.name: x for x in board.arms()}
    placed = {cells[LABELS.index(name)]: x for name, x in by_name.items()}
    factors = ("A", "B") if board.labels[0] < board.labels[1] else ("B", "A")
    found = st.factorial(placed, factors, paired_by_seed=True, **board.asked)
    sign = 1.0 if board.better == "lower" else -1.0
    out: Conclusions = {}
    for name, x in found.effects.items():
        shown = established(x, alpha=0.05, rope=board.rope)
        side = sign * math.copysign(1, leaning(x)) if shown else None
        out[frozenset(name.split(" × "))] = (shown, side, x.status, x.code, rounded(x.p), rounded(x.p_adj))
    return out


def across(board: Board) -> Conclusions:
    names, x = tuple(LABELS[i] for i in board.labels), board.x[list(board.labels)]
    scores = st.Scores(names, ("t0", "t1", "t2"), x, (board.better,) * 3)
    scores = scores.normalised([board.best] * 3, [board.random] * 3)
    rope = None if board.rope is None else board.rope / abs(board.random - board.best)
    found = st.rank(scores, baseline="base", resamples=2, estimand=board.estimand, rope=rope)
    if found.family is None:
        return {name: (found[name].shown, found[name].answer.code) for name in names}
    return of_family(found.family)


SCREENS = pytest.mark.parametrize("screen", [leaderboard, unpaired, ranking, compare, ablation, across])
Screen = Callable[[Board], Conclusions]
THOROUGH = settings(max_examples=15, deadline=None)


def assert_same(there: Conclusions, here: Conclusions) -> None:
    different = {k: (there.get(k), here.get(k)) for k in {*there, *here} if there.get(k) != here.get(k)}
    seen = different.pop("seen", None)
    if seen is not None:
        assert seen[0][0] == pytest.approx(seen[1][0], rel=0.02)
    assert not different


@SCREENS
@pytest.mark.parametrize("scale", [1e-9, -1e9])
def test_unit_direction_and_order_change_no_conclusion(screen: Screen, scale: float) -> None:
    rng = np.random.default_rng(12)
    x = np.round(rng.normal(0, 1, (4, 9, 3)) + 1.5 * np.arange(4)[:, None, None], 2)
    x[1, 0, 0] = np.nan
    board = Board(x, 0.31, "mean")
    order = (1, 0, 2, 3) if screen is compare else (3, 1, 0, 2)
    changed = board.changed(scale).with_labels(order).with_seeds([8, 3, 4, 0, 1, 2, 7, 6, 5])
    assert_same(screen(board), screen(changed))


def test_random_flips_of_differences_without_a_side_depend_on_no_order() -> None:
    d = np.array([1.0, -1.0] * 9 + [2.0, 1.0, -3.0])
    led, order = st.estimand("iqm"), np.random.default_rng(3).permutation(len(d))
    found = [led.test(x[:, None], seed=0, resamples=999).p[0] for x in (d, d[order], -d)]
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
@SCREENS
@THOROUGH
@given(board=boards(), scale=hyp.sampled_from([1e-9, 1e-7, 1e-2, 2.54, 1e5, 1e9]))
def test_the_unit_of_a_metric_changes_no_conclusion(screen: Screen, board: Board, scale: float) -> None:
    assert_same(screen(board), screen(board.changed(scale)))


@pytest.mark.slow
@SCREENS
@THOROUGH
@given(board=boards(), shift=hyp.sampled_from([-100.0, -0.1, 0.3, 7.7, 1000.0]))
def test_the_origin_of_a_metric_changes_no_conclusion(screen: Screen, board: Board, shift: float) -> None:
    assert_same(screen(board), screen(board.changed(shift=shift)))


@pytest.mark.slow
@SCREENS
@THOROUGH
@given(board=boards(), scale=hyp.sampled_from([-1.0, -1e-9, -1e9]))
def test_a_mirrored_metric_changes_no_conclusion(screen: Screen, board: Board, scale: float) -> None:
    assert_same(screen(board), screen(board.changed(scale)))


@pytest.mark.slow
@SCREENS
@THOROUGH
@given(board=boards(), order=hyp.permutations(range(20)))
def test_the_order_of_seeds_changes_no_conclusion(screen: Screen, board: Board, order: list[int]) -> None:
    n = board.x.shape[1]
    assert_same(screen(board), screen(board.with_seeds([i for i in order if i < n])))


@pytest.mark.slow
@SCREENS
@THOROUGH
@given(board=boards(), order=hyp.permutations(range(4)))
def test_the_order_of_labels_changes_no_conclusion(screen: Screen, board: Board, order: list[int]) -> None:
    if screen is compare:  # the same two, either way round
        order = [1, 0, 2, 3]
    assert_same(screen(board), screen(board.with_labels(tuple(order))))
