"""Optuna's samplers as strategies: shared designs, honest refusals, silence."""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any

import optuna
import pytest

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError, UnknownName
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies import STRATEGIES
from searchbench.strategies.adapters.optuna import (
    Optuna,
    OptunaSearch,
    _make,
    _value,
    a_quarter_of_the_root,
    adapt,
    quiet,
)
from searchbench.strategies.strategy import Scenario
from searchbench.testing import Stage, fly
from searchbench.trial import FULL, Trial

NB201 = nasbench201()
NUMBERS = Space("numbers", (Float("x", -5.0, 5.0), Float("y", 1e-3, 1e3, log=True)))
MIXED = Space("mixed", (Choice("kind", ("a", "b")), Integer("n", 1, 9, when=When("kind", ("b",)))))


def scenario(space: Space = NB201, replicate: int = 0) -> Scenario:
    return Scenario(space, Seeds("study", replicate, "me"), Budget(evaluations=100))


def tell(search: OptunaSearch, architecture, value: float) -> None:  # type: ignore[no-untyped-def]
    status = "nan" if math.isnan(value) else "ok"
    search.tell(Trial(0, architecture, FULL, status, value, Cost(evaluations=1)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii"])
def test_first_trials_are_the_designs_every_strategy_begins_with(name: str) -> None:
    search, rng = adapt(name, startup=6).start(scenario()), Seeds("study", 0).rng("init")
    for _ in range(6):
        proposal = search.ask()
        assert proposal is not None
        assert proposal.architecture == NB201.sample(rng)
        tell(search, proposal.architecture, 0.5)
    assert len(search._study.trials) == 6
    assert search.ask().architecture != NB201.sample(rng)  # type: ignore[union-attr]


def test_optuna_sees_every_value_and_every_failure() -> None:
    search = adapt("tpe", startup=2).start(scenario(MIXED))
    for value in (0.25, math.nan, 0.75, 0.5):
        tell(search, search.ask().architecture, value)  # type: ignore[union-attr]
    assert [t.state.name for t in search._study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert [t.value for t in search._study.trials] == [0.25, None, 0.75, 0.5]


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii"])
def test_what_is_asked_at_once_is_what_is_suggested_one_after_the_other(name: str) -> None:
    space = Space("flat", (Choice("kind", ("a", "b", "c")), Integer("n", 1, 9), Float("x", 0.0, 1.0)))
    search = adapt(name, startup=3).start(scenario(space))
    with quiet():
        study = optuna.create_study(
            sampler=_make(Optuna(name, 3), space, Seeds("study", 0, "me").python_seed("search"))
        )
    for at in range(12):
        asked = search.ask().architecture  # type: ignore[union-attr]
        if at < 3:
            study.enqueue_trial(search._parameters(asked))
        trial = study.ask()
        kind = trial.suggest_categorical("kind", (0, 1, 2))
        assert asked.values == ("abc"[kind], trial.suggest_int("n", 1, 9), trial.suggest_float("x", 0.0, 1.0))
        study.tell(trial, asked["x"])
        tell(search, asked, float(asked["x"]))


def test_inactive_decisions_are_never_suggested() -> None:
    search = adapt("tpe", startup=3).start(scenario(MIXED))
    for _ in range(15):
        architecture = search.ask().architecture  # type: ignore[union-attr]
        tell(search, architecture, 0.5)
        assert MIXED.architecture(architecture.values) == architecture
    suggested = [set(t.params) for t in search._study.trials]
    assert {frozenset(s) for s in suggested} == {frozenset({"kind"}), frozenset({"kind", "n"})}


def test_tpe_beats_random_draws_on_a_bowl() -> None:
    best = {}
    for name in ("tpe", "random"):
        found = []
        for replicate in range(5):
            search = adapt(name).start(scenario(NUMBERS, replicate))
            values = []
            for _ in range(60):
                architecture = search.ask().architecture  # type: ignore[union-attr]
                x, y = architecture.values
                values.append((x - 1) ** 2 + math.log10(y) ** 2)  # type: ignore[operator, arg-type]
                tell(search, architecture, values[-1])
            found.append(min(values))
        best[name] = sum(found) / 5
    assert best["tpe"] < 0.5 * best["random"]


@pytest.mark.parametrize("name", ["cmaes", "qmc"])
def test_sampler_that_would_silently_draw_at_random_is_unsupported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    strategy = adapt(name)
    assert "at random without saying so" in str(strategy.unsupported(scenario()))
    assert strategy.unsupported(scenario(NUMBERS)) is None


def test_a_process_is_not_made_to_list_a_billion_integers() -> None:
    space = Space("wide", (Integer("n", 0, 10**9), Integer("m", 1, 2**62, log=True), Integer("few", 1, 9)))
    for name, kinds in (("gp", ["Float", "Float", "Int"]), ("tpe", ["Int", "Int", "Int"])):
        search: Any = adapt(name, startup=1).start(scenario(space))
        designed = search.ask().architecture
        assert designed == space.sample(Seeds("study", 0).rng("init"))
        (trial,) = search._study.get_trials()
        asked = [trial.distributions[decision.name] for decision in space.decisions]
        assert [type(one).__name__.removesuffix("Distribution") for one in asked] == kinds
    assert [_value(space.decisions[0], value) for value in (-0.5, 3.2, 1e9 + 0.5)] == [0, 3, 10**9]


def test_a_choice_of_one_option_is_nothing_that_a_sampler_must_model() -> None:
    space = Space("single", (Choice("c", ("a",)), Float("x", 0.0, 1.0)))
    assert adapt("qmc").unsupported(scenario(space)) is None


def test_missing_package_is_said_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "needs the package `cmaes`, which is not installed" in str(adapt("cmaes").unsupported(scenario(NUMBERS)))


def test_quasi_random_sampler_depends_on_its_seed() -> None:
    firsts = {adapt("qmc").start(scenario(NUMBERS, r)).ask().architecture for r in range(3)}  # type: ignore[union-attr]
    assert len(firsts) == 3


def test_grid_proposes_each_point_once_and_ends() -> None:
    space = Space("small", (Choice("a", ("x", "y")), Integer("n", 1, 3)))
    search = adapt("grid").start(scenario(space))
    found = []
    while (proposal := search.ask()) is not None:
        found.append(proposal.architecture)
        tell(search, proposal.architecture, 0.5)
    assert len(found) == len(set(found)) == 6
    assert adapt("grid").unsupported(scenario(NUMBERS)) is not None


def test_duplicates_under_way_are_told_to_their_own_trials() -> None:
    space = Space("one", (Choice("a", ("x",)),))
    search = adapt("random").start(scenario(space))
    same = [search.ask().architecture for _ in range(3)]  # type: ignore[union-attr]
    for value, architecture in enumerate(same):
        tell(search, architecture, float(value))
    assert [t.value for t in search._study.trials] == [0.0, 1.0, 2.0]
    assert not search._asked


def test_logging_and_warnings_are_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.enable_propagation()
    verbosity, filters = optuna.logging.get_verbosity(), list(warnings.filters)
    try:
        with caplog.at_level(logging.DEBUG):
            search = adapt("tpe", multivariate=True).start(scenario())
            tell(search, search.ask().architecture, 0.5)  # type: ignore[union-attr]
    finally:
        optuna.logging.disable_propagation()
    assert not caplog.records
    assert (optuna.logging.get_verbosity(), list(warnings.filters)) == (verbosity, filters)


def test_unknown_sampler_and_parameter_are_met_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="no sampler `tpee`; did you mean `tpe`"):
        STRATEGIES.factory("optuna:tpee")()
    with pytest.raises(StudyError, match="no parameter `multivariat`; did you mean `multivariate`"):
        adapt("tpe", multivariat=True)
    with pytest.raises(StudyError, match="no parameter `seed`"):
        adapt("tpe", seed=3)
    with pytest.raises(StudyError, match="`startup` must be a non-negative integer"):
        Optuna("tpe", startup=-1)
    with pytest.raises(UnknownName):
        STRATEGIES.factory("optun:tpe2:x".replace(":", "-"))


def test_tpe_of_hyperopt_splits_off_a_quarter_of_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [a_quarter_of_the_root(n) for n in (20, 100, 400, 10_000, 40_000)] == [2, 3, 5, 25, 25]
    split = optuna.samplers._tpe.sampler._split_trials
    seen: list[tuple[int, int]] = []

    def spied(study, trials, below, *rest):  # type: ignore[no-untyped-def]
        seen.append((len(trials), below))  # what follows depends on the version of Optuna
        return split(study, trials, below, *rest)

    monkeypatch.setattr(optuna.samplers._tpe.sampler, "_split_trials", spied)
    search = adapt("tpe-hyperopt").start(scenario())
    for number in range(30):
        tell(search, search.ask().architecture, number / 30)  # type: ignore[union-attr]
    assert set(seen) == {(n, a_quarter_of_the_root(n)) for n in range(20, 30)}  # the first 20 are designs


@pytest.mark.parametrize(
    ("name", "given"), [("nsgaii", {"population_size": 6}), ("nsgaiii", {"population_size": 6}), ("tpe", {})]
)
def test_samplers_of_several_objectives_choose_as_optuna_alone_does(name: str, given: dict[str, int]) -> None:
    """A study of Optuna's own that is told the same values suggests the same."""
    strategy = adapt(name, startup=4, objectives=["value", "params"], **given)
    flight = fly(strategy, Stage(nasbench201(), 40), 1)
    study = flight.search._study  # type: ignore[attr-defined]
    assert [d.name for d in study.directions] == ["MINIMIZE", "MINIMIZE"]
    told = [t.values for t in study.trials if t.state.name == "COMPLETE"]
    assert told == [[t.value, t.metrics["params"]] for t in flight.trials if not t.failed]
    with quiet():
        alone = optuna.create_study(
            sampler=_make(strategy.sampler, nasbench201(), flight.scenario.seeds.python_seed("search")),
            directions=["minimize"] * 2,
        )
        for trial in study.trials[:40]:
            if trial.number < 4:
                alone.enqueue_trial(trial.params)
            asked = alone.ask()
            for parameter, distribution in trial.distributions.items():
                assert asked.suggest_categorical(parameter, distribution.choices) == trial.params[parameter]
            if trial.values is None:
                alone.tell(asked, state=trial.state)
            else:
                alone.tell(asked, trial.values)


def test_one_objective_and_pruners_are_kept_apart_from_fronts() -> None:
    with pytest.raises(StudyError, match="optuna:cmaes has one objective only"):
        adapt("cmaes", objectives=["value", "params"])
    with pytest.raises(StudyError, match="ends no trainings of several objectives"):
        adapt("tpe", pruner="median", objectives=["value", "params"])
    with pytest.raises(StudyError, match="`objectives` must be distinct"):
        adapt("tpe", objectives=["value", "value"])
