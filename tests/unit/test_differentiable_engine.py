"""What the loop of differentiable search sets, keeps and prices, looked at one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tiny_lab import VALID, lab

from searchbench.estimators.training import learning_rate
from searchbench.spaces.topology import Edge, Topology
from searchbench.strategies.differentiable import PartialChannels
from searchbench.strategies.differentiable.decided import decided, margins
from searchbench.strategies.differentiable.papers import darts, p_darts, pc_darts
from searchbench.strategies.differentiable.papers_robust import darts_pt
from searchbench.strategies.differentiable.papers_sampled import gdas


def begun(strategy):
    metered = lab()
    search = strategy.start(metered.scenario)
    return search, search._begin(metered), metered


def test_the_decay_of_the_weights_is_what_a_return_has_made_of_it():
    search, game, metered = begun(darts(epochs=2, batch_size=40))
    search._progress.decay = 7.0
    search.advance(metered)
    decay = search._settings.weights.weight_decay
    assert game.weight_optimizer.param_groups[0]["weight_decay"] == pytest.approx(7.0 * decay)


def test_the_rate_falls_within_each_stage_and_begins_anew_with_the_next():
    search, _, metered = begun(p_darts(epochs=4, batch_size=40, keep=(3, 1)))
    rates = []
    for _ in range(4):
        search.advance(metered)
        rates.append(search._session.trained.weight_optimizer.param_groups[0]["lr"])
    recipe = search._settings.weights.recipe(2)
    assert rates == pytest.approx([learning_rate(recipe, epoch) for epoch in (0, 1, 0, 1)])


def test_an_edge_that_was_settled_is_ranked_by_the_weights_that_settled_it():
    search, game, _ = begun(darts(epochs=2, batch_size=40))
    before = search._weights(game)
    search._progress.settled = {2: (0.1, 0.2, 0.3, 0.25, 0.15)}
    after = search._weights(game)
    assert after[2].tolist() == [0.1, 0.2, 0.3, 0.25, 0.15]
    assert np.array_equal(np.delete(after, 2, 0), np.delete(before, 2, 0))


def test_logits_begin_from_the_policys_own_stream():
    search, game, metered = begun(darts(epochs=2, batch_size=40))
    generator = torch.Generator().manual_seed(metered.scenario.seeds.torch_seed("policy", "alpha"))
    alphas = search._settings.alphas
    drawn = alphas.mean + alphas.scale * torch.randn(game.alpha.shape, generator=generator)
    assert torch.allclose(game.alpha.detach(), drawn)


def test_operations_are_ranked_by_the_product_with_the_weight_of_their_edge():
    search, game, _ = begun(pc_darts(epochs=2, batch_size=40, divisor=3))
    with torch.no_grad():
        game.beta.copy_(torch.arange(6.0))
    edges = torch.cat([game.beta[rows].softmax(0) for rows in search._topology.nodes()]).detach()
    expected = game.alpha.softmax(-1).detach() * edges[:, None]
    assert search._weights(game) == pytest.approx(expected.double().numpy())


def test_edges_weigh_by_their_node_in_whatever_order_they_are_listed():
    mixed = Topology(tuple(Edge("cell", target, source) for source in (0, 1) for target in (3, 2)), ("a", "b"))
    beta = torch.tensor([0.0, 1.0, 3.0, -1.0])
    weights = PartialChannels(4).weights(beta, mixed)
    assert torch.allclose(weights[[0, 2]], beta[[0, 2]].softmax(0))
    assert torch.allclose(weights[[1, 3]], beta[[1, 3]].softmax(0))


def test_on_the_weights_turn_logits_and_edges_are_constants():
    _, game, _ = begun(pc_darts(epochs=2, batch_size=40, divisor=3))
    for phase, learns in (("w", False), ("alpha", True)):
        mixture = game.mixture(phase)
        assert mixture.edges.requires_grad is learns
        assert mixture.weights[0].requires_grad is learns


def test_what_is_measured_once_is_priced_in_equal_shares_over_the_epochs():
    search, game, _ = begun(darts_pt(epochs=6, batch_size=40))
    looks = 6 * 4 * VALID  # each operation of each edge but `none` is left out once
    assert [search._epoch_price(game, epochs).inference_samples for epochs in (1, 6)] == [looks, looks / 6]


def test_costs_of_operations_and_what_is_fixed_add_up_to_the_networks():
    _, game, _ = begun(darts(epochs=2, batch_size=40))
    assert game.costs.amin(1).tolist() == [0.0] * 6
    for path in itertools.islice(itertools.product(range(5), repeat=6), 0, 15_625, 997):
        chosen = torch.nn.functional.one_hot(torch.tensor(path), 5)
        assert float((chosen * game.costs).sum()) + game.fixed_cost == game.supernet.macs(path)


def test_pricing_a_step_draws_nothing_from_the_search():
    _, game, _ = begun(gdas(epochs=2, batch_size=40))
    before = game.rng.get_state()
    game.price("alpha", train=8)
    assert torch.equal(game.rng.get_state(), before)


def test_a_restored_lab_goes_on_with_the_next_pass_over_each_split():
    first, second = lab(), lab()
    for split in ("train", "train", "valid"):
        next(first.batches(split, 8))
    second.load_state_dict(first.state_dict())
    for split in ("train", "valid"):
        mine, restored = (next(one.batches(split, 8)).targets for one in (first, second))
        assert torch.equal(mine, restored)
        assert not torch.equal(mine, next(lab().batches(split, 8)).targets)


def test_margin_and_noise_are_of_the_two_that_lead_in_the_end_without_what_is_left_out():
    mask = torch.ones(1, 3, dtype=torch.bool)
    walk = [torch.tensor([[5.0, 1.0, 0.9]]), torch.tensor([[5.0, 0.6, 1.0]]), torch.tensor([[5.0, 0.2, 0.9]])]
    found = decided(500, margins(walk, mask, 0))
    assert found["margin"] == pytest.approx(0.7)
    assert found["noise"] == pytest.approx(np.std([-0.1, 0.4, 0.7]))
    assert decided(500, margins(walk, mask, None))["margin"] == pytest.approx(4.1)
