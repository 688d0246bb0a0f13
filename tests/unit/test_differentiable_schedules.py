"""Schedules of differentiable search as mathematics: every number was worked out independently of this code."""

from __future__ import annotations

import itertools
import math

import pytest

from searchbench.strategies.differentiable import (
    Constant,
    FisherInformed,
    Ratio,
    SkipDropout,
    WarmUp,
)
from searchbench.strategies.differentiable.schedule import Alternate, Watching
from searchbench.strategies.differentiable.split import samples
from searchbench.strategies.differentiable.turn import Moment


def alpha_minibatches(schedule, minibatches, fisher):
    memory, found = schedule.fresh() if isinstance(schedule, Watching) else None, []
    for b in range(minibatches):
        phases, memory = schedule.steps(Moment(0, 1, b, minibatches), memory)
        assert phases[-1] == "w"
        if phases[0] == "alpha":
            found.append(b)
        if isinstance(schedule, Watching):
            memory = schedule.observe(memory, fisher(b))
    return found


@pytest.mark.parametrize(
    ("fisher", "begins", "total"),
    [
        (0.5, [1, 2, 8, 19, 30, 41], 1002),
        (1.0, [1, 12, 23, 34], 1000),
        (5.0, [33, 44, 55], 997),
        (50.0, [81, 92, 103], 993),
    ],
)
def test_fimt_under_a_constant_trace_moves_the_architecture_every_eleventh_minibatch(fisher, begins, total):
    found = alpha_minibatches(FisherInformed(), 11_000, lambda b: fisher)
    assert found[: len(begins)] == begins
    assert len(found) == total
    assert {b - a for a, b in itertools.pairwise(found[10:])} == {11}


def test_the_threshold_falls_in_one_step_by_what_it_rises_in_ten():
    def threshold_after(minibatches, fisher):
        schedule = FisherInformed()
        memory = schedule.fresh()
        for b in range(minibatches):
            _, memory = schedule.steps(Moment(0, 1, b, minibatches), memory)
            memory = schedule.observe(memory, fisher)
        return memory[0]

    assert threshold_after(10, 1e9) == pytest.approx(1.05**10)
    assert threshold_after(2, 0.5) == pytest.approx(1.05 * 0.613913, rel=1e-6)  # moves on the second minibatch


def test_fimt_moves_the_architecture_more_often_when_the_trace_falls_and_less_when_it_rises():
    falling = alpha_minibatches(FisherInformed(), 3000, lambda b: 5 * math.exp(-b / 300))
    rising = alpha_minibatches(FisherInformed(), 3000, lambda b: 5 * math.exp(b / 300))
    assert (len(falling), len(rising)) == (289, 252)


def test_constant_schedule_moves_the_architecture_before_every_tenth_weight_step():
    found = alpha_minibatches(Constant(10), 711, lambda b: 0.0)
    assert found == list(range(9, 711, 10))
    assert len(found) == Constant(10).alpha_steps(711, 1) == 71


def test_during_warm_up_only_the_weights_move():
    schedule = WarmUp(Alternate(), 15 / 50)
    moves = [schedule.steps(Moment(epoch, 50), None)[0] for epoch in range(50)]
    assert [m == ("w",) for m in moves] == [True] * 15 + [False] * 35


def test_ratio_ten_of_fifty_thousand_samples_gives_45454_and_4546():
    assert [samples(part, 50_000) for part in (Ratio(10).w, Ratio(10).alpha)] == [45_454, 4_546]
    assert [samples(part, 50_000) for part in (Ratio(1).w, Ratio(1).alpha)] == [25_000, 25_000]


def test_the_moving_average_weighs_the_newest_trace_by_beta_and_the_past_by_the_rest():
    schedule, memory = FisherInformed(beta=0.2), FisherInformed().fresh()
    traces = []
    for fisher in (1.0, 0.0, 10.0):
        memory = schedule.observe(memory, fisher)
        traces.append(memory[1])
    assert traces == pytest.approx([1.0, 0.8, 0.2 * 10 + 0.8 * 0.8])


def test_a_trace_just_at_the_threshold_does_not_move_the_architecture():
    schedule = FisherInformed(threshold=1.0, rise=1.5)
    assert schedule.steps(Moment(0, 1, 0, 9), (1.0, 1.0)) == (("w",), (1.5, 1.0))
    assert schedule.steps(Moment(0, 1, 0, 9), (1.0, 0.999))[0] == ("alpha", "w")


def test_an_epoch_is_priced_by_the_share_of_it_that_is_not_warm_up():
    assert WarmUp(Alternate(), 0.3).alpha_steps(10, 10) == 70
    assert WarmUp(Alternate(), 0.3).alpha_steps(10, 3) == 30  # less than an epoch's warm-up is none
    assert WarmUp(Constant(5), 0.5).alpha_steps(100, 2) == 20


def test_dropped_skips_fall_linearly_then_exponentially_from_where_the_warm_epochs_end():
    drop = SkipDropout(0.4, share=0.4)
    found = [drop.probability(epoch, 25) for epoch in (0, 9, 10, 15)]
    assert found == pytest.approx([0.4 * 24 / 25, 0.4 * 15 / 25, 0.4, 0.4 * math.exp(-1)])
    assert [SkipDropout((0.1, 0.3)).probability(10, 25, stage) for stage in (0, 1, 2)] == [0.1, 0.3, 0.3]
