"""Evolution: ages, tournaments, removals, and the toy of the paper."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.evolution import (
    Evolution,
    Member,
    Oldest,
    RegularizedEvolution,
    Worst,
    WorstOfTournament,
    non_aging_evolution,
)
from searchbench.strategies.random import Random
from searchbench.strategies.strategy import Scenario, Strategy
from searchbench.trial import FULL, Trial

NB201 = nasbench201()


def evolve(
    strategy: Strategy,
    space: Space,
    landscape: Callable[[Architecture], float],
    count: int,
    seed: int = 0,
    watch: Callable[[Evolution, Trial], None] = lambda search, trial: None,
) -> list[Trial]:
    search = strategy.start(Scenario(space, Seeds("study", seed, repr(strategy)), Budget(evaluations=count)))
    trials = []
    for number in range(count):
        architecture = search.ask().architecture  # type: ignore[union-attr]
        value = landscape(architecture)
        status = "nan" if math.isnan(value) else "ok"
        trials.append(Trial(number, architecture, FULL, status, value, Cost(evaluations=1)))  # type: ignore[arg-type]
        search.tell(trials[-1])  # type: ignore[union-attr]
        watch(search, trials[-1])  # type: ignore[arg-type]
    return trials


def test_population_is_full_after_the_designs_and_every_member_lives_as_many_births() -> None:
    populations: list[list[int]] = []
    evolve(
        RegularizedEvolution(10, 3),
        NB201,
        lambda a: len(a.key),
        60,
        watch=lambda search, _: populations.append([m.birth for m in search._population]),
    )
    for born, alive in enumerate(populations):
        assert alive == list(range(max(0, born - 9), born + 1))


def test_child_differs_from_its_tournaments_best_in_one_decision() -> None:
    winners: list[Architecture] = []
    landscape = lambda a: (len(a.key) * 7919 % 1000) / 1000  # noqa: E731

    class Recorded(Oldest):
        def index(self, population, tournament):  # type: ignore[no-untyped-def]
            best = min(m.value for m in tournament)
            winners.append(next(m.architecture for m in tournament if m.value == best))
            return 0

    trials = evolve(RegularizedEvolution(10, 4, Recorded()), NB201, landscape, 200)
    assert len(winners) == 190
    for parent, child in zip(winners, trials[10:], strict=True):
        assert sum(a != b for a, b in zip(parent.values, child.architecture.values, strict=True)) == 1


def test_identity_children_come_at_their_rate() -> None:
    bits = Space("bits", tuple(Choice(f"b{i}", (0, 1)) for i in range(60)))
    trials = evolve(RegularizedEvolution(1, 1, identity=0.25), bits, lambda a: 0.5, 2000)
    copies = np.mean([a.architecture == b.architecture for a, b in pairwise(trials)])
    assert copies == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 2000))


MEMBERS = [Member(v, i, NB201.sample(np.random.default_rng(i))) for i, v in enumerate([0.3, 0.9, math.inf, 0.1])]


def test_removals_choose_their_victim() -> None:
    tournament = [MEMBERS[0], MEMBERS[3], MEMBERS[1]]
    assert Oldest().index(MEMBERS, tournament) == 0
    assert Worst().index(MEMBERS, tournament) == 2
    assert WorstOfTournament().index(MEMBERS, tournament) == 1
    assert WorstOfTournament().index(MEMBERS, []) == 0  # a design that came late: no tournament


def test_a_child_worse_than_everybody_is_the_worst_of_the_population() -> None:
    values = iter([0.1, 0.2, 0.3, 0.9, 0.25])
    populations: list[list[float]] = []
    evolve(
        RegularizedEvolution(3, 1, Worst()),
        NB201,
        lambda a: next(values),
        5,
        watch=lambda search, _: populations.append([m.value for m in search._population]),
    )
    assert populations[-2:] == [[0.1, 0.2, 0.3], [0.1, 0.2, 0.25]]


def test_non_aging_population_keeps_its_best() -> None:
    best: list[float] = []
    evolve(
        non_aging_evolution(10, 3),
        NB201,
        lambda a: (len(a.key) * 7919 % 1000) / 1000,
        300,
        watch=lambda search, _: best.append(min(m.value for m in search._population)),
    )
    assert all(later <= earlier for earlier, later in pairwise(best))


def test_failed_member_never_wins_against_a_finished_one_and_ages() -> None:
    trials = evolve(RegularizedEvolution(5, 5), NB201, lambda a: math.nan if len(a.key) % 2 else len(a.key), 100)
    assert sum(t.failed for t in trials) > 5
    nothing = evolve(RegularizedEvolution(5, 2), NB201, lambda a: math.nan, 50)
    assert len(nothing) == 50


ONEMAX = Space("onemax", tuple(Choice(f"b{i}", (0, 1)) for i in range(100)))


def onemax(strategy: Strategy, seed: int) -> float:
    """Best noise-free share of ones after 1,000 models whose measurement has noise N(0, 0.01)."""
    noise = np.random.default_rng(seed)
    trials = evolve(strategy, ONEMAX, lambda a: 1 - sum(a.values) / 100 + 0.01 * noise.standard_normal(), 1000, seed)  # type: ignore[arg-type]
    return max(sum(t.architecture.values) / 100 for t in trials)  # type: ignore[arg-type]


def test_onemax_of_the_paper_is_climbed_by_evolution_and_not_by_random_search() -> None:
    for seed in range(4):
        assert 0.85 <= onemax(RegularizedEvolution(100, 10), seed) <= 0.95
        assert onemax(Random(), seed) < 0.70


def test_tournament_of_one_is_a_random_walk() -> None:
    assert onemax(RegularizedEvolution(100, 1), 0) < 0.75


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population": 5, "sample": 10}, "`population` must be at least `sample`, but got population=5, sample=10"),
        ({"population": 0}, "`population` must be a positive integer, but got 0"),
        ({"sample": 2.0}, r"`sample` must be a positive integer, but got 2\.0"),
        ({"identity": 1.0}, "`identity` is a probability below 1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        RegularizedEvolution(**settings)  # type: ignore[arg-type]


def test_a_design_that_comes_late_changes_no_draw_of_the_children() -> None:
    strategy = non_aging_evolution(population=4, sample=2)
    search = strategy.start(Scenario(NB201, Seeds("study", 0, "evolution"), Budget(evaluations=9)))
    designs = [search.ask().architecture for _ in range(5)]
    for design in designs:
        search.tell(Trial(0, design, FULL, "ok", 0.5, Cost(evaluations=1)))
    assert search._rng.bit_generator.state == Seeds("study", 0, "evolution").rng("search").bit_generator.state
