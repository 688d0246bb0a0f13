"""Random search, with and without replacement."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from searchbench.cost import Budget
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies.evolution import RegularizedEvolution
from searchbench.strategies.local import LocalSearch
from searchbench.strategies.random import Random, Unseen
from searchbench.strategies.strategy import AskTellSearch, Scenario, Strategy

NB201 = nasbench201()
TINY = Space("tiny", (Choice("a", tuple(range(4))), Choice("b", tuple(range(3)))))


def start(strategy: Strategy, space: Space = NB201, replicate: int = 0) -> AskTellSearch:
    search = strategy.start(Scenario(space, Seeds("study", replicate, repr(strategy)), Budget(evaluations=100)))
    assert isinstance(search, AskTellSearch)
    return search


def asked(search: AskTellSearch, count: int) -> list[object]:
    return [proposal and proposal.architecture for proposal in (search.ask() for _ in range(count))]


def test_draws_come_from_the_stream_every_strategy_begins_with() -> None:
    rng = Seeds("study", 3, "another strategy").rng("init")
    expected = [NB201.sample(rng) for _ in range(20)]
    assert asked(start(Random(), replicate=3), 20) == expected
    assert asked(start(RegularizedEvolution(20, 5), replicate=3), 20) == expected
    first = {a.key: a for a in reversed(expected)}
    distinct = [a for a in expected if first[a.key] is a]
    assert asked(start(LocalSearch(initial=20), replicate=3), len(distinct)) == distinct


def test_without_replacement_no_function_comes_twice() -> None:
    keys = [a.key for a in asked(start(Random(replacement=False)), 3000)]  # type: ignore[attr-defined]
    assert len(set(keys)) == 3000


def test_without_replacement_ends_after_every_function_came_once() -> None:
    search = start(Random(replacement=False))
    found = []
    while (proposal := search.ask()) is not None:
        found.append(proposal.architecture.key)
    assert len(found) == len(set(found)) == 6466
    assert search.ask() is None


def test_without_replacement_draws_each_permutation_alike() -> None:
    space = Space("three", (Choice("a", (0, 1, 2)),))
    orders = Counter(
        tuple(a["a"] for a in asked(start(Random(replacement=False), space, r), 3))  # type: ignore[index]
        for r in range(1200)
    )
    expected = 1200 / 6
    assert len(orders) == 6
    assert sum((n - expected) ** 2 / expected for n in orders.values()) < 20.5  # chi2(5) at 0.999


def test_listing_the_rest_continues_the_same_law() -> None:
    # the second distinct function of a space whose strings are 3:1 between two functions
    space = Space("weighted", (Choice("a", (0, 1, 2, 3)),), canonical=lambda a: "x" if a["a"] else "y")
    second = [len([*drawn(space, seed, patience=1)]) for seed in range(50)]
    assert set(second) == {2}
    first = Counter(next(drawn(space, seed, patience=1)) for seed in range(2000))
    assert first["x"] / 2000 == pytest.approx(0.75, abs=0.04)


def drawn(space: Space, seed: int, patience: int):  # type: ignore[no-untyped-def]
    unseen = Unseen(space, np.random.default_rng(seed), patience)
    while (architecture := unseen.draw()) is not None:
        yield architecture.key


def test_endless_space_of_few_functions_ends_after_patience() -> None:
    space = Space("flat", (Float("x", 1.0, 1.0),))
    assert len([*drawn(space, 0, patience=3)]) == 1


def test_hit_rate_of_the_top_fraction_is_the_formula() -> None:
    # P(hit a top share q within n) = 1 - (1 - q)^n, with replacement
    hits = [any(a["a"] == 0 and a["b"] == 0 for a in asked(start(Random(), TINY, r), 10)) for r in range(1500)]  # type: ignore[index]
    expected = 1 - (1 - 1 / 12) ** 10
    assert np.mean(hits) == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 1500))


def test_conditional_space_is_exhausted_too() -> None:
    space = Space("branch", (Choice("a", (0, 1)), Choice("b", ("x", "y", "z"), when=When("a", (1,)))))
    assert len([*drawn(space, 0, patience=20)]) == 4
