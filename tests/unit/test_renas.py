"""Mutations that a controller learns to make."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from searchbench.errors import StudyError
from searchbench.harness.declared.components import describe
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.evolution import RegularizedEvolution, WorstOfTournament
from searchbench.strategies.reinforced_mutation import MutationController, reward
from searchbench.strategies.renas import Reinforced, renas
from searchbench.testing import Stage
from searchbench.testing.rehearsal import evaluate, scenario
from searchbench.trial import Proposal

CELLS = nasbench201()
STAGE = Stage(CELLS, 50)


def started(settings: Reinforced) -> Any:
    return settings.start(scenario(STAGE, RegularizedEvolution(), 0))


def test_one_decision_is_changed_and_its_probability_is_what_the_controller_says() -> None:
    live, rng = started(Reinforced(units=4)), np.random.default_rng(0)
    for _ in range(20):
        parent = CELLS.sample(rng)
        child, mark = live.child(parent, rng)
        changed = [at for at, pair in enumerate(zip(parent.values, child.values, strict=True)) if pair[0] != pair[1]]
        assert changed == [mark.where]
        assert child.values[mark.where] == live.controller.options[mark.where][mark.what]
        places, values = (logs.detach() for logs in live.controller(parent, mark.where))
        assert float(places.exp().sum()) == pytest.approx(1.0, abs=1e-5)
        assert float(values.exp().sum()) == pytest.approx(1.0, abs=1e-5)
        assert values.exp()[live.controller.options[mark.where].index(parent.values[mark.where])] == 0


def test_an_update_is_the_policy_gradient_at_the_parameters_that_drew() -> None:
    """Written out with autograd on a copy, though the parameters have moved on in between."""
    settings = Reinforced(units=4, batch=2, entropy=0.0, learning_rate=0.05)
    live, rng = started(settings), np.random.default_rng(0)
    first: Any = started(settings)
    made = [live.child(CELLS.sample(rng), rng) for _ in range(4)]
    trials = [evaluate(Proposal(child), number, "fair") for number, (child, _) in enumerate(made)]
    for at in (0, 1):
        live.learn(made[at][1], trials[at])
    baseline = live.baseline
    assert baseline == pytest.approx(np.mean([reward(trials[at].value) for at in (0, 1)]))
    live._adam.step = lambda: None  # what the next update would follow is kept
    for at in (2, 3):
        live.learn(made[at][1], trials[at])
    loss = torch.zeros(())
    for at in (2, 3):
        _, mark = made[at]
        places, values = first.controller(mark.parent, mark.where)
        loss = loss - (reward(trials[at].value) - baseline) * (places[mark.where] + values[mark.what]) / 2
    expected = torch.autograd.grad(loss, list(first.controller.parameters()), allow_unused=True)
    for parameter, gradient in zip(live.controller.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, torch.zeros_like(parameter) if gradient is None else gradient)


def test_a_controller_learns_which_mutation_is_worth_making() -> None:
    live, rng = started(Reinforced(units=8, batch=5, learning_rate=0.02)), np.random.default_rng(0)
    parent = CELLS.architecture(("skip_connect",) * 6)

    def share() -> float:
        with torch.no_grad():
            places, values = live.controller(parent, 0)
        wanted = live.controller.options[0].index("nor_conv_3x3")
        return float((places[0] + values[wanted]).exp())

    before = share()
    for number in range(400):
        child, mark = live.child(parent, rng)
        worth = 0.1 if child.values[0] == "nor_conv_3x3" else 0.6
        trial = evaluate(Proposal(child), number, "fair")
        live.learn(mark, type(trial)(**{**{f: getattr(trial, f) for f in trial.__slots__}, "value": worth}))
    assert share() > 5 * before


def test_rewards_rise_as_the_tangent_of_the_accuracy() -> None:
    assert reward(0.5) == pytest.approx(1.0)
    assert reward(0.25) == pytest.approx(math.tan(0.75 * math.pi / 2))
    assert reward(0.0) == reward(0.0005)
    assert reward(90.0) == -90.0


def test_evolution_is_described_as_before_and_renas_as_a_composition() -> None:
    assert "mutation" not in describe(RegularizedEvolution())
    made = renas(units=4)
    assert isinstance(made.removal, WorstOfTournament)
    assert describe(made)["mutation"]["units"] == 4
    assert len(list(MutationController(CELLS, 4, 0).parameters())) > 0
    for wrong in ({"units": 0}, {"decay": 1.0}, {"batch": 0}):
        with pytest.raises(StudyError):
            Reinforced(**wrong)
