"""Rules of early stopping as mathematics: every number was worked out independently of this code."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_cells import DARTS_LIKE
from test_differentiable_resume import cell_lab
from tiny_lab import SPACE, lab

from searchbench.spaces.darts.space import darts
from searchbench.spaces.networks import Mixed
from searchbench.strategies.differentiable import (
    Eigenvalue,
    EigenvalueRestart,
    Lanczos,
    RankStability,
    SkipCount,
    TopEdges,
    ToTheEnd,
)
from searchbench.strategies.differentiable.papers import darts as darts_paper
from searchbench.strategies.differentiable.papers_robust import darts_es
from searchbench.strategies.differentiable.stop import GO_ON, Report, StopDecision, reach


def decision(values):
    """(epoch of the decision, epoch of the answer) for eigenvalues by epoch; None if there is none."""
    for epoch in range(0, 50, 2):
        answer = Eigenvalue().answer(tuple(values(e) for e in range(0, epoch + 1, 2)))
        if answer is not None:
            return epoch, answer
    return None


def test_the_eigenvalue_rule_decides_as_published():
    assert decision(lambda e: 1.0) is None
    assert decision(lambda e: 1.2 ** max(0, (e - 20) / 2)) == (28, 16)
    assert decision(lambda e: 1.0 if e < 26 else 2.0) == (28, 16)
    assert decision(lambda e: 0.1 + 0.05 * e) == (22, 10)


def test_local_means_are_of_the_last_five_values_and_of_three_at_least():
    growth = Eigenvalue(lag=4).growth
    assert growth((1.0,) * 6) is None
    assert growth((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)) == pytest.approx(5 / 2)
    assert growth((10.0, *[1.0] * 8)) == pytest.approx(5 / 14)
    assert growth((*[1.0] * 4, 6.0, *[1.0] * 4)) == pytest.approx(1.0)  # the fifth value is in both
    assert growth((*[1.0] * 5, 6.0, *[1.0] * 3)) == pytest.approx(2.0)


@dataclass(frozen=True, slots=True)
class BackOnce:
    """After the third epoch, back to the first, with twice the decay."""

    curved = False
    returns = 3
    earliest = 3

    def fresh(self):
        return False

    def after_epoch(self, report, memory):
        returning = report.epoch == 2 and not memory
        return (StopDecision(epoch=0, decay=2.0) if returning else GO_ON), memory or returning


def test_a_search_that_returns_has_the_logits_weights_and_draws_of_that_epoch_again():
    metered = lab()
    search = replace(darts_paper(epochs=4, batch_size=20), stop=BackOnce()).start(metered.scenario)
    states = []
    for _ in range(3):
        search.advance(metered)
        states.append(copy.deepcopy(search._session.trained.state_dict()))
    assert search._session.epoch == 1
    assert search._progress.decay == 2.0
    first, back = states[0], states[2]
    assert torch.equal(first["alpha"], back["alpha"])
    assert not torch.equal(states[1]["alpha"], back["alpha"])
    assert all(torch.equal(value, back["supernet"][name]) for name, value in first["supernet"].items())
    assert torch.equal(first["rng"], back["rng"])


def test_lanczos_finds_the_largest_eigenvalue_of_a_quadratic():
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(12, 12))
    matrix = matrix + matrix.T
    largest = np.linalg.eigvalsh(matrix)[-1]
    found = Lanczos(12, eps=1e-12).largest(lambda v: matrix @ v, 12, np.random.default_rng(1))
    assert found == pytest.approx(largest, rel=1e-8)
    fewer = Lanczos(8).largest(lambda v: matrix @ v, 12, np.random.default_rng(1))
    assert 0.9 * largest < fewer <= largest + 1e-9


def test_lanczos_ends_where_the_eigenvalue_is_known_well_enough():
    matrix, products = np.diag([5.0, 1.0, *[0.9] * 18]), []
    found = Lanczos(20).largest(lambda v: products.append(v) or matrix @ v, 20, np.random.default_rng(1))
    assert found == pytest.approx(5.0, rel=1e-2)
    assert len(products) < 6


@pytest.mark.parametrize("space", ["nasbench201", pytest.param("darts", marks=pytest.mark.slow)])
def test_the_curvature_is_the_largest_eigenvalue_of_the_hessian_in_double_precision(space):
    # differences of gradients came to 5 to 20 times the product here: they step across kinks of ReLU and pools
    metered = lab() if space == "nasbench201" else cell_lab(darts(4, 3))
    search = replace(darts_es(epochs=1, batch_size=16), stop=ToTheEnd()).start(metered.scenario)
    search.advance(metered)
    game, batch = search._session.trained, search._last_valid
    search._settings = replace(search._settings, curvature=Lanczos(40, eps=1e-3))
    spent = metered.spent.train_samples
    found = search._curvature(game)
    products = ((metered.spent.train_samples - spent) / len(batch) - 1) / 2
    assert products == int(products) <= 40

    supernet = copy.deepcopy(game.supernet).double()
    alpha = game.alpha.detach().double().requires_grad_()
    logits = supernet(batch.inputs.double(), Mixed(alpha.softmax(-1).unbind(0), None))
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, batch.targets), alpha, create_graph=True)
    rows = [torch.autograd.grad(part, alpha, retain_graph=True)[0].ravel() for part in gradient.ravel()]
    assert found == pytest.approx(float(torch.linalg.eigvalsh(torch.stack(rows))[-1]), rel=0.01)


def report(weights, chosen=None, epoch=0, curvature=None):
    chosen = TopEdges(2).choose(weights, DARTS_LIKE) if chosen is None else chosen
    return Report(epoch, 50, weights, chosen, DARTS_LIKE, curvature)


@pytest.mark.parametrize(("normal", "stops"), [("three", True), ("two", True), ("one", False), ("reduce only", False)])
def test_the_skip_rule_counts_the_derived_normal_cell_only(normal, stops):
    chosen = np.zeros((28, 8), dtype=bool)
    rows = {"three": [0, 2, 5], "two": [0, 2], "one": [0], "reduce only": [14, 16, 20]}[normal]
    chosen[rows, 3] = True
    assert SkipCount(2).after_epoch(report(np.zeros((28, 8)), chosen), None)[0].stop is stops


def test_the_rank_rule_stops_after_ten_epochs_of_the_same_ranking():
    generator = np.random.default_rng(0)
    moving, still = generator.random((28, 8)), generator.random((28, 8))
    rule = RankStability(10)
    memory, stopped = rule.fresh(), []
    for epoch in range(20):
        weights = moving if epoch < 3 else still + 0.0 * epoch
        weights = weights.copy()
        weights[:, :4] = generator.random((28, 4))  # operations without weights do not count
        verdict, memory = rule.after_epoch(report(weights, epoch=epoch), memory)
        stopped.append(verdict.stop)
    assert stopped.index(True) == 13  # epoch 3 began the ranking, 4 to 13 kept it


def test_ada_returns_with_ten_times_the_decay_at_most_twice():
    rule = EigenvalueRestart()
    memory, epoch, returns = rule.fresh(), 0, []
    for _ in range(200):
        value = 1.0 if epoch < 20 else 10.0
        verdict, memory = rule.after_epoch(report(np.zeros((28, 8)), epoch=epoch, curvature=lambda v=value: v), memory)
        assert not verdict.stop
        if verdict.epoch is not None:
            returns.append((epoch, verdict.epoch, verdict.decay))
            epoch = verdict.epoch
        epoch += 1
        if epoch == 50:
            break
    assert returns == [(22, 10, 10.0)] * 2
    assert epoch == 50


def test_the_topology_of_nasbench201_keeps_every_edge():
    assert [len(rows) for rows in SPACE.topology.nodes()] == [1, 2, 3]
    assert SPACE.topology.keeps is None


def test_a_rule_says_before_it_acts_whether_it_can():
    assert Eigenvalue().earliest == 23
    first = next(n for n in range(1, 99) if Eigenvalue().answer(tuple(2.0**i for i in range(n))) is not None)
    assert (first - 1) * Eigenvalue().every + 1 == Eigenvalue().earliest
    assert reach(Eigenvalue(), 12) == "cannot act: not before epoch 23, and the search has 12"
    assert reach(RankStability(3), 12) == "can act from epoch 4 of 12"
    assert reach(ToTheEnd(), 12) == "none"
