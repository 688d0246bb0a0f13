"""How many waiting runs travel to a worker together."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from searchbench.harness.driving.batches import BATCH_S, RunBatches


def runs(n: int, label: str = "random", problem: str = "cells") -> deque[Any]:
    contestant, place = SimpleNamespace(label=label), SimpleNamespace(name=problem)
    return deque(SimpleNamespace(run_id=f"{label}/{i}", problem=place, contestant=contestant) for i in range(n))


def took(batches: RunBatches, queue: deque[Any], role: Any = "search") -> list[str]:
    return [spec.run_id for spec in batches.take(role, queue, lambda spec: spec)]


def test_a_run_of_unknown_length_travels_alone() -> None:
    queue = runs(100)
    assert took(RunBatches(workers=1), queue) == ["random/0"]
    assert len(queue) == 99


def test_short_runs_travel_together_for_about_a_second_in_the_order_of_the_queue() -> None:
    batches, queue = RunBatches(workers=1), runs(100)
    batches.timed("search", queue[0], BATCH_S / 8)
    assert took(batches, queue) == [f"random/{i}" for i in range(8)]
    assert queue[0].run_id == "random/8"


def test_the_quickest_run_sets_the_pace_whenever_it_came() -> None:
    batches, queue = RunBatches(workers=1), runs(100)
    for seconds in (5.0, BATCH_S / 4, 3.0):  # the first imports what the others find; the last met a busy machine
        batches.timed("search", queue[0], seconds)
    assert len(took(batches, queue)) == 4


@pytest.mark.parametrize(
    "other", [("judge", "random", "cells"), ("search", "grid", "cells"), ("search", "random", "p")]
)
def test_a_pace_is_of_one_role_one_strategy_and_one_problem(other: tuple[Any, str, str]) -> None:
    batches = RunBatches(workers=1)
    batches.timed("search", runs(1)[0], BATCH_S / 100)
    role, label, problem = other
    assert len(took(batches, runs(100, label, problem), role)) == 1


def test_no_worker_finds_nothing_because_another_took_all() -> None:
    batches, queue = RunBatches(workers=2), runs(10)
    batches.timed("search", queue[0], BATCH_S / 1000)
    assert len(took(batches, queue)) == 3  # a quarter, rounded up: each worker has one batch, and one that waits
    assert len(took(batches, queue)) == 2


@pytest.mark.parametrize(("lost", "batches_of_ids"), [(0, [[0], [1, 2, 3, 4, 5]]), (2, [[0, 1], [2], [3, 4, 5, 6]])])
def test_a_run_that_was_lost_travels_alone_wherever_it_stands(lost: int, batches_of_ids: list[list[int]]) -> None:
    batches, queue = RunBatches(workers=1), runs(10)
    batches.timed("search", queue[0], BATCH_S / 1000)
    batches.alone.add(f"random/{lost}")
    for ids in batches_of_ids:
        assert took(batches, queue) == [f"random/{i}" for i in ids]


def test_an_empty_queue_gives_an_empty_batch() -> None:
    assert took(RunBatches(workers=4), runs(0)) == []


def test_runs_that_hold_other_resources_travel_apart() -> None:
    batches, queue = RunBatches(workers=1), runs(12)
    batches.timed("search", queue[0], BATCH_S / 1000)

    def held_by(spec: Any) -> Any:
        return "a card" if spec.run_id in ("random/2", "random/3") else "a core"

    taken = [[spec.run_id[7:] for spec in batches.take("search", queue, lambda spec: spec, held_by)] for _ in range(3)]
    assert taken == [["0", "1"], ["2", "3"], ["4", "5", "6", "7"]]
