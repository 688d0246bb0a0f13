"""Samplers as mathematics: fairness, dropping rates, strata; and what an update touches."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, chisquare
from tiny_lab import lab, scenario

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.harness.running.loop import drive
from searchbench.spaces.nasbench201.space import OPERATIONS
from searchbench.spaces.networks import Mixed
from searchbench.strategies.noted import Noted
from searchbench.strategies.oneshot import (
    MacsStratified,
    OneShot,
    PathDropout,
    Recalibration,
    SposEvolution,
    StrictFair,
    Successive,
    Together,
    Uniform,
)
from searchbench.strategies.supernet import SupernetTraining
from searchbench.trial import Measurement

OPTIONS = (5,) * 6
SKIP = OPERATIONS.index("skip_connect")
SHORT = OneShot(
    sampler=StrictFair(),
    finder=SposEvolution(population=8, generations=2, keep=3, mutations=4, crossovers=4),
    weights=SupernetTraining(epochs=2, batch_size=8, lr=0.1),
    recalibration=Recalibration(1, 16),
)


def over(sampler, options=OPTIONS, macs=None):
    return sampler.over(SimpleNamespace(options=options, macs=macs))


def begun(strategy):
    metered = lab()
    search = strategy.start(metered.scenario)
    return metered, search, search._session.begin(metered)


# -- strict and expected fairness --------------------------------------------------------------------------------


def test_strictly_fair_counters_are_equal_after_every_update():
    draw, rng = over(StrictFair()), np.random.default_rng(0)
    counts = np.zeros((6, 5), dtype=int)
    for update in range(1, 40):
        for path in draw(rng, 0.0):
            counts[np.arange(6), path] += 1
        assert (counts == update).all()


def test_permutations_of_two_decisions_are_uniform_and_independent():
    draw, rng = over(StrictFair(), (3, 3)), np.random.default_rng(0)
    number = {order: at for at, order in enumerate(permutations(range(3)))}
    table = np.zeros((6, 6))
    for _ in range(6000):
        first, second = zip(*draw(rng, 0.0), strict=True)
        table[number[first], number[second]] += 1
    assert chisquare(table.ravel()).pvalue > 1e-3
    assert chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize(("n", "probability"), [(10, 0.246), (100, 0.0796), (1000, 0.0252)])
def test_uniform_counts_of_two_options_agree_as_rarely_as_the_central_binomial_says(n, probability):
    exact = math.comb(n, n // 2) / 2**n
    assert exact == pytest.approx(probability, rel=2e-3)
    draw, rng = over(Uniform(paths=n), (2,) * 200), np.random.default_rng(n)
    equal = [np.array(draw(rng, 0.0)).sum(0) == n // 2 for _ in range(max(5, 10_000 // n))]
    trials = np.concatenate(equal)
    assert abs(trials.mean() - exact) < 4 * math.sqrt(exact * (1 - exact) / len(trials))


def test_decisions_of_fewer_options_are_fair_within_one_and_equal_in_expectation():
    options, rounds = (5, 5, 2, 3), 600
    draw, rng = over(StrictFair(), options), np.random.default_rng(0)
    total = [np.zeros(n, dtype=int) for n in options]
    for _ in range(rounds):
        paths = np.array(draw(rng, 0.0))
        assert paths.shape == (5, 4)
        for counts, n, column in zip(total, options, paths.T, strict=True):
            own = np.bincount(column, minlength=n)
            assert own.max() - own.min() <= (5 % n > 0)
            np.add(counts, own, out=counts)
    assert (total[0] == rounds).all()
    for counts, n in zip(total[2:], options[2:], strict=True):
        share = 5 % n / n
        expected, deviation = rounds * 5 / n, math.sqrt(rounds * share * (1 - share))
        assert abs(counts - expected).max() < 4 * deviation


def test_paths_of_a_round_share_one_update_or_have_one_each():
    paths = ((0,), (1,), (2,))
    assert Together().groups(paths) == (paths,)
    assert Successive().groups(paths) == (((0,),), ((1,),), ((2,),))


@pytest.mark.parametrize(("grouping", "updates"), [(Together(), 1), (Successive(), 5)])
def test_the_optimiser_steps_once_per_group_of_backward_passes(grouping, updates):
    metered, search, weights = begun(replace(SHORT, grouping=grouping))
    passes, steps = [], []
    original, step = metered.gradients, weights.optimizer.step
    metered.gradients = lambda *a: (passes.append(1), original(*a))[1]
    weights.optimizer.step = lambda: (steps.append(1), step())[1]
    noted = Noted()
    assert search._round(metered, weights, metered.batches("train", 8), noted)
    assert (len(noted.losses), len(passes), len(steps)) == (5, 5, updates)


def test_a_strictly_fair_gradient_is_the_sum_of_its_paths_gradients():
    metered, search, weights = begun(
        replace(SHORT, weights=replace(SHORT.weights, clip=None, momentum=0.0, nesterov=False, weight_decay=0.0))
    )
    reference = lab().supernet()
    paths = StrictFair().over(reference)(metered.scenario.seeds.rng("search", "paths"), 0.0)
    assert sum(SKIP in path for path in paths) > 0  # skips take their turn though they have no weights
    total = {}
    for batch, path in zip(list(lab().batches("train", 8)), paths, strict=True):
        alone = lab().supernet()
        torch.nn.functional.cross_entropy(alone(batch.inputs, path), batch.targets).backward()
        for name, weight in alone.named_parameters():
            if weight.grad is not None:
                total[name] = total.get(name, 0) + weight.grad
    search._round(metered, weights, metered.batches("train", 8), Noted())
    for (name, ours), theirs in zip(weights.supernet.named_parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, theirs - 0.1 * total.get(name, torch.zeros(())), atol=1e-6), name


def test_untouched_weights_get_neither_momentum_nor_decay():
    metered, search, weights = begun(replace(SHORT, sampler=Uniform()))
    for _ in range(3):
        search._train(metered, weights)
    before = {name: w.detach().clone() for name, w in weights.supernet.named_parameters()}
    momenta = {n: weights.optimizer.state[w]["momentum_buffer"].clone() for n, w in weights.supernet.named_parameters()}
    weights.draw = lambda rng, done: ((SKIP,) * 6,)
    search._round(metered, weights, metered.batches("train", 8), Noted())
    after = dict(weights.supernet.named_parameters())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    still = set(before) - moved
    assert moved
    assert {name for name in before if "cells" in name} <= still
    assert all(torch.equal(momenta[name], weights.optimizer.state[after[name]]["momentum_buffer"]) for name in still)
    assert any(momenta[name].abs().sum() > 0 for name in still)


def test_a_pass_too_short_for_one_round_is_refused():
    metered = lab()
    search = replace(SHORT, weights=replace(SHORT.weights, batch_size=16)).start(metered.scenario)
    with pytest.raises(StudyError, match="lower `batch_size`"):
        drive(search, metered)


# -- strata --------------------------------------------------------------------------------------------------------


def test_strata_of_macs_are_drawn_alike_though_paths_of_them_are_not():
    weights = np.array([0, 0, 1, 9, 4])

    def macs(path):
        return int(weights[list(path)].sum())

    sampler, net = MacsStratified(bins=4), SimpleNamespace(options=OPTIONS, macs=macs)
    edges, draw, rng = sampler.edges(net), sampler.over(net), np.random.default_rng(1)
    stratified = np.array([macs(draw(rng, 0.0)[0]) for _ in range(2000)])
    uniform = np.array([macs(Uniform().over(net)(rng, 0.0)[0]) for _ in range(2000)])
    assert (stratified >= edges[0]).all()
    assert (stratified <= edges[-1]).all()
    inner = edges[1:-1]
    assert chisquare(np.bincount(np.digitize(stratified, inner), minlength=4)).pvalue > 1e-4
    assert chisquare(np.bincount(np.digitize(uniform, inner), minlength=4)).pvalue < 1e-6


def test_an_empty_stratum_gives_up_after_its_tries():
    sampler = MacsStratified(bins=50, tries=3)
    drawn = [over(sampler, macs=lambda path: path[0])(np.random.default_rng(s), 0.0) for s in range(20)]
    assert all(len(paths) == 1 for paths in drawn)


# -- path dropout --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(1, 8))
def test_all_options_of_a_decision_are_dropped_with_the_declared_rate_whatever_their_number(k):
    rng, n, r = np.random.default_rng(k), 20_000, 0.2
    none = sum(not PathDropout(r).kept(k, rng) for _ in range(n)) / n
    assert abs(none - r) < 4 * math.sqrt(r * (1 - r) / n)


def test_the_rate_of_dropping_grows_from_none_along_its_ramp():
    sampler, rng = PathDropout(0.3, ramp=0.5), np.random.default_rng(0)
    assert all(len(sampler.kept(5, rng, 0.0)) == 5 for _ in range(200))
    half, end, past = (np.mean([len(sampler.kept(5, rng, at)) for _ in range(4000)]) for at in (0.25, 0.5, 1.0))
    assert half == pytest.approx(5 * (1 - 0.15 ** (1 / 5)), abs=0.08)
    assert end == pytest.approx(5 * (1 - 0.3 ** (1 / 5)), abs=0.08)
    assert past == pytest.approx(end, abs=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PathDropout(1.0),
        lambda: PathDropout(0.1, ramp=0.0),
        lambda: MacsStratified(0),
        lambda: MacsStratified(low=0.9, high=0.1),
        lambda: Uniform(0),
    ],
)
def test_impossible_samplers_are_refused(wrong):
    with pytest.raises(StudyError):
        wrong()


# -- one-shot, whole -----------------------------------------------------------------------------------------------


def trained(**settings):
    """A whole `one-shot` run over a lab whose own estimator counts what it is asked."""
    from searchbench.strategies.oneshot.papers import one_shot

    asked = []

    class Full:
        def complete(self, fidelity):
            return replace(fidelity, epochs=2)

        def price(self, architecture, fidelity, resume=None):
            return Cost(evaluations=1, train_samples=80)

        def evaluate(self, architecture, fidelity, seed, resume=None):
            asked.append(architecture)
            return Measurement(len(asked) % 3 / 3), self.price(architecture, fidelity)

    metered = lab(Budget(samples=settings.pop("samples", 100_000)))
    metered.evaluation.estimator = Full()
    search = one_shot(batch_size=16, **settings).start(metered.scenario)
    return search, metered, drive(search, metered), asked


def test_the_best_scored_are_retrained_and_the_best_of_those_is_handed_over():
    search, metered, ended, asked = trained(epochs=2, scores=30, retrain=4)
    assert ended == "finished"
    assert metered.trials == 34
    scores = search._finding.values
    assert [scores[a] for a in asked] == sorted(scores.values())[:4]
    assert metered.final.architecture == asked[2]  # the first of value 0
    assert metered.spent.evaluations == 4


def test_retraining_is_kept_back_from_the_budget_of_the_scores():
    _, metered, ended, asked = trained(epochs=2, scores=10_000, retrain=5, samples=1000)
    assert ended == "finished"
    assert len(asked) == 5
    assert metered.spent.train_samples == 80 + 5 * 80
    assert 1000 - 80 < metered.spent.samples + 80 <= 1080


def test_dropped_operations_are_those_of_a_network_built_without_them():
    net = lab().supernet()
    inputs = torch.randn(8, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    path = (3, 2, 4, 1, 3, 2)
    alone = Mixed([torch.ones(5)] * 6, [(op,) for op in path])
    assert torch.allclose(net(inputs, alone), net(inputs, path), atol=1e-6)


def test_only_operations_that_are_kept_get_a_gradient():
    net = lab().supernet()
    kept = [(SKIP,), (3,), (), (SKIP, 4), (), (0,)]
    net(torch.randn(8, 1, 5, 5), Mixed([torch.ones(5)] * 6, kept)).sum().backward()
    touched = {name for name, weight in net.named_parameters() if weight.grad is not None and weight.grad.any()}
    whole = lab().supernet()
    whole(torch.randn(8, 1, 5, 5), Mixed([torch.ones(5)] * 6)).sum().backward()
    everything = {name for name, weight in whole.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert {name for name in touched if "cells" in name} < {name for name in everything if "cells" in name}


def test_path_dropout_says_where_it_cannot_be_used():
    from searchbench.spaces import SPACES

    told = scenario(space=SPACES.factory("shuffle")())
    assert "drops paths" in PathDropout().unsupported(told)
    assert PathDropout().unsupported(scenario()) is None


def test_a_round_that_the_pass_has_too_little_for_takes_nothing():
    metered, search, _ = begun(replace(SHORT, weights=replace(SHORT.weights, batch_size=6)))
    assert len(metered.sizes("train", 6)) % 5 > 1
    search.advance(metered)
    assert metered.supernets.handed == metered.supernets.used == 5 * 6
