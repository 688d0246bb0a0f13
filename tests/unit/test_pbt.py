"""Population-based training: its exploration against Ray Tune's, its selection, and what it is good for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import searchbench as sb
from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Float, Integer
from searchbench.spaces.schedules import schedule, schedules, settings_of
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies import STRATEGIES
from searchbench.strategies.pbt import RandomChanges, ReachedInterval, pbt
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Fidelity, Trial

MIXED = (Float("lr", 1e-4, 1.0, log=True), Integer("units", 8, 512), Choice("opt", ("a", "b", "c")))


def explored(seed: int, times: int = 3) -> dict[str, Any]:
    space = Space("setting", MIXED)
    explorer = RandomChanges().start(space, np.random.default_rng(seed))
    at = ReachedInterval(0, (space.architecture((0.01, 100, "b")),), 0.0, 0)
    for _ in range(times):
        at = replace(at, settings=(*at.settings, explorer.explore(at, [])))
    return at.settings[-1].as_dict()


RAYS = (
    {"lr": 0.007679999999999999, "units": 43, "opt": "c"},
    {"lr": 0.01152, "units": 270, "opt": "b"},
    {"lr": 0.00019941956077503862, "units": 115, "opt": "c"},
    {"lr": 0.000850184649737902, "units": 115, "opt": "c"},
    {"lr": 0.01152, "units": 77, "opt": "b"},
    {"lr": 0.01152, "units": 100, "opt": "a"},
)
"""What Ray Tune's `_explore` makes of the same setting in three steps, from the same streams (seeds 0 to 5)."""


def test_settings_are_explored_as_by_ray_tune_from_the_same_random_numbers() -> None:
    assert [explored(seed) for seed in range(len(RAYS))] == list(RAYS)


class Streamed:
    """Python's `random` for Ray Tune, from a generator of NumPy."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def random(self) -> float:
        return float(self.rng.random())

    def choice(self, options: Any) -> Any:
        return options[int(self.rng.random() * len(options))]


class Reported:
    """A trial of Ray Tune, as far as its scheduler looks at it."""

    experiment_tag = ""

    def __init__(self, number: int) -> None:
        self.number = number

    def is_finished(self) -> bool:
        return False


@pytest.mark.slow
def test_ray_tune_of_today_explores_and_selects_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    ray_pbt = pytest.importorskip("ray.tune.schedulers.pbt")
    for seed in range(300):
        stream = Streamed(seed)
        monkeypatch.setattr(ray_pbt, "random", stream)
        space: dict[str, Any] = {d.name: (lambda d=d, rng=stream.rng: d.sample(rng)) for d in MIXED[:2]}
        config: Any = {"lr": 0.01, "units": 100, "opt": "b"}
        found, _ = ray_pbt._explore(config, space | {"opt": ["a", "b", "c"]}, 0.25, (0.8, 1.2), None)
        assert found == explored(seed, 1)
    for seed in range(50):
        values = np.random.default_rng(seed).random(2 + seed).tolist()
        scheduler = ray_pbt.PopulationBasedTraining(
            metric="m", mode="max", quantile_fraction=0.2, hyperparam_mutations={"lr": [1]}
        )
        for number, value in enumerate(values):
            trial: Any = Reported(number)
            scheduler._trial_state[trial] = ray_pbt._PBTTrialState(trial)
            scheduler._trial_state[trial].last_score = -value
        lower, upper = scheduler._quantiles()
        worst, best = quantiles(values)
        assert {t.number for t in lower} == set(worst)
        assert {t.number for t in upper} == set(best)


def quantiles(values: list[float]) -> tuple[list[int], list[int]]:
    search = pbt(population=len(values)).start(scenario(schedules(3, {"h": Float(0, 1)}), 10**4))
    while (proposal := search.ask()) is not None:
        assert proposal.fidelity == Fidelity(1.0)
    search.came[1] = [
        ReachedInterval(m.number, (m.setting,), v, 0) for m, v in zip(search.members, values, strict=True)
    ]
    worst, best = search.quantiles(1)
    return [reached.member for reached in worst], [reached.member for reached in best]


def test_a_fifth_of_those_that_have_come_back_is_worst_and_a_fifth_best() -> None:
    assert quantiles([0.3, 0.1, 0.2, 0.5, 0.4, 0.9]) == ([3, 5], [1, 2])
    assert quantiles([0.3, 0.1]) == ([0], [1])
    assert quantiles([float(k) for k in range(35)]) == (list(range(28, 35)), list(range(7)))


# -- the example of the paper, section 3.1 --------------------------------------------------------------------------

INTERVALS = 20
H = {"h0": Float(0.0, 1.0), "h1": Float(0.0, 1.0)}


def trained(setting: Architecture, theta: tuple[float, ...]) -> tuple[float, ...]:
    """Four steps up the surrogate objective 1.2 - (h0 theta0^2 + h1 theta1^2)."""
    for _ in range(4):
        theta = tuple(t - 2 * 0.05 * float(h) * t for t, h in zip(theta, setting.values, strict=True))  # type: ignore[arg-type]
    return theta


@cache
def reached(settings: tuple[Architecture, ...]) -> tuple[float, ...]:
    return (0.9, 0.9) if not settings else trained(settings[-1], reached(settings[:-1]))


def minus_q(architecture: Architecture, epochs: float | None) -> float:
    """The objective itself, 1.2 - (theta0^2 + theta1^2), mirrored."""
    return sum(t * t for t in reached(tuple(settings_of(architecture)[: int(epochs or INTERVALS)]))) - 1.2


def scenario(space: Space, epochs: float, replicate: int = 0) -> Scenario:
    stops = tuple(float(k) for k in range(1, len(space.decisions) // len(space.setting.decisions) + 1))  # type: ignore[union-attr]
    return Scenario(space, sb.Seeds("pbt", replicate), sb.Budget(epochs=epochs), Fidelity(stops[-1]), stops=stops)


def driven(strategy: Any, space: Space, intervals: int, fails: Any = lambda number: False) -> tuple[Any, list[Trial]]:
    search, trials, spent = strategy.start(scenario(space, intervals)), list[Trial](), 0.0
    while (proposal := search.ask()) is not None:
        before = 0.0 if proposal.resume is None else trials[proposal.resume].fidelity.epochs or 0.0
        epochs = proposal.fidelity.epochs or float(INTERVALS)
        spent += epochs - before
        if spent > intervals:
            break
        value = minus_q(proposal.architecture, epochs)
        trial = Trial(len(trials), proposal.architecture, Fidelity(epochs), "ok", value, sb.Cost(1))
        trials.append(replace(trial, status="error", value=float("nan")) if fails(len(trials)) else trial)
        search.tell(trials[-1])
    return search, trials


@pytest.mark.parametrize("synchronous", [False, True])
def test_a_population_reaches_what_no_constant_setting_of_one_hyper_parameter_does(synchronous: bool) -> None:
    space = schedules(INTERVALS, H)
    inner = space.setting
    assert inner is not None
    constant = [schedule(space, [inner.architecture(h)]) for h in ((0.0, 1.0), (1.0, 0.0))]
    assert max(-minus_q(a, None) for a in constant) == pytest.approx(0.39, abs=0.01)
    _, trials = driven(pbt(population=10, synchronous=synchronous), space, 10 * INTERVALS)
    whole = [t for t in trials if t.fidelity.epochs == INTERVALS]
    assert len(trials) == 10 * INTERVALS
    assert max(-t.value for t in whole) > 1.19
    assert len(whole) == 10


def test_one_after_the_other_nobody_waits_and_so_both_decide_alike() -> None:
    space = schedules(INTERVALS, H)
    one, other = (driven(pbt(population=7, synchronous=sync), space, 200)[1] for sync in (False, True))
    assert [t.architecture.values for t in one] == [t.architecture.values for t in other]


def test_what_is_continued_is_the_copied_training_and_its_setting_is_perturbed() -> None:
    space = schedules(INTERVALS, H)
    search, trials = driven(pbt(population=5, resample=0.0), space, 60)
    *copies, caveat = search.trace()
    assert copies
    assert "no member of the population came to the end" in caveat["caveat"]
    assert all(line["copies"] != line["of"] for line in copies)
    moved = 0
    for trial in trials:
        k = int(trial.fidelity.epochs or 0)
        for old, new in pairwise(settings_of(trial.architecture)[:k]):
            for before, after in zip(old.values, new.values, strict=True):
                assert after in (before, *(min(before * f, 1.0) for f in (0.8, 1.2)))  # type: ignore[operator]
                moved += after != before
    assert moved > 0
    for trial in trials:  # what is not decided yet is as the last that is
        settings = settings_of(trial.architecture)
        assert settings[-1] == settings[int(trial.fidelity.epochs or 1) - 1]


def test_whoever_fails_copies_one_of_the_best_and_where_all_fail_they_begin_anew() -> None:
    space = schedules(INTERVALS, H)
    search, trials = driven(pbt(population=4), space, 50, fails=lambda number: number == 6)
    assert trials[6].failed
    assert any(line["copies"] == 2 and line["interval"] == 2 for line in search.trace() if "copies" in line)
    search, trials = driven(pbt(population=4), space, 30, fails=lambda number: True)
    assert {t.fidelity.epochs for t in trials} == {1.0}
    assert len({t.architecture.values for t in trials}) == 30


def test_when_all_are_at_the_end_another_population_begins() -> None:
    _, trials = driven(pbt(population=3), schedules(4, H), 24)
    begun = [t.number for t in trials if t.fidelity.epochs == 1.0]
    assert begun == [0, 1, 2, 12, 13, 14]


def test_decisions_come_every_so_many_intervals_and_the_end_is_reached() -> None:
    _, trials = driven(pbt(population=3, ready=3, synchronous=True), schedules(7, H), 21)
    assert sorted(t.fidelity.epochs or 0 for t in trials) == [3.0] * 3 + [6.0] * 3 + [7.0] * 3


def test_a_population_is_as_large_as_the_budget_trains_to_the_end() -> None:
    space = schedules(8, H)
    for epochs, members in ((40, 5), (47, 5), (160, 20), (10**6, 20)):
        assert pbt().members(scenario(space, epochs)) == members
    few = replace(scenario(space, 1), budget=sb.Budget(evaluations=12))
    assert pbt(ready=2).members(few) == 3
    assert "at least 2" in str(pbt().unsupported(scenario(space, 15)))


def test_where_it_cannot_run_it_says_why() -> None:
    where = scenario(schedules(8, H), 100)
    assert pbt().unsupported(where) is None
    assert "hold for a whole training" in str(pbt().unsupported(replace(where, space=Space("plain", MIXED))))
    assert "do not end there" in str(pbt().unsupported(replace(where, stops=(8.0,))))
    assert "no decision before its end" in str(pbt(ready=8).unsupported(where))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"population": 1}, "at least 2"),
        ({"population": 2.5}, "integer"),
        ({"ready": 0}, "at least 1"),
        ({"quantile": 0.6}, r"\(0, 0.5\]"),
        ({"factors": []}, "positive numbers"),
        ({"factors": [0.8, -1]}, "positive numbers"),
        ({"resample": 1.5}, "probability"),
        ({"resample": "often"}, "probability"),
        ({"quantile": "x"}, "share"),
        ({"factors": 0.8}, "positive numbers"),
        ({"synchronous": "yes"}, "true or false"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(StudyError, match=why):
        STRATEGIES.factory("pbt")(**given)


def test_a_study_pays_for_intervals_that_were_trained_and_for_no_others(tmp_path: Path) -> None:
    steps = []

    def step(setting: Any, *, state: Any) -> Any:
        theta = (0.9 if state is None else state) * (1 - setting["h"] / 4)
        steps.append(setting["h"])
        return theta, theta

    problem = sb.Objective(step, sb.Use("schedules", intervals=4, setting={"h": Float(0, 1)}), version="1")
    study = sb.Study("pbt", problem, ["pbt"], seeds=1, budget=sb.Budget(epochs=14))
    results = sb.run(study, tmp_path / "r.db", workers=0)
    trials = results.trials(results.runs().run_id[0])
    assert trials.spent_epochs.iloc[-1] == len(trials) == 14
    assert len(steps) == 14 + 4 + 1  # those of the judge, and the one of the trial before everything
    assert (trials[trials.fidelity_epochs > 1].resumed >= 0).all()
