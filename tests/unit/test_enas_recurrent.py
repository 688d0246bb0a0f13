"""ENAS on a text: its reward, what a reward passes over, the isolation of its phases, and whole runs."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from searchbench import Budget, Problem, Study, Use
from searchbench.errors import StudyError
from searchbench.estimators.train import Train
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.harness.running.run import run_search
from searchbench.results.columns import read_traces
from searchbench.seeds import Seeds
from searchbench.spaces.recurrent.cells import rnn_loose_ends
from searchbench.spaces.recurrent.darts_rnn import darts_rnn
from searchbench.spaces.recurrent.enas_rnn import enas_rnn
from searchbench.strategies.oneshot.enas import enas, enas_recurrent
from searchbench.strategies.oneshot.enas_controllers import EdgeController, RecurrentController
from searchbench.strategies.oneshot.rewards import Accuracy, InversePerplexity
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.text import descriptions

SPACE = enas_rnn(nodes=4, units=8, network_units=8)
TASK = descriptions(tokens=900, measured=300, vocabulary=40, epochs=2, columns=4, lr=1.0)
SEARCH = enas_recurrent(epochs=2, batch_size=8, lr=2.0, steps=2, aggregate=3, candidates=5)


def lab_of(search=SEARCH, space=SPACE):
    scenario = Scenario(space, Seeds("t", 0, "enas"), Budget(samples=10**9), trains=True)
    estimator = Train(device="cpu").open(space, TASK, Seeds("t", 0))
    return MeteredLab(scenario, estimator, "charge", estimator.bench())


def started(search=SEARCH, space=SPACE):
    lab = lab_of(search, space)
    live = search.start(lab.scenario)
    return lab, live, live._session.begin(lab)


def copied(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before, module):
    return all(torch.equal(before[name], value) for name, value in module.state_dict().items())


# -- the reward --------------------------------------------------------------------------------------------------


def test_the_reward_is_eighty_over_the_perplexity_of_the_minibatch():
    logits = torch.randn((12, 7), generator=torch.Generator().manual_seed(0))
    targets = torch.arange(12) % 7
    reward = InversePerplexity()
    perplexity = math.exp(F.cross_entropy(logits, targets).item())
    assert reward.of(logits, targets) == pytest.approx(80 / perplexity)
    assert reward.minimised(reward.of(logits, targets)) == pytest.approx(perplexity)
    assert reward.of(torch.zeros((3, 50)), torch.arange(3)) == pytest.approx(80 / 50)


@pytest.mark.parametrize("broken", [math.nan, -1e30])
def test_a_network_that_broke_earns_nothing(broken):
    logits = torch.tensor([[broken, 1e30, 0.0]])
    assert InversePerplexity().of(logits, torch.tensor([0])) == 0.0
    assert InversePerplexity().minimised(0.0) == math.inf


def test_a_reward_is_refused_where_it_has_no_meaning():
    text, images = lab_of().scenario, Scenario(Problem("nasbench201", "digits", "train").resolve().space, *[None] * 2)
    assert "use `enas-recurrent`" in enas(epochs=1).unsupported(text)
    assert "classify images" in enas_recurrent(epochs=1).unsupported(images)
    assert enas_recurrent(epochs=1).unsupported(text) is None
    assert enas(epochs=1).reward == Accuracy()
    with pytest.raises(StudyError, match="`scale` must be positive"):
        enas_recurrent(scale=0.0)


# -- the controller's phase ----------------------------------------------------------------------------------------


def test_the_published_settings_make_250_draws_an_epoch():
    search = enas_recurrent()
    assert (search.steps, search.aggregate, search.lr, search.reward) == (25, 10, 5e-5, InversePerplexity(80.0))
    assert (search.weights.lr, search.weights.momentum, search.weights.clip) == (20.0, 0.0, 0.25)
    lab, live, _ = started(replace(SEARCH, steps=25, aggregate=10))
    sizes = live._full(lab)
    live._learn(lab, live._session.trained)
    assert lab.spent.train_samples == 0
    assert 250 * min(sizes) <= lab.spent.inference_samples <= 250 * max(sizes)


def test_cells_are_drawn_by_the_controller_of_recurrent_cells():
    assert isinstance(started()[2].controller, RecurrentController)
    _, _, players = started(space=darts_rnn(nodes=3, units=6, network_units=6))
    assert isinstance(players.controller, EdgeController)
    drawn = players.draw()
    assert len(drawn.tokens) == 6
    assert len(players.path(drawn)) == len(players.supernet.options) == 1 + 2 + 3
    assert players.supernet.architecture(players.path(drawn)) in players.space


def test_the_last_short_passage_of_the_validating_part_rewards_nobody():
    lab, live, _ = started()
    sizes = lab.sizes("valid", 8)
    assert sizes[-1] < max(sizes)
    given = [len(batch) for batch in islice(live._validation(lab), 3 * len(sizes))]
    assert 8 * TASK.bptt in given
    assert set(given) <= {8 * TASK.bptt, 8 * TASK.bptt // 2}


def test_weights_and_controller_are_each_held_bit_for_bit_while_the_other_learns():
    lab, live, players = started()
    theta, weights = copied(players.controller), copied(players.supernet)
    live._train(lab, players)
    assert same(theta, players.controller)
    assert not same(weights, players.supernet)
    weights = copied(players.supernet)
    live._learn(lab, players)
    assert same(weights, players.supernet)
    assert not same(theta, players.controller)


def test_nothing_is_dropped_while_the_controller_is_rewarded(monkeypatch):
    lab, live, players = started()
    seen = []
    infer = lab.infer

    def watched(net, batch, path):
        logits = infer(net, batch, path)
        before, after = batch.inputs.before, batch.inputs.after
        net.eval()
        seen.append(torch.equal(logits, net(batch.inputs, path)))
        net.train()
        net.training = False
        assert torch.equal(batch.inputs.after, after)
        assert batch.inputs.before is before
        return logits

    monkeypatch.setattr(lab, "infer", watched)
    live._learn(lab, players)
    assert seen == [True] * 6
    assert all(module.training for module in players.supernet.modules())


def test_the_policy_learns_what_lowers_the_perplexity(monkeypatch):
    lab, live, players = started(replace(SEARCH, aggregate=20))

    def infer(net, batch, path):  # cells whose first node is a relu know the next token, others guess
        right = path[1] == 1
        return F.one_hot(batch.targets, TASK.classes).float() * (9.0 if right else 0.0)

    monkeypatch.setattr(lab, "infer", infer)
    players.policy = torch.optim.Adam(players.controller.parameters(), 0.02, betas=(0.0, 0.999), eps=1e-3)
    for _ in range(10):
        live._learn(lab, players)
    with torch.no_grad():
        share = sum(players.draw().path[1] == 1 for _ in range(100)) / 100
    assert share > 0.6


def test_the_cell_handed_over_has_the_least_perplexity_of_the_last_draws():
    lab, live, players = started()
    given = []
    infer = lab.infer
    lab.infer = lambda net, batch, path: (given.append((batch, path)), infer(net, batch, path))[1]
    assert drive(live, lab) == "finished"
    last = given[-5:]
    assert len({id(batch) for batch, _ in last}) == 1
    players.supernet.eval()
    losses = [F.cross_entropy(players.supernet(b.inputs, path).detach(), b.targets).item() for b, path in last]
    best = min(range(5), key=losses.__getitem__)
    assert lab.final.architecture == players.supernet.architecture(last[best][1])
    assert lab.final.value == pytest.approx(math.exp(losses[best]), rel=1e-5)
    assert rnn_loose_ends(lab.final.architecture)


# -- whole runs ----------------------------------------------------------------------------------------------------


def test_a_search_that_was_interrupted_goes_on_to_the_same_cell():
    whole_lab = lab_of()
    whole = SEARCH.start(whole_lab.scenario)
    drive(whole, whole_lab)
    lab = lab_of()
    first = SEARCH.start(lab.scenario)
    first.advance(lab)
    search_state, lab_state = first.state_dict(), lab.state_dict()
    other = lab_of()
    other.load_state_dict(lab_state)
    second = SEARCH.start(other.scenario)
    second.load_state_dict(search_state)
    drive(second, other)
    assert other.final.architecture == whole_lab.final.architecture
    assert other.spent.macs == whole_lab.spent.macs


@pytest.mark.parametrize("space", ["enas-rnn", "darts-rnn"])
def test_it_runs_end_to_end_and_its_perplexity_falls(space):
    quiet = {"dropout": 0.0, "dropout_hidden": 0.0, "dropout_inputs": 0.0, "dropout_embedded": 0.0}
    problem = Problem(
        Use(space, nodes=3, units=8, network_units=8, **quiet),
        Use("descriptions", tokens=2000, measured=300, vocabulary=40, epochs=2, columns=4),
        Use("train", epochs=1),
    )
    strategy = Use("enas-recurrent", epochs=4, batch_size=8, lr=5.0, steps=2, aggregate=3, candidates=5)
    study = Study("s", problem, {"it": strategy}, [1], Budget(samples=60_000))
    first, second = (run_search(plan(study).runs[0]) for _ in range(2))
    assert first.status == "ok", first.error
    assert first.architecture == second.architecture
    perplexities = [row["train_perplexity"] for row in read_traces(first.traces).to_pylist()]
    assert len(perplexities) == 4
    assert perplexities[-1] < perplexities[0] < 41


def test_the_controller_draws_as_the_corrected_code_does():
    controller = RecurrentController(9, 3).double()
    with torch.no_grad():
        for parameter in controller.parameters():
            assert float(parameter.abs().max()) <= 0.01
            parameter.mul_(50)  # so that probabilities differ
    drawn = controller.draw(torch.Generator().manual_seed(5))
    core = controller.core
    lstm, first, second, point, embedding = (
        getattr(core, name).detach().numpy() for name in ("lstm", "first", "second", "point", "embedding")
    )
    hidden = memory = np.zeros(64)
    known, projected, inputs = [np.zeros(64)], [np.zeros(64)], core.begin.detach().numpy()
    log_probability = entropy = 0.0

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def stepped(x):
        i, f, o, g = np.split(np.concatenate([x, hidden]) @ lstm, 4)
        after = sigmoid(i) * np.tanh(g) + sigmoid(f) * memory
        return sigmoid(o) * np.tanh(after), after

    for node in range(1, 10):
        earlier, activation = drawn.tokens[2 * node - 2 : 2 * node]
        hidden, memory = stepped(inputs)
        logits = np.tanh(hidden @ second + np.stack(projected)) @ point
        known.append(hidden)
        projected.append(hidden @ first)
        distances = node - np.arange(node)
        logs = [2.25 * np.tanh(logits / 5) - distances**2 / 6, None]
        hidden, memory = stepped(known[earlier] / (0.1 + node - earlier))
        logs[1] = 2.25 * np.tanh(hidden @ embedding.T / 5)
        for own, token in zip(logs, (earlier, activation), strict=True):
            log = own[token] - np.log(np.exp(own).sum())
            log_probability += log
            entropy -= np.exp(log) * log
        inputs = embedding[activation]
    assert float(drawn.log_probability.detach()) == pytest.approx(log_probability, rel=1e-7)
    assert float(drawn.entropy.detach()) == pytest.approx(entropy, rel=1e-7)


def test_its_settings_are_those_of_the_corrected_code():
    settings = enas_recurrent()
    assert (settings.lr, settings.adam) == (5e-5, (0.9, 1e-8))
    assert (settings.decay, settings.baseline, settings.entropy) == (0.999, 0.0, 1e-5)
    assert (settings.steps, settings.aggregate) == (25, 10)
