"""Auto-Keras: its distances are those of the released code, its kernel is one, and its search follows the scores."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from searchbench.cost import Cost
from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.chains.morphisms import graph, grown
from searchbench.spaces.chains.nats_sizes import nats_sizes
from searchbench.spaces.chains.zoph import chain
from searchbench.spaces.choices import Choice, Integer
from searchbench.spaces.darts.space import darts
from searchbench.spaces.graphs.nasbench101 import nasbench101
from searchbench.spaces.labelled import LabelledGraph
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Array, Space
from searchbench.spaces.within import Within
from searchbench.strategies.edits import (
    LAYERS,
    Descriptors,
    EditProcess,
    descriptor,
    embedded,
    kernel,
    layers_distances,
    reference_sets,
    skips_distances,
)
from searchbench.strategies.model_based import ModelBased
from searchbench.strategies.morphism_tree import MorphismTree, auto_keras
from searchbench.strategies.random import Random
from searchbench.tables.shipped import SHIPPED
from searchbench.testing import Stage
from searchbench.testing.rehearsal import scenario
from searchbench.trial import FULL, Trial

CELLS, GROWN = nasbench201(), grown()
RELEASED = (
    "1 0 0 0|1 0 0 0|1 0 0 0",
    "1 1 0 0|1 0 0 0|1 0 0 0;2&5",
    "1 1 1 0|1 0 0 0|1 0 0 0;2+5;3&5",
    "2 0 0 0|1 0 0 0|1 0 0 0;1&5",
    "2 0 0 0|1 2 0 0|1 0 0 0;1&5",
    "2 1 1 1|1 0 0 0|1 0 0 0;3+5;4&5",
    "2 1 1 2|1 0 0 0|1 0 0 0;2&4;3+5;4&5",
)
"""Networks that morphisms of version 0.2.19 made of its initial one; below what its code said of them."""
WIDTHS = (
    (64, 64, 64),
    (64, 64, 64, 64),
    (64, 64, 64, 64, 64),
    (128, 64, 64),
    (128, 64, 128, 64),
    (128, 64, 64, 64, 64, 64),
    (128, 64, 64, 128, 64, 64),
)
DISTANCES = (
    (0.0, 1.1, 2.2, 0.6, 1.6, 3.2, 3.3),
    (1.1, 0.0, 1.125, 1.533333333, 1.033333333, 2.14, 2.225),
    (2.2, 1.125, 0.0, 2.65, 2.15, 1.04, 1.64),
    (0.6, 1.533333333, 2.65, 0.0, 1.0, 3.16, 3.25),
    (1.6, 1.033333333, 2.15, 1.0, 0.0, 2.66, 2.25),
    (3.2, 2.14, 1.04, 3.16, 2.66, 0.0, 0.6),
    (3.3, 2.225, 1.64, 3.25, 2.25, 0.6, 0.0),
)
SETS = ((6,), (5,), (6, 2))
KERNEL = (
    (1.0, 0.318239829, 0.016788407, 0.933451132, 0.627800189, 0.001235022, 0.000554931),
    (0.318239829, 1.0, 0.390907886, 0.229416381, 0.643682298, 0.082198628, 0.057119103),
    (0.016788407, 0.390907886, 1.0, 0.009068032, 0.078892693, 0.431250278, 0.382484685),
    (0.933451132, 0.229416381, 0.009068032, 1.0, 0.60653066, 0.000850063, 0.000320317),
)


def encoded(space: Space, drawn: list[Any]) -> Array:
    return np.array([Descriptors().of(space, a) for a in drawn])


def distances(rows: Array, structure: float = 0.1) -> Array:
    layers = rows[:, : 2 * LAYERS].reshape(len(rows), -1, 2)
    skips = rows[:, 2 * LAYERS :].reshape(len(rows), -1, 3)
    return layers_distances(layers, layers) + structure * skips_distances(skips, skips)


def test_distances_and_kernel_are_those_of_the_released_code() -> None:
    networks = [GROWN.parse(text) for text in RELEASED]
    assert tuple(tuple(width for _, width in descriptor(graph(a)).layers) for a in networks) == WIDTHS
    between = distances(encoded(GROWN, networks))
    np.testing.assert_allclose(between, DISTANCES, atol=1e-9)
    rows = embedded(between, [np.array(one) for one in SETS])
    np.testing.assert_allclose(kernel(rows[:4], rows), KERNEL, atol=1e-8)


def edits(one: tuple[Any, ...], other: tuple[Any, ...]) -> float:
    """The cheapest of all ways to align two chains of layers."""
    found = float(len(one) + len(other))
    for count in range(1, min(len(one), len(other)) + 1):
        for left in itertools.combinations(one, count):
            for right in itertools.combinations(other, count):
                changed = sum(
                    abs(a - b) / max(a, b) if x == y else 1.0 for (x, a), (y, b) in zip(left, right, strict=True)
                )
                found = min(found, changed + len(one) + len(other) - 2 * count)
    return found


def matched(one: tuple[Any, ...], other: tuple[Any, ...]) -> float:
    """The cheapest of all ways to match two sets of skips."""
    less, more = sorted((one, other), key=len)
    found = math.inf
    for right in itertools.permutations(more, len(less)):
        cost = float(len(more) - len(less))
        for (u, end, kind), (v, last, what) in zip(less, right, strict=True):
            far = abs(u - v) + abs((end - u) - (last - v))
            cost += far / (max(u, v) + max(end - u, last - v)) if kind == what else 1.0
        found = min(found, cost)
    return found


@pytest.mark.parametrize("space", [grown(stages=2, layers=2), CELLS, chain(4)], ids=lambda space: space.name)
def test_distances_are_the_least_of_all_alignments_and_matchings(space: Space) -> None:
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(8)]
    assert space.graph is not None
    known = [descriptor(space.graph(a)) for a in drawn]
    expected = [[edits(a.layers, b.layers) + 0.5 * matched(a.skips, b.skips) for b in known] for a in known]
    np.testing.assert_allclose(distances(encoded(space, drawn), 0.5), expected, atol=1e-12)


@pytest.mark.parametrize(
    "space", [CELLS, nasbench101(), darts(4, 3), nats_sizes(), GROWN], ids=lambda space: space.name
)
def test_they_are_pseudo_metrics_and_their_embedding_has_a_positive_definite_kernel(space: Space) -> None:
    rng = np.random.default_rng(1)
    rows = np.unique(encoded(space, [space.sample(rng) for _ in range(16)]), axis=0)
    between = distances(rows)
    np.testing.assert_allclose(between, between.T, atol=1e-12)
    np.testing.assert_array_equal(np.diag(between), 0.0)
    assert (between <= (between[:, :, None] + between[None]).min(axis=1) + 1e-9).all()
    points = embedded(between, reference_sets(len(rows), rng))
    assert np.linalg.eigvalsh(kernel(points, points)).min() > -1e-12
    apart = np.unique(points.round(9), axis=0)
    assert np.linalg.eigvalsh(kernel(apart, apart, 100.0)).min() > 0


def test_reference_sets_double_and_each_size_has_as_many() -> None:
    sets = reference_sets(20, np.random.default_rng(0))
    assert [len(one) for one in sets] == [1] * 3 + [2] * 3 + [4] * 3 + [8] * 3 + [16] * 3
    assert len(reference_sets(1, np.random.default_rng(0))) == 1


def test_layers_are_ordered_by_depth_and_what_leads_past_one_is_a_skip() -> None:
    cell = CELLS.parse("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|avg_pool_3x3~1|none~2|")
    found = descriptor(CELLS.graph(cell))  # type: ignore[misc]
    assert found.layers == (("nor_conv_3x3", 1), ("avg_pool_3x3", 1))
    assert found.skips == ((0, 2, "add"),)
    both = descriptor(LabelledGraph(("a input 0", "a conv", "a output", "b input 0", "b conv", "b output"), ()))
    assert [label for label, _ in both.layers] == ["a conv", "b conv"]


def test_networks_are_the_same_wherever_their_layers_stand_in_a_stage() -> None:
    one, other = GROWN.parse("1 2 0 0|1 0 0 0|1 0 0 0;1+2;2&5"), GROWN.parse("1 0 0 2|1 0 0 0|1 0 0 0;3+4;4&5")
    assert one.key == other.key == "1 2|1|1;1+2;2&3"
    assert one != other
    assert graph(one) == graph(other)
    assert graph(one).names == ("input 0", "conv3x3 64", "conv3x3 128", "add 128", "conv3x3 64", "concat 64",
                                "conv3x3 64", "output")  # fmt: skip
    with pytest.raises(SpaceError, match="place 2, which is empty"):
        GROWN.parse("1 0 0 0|1 0 0 0|1 0 0 0;1+2")
    with pytest.raises(SpaceError, match="leads on"):
        GROWN.parse("1 0 0 0|1 0 0 0|1 0 0 0;5+1")
    with pytest.raises(SpaceError, match="3 stages of 4"):
        GROWN.parse("1 0 0 0|1 0 0 0")


def table() -> tuple[list[str], Array]:
    found = pq.read_table(SHIPPED["nasbench201-digits"], columns=["architecture", "valid_0_12"])
    return found.column(0).to_pylist(), 1 - np.array(found.column(1).to_pylist())


def test_a_hundred_cells_rank_the_others() -> None:
    architectures, values = table()
    chosen = np.random.default_rng(3).permutation(len(values))[:200]
    rows = encoded(CELLS, [CELLS.parse(architectures[at]) for at in chosen])
    live, rng = EditProcess().start(CELLS), np.random.default_rng
    live.fit(rows[:30], values[chosen[:30]], rng(0))
    mean, std = live.fit(rows[:100], values[chosen[:100]], rng(0))(rows[100:])
    fresh = EditProcess().start(CELLS).fit(rows[:100], values[chosen[:100]], rng(0))
    np.testing.assert_allclose(mean, fresh(rows[100:])[0])  # distances that were kept are those that are taken anew
    assert spearmanr(mean, values[chosen[100:]]).statistic > 0.65
    assert (std >= 0).all()


def best_of(strategy: Any, seed: int, values: dict[str, float]) -> float:
    live = strategy.start(scenario(Stage(CELLS, 45), strategy, seed))
    best = math.inf
    for number in range(45):
        architecture = live.ask().architecture
        best = min(best, value := values[architecture.key])
        live.tell(Trial(number, architecture, FULL, "ok", value, Cost(evaluations=1)))
    return best


def test_it_finds_better_cells_than_random_draws() -> None:
    values = {CELLS.parse(text).key: value for text, value in zip(*table(), strict=True)}
    strategy = auto_keras(moves=4, cooling=0.7)
    ours, draws = ([best_of(one, seed, values) for seed in range(3)] for one in (strategy, Random()))
    assert np.mean(ours) < np.mean(draws) - 0.005


LINE = Space("line", (Integer("x", 0, 60), Integer("y", 0, 60)))


def test_the_tree_is_followed_to_where_scores_are_least_and_nothing_is_met_twice() -> None:
    scored: list[Any] = []

    def score(architectures: Any) -> Array:
        scored.extend(architectures)
        return np.array([abs(a["x"] - 20.0) + abs(a["y"] - 20.0) for a in architectures])

    start = LINE.architecture((10, 10))
    led = MorphismTree().led(LINE, [(20.0, start)], {start.identity}, score, 3, np.random.default_rng(0))
    assert led[0].values == (20, 20)
    assert len({a.identity for a in led}) == 3
    assert len({a.identity for a in scored}) == len(scored)
    assert start not in scored
    assert MorphismTree(coldest=0.85).led(LINE, [(20.0, start)], set(), score, 9, np.random.default_rng(0)) != []
    assert MorphismTree().led(LINE, [(0.0, start)], set(LINE.neighbours(start)), score, 1, np.random.default_rng(0))


def test_within_a_limit_every_move_is_legal() -> None:
    limited: Any = Within(LINE, 25.0, lambda a: float(a["x"]), LINE.architecture((0, 0)))  # type: ignore[arg-type]
    start = LINE.architecture((24, 0))
    led = MorphismTree().led(
        limited, [(1.0, start)], set(), lambda found: np.array([-float(a["x"]) for a in found]), 50,
        np.random.default_rng(0),
    )  # fmt: skip
    assert led[0]["x"] == 25
    assert all(a in limited for a in led)


def test_what_cannot_be_compared_or_led_is_refused_with_the_reason() -> None:
    plain = Space("plain", (Choice("x", (1, 2)),))
    assert "have none" in str(auto_keras().unsupported(scenario(Stage(plain, 5), auto_keras(), 0)))
    for space in (CELLS, GROWN, chain(3), nats_sizes()):
        assert auto_keras().unsupported(scenario(Stage(space, 5), auto_keras(), 0)) is None
    deep = LabelledGraph(("conv",) * (LAYERS + 1), ())
    long: Any = Space("long", (Choice("x", (1, 2)),), graph=lambda a: deep)
    with pytest.raises(SpaceError, match="at most 32"):
        Descriptors().of(long, long.architecture((1,)))
    for wrong in ({"structure": -1.0}, {"moves": 0}, {"cooling": 1.0}, {"coldest": 0.0}):
        with pytest.raises(StudyError, match=next(iter(wrong))):
            auto_keras(**wrong)  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="led by a score"):
        ModelBased(candidates=MorphismTree())
