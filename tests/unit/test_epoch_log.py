"""What a search that trains a supernet logs of every epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_lab import TRAIN, VALID, lab

from searchbench.harness.running.loop import drive
from searchbench.results.columns import read_traces
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable import Eigenvalue
from searchbench.strategies.differentiable.stop import StopDecision


def searched(name, metered=None, **parameters):
    """The lines of a search's log, and the search."""
    metered = metered or lab()
    strategy = STRATEGIES.factory(name)(batch_size=8, **parameters)
    search = strategy.start(metered.scenario)
    drive(search, metered)
    return read_traces(metered.traces.to_bytes()).to_pylist(), search, metered


def test_every_epoch_logs_losses_accuracies_skips_and_the_weights_of_all_operations():
    lines, search, _ = searched("darts", epochs=3)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert all({"train_loss", "valid_loss", "entropy", "skips", "decision"} <= line.keys() for line in lines)
    last, operations = lines[-1], search._topology.operations
    assert list(last["operation_weights"]) == list(operations)
    weights = np.array([last["operation_weights"][name] for name in operations]).T
    np.testing.assert_allclose(weights, search._session.trained.alpha.detach().softmax(1).numpy(), atol=5e-5)
    logs = -(weights * np.log(weights)).sum(1).mean()
    assert last["entropy"] == pytest.approx(logs, abs=1e-3)
    assert last["skips"] == (weights.argmax(1) == operations.index("skip_connect")).sum()


def test_accuracies_are_those_of_the_very_minibatches_each_player_saw():
    metered, seen = lab(), {"train": [0, 0], "valid": [0, 0]}
    original = metered.gradients

    def gradients(net, batch, active, loss=None):
        player = seen["valid" if any(row.requires_grad for row in active.weights) else "train"]

        def counting(logits, targets):
            player[0] += int((logits.argmax(1) == targets).sum())
            player[1] += len(targets)
            return loss(logits, targets)

        return original(net, batch, active, counting)

    metered.gradients = gradients
    (line,), *_ = searched("darts", metered, epochs=1)
    assert (seen["train"][1], seen["valid"][1]) == (TRAIN, 2 * VALID - 8)  # five minibatches of eight
    for player, (right, all_) in seen.items():
        assert line[f"{player}_accuracy"] == right / all_


def test_what_is_watched_changes_nothing_and_costs_nothing():
    plain, watched = lab(), lab()
    original = plain.gradients
    plain.gradients = lambda net, batch, active, loss=None: original(net, batch, active, None)
    _, one, _ = searched("darts", plain, epochs=2)
    _, other, _ = searched("darts", watched, epochs=2)
    assert torch.equal(one._session.trained.alpha, other._session.trained.alpha)
    assert plain.spent.macs == watched.spent.macs


def test_an_epoch_in_which_the_architecture_rests_has_no_validation_loss():
    lines, *_ = searched("pc-darts", epochs=4, divisor=3)
    assert [line["valid_loss"] is None for line in lines] == [True, False, False, False]


def test_a_joint_search_has_one_loss():
    lines, *_ = searched("snas", epochs=1)
    assert "valid_loss" not in lines[0]
    assert 0 < lines[0]["train_accuracy"] <= 1


def test_the_reward_of_reinforce_is_taken_from_the_accuracy_that_is_logged():
    lines, *_ = searched("proxyless-reinforce", epochs=1, every=1, warmup=0.0)
    assert lines[0]["valid_accuracy"] == pytest.approx(1 - lines[0]["valid_loss"])


def test_the_rule_that_ends_a_search_says_what_it_went_by():
    lines, *_ = searched("darts-plus", epochs=50, skips=1, alpha_lr=0.2)
    assert [line["decision"] for line in lines] == ["go on"] * (len(lines) - 1) + ["stop"]
    assert [line["stop_reading"] for line in lines] == [line["skips"] for line in lines]
    assert lines[-1]["skips"] >= 1 > max((line["skips"] for line in lines[:-1]), default=0)


def test_a_search_that_returns_logs_the_epoch_it_came_from():
    lines, *_ = searched("darts-ada", epochs=16, factor=0.01, begin=0)
    back = [i for i, line in enumerate(lines) if line["decision"].startswith("return to epoch")]
    assert len(back) == 2
    for i in back:
        returned = int(lines[i]["decision"].split()[-1])
        assert lines[i]["epoch"] > returned
        assert lines[i + 1]["epoch"] == returned + 1
        assert lines[i]["curvature"] is not None


def test_decisions_are_words_that_count_epochs_from_one():
    decided = [StopDecision(), StopDecision(stop=True), StopDecision(stop=True, epoch=7), StopDecision(epoch=7)]
    assert [one.decision for one in decided] == ["go on", "stop", "stop, take epoch 8", "return to epoch 8"]
    assert Eigenvalue().growth((1.0,) * 6) is None
    assert Eigenvalue().growth((1.0,) * 5 + (2.0,) * 5) == pytest.approx(2.0 / 1.2)


def test_one_shot_searches_log_their_training_by_the_same_names():
    lines, *_ = searched("spos", epochs=2, population=4, generations=1, recalibrate=1)
    trained = [line for line in lines if line["epoch"] is not None]
    assert [line["epoch"] for line in trained] == [1, 2]
    assert all(0 <= line["train_accuracy"] <= 1 and line["train_loss"] > 0 for line in trained)


def test_a_whole_search_of_darts_cells_logs_a_few_dozen_kilobytes():
    from searchbench.cost import Cost
    from searchbench.results.columns import TraceColumns

    rng, traces = np.random.default_rng(0), TraceColumns()
    for epoch in range(50):
        weights = rng.dirichlet(np.ones(8), 28).T.round(4)
        line = {"epoch": epoch + 1, "train_loss": rng.random(), "valid_loss": rng.random(), "decision": "go on"}
        by_operation = {f"op{i}": row.tolist() for i, row in enumerate(weights)}
        traces.append(line | {"operation_weights": by_operation}, Cost(epochs=epoch, device_s=rng.random()))
    assert len(traces.to_bytes()) < 50 * 28 * 8 * 4  # four bytes a weight, all else included
