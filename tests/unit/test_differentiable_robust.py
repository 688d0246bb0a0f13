"""Beta decay, Dirichlet weights, smoothing, adversaries and selection by perturbation: mathematics, and searches."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from small_cells import SMALL, rng
from test_differentiable_darts import cell_lab
from tiny_lab import SPACE, lab, scenario

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.declared.components import describe
from searchbench.harness.running.loop import drive
from searchbench.results.columns import read_traces
from searchbench.spaces.darts.space import darts as darts_space
from searchbench.spaces.networks import Mixed
from searchbench.strategies.differentiable import (
    Adversary,
    BetaDecay,
    CoolingConcrete,
    Differentiable,
    DirichletDivergence,
    DirichletWeights,
    FullEdges,
    Joint,
    JointGradient,
    Perturbation,
    RandomSmoothing,
    Softmax,
)
from searchbench.strategies.differentiable.dirichlet import concentration, divergence, draw
from searchbench.strategies.differentiable.extras import on_the_simplex
from searchbench.strategies.differentiable.papers import darts
from searchbench.strategies.differentiable.papers_robust import beta_darts, darts_pt, sdarts_adv, sdarts_rs
from searchbench.strategies.differentiable.papers_sampled import drnas, fbnet
from searchbench.strategies.differentiable.turn import Moment, Turn

ALPHA = torch.tensor([[0.3, -0.2, 0.5], [1.0, 0.0, -1.0]], dtype=torch.float64)
ALL = torch.ones(2, 3, dtype=torch.bool)


def at(epoch, epochs):
    return SimpleNamespace(alpha=ALPHA.clone().requires_grad_(), mask=ALL, moment=Moment(epoch, epochs))


def test_beta_decay_pulls_each_logit_by_its_own_softmax_more_from_epoch_to_epoch():
    zero = torch.zeros((), dtype=torch.float64)
    assert float(BetaDecay().outer(zero, at(0, 100), None).detach()) == 0.0
    game = at(30, 100)
    value = BetaDecay(50.0).outer(zero, game, None)
    logs = [math.log(np.exp(row).sum()) for row in ALPHA.numpy()]
    assert float(value.detach()) == pytest.approx(50 * 0.3 * np.mean(logs))
    value.backward()
    assert torch.allclose(game.alpha.grad, 15.0 * ALPHA.softmax(-1) / 2)


def test_beta_decay_leaves_out_what_is_pruned():
    game = at(1, 2)
    game.mask = torch.tensor([[True, False, True], [False, True, False]])
    BetaDecay(2.0).outer(torch.zeros(()), game, None).backward()
    assert torch.allclose(game.alpha.grad[1], torch.tensor([0.0, 0.5, 0.0], dtype=torch.float64))
    assert game.alpha.grad[0, 1] == 0.0


def test_dirichlet_draws_and_gradients_are_those_of_the_library():
    beta = concentration(ALPHA)
    assert torch.allclose(beta, torch.where(ALPHA > 0, ALPHA + 1, ALPHA.exp()))
    ours, theirs = beta.clone().requires_grad_(), beta.clone().requires_grad_()
    drawn = draw(ours, None, rng(3))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = torch.distributions.Dirichlet(theirs).rsample()
    assert torch.equal(drawn, expected)
    coefficients = torch.tensor([[1.0, 2.0, 4.0], [3.0, -1.0, 0.5]], dtype=torch.float64)
    (drawn * coefficients).sum().backward()
    (expected * coefficients).sum().backward()
    assert torch.equal(ours.grad, theirs.grad)


def test_dirichlet_weights_are_the_mean_without_noise_and_draws_average_to_it():
    relax = DirichletWeights()
    mean = relax.weights(ALPHA, Turn())
    beta = concentration(ALPHA)
    assert torch.allclose(mean, beta / beta.sum(-1, keepdim=True))
    generator = rng(0)
    draws = torch.stack([torch.stack(relax.mixture(ALPHA, Turn(rng=generator)).weights) for _ in range(3000)])
    assert torch.allclose(draws.mean(0), mean, atol=0.02)
    assert torch.allclose(draws.sum(-1), torch.ones(3000, 2, dtype=torch.float64))


def test_dirichlet_weights_of_pruned_operations_are_zero():
    mask = torch.tensor([[True, False, True], [False, False, True]])
    turn = Turn(rng=rng(1), mask=mask)
    relax = DirichletWeights()
    for weights in (relax.weights(ALPHA, turn), torch.stack(relax.mixture(ALPHA, turn).weights)):
        assert torch.equal(weights > 0, mask)
        assert torch.allclose(weights.sum(-1), torch.ones(2, dtype=torch.float64))


def test_divergence_from_the_uniform_distribution():
    assert float(divergence(torch.ones(2, 3, dtype=torch.float64), ALL)) == pytest.approx(0.0, abs=1e-12)
    beta = torch.tensor([[2.0, 1.0, 1.0]], dtype=torch.float64)
    # ln Gamma(4) - ln Gamma(3) - sum ln Gamma(beta) + (2 - 1)(digamma(2) - digamma(4)) = ln 3 - 5/6
    assert float(divergence(beta, ALL[:1])) == pytest.approx(math.log(3) - 5 / 6)
    masked = torch.tensor([[2.0, 7.0, 1.0, 1.0], [5.0, 5.0, 5.0, 5.0]], dtype=torch.float64)
    mask = torch.tensor([[True, False, True, True], [False, False, True, False]])
    assert float(divergence(masked, mask)) == pytest.approx(math.log(3) - 5 / 6)  # pruned ones have no part in it
    game = at(0, 1)
    expected = 0.1 * float(divergence(concentration(ALPHA), ALL))
    assert float(DirichletDivergence(0.1).outer(torch.zeros(()), game, None).detach()) == pytest.approx(expected)


def clipped_as_released(moved, weights):
    """Row by row, as SmoothDARTS has it."""
    rows = []
    for row, before in zip(moved.tolist(), weights.tolist(), strict=True):
        clipped = [min(max(x, 0.0), 1.0) for x in row]
        if sum(clipped) == 0:
            clipped[row.index(max(row))] = 1.0
        rows.append([x / sum(clipped) * sum(before) for x in clipped])
    return torch.tensor(rows, dtype=torch.float64)


def test_perturbed_weights_stay_on_the_simplex():
    weights = ALPHA.softmax(-1)
    for seed in range(50):
        moved = weights + torch.randn((2, 3), generator=rng(seed), dtype=torch.float64)
        assert torch.allclose(on_the_simplex(moved, weights, None), clipped_as_released(moved, weights))
    gone = torch.tensor([[-1.0, -0.5, -2.0], [0.2, 0.2, 0.2]], dtype=torch.float64)
    assert on_the_simplex(gone, weights, None)[0].tolist() == [0.0, 1.0, 0.0]
    assert on_the_simplex(weights + 0.1, weights, ((0,), (1, 2)))[0].tolist() == [1.0, 0.0, 0.0]


def test_smoothing_moves_the_weights_turn_only_ever_farther():
    mixture = Mixed(ALPHA.softmax(-1).unbind(0))
    part = RandomSmoothing(0.03, 0.3)
    assert part.dress(mixture, Turn("alpha", rng())) is mixture
    turns = [Turn("w", rng(2), Moment(epoch, 10)) for epoch in (0, 5, 9)]
    dressed = [torch.stack(tuple(part.dress(mixture, turn).weights)) for turn in turns]
    moved = [(weights - ALPHA.softmax(-1)).abs().max() for weights in dressed]
    assert 0 < moved[0] < 0.07
    assert moved[0] < moved[1] < moved[2]


def test_smoothing_moves_each_weight_evenly_both_ways_and_keeps_the_sum_it_had():
    weights = 0.5 * ALPHA.softmax(-1)  # as of an edge that weighs a half
    dressed = RandomSmoothing(0.03, 0.3).dress(Mixed(weights.unbind(0)), Turn("w", rng(2), Moment(5, 10)))
    noise = 2 * torch.rand((2, 3), generator=rng(2), dtype=torch.float64) - 1
    expected = clipped_as_released(weights + (0.03 + 0.27 * 0.5) * noise, weights)
    assert torch.allclose(torch.stack(tuple(dressed.weights)), expected)


class Linear:
    """A lab whose loss is linear in the weights of operations."""

    def __init__(self, slopes):
        self.slopes, self.passes = slopes, 0

    def gradients(self, supernet, batch, mixture):
        self.passes += 1
        loss = (torch.stack(tuple(mixture.weights)) * self.slopes).sum()
        loss.backward()
        return float(loss.detach())

    def infer(self, supernet, batch, mixture):
        value = (torch.stack(tuple(mixture.weights)).detach() * self.slopes).sum().reshape(1, 1)
        return torch.cat([torch.zeros_like(value), value], 1)  # cross-entropy with class 0 grows with it


@pytest.mark.parametrize("epoch", [0, 5, 9])
def test_an_adversary_finds_the_worst_corner_of_its_box(epoch):
    slopes = torch.tensor([[1.0, -1.0, -1.0], [-1.0, -1.0, 2.0]], dtype=torch.float64)
    linear, before = Linear(slopes), ALPHA.softmax(-1)
    game = SimpleNamespace(lab=linear, supernet=None, rng=rng(), moment=Moment(epoch, 10), frozen_weights=nullcontext)
    batch = SimpleNamespace(targets=torch.tensor([0]))
    radius = 0.03 + 0.27 * epoch / 10
    worst = Adversary().worst(game, batch, Mixed(before.unbind(0)))
    assert linear.passes == 7
    gain = ((torch.stack(tuple(worst.weights)).detach() - before) * slopes).sum()
    corner = on_the_simplex(before + radius * slopes.sign(), before, None)
    assert float(gain) >= 0.8 * float(((corner - before) * slopes).sum()) > 0


def test_an_adversary_climbs_by_signs_and_stays_within_its_box():
    slopes = torch.tensor([[1e-4, -1e-4, -1e-4], [-9.0, -9.0, 9.0]], dtype=torch.float64)
    before = torch.tensor([[0.4, 0.3, 0.3], [0.2, 0.3, 0.5]], dtype=torch.float64)
    game = SimpleNamespace(
        lab=Linear(slopes), supernet=None, rng=rng(1), moment=Moment(0, 1), frozen_weights=nullcontext
    )
    worst = Adversary(0.1, 0.1, 3).worst(game, SimpleNamespace(targets=torch.tensor([0])), Mixed(before.unbind(0)))
    noise = 2 * torch.rand((2, 3), generator=rng(1), dtype=torch.float64) - 1
    moved = on_the_simplex(before + 0.1 * noise, before, None)
    for _ in range(3):  # 2 eps / steps at a time, whatever the slope
        moved = before + (moved + 0.2 / 3 * slopes.sign() - before).clamp(-0.1, 0.1)
        moved = on_the_simplex(moved, before, None)
    assert torch.allclose(torch.stack(tuple(worst.weights)).detach(), moved)


def test_an_adversary_that_finds_nothing_worse_leaves_the_mixture():
    game = SimpleNamespace(
        lab=Linear(torch.zeros(2, 3)), supernet=None, rng=rng(), moment=Moment(), frozen_weights=nullcontext
    )
    mixture = Mixed(ALPHA.softmax(-1).unbind(0))
    assert Adversary(0.0, 0.0).worst(game, None, mixture) is mixture


def test_an_adversary_goes_with_no_joint_schedule():
    with pytest.raises(StudyError, match="an adversary climbs in the weights"):
        Differentiable(adversary=Adversary(), schedule=Joint(), hypergradient=JointGradient())


def test_a_part_that_came_later_leaves_older_descriptions_as_they_were():
    assert "adversary" not in describe(darts())
    assert describe(sdarts_adv())["adversary"]["steps"] == 7


EVERY_EDGE = replace(SMALL, keeps=None)


def test_the_operation_is_kept_that_the_supernet_misses_most():
    mask = torch.ones(5, 3, dtype=torch.bool)
    worth = torch.tensor([[9.0, 1.0, 2.0], [0.0, 3.0, 1.0], [5.0, 0.5, 0.4], [0.0, 0.0, 0.1], [7.0, 2.0, 2.0]])
    asked = []

    def accuracy(given):
        asked.append(given.clone())
        return float((worth * given).sum())

    part = Perturbation(0.5)
    decided = []
    for epoch in range(10):
        before = mask.clone()
        mask = part.after_measured_epoch(accuracy, np.random.default_rng(epoch), mask, epoch, 10, EVERY_EDGE)
        decided += [(epoch, edge) for edge in range(5) if not torch.equal(before[edge], mask[edge])]
    assert [epoch for epoch, _ in decided] == [5, 6, 7, 8, 9]
    assert sorted(edge for _, edge in decided) == [0, 1, 2, 3, 4]
    assert mask.int().argmax(1).tolist() == [2, 1, 1, 2, 1]  # `none`, the first, is never kept
    assert len(asked) == part.measurements(torch.ones(5, 3, dtype=torch.bool), EVERY_EDGE) == 10
    for first, second in zip(asked[::2], asked[1::2], strict=True):
        assert int((first != second).sum()) == 2  # two absences of one edge, all else alike


def test_edges_are_decided_in_the_last_share_of_the_epochs_in_random_order():
    orders = set()
    for seed in range(4):
        mask, order, generator = torch.ones(5, 3, dtype=torch.bool), [], np.random.default_rng(seed)
        for epoch in range(10):
            before = mask
            mask = Perturbation(0.2).after_measured_epoch(lambda given: 0.0, generator, mask, epoch, 10, EVERY_EDGE)
            order.append(tuple(edge for edge in range(5) if not torch.equal(before[edge], mask[edge])))
        assert order[:8] == [()] * 8
        assert sorted(order[8] + order[9]) == [0, 1, 2, 3, 4]
        orders.add(order[8])
    assert len(orders) > 1


class Noting(Perturbation):
    """Draws a number and measures once after every epoch, and decides nothing."""

    drawn: ClassVar[list[float]] = []

    def after_measured_epoch(self, accuracy, rng, mask, epoch, epochs, topology):
        self.drawn.append(float(rng.random()))
        accuracy(torch.zeros_like(mask).index_fill_(1, torch.tensor(1), True))
        return mask


def test_every_epoch_perturbs_by_a_stream_of_its_own_and_puts_the_mask_back():
    metered = lab(Budget(samples=10_000))
    search = replace(darts(epochs=2, batch_size=20), prune=Noting()).start(metered.scenario)
    Noting.drawn.clear()
    for _ in range(2):
        search.advance(metered)
        assert bool(search._session.trained.mask.all())
    seeds = metered.scenario.seeds
    assert Noting.drawn == [seeds.rng("search", f"perturbation|{epoch}").random() for epoch in (0, 1)]


def test_edges_go_node_by_node_when_every_edge_has_its_operation():
    """Two nodes of SMALL have two and three edges, of which two are kept."""
    worth = torch.tensor([0.0, 0.0, 0.5, 0.2, 0.4])
    mask = torch.zeros(5, 3, dtype=torch.bool)
    mask[:, 2] = True
    asked = []

    def measured(given):
        asked.append(given.clone())
        return float((worth * given.any(1)).sum())

    part = Perturbation(0.5)
    after = [part.after_measured_epoch(measured, np.random.default_rng(0), mask, epoch, 12, SMALL) for epoch in (5, 6)]
    assert torch.equal(after[0], mask)  # nothing is due yet
    assert after[1].any(1).tolist() == [True, True, True, False, True]
    assert len(asked) == 3
    assert part.measurements(torch.ones(5, 3, dtype=torch.bool), SMALL) == 10 + 3


def test_of_edges_that_are_missed_alike_the_last_goes():
    mask = torch.zeros(5, 3, dtype=torch.bool)
    mask[:, 1] = True
    after = Perturbation(0.5).after_measured_epoch(lambda _: 0.0, np.random.default_rng(0), mask, 6, 12, SMALL)
    assert after.any(1).tolist() == [True, True, True, True, False]


@pytest.mark.parametrize("measure", ["accuracy", "loss"])
def test_what_is_handed_over_is_what_the_supernet_misses_and_not_what_weighs_most(measure):
    metered = lab()
    search = darts_pt(epochs=12, alpha_lr=0.1, batch_size=20, measure=measure).start(metered.scenario)
    drive(search, metered)
    game = search._session.trained
    assert game.mask.sum(1).tolist() == [1] * 6
    assert game.mask.int().argmax(1).tolist() == list(game.supernet.path(metered.final.architecture))
    assert metered.spent.inference_samples == 6 * 4 * metered.samples("valid")


def test_cells_of_darts_keep_two_edges_of_every_node_by_perturbation():
    space, asked = darts_space(4, 3), []
    metered = cell_lab(space)
    search = darts_pt(epochs=2, tuned=1.0, batch_size=64).start(metered.scenario)
    values = torch.rand((28, 8), generator=rng(1))
    search._worth = lambda game, measure, kept: asked.append(measure) or float((values * kept).sum())
    drive(search, metered)
    game = search._session.trained
    path = game.supernet.path(metered.final.architecture)
    # seven operations of 28 edges; then, of either cell, nodes of three, four and five edges
    assert len(asked) == 28 * 7 + 2 * (3 + (4 + 3) + (5 + 4 + 3))
    kept = values.clone()
    kept[:, space.wiring.none] = -1
    for rows in space.wiring.nodes():
        best = sorted(rows, key=lambda edge: -float(kept[edge].max()))[:2]
        for edge in rows:
            assert path[edge] == (int(kept[edge].argmax()) if edge in best else space.wiring.none)


def test_an_edge_that_was_taken_out_has_nothing_to_share_and_no_gradient():
    alpha = ALPHA.clone().requires_grad_()
    mask = torch.tensor([[False, False, False], [True, False, True]])
    weights = Softmax().weights(alpha, Turn(mask=mask))
    assert weights[0].tolist() == [0.0, 0.0, 0.0]
    assert torch.allclose(weights[1, [0, 2]], ALPHA[1, [0, 2]].softmax(-1))
    (weights * weights).sum().backward()
    assert alpha.grad[0].tolist() == [0.0, 0.0, 0.0]
    assert bool(alpha.grad.isfinite().all())


def test_fbnet_cools_as_published_and_multiplies_the_loss_by_a_power_of_the_cost():
    part, paper = CoolingConcrete(), fbnet()
    assert part.tau(0, 90) == 5.0
    assert part.tau(45, 90) == pytest.approx(5 * 0.956**45)
    assert part.tau(90, 90) == pytest.approx(0.0872, abs=1e-4)
    costs = torch.tensor([[0.0, 10.0, 100.0], [0.0, 20.0, 40.0]], dtype=torch.float64)
    weights = ALPHA.softmax(-1)
    whole = {"sampling": FullEdges(), "beta": None, "topology": None}
    game = SimpleNamespace(activated=lambda: weights, costs=costs, fixed_cost=7.0, mask=ALL, **whole)
    [loss] = [rule.outer(torch.tensor(2.0, dtype=torch.float64), game, None) for rule in paper.regularise]
    expected = 7.0 + float((weights * costs).sum())
    assert float(loss) == pytest.approx(2.0 * 0.2 * math.log(expected) ** 0.6)
    noisy = torch.stack(part.mixture(ALPHA, Turn("w", rng(1), Moment(0, 90))).weights)
    uniform = torch.rand((2, 3), generator=rng(1), dtype=torch.float64)
    assert torch.allclose(noisy, ((ALPHA.log_softmax(-1) - (-uniform.log()).log()) / 5.0).softmax(-1))


@pytest.mark.parametrize("paper", [fbnet, beta_darts, sdarts_rs, sdarts_adv, darts_pt, drnas])
def test_searches_end_within_their_budget_with_something_to_hand_over(paper):
    budget = Budget(samples=1500)
    given, search = lab(budget), paper(batch_size=20).start(scenario(budget))
    drive(search, given)
    assert given.spent.samples <= 1500
    assert given.final is not None
    lines = read_traces(given.traces.to_bytes()).to_pylist()
    assert len(lines) > 2
    if paper is darts_pt:
        assert given.spent.samples > 1000
        assert lines[-1]["unpruned"] == len(SPACE.decisions)
