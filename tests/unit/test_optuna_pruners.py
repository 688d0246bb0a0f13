"""Optuna's pruners: where a training is reported, what is ended, and that the same seed gives the same bytes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies import STRATEGIES
from searchbench.testing import Stage, check_strategy
from searchbench.testing.rehearsal import evaluate, rehearse, scenario, stages


def strategy(name: str, **parameters: Any) -> Any:
    return STRATEGIES.factory(name)(**parameters)


def lengths(lines: list[str]) -> list[float]:
    """The epochs of each proposal of a rehearsal."""
    return [float(line.rpartition("epochs=")[2]) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_pruned_optuna_conforms(pruner: str) -> None:
    check_strategy(strategy("optuna:tpe", startup=4, pruner=pruner), trials=20)


def test_halving_pruner_ends_most_trainings_at_the_first_rung() -> None:
    asked = lengths(rehearse(strategy("optuna:random", pruner="halving"), Stage(nasbench201(), 60)))
    assert set(asked) == {1, 4, 16, 27}
    assert asked.count(1) > 2 * asked.count(4)


def test_a_training_that_is_not_ended_continues_the_trial_before() -> None:
    contestant = strategy("optuna:random", pruner="median")
    search = contestant.start(scenario(Stage(nasbench201(), 60), contestant, 0))
    first = search.ask()
    for number, epochs in enumerate((1.0, 2.0, 3.0)):
        proposal = first if number == 0 else search.ask()
        assert proposal.architecture == first.architecture
        assert (proposal.fidelity.epochs, proposal.resume) == (epochs, number - 1 if number else None)
        search.tell(evaluate(proposal, number, "fair"))


def test_median_pruner_lets_its_first_trainings_run_through() -> None:
    contestant = strategy("optuna:random", pruner={"name": "median", "n_startup_trials": 2})
    asked = lengths(rehearse(contestant, Stage(nasbench201(), 80)))
    assert asked[:54] == [*range(1, 28), *range(1, 28)]
    assert max(asked[54:]) <= 27


def test_pruned_search_is_deterministic_with_failures_and_several_workers() -> None:
    space = Space("small", (Choice("a", ("x", "y")), Integer("n", 1, 3), Float("f", 0.0, 1.0, when=When("a", ("y",)))))
    for pruner in ("median", "hyperband"):
        contestant, stage = strategy("optuna:tpe", startup=3, pruner=pruner), Stage(space, 40)
        once = rehearse(contestant, stage, weather="failures", abreast=4)
        assert once == rehearse(contestant, stage, weather="failures", abreast=4)


def test_pruner_is_refused_where_nothing_can_be_cut_short_or_epochs_are_fractions() -> None:
    contestant, stage = strategy("optuna:tpe", pruner="median"), stages()[0]
    told = scenario(stage, contestant)
    assert contestant.unsupported(told) is None
    assert "one length of training only" in contestant.unsupported(dataclasses.replace(told, stops=()))
    assert "whole epochs" in contestant.unsupported(dataclasses.replace(told, stops=(1.5, 4.0)))


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        ("medain", "no pruner `medain`; did you mean `median`"),
        ({"name": "median", "n_startup": 3}, "no parameter `n_startup`; did you mean"),
        ({"factor": 3}, "a table with `name`"),
    ],
)
def test_unknown_pruner_and_parameter_are_met_with_the_nearest(pruner: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        strategy("optuna:tpe", pruner=pruner)


def test_sampler_without_a_pruner_is_described_as_before() -> None:
    assert repr(strategy("optuna:tpe")).startswith("Optuna(sampler='tpe'")
