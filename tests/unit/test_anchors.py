"""Skip connections at anchor points: probabilities, gradients, learning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from controller_search import begun, step

from searchbench.spaces.chains.zoph import chain, plans
from searchbench.spaces.enas.macro import enas_macro
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.anchored_controllers import AnchoredController, layers_of
from searchbench.strategies.controlled import Controlled, ControllerSearch, lstm_reinforce
from searchbench.strategies.controllers import Controller

SPACE = chain(layers=4, filters=(24, 36))


def controller(space: Any = SPACE, bound: float = 0.5, seed: int = 1) -> AnchoredController:
    return AnchoredController(space, 8, 2, bound, seed)


def start(settings: Controlled, space: Any = SPACE, seed: int = 0) -> ControllerSearch:
    return begun(settings, space, seed)


def test_layers_are_found_with_their_tokens_and_one_skip_per_earlier_layer() -> None:
    layers = layers_of(chain(layers=3, strides=True))
    names = [d.name for d in chain(layers=3, strides=True).decisions]
    assert [[names[at] for at in layer.skips] for layer in layers] == [[], ["skip 1-2"], ["skip 1-3", "skip 2-3"]]
    assert [len(layer.tokens) for layer in layers] == [5, 5, 5]
    assert len(layers_of(enas_macro())) == 12
    assert layers_of(nasbench201()) == ()
    assert layers_of(chain(layers=3, skips=False)) == ()


def test_anchors_are_used_where_there_are_layers_with_skips_and_where_they_are_wanted() -> None:
    assert isinstance(start(lstm_reinforce()).controller, AnchoredController)
    assert isinstance(start(lstm_reinforce(anchors=False)).controller, Controller)
    assert isinstance(start(lstm_reinforce(), nasbench201()).controller, Controller)


def test_probabilities_of_all_architectures_sum_to_one() -> None:
    space = chain(layers=3, filters=(24,), skips=True)
    small = type(space)(
        "small",
        tuple(d for d in space.decisions if not d.name.startswith(("height", "width"))),
    )
    architectures = list(small.enumerate())
    assert len(architectures) == 8
    logs, _ = controller(small).score(architectures)
    assert float(logs.detach().exp().sum()) == pytest.approx(1.0, abs=1e-6)


def test_sampled_log_probability_is_that_of_the_stored_sequence() -> None:
    made, generator = controller(), torch.Generator().manual_seed(0)
    drawn = [made.sample(generator) for _ in range(200)]
    logs, _ = made.score([a for a, _ in drawn])
    np.testing.assert_allclose(logs.detach().numpy(), [log for _, log in drawn], atol=1e-5)
    assert all(SPACE.architecture(a.values) == a for a, _ in drawn)


def test_skips_follow_the_formula_of_the_anchors() -> None:
    """Two architectures that differ in one skip of the last layer differ in that Bernoulli alone."""
    made = controller().double()
    base = dict(made.sample(torch.Generator().manual_seed(3))[0].as_dict())
    hidden: list[torch.Tensor] = []
    step_ = made._step
    made._step = lambda inputs, state: hidden.append(step_(inputs, state)[1]) or step_(inputs, state)  # type: ignore[assignment,func-returns-value]
    read, unread = (SPACE.architecture({**base, "skip 2-4": bit}) for bit in (1, 0))
    logs = [float(made.score([a])[0].detach()) for a in (read, unread)]
    second, last = hidden[7], hidden[15]  # three tokens and an anchor per layer
    logit = made.vector @ torch.tanh(made.before.weight @ second[0] + made.here.weight @ last[0])
    assert logs[0] - logs[1] == pytest.approx(float(logit.detach()), abs=1e-9)
    with torch.no_grad():
        made.vector.zero_()
    logs = [float(made.score([a])[0].detach()) for a in (read, unread)]
    assert logs[0] == pytest.approx(logs[1])


def test_gradient_of_the_log_probability_agrees_with_finite_differences() -> None:
    made, rng = controller().double(), np.random.default_rng(0)
    architectures = [SPACE.sample(rng) for _ in range(3)]
    parameters = dict(made.named_parameters())
    logs, entropies = made.score(architectures)
    gradients = torch.autograd.grad((logs + 0.3 * entropies).sum(), list(parameters.values()), allow_unused=True)
    checked = set()
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        if gradient is None:
            continue
        at = int(gradient.abs().argmax())
        moved = []
        for change in (1e-6, -1e-6):
            with torch.no_grad():
                parameter.view(-1)[at] += change
                logs, entropies = made.score(architectures)
                moved.append(float((logs + 0.3 * entropies).sum()))
                parameter.view(-1)[at] -= change
        assert float(gradient.view(-1)[at]) == pytest.approx((moved[0] - moved[1]) / 2e-6, abs=1e-5)
        assert gradient.abs().max() > 0
        checked.add(name)
    assert {"vector", "before.weight", "here.weight", "passed", "begin"} <= checked


def test_constant_reward_moves_nothing() -> None:
    search = start(lstm_reinforce(batch=4, learning_rate=0.1))
    before = [p.clone() for p in search.controller.parameters()]
    for number in range(12):
        step(search, lambda a: 0.25, number)
    assert all(torch.equal(a, b) for a, b in zip(before, search.controller.parameters(), strict=True))


def test_bandit_of_skips_is_solved() -> None:
    """Reading everything is good: the only signal reaches the controller through the anchors."""
    space, rng = chain(layers=3, filters=(24,)), np.random.default_rng(0)
    search = start(lstm_reinforce(learning_rate=0.03, batch=4), space)

    def skips(architecture: Any) -> float:
        return sum(len(layer.inputs) for layer in plans(architecture)) / 3

    fresh = [skips(search.controller.sample(torch.Generator().manual_seed(i))[0]) for i in range(60)]
    trials = [step(search, lambda a: float(0.7 - 0.6 * skips(a) + 0.02 * rng.normal()), n) for n in range(160)]
    assert np.mean(fresh) == pytest.approx(0.5, abs=0.15)
    assert np.mean([skips(t.architecture) for t in trials[-40:]]) > 0.95


def test_stale_replicas_draw_from_copies_of_the_anchors_too() -> None:
    search = start(lstm_reinforce(batch=1, learning_rate=0.05, replicas=2))
    first = search._stale.vector.clone()  # type: ignore[union-attr]
    rng = np.random.default_rng(0)
    for number in range(2):
        assert torch.equal(search._stale.vector, first)  # type: ignore[union-attr]
        step(search, lambda a: float(rng.random()), number)
    for number in range(2, 4):
        step(search, lambda a: float(rng.random()), number)
    assert not torch.equal(search._stale.vector, first)  # type: ignore[union-attr]
    assert math.isfinite(float(search.baseline or 0.0))
