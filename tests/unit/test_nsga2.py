"""NSGA-II at work: the crowded tournament, what children inherit, and what survives."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from searchbench.cost import Budget, Cost
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.nsga2 import Nsga2, Ranked
from searchbench.strategies.random import Random
from searchbench.strategies.strategy import Scenario
from searchbench.trial import FULL, Trial

SPACE = nasbench201()
OPERATIONS = tuple(SPACE.decisions[0].values())
NONES, SKIPS = (SPACE.architecture((op,) * 6) for op in ("none", "skip_connect"))


def started(replicate=0, **settings):
    strategy = Nsga2(**{"population": 12} | settings)
    return strategy.start(Scenario(SPACE, Seeds("s", replicate, repr(strategy)), Budget(evaluations=1000)))


def trial(number, architecture, *objectives):
    value, *metrics = objectives
    status = "error" if math.isnan(value) else "ok"
    named = dict(zip(("params", "speed"), metrics, strict=False))
    return Trial(number, architecture, FULL, status, value, Cost(evaluations=1), named)


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def landscape(seed):
    """Two objectives of an architecture: each operation on each edge is worth something of its own in either."""
    worth = np.random.default_rng(seed).normal(size=(2, 6, 5))

    def of(architecture):
        at = [OPERATIONS.index(value) for value in architecture.values]
        return tuple(float(worth[k, range(6), at].sum()) for k in range(2))

    return of


def generations(replicate=0, count=12, fails=(), **settings):
    """Parents after every generation, and all that was told."""
    search, of, told, parents = started(replicate, **settings), landscape(replicate), [], []
    for number in range(count * search._settings.population):
        architecture = search.ask().architecture
        objectives = (math.nan, 0.0) if number in fails else of(architecture)
        told.append((architecture, objectives))
        search.tell(trial(number, architecture, *objectives))
        if (number + 1) % search._settings.population == 0:
            parents.append(list(search.parents))
    return parents, told


# -- the tournament ----------------------------------------------------------------------------------------------


def ranked(front, distance, architecture=NONES):
    return Ranked(front, -distance, architecture, (0.0, 0.0))


def winners(*parents, draws=4000):
    search = started()
    search.parents = list(parents)
    return Counter(search._tournament() for _ in range(draws))


def test_the_lower_front_wins_whatever_its_crowding():
    won = winners(ranked(0, 0.1, SKIPS), ranked(1, math.inf, NONES))
    assert stats.binomtest(won[SKIPS], 4000, 3 / 4).pvalue > 1e-4  # it loses only where the other is drawn twice


def test_within_a_front_the_emptier_place_wins():
    won = winners(ranked(2, 0.5, NONES), ranked(2, 0.7, SKIPS))
    assert stats.binomtest(won[SKIPS], 4000, 3 / 4).pvalue > 1e-4
    assert winners(ranked(0, math.inf, SKIPS), ranked(0, 9.0, NONES))[SKIPS] > 2800


def test_equals_win_equally_often():
    won = winners(ranked(0, 1.0, NONES), ranked(0, 1.0, SKIPS))
    assert stats.binomtest(won[SKIPS], 4000, 1 / 2).pvalue > 1e-4


def test_a_member_of_rank_r_wins_a_binary_tournament_with_its_probability():
    rng = np.random.default_rng(0)
    members = [ranked(front, 1.0, SPACE.sample(rng)) for front in range(6)]
    won = winners(*members, draws=9000)
    expected = [9000 * ((6 - r) ** 2 - (5 - r) ** 2) / 36 for r in range(6)]
    assert stats.chisquare([won[m.architecture] for m in members], expected).pvalue > 1e-4


# -- children ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crossover", "mutation"), [(0.9, None), (1.0, 0.0), (1.0, 0.5), (0.0, 0.3)], ids=["default", "mix", "both", "one"]
)
def test_genes_of_children_have_the_frequencies_of_crossover_and_mutation(crossover, mutation):
    """Of two equal parents of pure genes: half of each, except that a share `mutation` is drawn anew, uniformly."""
    search = started(crossover=crossover, mutation=mutation)
    search.parents = [ranked(0, 1.0, NONES), ranked(0, 1.0, SKIPS)]
    search._designed = search._settings.population
    anew = 1 / 6 if mutation is None else mutation
    children = [search.ask().architecture.values for _ in range(3000)]
    parental = {"none": (1 - anew) / 2, "skip_connect": (1 - anew) / 2}
    expected = np.array([anew / 5 + parental.get(op, 0.0) for op in OPERATIONS])
    for edge in range(6):  # a gene at a time: genes of one child are independent of each other only where all cross
        seen = np.array([sum(child[edge] == op for child in children) for op in OPERATIONS])
        kept = expected > 0
        assert seen[~kept].sum() == 0
        assert stats.chisquare(seen[kept], 3000 * expected[kept]).pvalue > 1e-4


def test_every_gene_crosses_by_itself():
    search = started(crossover=1.0, mutation=0.0)
    search.parents = [ranked(0, 1.0, NONES), ranked(0, 1.0, SKIPS)]
    search._designed = search._settings.population
    children = Counter(search.ask().architecture.values for _ in range(6400))
    # the two drawn parents differ half of the time: then all 64 combinations are equally likely
    pure = {("none",) * 6, ("skip_connect",) * 6}
    mixed = [children[v] for v in itertools.product(("none", "skip_connect"), repeat=6) if v not in pure]
    assert len(children) == 64
    assert stats.chisquare(mixed).pvalue > 1e-4
    assert stats.binomtest(sum(mixed), 6400, 62 / 128).pvalue > 1e-4


def test_without_crossover_a_child_is_its_parent_but_for_mutated_genes():
    search = started(crossover=0.0, mutation=0.0)
    search.parents = [ranked(0, 1.0, NONES), ranked(1, 1.0, SKIPS)]
    search._designed = search._settings.population
    assert {search.ask().architecture for _ in range(50)} == {NONES, SKIPS}


# -- survivors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replicate", range(5))
def test_the_best_of_every_objective_never_gets_worse(replicate):
    parents, told = generations(replicate)
    best = [[min(r.objectives[k] for r in own) for own in parents] for k in range(2)]
    for k, values in enumerate(best):
        assert all(after <= before for before, after in itertools.pairwise(values))
        assert values[-1] == min(objectives[k] for _, objectives in told)


@pytest.mark.parametrize("replicate", range(3))
def test_the_first_front_is_dominated_by_no_parent_and_no_child(replicate):
    parents, told = generations(replicate, count=6)
    for generation, own in enumerate(parents):
        children = [objectives for _, objectives in told[12 * generation : 12 * (generation + 1)]]
        before = [r.objectives for r in parents[generation - 1]] if generation else []
        first = [r.objectives for r in own if r.front == 0]
        assert first
        assert not any(dominates(other, mine) for mine in first for other in (*children, *before))


def test_a_front_is_kept_whole_unless_it_is_the_last_that_fits():
    parents, _ = generations(count=8)
    for own in parents:
        assert len(own) == 12
        assert [r.front for r in own] == sorted(r.front for r in own)
        for a, b in itertools.pairwise(own):
            assert a.front < b.front or a.crowding <= b.crowding


def test_a_failed_child_survives_only_where_nothing_else_is_left():
    parents, _ = generations(count=3, fails=range(0, 36, 3))
    assert all(math.isfinite(r.objectives[0]) for own in parents[1:] for r in own)
    parents, _ = generations(count=2, fails=range(20))
    assert sum(math.isfinite(r.objectives[0]) for r in parents[-1]) == 4


def test_all_failed_is_a_generation_like_any_other():
    parents, _ = generations(count=3, fails=range(36))
    assert [len(own) for own in parents] == [12, 12, 12]


# -- the beginning, and several workers -----------------------------------------------------------------------------


def test_the_first_population_is_what_random_search_draws_first():
    scenario = Scenario(SPACE, Seeds("s", 4, "x"), Budget(evaluations=1000))
    own, random = Nsga2(population=12).start(scenario), Random().start(scenario)
    assert [own.ask().architecture for _ in range(12)] == [random.ask().architecture for _ in range(12)]


def test_a_worker_that_asks_before_a_generation_is_complete_gets_a_child_of_the_last():
    search, of = started(), landscape(0)
    asked = [search.ask().architecture for _ in range(17)]  # five more than the population, nothing told yet
    assert not search.parents
    for number, architecture in enumerate(asked[:12]):
        search.tell(trial(number, architecture, *of(architecture)))
    assert len(search.parents) == 12
    parents = list(search.parents)
    for number, architecture in enumerate(asked[12:], start=12):
        search.tell(trial(number, architecture, *of(architecture)))
    assert search.parents == parents
    assert search.ask().architecture in SPACE


def test_what_is_to_be_maximised_survives_by_its_largest():
    search = started(objectives=("value", "-params"))
    for number in range(24):
        search.tell(trial(number, search.ask().architecture, 0.5, float(number)))
    assert sorted(-r.objectives[1] for r in search.parents) == list(range(12, 24))
