"""R-DARTS(DP): edges that are dropped as wholes, squares cut out of images, and what second order makes of both."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_lab import lab, scenario

from searchbench.errors import StudyError
from searchbench.estimators.augment import cutout, sometimes
from searchbench.spaces import SPACES
from searchbench.spaces.nasbench201.cells import plans
from searchbench.spaces.nasbench201.forms import FormedCell
from searchbench.spaces.nasbench201.space import OPERATIONS, nasbench201
from searchbench.spaces.networks import Mixed, initialise
from searchbench.spaces.topology import Form
from searchbench.strategies.differentiable import Cutout, DropPath, Eigenvalue, Unrolled
from searchbench.strategies.differentiable.papers import darts
from searchbench.strategies.differentiable.papers_robust import r_darts_dp

SKIP = OPERATIONS.index("skip_connect")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("epoch", "expected"), [(0, 0.0), (1, 0.2 / 49), (24, 0.2 * 24 / 49), (49, 0.2)])
def test_the_probability_rises_from_nothing_to_its_last_value(epoch, expected):
    assert DropPath(0.2).probability(epoch, 50) == pytest.approx(expected)


@pytest.mark.parametrize("part", [DropPath, Cutout])
def test_probabilities_out_of_range_are_refused(part):
    with pytest.raises(StudyError, match="must lie in"):
        part(-0.1)
    with pytest.raises(StudyError, match="must lie in"):
        part(1.1)


def test_an_edge_is_dropped_sample_by_sample_and_scaled_up_where_it_is_kept():
    cell = FormedCell(4, Form(drop_path=True))
    inputs = torch.rand((200, 4, 3, 3), generator=generator()) + 0.5
    only_to_output = tuple((SKIP,) if edge == 3 else () for edge in range(6))
    mixed = Mixed(torch.ones(6, 5).unbind(0), only_to_output, drop_path=0.25, noise=generator(1))
    factors = (cell(inputs, plans(only_to_output), mixed) / inputs).double().round(decimals=4).flatten(1)
    assert torch.allclose(factors, factors[:, :1].expand_as(factors))  # one fate for a whole sample
    assert factors[:, 0].unique().tolist() == [0.0, 1.3333]
    assert 0.65 < float((factors[:, 0] > 0).double().mean()) < 0.85


@pytest.mark.parametrize("space", ["nasbench201", "darts"])
def test_nothing_is_dropped_at_probability_nought_and_the_given_generator_decides_otherwise(space):
    built = (SPACES.factory(space)(channels=4, cells=3)).builder().supernet((1, 8, 8), 3, Form(drop_path=True))
    net = initialise(built, 0)
    weights = torch.full((len(net.options), net.options[0]), 1 / net.options[0])
    inputs, before = torch.randn((6, 1, 8, 8), generator=generator()), torch.get_rng_state()

    def logits(p, seed):
        return net(inputs, Mixed(weights, drop_path=p, noise=generator(seed)))

    assert torch.equal(logits(0.0, 1), logits(0.0, 2))
    assert torch.equal(logits(0.5, 1), logits(0.5, 1))
    assert not torch.allclose(logits(0.5, 1), logits(0.5, 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_search_that_drops_nothing_is_the_search_without_the_part():
    bare = replace(r_darts_dp(epochs=2, batch_size=16), extras=())
    found = []
    for strategy in (bare, replace(bare, extras=(DropPath(0.0), Cutout(0.0)))):
        metered = lab()
        search = strategy.start(metered.scenario)
        search.advance(metered), search.advance(metered)
        found.append(search._session.trained.alpha.detach())
    assert torch.allclose(*found, atol=1e-6)  # the form that can drop sums in another order


def test_both_sides_of_the_second_order_difference_drop_the_same_paths():
    metered = lab()
    search = r_darts_dp(epochs=3, batch_size=16, drop=0.5).start(metered.scenario)
    for _ in range(3):
        search.advance(metered)
    game, states = search._session.trained, []
    original = metered.gradients

    def gradients(net, batch, active, loss=None):
        states.append(active.noise.get_state())
        return original(net, batch, active, loss)

    metered.gradients = gradients
    batch = next(iter(metered.batches("train", 16)))
    Unrolled().fill(game, batch, batch)
    virtual, valid, one, other = states
    assert torch.equal(one, other)
    assert not torch.equal(virtual, valid)
    assert not torch.equal(valid, one)


def test_the_curvature_is_that_of_one_draw():
    strategy = replace(r_darts_dp(epochs=5, batch_size=16, drop=0.5), stop=Eigenvalue(begin=0))
    metered = lab()
    search = strategy.start(metered.scenario)
    for _ in range(3):
        search.advance(metered)
    drawn = search._session.trained.rng.get_state()
    first = search._curvature(search._session.trained)
    search._session.trained.rng.set_state(drawn)
    assert search._curvature(search._session.trained) == pytest.approx(first, rel=1e-4)


def test_some_samples_are_changed_and_the_others_are_not():
    images = torch.ones((400, 1, 8, 8))
    seen = sometimes(cutout, 0.3)(images, generator())
    share = float((seen.flatten(1).min(1).values == 0).double().mean())
    assert 0.2 < share < 0.4
    assert torch.equal(sometimes(cutout, 0.0)(images, generator()), images)
    assert not torch.equal(sometimes(cutout, 1.0)(images, generator())[0], images[0])


def test_both_players_see_images_with_squares_cut_out_ever_more_often():
    metered, holes = lab(), []
    original = metered.gradients

    def gradients(net, batch, active, loss=None):
        holes.append(float((batch.inputs == 0).flatten(1).any(1).double().mean()))
        return original(net, batch, active, loss)

    metered.gradients = gradients
    search = replace(darts(epochs=3, batch_size=40), extras=(Cutout(1.0),)).start(metered.scenario)
    for _ in range(3):
        search.advance(metered)
    assert holes[:2] == [0.0, 0.0]
    assert all(0 < share < 1 for share in holes[2:4])
    assert holes[4:] == [1.0, 1.0]


def test_it_is_second_order_with_the_papers_decay_and_is_skipped_where_it_cannot_run():
    strategy = r_darts_dp(drop=0.4)
    assert strategy.weights.weight_decay == 3e-4
    assert isinstance(strategy.hypergradient, Unrolled)
    assert strategy.form().changed == ("drop_path",)
    assert strategy.unsupported(scenario(space=nasbench201())) is None
    assert "no form with drop_path" in strategy.unsupported(scenario(space=SPACES.factory("macro")()))
    text = scenario(space=SPACES.factory("darts-rnn")())
    assert "read text" in replace(darts(), extras=(Cutout(),)).unsupported(text)
