"""Regularisers of the architecture as mathematics: every number was worked out independently of this code."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from small_cells import DARTS_LIKE, SMALL, WEIGHTS, rng

from searchbench.strategies.differentiable import (
    Admm,
    Complexity,
    ExpectedCost,
    FullEdges,
    Proximity,
    ScaledByCost,
    SpaceRule,
    TopEdges,
    ZeroOne,
    ZeroOneLinear,
)
from searchbench.strategies.differentiable.papers_prime import darts_admm
from searchbench.strategies.differentiable.regularise import distances, projection


def stub(activated, topology=SMALL, progress=0.5, **more):
    moment = SimpleNamespace(progress=progress)
    mask = torch.ones(activated.shape, dtype=torch.bool)
    return SimpleNamespace(
        derive=SpaceRule(),
        activated=lambda: activated,
        topology=topology,
        moment=moment,
        mask=mask,
        sampling=FullEdges(),
        beta=None,
        **more,
    )


def test_proximity_is_the_distance_to_what_would_be_derived_growing_with_progress():
    a = torch.from_numpy(WEIGHTS).requires_grad_()
    apart = (a - projection(a, TopEdges(2), SMALL)).detach()
    assert float(distances(apart, SMALL, 2)) == pytest.approx(2.585, abs=1e-9)
    assert float(distances(apart, SMALL, 1)) == pytest.approx(1.60779352, abs=1e-8)
    zero = torch.zeros((), dtype=torch.float64)
    for power, value in ((1, 0.04019484), (2, 0.064625)):
        assert float(Proximity(0.1, power).outer(zero, stub(a.detach()), None)) == pytest.approx(value, abs=1e-8)
    early = Proximity(0.1, 2).outer(zero, stub(a.detach(), progress=0.25), None)
    assert float(early) == pytest.approx(0.064625 / 2, abs=1e-8)
    assert Proximity(0.0).outer(zero, stub(a), None) is zero
    Proximity(0.1, 2).outer(zero, stub(a), None).backward()
    assert torch.allclose(a.grad, 0.05 * apart)  # lambda(t) rho (a - Pi(a)): the projection is a constant


def test_proximity_adds_one_norm_per_cell_type():
    difference = torch.randn((28, 8), generator=rng(), dtype=torch.float64)
    expected = float(difference[:14].norm() + difference[14:].norm())
    assert float(distances(difference, DARTS_LIKE, 1)) == pytest.approx(expected)


def test_admm_updates_copy_and_dual_every_tenth_step():
    a = torch.from_numpy(WEIGHTS)
    part = Admm(rho=0.2, discount=0.5, every=10)
    memory = part.fresh(stub(a))
    assert torch.equal(memory[0], a)
    assert float(part.outer(torch.zeros(()), stub(a), memory)) == 0.0
    for _ in range(9):
        memory = part.after_alpha_step(stub(a), memory)
    assert torch.equal(memory[0], a)
    memory = part.after_alpha_step(stub(a), memory)
    z = torch.from_numpy(TopEdges(2).choose(WEIGHTS, SMALL)).double()
    assert torch.equal(memory[0], z)
    assert torch.allclose(memory[1], a - z)
    expected = 0.1 * float((a - z + memory[1]).square().sum())
    assert float(part.outer(torch.zeros(()), stub(a), memory)) == pytest.approx(expected, rel=1e-6)
    for _ in range(10):
        memory = part.after_alpha_step(stub(a), memory)
    again = torch.from_numpy(TopEdges(2).choose((a + a - z).numpy(), SMALL)).double()
    assert torch.allclose(memory[1], 0.5 * (a - z) + a - again)


def test_zero_one_losses_of_three_weights():
    sigma = torch.tensor([[0.5, 0.9, 0.1]], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros((), dtype=torch.float64)
    assert float(ZeroOne(1.0).outer(zero, stub(sigma.detach()), None)) == pytest.approx(-0.10666667, abs=1e-8)
    assert float(ZeroOneLinear(1.0).outer(zero, stub(sigma.detach()), None)) == pytest.approx(-0.26666667, abs=1e-8)
    pruned = stub(sigma.detach())
    pruned.mask = torch.tensor([[True, True, False]])
    assert float(ZeroOne(1.0).outer(zero, pruned, None)) == pytest.approx(-0.08)
    assert float(ZeroOneLinear(1.0).outer(zero, pruned, None)) == pytest.approx(-0.2)
    ZeroOne(1.0).outer(zero, stub(sigma), None).backward()
    assert sigma.grad[0, 0] == 0  # at 1/2 nothing pushes
    alone = [torch.tensor([[a]], dtype=torch.float64).sigmoid() for a in (0.0, 0.5, -1.0, 2.0, -4.0, 50.0)]
    losses = [float(ZeroOne(1.0).outer(zero, stub(one), None)) for one in alone]
    assert losses[0] == 0.0
    assert losses == sorted(losses, reverse=True)  # the further from 0 a logit is, the lower
    assert losses[-1] == pytest.approx(-0.25)


def costly(alpha, weights=None, **more):
    return stub(
        alpha.softmax(-1) if weights is None else weights,
        costs=torch.tensor([[10.0, 20.0, 30.0]]).double(),
        fixed_cost=0.0,
        **more,
    )


def test_expected_cost_and_its_gradient():
    alpha = torch.tensor([[0.0, 0.5, -0.5]], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros((), dtype=torch.float64)
    loss = ExpectedCost(1.0, reference=1.0).outer(zero, costly(alpha), None)
    loss.backward()
    assert float(loss.detach()) + 1 == pytest.approx(18.7912783, abs=1e-6)
    assert alpha.grad[0].tolist() == pytest.approx([-2.7006445, 0.6121938, 2.0884507], abs=1e-6)


def test_scaled_cost_multiplies_the_loss():
    alpha = torch.tensor([[0.0, 0.5, -0.5]], dtype=torch.float64)
    loss = ScaledByCost(0.2, 0.3, reference=20.0).outer(torch.tensor(2.0).double(), costly(alpha), None)
    assert float(loss) == pytest.approx(0.4 * (math.log(18.7912783) / math.log(20)) ** 0.3, rel=1e-6)


def test_a_scaled_cost_pulls_the_logits_towards_what_costs_less():
    alpha = torch.tensor([[0.0, 0.5, -0.5]], dtype=torch.float64, requires_grad=True)
    ScaledByCost(0.2, 0.3, reference=20.0).outer(torch.tensor(2.0).double(), costly(alpha), None).backward()
    ratio = math.log(18.7912783) / math.log(20)
    outer = 0.4 * 0.3 * ratio**-0.7 / (18.7912783 * math.log(20))
    assert alpha.grad[0].tolist() == pytest.approx([outer * d for d in (-2.7006445, 0.6121938, 2.0884507)], rel=1e-6)


def test_complexity_weighs_squares_by_the_share_of_all_costs():
    a = torch.tensor([[0.5, 0.9, 0.1]], dtype=torch.float64)
    found = Complexity(0.1).outer(torch.zeros((), dtype=torch.float64), costly(a, weights=a), None)
    assert float(found) == pytest.approx(0.1 * (10 * 0.25 + 20 * 0.81 + 30 * 0.01) / 60)


def test_the_released_admm_takes_the_norm_where_the_paper_squares_it():
    a = torch.from_numpy(WEIGHTS).requires_grad_()
    z, zero = torch.from_numpy(TopEdges(2).choose(WEIGHTS, SMALL)).double(), torch.zeros((), dtype=torch.float64)
    memory = (z, torch.zeros_like(z), 0)
    for power, value in ((2, 0.12925), (1, 0.0803896762)):  # rho/2 of 2.585 and of its root
        part = darts_admm(power=power).regularise[0]
        assert float(part.outer(zero, stub(a.detach()), memory)) == pytest.approx(value, abs=1e-9)
    assert darts_admm().regularise[0].power == 2
