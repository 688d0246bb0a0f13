"""Any ask/tell strategy searches a trained supernet, from a study file; and the sample that rankings use."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_lab import CLASSES, SHAPE, SPACE, lab, scenario

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.declared.components import Use, make
from searchbench.harness.declared.constraint import Measures
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.study_file import study_from_mapping
from searchbench.harness.running.loop import drive
from searchbench.harness.running.run import run_search
from searchbench.results.columns import read_trials
from searchbench.spaces import SPACES
from searchbench.spaces.space import Space
from searchbench.strategies import STRATEGIES
from searchbench.strategies.halving import SuccessiveHalving
from searchbench.strategies.nsga2 import Nsga2
from searchbench.strategies.oneshot import Bounded, Recalibration, StrictFair
from searchbench.strategies.oneshot.halves import shared_weights
from searchbench.strategies.oneshot.papers import fairnas, spos
from searchbench.strategies.sample import StratifiedSample
from searchbench.trial import FULL

MACS = Measures(SPACE, SHAPE, CLASSES, None).counts()
FINDERS = {
    "regularized-evolution": {"population": 4, "sample": 2},
    "nsga2": {"population": 4},
    "optuna:tpe": {"startup": 3},
    "random": {},
    "local-search": {},
    "reinforce": {},
    "stratified-sample": {"architectures": 9, "strata": 3},
}


SPOS = {"use": "spos", "batch_size": 64, "recalibrate": 1}
FAIRNAS = {"use": "fairnas", "batch_size": 64, "recalibrate": 1}


def a_study(finder, training=SPOS):
    """As a study file would say it, on the smallest networks."""
    return study_from_mapping(
        {
            "name": "halves",
            "seeds": 1,
            "budget": {"epochs": 1},
            "problems": [
                {
                    "space": {"use": "nasbench201", "channels": 2, "cells": 1, "stages": 1},
                    "task": "digits",
                    "estimator": {"use": "train", "epochs": 1},
                }
            ],
            "strategies": [
                {
                    "use": "shared-weights",
                    "training": training,
                    "finder": finder,
                    "scores": 9,
                }
            ],
        }
    )


@pytest.mark.parametrize("name", FINDERS)
def test_any_ask_tell_strategy_is_a_second_half_in_a_study_file(name):
    (run,) = plan(a_study({"use": name, **FINDERS[name]})).runs
    result = run_search(run)
    assert (result.status, result.ended) == ("ok", "finished"), result.error
    assert (result.cost.evaluations, result.cost.inference_samples) == (0, 9 * (64 + 599))
    assert 0 < result.value < 1


def test_nsga2_over_a_strictly_fair_supernet_weighs_what_scores_report():
    nsga2 = {"use": "nsga2", "population": 3, "objectives": ["value", "macs"]}
    result = run_search(plan(a_study(nsga2, FAIRNAS)).runs[0])
    assert result.status == "ok", result.error


@pytest.mark.parametrize(
    "training", [Use("enas", epochs=2, steps=1, aggregate=2), Use("darts", epochs=2), Use("gdas", epochs=2)], ids=str
)
def test_what_other_searches_leave_is_searched_by_inherited_weights(training):
    strategy = make(Use("shared-weights", training=training, finder="random", scores=60), STRATEGIES)
    metered = lab(Budget(epochs=10))
    assert strategy.unsupported(metered.scenario) is None
    search = strategy.start(metered.scenario)
    assert drive(search, metered) == "finished"
    assert (metered.trials, metered.spent.evaluations) == (60, 0)
    assert metered.final.value == min(search._finding.values.values())
    assert "caveat" not in metered.traces.last  # few steps of logits or of a controller, which decided nothing
    scorer = metered.inherited(search._leaving.leaves(metered), 64, 4, None)
    again, _ = scorer.evaluate(metered.final.architecture, scorer.complete(FULL), 0)
    assert again.value == metered.final.value


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_a_search_of_what_another_left_goes_on_from_a_checkpoint(slices):
    strategy = shared_weights(make(Use("enas", epochs=1, steps=1, aggregate=2), STRATEGIES), "random", 120)
    whole_lab = lab()
    whole = strategy.start(whole_lab.scenario)
    drive(whole, whole_lab)
    first, second = lab(), lab()
    search = strategy.start(first.scenario)
    for _ in range(slices):
        search.advance(first)
    file = io.BytesIO()
    torch.save({"search": search.state_dict(), "lab": first.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=False)
    continued = strategy.start(second.scenario)
    continued.load_state_dict(state["search"])
    second.load_state_dict(state["lab"])
    drive(continued, second)
    assert continued._finding.values == whole._finding.values


def test_a_strategy_that_leaves_no_supernet_is_skipped_with_the_reason():
    (skipped,) = plan(a_study("random", {"use": "random"})).skipped
    assert "its training must leave a supernet" in skipped.reason


def test_the_best_scored_by_any_finder_are_trained_alone_where_the_method_does_so():
    finder = {"use": "regularized-evolution", "population": 4, "sample": 2}
    training = {"use": "one-shot", "epochs": 1, "retrain": 2}
    study = replace(a_study(finder, training), budget=Budget(epochs=4))
    result = run_search(plan(study).runs[0])
    assert result.status == "ok", result.error
    trials = read_trials(result.trials)
    scored, trained = trials.slice(0, 9), trials.slice(9)
    assert trained.num_rows == 2
    assert result.cost.evaluations == 2
    assert min(trained["value"].to_pylist()) == result.value
    best = sorted(dict(zip(scored["key"].to_pylist(), scored["value"].to_pylist(), strict=True)).values())[:2]
    values = dict(zip(scored["key"].to_pylist(), scored["value"].to_pylist(), strict=True))
    assert sorted(values[key] for key in trained["key"].to_pylist()) == best


def test_a_finder_that_needs_shorter_trainings_is_skipped_when_the_study_is_planned():
    (skipped,) = plan(a_study({"use": "successive-halving"})).skipped
    assert "one length of training only" in skipped.reason
    assert "one length" in shared_weights(spos(epochs=1), SuccessiveHalving()).unsupported(scenario())


@pytest.mark.parametrize("training", [{"use": "spos"}, {"use": "darts"}])
def test_a_finder_that_trains_a_supernet_itself_is_skipped_when_the_study_is_planned(training):
    (skipped,) = plan(a_study({"use": "darts"}, training)).skipped
    assert "its finder must be an ask/tell strategy" in skipped.reason


def test_only_the_second_half_and_the_scoring_change():
    host = fairnas(epochs=3, lr=0.1)
    assert shared_weights(host, Nsga2(), 7) == replace(host, finder=Bounded(Nsga2(), 7))
    assert shared_weights(host, Nsga2()).finder == Nsga2()
    assert shared_weights("fairnas", "random").sampler == StrictFair()
    assert shared_weights(host, "random", recalibrate=9).recalibration == Recalibration(9, 64)
    assert shared_weights(host, "random", recalibrate="batch").recalibration == Recalibration(None, 64)
    assert shared_weights("one-shot", "random").recalibration == Recalibration(None, 64)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"training": 3}, "`training` must be a strategy that trains a supernet such as spos"),
        ({"finder": "spos"}, "`finder` must be an ask/tell strategy"),
        ({"scores": 0}, "`scores` must be at least 1"),
        ({"recalibrate": "none"}, 'a number of batches or "batch"'),
        ({"recalibrate": -1}, "recalibration takes"),
    ],
)
def test_impossible_halves_are_refused(wrong, said):
    with pytest.raises(StudyError, match=said):
        make(Use("shared-weights", **wrong), STRATEGIES)


UNSAVED = ("grid", pytest.param("tune:hyperopt", marks=pytest.mark.slow))  # a generator, and a library's closures


@pytest.mark.parametrize("name", ["optuna:tpe", "regularized-evolution", "nsga2", *UNSAVED])
def test_a_search_of_another_library_goes_on_from_a_checkpoint(name):
    finder = make(Use(name, **FINDERS.get(name, {})), STRATEGIES)
    strategy = shared_weights(spos(epochs=1, batch_size=16, recalibrate=1), finder, 60)
    whole_lab = lab()
    whole = strategy.start(whole_lab.scenario)
    drive(whole, whole_lab)
    first = lab()
    search = strategy.start(first.scenario)
    search.advance(first), search.advance(first)  # the training, and fifty scores
    file = io.BytesIO()
    torch.save({"search": search.state_dict(), "lab": first.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=False)
    second = lab()
    continued = strategy.start(second.scenario)
    continued.load_state_dict(state["search"])
    second.load_state_dict(state["lab"])
    drive(continued, second)
    assert second.trials == whole_lab.trials == 60
    assert continued._finding.values == whole._finding.values


# -- the sample ----------------------------------------------------------------------------------------------------


def asked(strategy, told):
    search, found = strategy.start(told), []
    while (proposal := search.ask()) is not None:
        found.append(proposal.architecture)
    return found


def test_every_replicate_and_budget_gets_the_same_sample_of_distinct_functions():
    strategy = StratifiedSample(60)
    first, again = (asked(strategy, replace(scenario(replicate=r), macs=MACS)) for r in (0, 7))
    assert first == again
    assert len({a.key for a in first}) == 60
    assert asked(StratifiedSample(60, draw=1), replace(scenario(), macs=MACS)) != first


def test_strata_hold_as_many_architectures_of_the_space_and_of_the_sample():
    chosen = StratifiedSample(60, strata=4).chosen(SPACE, MACS)
    every = sorted(MACS(a) for a in {a.key: a for a in SPACE.enumerate()}.values())
    edges = [every[0] - 1, *(part[-1] for part in np.array_split(every, 4))]
    for stratum, (low, high) in enumerate(itertools.pairwise(edges)):
        macs = [MACS(a) for a in chosen[stratum::4]]
        assert len(macs) == 15
        assert low <= min(macs)
        assert max(macs) <= high


def test_a_small_space_is_taken_whole():
    small = replace(SPACE, decisions=SPACE.decisions[:1], canonical=lambda a: str(a.values), writer=str)
    chosen = StratifiedSample(200).chosen(small, lambda a: float(a.values[0] != "none"))
    assert Counter(chosen) == Counter(small.enumerate())


def test_a_space_too_large_to_list_is_sampled_by_random_draws():
    space = SPACES.factory("shuffle")(layers=(4, 4, 8, 4))
    count = Measures(space, (3, 32, 32), 10, None).counts()
    chosen = StratifiedSample(10).chosen(space, count)
    assert len(set(chosen)) == 10
    assert chosen == StratifiedSample(10).chosen(space, count)


def test_a_space_without_networks_cannot_be_stratified():
    from searchbench.spaces.choices import Choice

    bare = Space("bare", (Choice("a", ("x", "y")),))
    assert Measures(bare, (1, 8, 8), 10, None).counts() is None
    assert "no networks" in StratifiedSample().unsupported(scenario(space=bare))
    with pytest.raises(StudyError, match="`strata` <= `architectures`"):
        StratifiedSample(3, 4)
