"""Differentiable search on the DARTS space: what each relaxation executes, and parts that do nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_differentiable_resume import cell_lab

from searchbench.spaces.darts import supernet as darts_supernet
from searchbench.spaces.darts.space import EDGES, darts
from searchbench.spaces.darts.supernet import MixedCell
from searchbench.spaces.topology import Form
from searchbench.strategies.differentiable import (
    AuxiliarySkip,
    Differentiable,
    Milestones,
    PartialChannels,
    Proximity,
    Softmax,
    papers_prime,
)
from searchbench.strategies.differentiable import papers as first_order
from searchbench.strategies.differentiable.discretise import path_of
from searchbench.strategies.differentiable.papers_sampled import gdas, nasp, proxyless
from searchbench.strategies.differentiable.turn import Turn

SPACE = darts(4, 3)


@pytest.fixture
def executed(monkeypatch):
    """How many operations were run, counted where they are run; `none` never is."""
    runs = []
    convolved, plain = darts_supernet.convolved, MixedCell._plain
    monkeypatch.setattr(
        darts_supernet, "convolved", lambda run, *a: (runs.append(len(run.modules)), convolved(run, *a))[1]
    )
    monkeypatch.setattr(
        MixedCell, "_plain", lambda self, modules, *a: (runs.append(len(modules)), plain(self, modules, *a))[1]
    )
    return runs


def begun(strategy):
    metered = cell_lab(SPACE)
    return strategy.start(metered.scenario)._begin(metered), metered


@pytest.mark.parametrize(
    ("strategy", "phase", "per_edge"),
    [
        (first_order.darts(2, 16), "w", 8),
        (first_order.darts(2, 16), "alpha", 8),
        (first_order.fair_darts(2, 16), "w", 7),
        (gdas(2, 16), "w", 1),
        (gdas(2, 16), "alpha", 1),
        (proxyless(2, 16), "w", 1),
        (proxyless(2, 16), "alpha", 2),
        (proxyless(2, 16, mode="full"), "alpha", 8),
        (nasp(2, 16), "alpha", 8),
    ],
    ids=lambda value: type(value.relax).__name__ if isinstance(value, Differentiable) else str(value),
)
def test_every_edge_runs_as_many_operations_as_its_relaxation_says(executed, strategy, phase, per_edge):
    game, metered = begun(strategy)
    mixture = game.mixture(phase)
    active = mixture.active or (tuple(range(8)),) * 28
    assert [len(ops) for ops in active] == [per_edge] * 28
    game.supernet(next(metered.batches("train", 4)).inputs, mixture)
    by_type = [sum(op != 0 for ops in active[14 * at :][:14] for op in ops) for at in range(2)]
    assert sum(executed) == by_type[0] + 2 * by_type[1]  # of three cells the second and third are reductions


def test_the_proximal_step_of_the_weights_runs_eight_operations_in_every_cell(executed):
    game, metered = begun(nasp(2, 16))
    with torch.no_grad():
        game.alpha.copy_(torch.rand(28, 8, generator=torch.Generator().manual_seed(0)))
        game.alpha[:, 0] = 0.0  # no `none` among what is taken
    game.supernet(next(metered.batches("train", 4)).inputs, game.mixture("w"))
    assert sum(executed) == 3 * 8


def test_clipped_weights_run_what_is_not_pruned(executed):
    game, metered = begun(papers_prime.darts_cs(2, 16, clipped=True))
    assert int(game.mask.sum()) == 28 * 7
    game.mask[0, 1:4] = False
    game.mask[20, 4] = False
    game.supernet(next(metered.batches("train", 4)).inputs, game.mixture("w"))
    assert sum(executed) == (14 * 7 - 3) + 2 * (14 * 7 - 1)


def test_of_two_paths_only_the_active_one_gets_a_gradient():
    game, metered = begun(proxyless(2, 16))
    mixture = game.mixture("alpha")
    game.supernet(next(metered.batches("train", 8)).inputs, mixture).square().sum().backward()
    drawn = torch.stack(list(mixture.weights)).argmax(1).tolist()
    touched = 0
    for cell in game.supernet.cells:
        for edge in range(len(EDGES)):
            at = len(EDGES) * cell.reduction + edge
            for name, module in cell.edges[edge].operations.items():
                grads = [w.grad for w in module.parameters() if w.grad is not None and bool(w.grad.any())]
                assert not grads or SPACE.wiring.operations[drawn[at]] == name
                touched += bool(grads)
    assert touched > 10


# -- parts that do nothing ---------------------------------------------------------


def alphas_after(strategy, told):
    metered = cell_lab(SPACE)
    search = strategy.start(told)
    search.advance(metered), search.advance(metered)
    weights = {
        name: w.detach() for name, w in search._session.trained.supernet.named_parameters() if "skips" not in name
    }
    return search._session.trained.alpha.detach(), weights


@pytest.mark.parametrize(
    "part",
    [{"regularise": (Proximity(0.0),)}, {"extras": (AuxiliarySkip(0.0),)}, {"prune": Milestones(warmup=0.99)}],
    ids=["PR of rho 0", "auxiliary skip of beta 0", "full masks"],
)
def test_a_part_that_does_nothing_reproduces_darts_to_the_bit(part):
    host, told = first_order.darts(epochs=3, batch_size=8), cell_lab(SPACE).scenario
    one, two = alphas_after(host, told), alphas_after(replace(host, **part), told)
    assert torch.equal(one[0], two[0])
    assert one[1].keys() == two[1].keys()
    assert all(torch.equal(one[1][name], two[1][name]) for name in one[1])


def test_partial_channels_of_one_with_equal_edges_are_darts_up_to_the_in_degree():
    game, metered = begun(first_order.darts(2, 16))
    topology, inputs = SPACE.wiring, next(metered.batches("train", 8)).inputs
    alpha = torch.randn((28, 8), generator=torch.Generator().manual_seed(0))
    mixture = Softmax().mixture(alpha, Turn())
    dressed = PartialChannels(1).dress(mixture, torch.zeros(28), topology)
    for at, (plain, weighed) in enumerate(zip(mixture.weights, dressed.weights, strict=True)):
        assert torch.allclose(weighed * topology.edges[at].target, plain)
    scaled = torch.stack(list(dressed.weights)) * torch.tensor([edge.target for edge in topology.edges]).unsqueeze(1)
    logits, again = game.supernet(inputs, mixture), game.supernet(inputs, replace(mixture, weights=scaled))
    assert torch.allclose(logits, again, atol=1e-5)
    assert PartialChannels(1).form(Form()) == Form()


def test_edges_of_partial_channels_are_ranked_by_the_product_of_both_softmaxes():
    strategy = first_order.pc_darts(2, 8, divisor=2)
    metered = cell_lab(SPACE)
    search = strategy.start(metered.scenario)
    game = search._begin(metered)
    with torch.no_grad():
        game.alpha.zero_()
        game.alpha[:, 4] = 1.0  # all edges alike, but for their own weights
        game.beta.zero_()
        game.beta[[2, 4]] = 1.0  # of node 3 the edges from 0 and 2
        game.beta[14 + 11] = 3.0  # of node 5 of the reduction cell the edge from 2
    alpha, beta, weights = game.alpha.detach(), game.beta.detach(), search._weights(game)
    assert weights[2, 4] == pytest.approx(float(alpha[2].softmax(0)[4] * beta[2:5].softmax(0)[0]))
    path = path_of(search._chosen(game), SPACE.wiring)
    assert [path[at] for at in (2, 3, 4)] == [4, 0, 4]
    assert path[14 + 11] == 4
