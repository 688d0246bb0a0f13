"""Tabular REINFORCE as mathematics: gradients, baseline, updates, and a bandit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.reinforce import Adam, Ascent, Policy, PolicyGradient, Reinforce
from searchbench.strategies.strategy import Scenario
from searchbench.trial import FULL, Trial

MIXED = Space(
    "mixed",
    (Choice("a", ("x", "y", "z")), Choice("b", ("p", "q"), when=When("a", ("y",))), Integer("c", 1, 4)),
)


def policy(space: Space = MIXED, std: float = 1.0) -> Policy:
    return Policy(space, np.random.default_rng(0), std)


def search(strategy: Reinforce, space: Space) -> PolicyGradient:
    return strategy.start(Scenario(space, Seeds("study", 0, repr(strategy)), Budget(evaluations=10)))


def trial(architecture: Architecture, value: float) -> Trial:
    return Trial(0, architecture, FULL, "nan" if math.isnan(value) else "ok", value, Cost(evaluations=1))


def test_score_is_the_gradient_of_the_log_probability() -> None:
    p = policy()
    for architecture in MIXED.enumerate():
        score = p.score(architecture)
        for row, column in zip(*np.nonzero(np.isfinite(p.logits)), strict=True):
            step = np.zeros_like(p.logits)
            step[row, column] = 1e-6
            p.move(step)
            up = p.log_probability(architecture)
            p.move(-2 * step)
            down = p.log_probability(architecture)
            p.move(step)
            assert score[row, column] == pytest.approx((up - down) / 2e-6, abs=1e-6)


def test_every_row_of_a_score_sums_to_zero_and_inactive_rows_are_zero() -> None:
    p = policy()
    for architecture in MIXED.enumerate():
        score = p.score(architecture)
        assert score.sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-12)
        assert (architecture["a"] == "y") == bool(np.abs(score[1]).sum())


def test_entropy_gradient_agrees_with_finite_differences() -> None:
    p = policy()

    def entropy() -> float:
        q = p.probabilities
        return float(-(q * np.log(np.where(q > 0, q, 1.0))).sum())

    gradient = p.entropy_gradient()
    for row, column in zip(*np.nonzero(np.isfinite(p.logits)), strict=True):
        step = np.zeros_like(p.logits)
        step[row, column] = 1e-6
        p.move(step)
        up = entropy()
        p.move(-2 * step)
        assert gradient[row, column] == pytest.approx((up - entropy()) / 2e-6, abs=1e-6)
        p.move(step)


def test_sampling_follows_the_probabilities_and_conditions() -> None:
    p, rng = policy(), np.random.default_rng(1)
    drawn = [p.sample(rng) for _ in range(6000)]
    for architecture in MIXED.enumerate():
        expected = math.exp(p.log_probability(architecture))
        share = sum(a == architecture for a in drawn) / 6000
        assert share == pytest.approx(expected, abs=4.5 * math.sqrt(expected / 6000))
    assert sum(math.exp(p.log_probability(a)) for a in MIXED.enumerate()) == pytest.approx(1.0)


def test_expected_update_under_a_constant_reward_is_zero() -> None:
    p = policy()
    mean = sum(math.exp(p.log_probability(a)) * p.score(a) for a in MIXED.enumerate())
    assert np.abs(mean).max() < 1e-12


def test_baseline_holds_earlier_rewards_only() -> None:
    s = search(Reinforce(learning_rate=1.0, initial_std=0, update=Ascent(), baseline_decay=0.75), nasbench201())
    before = s._policy.logits.copy()
    first = nasbench201().sample(np.random.default_rng(0))
    s.tell(trial(first, 0.4))
    assert np.array_equal(s._policy.logits, before)  # nothing to compare the first reward with
    s.tell(trial(first, 0.1))
    gained = s._policy.logits - before
    score = policy(nasbench201(), 0.0).score(first)
    assert gained == pytest.approx(0.3 * score)  # 0.4 - 0.1, not shrunk by a baseline that contains 0.1
    assert s._baseline == pytest.approx(-(0.75 * 0.4 + 0.25 * 0.1))


def test_what_was_drawn_before_an_update_is_scored_by_the_probabilities_it_was_drawn_with() -> None:
    space = nasbench201()
    s = search(Reinforce(learning_rate=10.0, initial_std=0, update=Ascent(), baseline_decay=0.5), space)
    a, b, c = (s.ask().architecture for _ in range(3))
    s.tell(trial(a, 0.4))
    s.tell(trial(b, 0.1))
    moved = s._policy.logits.copy()
    s.tell(trial(c, 0.2))  # the baseline is -(0.4 + 0.1) / 2
    assert s._policy.logits - moved == pytest.approx(10.0 * 0.05 * policy(space, 0.0).score(c))
    assert np.abs(moved).max() > 1  # the probabilities of now are others


def test_batch_is_averaged_and_failures_are_left_out() -> None:
    space = nasbench201()
    s = search(Reinforce(1.0, batch=2, initial_std=0, update=Ascent()), space)
    start = s._policy.logits.copy()
    a, b = (space.sample(np.random.default_rng(i)) for i in (0, 1))
    s.tell(trial(a, 0.2))
    s.tell(trial(b, math.nan))
    assert np.array_equal(s._policy.logits, start)
    zero = policy(space, 0.0)
    s.tell(trial(b, 0.4))
    assert s._policy.logits - start == pytest.approx(0.05 * (zero.score(a) - zero.score(b)))


def test_adam_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    weights = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.Adam([weights], lr=0.05)
    ours, total = Adam().start((3, 4), 0.05), np.zeros((3, 4))
    for _ in range(20):
        gradient = rng.standard_normal((3, 4))
        weights.grad = torch.tensor(-gradient)
        theirs.step()
        total += ours.step(gradient)
    assert total == pytest.approx(weights.detach().numpy(), abs=1e-12)


def test_two_armed_bandit_converges_to_the_better_arm() -> None:
    space = Space("arms", (Choice("arm", ("good", "bad")),))
    s, noise = search(Reinforce(learning_rate=0.05), space), np.random.default_rng(0)
    for _ in range(1500):
        architecture = s.ask().architecture
        s.tell(trial(architecture, (0.4 if architecture["arm"] == "good" else 0.5) + 0.02 * noise.standard_normal()))
    assert s._policy.probabilities[0, 0] > 0.95


def test_real_valued_decision_is_unsupported() -> None:
    space = Space("line", (Float("x", 0.0, 1.0),))
    reason = Reinforce().unsupported(Scenario(space, Seeds("s", 0), Budget(evaluations=1)))
    assert "`x` is a real number" in str(reason)


@pytest.mark.parametrize(
    "settings", [{"learning_rate": 0}, {"batch": 0}, {"baseline_decay": 1.0}, {"entropy": -1}, {"initial_std": -1}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(StudyError, match=f"`{next(iter(settings))}` must"):
        Reinforce(**settings)  # type: ignore[arg-type]
