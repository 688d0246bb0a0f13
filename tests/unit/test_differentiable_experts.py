"""Experts, bandits, annealing, groups, finalists and Shapley values, beside the papers' equations written out."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_cells import DARTS_LIKE, SMALL, WEIGHTS, rng
from tiny_lab import lab, scenario

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.declared.components import describe
from searchbench.harness.running.loop import drive
from searchbench.results.columns import read_traces
from searchbench.spaces.darts.space import darts as darts_space
from searchbench.spaces.networks import Mixed
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable import (
    AlphaTraining,
    AnnealedSoftmax,
    Assigned,
    BelowShare,
    ByRank,
    Differentiable,
    Exp3,
    ExpertAdvice,
    Exponentiated,
    Finalists,
    Groups,
    LinearCredit,
    Shapley,
    SpaceRule,
    Template,
    Wipeout,
    ZeroOne,
)
from searchbench.strategies.differentiable.game import Game
from searchbench.strategies.differentiable.pace import Pace
from searchbench.strategies.differentiable.papers import darts
from searchbench.strategies.differentiable.papers_experts import asap, manas, manas_ls, setn, stacnas, xnas
from searchbench.strategies.differentiable.turn import Moment, Turn


def steps_of(update, alpha, lr=1.0):
    return AlphaTraining(lr=lr, update=update).optimizer([alpha])


# -- XNAS ------------------------------------------------------------------------------------------------------------


def losses(seed, rounds, experts):
    """Of each round, the slopes <dL/dp, f_o> of two edges' operations, within [-1, 1]."""
    return 2 * torch.rand((rounds, 2, experts), generator=rng(seed), dtype=torch.float64) - 1


def algorithm_1(slopes, eta, bound):
    """Weights v and who is left after each round, as the paper's Algorithm 1 has them, edge by edge."""
    rounds, edges, experts = slopes.shape
    v = np.ones((edges, experts))
    left = [set(range(experts)) for _ in range(edges)]
    found = []
    for t in range(1, rounds + 1):
        for edge in range(edges):
            for i in left[edge]:
                v[edge, i] *= math.exp(-eta * float(slopes[t - 1, edge, i]))
            threshold = max(v[edge, i] for i in left[edge]) * math.exp(-2 * eta * bound * (rounds - t))
            left[edge] = {i for i in left[edge] if v[edge, i] >= threshold * (1 - 1e-9)}
        found.append([set(edge) for edge in left])
    return v, found


@pytest.mark.parametrize("seed", range(4))
def test_experts_grow_and_are_wiped_out_as_in_the_published_algorithm(seed):
    rounds, eta = 30, 0.3
    slopes = losses(seed, rounds, 4)
    alpha = torch.zeros(2, 4, dtype=torch.float64, requires_grad=True)
    mask, part, step = torch.ones(2, 4, dtype=torch.bool), Wipeout(), steps_of(Exponentiated(1.0), alpha, eta)
    topology = SimpleNamespace(none=None)
    v, left = algorithm_1(slopes, eta, 1.0)
    for t in range(rounds):
        alpha.grad = None
        mixture = ExpertAdvice().mixture(alpha, Turn(mask=mask))
        assert torch.allclose(torch.stack(list(mixture.weights)).detach().sum(1), torch.ones(2, dtype=torch.float64))
        (torch.stack(list(mixture.weights)) * slopes[t]).sum().backward()
        step.step()
        mask = part.after_step(alpha, mask, topology, eta * (rounds - 1 - t))
        assert [set(row.nonzero().flatten().tolist()) for row in mask] == left[t]
    assert [len(edge) for edge in left[-1]] == [1, 1]
    assert np.allclose(alpha.detach().exp().numpy()[mask.numpy()], v[mask.numpy()])
    assert any(len(edge) < 4 for edge in left[-4])  # some are out before the end


def test_who_is_wiped_out_could_not_have_won_whatever_had_come():
    alpha = torch.tensor([[0.0, -1.1, -0.9]])
    mask = Wipeout().after_step(alpha, torch.ones(1, 3, dtype=torch.bool), SimpleNamespace(none=None), ahead=0.5)
    assert mask.tolist() == [[True, False, True]]  # -0.9 + 0.5 > 0 - 0.5, but -1.1 + 0.5 < 0 - 0.5


def test_nothing_else_being_left_the_heaviest_other_than_none_stays():
    alpha = torch.tensor([[5.0, -1.0, -0.9]])
    mask = Wipeout().after_step(alpha, torch.ones(1, 3, dtype=torch.bool), SMALL, ahead=0.0)
    assert mask.tolist() == [[True, False, True]]


def test_rewards_beyond_the_bound_are_cut_to_it():
    alpha = torch.zeros(2, requires_grad=True)
    alpha.grad = torch.tensor([-7.0, 0.5])
    steps_of(Exponentiated(1.0), alpha, 0.1).step()
    assert alpha.tolist() == pytest.approx([0.1, -0.05])


def test_the_rate_of_experts_goes_with_the_root_of_the_rounds():
    settings = xnas().alphas
    assert settings.lr == pytest.approx(math.sqrt(2 * math.log(8) / 19_550), abs=1e-4)
    shorter = settings.at(Pace(10, 20, 200))
    assert shorter.lr == pytest.approx(math.sqrt(2 * math.log(8) / 200), rel=0.01)
    assert manas().alphas.at(Pace(10, 20, 200)).lr == pytest.approx(math.sqrt(2 * math.log(8) / 8 / 200), rel=0.01)


# -- ASAP ------------------------------------------------------------------------------------------------------------


def test_the_temperature_is_that_of_the_paper_in_fifty_epochs():
    relax = AnnealedSoftmax()
    alpha = torch.randn((3, 5), generator=rng(1), dtype=torch.float64)
    for epoch in (0, 9, 10, 49):
        weights = relax.weights(alpha, Turn(moment=Moment(epoch, 50)))
        assert torch.allclose(weights, (alpha / (1.6 * 0.95**epoch)).softmax(-1))


def test_the_logits_rest_while_the_temperature_is_above_one():
    steps = [asap().schedule.steps(Moment(epoch, 50, 0, 10), None)[0] for epoch in range(50)]
    assert ["alpha" in phases for phases in steps] == [1.6 * 0.95**epoch < 1 for epoch in range(50)]


def test_operations_leave_that_weigh_less_than_a_share_of_the_even_weight():
    weights = torch.tensor([[0.13, 0.12, 0.75], [0.98, 0.01, 0.01], [0.2, 0.3, 0.5]])
    mask = torch.tensor([[True] * 3, [True] * 3, [False, True, True]])
    kept = BelowShare(0.4).after_epoch(weights, mask, 0, 10, SMALL)  # below 0.4/3 = .133
    # `none`, the first, does not stay alone
    assert kept.tolist() == [[False, False, True], [True, True, False], [False, True, True]]


# -- MANAS -----------------------------------------------------------------------------------------------------------


def table_lab(values, draws):
    """A lab whose loss is a function of the path alone."""

    def infer(supernet, batch, path):
        draws.append(path)
        loss = values(path)
        return torch.tensor([[0.0, math.log(math.expm1(loss))]], dtype=torch.float64)  # cross-entropy with class 0

    return SimpleNamespace(infer=infer)


def bandits(relax, alpha, values):
    draws, generator = [], rng(5)
    game = SimpleNamespace(lab=table_lab(values, draws), supernet=None, alpha=alpha, credit=None, noted={})
    game.noted["alpha"] = SimpleNamespace(count=lambda *_: None)
    game.activated = lambda: relax.weights(alpha, Turn(rng=generator))
    game.mixture = lambda phase: relax.mixture(alpha, Turn(phase, generator))
    return game, SimpleNamespace(targets=torch.tensor([0])), draws


def test_credit_of_a_bandit_is_the_loss_over_the_probability_and_unbiased():
    worth = [[0.5, 1.0, 2.0], [0.3, 0.1, 0.2]]
    alpha = torch.tensor([[0.0, 0.5, -0.5], [1.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    game, batch, draws = bandits(manas().relax, alpha, lambda path: sum(worth[e][o] for e, o in enumerate(path)))
    policy, total = alpha.detach().softmax(-1), torch.zeros(2, 3, dtype=torch.float64)
    for _ in range(4000):
        alpha.grad = None
        loss, _ = Exp3().fill(game, None, batch)
        for edge, option in enumerate(draws[-1]):
            assert float(alpha.grad[edge, option]) == pytest.approx(loss / float(policy[edge, option]))
        assert int((alpha.grad != 0).sum()) == 2
        total += alpha.grad
    others = [sum(float(policy[1 - e, o]) * worth[1 - e][o] for o in range(3)) for e in range(2)]
    expected = torch.tensor([[worth[e][o] + others[e] for o in range(3)] for e in range(2)], dtype=torch.float64)
    assert torch.allclose(total / 4000, expected, rtol=0.12)


def test_policies_of_bandits_are_softmaxes_of_minus_their_blame():
    blame, eta = torch.tensor([[3.0, 1.0, 0.0]]), 0.2
    alpha = torch.zeros(1, 3, requires_grad=True)
    for part in (0.25, 0.75):
        alpha.grad = part * blame
        steps_of(Exponentiated(), alpha, eta).step()
    assert torch.allclose(manas().relax.weights(alpha, Turn()), (-eta * blame).softmax(-1))


def test_least_squares_share_a_linear_loss_out_among_the_operations():
    worth = torch.tensor([[0.5, 1.0, 2.0], [0.3, 0.1, 0.7]], dtype=torch.float64)
    alpha = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    game, batch, draws = bandits(ByRank(), alpha, lambda path: float(sum(worth[e, o] for e, o in enumerate(path))))
    step = steps_of(Assigned(), alpha)
    for _ in range(40):
        LinearCredit().fill(game, None, batch)
        step.step()
    rows = np.zeros((len(draws), 6))
    for at, path in enumerate(draws):
        rows[at, [0 + path[0], 3 + path[1]]] = 1
    seen = [float(sum(worth[e, o] for e, o in enumerate(path))) for path in draws]
    expected = np.linalg.lstsq(rows, np.array(seen), rcond=None)[0].reshape(2, 3)
    assert np.allclose(-alpha.detach().numpy(), expected, atol=1e-6)
    gaps = -alpha.detach() - worth
    assert torch.allclose(gaps, gaps[:, :1].expand(2, 3), atol=1e-6)  # known but for what edges share


def test_draws_by_rank_follow_zipfs_law():
    alpha = torch.tensor([[0.1, 3.0, -2.0], [0.0, 0.0, 1.0]])
    h = 1 + 1 / 2 + 1 / 3
    assert torch.allclose(ByRank().shares(alpha, Turn()), torch.tensor([[0.5, 1, 1 / 3], [0.5, 1 / 3, 1]]) / h)
    turn = Turn("w", rng(3))
    paths = [ByRank().mixture(alpha, turn).active[0][0] for _ in range(2000)]
    assert np.bincount(paths) / 2000 == pytest.approx(np.array([0.5, 1, 1 / 3]) / h, abs=0.03)
    pruned = ByRank().shares(alpha, Turn(mask=torch.tensor([[True, False, True], [True, True, True]])))
    assert torch.allclose(pruned[0], torch.tensor([2 / 3, 0.0, 1 / 3]))


def test_credit_and_draws_go_together():
    with pytest.raises(StudyError, match="LinearCredit and ByRank go together"):
        replace(manas_ls(), relax=Template())
    with pytest.raises(StudyError, match="its `update` is Assigned"):
        replace(manas_ls(), alphas=replace(manas_ls().alphas, update=Exponentiated()))
    with pytest.raises(StudyError, match="nor has credit"):
        replace(manas_ls(), regularise=(ZeroOne(),))
    with pytest.raises(StudyError, match="needs a relaxation that draws paths"):
        Differentiable(hypergradient=Exp3())


# -- SETN ------------------------------------------------------------------------------------------------------------


def test_the_template_learns_on_uniform_paths_and_the_logits_on_the_softmax():
    alpha, turn = torch.tensor([[4.0, 0.0, -4.0]]), Turn("w", rng(2))
    drawn = [Template().mixture(alpha, turn).active[0][0] for _ in range(3000)]
    assert np.bincount(drawn) / 3000 == pytest.approx([1 / 3] * 3, abs=0.03)
    joint = Template().mixture(alpha, Turn("alpha"))
    assert joint.active is None
    assert torch.allclose(joint.weights[0], alpha.softmax(-1)[0])


def test_finalists_are_drawn_by_their_probabilities_and_the_most_accurate_wins():
    one_edge = replace(SMALL, edges=SMALL.edges[:1], keeps=None)
    weights, drawn = np.array([[0.2, 0.3, 0.5]]), []

    def accuracy(chosen):
        drawn.append(int(chosen.argmax()))
        return {1: 0.9, 2: 0.1, 0: 1.0}[drawn[-1]]

    found = Finalists(SpaceRule(), 3000).elect(weights, one_edge, accuracy, np.random.default_rng(0))
    assert len(drawn) == 3000
    assert drawn[0] == 2  # the likeliest is among them
    assert np.bincount(drawn, minlength=3) / 3000 == pytest.approx([0, 0.375, 0.625], abs=0.03)  # `none` is left out
    assert int(found.argmax()) == 1


def test_finalists_keep_to_the_rule_of_the_space():
    seen = []
    Finalists(SpaceRule(), 50).elect(WEIGHTS, SMALL, lambda c: seen.append(c.copy()) or 0.0, np.random.default_rng(1))
    for chosen in seen:
        assert [chosen[rows].any(1).sum() for rows in SMALL.nodes()] == [2, 2]
        assert not chosen[:, SMALL.none].any()
    assert len({chosen.tobytes() for chosen in seen}) > 5


def test_finalists_are_measured_after_the_last_epoch_and_paid():
    metered = lab(Budget(samples=4000))
    drive(setn(epochs=2, batch_size=12, finalists=5).start(metered.scenario), metered)
    assert metered.spent.inference_samples == 5 * 12
    assert "best of 5 measured" in read_traces(metered.traces.to_bytes()).to_pylist()[-1]["derivation"]


# -- StacNAS ---------------------------------------------------------------------------------------------------------

NAMED = replace(
    DARTS_LIKE,
    operations=(
        "none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3",
        "dil_conv_5x5",
    ),
)  # fmt: skip
RELEASED = {  # the released table: who stands for a group in the first search, and who is in the second
    "max_pool_3x3": {"avg_pool_3x3", "max_pool_3x3", "none"},
    "skip_connect": {"skip_connect", "none"},
    "sep_conv_3x3": {"sep_conv_3x3", "sep_conv_5x5", "none"},
    "dil_conv_3x3": {"dil_conv_3x3", "dil_conv_5x5", "none"},
}


def test_the_second_search_is_over_the_groups_that_won_the_first():
    part, whole = Groups(), torch.ones(28, 8, dtype=torch.bool)
    first = part.opening(whole, NAMED)
    names = np.array(NAMED.operations)
    assert all(set(names[row.numpy()]) == {*RELEASED, "none"} for row in first)
    alpha = torch.randn((28, 8), generator=rng(4)).masked_fill(~first, -math.inf)
    weights = alpha.softmax(-1)
    assert torch.equal(part.after_epoch(weights, first, 3, 10, NAMED), first)
    second = part.after_epoch(weights, first, 4, 10, NAMED)
    for edge in range(28):
        winner = max(RELEASED, key=lambda name, edge=edge: float(weights[edge, NAMED.operations.index(name)]))
        assert set(names[second[edge].numpy()]) == RELEASED[winner]
    assert torch.equal(part.after_epoch(weights, second, 9, 10, NAMED), second)


def test_each_search_over_groups_begins_anew():
    metered = lab(Budget(samples=10_000))
    search = stacnas(epochs=4, batch_size=20).start(metered.scenario)
    unpruned = []
    for _ in range(4):
        search.advance(metered)
        unpruned.append(int(search._session.trained.mask.sum()))
    assert unpruned[0] == 6 * 4  # none, skip, one of the convolutions, pool
    assert set(search._session.trained.mask.sum(1).tolist()) <= {2, 3}
    assert unpruned[1] == unpruned[2] == unpruned[3]


def test_groups_need_operations_that_are_alike():
    assert "say in `like` which are alike" in str(replace(stacnas(), prune=Groups(())).unsupported(scenario()))
    with pytest.raises(StudyError, match="one group only"):
        Groups((("a", "b"), ("b", "c")))


# -- Shapley-NAS -----------------------------------------------------------------------------------------------------

PLAYERS = [(0, 0), (0, 1), (1, 0), (1, 1)]


def worth(kept):
    """Accuracy in percent of 100 samples: not additive, so that orders matter."""
    a, b, c, d = (bool(kept[at]) for at in PLAYERS)
    return 10 + 20 * a + 15 * (b or c) + 30 * (a and d) + 5 * d


def coalition_game(credit=None):
    def infer(supernet, batch, mixture):
        kept = {(e, o): o in ops for e, ops in enumerate(mixture.active) for o in range(2)}
        right = worth(kept)
        logits = torch.zeros(100, 2)
        logits[:right, 0], logits[right:, 1] = 1.0, 1.0
        return logits

    game = SimpleNamespace(
        lab=SimpleNamespace(infer=infer),
        supernet=None,
        alpha=torch.zeros(2, 2, dtype=torch.float64, requires_grad=True),
        mask=torch.ones(2, 2, dtype=torch.bool),
        mixture=lambda phase: Mixed(torch.full((2, 2), 0.5).unbind(0)),
        topology=SimpleNamespace(cells=("cell",), rows=lambda cell: [0, 1]),
        rng=rng(1),
        credit=credit,
    )
    game.reduced = partial(Game.reduced, game)
    return game, SimpleNamespace(targets=torch.zeros(100, dtype=torch.long))


def by_definition(player):
    """Shapley's formula: the mean over coalitions, weighed by how many orders lead through each."""
    others, n, total = [p for p in PLAYERS if p != player], len(PLAYERS), 0.0
    for size in range(n):
        for coalition in itertools.combinations(others, size):
            kept = {p: p in coalition for p in PLAYERS}
            share = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            total += share * (worth(kept | {player: True}) - worth(kept)) / 100
    return total


def test_marginals_over_all_orders_are_the_shapley_values():
    game, batch = coalition_game()
    part, whole = Shapley(threshold=0.0), worth(dict.fromkeys(PLAYERS, True)) / 100
    orders = itertools.permutations(range(4))
    found = torch.stack([part._marginals(game, batch, PLAYERS, order, whole) for order in orders]).mean(0)
    assert torch.allclose(found, torch.tensor([[by_definition((e, o)) for o in range(2)] for e in range(2)]).double())


def test_an_order_ends_where_the_accuracy_is_below_its_threshold():
    game, batch = coalition_game()
    found = Shapley(threshold=0.5)._marginals(game, batch, PLAYERS, (0, 1, 2, 3), 0.8)
    assert found.tolist() == [[pytest.approx(0.5), 0.0], [0.0, 0.0]]  # .8 - .3 < .5 x .8


def test_logits_follow_the_standardised_values_with_momentum():
    before = torch.full((2, 2), 0.1, dtype=torch.float64)
    game, batch = coalition_game(before)
    orders = [torch.randperm(4, generator=rng(1)).tolist()]
    orders = [
        order for seeded in [rng(1)] for order in [torch.randperm(4, generator=seeded).tolist() for _ in range(3)]
    ]
    values = torch.stack([Shapley(threshold=0.0)._marginals(game, batch, PLAYERS, order, 0.8) for order in orders])
    worths = values.mean(0) - values.std(0, correction=0)
    standard = (worths - worths.mean()) / worths.std()
    Shapley(3, 0.0, 0.8).fill(game, None, batch)
    assert torch.allclose(-game.alpha.grad, 0.8 * before + 0.2 * standard)


# -- all of them -----------------------------------------------------------------------------------------------------

ALL = {
    "xnas": {}, "asap": {}, "manas": {}, "manas-ls": {}, "setn": {"finalists": 3}, "stacnas": {},
    "shapley-nas": {"samples": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_searches_end_within_their_budget_with_something_to_hand_over(name):
    budget = Budget(samples=1500)
    given, search = lab(budget), STRATEGIES.factory(name)(batch_size=20, **ALL[name]).start(scenario(budget))
    drive(search, given)
    assert given.spent.samples <= 1500
    assert given.final is not None
    assert len(read_traces(given.traces.to_bytes()).to_pylist()) > 1


@pytest.mark.parametrize(
    ("name", "settings"),
    [("xnas", {}), ("asap", {"last": 0.01}), ("pd-darts", {}), ("pd-darts", {"fix_best": True}), ("darts-pt", {})],
)
def test_an_operation_that_was_left_alone_on_its_edge_is_what_is_handed_over(name, settings):
    metered = lab()
    search = STRATEGIES.factory(name)(epochs=10, batch_size=12, **settings).start(metered.scenario)
    drive(search, metered)
    game = search._session.trained
    path = game.supernet.path(metered.final.architecture)
    others = game.mask.clone()
    others[:, 0] = False  # beside `none`
    assert int((others.sum(1) == 1).sum()) >= 3
    for edge in (others.sum(1) == 1).nonzero().flatten().tolist():
        assert path[edge] == int(others[edge].int().argmax())


@pytest.mark.parametrize("name", ALL)
def test_cells_that_drop_edges_are_searched_too(name):
    strategy = STRATEGIES.factory(name)(batch_size=20, **ALL[name])
    assert strategy.unsupported(scenario(space=darts_space(4, 3))) is None


def test_the_update_came_later_and_leaves_older_descriptions_as_they_were():
    assert "update" not in describe(darts())["alphas"]
    assert describe(xnas())["alphas"]["update"]["bound"] == 1.0
