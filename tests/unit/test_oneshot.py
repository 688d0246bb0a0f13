from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tiny_lab import SPACE, lab, scenario

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.estimators.training import learning_rate
from searchbench.harness.running.loop import drive
from searchbench.spaces.nasbench201.space import OPERATIONS
from searchbench.strategies.noted import Noted
from searchbench.strategies.oneshot import OneShot, RandomScreening, Recalibration, SposEvolution, Uniform, engine
from searchbench.strategies.oneshot.papers import random_sharing, spos
from searchbench.strategies.random import Random
from searchbench.strategies.supernet import SupernetTraining
from searchbench.trial import FULL, Trial

OPTIONS = (5,) * 6
SMALL = SposEvolution(population=8, generations=2, keep=3, mutations=4, crossovers=4)
SHORT = OneShot(
    finder=SMALL, weights=SupernetTraining(epochs=2, batch_size=16, lr=0.1), recalibration=Recalibration(1, 16)
)


def run(strategy, **budget):
    metered = lab(Budget(**budget) if budget else None)
    search = strategy.start(metered.scenario)
    ended = drive(search, metered)
    return search, metered, ended


def skips(architecture):
    """A value to minimise that is known without training: how far from three skips."""
    return abs(architecture.values.count("skip_connect") - 3) + architecture.values.count("none") / 10


def explore(search, value=skips, trials=10_000):
    """Run an ask/tell search over a known function; its trials in order."""
    found = []
    while len(found) < trials and (proposal := search.ask()) is not None:
        a = proposal.architecture
        found.append(Trial(len(found), a, proposal.fidelity, "ok", value(a), Cost()))
        search.tell(found[-1])
    return found


# -- samplers ------------------------------------------------------------


def test_uniform_sampling_draws_every_option_of_every_decision_alike_and_independently():
    rng = np.random.default_rng(0)
    draw = Uniform().over(SimpleNamespace(options=OPTIONS))
    paths = np.array([draw(rng, 0.0)[0] for _ in range(5000)])
    for decision in range(6):
        assert chisquare(np.bincount(paths[:, decision], minlength=5)).pvalue > 1e-3
    pairs = np.bincount(5 * paths[:, 0] + paths[:, 1], minlength=25)
    assert chisquare(pairs).pvalue > 1e-3


@dataclass(frozen=True)
class Pairs:
    """Two paths per update: each operation and its opposite."""

    def over(self, supernet):
        def draw(rng, done):
            path = rng.integers(supernet.options)
            return tuple(path.tolist()), tuple((np.array(supernet.options) - 1 - path).tolist())

        return draw


def test_gradients_of_all_paths_of_an_update_add_up_before_one_step():
    strategy = replace(
        SHORT, sampler=Pairs(), weights=replace(SHORT.weights, epochs=1, clip=None, momentum=0.0, nesterov=False)
    )
    metered = lab()
    search = strategy.start(metered.scenario)
    weights = search._session.begin(metered)
    reference = lab().supernet()
    batches = list(lab().batches("train", 16))
    rng = metered.scenario.seeds.rng("search", "paths")
    for batch, path in zip(batches[:2], Pairs().over(reference)(rng, 0.0), strict=True):
        torch.nn.functional.cross_entropy(reference(batch.inputs, path), batch.targets).backward()
    noted = Noted()
    assert search._round(metered, weights, metered.batches("train", 16), noted)
    assert len(noted.losses) == 2
    for (name, ours), theirs in zip(weights.supernet.named_parameters(), reference.parameters(), strict=True):
        if theirs.grad is not None:
            expected = theirs - 0.1 * (theirs.grad + 5e-4 * theirs)
            assert torch.allclose(ours, expected, atol=1e-6), name
        else:
            assert torch.equal(ours, theirs), name


# -- the evolution ---------------------------------------------------------


def test_every_update_is_clipped_and_at_the_rate_of_its_epoch(monkeypatch):
    seen = []
    monkeypatch.setattr(
        engine, "update", lambda optimizer, clip, rate: seen.append((clip, rate, optimizer.param_groups[0]["lr"]))
    )
    metered = lab()
    search = replace(SHORT, weights=replace(SHORT.weights, epochs=2, clip=0.7)).start(metered.scenario)
    search.advance(metered), search.advance(metered)
    recipe = SHORT.weights.recipe(2)
    rates = [learning_rate(recipe, epoch) for epoch in (0, 1) for _ in range(len(seen) // 2)]
    assert seen == [(0.7, 1.0, pytest.approx(rate)) for rate in rates]


def test_evolution_measures_every_architecture_at_most_once_and_as_many_as_declared():
    trials = explore(SposEvolution(20, 6, 5, 10, 10).start(scenario()))
    assert len(trials) == 20 * 7
    assert len({t.architecture for t in trials}) == len(trials)


def test_the_first_generation_is_the_common_stream_of_designs():
    first = explore(SMALL.start(scenario()), trials=5)
    designs = explore(Random().start(scenario()), trials=5)
    assert [t.architecture for t in first] == [t.architecture for t in designs]


def test_the_kept_are_the_best_of_all_generations_so_the_best_never_gets_worse():
    search = SposEvolution(20, 8, 5, 10, 10).start(scenario())
    values, best = [], []
    while (proposal := search.ask()) is not None:
        value = skips(proposal.architecture)
        values.append(value)
        search.tell(Trial(0, proposal.architecture, FULL, "ok", value, Cost()))
        best.append(skips(search.recommend()))
        ranked = [value for value, _ in search._best()]
        assert ranked == sorted(values)[:5]
    assert best == sorted(best, reverse=True)
    assert best[-1] == min(values)


def test_evolution_finds_what_random_draws_of_the_same_number_do_not():
    def target(architecture):  # decisions that differ from one architecture among 15,625
        wanted = ("nor_conv_3x3", "avg_pool_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "skip_connect")
        return sum(a != b for a, b in zip(architecture.values, wanted, strict=True))

    evolved, drawn = [], []
    for replicate in range(10):
        told = scenario(replicate=replicate)
        evolved.append(min(t.value for t in explore(SposEvolution(20, 9, 5, 10, 10).start(told), target)))
        drawn.append(min(t.value for t in explore(Random().start(told), target, trials=200)))
    assert np.mean(evolved) + 0.5 < np.mean(drawn)


def test_a_mutant_redraws_each_decision_with_the_given_probability():
    parent = SPACE.architecture(("nor_conv_3x3",) * 6)
    rng = np.random.default_rng(0)
    changed = Counter(
        sum(value != "nor_conv_3x3" for value in SPACE.redraw(parent, 0.1, rng).values) for _ in range(20_000)
    )
    p = 0.1 * 4 / 5  # a redrawn decision keeps its value one time in five
    expected = [20_000 * math.comb(6, k) * p**k * (1 - p) ** (6 - k) for k in range(7)]
    few = [changed[k] for k in range(3)] + [sum(changed[k] for k in range(3, 7))]
    assert chisquare(few, [*expected[:3], sum(expected[3:])]).pvalue > 1e-3


def test_failed_scores_are_never_kept_while_others_are_left():
    search = SMALL.start(scenario())
    for number in range(8):
        a = search.ask().architecture
        failed = number % 2 == 0
        search.tell(Trial(number, a, FULL, "nan" if failed else "ok", math.nan if failed else skips(a), Cost()))
    assert all(math.isfinite(value) for value, _ in search._best())


def test_evolution_ends_when_a_space_has_nothing_unseen():
    small = replace(
        SPACE, decisions=SPACE.decisions[:1], canonical=lambda a: str(a.values), writer=lambda a: str(a.values)
    )
    trials = explore(SposEvolution(4, 10, 2, 2, 2).start(scenario(space=small)), value=lambda a: 0.0)
    assert len(trials) == 5


@pytest.mark.parametrize(
    "wrong", [{"population": 0}, {"generations": -1}, {"redraw": 0.0}, {"mutations": 30}, {"keep": True}]
)
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(StudyError):
        SposEvolution(**wrong)


# -- random screening --------------------------------------------------------


def test_screening_compares_the_best_screened_again_on_the_whole_split():
    search = RandomScreening(candidates=30, screen=0.5, finalists=4).start(scenario())
    trials = explore(search)
    screened, compared = trials[:30], trials[30:]
    assert all(t.fidelity.subset == 0.5 for t in screened)
    assert all(t.fidelity.subset == 1.0 for t in compared)
    best = sorted({t.architecture: t.value for t in screened}.items(), key=lambda pair: pair[1])[:4]
    assert [t.architecture for t in compared] == [architecture for architecture, _ in best]
    assert search.recommend() == min(compared, key=lambda t: t.value).architecture


def test_screening_on_the_whole_split_needs_no_second_score():
    search = RandomScreening(candidates=12, screen=1.0).start(scenario())
    trials = explore(search)
    assert len(trials) == 12
    assert skips(search.recommend()) == min(t.value for t in trials)


# -- the two halves together ---------------------------------------------------


@pytest.mark.parametrize("finder", [SMALL, RandomScreening(10, 0.5, 3), RandomScreening(10, 1.0)])
def test_searching_leaves_the_supernets_weights_bit_for_bit(finder):
    metered = lab()
    search = replace(SHORT, finder=finder).start(metered.scenario)
    search.advance(metered), search.advance(metered)
    before = {name: value.clone() for name, value in search._session.trained.supernet.state_dict().items()}
    trained = metered.spent.train_samples
    drive(search, metered)
    assert metered.trials > 9
    assert metered.spent.train_samples == trained
    assert all(
        torch.equal(before[name], value) for name, value in search._session.trained.supernet.state_dict().items()
    )


def test_training_charges_the_sampled_paths_and_scores_their_forward_passes():
    metered = lab()
    search = SHORT.start(metered.scenario)
    charged = []
    original = metered.gradients
    metered.gradients = lambda net, batch, path, loss: (
        charged.append(3 * len(batch) * net.macs(path)),
        original(net, batch, path, loss),
    )[1]
    search.advance(metered), search.advance(metered)
    assert metered.spent.macs == sum(charged)
    assert (metered.spent.train_samples, metered.spent.inference_samples) == (80, 0)
    drive(search, metered)
    assert metered.trials == 24  # three generations of eight
    assert metered.spent.inference_samples == 24 * (16 + 24)
    assert metered.spent.evaluations == 0


def test_it_hands_over_the_best_scored():
    search, metered, ended = run(SHORT)
    assert ended == "finished"
    assert metered.final.value == min(search._finding.values.values())
    assert search._finding.values[metered.final.architecture] == metered.final.value


def test_open_epochs_take_the_declared_share_of_the_budget():
    for share in (0.3, 0.7):
        strategy = replace(SHORT, weights=replace(SHORT.weights, epochs=None), train_share=share)
        search, metered, _ = run(strategy, samples=2000)
        assert metered.spent.train_samples == 40 * search._session.epochs
        assert abs(metered.spent.train_samples - share * 2000) <= 40


def test_training_takes_all_of_an_axis_that_scoring_does_not_touch():
    strategy = replace(SHORT, weights=replace(SHORT.weights, epochs=None))
    search, metered, ended = run(strategy, epochs=5)
    assert search._session.epochs == 5
    assert metered.spent.epochs == pytest.approx(5)
    assert (ended, metered.trials) == ("finished", 24)


@pytest.mark.parametrize("finder", [SposEvolution(), RandomScreening(1000, 0.5, 3)])
def test_when_the_budget_ends_the_best_so_far_is_handed_over(finder):
    strategy = replace(SHORT, finder=finder)
    search, metered, _ = run(strategy, samples=80 + 12 * (16 + 24))
    assert metered.spent.samples <= 80 + 12 * (16 + 24)
    assert metered.trials >= 12
    assert metered.final.architecture == search._finding.choice()[0]


def test_the_finalists_comparison_is_kept_back_from_the_budget():
    strategy = replace(SHORT, finder=RandomScreening(1000, 0.5, 3))
    search, metered, ended = run(strategy, samples=80 + 12 * (16 + 24))
    assert ended == "finished"
    compared = search._finding.search._compared
    assert len(compared) == 3
    assert metered.final.architecture == min(compared, key=compared.__getitem__)


def test_a_budget_that_ends_in_the_training_hands_over_the_first_random_design():
    _, metered, ended = run(SHORT, samples=30)
    assert ended == "budget"
    assert metered.final.architecture == SPACE.sample(metered.scenario.seeds.rng("init"))
    assert math.isnan(metered.final.value)


def test_any_ask_tell_strategy_can_be_the_second_half():
    _, metered, ended = run(replace(SHORT, finder=Random()), samples=80 + 10 * (16 + 24))
    assert (ended, metered.trials) == ("budget", 10)
    assert metered.final.value <= 1


def test_supernet_training_lowers_the_loss_of_its_paths():
    metered = lab()
    traced = []
    metered.log = lambda **values: traced.append(values)
    strategy = replace(SHORT, weights=replace(SHORT.weights, epochs=50))
    drive(strategy.start(metered.scenario), metered)
    losses = [row["train_loss"] for row in traced if "train_loss" in row]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


@pytest.mark.parametrize("slices", [2, 15, 16], ids=["in the training", "between the halves", "in the search"])
def test_a_search_continued_from_a_checkpoint_equals_the_uninterrupted_one(slices):
    finder, training = replace(SMALL, generations=9), replace(SHORT.weights, epochs=None)
    strategy = replace(SHORT, finder=finder, weights=training, train_share=0.1)
    budget = {"samples": 6000}
    whole, expected, _ = run(strategy, **budget)
    first = lab(Budget(**budget))
    search = strategy.start(first.scenario)
    for _ in range(slices):
        search.advance(first)
    assert (search._session.epoch, search._finding is not None) == (min(slices, 15), slices > 15)
    file = io.BytesIO()
    torch.save({"search": search.state_dict(), "lab": first.state_dict()}, file)
    search.advance(first)  # what happens after the checkpoint must not reach it
    file.seek(0)
    state = torch.load(file, weights_only=False)
    second = lab(Budget(**budget))
    continued = strategy.start(second.scenario)
    continued.load_state_dict(state["search"])
    second.load_state_dict(state["lab"])
    drive(continued, second)
    assert continued._finding.values == whole._finding.values
    assert second.final.architecture == expected.final.architecture
    assert (second.trials, second.spent.macs) == (expected.trials, expected.spent.macs)
    pairs = zip(
        continued._session.trained.supernet.parameters(), whole._session.trained.supernet.parameters(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)


# -- the papers ----------------------------------------------------------------


def test_papers_are_compositions_of_the_published_sizes():
    assert spos() == OneShot(
        Uniform(), SposEvolution(50, 20, 10, 25, 25), SupernetTraining(), 0.5, Recalibration(4, 64)
    )
    assert random_sharing() == replace(spos(), finder=RandomScreening(1000, 0.25, 10))
    assert spos(epochs=3, lr=0.1).weights == SupernetTraining(epochs=3, lr=0.1)


def test_impossible_settings_are_refused():
    with pytest.raises(StudyError, match="train_share"):
        spos(train_share=1.0)
    with pytest.raises(StudyError, match="screen"):
        random_sharing(screen=0.0)
    with pytest.raises(StudyError, match="recalibration"):
        spos(recalibrate=-1)
    assert "`epochs` must be given" in spos().unsupported(scenario(Budget(evaluations=5)))
    assert "trains" in random_sharing().unsupported(scenario(trains=False))


def test_the_same_seed_gives_the_same_search():
    one, two = (run(SHORT)[0]._finding.values for _ in range(2))
    assert one == two
    assert set(OPERATIONS) >= {value for a in one for value in a.values}
