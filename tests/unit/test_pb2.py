"""Population-based bandits: the process against plain formulas, what is chosen by it, and settings that are held."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_pbt import INTERVALS, H, driven, minus_q, scenario

import searchbench as sb
from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.schedules import schedules, settings_of
from searchbench.spaces.space import Space
from searchbench.strategies import STRATEGIES
from searchbench.strategies.constant import constant_settings
from searchbench.strategies.halving import Hyperband
from searchbench.strategies.kernels import Kernel, Likelihood, Range, TimeVarying
from searchbench.strategies.pb2 import Bandit, BanditExplorer, pb2
from searchbench.strategies.pbt import Gained, ReachedInterval
from searchbench.strategies.scalarised import mnasnet

ROWS = np.array([[0.0, 0.1, 0.2], [1.0, 0.4, 0.2], [3.0, 0.9, 0.7], [6.0, 0.3, 0.5]])
SETTING = Space("setting", (Float("lr", 1e-4, 1.0, log=True), Integer("units", 8, 512)))


def matrix(rows: Any, w: float, rate: float) -> Any:
    """The kernel as it is written in the paper: a squared exponential that forgets by (1 - e)^(|t - t'| / 2)."""
    epsilon = 1 - math.exp(-2 * rate)
    squares = ((rows[:, None, 1:] - rows[None, :, 1:]) ** 2).sum(axis=2)
    return np.exp(-w * squares) * (1 - epsilon) ** (np.abs(rows[:, None, 0] - rows[None, :, 0]) / 2)


def test_the_kernel_forgets_as_that_of_the_paper() -> None:
    theta = np.log([2.0, 0.1])
    np.testing.assert_allclose(TimeVarying().matrix(ROWS, ROWS, theta), matrix(ROWS, 2.0, 0.1), rtol=1e-12)
    # Ray Tune's TV_SquaredExp(variance=1, lengthscale=0.5, epsilon=0.2), as it answered
    rays = [[1.0, 0.7470883889184898, 0.12066763548550401, 0.394778411931426]]
    ours = TimeVarying().matrix(ROWS[:1], ROWS, np.log([2.0, -math.log(0.8) / 2]))
    np.testing.assert_allclose(ours, rays, rtol=1e-12)


def test_the_slope_of_its_likelihood_is_that_of_differences() -> None:
    kernel = Kernel(TimeVarying(), Range(1.0, 0.01, 100.0), Range(0.01, 1e-6, 1.0))
    likelihood = Likelihood(kernel, ROWS, np.array([0.3, -1.0, 0.8, 0.2]))
    at = kernel.first + 0.1
    _, slope = likelihood.descended(at)
    steps = np.eye(len(at)) * 1e-6
    found = [(likelihood.descended(at + s)[0] - likelihood.descended(at - s)[0]) / 2e-6 for s in steps]
    np.testing.assert_allclose(slope, found, rtol=1e-5)


def explorer(gains: int, seed: int = 0) -> tuple[BanditExplorer, ReachedInterval]:
    rng = np.random.default_rng(seed)
    live = Bandit(restarts=0).start(SETTING, np.random.default_rng(1))
    for k in range(gains):
        live.learn(Gained(1 + k // 3, float(rng.random()), SETTING.sample(rng), float(rng.normal())))
    return live, ReachedInterval(0, tuple(SETTING.sample(rng) for _ in range(4)), 0.4, 0)


def test_bounds_are_those_of_a_process_by_hand_and_lower_where_one_is_under_way() -> None:
    live, member = explorer(12)
    points = np.random.default_rng(5).random((30, 2))
    running = [SETTING.sample(np.random.default_rng(k)) for k in range(3)]
    found = live.bounds(points, member, running)

    def unit(setting: Any) -> list[float]:
        return [math.log(setting["lr"] / 1e-4) / math.log(1e4), (setting["units"] - 7.5) / (512.5 - 7.5)]

    before = np.array([g.before for g in live.gains])
    scaled = (before - before.min()) / (before.max() - before.min())
    known = np.array([[g.after, s, *unit(g.setting)] for g, s in zip(live.gains, scaled, strict=True)])
    here = [4.0, (0.4 - before.min()) / (before.max() - before.min())]
    gains = np.array([g.gain for g in live.gains])
    targets = np.clip((gains - gains.mean()) / gains.std(), -2, 2)
    amplitude, w, rate, noise = np.exp(live._theta)

    def at(rows: Any, test: Any) -> tuple[Any, Any]:
        k = amplitude * matrix(np.vstack([rows, test]), w, rate)
        inverse = np.linalg.inv(k[: len(rows), : len(rows)] + (noise + 1e-10) * np.eye(len(rows)))
        cross = k[len(rows) :, : len(rows)]
        return cross @ inverse, np.sqrt(amplitude - np.einsum("ij,jk,ik->i", cross, inverse, cross))

    test = np.array([[*here, *p] for p in points])
    looked = np.vstack([known, [[*here, *unit(s)] for s in running]])
    weights, alone = at(known, test)
    _, std = at(looked, test)
    beta = 0.2 + math.log(0.4 * 12)
    np.testing.assert_allclose(found, weights @ targets + math.sqrt(beta) * std, rtol=1e-6, atol=1e-8)
    assert (std <= alone + 1e-12).all()
    chosen = live.explore(member, running)
    again = [*live.bounds(np.array([unit(chosen)]), member, running), *found]
    assert max(again) == again[0]


def test_while_fewer_than_two_gains_are_known_settings_are_drawn_and_first_intervals_are_none() -> None:
    live, member = explorer(1)
    live.learn(Gained(0, math.inf, SETTING.sample(np.random.default_rng(0)), math.inf))
    assert len(live.gains) == 1
    assert len({live.explore(member, []).values for _ in range(5)}) == 5


def test_it_solves_the_example_of_the_first_paper() -> None:
    _, trials = driven(pb2(population=5, restarts=0), schedules(INTERVALS, H), 5 * INTERVALS)
    assert max(-t.value for t in trials if t.fidelity.epochs == INTERVALS) > 1.19


def test_it_says_what_it_cannot_explore_and_refuses_what_cannot_be() -> None:
    category = schedules(4, {"lr": Float(0, 1), "opt": Choice(("a", "b"))})
    assert "`opt` is a category" in str(pb2().unsupported(scenario(category, 100)))
    condition = {"n": Integer(1, 2), "m": Float(0, 1, when=When("n", 1))}
    assert "no conditions" in str(pb2().unsupported(scenario(schedules(4, condition), 100)))
    assert pb2().unsupported(scenario(schedules(4, H), 100)) is None
    with pytest.raises(StudyError, match="non-negative integer"):
        pb2(restarts=-1)


# -- settings that are held -----------------------------------------------------------------------------------------


def test_any_strategy_searches_settings_that_are_held_to_the_end() -> None:
    space = schedules(INTERVALS, H)
    for strategy, epochs in (("random", 100), (Hyperband(), 150)):
        search, trials = driven(constant_settings(strategy), space, epochs)
        assert all(len(set(settings_of(t.architecture))) == 1 for t in trials)
        assert not search.trace()
    assert {t.fidelity.epochs for t in trials} == {2.0, 6.0, 20.0}
    assert minus_q(trials[0].architecture, 2.0) == trials[0].value


def test_a_choice_of_the_inner_search_is_handed_over_as_a_schedule() -> None:
    space = schedules(INTERVALS, H)
    inner = mnasnet("macs", 1.0, strategy="random")
    search = constant_settings(inner).start(scenario(space, 100))
    assert hasattr(search, "recommend")
    assert not hasattr(constant_settings("random").start(scenario(space, 100)), "recommend")
    trial = sb.Trial(0, search.ask().architecture, sb.Fidelity(20.0), "ok", 0.3, sb.Cost(1), {"macs": 2.0})
    search.tell(trial)
    assert search.recommend() == trial.architecture


def test_where_nothing_can_be_held_it_says_so() -> None:
    where = scenario(schedules(4, H), 100)
    assert constant_settings("gp").unsupported(where) is None
    assert "constant setting already" in str(constant_settings("gp").unsupported(_plain(where)))
    assert "hold for a whole training" in str(constant_settings("pbt").unsupported(where))
    assert "one of numbers" in str(
        constant_settings("turbo").unsupported(scenario(schedules(4, {"a": Choice((1, 2))}), 100))
    )
    with pytest.raises(StudyError, match="must be an ask/tell strategy"):
        STRATEGIES.factory("constant-settings")(strategy=3)


def _plain(where: Any) -> Any:
    from dataclasses import replace

    return replace(where, space=where.space.setting)
