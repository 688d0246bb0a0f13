"""Several objectives: fronts and crowding of NSGA-II, the reward of MnasNet."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.nsga2 import Nsga2, crowding, fronts, objectives_of, select
from searchbench.strategies.random import Random
from searchbench.strategies.scalarised import MnasReward, Scalarised, mnasnet
from searchbench.strategies.strategy import Scenario
from searchbench.trial import FULL, Fidelity, Trial

SPACE = nasbench201()
points = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=25)


def dominates(a: Any, b: Any) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


@given(points)
def test_fronts_are_layers_of_what_nothing_left_dominates(given: list[tuple[int, ...]]) -> None:
    layers = fronts(np.array(given, dtype=float))
    assert sorted(itertools.chain(*layers)) == list(range(len(given)))
    left = set(range(len(given)))
    for layer in layers:
        free = {i for i in left if not any(dominates(given[j], given[i]) for j in left)}
        assert set(layer) == free
        left -= free


def test_crowding_is_the_normalised_gap_between_neighbours() -> None:
    distances = crowding(np.array([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0]]))
    assert distances.tolist() == [math.inf, (4 - 0) / 4 + (4 - 0) / 4, math.inf]
    assert crowding(np.array([[1.0], [1.0], [1.0]]))[1] == 0.0


def test_whole_fronts_are_kept_and_the_last_one_by_crowding() -> None:
    architecture = SPACE.sample(np.random.default_rng(0))
    front = [(0.0, 4.0), (0.1, 3.9), (2.0, 2.0), (4.0, 0.0)]
    members = [(architecture, p) for p in [(9.0, 9.0), *front]]
    kept = [r.objectives for r in select(members, 3)]
    assert set(kept) == {(0.0, 4.0), (4.0, 0.0), (2.0, 2.0)}


def test_members_of_a_worse_front_do_not_crowd_a_better_one() -> None:
    architecture = SPACE.sample(np.random.default_rng(0))
    front, worse = [(0.0, 10.0), (3.0, 6.0), (8.0, 2.0), (10.0, 0.0)], (3.1, 6.1)
    kept = {r.objectives for r in select([(architecture, p) for p in [*front, worse]], 3)}
    assert kept == {(0.0, 10.0), (3.0, 6.0), (10.0, 0.0)}  # (3, 6) by 8/10 + 8/10 against 7/10 + 6/10


def trial(number: int, architecture: Any, value: float, fidelity: Fidelity = FULL, **metrics: float) -> Trial:
    status: Any = "error" if math.isnan(value) else "ok"
    return Trial(number, architecture, fidelity, status, value, Cost(evaluations=1), metrics)


def test_front_of_the_search_approaches_the_true_one() -> None:
    """Value falls and size grows with convolutions: the true front has one point per number of them."""
    found = {}
    for strategy in (Nsga2(population=20), Random()):
        scenario = Scenario(SPACE, Seeds("s", 3, repr(strategy)), Budget(evaluations=400))
        search = strategy.start(scenario)
        seen = []
        for number in range(400):
            architecture = search.ask().architecture  # type: ignore[union-attr]
            big = sum(v == "nor_conv_3x3" for v in architecture.values)
            useless = sum(v in ("nor_conv_1x1", "avg_pool_3x3") for v in architecture.values)
            seen.append((1.0 - big / 10, float(big + useless)))
            search.tell(trial(number, architecture, seen[-1][0], params=seen[-1][1]))  # type: ignore[union-attr]
        true = {(1.0 - n / 10, float(n)) for n in range(7)}
        found[type(strategy).__name__] = len(true & set(seen))
    assert found["Nsga2"] == 7
    assert found["Random"] < 7


def test_objectives_are_minimised_unless_marked_and_infinite_after_failures() -> None:
    architecture = SPACE.sample(np.random.default_rng(0))
    told = trial(0, architecture, 0.25, params=10.0, speed=3.0)
    assert objectives_of(told, ("value", "-speed", "params")) == (0.25, -3.0, 10.0)
    assert objectives_of(trial(0, architecture, math.nan), ("value", "params")) == (math.inf, math.inf)
    with pytest.raises(StudyError, match="no metric `parms`; did you mean `params`"):
        objectives_of(told, ("parms",))


def test_soft_reward_pays_five_percent_accuracy_for_twice_the_latency() -> None:
    reward = MnasReward("ms", 75.0)
    assert reward.of(1.05 * 0.7, 150.0) / reward.of(0.7, 75.0) == pytest.approx(1.0, abs=1e-3)


@given(st.floats(0.01, 1), st.floats(1, 500), st.floats(10, 200), st.booleans())
def test_reward_is_continuous_at_the_target_and_homogeneous(acc: float, ms: float, target: float, hard: bool) -> None:
    exponents = (0.0, -1.0) if hard else (-0.07, -0.07)
    reward = MnasReward("ms", target, *exponents)
    assert reward.of(acc, target) == pytest.approx(acc)
    assert reward.of(acc, target * (1 + 1e-9)) == pytest.approx(reward.of(acc, target), rel=1e-6)
    assert reward.of(2 * acc, ms) == pytest.approx(2 * reward.of(acc, ms))
    if hard and ms <= target:
        assert reward.of(acc, ms) == acc
    if not hard:  # another target only rescales: rankings stay
        assert MnasReward("ms", 2 * target).of(acc, ms) / reward.of(acc, ms) == pytest.approx(2**0.07)


def test_scalarised_search_hands_over_the_best_rewarded_of_the_longest_trainings() -> None:
    search = Scalarised(Random(), MnasReward("ms", 100.0, 0.0, -1.0)).start(
        Scenario(SPACE, Seeds("s", 0), Budget(evaluations=9))
    )
    values = [(0.5, 100.0, 9.0), (0.1, 300.0, 9.0), (0.4, 90.0, 9.0), (0.0, 1.0, 3.0), (math.nan, 1.0, 9.0)]
    asked = []
    for number, (value, ms, epochs) in enumerate(values):
        asked.append(search.ask().architecture)  # type: ignore[union-attr]
        search.tell(trial(number, asked[-1], value, Fidelity(epochs), ms=ms))
    assert search.recommend() == asked[2]


def test_mnasnet_is_any_strategy_on_that_reward() -> None:
    made = mnasnet("macs", 1e6, hard=True, strategy="regularized-evolution", population=10, sample=2)
    assert made.objective == MnasReward("macs", 1e6, 0.0, -1.0)
    assert made.strategy.population == 10  # type: ignore[attr-defined]
    with pytest.raises(StudyError, match="positive"):
        MnasReward("ms", 0.0)
    with pytest.raises(StudyError, match="no metric `ms`"):
        MnasReward("ms", 1.0).reward(trial(0, None, 0.5))
    with pytest.raises(StudyError, match="every evaluation failed"):
        made.start(Scenario(SPACE, Seeds("s", 0), Budget(evaluations=9))).recommend()
    assert Nsga2().objectives == ("value", "params")
    for wrong in ({"objectives": ()}, {"population": 1}, {"mutation": 2.0}):
        with pytest.raises(StudyError, match=next(iter(wrong))):
            Nsga2(**wrong)  # type: ignore[arg-type]
