"""Hypergradients against closed forms, and compositions against each other."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tiny_lab import SHAPE, SPACE, lab, scenario
from torch import nn

from searchbench.errors import StudyError
from searchbench.harness.running.loop import drive
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import Mixed, initialise
from searchbench.spaces.operations import ConvBank
from searchbench.spaces.topology import Edge, Form, Topology
from searchbench.strategies.differentiable import (
    Admm,
    AuxiliarySkip,
    BinaryGate,
    ClippedLinear,
    Differentiable,
    Eigenvalue,
    ExpectedCost,
    FirstOrder,
    GumbelHard,
    Joint,
    JointGradient,
    Milestones,
    PartialChannels,
    Proximity,
    ScoreFunction,
    Sigmoid,
    Softmax,
    SpaceRule,
    Threshold,
    TopEdges,
    Unrolled,
)
from searchbench.strategies.differentiable.engine import squared_norm
from searchbench.strategies.differentiable.game import Game
from searchbench.strategies.differentiable.papers import darts, fair_darts, pc_darts
from searchbench.strategies.differentiable.papers_prime import darts_cs, darts_prime
from searchbench.strategies.differentiable.papers_robust import darts_es, darts_second_order
from searchbench.strategies.differentiable.papers_sampled import gdas, nasp, proxyless, proxyless_reinforce
from searchbench.strategies.differentiable.turn import Turn

# -- hypergradients of closed forms ------------------------------------------------------------

A = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
C = torch.tensor([0.0, 2.0], dtype=torch.float64)


class Named(str):
    """A minibatch of which only its split matters."""

    rate = 1.0


TRAIN, VALID = Named("train"), Named("valid")


class Identity:
    """A relaxation whose weights are the logits."""

    smooth = True
    probabilities = with_none = samples = False

    def weights(self, alpha, turn):
        return alpha

    def mixture(self, alpha, turn):
        return Mixed(alpha.unbind(0))

    def settle(self, alpha, before, mixture, turn):
        pass


class ClosedForm:
    """A lab whose losses are formulas of w and alpha."""

    def __init__(self, w, train_power):
        self.w, self.power, self.passes, self.seen = w, train_power, [], []

    def gradients(self, supernet, batch, active, loss=None):
        (alpha,) = active.weights
        self.passes.append(batch)
        self.seen.append(self.w.detach().clone())
        if batch == "valid":
            value = 0.5 * (self.w - C.to(self.w)).square().sum()
        else:
            value = ((self.w - A.to(self.w) @ alpha) ** self.power).sum() / self.power
        value.backward()
        return float(value.detach())


def closed_form(power=2, momentum=0.0, dtype=torch.float64):
    w = nn.Parameter(torch.tensor([1.0, -1.0], dtype=dtype))
    alpha = torch.tensor([[0.5, -0.25]], dtype=dtype, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1, momentum=momentum)
    return Game(
        lab=ClosedForm(w, power),
        supernet=None,
        topology=Topology((Edge("cell", 1, 0),), ("a", "b")),
        relax=Identity(),
        alpha=alpha,
        mask=torch.ones(1, 2, dtype=torch.bool),
        weights=[w],
        weight_optimizer=optimizer,
        alpha_optimizer=torch.optim.Adam([alpha]),
        rng=torch.Generator(),
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-3)])
def test_second_order_of_a_quadratic_is_exact(dtype, tolerance):
    game = closed_form(dtype=dtype)
    Unrolled().fill(game, TRAIN, VALID)
    assert game.alpha.grad[0].tolist() == pytest.approx([-0.765, -0.96], abs=tolerance)
    assert game.lab.passes == ["train", "valid", "train", "train"]
    virtual, plus = game.lab.seen[1], game.lab.seen[2]
    assert virtual.tolist() == pytest.approx([0.9, -0.85], abs=1e-6)
    v = torch.tensor([0.9, -2.85], dtype=dtype)
    eps = ((plus - torch.tensor([1.0, -1.0], dtype=dtype)) / v).tolist()
    assert eps == pytest.approx([0.00334590] * 2, abs=5e-9 if dtype == torch.float64 else 1e-6)


def test_second_order_of_a_quartic_is_nearly_exact():
    game = closed_form(power=4)
    Unrolled().fill(game, TRAIN, VALID)
    exact = torch.tensor([-5.1215625, -6.64875], dtype=torch.float64)
    assert float((game.alpha.grad[0] - exact).norm() / exact.norm()) == pytest.approx(1.4e-5, abs=0.05e-5)


def test_the_virtual_step_includes_momentum_and_decay():
    game = closed_form(momentum=0.9)
    w = game.weights[0]
    game.weight_optimizer.state[w]["momentum_buffer"] = torch.tensor([2.0, -4.0], dtype=torch.float64)
    game.weight_optimizer.param_groups[0]["weight_decay"] = 0.5
    Unrolled().fill(game, TRAIN, VALID)
    # w - 0.1 (0.9 m + (w - A alpha) + 0.5 w), A alpha = (0, 0.5)
    expected = [1 - 0.1 * (1.8 + 1.0 + 0.5), -1 - 0.1 * (-3.6 - 1.5 - 0.5)]
    assert game.lab.seen[1].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("xi", "virtual"), [(None, [0.8, -0.7]), (0.1, [0.9, -0.85])])
def test_the_virtual_rate_follows_a_minibatch_unless_it_is_given(xi, virtual):
    game, long = closed_form(), Named("train")
    long.rate = 2.0
    Unrolled(xi).fill(game, long, VALID)
    assert game.lab.seen[1].tolist() == pytest.approx(virtual)


def test_a_clipped_second_order_is_scaled_down_as_the_training_gradient_is():
    game = closed_form()
    Unrolled(clip=0.9).fill(game, TRAIN, VALID)
    w, slope = torch.tensor([1.0, -1.0], dtype=torch.float64), torch.tensor([1.0, -1.5], dtype=torch.float64)
    factor = 0.9 / slope.norm()
    v = w - 0.1 * factor * slope - C
    v = v * 0.9 / v.norm()
    assert game.alpha.grad[0].tolist() == pytest.approx((0.1 * factor * A.T @ v).tolist(), rel=1e-5)


def test_the_weights_end_to_the_bit_as_they_began():
    game = closed_form()
    before = game.weights[0].detach().clone()
    Unrolled().fill(game, TRAIN, VALID)
    assert torch.equal(game.weights[0], before)
    assert game.weights[0].grad is None


def test_a_virtual_step_of_length_zero_is_first_order():
    searches = []
    for step in (Unrolled(0.0), FirstOrder()):
        metered = lab()
        search = replace(darts(epochs=2, batch_size=16), hypergradient=step).start(metered.scenario)
        drive(search, metered)
        searches.append(search._session.trained.alpha)
    assert torch.equal(*searches)


def test_second_order_of_a_supernet_agrees_with_the_exact_gradient():
    """By double backward through the virtual step, on a real supernet."""
    metered = lab()
    search = replace(darts_second_order(epochs=2, batch_size=16), weights=darts(2, 16).weights).start(metered.scenario)
    game = search._begin(metered)
    train, valid = next(metered.batches("train", 16)), next(metered.batches("valid", 16))
    xi = 0.01
    before = [w.detach().clone() for w in game.weights]
    Unrolled(xi).fill(game, train, valid)
    assert all(torch.equal(a, b) for a, b in zip(before, game.weights, strict=True))
    names = [name for name, _ in game.supernet.named_parameters()]
    alpha = game.alpha.detach().clone().requires_grad_()

    def loss(weights, batch):
        mixture = Mixed(alpha.softmax(-1).unbind(0))
        named = dict(zip(names, weights, strict=True))
        logits = torch.func.functional_call(game.supernet, named, (batch.inputs, mixture))
        return nn.functional.cross_entropy(logits, batch.targets)

    weights = [w.detach().clone().requires_grad_() for w in before]
    inner = torch.autograd.grad(loss(weights, train), weights, create_graph=True, allow_unused=True)
    decay = game.weight_optimizer.param_groups[0]["weight_decay"]
    moved = [w - xi * ((0.0 if g is None else g) + decay * w) for w, g in zip(weights, inner, strict=True)]
    (exact,) = torch.autograd.grad(loss(moved, valid), alpha)
    assert torch.allclose(game.alpha.grad, exact, atol=2e-4, rtol=2e-2)


def test_the_score_function_follows_the_reward_of_sampled_paths():
    metered = lab()
    strategy = proxyless_reinforce(epochs=2, batch_size=16, paths=8)
    game = strategy.start(metered.scenario)._begin(metered)
    valid = next(metered.batches("valid", 16))
    rng = game.rng.get_state()
    spent = metered.spent
    ScoreFunction(8).fill(game, None, valid)
    assert metered.spent.inference_samples - spent.inference_samples == 8 * len(valid)
    game.rng.set_state(rng)
    p, expected, rewards, paths = game.alpha.detach().softmax(-1), torch.zeros(6, 5), [], []
    for _ in range(8):
        path = tuple(op for (op,) in game.mixture("w").active)
        with torch.no_grad():
            logits = game.supernet(valid.inputs, path)
        paths.append(path)
        rewards.append(float((logits.argmax(1) == valid.targets).double().mean()))
    baseline = sum(rewards) / 8
    for reward, path in zip(rewards, paths, strict=True):
        expected -= (reward - baseline) * (nn.functional.one_hot(torch.tensor(path), 5) - p) / 8
    assert game.baseline == pytest.approx(baseline)
    assert torch.allclose(game.alpha.grad, expected, atol=1e-6)
    game.baseline = 10.0  # beyond the first step the newest mean weighs `momentum`, and what it moves to is subtracted
    for momentum in (0.9, 0.25):
        game.rng.set_state(rng)
        game.alpha.grad, before = None, game.baseline
        ScoreFunction(8, momentum=momentum).fill(game, None, valid)
        assert game.baseline == pytest.approx(momentum * baseline + (1 - momentum) * before)
        follows = torch.zeros(6, 5)
        for reward, path in zip(rewards, paths, strict=True):
            follows -= (reward - game.baseline) * (nn.functional.one_hot(torch.tensor(path), 5) - p) / 8
        assert torch.allclose(game.alpha.grad, follows, atol=1e-5)
    assert ScoreFunction(target=100.0).reward(0.5, 100.0) == 0.5
    assert ScoreFunction(target=100.0).reward(0.5, 200.0) == pytest.approx(0.5 * 0.5**0.1)


def test_a_reward_by_latency_asks_for_the_latency_of_the_path_that_was_drawn():
    drawn = iter([((0,),), ((1,),)])
    game = SimpleNamespace(
        activated=lambda: torch.tensor([[0.5, 0.5]]),
        mixture=lambda phase: SimpleNamespace(active=next(drawn)),
        lab=SimpleNamespace(infer=lambda supernet, batch, path: torch.tensor([[0.0, 1.0], [1.0, 0.0]])),
        supernet=SimpleNamespace(macs=lambda path: 1e9),
        latency={(0,): 2.0, (1,): 8.0}.__getitem__,
        noted={"alpha": SimpleNamespace(count=lambda logits, targets: None)},
        alpha=torch.zeros(1, 2, requires_grad=True),
        baseline=None,
    )
    valid = SimpleNamespace(targets=torch.tensor([1, 1]))
    ScoreFunction(2, target=2.0, power=0.5, of="latency_ms").fill(game, None, valid)
    rewards = [0.5, 0.25]
    assert game.baseline == pytest.approx(sum(rewards) / 2)
    assert torch.allclose(game.alpha.grad, torch.tensor([[-0.0625, 0.0625]]))


def test_the_norm_that_a_schedule_is_told_is_that_of_all_gradients_together():
    weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(3))]
    weights[0].grad, weights[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    assert squared_norm(weights) == pytest.approx(169.0)


# -- compositions that must be the same ------------------------------------------------------------


def alphas_after(strategy, epochs=2):
    metered = lab()
    search = strategy.start(metered.scenario)
    for _ in range(epochs):
        search.advance(metered)
    return search._session.trained.alpha.detach(), [w.detach() for w in search._session.trained.weights]


@pytest.mark.parametrize(
    "part",
    [
        {"regularise": (Proximity(0.0),)},
        {"extras": (AuxiliarySkip(0.0),)},
        {"prune": Milestones(warmup=0.99)},
    ],
    ids=["PR of rho 0", "auxiliary skip of beta 0", "full masks"],
)
def test_a_part_that_does_nothing_reproduces_darts_to_the_bit(part):
    host = darts(epochs=3, batch_size=16)
    told = scenario()  # the policy's seeds are the strategy's own: start both from the host's description
    one, two = (alphas_after(_same_start(strategy, told)) for strategy in (host, replace(host, **part)))
    assert torch.equal(one[0], two[0])
    assert all(torch.equal(a, b) for a, b in zip(one[1], two[1], strict=True))


def _same_start(strategy, told):
    return SimpleNamespace(start=lambda _: strategy.start(told))


def test_partial_channels_of_one_with_equal_edges_are_darts_up_to_the_in_degree():
    alpha = torch.randn((6, 5), generator=torch.Generator().manual_seed(0))
    mixture = Softmax().mixture(alpha, Turn())
    dressed = PartialChannels(1).dress(mixture, torch.zeros(6), SPACE.topology)
    inputs = [1, 2, 2, 3, 3, 3]
    for plain, weighed, degree in zip(mixture.weights, dressed.weights, inputs, strict=True):
        assert torch.allclose(weighed * degree, plain)


def nets(form):
    space = nasbench201(channels=4, cells=1, stages=2)
    built = [space.builder().supernet((1, 6, 6), 3, *f) for f in ((), (form,))]
    return [initialise(net, 3) for net in built]


@pytest.mark.parametrize("active", [None, ((1, 3), (2,), (0, 1, 4), (3,), (1, 2, 3), (4,))])
def test_a_formed_supernet_without_effect_computes_what_the_plain_one_does(active):
    plain, formed = nets(Form(skip_dropout=True))
    formed.load_state_dict(plain.state_dict())
    mixture = Softmax().mixture(torch.randn((6, 5), generator=torch.Generator().manual_seed(1)), Turn())
    mixture = replace(mixture, active=active)
    inputs = torch.randn((5, 1, 6, 6), generator=torch.Generator().manual_seed(2))
    assert torch.allclose(plain(inputs, mixture), formed(inputs, mixture), atol=1e-5)


def test_an_auxiliary_skip_is_more_weight_on_the_skip():
    plain, formed = nets(Form(auxiliary_skip=True))
    weights = torch.full((6, 5), 0.2)
    more = weights.clone()
    more[:, 1] += 0.7
    inputs = torch.randn((5, 1, 6, 6), generator=torch.Generator().manual_seed(2))
    auxiliary = formed(inputs, Mixed(weights.unbind(0), auxiliary=0.7))
    assert torch.allclose(auxiliary, plain(inputs, Mixed(more.unbind(0))), atol=1e-6)
    assert not torch.allclose(auxiliary, plain(inputs, Mixed(weights.unbind(0))), atol=1e-3)


def test_partial_channels_execute_a_fraction_and_pass_the_rest_on():
    plain, formed = nets(Form(partial=4))
    count = lambda net: sum(p.numel() for cell in net.cells for p in cell.parameters())  # noqa: E731
    assert 10 * count(formed) < count(plain)
    everything = Mixed(torch.full((6, 5), 0.2).unbind(0), edges=torch.full((6,), 0.5))
    assert formed.macs(everything) < plain.macs(everything)
    inputs = torch.randn((5, 1, 6, 6), generator=torch.Generator().manual_seed(2))
    nothing = Mixed(torch.zeros(6, 5).unbind(0), edges=torch.zeros(6))
    assert formed(inputs, everything).isfinite().all()
    assert not torch.allclose(formed(inputs, nothing), formed(inputs, everything))


def test_node_norm_leaves_every_channel_with_mean_zero_and_variance_one():
    _, formed = nets(Form(node_norm=True))
    outputs = []
    for norm in formed.cells[0].norms:
        norm.register_forward_hook(lambda _, __, output: outputs.append(output))
    formed(torch.randn((32, 1, 6, 6), generator=torch.Generator().manual_seed(2)), Mixed(torch.ones(6, 5).unbind(0)))
    assert len(outputs) == 3
    for output in outputs:
        assert torch.allclose(output.mean((0, 2, 3)), torch.zeros(4), atol=1e-5)
        assert torch.allclose(output.var((0, 2, 3), correction=0), torch.ones(4), atol=1e-3)


def test_dropped_skips_come_from_the_given_generator_alone():
    _, formed = nets(Form(skip_dropout=True))
    inputs = torch.randn((5, 1, 6, 6), generator=torch.Generator().manual_seed(2))
    before = torch.get_rng_state()
    outputs = [
        formed(inputs, Mixed(torch.ones(6, 5).unbind(0), dropout=0.5, noise=torch.Generator().manual_seed(seed)))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


# -- what is executed ------------------------------------------------------------


def executed(strategy, phase):
    """Convolutions executed in one step, and the mixture's operations per edge."""
    metered = lab()
    game = strategy.start(metered.scenario)._begin(metered)
    chosen = []
    for bank in (m for m in game.supernet.modules() if isinstance(m, ConvBank)):
        bank.register_forward_pre_hook(lambda _, args: chosen.extend(args[1]))
    mixture = game.mixture(phase)
    inputs = torch.zeros((2, *SHAPE))
    game.supernet(inputs, mixture)
    active = mixture.active or ((0, 1, 2, 3, 4),) * 6
    return len(chosen), [len(ops) for ops in active]


@pytest.mark.parametrize(
    ("strategy", "phase", "per_edge"),
    [
        (darts(2, 16), "w", 5),
        (fair_darts(2, 16), "w", 4),
        (gdas(2, 16), "w", 1),
        (gdas(2, 16), "alpha", 1),
        (nasp(2, 16), "w", 1),
        (nasp(2, 16), "alpha", 5),
        (proxyless(2, 16), "w", 1),
        (proxyless(2, 16), "alpha", 2),
        (proxyless(2, 16, mode="full"), "alpha", 5),
        (darts_cs(2, 16, clipped=True), "w", 4),
    ],
    ids=lambda v: v if isinstance(v, str | int) else type(v.relax).__name__,
)
def test_each_relaxation_executes_as_many_operations_as_it_says(strategy, phase, per_edge):
    convolutions, sizes = executed(strategy, phase)
    assert sizes == [per_edge] * 6
    if per_edge >= 4:
        assert convolutions == 12
    else:
        assert convolutions <= 6 * per_edge


def test_two_paths_send_gradient_through_the_active_one_only():
    metered = lab()
    game = proxyless(2, 16).start(metered.scenario)._begin(metered)
    mixture = Mixed(torch.tensor([[0.0, 0, 1, 0, 0]] * 6).requires_grad_().unbind(0), ((2, 3),) * 6)
    game.supernet(torch.randn((4, *SHAPE), generator=torch.Generator().manual_seed(0)), mixture).sum().backward()
    grads = {name: p.grad for name, p in game.supernet.named_parameters() if "cells" in name and "weight" in name}
    assert all(grad is None or not grad.any() for name, grad in grads.items() if "conv3" in name)
    assert any(grad is not None and grad.any() for name, grad in grads.items() if "conv1" in name)


def test_a_path_that_carries_nothing_gives_the_architecture_no_gradient():
    metered = lab()
    game = gdas(2, 16).start(metered.scenario)._begin(metered)
    with torch.no_grad():
        game.alpha[:, 0] = 50.0
    FirstOrder().fill(game, None, next(metered.batches("valid", 16)))
    assert not game.alpha.grad.any()


# -- what goes together ------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        ({"relax": ClippedLinear()}, "`weight_decay` of the alphas must be 0"),
        ({"relax": BinaryGate(), "hypergradient": Unrolled()}, "virtual step"),
        ({"relax": GumbelHard(), "stop": Eigenvalue()}, "second derivatives"),
        ({"schedule": Joint()}, "JointGradient"),
        ({"hypergradient": JointGradient()}, "JointGradient"),
        ({"hypergradient": ScoreFunction()}, "draws paths"),
        ({"relax": Sigmoid(), "regularise": (ExpectedCost(),)}, "probabilities"),
        ({"discretise": Threshold(), "regularise": (Proximity(),)}, "fixed cardinalities"),
        ({"discretise": Threshold(), "regularise": (Admm(),)}, "fixed cardinalities"),
        ({"prune": Milestones(), "extras": (AuxiliarySkip(),)}, "unpruned"),
        ({"relax": BinaryGate(), "hypergradient": ScoreFunction(), "regularise": (ExpectedCost(),)}, "no loss"),
    ],
)
def test_parts_that_do_not_go_together_are_refused_by_name_of_the_rule(parts, rule):
    with pytest.raises(StudyError, match=rule):
        Differentiable(**parts)


def test_partial_channels_are_refused_where_channels_are_not_divisible():
    assert "divisible by 4" in pc_darts(2).unsupported(scenario())
    assert pc_darts(2, divisor=3).unsupported(scenario()) is None


def test_stages_that_drop_nothing_are_refused():
    from searchbench.strategies.differentiable.papers import p_darts

    assert "must drop some of the 5" in p_darts(2).unsupported(scenario())


# -- whole searches of the stopping and pruning kinds ------------------------------------------------------------


def test_a_stop_by_curvature_hands_over_an_earlier_epochs_architecture():
    metered = lab()
    strategy = darts_es(epochs=40, batch_size=16, factor=0.1, begin=2)  # 0.1: the first mean that can be compared
    search = strategy.start(metered.scenario)
    handed = []
    metered.recommend = lambda architecture, value=0.0: handed.append(architecture)
    drive(search, metered)
    assert search._session.epoch == 15  # in epoch 14 the mean of epochs 0 to 6 can be compared: (14 - 4) - 8 = 2
    assert len(search._progress.paths) == 3
    assert str(handed[-1]) == str(handed[2])


def test_clipped_search_prunes_for_good_and_never_derives_none():
    metered = lab()
    host = darts_prime(epochs=30, batch_size=16, clipped=True)
    search = replace(host, alphas=replace(host.alphas, lr=0.1)).start(metered.scenario)
    drive(search, metered)
    game = search._session.trained
    assert not game.mask[:, 0].any()
    assert game.mask.sum() < 24
    assert (game.alpha[~game.mask] == 0).all()
    assert "none" not in metered.final.architecture.values


def test_joint_steps_use_one_pass_of_the_training_split_for_both():
    from searchbench.strategies.differentiable.papers_sampled import snas

    metered = lab()
    search = snas(epochs=1, batch_size=16).start(metered.scenario)
    before = search._begin(metered).alpha.detach().clone()
    weights = [w.detach().clone() for w in search._session.trained.weights]
    search.advance(metered)
    assert metered.spent.train_samples == 40
    assert not torch.equal(before, search._session.trained.alpha)
    assert any(not torch.equal(a, b) for a, b in zip(weights, search._session.trained.weights, strict=True))


def test_top_edges_on_nasbench201_put_none_where_an_edge_is_dropped():
    metered = lab()
    strategy = replace(darts(epochs=1, batch_size=16), discretise=TopEdges(2))
    assert strategy.unsupported(metered.scenario) is None
    drive(strategy.start(metered.scenario), metered)
    assert list(metered.final.architecture.values[3:]).count("none") == 1
    assert SpaceRule().unsupported(SPACE) is None
