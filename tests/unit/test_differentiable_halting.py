"""OLES: operations that stop learning one by one, beside the released comparison of gradients."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small_cells import rng
from test_differentiable_darts import cell_lab
from tiny_lab import SPACE, lab, scenario

from searchbench.errors import StudyError
from searchbench.harness.running.loop import drive
from searchbench.results.columns import read_traces
from searchbench.spaces import SPACES
from searchbench.spaces.darts.space import darts as darts_space
from searchbench.strategies.differentiable import OperationStop
from searchbench.strategies.differentiable.papers import darts
from searchbench.strategies.differentiable.papers_robust import darts_second_order, oles
from searchbench.strategies.differentiable.papers_sampled import snas


def gradients(seed):
    return [torch.randn(shape, generator=rng(seed), dtype=torch.float64) for shape in ((4, 3, 3, 3), (2, 4, 1, 1))]


def test_gradients_are_compared_as_wholes():
    trained, validated = gradients(1), gradients(2)
    flat = [torch.cat([part.flatten() for part in parts]) for parts in (trained, validated)]
    expected = float(flat[0] @ flat[1] / flat[0].norm() / flat[1].norm())
    assert OperationStop().similarity(trained, validated) == pytest.approx(expected)


def test_accumulated_gradients_are_compared_as_in_the_released_code():
    weights = [torch.zeros_like(part, requires_grad=True) for part in gradients(1)]
    slopes = dict(zip("tv", (gradients(1), gradients(2)), strict=True))
    sum((w * s).sum() for w, s in zip(weights, slopes["t"], strict=True)).backward()
    kept = [w.grad.detach().clone() for w in weights]
    # nothing is cleared before the step of the architecture, so its backward pass adds to what is there
    sum((w * s).sum() for w, s in zip(weights, slopes["v"], strict=True)).backward()
    found = [torch.cosine_similarity(w.grad, before, dim=0).mean() for w, before in zip(weights, kept, strict=True)]
    part = OperationStop(compared="accumulated")
    assert part.similarity(slopes["t"], slopes["v"]) == pytest.approx(float(sum(found)) / 2)


def test_an_operation_stops_where_the_mean_of_its_window_is_below_the_threshold():
    part = OperationStop(0.5, window=3)
    weights = [[torch.zeros(2, requires_grad=True)], [torch.zeros(2, requires_grad=True)]]
    game = SimpleNamespace(owned=weights, halted=None)
    part.begin(game)
    angles = [(1.0, 0.0), (0.3, 0.9), (0.4, 0.3), (0.0, 0.0), (0.1, 1.0), (0.1, 1.0)]  # cosines of either operation
    stopped = []
    for both in angles:
        game.halted.trained = [[torch.tensor([1.0, 0.0])] for _ in both]
        for (weight,), cosine in zip(weights, both, strict=True):
            weight.grad = torch.tensor([cosine, (1 - cosine**2) ** 0.5])
        part.compare(game)
        stopped.append(game.halted.stopped.tolist())
    # .57 and .4 over the first three; a new window for the one that goes on
    assert stopped == [[False, False]] * 2 + [[False, True]] * 3 + [[True, True]]


def test_what_has_stopped_keeps_its_weights_while_the_rest_and_the_logits_go_on():
    metered = lab()
    search = oles(epochs=3, batch_size=20, threshold=1.0, window=1).start(metered.scenario)
    search.advance(metered)
    game = search._session.trained
    assert bool(game.halted.stopped.all())
    owned = [[w.detach().clone() for w in weights] for weights in game.owned]
    alpha, everything = game.alpha.detach().clone(), [w.detach().clone() for w in game.weights]
    search.advance(metered)
    for weights, before in zip(game.owned, owned, strict=True):
        assert all(torch.equal(w, b) for w, b in zip(weights, before, strict=True))
    assert not torch.equal(game.alpha.detach(), alpha)
    assert not all(torch.equal(w, before) for w, before in zip(game.weights, everything, strict=True))
    assert read_traces(metered.traces.to_bytes()).to_pylist()[0]["halted"] == 12


def test_while_none_stops_it_is_darts_to_the_bit():
    found = []
    for strategy in (oles(epochs=2, batch_size=20, threshold=-1.0, window=1), darts(epochs=2, batch_size=20)):
        metered = lab()
        search = strategy.start(metered.scenario)
        drive(search, metered)
        found.append((search._session.trained, metered.spent.macs, metered.final.architecture))
    (one, macs, architecture), (other, same_macs, same) = found
    assert torch.equal(one.alpha, other.alpha)
    assert (macs, architecture) == (same_macs, same)
    assert all(torch.equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))


def test_supernets_say_whose_the_weights_are():
    cells = SPACE.builder().supernet((1, 5, 5), 3).owned()
    assert sorted((edge, op) for edge, op, _ in cells) == [(edge, op) for edge in range(6) for op in (2, 3)]
    net = darts_space(4, 3).builder().supernet((3, 8, 8), 4)
    owned = net.owned()
    assert len(owned) == 3 * 14 * 4
    assert {(edge, op) for edge, op, _ in owned} == {(edge, op) for edge in range(28) for op in (4, 5, 6, 7)}
    separable = net.cells[0].edges[3].operations["sep_conv_5x5"]
    assert any(weights[0] is next(separable.parameters()) for edge, op, weights in owned if (edge, op) == (3, 5))
    for edge, op, weights in cells:  # a path through an operation gives its weights a gradient, and those alone
        assert weights[0].shape[-1] == {2: 1, 3: 3}[op]
        assert edge < 6


def test_cells_of_darts_are_searched_too():
    metered = cell_lab(darts_space(4, 3))
    search = oles(epochs=1, batch_size=64, threshold=1.0, window=1).start(metered.scenario)
    search.advance(metered)
    assert int(search._session.trained.halted.stopped.sum()) > 100


def test_what_does_not_say_whose_its_weights_are_is_skipped():
    assert "do not say which weights are theirs" in oles().unsupported(scenario(space=SPACES.factory("macro")()))
    for other in (snas(), darts_second_order()):
        with pytest.raises(StudyError, match="which FirstOrder leaves"):
            replace(other, halt=OperationStop())
    with pytest.raises(StudyError, match="must lie in"):
        OperationStop(threshold=2.0)
    with pytest.raises(StudyError, match="compared"):
        OperationStop(compared="together")
