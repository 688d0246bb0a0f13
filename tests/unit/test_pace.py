"""Settings that follow the budget, and what the record says of a search that decided nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from tiny_lab import lab

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.running.loop import drive
from searchbench.strategies.differentiable import Constant, FisherInformed, WarmUp
from searchbench.strategies.differentiable.decided import decided as of_margins
from searchbench.strategies.differentiable.decided import margins
from searchbench.strategies.differentiable.pace import FASTEST, LEAST_STEPS, Pace
from searchbench.strategies.differentiable.papers import darts, darts_plus_rank, p_darts
from searchbench.strategies.differentiable.papers_experts import shapley_nas, xnas
from searchbench.strategies.differentiable.papers_prime import darts_cs, darts_fimt, darts_prime
from searchbench.strategies.differentiable.papers_robust import darts_ada, darts_es
from searchbench.strategies.differentiable.papers_sampled import fbnet, proxyless

PAPERS_STEPS = 391
TWO_ORDERS = partial(shapley_nas, samples=2)


def test_in_the_papers_own_steps_every_setting_is_the_papers():
    for strategy, epochs, batches in ((darts(), 50, PAPERS_STEPS), (darts_cs(), 50, 711), (darts_fimt(), 50, 711)):
        there, own = strategy.at(epochs, batches), replace(strategy, settings="paper").at(epochs, batches)
        assert there.alphas.lr == pytest.approx(own.alphas.lr, rel=0.01)
        assert getattr(there.schedule, "every", 0) == getattr(own.schedule, "every", 0)
        assert getattr(there.schedule, "ratio", 0) == getattr(own.schedule, "ratio", 0)
    assert darts_ada().at(50, PAPERS_STEPS).stop.watch == replace(darts_ada().stop.watch, of=None)
    assert darts_plus_rank().at(60, PAPERS_STEPS).stop.epochs == 10


@pytest.mark.parametrize("epochs", [5, 10, 30])
def test_in_fewer_steps_logits_may_travel_as_far(epochs):
    found = darts().at(epochs, 60)
    assert found.alphas.lr * epochs * 60 == pytest.approx(3e-4 * 19_550)
    assert darts(settings="paper").at(epochs, 60).alphas.lr == 3e-4
    assert darts(alpha_lr=0.01).at(epochs, 60).alphas.lr == 0.01
    assert darts().at(1, 2).alphas.lr == FASTEST


@pytest.mark.parametrize("make", [darts_cs, proxyless])
def test_sparse_schedules_condense_until_the_logits_have_their_steps(make):
    for epochs, batches in ((4, 100), (10, 40), (2, 3), (100, 100), (42, 8)):
        found = make().at(epochs, batches)
        most = make(every=1).logit_steps(epochs, batches)
        assert found.logit_steps(epochs, batches) >= min(LEAST_STEPS, most)
    assert make(every=7).at(4, 100).schedule == make(every=7, settings="paper").at(4, 100).schedule


def test_a_step_of_the_logits_costs_the_threshold_what_it_did():
    whole, short = darts_prime().schedule, darts_prime().at(5, 60).schedule
    assert short.ratio < whole.ratio
    assert short.rise**short.ratio == pytest.approx(whole.rise**whole.ratio)


def test_the_ratio_is_that_of_minibatches_without_a_step_of_the_logits_to_those_with_one():
    short = FisherInformed(least=100).at(Pace(5, 66))  # a step in three of 330 minibatches, and some to spare
    assert short.ratio == pytest.approx(2.0)
    assert short.alpha_steps(66, 5) == pytest.approx(110)


def test_behind_a_warm_up_the_steps_are_counted_in_what_remains():
    assert WarmUp(Constant(10, least=100), 0.5).at(Pace(10, 40)).then.every == 2  # of 200 minibatches, not 400


def test_a_sparse_schedule_has_a_step_of_the_logits_in_every_epoch():
    assert Pace(100, 20).condensed(50, 10) == 20  # one in 50 minibatches would leave epochs without
    assert Pace(100, 20).condensed(50, None) == 50
    assert Pace(2, 20).condensed(50, 100) == 1


def test_unknown_settings_are_refused():
    with pytest.raises(StudyError, match='"budget" or "paper"'):
        darts(settings="mine")


def test_the_budget_is_kept_when_condensed_schedules_make_epochs_dearer():
    metered = lab(Budget(samples=2000))
    search = darts_cs(batch_size=8).start(metered.scenario)
    drive(search, metered)
    assert metered.spent.train_samples <= 2000
    assert search._progress.logit_steps > 10


def test_the_record_says_whether_logits_moved_enough():
    mask = torch.ones(1, 3, dtype=torch.bool)

    def decided(steps, walk, mask, none):
        return of_margins(steps, margins(walk, mask, none))

    still = [torch.tensor([[0.0, 1.0, 0.9]])] * 5
    restless = [torch.tensor([[0.0, 1.0, 0.9 + swing]]) for swing in (-0.5, 0.09, -0.5, 0.09, 0.0)]
    assert decided(500, still, mask, 0) == {
        "logit_steps": 500.0,
        "margin": pytest.approx(0.1),
        "noise": 0.0,
        "decided": "yes",
    }
    assert decided(99, still, mask, 0)["decided"] == "no: the logits took 99 steps, fewer than 100"
    assert "below the noise" in decided(500, restless, mask, 0)["decided"]
    assert decided(500, [torch.tensor([[5.0, 1.0, 0.9]])], mask, None)["margin"] == pytest.approx(4.0)


@pytest.mark.parametrize("samples", [200, 20])
def test_a_short_search_says_so_in_its_trace_whether_its_budget_ends_or_not(samples):
    metered, lines = lab(Budget(samples=samples)), []
    metered.log = lambda **values: lines.append(values)
    drive(darts(batch_size=8).start(metered.scenario), metered)
    assert lines[-1]["decided"].startswith("no: the logits took")
    assert math.isfinite(lines[-1]["margin"])


@pytest.mark.parametrize(("make", "samples"), [(p_darts, 500), (fbnet, 500), (darts_es, 1100), (TWO_ORDERS, 1100)])
def test_planned_epochs_fit_whatever_rests_is_measured_or_begins_anew(make, samples):
    metered = lab(Budget(samples=samples))
    search = make(batch_size=8).start(metered.scenario)
    planned = search._given
    drive(search, metered)
    length, batches = search._session.length, search._batches(metered)
    assert search._session.epoch == length > 1
    if make is not darts_es:  # which may stop
        assert search._progress.logit_steps == planned.at(length, batches).logit_steps(length, batches)


def test_a_step_that_the_budget_did_not_pay_is_none():
    metered, lines = lab(Budget(samples=8)), []
    metered.log = lambda **values: lines.append(values)
    drive(darts(batch_size=8).start(metered.scenario), metered)
    assert lines[-1]["logit_steps"] == 0.0
    assert lines[-1]["noise"] == 0.0


def test_what_is_pruned_in_an_epoch_was_decided_by_the_margin_it_had_then():
    mask = torch.tensor([[True, True, True], [False, True, False]])
    walk = [torch.tensor([[0.0, 0.5, 0.9], [0.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.9], [0.0, 0.0, 0.0]])]
    assert margins(walk, mask, None) == {0: (pytest.approx(0.1), pytest.approx(0.25))}
    metered = lab(Budget(samples=300))
    search = xnas(batch_size=8).start(metered.scenario)
    drive(search, metered)
    assert int(search._session.trained.mask[:, 1:].sum(1).max()) == 1  # nothing is open any more
    assert len(search._progress.margins) == 6
