"""Relaxations of differentiable search as mathematics: every number was worked out independently of this code."""

from __future__ import annotations

import pytest
import torch
from small_cells import SMALL, WEIGHTS, gradient, rng

from searchbench.errors import StudyError
from searchbench.strategies.differentiable import (
    BinaryGate,
    ClippedLinear,
    Concrete,
    CoolingConcrete,
    GumbelHard,
    Proximal,
    Sigmoid,
    Softmax,
)
from searchbench.strategies.differentiable.turn import Turn


def test_sigmoid_and_clipped_linear_weigh_each_operation_alone():
    alpha = torch.tensor([[-1.0, 0.0, 0.25, 3.0]])
    assert torch.allclose(Sigmoid().weights(alpha, Turn()), alpha.sigmoid())
    assert ClippedLinear().weights(alpha, Turn()).tolist() == [[0.0, 0.0, 0.25, 1.0]]
    grad, _ = gradient(ClippedLinear(), alpha, Turn(), torch.ones(1, 4))
    assert grad[0, 3] == 0  # above 1 nothing pulls it back


@pytest.mark.parametrize("relax", [Softmax(), Sigmoid(), ClippedLinear(), Concrete(), GumbelHard(), BinaryGate("full")])
def test_pruned_operations_weigh_nothing_and_are_not_executed(relax):
    mask = torch.tensor([[True, False, True]])
    turn = Turn(rng=rng(), mask=mask)
    alpha = torch.tensor([[0.1, 5.0, 0.3]])
    assert relax.weights(alpha, turn)[0, 1] == 0
    for _ in range(20):
        mixture = relax.mixture(alpha, turn)
        assert mixture.weights[0][1] == 0
        assert 1 not in mixture.active[0]


def test_a_whole_mask_changes_no_bit():
    alpha = torch.randn((4, 5), generator=rng())
    assert torch.equal(Softmax().weights(alpha, Turn(mask=torch.ones(4, 5, dtype=torch.bool))), alpha.softmax(-1))


def test_gumbel_argmax_draws_each_operation_as_often_as_softmax_says_at_any_temperature():
    alpha = torch.tensor([[0.0, 0.5, -0.5]]).repeat(4000, 1)
    for tau in (10.0, 0.1):
        weights = torch.stack(list(GumbelHard(tau, tau).mixture(alpha, Turn(rng=rng(3))).weights))
        share = weights.mean(0)
        assert torch.allclose(share, torch.tensor([0.30719589, 0.50648039, 0.18632372]), atol=0.025)  # 3 sigma
        assert set(weights.flatten().tolist()) == {0.0, 1.0}  # one-hot to the bit


def test_gumbel_hard_has_the_jacobian_of_the_soft_sample():
    alpha, c = torch.tensor([[0.3, -0.2, 0.1]]), torch.tensor([[1.0, 2.0, 4.0]])
    grad, mixture = gradient(GumbelHard(2.0, 2.0), alpha, Turn(rng=rng(5)), c)
    assert len(mixture.active[0]) == 1
    uniform = torch.rand((1, 3), generator=rng(5), dtype=torch.float64)
    p = ((alpha.double().log_softmax(-1) - (-uniform.log()).log()) / 2.0).softmax(-1)
    expected = p * (c - (p * c).sum()) / 2.0
    assert torch.allclose(grad.double(), expected, atol=1e-6)


def test_temperatures_fall_as_published():
    gdas = GumbelHard()
    assert [gdas.tau(e, 250) for e in (0, 1, 124, 249)] == pytest.approx([10, 9.96024096, 5.06987952, 0.1], abs=1e-8)
    assert Concrete().tau(75, 150) == pytest.approx(0.515)
    assert Concrete().tau(0, 150) == 1.0
    assert [CoolingConcrete().tau(e, 90) for e in (0, 45)] == pytest.approx([5.0, 5 * 0.956**45])
    with pytest.raises(StudyError, match="positive"):
        GumbelHard(last=0.0)


def test_concrete_samples_lie_on_the_simplex_and_sharpen_as_the_temperature_falls():
    alpha = torch.randn((200, 5), generator=rng())
    entropies = []
    for tau in (1.0, 0.3, 0.03):
        z = torch.stack(list(Concrete(tau, tau).mixture(alpha, Turn(rng=rng(1))).weights))
        assert torch.allclose(z.sum(-1), torch.ones(200), atol=1e-5)
        entropies.append(float(-(z * z.clamp_min(1e-30).log()).sum(-1).mean()))
    assert entropies[0] > entropies[1] > entropies[2]


def test_a_full_binary_gate_has_the_gradient_of_the_expectation():
    alpha, c = torch.tensor([[0.0, 0.5, -0.5]], dtype=torch.float64), torch.tensor([[1.0, 2.0, 3.0]])
    leaf = alpha.clone().requires_grad_()
    assert leaf.softmax(-1)[0].tolist() == pytest.approx([0.30719589, 0.50648039, 0.18632372], abs=1e-8)
    (expectation,) = torch.autograd.grad((leaf.softmax(-1) * c).sum(), leaf)
    for seed in range(5):  # whichever is drawn
        grad, mixture = gradient(BinaryGate("full"), alpha, Turn("alpha", rng(seed)), c)
        assert grad[0].tolist() == pytest.approx([-0.27006445, 0.06121938, 0.20884507], abs=1e-8)
        assert float(grad.sum()) == pytest.approx(0.0, abs=1e-12)
        assert torch.allclose(grad, expectation)
        assert sorted(mixture.weights[0].tolist()) == [0.0, 0.0, 1.0]
        assert mixture.active is None
    assert len(BinaryGate("full").mixture(alpha, Turn("w", rng())).active[0]) == 1


def test_a_binary_gate_over_two_paths_moves_their_logits_and_no_other_probability():
    gate, alpha = BinaryGate("two"), torch.tensor([[0.0, 0.5, -0.5]], dtype=torch.float64)
    for seed in range(100):
        grad, mixture = gradient(gate, alpha, Turn("alpha", rng(seed)), torch.tensor([[7.0, 2.0, 3.0]]))
        if mixture.active == ((1, 2),):
            break
    assert grad[0].tolist() == pytest.approx([0.0, -0.19661193, 0.19661193], abs=1e-8)
    assert sorted(mixture.weights[0].tolist()) == [0.0, 0.0, 1.0]
    stepped = alpha - 0.1 * grad
    assert stepped[0, 1:].tolist() == pytest.approx([0.51966119, -0.51966119], abs=1e-8)
    stepped[0, 0] = 0.3  # an optimiser's momentum moved it: it must go back
    gate.settle(stepped, alpha, mixture, Turn("alpha"))
    assert stepped[0].tolist() == pytest.approx([0.0, 0.51042434, -0.52889805], abs=1e-8)
    assert 0.51966119 - float(stepped[0, 1]) == pytest.approx(0.00923686, abs=2e-8)
    assert float(stepped.softmax(-1)[0, 0]) == pytest.approx(0.3071958867, abs=1e-9)
    assert float(stepped.softmax(-1)[0, 0]) == pytest.approx(float(alpha.softmax(-1)[0, 0]), abs=1e-12)


def test_two_paths_are_never_the_same_and_only_two():
    alpha = torch.randn((50, 5), generator=rng())
    mixture = BinaryGate("two").mixture(alpha, Turn("alpha", rng(2)))
    assert all(len(set(pair)) == 2 for pair in mixture.active)


def test_of_edges_with_equal_logits_prox_keeps_those_from_the_lower_sources():
    z = Proximal().prox(torch.full((5, 3), 0.5), Turn("w", topology=SMALL))
    assert z.any(1).tolist() == [True, True, True, True, False]


def test_two_paths_are_drawn_without_replacement_in_proportion_to_their_probabilities():
    p = torch.tensor([0.7, 0.2, 0.1])
    mixture = BinaryGate("two").mixture(p.log().repeat(4000, 1), Turn("alpha", rng(4)))
    pairs = [(0, 1), (0, 2), (1, 2)]
    shares = [sum(active == pair for active in mixture.active) / 4000 for pair in pairs]
    expected = [float(p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j]))) for i, j in pairs]
    assert shares == pytest.approx(expected, abs=0.025)  # 3 sigma


def test_prox_keeps_one_operation_on_the_two_heaviest_edges_of_a_node_as_discretisation_does():
    turn = Turn("w", topology=SMALL)
    z = Proximal().prox(torch.from_numpy(WEIGHTS), turn)
    assert z.sum() == 4
    assert torch.equal(Proximal().prox(z, turn), z)  # idempotent
    assert sum(len(ops) for ops in Proximal().mixture(torch.from_numpy(WEIGHTS), turn).active) == 4
    grad, mixture = gradient(Proximal(), torch.from_numpy(WEIGHTS), Turn("alpha", topology=SMALL), torch.ones(5, 3))
    assert mixture.active is None  # all are executed, for the gradient at the prox
    assert torch.equal(grad, torch.ones(5, 3, dtype=torch.float64))
    alpha = torch.tensor([[-0.2, 0.5, 1.3]])
    Proximal().settle(alpha, alpha, mixture, turn)
    assert alpha.tolist() == [[0.0, 0.5, 1.0]]
