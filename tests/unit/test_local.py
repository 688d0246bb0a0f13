"""Local search: what it moves to, what it never asks again, where it restarts."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.local import BestImprovement, LocalSearch
from searchbench.strategies.strategy import Scenario
from searchbench.trial import FULL, Trial

BITS = Space("bits", tuple(Choice(f"b{i}", (0, 1)) for i in range(10)))
Landscape = Callable[[Architecture], float]


def ones(architecture: Architecture) -> float:
    """Smooth, with one optimum: every bit set."""
    return 1 - sum(architecture.values) / len(architecture.values)  # type: ignore[arg-type]


def climb(strategy: LocalSearch, space: Space, landscape: Landscape, count: int, seed: int = 0) -> list[Trial]:
    search = strategy.start(Scenario(space, Seeds("study", seed), Budget(evaluations=count)))
    trials: list[Trial] = []
    while len(trials) < count and (proposal := search.ask()) is not None:
        value = landscape(proposal.architecture)
        status = "nan" if math.isnan(value) else "ok"
        trials.append(Trial(len(trials), proposal.architecture, FULL, status, value, Cost(evaluations=1)))  # type: ignore[arg-type]
        search.tell(trials[-1])
    return trials


def distance(a: Architecture, b: Architecture) -> int:
    return sum(x != y for x, y in zip(a.values, b.values, strict=True))


def test_every_proposal_is_a_neighbour_of_the_best_of_the_climb() -> None:
    trials = climb(LocalSearch(), BITS, ones, 30)
    here = trials[0]
    for trial in trials[1:]:
        if here.value == 0.0:
            break
        assert distance(trial.architecture, here.architecture) == 1
        if trial.value < here.value:
            here = trial
    assert here.value == 0.0


def test_best_of_all_neighbours_is_taken_only_after_all_were_measured() -> None:
    weights = [2**i for i in range(10)]
    trials = climb(
        LocalSearch(move=BestImprovement()),
        BITS,
        lambda a: -sum(w * v for w, v in zip(weights, a.values, strict=True)),  # type: ignore[misc]
        31,
        seed=2,
    )
    start, around = trials[0], trials[1:11]
    assert all(distance(t.architecture, start.architecture) == 1 for t in around)
    best = min(around, key=lambda t: t.value)
    assert best.value < start.value
    second = trials[11:20]
    assert all(distance(t.architecture, best.architecture) == 1 for t in second)


def test_among_equal_neighbours_the_first_measured_is_taken() -> None:
    values = iter([1.0] + [0.5] * 19)
    trials = climb(LocalSearch(move=BestImprovement()), BITS, lambda a: next(values), 20)
    assert all(distance(t.architecture, trials[1].architecture) == 1 for t in trials[11:])


def test_neighbours_are_measured_in_an_order_drawn_from_the_strategys_own_stream() -> None:
    trials = climb(LocalSearch(), BITS, lambda a: 0.5, 11)
    neighbours = BITS.neighbours(trials[0].architecture)
    order = Seeds("study", 0).rng("search").permutation(10)
    assert [t.architecture for t in trials[1:]] == [neighbours[at] for at in order]
    assert order.tolist() != list(range(10))


def test_no_function_is_measured_twice() -> None:
    keys = [t.architecture.key for t in climb(LocalSearch(), nasbench201(), lambda a: len(a.key) % 7, 2000)]
    assert len(set(keys)) == 2000


def test_equal_neighbours_are_not_moved_to() -> None:
    trials = climb(LocalSearch(), BITS, lambda a: 0.5, 11)
    assert all(distance(t.architecture, trials[0].architecture) == 1 for t in trials[1:])


def test_local_optimum_is_followed_by_a_fresh_design() -> None:
    trials = climb(LocalSearch(), BITS, lambda a: 0.5, 12, seed=1)
    designs = []
    rng = Seeds("study", 1).rng("init")
    while len(designs) < 2:
        design = BITS.sample(rng)
        if design not in [t.architecture for t in trials[: 11 * len(designs)]]:
            designs.append(design)
    assert [trials[0].architecture, trials[11].architecture] == designs


def test_climb_starts_from_the_best_of_several_designs() -> None:
    trials = climb(LocalSearch(initial=5), BITS, ones, 6)
    best = min(trials[:5], key=lambda t: t.value)
    assert distance(trials[5].architecture, best.architecture) == 1


def test_failed_neighbour_is_not_moved_to_and_failed_designs_are_replaced() -> None:
    trials = climb(LocalSearch(), BITS, lambda a: math.nan if a["b0"] else ones(a), 200)
    assert min(t.value for t in trials if not t.failed) == pytest.approx(0.1)
    nothing = climb(LocalSearch(), BITS, lambda a: math.nan, 5)
    rng = Seeds("study", 0).rng("init")
    assert [t.architecture for t in nothing] == [BITS.sample(rng) for _ in range(5)]


def test_small_space_is_exhausted_and_then_ended() -> None:
    trials = climb(LocalSearch(), BITS, ones, 5000)
    assert len(trials) == 2**10


@pytest.mark.parametrize("initial", [0, 1.5, True])
def test_impossible_initial_designs_are_refused(initial: int) -> None:
    with pytest.raises(StudyError, match="`initial` must be a positive integer"):
        LocalSearch(initial=initial)
