from __future__ import annotations

import io
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from tiny_lab import SPACE, TRAIN, lab, scenario

from searchbench.cost import Budget
from searchbench.errors import BudgetExhausted, StudyError
from searchbench.harness.running.loop import drive
from searchbench.spaces.choices import Choice
from searchbench.spaces.nasbench201.space import OPERATIONS
from searchbench.spaces.space import Space
from searchbench.strategies.differentiable import AlphaTraining, Alternate, ArgmaxPerEdge, Softmax
from searchbench.strategies.differentiable.discretise import path_of
from searchbench.strategies.differentiable.papers import darts
from searchbench.strategies.differentiable.turn import Turn
from searchbench.strategies.supernet import SupernetTraining


def begun(strategy=None, **budget):
    """A search after its first epoch, with its lab."""
    strategy = strategy or darts(epochs=3, batch_size=16)
    metered = lab(Budget(**budget) if budget else None)
    search = strategy.start(metered.scenario)
    search.advance(metered)
    return search, metered


def run(strategy, **budget):
    metered = lab(Budget(**budget) if budget else None)
    search = strategy.start(metered.scenario)
    ended = drive(search, metered)
    return search, metered, ended


# -- parts ------------------------------------------------------------


def test_softmax_weights_are_positive_and_sum_to_one_per_decision():
    alpha = torch.randn((6, 5), generator=torch.Generator().manual_seed(0))
    weights = Softmax().weights(alpha, Turn())
    assert torch.allclose(weights.sum(-1), torch.ones(6))
    assert (weights > 0).all()
    mixture = Softmax().mixture(alpha, Turn())
    assert torch.equal(torch.stack(list(mixture.weights)), weights)
    assert mixture.active is None


def test_argmax_keeps_none_where_it_is_allowed_and_gives_ties_to_the_lower_index():
    weights = np.array([[0.6, 0.1, 0.1, 0.1, 0.1], [0.1, 0.4, 0.1, 0.4, 0.0]] * 3)
    assert path_of(ArgmaxPerEdge("allowed").choose(weights, SPACE.topology), SPACE.topology) == (0, 1) * 3
    assert path_of(ArgmaxPerEdge().choose(weights, SPACE.topology), SPACE.topology) == (1, 1) * 3


def test_an_impossible_order_is_refused():
    with pytest.raises(StudyError, match="order"):
        Alternate(("w",))
    assert darts(order=["alpha", "w"]).schedule == Alternate(("alpha", "w"))


# -- where it may run ------------------------------------------------------------


def test_it_is_refused_where_no_supernet_can_be_trained():
    assert "needs an estimator that trains" in darts().unsupported(scenario(trains=False))
    table = Space("plain", (Choice("a", (0, 1)),))
    assert "no networks" in darts().unsupported(scenario(space=table))
    assert darts().unsupported(scenario()) is None


def test_open_epochs_are_refused_where_the_budget_does_not_price_an_epoch():
    assert "`epochs` must be given" in darts().unsupported(scenario(Budget(evaluations=10)))
    assert darts(epochs=2).unsupported(scenario(Budget(evaluations=10))) is None


# -- the two players ------------------------------------------------------------


def test_the_weight_optimizer_holds_every_weight_and_never_alpha():
    search, _ = begun()
    game = search._session.trained
    held = {id(p) for group in game.weight_optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in game.supernet.parameters()}
    assert id(game.alpha) not in held
    assert [p for group in game.alpha_optimizer.param_groups for p in group["params"]] == [game.alpha]


def test_a_weight_step_moves_weights_only_and_an_alpha_step_moves_alpha_only():
    search, metered = begun()
    game = search._session.trained
    train = next(metered.batches("train", 16))
    valid = next(metered.batches("valid", 16))
    snapshot = lambda: (game.alpha.detach().clone(), [p.detach().clone() for p in game.weights])  # noqa: E731
    alpha, weights = snapshot()
    search._weight_step(game, train)
    after_alpha, after_weights = snapshot()
    assert torch.equal(alpha, after_alpha)
    assert any(not torch.equal(a, b) for a, b in zip(weights, after_weights, strict=True))
    search._alpha_step(game, train, valid)
    last_alpha, last_weights = snapshot()
    assert not torch.equal(after_alpha, last_alpha)
    assert all(torch.equal(a, b) for a, b in zip(after_weights, last_weights, strict=True))


def test_the_gradient_of_alpha_is_that_of_the_validation_loss_alone():
    search, metered = begun()
    game = search._session.trained
    train, valid = next(metered.batches("train", 16)), next(metered.batches("valid", 16))
    search._weight_step(game, train)
    game.alpha.grad = torch.full_like(game.alpha, 100.0)  # left over from anywhere: must not be added to
    alpha = game.alpha.detach().clone()
    search._alpha_step(game, train, valid)
    logits_of = lambda a: game.supernet(valid.inputs, game.relax.mixture(a, Turn()))  # noqa: E731
    alpha.requires_grad_()
    expected = torch.autograd.grad(torch.nn.functional.cross_entropy(logits_of(alpha), valid.targets), alpha)[0]
    assert torch.allclose(game.alpha.grad, expected, atol=1e-6)
    assert game.alpha.grad.abs().max() > 0


def test_the_alpha_step_sees_the_old_weights_if_it_comes_first():
    first, second = (run(darts(epochs=1, batch_size=16, order=order))[0] for order in (("alpha", "w"), ("w", "alpha")))
    assert not torch.equal(first._session.trained.alpha, second._session.trained.alpha)
    assert not torch.equal(first._session.trained.weights[0], second._session.trained.weights[0])


def test_alpha_gets_decay_and_momentum_of_its_own_optimiser_only():
    optimizer = AlphaTraining().optimizer([torch.zeros(2, requires_grad=True)])
    (group,) = optimizer.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-4, (0.5, 0.999), 1e-3)


def test_the_rate_of_the_weights_falls_along_the_cosine():
    training = SupernetTraining()
    optimizer = training.optimizer([torch.nn.Parameter(torch.zeros(2))])
    rates = []
    for epoch in (0, 1, 25, 49):
        training.set_rate(optimizer, epoch, 50)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.025, 0.0249763, 0.013, 0.0010237], rel=1e-4)


def test_weights_without_a_gradient_get_neither_momentum_nor_decay():
    used, unused = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = SupernetTraining().optimizer([used, unused])
    reference = torch.optim.SGD(
        [clone := torch.nn.Parameter(torch.ones(2))], lr=0.025, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    for _ in range(3):
        used.grad, clone.grad = torch.full((2,), 0.3), torch.full((2,), 0.3)
        optimizer.step(), reference.step()
    assert torch.allclose(used, clone)
    assert torch.equal(unused, torch.ones(2))


# -- budget and record ------------------------------------------------------------


@pytest.mark.parametrize(
    "budget", [{"epochs": 6.5}, {"samples": 400.0}, {"macs": 60e6}, {"samples": 400.0, "epochs": 100.0}]
)
def test_open_epochs_fill_the_budget_without_overspending(budget):
    search, metered, ended = run(darts(batch_size=16), **budget)
    assert ended == "finished"
    per_epoch = replace_cost(metered.spent, search._session.epochs)
    assert search._session.epochs >= 2
    assert metered.affordable(per_epoch) == 0  # not one more epoch would fit


def replace_cost(spent, epochs):
    return replace(
        spent,
        epochs=spent.epochs / epochs,
        train_samples=spent.train_samples // epochs,
        macs=spent.macs // epochs,
        device_s=0.0,
        host_s=0.0,
    )


def test_an_epoch_charges_both_players_all_active_operations():
    search, metered = begun(darts(epochs=1, batch_size=16))
    macs = search._session.trained.supernet.macs(search._session.trained.mixture("w"))
    sizes = [16, 16, 8], [16, 8, 16]  # train batches; validation batches, the split of 24 begun anew
    samples = sum(map(sum, sizes))
    assert metered.spent.train_samples == samples
    assert metered.spent.macs == 3 * samples * macs
    assert metered.spent.evaluations == metered.spent.inference_samples == 0


def test_it_recommends_after_every_epoch_and_when_the_budget_ends_within_one():
    _, metered, ended = run(darts(epochs=5, batch_size=16), samples=2.5 * 80)
    assert ended == "budget"
    assert metered.final.architecture in SPACE
    assert metered.spent.samples <= 200
    search = darts(epochs=5, batch_size=16).start(metered.scenario)
    tight = lab(Budget(samples=20))
    with pytest.raises(BudgetExhausted):
        search.advance(tight)
    assert tight.final is not None


def test_what_it_recommends_is_the_heaviest_operation_of_every_edge():
    search, metered, _ = run(replace(darts(epochs=3, batch_size=16), alphas=AlphaTraining(lr=0.05)))
    heaviest = (search._session.trained.alpha[:, 1:].argmax(-1) + 1).tolist()  # of those that carry something
    assert metered.final.architecture.values == tuple(OPERATIONS[option] for option in heaviest)


def test_both_players_improve():
    strategy = replace(darts(epochs=12, batch_size=16, lr=0.1), alphas=AlphaTraining(lr=0.05))
    metered = lab()
    traced = []
    metered.log = lambda **values: traced.append(values)
    drive(strategy.start(metered.scenario), metered)
    assert [row["epoch"] for row in traced] == list(range(1, 13))
    assert traced[-1]["train_loss"] < 0.7 * traced[0]["train_loss"]
    assert traced[-1]["valid_loss"] < traced[0]["valid_loss"]
    assert traced[0]["entropy"] == pytest.approx(np.log(5), abs=0.02)
    assert traced[-1]["entropy"] < traced[0]["entropy"]
    assert all(0 <= row["skips"] <= 6 for row in traced)


# -- repeatable and resumable ------------------------------------------------------------


def outcome(search, metered):
    spent = metered.spent
    tensors = [
        search._session.trained.alpha.detach(),
        *(p.detach() for p in search._session.trained.supernet.state_dict().values()),
    ]
    return tensors, str(metered.final.architecture), (spent.train_samples, spent.macs, spent.epochs)


def assert_same(one, other):
    assert one[1:] == other[1:]
    assert all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True))


def test_the_same_seed_gives_the_same_search_bit_for_bit():
    one, two = (outcome(*run(darts(epochs=2, batch_size=16))[:2]) for _ in range(2))
    assert_same(one, two)


def test_a_search_continued_from_a_checkpoint_equals_the_uninterrupted_one_bit_for_bit():
    strategy = darts(batch_size=16)
    uninterrupted = run(strategy, samples=400)
    first = lab(Budget(samples=400))
    search = strategy.start(first.scenario)
    search.advance(first), search.advance(first)
    file = io.BytesIO()
    torch.save({"search": search.state_dict(), "lab": first.state_dict()}, file)
    search.advance(first)  # what happens after the checkpoint must not reach it
    file.seek(0)
    state = torch.load(file, weights_only=False)
    second = lab(Budget(samples=400))
    continued = strategy.start(second.scenario)
    continued.load_state_dict(state["search"])
    second.load_state_dict(state["lab"])
    assert not continued.done
    drive(continued, second)
    assert_same(outcome(*uninterrupted[:2]), outcome(continued, second))


def test_a_checkpoint_taken_right_after_loading_one_is_the_same():
    search, metered = begun()
    state = search.state_dict()
    loaded = darts(epochs=3, batch_size=16).start(metered.scenario)
    loaded.load_state_dict(state)
    again = loaded.state_dict()
    assert again["session"]["epoch"] == state["session"]["epoch"] == 1
    assert torch.equal(again["session"]["trained"]["alpha"], state["session"]["trained"]["alpha"])


def test_every_training_batch_is_used_once_per_epoch():
    metered = lab()
    seen = []
    original = metered.gradients

    def gradients(net, batch, active, loss=None):
        if not any(row.requires_grad for row in active.weights):  # the weights' turn
            seen.append(len(batch))
        return original(net, batch, active, loss)

    metered.gradients = gradients
    darts(epochs=1, batch_size=16).start(metered.scenario).advance(metered)
    assert sum(seen) == TRAIN


@dataclass(frozen=True)
class Watching(Alternate):
    """Writes down the squared norms it is told."""

    told: list = field(default_factory=list, compare=False)
    watches = True

    def fresh(self):
        return None

    def observe(self, memory, squared_norm):
        self.told.append(squared_norm)


def norms_told(clip):
    schedule = Watching()
    strategy = replace(darts(epochs=1, batch_size=16), schedule=schedule)
    begun(replace(strategy, weights=replace(strategy.weights, clip=clip)))
    return schedule.told


def test_a_schedule_is_told_the_norm_of_the_gradient_before_it_is_clipped():
    free, clipped = norms_told(None), norms_told(1e-4)
    assert clipped[0] == free[0] > 1e-2
    assert min(clipped) > 1e-2


def test_minibatches_come_in_another_order_in_every_epoch_and_the_same_in_every_run():
    def orders():
        metered, seen = lab(), []
        original = metered.batches

        def batches(split, batch_size, share=(0.0, 1.0)):
            for batch in original(split, batch_size, share):
                seen[-1].append((split, batch.targets.tolist()))
                yield batch

        metered.batches = batches
        search = darts(epochs=3, batch_size=16).start(metered.scenario)
        while not search.done:
            seen.append([])
            search.advance(metered)
        return [[[t for s, t in epoch if s == split] for split in ("train", "valid")] for epoch in seen]

    first = orders()
    assert first == orders()
    for split in (0, 1):
        assert len({str(epoch[split]) for epoch in first}) == 3
