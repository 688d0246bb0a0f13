"""Samplers that learn while the supernet is trained: preferred paths, continuous evolution, beginnings that grow."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_lab import SPACE, lab, scenario

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.running.loop import drive
from searchbench.spaces.networks import Path
from searchbench.strategies.nsga2 import fronts
from searchbench.strategies.oneshot.continuous import ContinuousEvolution, protected
from searchbench.strategies.oneshot.halves import shared_weights
from searchbench.strategies.oneshot.papers import cars, pcnas, prenas, spos
from searchbench.strategies.oneshot.posterior import PartialPaths
from searchbench.strategies.oneshot.preferred import Preferred
from searchbench.strategies.oneshot.revising import NO_FINALISTS, KeptPaths, Revision
from searchbench.strategies.oneshot.samplers import Uniform

PAPERS = {
    "prenas": replace(prenas(epochs=3, batch_size=20, recalibrate=1), sampler=Preferred(12, 3, 1)),
    "cars": replace(cars(epochs=3, batch_size=20, recalibrate=1), sampler=ContinuousEvolution(4, 1, 1, 0.1)),
    "pcnas": replace(pcnas(epochs=3, batch_size=20, recalibrate=1), sampler=PartialPaths(2, 2, 0.3)),
}


def priced(*costs: list[int]) -> Any:
    """A supernet of which only the options' multiply-accumulates are known, which add up."""
    return SimpleNamespace(
        options=tuple(map(len, costs)), macs=lambda path: sum(row[at] for row, at in zip(costs, path, strict=True))
    )


def revision(
    worth: Any, salience: Any = None, epoch: int = 0, epochs: int = 10, seed: int = 0, looks: int = 500
) -> Revision:
    def trial(path: Path) -> Any:
        return SimpleNamespace(failed=False, value=worth(path), metrics={"params": float(sum(path))})

    rng = np.random.default_rng(seed)
    return Revision(
        epoch, epochs, rng, lambda paths: [trial(p) for p in paths], lambda ps: [salience(p) for p in ps], looks
    )


# -- PreNAS --------------------------------------------------------------------------------------------------------


def test_the_most_salient_paths_of_every_size_are_preferred_and_no_other_is_trained() -> None:
    supernet = priced([0, 1, 2], [0, 3, 6], [0, 9, 18])
    asked: list[Path] = []

    def salience(path: Path) -> float:
        asked.append(path)
        return float(np.dot(path, [-1.0, 1.0, 0.5]))

    work = Preferred(200, 3, 2).reviser(supernet)
    assert work.due(0, 10)
    work.revise(revision(None, salience))
    assert len(set(asked)) == len(asked) == 27
    ranked = sorted(asked, key=supernet.macs)
    expected = [p for at in range(0, 27, 9) for p in sorted(ranked[at : at + 9], key=lambda p: -salience(p))[:2]]
    assert work.kept() == expected
    rng = np.random.default_rng(0)
    assert {work.draw(rng, 0.5)[0] for _ in range(200)} == set(expected)
    assert not work.due(1, 10)


def test_fewer_are_looked_at_where_the_budget_affords_fewer_but_one_for_each_that_is_kept() -> None:
    for looks, expected in ((10, 10), (2, 3)):
        asked: list[Path] = []
        work = Preferred(200, 3, 1).reviser(priced(*[list(range(9))] * 4))
        work.revise(revision(None, lambda path: asked.append(path) or 0.0, looks=work.looks(looks)))  # noqa: B023
        assert len(asked) == expected
        assert len(work.kept()) == 3
    metered = lab(Budget(epochs=8))
    drive(prenas(batch_size=20).start(metered.scenario), metered)
    assert metered.final is not None
    assert metered.final.value < 1  # of its preferred paths, trained and scored
    assert metered.spent.epochs > 6


def test_salience_is_the_sum_of_the_paths_own_gradients_and_leaves_weights_alone() -> None:
    metered, plain = lab(), lab()
    search: Any = PAPERS["prenas"].start(metered.scenario)
    weights = search._session.begin(metered)
    before = [w.detach().clone() for w in weights.supernet.parameters()]
    found: dict[Path, float] = {}

    def revise(given: Revision) -> None:
        paths: list[Path] = [(3, 2, 3, 3, 3, 3), (1, 2, 3, 0, 3, 1)]
        found.update(zip(paths, given.salient(paths), strict=True))

    weights.reviser = SimpleNamespace(due=lambda epoch, epochs: True, revise=revise, looks=lambda affordable: 2)
    search._revise(metered, weights, weights.reviser)
    supernet: Any = plain.supernet()
    batch = next(iter(plain.batches("train", 20)))
    for path, salience in found.items():
        supernet.zero_grad()
        torch.nn.functional.cross_entropy(supernet(batch.inputs, path), batch.targets).backward()
        expected = sum(float(w.grad.abs().sum()) for w in supernet.parameters() if w.grad is not None)
        assert salience == pytest.approx(expected, rel=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(before, weights.supernet.parameters(), strict=True))
    assert metered.spent.train_samples == 40


# -- CARS ----------------------------------------------------------------------------------------------------------


def test_fronts_of_error_and_of_gain_are_kept_in_turn() -> None:
    """By brute force: levels of either ranking are united, the last one that fits in part is thinned."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        points, gains = rng.random((12, 2)), rng.random((12, 2))
        for count in (3, 6, 12):
            chosen = protected(points, gains, count)
            assert len(set(chosen)) == len(chosen) == count
            depth = {}
            for ranked in (fronts(points), fronts(gains)):
                for level, layer in enumerate(ranked):
                    for at in layer:
                        depth[at] = min(level, depth.get(at, level))
            assert sorted(depth[at] for at in chosen) == sorted(depth.values())[:count]


RELEASED = {  # by seed: whom the released code keeps of 16, wherever it has nothing to draw
    0: [(5, 6, 8, 13), (1, 2, 4, 5, 6, 7, 8, 13), (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15)],
    1: [(0, 3, 4, 10, 11, 12), (0, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15)],
    2: [(1, 3, 8, 11, 12), (1, 2, 3, 5, 8, 11, 12, 14, 15), (1, 2, 3, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15)],
    3: [(1, 4, 7, 10, 12, 15), (1, 3, 4, 7, 9, 10, 12, 13, 15)],
    4: [(1, 7, 8, 10, 13), (0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 13, 15)],
    5: [(4, 6, 7, 11, 12, 14, 15), (0, 3, 4, 6, 7, 9, 11, 12, 13, 14, 15)],
}


@pytest.mark.parametrize("seed", RELEASED)
def test_the_large_are_protected_as_in_the_released_code(seed: int) -> None:
    drawn = np.random.default_rng(seed).random((16, 2))
    points = np.array([1 - (0.1 + 0.8 * drawn[:, 0]), 1 + drawn[:, 1]]).T
    for kept in RELEASED[seed]:
        assert tuple(sorted(protected(points, points * [1, -1], len(kept)))) == kept


@pytest.mark.parametrize("protects", ["gain", "size"])
def test_a_population_keeps_what_is_best_for_its_size_and_what_is_protected(protects: Any) -> None:
    """Value and size are both the number of ones here: the smallest is best for any size."""
    settings = ContinuousEvolution(population=2, offspring=7, protects=protects)
    work = settings.reviser(priced([0, 1], [0, 1], [0, 1]))
    work.revise(revision(lambda p: 0.9 - 0.1 * sum(p)))
    assert len(work.kept()) == 2
    assert (1, 1, 1) in work.kept()  # best of all


def test_a_mutation_draws_every_decision_anew_with_probability_one_half() -> None:
    work = ContinuousEvolution(population=2).reviser(priced(*[[0, 1, 2, 3]] * 4))
    work.load_state_dict({"known": [((0, 0, 0, 0), 0.5)]})
    rng = np.random.default_rng(0)
    changed = np.mean([[value != 0 for value in work._child(0.3, rng)] for _ in range(1000)])
    assert changed == pytest.approx(3 / 8, abs=0.03)  # what is drawn anew may be what it was


def test_what_gains_most_for_its_size_is_kept_though_smaller_ones_are_better_now() -> None:
    values, sizes = np.array([0.2, 0.21, 0.22, 0.6]), np.array([1.0, 2.0, 3.0, 4.0])
    gains = np.array([0.0, 0.0, 0.0, 0.3])
    points = np.array([values, sizes]).T
    assert 3 in protected(points, np.array([-gains, sizes]).T, 2)
    assert 3 not in protected(points, points, 3)


def test_a_population_is_trained_and_its_offspring_are_crossed_mutated_and_drawn() -> None:
    settings = ContinuousEvolution(population=4, offspring=4, every=2, warmup=0.2)
    work = settings.reviser(priced([0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]))
    assert [epoch for epoch in range(11) if work.due(epoch, 10)] == [2, 4, 6, 8, 10]
    assert work.scores_an_epoch == 10
    asked: list[list[Path]] = []

    def noted(given: Revision) -> Revision:
        def scored(paths: Any) -> Any:
            asked.append(list(paths))
            return given.scored(paths)

        return replace(given, scored=scored)

    work.revise(noted(revision(lambda p: float(sum(p)) / 12)))
    first = work.kept()
    assert len(first) == 4
    rng = np.random.default_rng(0)
    assert {work.draw(rng, 0.5)[0] for _ in range(100)} == set(first)
    work.revise(noted(revision(lambda p: float(sum(p)) / 12, seed=1)))
    again, offspring = asked[1][:4], asked[1][4:]
    assert again == first  # parents are scored again, with the weights of the moment
    assert all(value in {parent[at] for parent in first} for at, value in enumerate(offspring[0]))
    assert len(offspring) > 8


# -- PC-NAS --------------------------------------------------------------------------------------------------------


def test_beginnings_grow_by_the_mean_worth_of_what_begins_so() -> None:
    work = PartialPaths(pool=2, samples=8, warmup=0.2).reviser(priced([0] * 3, [0] * 3, [0] * 2, [0] * 2))
    worth = {0: (0.0, 0.5, 0.9), 1: (0.3, 0.0, 0.9), 2: (0.0, 0.01), 3: (0.0, 0.01)}
    value = lambda path: sum(worth[at][option] for at, option in enumerate(path))  # noqa: E731
    dues = []
    for epoch in range(6):
        if work.due(epoch, 5):
            work.revise(revision(value, epoch=epoch, epochs=5, seed=epoch))
            dues.append((epoch, work.length))
    assert dues == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert work.kept()[0] == (0, 1, 0, 0)
    assert all(path[:2] == (0, 1) for path in work.kept())
    assert work.scores == 3 * 8 + 2 * 3 * 8 + 2 * 2 * 8 + 2 * 2


def test_only_paths_that_begin_as_the_pool_does_are_trained() -> None:
    work = PartialPaths(pool=2, samples=1).reviser(priced([0] * 3, [0] * 3, [0] * 3))
    rng = np.random.default_rng(0)
    work.load_state_dict({"pool": [(2,), (0,)]})
    drawn = {work.draw(rng, 0.0)[0] for _ in range(300)}
    assert {path[0] for path in drawn} == {0, 2}
    assert len(drawn) == 18


def test_more_decisions_than_epochs_are_made_several_at_a_time() -> None:
    work = PartialPaths(pool=1, samples=1, warmup=0.5).reviser(priced(*[[0] * 2] * 7))
    for epoch in range(3):
        if work.due(epoch, 2):
            work.revise(revision(sum, epoch=epoch, epochs=2))
            assert work.length == {1: 4, 2: 7}[epoch]
    assert work.kept() == [(0,) * 7]


# -- all of them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAPERS)
def test_a_search_that_learns_continues_from_a_checkpoint_as_if_it_had_not_ended(name: str) -> None:
    whole = lab()
    drive(PAPERS[name].start(whole.scenario), whole)
    first = lab()
    search: Any = PAPERS[name].start(first.scenario)
    for _ in range(2):
        search.advance(first)
    file = io.BytesIO()
    torch.save({"search": search.state_dict(), "lab": first.state_dict()}, file)
    file.seek(0)
    kept = torch.load(file, weights_only=False)
    second = lab()
    again: Any = PAPERS[name].start(second.scenario)
    again.load_state_dict(kept["search"])
    second.load_state_dict(kept["lab"])
    drive(again, second)
    assert second.final == replace(whole.final, spent=second.final.spent)  # type: ignore[arg-type,union-attr]
    assert second.final.architecture in SPACE  # type: ignore[union-attr]


@pytest.mark.parametrize("name", PAPERS)
def test_a_search_that_learns_keeps_to_its_budget_and_uses_it(name: str) -> None:
    open_ended = replace(PAPERS[name], weights=replace(PAPERS[name].weights, epochs=None))
    metered = lab(Budget(macs=60_000_000))
    drive(open_ended.start(metered.scenario), metered)
    assert metered.final is not None
    assert 20_000_000 < metered.spent.macs <= 60_000_000  # a population of small paths is cheaper than random ones


def test_finalists_need_a_sampler_that_keeps_some() -> None:
    assert replace(spos(), finder=KeptPaths()).unsupported(scenario()) == NO_FINALISTS
    assert replace(cars(), sampler=Uniform()).unsupported(scenario()) == NO_FINALISTS
    assert cars().unsupported(scenario()) is None
    with pytest.raises(StudyError, match="must be an ask/tell strategy"):  # nor do they go without their sampler
        shared_weights("darts", KeptPaths())
    for wrong in (
        lambda: Preferred(3, 4),
        lambda: ContinuousEvolution(population=1),
        lambda: ContinuousEvolution(protects="all"),  # type: ignore[arg-type]
        lambda: PartialPaths(pool=0),
        lambda: PartialPaths(warmup=0.0),
    ):
        with pytest.raises(StudyError):
            wrong()
