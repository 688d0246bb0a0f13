"""Pruning, extras and weighted edges as mathematics: every number was worked out independently of this code."""

from __future__ import annotations

import pytest
import torch
from small_cells import DARTS_LIKE, SMALL
from tiny_lab import lab

from searchbench.errors import StudyError
from searchbench.harness.running.loop import drive
from searchbench.spaces.nasbench201.forms import shuffled
from searchbench.spaces.nasbench201.space import TOPOLOGY
from searchbench.spaces.networks import Mixed
from searchbench.strategies.differentiable import (
    Milestones,
    Monotone,
    PartialChannels,
    SkipDropout,
    Stages,
)
from searchbench.strategies.differentiable.extras import AuxiliarySkip
from searchbench.strategies.differentiable.papers import p_darts
from searchbench.strategies.differentiable.turn import Moment, Turn


def test_an_operation_once_pruned_stays_at_zero_for_ever():
    alpha = torch.tensor([[0.3, -0.1, 0.2]] * 5)
    mask = Monotone().after_step(alpha, torch.ones_like(alpha, dtype=torch.bool), SMALL)
    assert mask.tolist() == [[True, False, True]] * 5
    alpha += 1.0  # a step that would lift it
    again = Monotone().after_step(alpha, mask, SMALL)
    assert torch.equal(again, mask)
    assert (alpha[:, 1] == 0).all()


def test_a_node_keeps_its_last_operation():
    alpha = -torch.ones(5, 3)
    alpha[3, 2] = -0.5
    mask = Monotone().after_step(alpha, torch.ones_like(alpha, dtype=torch.bool), SMALL)
    assert [int(mask[rows].sum()) for rows in SMALL.nodes()] == [1, 1]
    assert mask[3, 2]
    assert (alpha == 0).all()


def test_the_last_operation_of_a_node_is_one_that_was_not_pruned():
    mask, alpha = torch.ones(5, 3, dtype=torch.bool), -torch.ones(5, 3)
    mask[:, 1], alpha[:, 1] = False, 0.0
    alpha[1, 2] = alpha[4, 0] = -0.5
    last = Monotone().after_step(alpha, mask, SMALL)
    assert last.nonzero().tolist() == [[1, 2], [4, 0]]


@pytest.mark.parametrize("strategy", ["fix-best", "drop-worst"])
def test_milestones_end_with_one_operation_per_edge_and_never_bring_one_back(strategy):
    generator = torch.Generator().manual_seed(1)
    mask, sizes = torch.ones(6, 5, dtype=torch.bool), []
    for epoch in range(20):
        weights = torch.rand((6, 5), generator=generator)
        smaller = Milestones(strategy, 0.2).after_epoch(weights, mask, epoch, 20, TOPOLOGY)
        assert not (smaller & ~mask).any()
        mask = smaller
        sizes.append(int(mask.sum()))
    assert sizes[:3] == [30, 30, 30]
    assert sizes[-1] == 6
    assert (mask.sum(1) == 1).all()
    assert not mask[:, 0].any()  # `none` is no operation to end with


def test_stages_shrink_every_edge_from_eight_to_five_three_and_one():
    part, mask = Stages((5, 3, 1)), torch.ones(28, 8, dtype=torch.bool)
    generator = torch.Generator().manual_seed(1)
    counts = []
    for epoch in range(75):
        weights = torch.rand((28, 8), generator=generator)
        after = part.after_epoch(weights, mask, epoch, 75, DARTS_LIKE)
        if epoch == 24:
            expected = weights.argsort(dim=1, descending=True)[:, :5]
            assert all(after[row, expected[row]].all() for row in range(28))
        assert not (after & ~mask).any()
        mask = after
        counts.append(mask.sum(1).unique().tolist())
    assert [counts[epoch] for epoch in (23, 24, 48, 49, 73, 74)] == [[8], [5], [5], [3], [3], [1]]
    assert [(part.stage(e, 75).number, part.stage(e, 75).first) for e in (0, 24, 25, 74)] == [
        (0, 0),
        (0, 0),
        (1, 25),
        (2, 50),
    ]


def test_the_auxiliary_skip_fades_and_skip_dropout_falls_as_published():
    assert [AuxiliarySkip().beta(e, 50) for e in (0, 1, 49)] == pytest.approx([1, 0.98, 0.02])
    p = SkipDropout(0.4, 10 / 25)
    found = [p.probability(e, 25) for e in (0, 9, 10, 15, 24)]
    assert found == pytest.approx([0.384, 0.24, 0.4, 0.14715, 0.02432], abs=1e-5)
    staged = SkipDropout((0.1, 0.4, 0.7), 10 / 25)
    assert [staged.probability(10, 25, stage) for stage in (0, 1, 2, 3)] == [0.1, 0.4, 0.7, 0.7]
    with pytest.raises(StudyError, match="must lie in"):
        SkipDropout((0.1, 1.0))


def test_skips_are_dropped_on_the_weights_turn_only():
    mixture = Mixed(torch.ones(1, 3).unbind(0))
    moment = Moment(10, 25, stage=1)
    assert SkipDropout((0.1, 0.3)).dress(mixture, Turn("alpha", moment=moment)) is mixture
    assert SkipDropout((0.1, 0.3)).dress(mixture, Turn("w", moment=moment)).dropout == 0.3


def test_every_stage_of_progressive_darts_has_its_dropout():
    metered, seen = lab(), []
    original = metered.gradients

    def gradients(net, batch, active, loss=None):
        if not active.weights[0].requires_grad:
            seen.append(active.dropout)
        return original(net, batch, active, loss)

    metered.gradients = gradients
    strategy = p_darts(epochs=3, batch_size=40, keep=(3, 2, 1), dropout=[0.1, 0.4, 0.7])
    assert strategy == p_darts(epochs=3, batch_size=40, keep=(3, 2, 1), dropout=(0.1, 0.4, 0.7))
    drive(strategy.start(metered.scenario), metered)
    assert seen == pytest.approx([0.1, 0.4, 0.7])  # one epoch each, none of it warm-up


def test_channels_are_shuffled_in_groups():
    value = torch.arange(16.0).view(1, 16, 1, 1)
    expected = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]
    assert shuffled(value, 4).flatten().tolist() == expected


def test_edge_weights_are_a_softmax_over_the_inputs_of_each_node():
    beta = torch.tensor([0.0, 1.0, 2.0, 0.0, -1.0])
    weights = PartialChannels(4).weights(beta, SMALL)
    assert torch.allclose(weights[:2], beta[:2].softmax(0))
    assert torch.allclose(weights[2:], beta[2:].softmax(0))


def test_a_logit_that_falls_to_just_zero_dies():
    alpha = torch.tensor([[0.3, 0.0, 1e-6]] * 5)
    assert (
        Monotone().after_step(alpha, torch.ones_like(alpha, dtype=torch.bool), SMALL).tolist()
        == [[True, False, True]] * 5
    )


@pytest.mark.parametrize(
    ("strategy", "each", "passed"),
    [("drop-worst", 6, [7, 11, 15, 19]), ("fix-best", 4, [6, 9, 11, 14, 17, 19])],
)
def test_milestones_come_at_regular_epochs_after_the_warm_up_the_last_with_the_last_epoch(strategy, each, passed):
    mask, found = torch.ones(6, 5, dtype=torch.bool), []
    weights = torch.rand((6, 5), generator=torch.Generator().manual_seed(2))
    for epoch in range(20):
        before, mask = int(mask.sum()), Milestones(strategy, 0.2).after_epoch(weights, mask, epoch, 20, TOPOLOGY)
        if int(mask.sum()) < before:
            assert before - int(mask.sum()) == each
            found.append(epoch)
    assert found == passed


def test_the_best_edge_is_fixed_and_the_worst_operations_are_dropped():
    weights = torch.full((6, 5), 0.2)
    weights[2, 3], weights[1, 0] = 0.6, 0.9  # `none` is heaviest of all, and fixes nothing
    weights[:, 4] = 0.1
    whole = torch.ones(6, 5, dtype=torch.bool)
    fixed = Milestones("fix-best", 0.0).after_epoch(weights, whole, 0, 6, TOPOLOGY)
    assert fixed[2].tolist() == [False, False, False, True, False]
    assert fixed[[0, 1, 3, 4, 5]].all()
    again = weights.clone()
    again[2, 3] = 0.95  # what is fixed is not fixed again
    again[4, 1] = 0.3
    twice = Milestones("fix-best", 0.0).after_epoch(again, fixed, 1, 6, TOPOLOGY)
    assert twice[4].tolist() == [False, True, False, False, False]
    dropped = Milestones("drop-worst", 0.0).after_epoch(weights, whole, 0, 4, TOPOLOGY)
    assert dropped.tolist() == [[True] * 4 + [False]] * 6
    pair = torch.zeros(6, 5, dtype=torch.bool)
    pair[:, [0, 4]] = True
    assert (
        Milestones("drop-worst", 0.0).after_epoch(weights, pair, 3, 4, TOPOLOGY).tolist() == [[False] * 4 + [True]] * 6
    )


def test_what_was_pruned_takes_no_place_from_operations_that_weigh_nothing():
    mask = torch.zeros(28, 8, dtype=torch.bool)
    mask[:, [4, 6]] = True
    kept = Stages((3, 1)).after_epoch(torch.zeros(28, 8), mask, 1, 2, DARTS_LIKE)
    assert kept.nonzero().tolist() == [[edge, 4] for edge in range(28)]


def test_an_edge_that_keeps_one_operation_keeps_another_than_none():
    weights = torch.full((28, 8), 0.05)
    weights[:, DARTS_LIKE.none], weights[:, 3] = 0.5, 0.2
    whole = torch.ones(28, 8, dtype=torch.bool)
    last = Stages((3, 1)).after_epoch(weights, whole, 1, 2, DARTS_LIKE)
    assert last[:, 3].all()
    assert (last.sum(1) == 1).all()
    first = Stages((3, 1)).after_epoch(weights, whole, 0, 2, DARTS_LIKE)
    assert first[:, DARTS_LIKE.none].all()  # before the last stage it competes like any other
