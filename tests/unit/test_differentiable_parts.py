"""The parts of differentiable search as mathematics: every number was worked out independently of this code."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_lab import SPACE

from searchbench.errors import StudyError
from searchbench.spaces.nasbench201_forms import shuffled
from searchbench.spaces.topology import Edge, Topology
from searchbench.strategies.differentiable import (
    Admm,
    BinaryGate,
    CappedTopEdges,
    ClippedLinear,
    Concrete,
    Constant,
    Eigenvalue,
    EigenvalueRestart,
    ExpectedCost,
    FisherInformed,
    GumbelHard,
    Lanczos,
    Milestones,
    Monotone,
    PartialChannels,
    Proximal,
    Proximity,
    RankStability,
    Ratio,
    ScaledByCost,
    Sigmoid,
    SkipCount,
    SkipDropout,
    Softmax,
    Stages,
    Threshold,
    TopEdges,
    WarmUp,
    ZeroOne,
    ZeroOneLinear,
)
from searchbench.strategies.differentiable.discretise import skips_of
from searchbench.strategies.differentiable.extras import AuxiliarySkip
from searchbench.strategies.differentiable.regularise import distances, projection
from searchbench.strategies.differentiable.schedule import Alternate
from searchbench.strategies.differentiable.split import samples
from searchbench.strategies.differentiable.stop import Report
from searchbench.strategies.differentiable.turn import Moment, Turn

SMALL = Topology(  # two nodes, with two and with three inputs
    tuple(Edge("cell", 2, source) for source in (0, 1)) + tuple(Edge("cell", 3, source) for source in (0, 1, 2)),
    ("none", "skip_connect", "conv"),
    keeps=2,
    learnable=("conv",),
)
DARTS_LIKE = Topology(
    tuple(Edge(cell, t, s) for cell in ("normal", "reduce") for t in (2, 3, 4, 5) for s in range(t)),
    ("none", "max", "avg", "skip_connect", "sep3", "sep5", "dil3", "dil5"),
    keeps=2,
    sparse=False,
    learnable=("sep3", "sep5", "dil3", "dil5"),
)
WEIGHTS = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.8, 0.15, 0.05], [0.3, 0.3, 0.4]])


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def gradient(relax, alpha, turn, at):
    """d/d alpha of sum_o weight_o at_o."""
    alpha = alpha.clone().requires_grad_()
    mixture = relax.mixture(alpha, turn)
    (torch.stack(list(mixture.weights)) * at).sum().backward()
    return alpha.grad, mixture


# -- relaxations ------------------------------------------------------------


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
    for seed in range(5):  # whichever is drawn
        grad, mixture = gradient(BinaryGate("full"), alpha, Turn("alpha", rng(seed)), c)
        assert grad[0].tolist() == pytest.approx([-0.27006445, 0.06121938, 0.20884507], abs=1e-8)
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
    assert float(stepped.softmax(-1)[0, 0]) == pytest.approx(0.3071958867, abs=1e-9)
    assert float(stepped.softmax(-1)[0, 0]) == pytest.approx(float(alpha.softmax(-1)[0, 0]), abs=1e-12)


def test_two_paths_are_never_the_same_and_only_two():
    alpha = torch.randn((50, 5), generator=rng())
    mixture = BinaryGate("two").mixture(alpha, Turn("alpha", rng(2)))
    assert all(len(set(pair)) == 2 for pair in mixture.active)


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


# -- schedules ------------------------------------------------------------


def alpha_minibatches(schedule, minibatches, fisher):
    memory, found = schedule.fresh(), []
    for b in range(minibatches):
        phases, memory = schedule.steps(Moment(0, 1, b, minibatches), memory)
        assert phases[-1] == "w"
        if phases[0] == "alpha":
            found.append(b)
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


def test_fimt_moves_the_architecture_more_often_when_the_trace_falls_and_less_when_it_rises():
    falling = alpha_minibatches(FisherInformed(), 3000, lambda b: 5 * math.exp(-b / 300))
    rising = alpha_minibatches(FisherInformed(), 3000, lambda b: 5 * math.exp(b / 300))
    assert (len(falling), len(rising)) == (289, 252)


def test_constant_schedule_moves_the_architecture_before_every_tenth_weight_step():
    found = alpha_minibatches(Constant(10), 711, lambda b: 0.0)
    assert found == list(range(9, 711, 10))
    assert len(found) == Constant(10).alpha_steps(711) == 71


def test_during_warm_up_only_the_weights_move():
    schedule = WarmUp(Alternate(), 15 / 50)
    moves = [schedule.steps(Moment(epoch, 50), None)[0] for epoch in range(50)]
    assert [m == ("w",) for m in moves] == [True] * 15 + [False] * 35


def test_ratio_ten_of_fifty_thousand_samples_gives_45454_and_4546():
    assert [samples(part, 50_000) for part in (Ratio(10).w, Ratio(10).alpha)] == [45_454, 4_546]
    assert [samples(part, 50_000) for part in (Ratio(1).w, Ratio(1).alpha)] == [25_000, 25_000]


# -- discretisers ------------------------------------------------------------


def test_top_edges_keep_the_two_heaviest_of_every_node_with_their_best_operation():
    z = TopEdges(2).choose(WEIGHTS, SMALL)
    assert z.astype(int).tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert np.array_equal(TopEdges(2).choose(z.astype(float), SMALL), z)


def test_top_edges_are_the_euclidean_projection_once_none_is_put_to_zero():
    weights = WEIGHTS.copy()
    weights[:, 0] = 0.0
    z = TopEdges(2).choose(weights, SMALL)
    best = min(
        np.square(weights - candidate).sum()
        for candidate in (np.concatenate(nodes) for nodes in itertools.product(_feasible(2), _feasible(3)))
    )
    assert np.square(weights - z).sum() == pytest.approx(best, abs=1e-15)


def _feasible(edges):
    for kept in itertools.combinations(range(edges), 2):
        for ops in itertools.product((1, 2), repeat=2):
            z = np.zeros((edges, 3))
            z[list(kept), list(ops)] = 1
            yield z


def test_every_derived_cell_has_two_distinct_inputs_per_node_and_never_none():
    generator = np.random.default_rng(0)
    for _ in range(50):
        z = TopEdges(2).choose(generator.dirichlet(np.ones(8), size=28), DARTS_LIKE)
        assert not z[:, DARTS_LIKE.none].any()
        assert z.sum(1).max() == 1
        assert [int(z[rows].any(1).sum()) for rows in DARTS_LIKE.nodes()] == [2] * 8


def test_a_heavier_none_never_changes_an_edges_operation_but_can_drop_the_edge():
    logits = np.zeros((28, 8))
    logits[:, 4] = 0.5
    rows = list(DARTS_LIKE.nodes())[1]
    logits[rows[0], 4] = 0.6
    softmax = lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)  # noqa: E731
    before = TopEdges(2).choose(softmax(logits), DARTS_LIKE)
    assert before[rows[0], 4]
    logits[rows[0], 0] = 3.0
    after = TopEdges(2).choose(softmax(logits), DARTS_LIKE)
    assert not after[rows[0]].any()
    assert softmax(logits)[rows[0], 1:].argmax() == 3


def test_capping_leaves_at_most_two_skips_in_the_normal_cell_and_drops_the_lightest_first():
    weights = np.full((28, 8), 0.1)
    weights[:14, 3] = np.linspace(0.5, 0.9, 14)
    weights[:, 4] = 0.2
    capped = CappedTopEdges(2, 2).choose(weights, DARTS_LIKE)
    assert len(skips_of(TopEdges(2).choose(weights, DARTS_LIKE), DARTS_LIKE)) == 8
    assert skips_of(capped, DARTS_LIKE) == [12, 13]
    assert [int(capped[rows].any(1).sum()) for rows in DARTS_LIKE.nodes()] == [2] * 8
    assert weights[13, 3] == 0.9  # not changed in place


def test_a_threshold_may_leave_two_one_or_no_inputs():
    weights = np.zeros((5, 3))
    weights[0, 1] = weights[2, 2] = weights[3, 2] = 0.9
    weights[4, 1] = 0.8
    z = Threshold(0.85).choose(weights, SMALL)
    assert z.sum() == 3
    assert not z[4].any()
    assert not Threshold(0.95).choose(weights, SMALL).any()


# -- regularisers ------------------------------------------------------------


def stub(activated, topology=SMALL, progress=0.5, **more):
    moment = SimpleNamespace(progress=progress)
    mask = torch.ones(activated.shape, dtype=torch.bool)
    return SimpleNamespace(activated=lambda: activated, topology=topology, moment=moment, mask=mask, **more)


def test_proximity_is_the_distance_to_what_would_be_derived_growing_with_progress():
    a = torch.from_numpy(WEIGHTS).requires_grad_()
    apart = (a - projection(a, TopEdges(2), SMALL)).detach()
    assert float(distances(apart, SMALL, 2)) == pytest.approx(2.585, abs=1e-9)
    assert float(distances(apart, SMALL, 1)) == pytest.approx(1.60779352, abs=1e-8)
    zero = torch.zeros((), dtype=torch.float64)
    for power, value in ((1, 0.04019484), (2, 0.064625)):
        assert float(Proximity(0.1, power).outer(zero, stub(a.detach()), None)) == pytest.approx(value, abs=1e-8)
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
    ZeroOne(1.0).outer(zero, stub(sigma), None).backward()
    assert sigma.grad[0, 0] == 0  # at 1/2 nothing pushes


def costly(alpha, **more):
    return stub(alpha.softmax(-1), costs=torch.tensor([[10.0, 20.0, 30.0]]).double(), fixed_cost=0.0, **more)


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


# -- pruning ------------------------------------------------------------


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


@pytest.mark.parametrize("strategy", ["fix-best", "drop-worst"])
def test_milestones_end_with_one_operation_per_edge_and_never_bring_one_back(strategy):
    generator = torch.Generator().manual_seed(1)
    mask, sizes = torch.ones(6, 5, dtype=torch.bool), []
    for epoch in range(20):
        weights = torch.rand((6, 5), generator=generator)
        smaller = Milestones(strategy, 0.2).after_epoch(weights, mask, epoch, 20)
        assert not (smaller & ~mask).any()
        mask = smaller
        sizes.append(int(mask.sum()))
    assert sizes[:3] == [30, 30, 30]
    assert sizes[-1] == 6
    assert (mask.sum(1) == 1).all()


def test_stages_shrink_every_edge_from_eight_to_five_three_and_one():
    part, mask = Stages((5, 3, 1)), torch.ones(28, 8, dtype=torch.bool)
    generator = torch.Generator().manual_seed(1)
    counts = []
    for epoch in range(75):
        weights = torch.rand((28, 8), generator=generator)
        after = part.after_epoch(weights, mask, epoch, 75)
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


# -- extras and edges ------------------------------------------------------------


def test_the_auxiliary_skip_fades_and_skip_dropout_falls_as_published():
    assert [AuxiliarySkip().beta(e, 50) for e in (0, 1, 49)] == pytest.approx([1, 0.98, 0.02])
    p = SkipDropout(0.4, 10 / 25)
    found = [p.probability(e, 25) for e in (0, 9, 10, 15, 24)]
    assert found == pytest.approx([0.384, 0.24, 0.4, 0.14715, 0.02432], abs=1e-5)


def test_channels_are_shuffled_in_groups():
    value = torch.arange(16.0).view(1, 16, 1, 1)
    expected = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]
    assert shuffled(value, 4).flatten().tolist() == expected


def test_edge_weights_are_a_softmax_over_the_inputs_of_each_node():
    beta = torch.tensor([0.0, 1.0, 2.0, 0.0, -1.0])
    weights = PartialChannels(4).weights(beta, SMALL)
    assert torch.allclose(weights[:2], beta[:2].softmax(0))
    assert torch.allclose(weights[2:], beta[2:].softmax(0))


# -- stopping ------------------------------------------------------------


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


def test_lanczos_finds_the_largest_eigenvalue_of_a_quadratic():
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(12, 12))
    matrix = matrix + matrix.T
    largest = np.linalg.eigvalsh(matrix)[-1]
    found = Lanczos(12).largest(lambda a: matrix @ a, np.zeros(12), np.random.default_rng(1))
    assert found == pytest.approx(largest, rel=1e-8)
    fewer = Lanczos(8).largest(lambda a: matrix @ a, np.zeros(12), np.random.default_rng(1))
    assert 0.9 * largest < fewer <= largest + 1e-9


def report(weights, chosen=None, epoch=0, curvature=None):
    chosen = TopEdges(2).choose(weights, DARTS_LIKE) if chosen is None else chosen
    return Report(epoch, 50, weights, chosen, DARTS_LIKE, curvature)


@pytest.mark.parametrize(("normal", "stops"), [("three", True), ("one", False), ("reduce only", False)])
def test_the_skip_rule_counts_the_derived_normal_cell_only(normal, stops):
    chosen = np.zeros((28, 8), dtype=bool)
    rows = {"three": [0, 2, 5], "one": [0], "reduce only": [14, 16, 20]}[normal]
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
