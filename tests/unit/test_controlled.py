"""Controllers: probabilities, gradients, clipped ratios, stale replicas."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from controller_search import begun, step

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies.controlled import (
    ClippedSurrogate,
    Controlled,
    ControllerSearch,
    PolicyGradientLoss,
    Sampled,
    lstm_reinforce,
    ppo,
)
from searchbench.strategies.controllers import Controller
from searchbench.strategies.strategy import Scenario

CONDITIONAL = Space(
    "conditional",
    (
        Choice("op", ("conv", "pool")),
        Choice("kernel", (1, 3, 5), when=When("op", ("conv",))),
        Choice("act", ("a", "b")),
    ),
)
ARMS = Space("arms", (Choice("arm", ("good", "bad")),))


def controller(space: Space = CONDITIONAL, seed: int = 1, bound: float = 0.5) -> Controller:
    return Controller(space, 8, 2, bound, seed)


def start(settings: Controlled, space: Space = ARMS, seed: int = 0) -> ControllerSearch:
    return begun(settings, space, seed)


@pytest.mark.parametrize("space", [CONDITIONAL, Space("two", (Choice("a", (1, 2)), Choice("b", (1, 2, 3))))])
def test_probabilities_of_all_architectures_sum_to_one(space: Space) -> None:
    logs, _ = controller(space).score(list(space.enumerate()))
    assert float(logs.detach().exp().sum()) == pytest.approx(1.0, abs=1e-6)


def test_sampled_log_probability_is_that_of_the_stored_sequence_and_frequencies_follow_it() -> None:
    made, generator = controller(), torch.Generator().manual_seed(0)
    drawn = [made.sample(generator) for _ in range(1500)]
    logs, _ = made.score([a for a, _ in drawn])
    np.testing.assert_allclose(logs.detach().numpy(), [log for _, log in drawn], atol=1e-5)
    for architecture in CONDITIONAL.enumerate():
        share = sum(a == architecture for a, _ in drawn) / len(drawn)
        expected = math.exp(next(log for a, log in drawn if a == architecture))
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / len(drawn))


def test_gradient_of_the_log_probability_agrees_with_finite_differences() -> None:
    made = controller().double()
    architectures = list(CONDITIONAL.enumerate())[:3]
    parameters = list(made.parameters())
    logs, entropies = made.score(architectures)
    gradients = torch.autograd.grad((logs + 0.3 * entropies).sum(), parameters, allow_unused=True)
    rng = np.random.default_rng(0)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        at = int(rng.integers(parameter.numel()))
        moved = []
        for change in (1e-6, -1e-6):
            with torch.no_grad():
                parameter.view(-1)[at] += change
                logs, entropies = made.score(architectures)
                moved.append(float((logs + 0.3 * entropies).sum()))
                parameter.view(-1)[at] -= change
        assert float(gradient.view(-1)[at]) == pytest.approx((moved[0] - moved[1]) / 2e-6, abs=1e-4)


def test_constant_reward_moves_nothing() -> None:
    search = start(lstm_reinforce(batch=4, learning_rate=0.1))
    before = [p.clone() for p in search.controller.parameters()]
    for number in range(20):
        step(search, lambda a: 0.25, number)
    assert all(torch.equal(a, b) for a, b in zip(before, search.controller.parameters(), strict=True))


def test_first_pass_of_ppo_has_ratio_one_and_the_gradient_of_reinforce() -> None:
    made = controller()
    architectures = list(CONDITIONAL.enumerate())
    logs, _ = made.score(architectures)
    batch = [
        Sampled(a, float(log.detach()), 0, advantage)
        for a, log, advantage in zip(architectures, logs, np.linspace(-1, 2, len(architectures)).tolist(), strict=True)
    ]
    clipped = ClippedSurrogate().loss(made, batch, 0.01)
    assert float(ClippedSurrogate().loss(made, batch, 0.0).detach()) == pytest.approx(
        -np.mean([s.advantage for s in batch])
    )
    plain = PolicyGradientLoss().loss(made, batch, 0.01)
    parameters = list(made.parameters())
    for a, b in zip(
        torch.autograd.grad(clipped, parameters, allow_unused=True),
        torch.autograd.grad(plain, parameters, allow_unused=True),
        strict=True,
    ):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-6)


def test_beyond_the_clip_a_good_architecture_has_no_gradient() -> None:
    made = controller()
    architecture = next(iter(CONDITIONAL.enumerate()))
    log = float(made.score([architecture])[0].detach())
    far = [Sampled(architecture, log - 1.0, 0, 1.0)]  # already e times as probable as when it was drawn
    gradients = torch.autograd.grad(ClippedSurrogate().loss(made, far, 0.0), list(made.parameters()), allow_unused=True)
    assert all(g is None or not g.any() for g in gradients)


@pytest.mark.parametrize("settings", [ppo(batch=8, learning_rate=0.02), lstm_reinforce(learning_rate=0.02, replicas=3)])
def test_bandit_is_solved(settings: Controlled) -> None:
    search, rng = start(settings), np.random.default_rng(0)
    trials = [step(search, lambda a: 0.45 + 0.1 * (a["arm"] == "bad") + 0.02 * rng.normal(), n) for n in range(600)]
    assert np.mean([t.architecture["arm"] == "good" for t in trials[-100:]]) > 0.9


def test_baseline_is_of_earlier_batches_and_reward_is_raised_to_its_power() -> None:
    search = start(lstm_reinforce(batch=2, decay=0.75))
    values = iter([0.5, 0.5, 0.0, 0.0])
    for number in range(4):
        step(search, lambda a: next(values), number)
    assert search.baseline == pytest.approx(0.75 * 0.125 + 0.25 * 1.0)


def test_replicas_draw_from_copies_as_old_as_their_own_last_update() -> None:
    search = start(lstm_reinforce(batch=1, learning_rate=0.05, replicas=3), nasbench201())
    history = [{k: v.clone() for k, v in search.controller.state_dict().items()}]
    rng = np.random.default_rng(0)
    for number in range(9):
        age = min(number, 2)  # two other replicas update in between
        current = search._stale.state_dict()
        assert all(torch.equal(current[k], history[number - age][k]) for k in current)
        step(search, lambda a: rng.random(), number)
        history.append({k: v.clone() for k, v in search.controller.state_dict().items()})


@pytest.mark.parametrize(("learning", "settings"), [(PolicyGradientLoss, lstm_reinforce), (ClippedSurrogate, ppo)])
def test_gradients_are_taken_where_a_batch_was_drawn_unless_its_ratios_are_weighed(
    learning: type, settings: Callable[..., Controlled], monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, taken_at = learning.loss, []  # type: ignore[attr-defined]
    monkeypatch.setattr(learning, "loss", lambda self, at, *rest: taken_at.append(at) or loss(self, at, *rest))
    search = start(settings(batch=1))
    for number, value in enumerate((0.5, 0.1)):
        step(search, lambda a, value=value: value, number)
    where = search.controller if settings is ppo else search._stale
    assert taken_at
    assert all(at is where for at in taken_at)


def test_failed_evaluations_are_left_out_of_the_batch() -> None:
    search = start(ppo(batch=2))
    for number, value in enumerate([math.nan, 0.5, math.nan]):
        step(search, lambda a, value=value: value, number)
    assert search.baseline is None
    step(search, lambda a: 0.5)
    assert search.baseline == pytest.approx(0.5)


def test_real_numbers_and_impossible_settings_are_refused() -> None:
    scenario = Scenario(Space("real", (Float("x", 0, 1),)), Seeds("s", 0), Budget(evaluations=1))
    assert "real number" in str(ppo().unsupported(scenario))
    for wrong in ({"batch": 0}, {"learning_rate": 0}, {"decay": 1.0}, {"entropy": -1}, {"replicas": 0}):
        with pytest.raises(StudyError, match=next(iter(wrong))):
            Controlled(**wrong)  # type: ignore[arg-type]
