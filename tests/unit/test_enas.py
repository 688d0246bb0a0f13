"""ENAS: sizes of its controllers, isolation of its phases, sharing of weights, and whole runs."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from tiny_lab import SPACE, lab

from searchbench import Budget, Problem, Study, Use
from searchbench.errors import StudyError
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.loop import drive
from searchbench.harness.running.run import run_search
from searchbench.spaces import SPACES
from searchbench.spaces.enas.macro import enas_macro
from searchbench.spaces.enas.micro import enas_micro
from searchbench.spaces.networks import initialise
from searchbench.spaces.recurrent.cells import rnn_loose_ends
from searchbench.spaces.recurrent.enas_rnn import enas_rnn
from searchbench.strategies.oneshot.enas import Enas, enas
from searchbench.strategies.oneshot.enas_controllers import (
    EdgeController,
    MacroController,
    MicroController,
    RecurrentController,
    controller_of,
)
from searchbench.strategies.oneshot.enas_search import _held
from searchbench.strategies.oneshot.rewards import Accuracy

SPACES_OF = {"macro": enas_macro(), "micro": enas_micro(), "rnn": enas_rnn(9)}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("controller", "parameters"),
    [(MacroController(12, 0), 41_856), (MicroController(5, 0), 41_733), (RecurrentController(9, 0), 41_344)],
    ids=["macro", "micro", "recurrent"],
)
def test_controllers_have_the_published_number_of_parameters(controller, parameters):
    assert sum(p.numel() for p in controller.parameters()) == parameters


@pytest.mark.parametrize(("name", "tokens"), [("macro", 78), ("micro", 2 * 20), ("rnn", 18)])
def test_a_draw_is_an_architecture_of_the_space(name, tokens):
    space = SPACES_OF[name]
    controller = controller_of(space, 0)
    for seed in range(5):
        drawn = controller.draw(generator(seed))
        assert len(drawn.path) == drawn.steps == tokens
        space.architecture(tuple(list(d.values())[at] for d, at in zip(space.decisions, drawn.path, strict=True)))


@pytest.mark.parametrize("name", SPACES_OF)
def test_entropy_lies_between_none_and_that_of_a_uniform_policy(name):
    space = SPACES_OF[name]
    for seed in range(5):
        with torch.no_grad():
            drawn = controller_of(space, seed).draw(generator(seed))
        assert 0 <= float(drawn.entropy) <= sum(math.log(d.arity) for d in space.decisions) * (1 + 1e-5)
        assert float(drawn.log_probability) < 0


def test_an_untrained_controller_of_pointers_is_nearly_uniform():
    with torch.no_grad():
        drawn = MacroController(12, 0).draw(generator())
    assert float(drawn.entropy) == pytest.approx(12 * math.log(6) + 66 * math.log(2), rel=1e-2)


def test_skips_move_to_four_in_ten_under_the_penalty_alone():
    controller = MacroController(6, 0)
    optimizer = torch.optim.Adam(controller.parameters(), 2e-2)
    draws = generator()

    def rate():
        with torch.no_grad():
            bits = [
                bit
                for _ in range(60)
                for layer, (start, end) in enumerate(pairwise([0, 1, 3, 6, 10, 15, 21]))
                for bit in controller.draw(draws).path[start + 1 : end]
            ]
        return sum(bits) / len(bits)

    before = rate()
    for _ in range(50):
        optimizer.zero_grad()
        gradients = torch.autograd.grad(
            controller.draw(draws).penalty, list(controller.parameters()), allow_unused=True
        )
        for parameter, gradient in zip(controller.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
    assert abs(before - 0.5) < 0.05
    assert abs(rate() - 0.4) < 0.04


def test_the_edge_controllers_probability_is_that_of_its_draw():
    space = SPACES.factory("nasbench201")()
    controller = EdgeController(space, 0)
    with torch.no_grad():
        drawn = controller.draw(generator())
    assert float(drawn.log_probability) == pytest.approx(6 * math.log(1 / 5), abs=0.6)


# -- phases --------------------------------------------------------------------------------------------------------


def started():
    metered = lab()
    search = Enas(enas(epochs=2, batch_size=16).weights, steps=2, aggregate=3, candidates=5).start(metered.scenario)
    return metered, search, search._session.begin(metered)


def copied(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before, module):
    return all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_the_phase_of_the_weights_leaves_the_controller_bit_for_bit():
    metered, search, players = started()
    theta, weights = copied(players.controller), copied(players.supernet)
    search._train(metered, players)
    assert same(theta, players.controller)
    assert not same(weights, players.supernet)


def test_the_phase_of_the_controller_leaves_weights_and_statistics_bit_for_bit():
    metered, search, players = started()
    search._train(metered, players)
    theta, weights = copied(players.controller), copied(players.supernet)
    search._learn(metered, players)
    assert same(weights, players.supernet)
    assert not same(theta, players.controller)


def test_the_phase_of_the_controller_is_charged_as_inference():
    metered, search, players = started()
    search._learn(metered, players)
    assert metered.spent.train_samples == 0
    assert metered.spent.inference_samples == 2 * 3 * 16
    assert metered.spent.macs > 0


def test_the_choice_is_the_best_of_its_candidates_on_one_minibatch():
    metered, search, _ = started()
    given = []
    original = metered.infer
    metered.infer = lambda net, batch, path: (given.append((batch, path)), original(net, batch, path))[1]
    assert drive(search, metered) == "finished"
    last = given[-5:]
    assert all(torch.equal(last[0][0].inputs, batch.inputs) for batch, _ in last)
    supernet = search._session.trained.supernet
    with _held(supernet), torch.no_grad():
        errors = [1 - Accuracy().of(supernet(batch.inputs, p), batch.targets) for batch, p in last]
    found = [supernet.architecture(path) for _, path in last]
    ranked = sorted(range(5), key=lambda at: (not SPACE.carrying(found[at]), errors[at]))
    assert (metered.final.architecture, metered.final.value) == (found[ranked[0]], pytest.approx(errors[ranked[0]]))


def test_a_draw_is_weighed_by_its_reward_and_entropy_above_the_moving_baseline():
    metered = lab()
    settings = replace(enas(epochs=2, batch_size=16), steps=1, aggregate=3, decay=0.8, entropy=0.3, skip_weight=0.5)
    search = settings.start(metered.scenario)
    players = search._session.begin(metered)
    right = iter((4, 16, 8) * 2)

    def infer(net, batch, path):
        targets = (batch.targets + (torch.arange(len(batch.targets)) >= next(right))) % 3
        return torch.nn.functional.one_hot(targets, 3).float()

    metered.infer, players.policy, baseline = infer, SimpleNamespace(step=lambda: None), None
    for _ in range(2):
        state = players.generator.get_state()
        search._learn(metered, players)
        found = [p.grad for p in players.controller.parameters()]
        players.generator.set_state(state)
        loss = 0.0
        for share in (4 / 16, 1.0, 8 / 16):
            drawn = players.draw()
            reward = share + 0.3 * float(drawn.entropy.detach())
            baseline = reward if baseline is None else 0.8 * baseline + 0.2 * reward
            loss = loss - (reward - baseline) * drawn.log_probability + 0.5 * drawn.penalty
        expected = torch.autograd.grad(loss / 3, list(players.controller.parameters()), allow_unused=True)
        for ours, theirs in zip(found, expected, strict=True):
            assert (ours is None) == (theirs is None)
            assert ours is None or torch.allclose(ours, theirs, atol=1e-6)


def test_the_policy_learns_what_is_rewarded():
    metered, search, players = started()

    def infer(net, batch, path):  # only paths that begin with the third operation are right
        right = path[0] == 2
        return torch.nn.functional.one_hot(batch.targets if right else (batch.targets + 1) % 3, 3).float()

    metered.infer = infer
    optimizer = torch.optim.Adam(players.controller.parameters(), 0.02, betas=(0.0, 0.999), eps=1e-3)
    players.policy = optimizer
    for _ in range(20):
        search._learn(metered, players)
    with torch.no_grad():
        share = sum(players.draw().path[0] == 2 for _ in range(100)) / 100
    assert share > 0.6


# -- sharing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [enas_macro(4, 4, 2), enas_micro(2, 4, 1, 2)], ids=["macro", "micro"])
def test_two_paths_with_an_operation_in_common_touch_the_same_tensor(space):
    net = initialise(space.builder().supernet((1, 8, 8), 3), 0)
    draws, controller = generator(), controller_of(space, 0)

    def touched(path):
        for weight in net.parameters():
            weight.grad = None
        net(torch.randn(4, 1, 8, 8, generator=generator(1)), path).sum().backward()
        return {id(w): name for name, w in net.named_parameters() if w.grad is not None}

    with torch.no_grad():
        a, b = controller.draw(draws).path, controller.draw(draws).path
    common = list(b)
    common[:4] = a[:4]
    assert set(touched(a)) & set(touched(tuple(common)))
    assert len(list(net.parameters())) == len({id(w) for w in net.parameters()})


def test_loose_ends_of_recurrent_cells_are_what_no_node_reads():
    space, draws = enas_rnn(9), generator()
    controller = controller_of(space, 0)
    for _ in range(20):
        path = controller.draw(draws).path
        architecture = space.architecture(
            tuple(list(d.values())[at] for d, at in zip(space.decisions, path, strict=True))
        )
        ends = rnn_loose_ends(architecture)
        assert ends
        assert set(ends) == set(range(10)) - set(architecture.values[::2])


# -- whole runs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "space",
    [
        Use("enas-macro", layers=3, channels=4, stages=1),
        Use("enas-micro", blocks=2, channels=4, cells=1, stages=1),
        Use("nasbench201", channels=2, cells=1, stages=1),
    ],
    ids=lambda use: use.name,
)
def test_it_runs_end_to_end_on_digits(space):
    problem = Problem(space, "digits", Use("train", epochs=1))
    strategy = Use("enas", epochs=1, batch_size=128, aggregate=5, candidates=5)
    study = Study("s", problem, {"it": strategy}, [1], Budget(samples=30_000))
    result = run_search(plan(study).runs[0])
    assert result.status == "ok", result.error
    assert result.architecture
    assert result.cost.train_samples > 500
    assert result.cost.inference_samples > 1000


def test_impossible_settings_are_refused():
    for wrong in ({"aggregate": 0}, {"lr": 0.0}, {"decay": 1.0}, {"entropy": -1.0}, {"steps": 0}):
        with pytest.raises(StudyError):
            Enas(**wrong)
