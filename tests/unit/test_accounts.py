"""What contradicts itself in a record, by the record alone, just at its limits."""

from __future__ import annotations

from typing import Any

import pytest

from searchbench.cost import Cost
from searchbench.results.accounts import contradictions
from searchbench.results.columns import TrialColumns
from searchbench.trial import FULL


def recorded(*spent: Cost, cached: tuple[int, ...] = ()) -> bytes:
    """A trial after each of these totals."""
    columns = TrialColumns()
    for number, cost in enumerate(spent):
        columns.append("a", "k", FULL, "ok", 0.5, spent=cost, cached=number in cached)
    return columns.to_bytes()


def told(*spent: Cost, total: Cost, cached: tuple[int, ...] = (), counts: bool = True, **limits: float) -> list[str]:
    return list(contradictions(recorded(*spent, cached=cached), total, limits, charges_evaluations=counts))


ONE, TWO = (Cost(evaluations=n, macs=100 * n) for n in (1, 2))


def test_a_record_that_adds_up_is_left_alone() -> None:
    assert told(ONE, TWO, total=TWO, evaluations=2, macs=200) == []
    assert told(ONE, ONE, TWO, total=TWO, cached=(1,), evaluations=2) == []  # served from memory
    assert told(ONE, ONE, TWO, total=TWO, counts=False, evaluations=2) == []  # of a problem that charges otherwise
    assert told(total=Cost(), evaluations=2) == []
    assert told(ONE, total=Cost(evaluations=1, macs=100, device_s=9.0), seconds=1.0) == []  # known only afterwards


@pytest.mark.parametrize(
    ("spent", "total", "said"),
    [
        ((TWO, ONE), TWO, "what it had spent of `evaluations` falls after row 0"),
        ((ONE, TWO), ONE, "its last row had spent 2 of `evaluations`, its total says 1"),
        ((ONE, ONE, TWO), TWO, "1 of its 3 measured trials were not charged as evaluations"),
        ((Cost(macs=100), TWO), TWO, "1 of its 2 measured trials were not charged as evaluations"),
        ((ONE, TWO), Cost(evaluations=3, macs=300), "it spent 3 of `evaluations`, over its budget of 2"),
    ],
)
def test_what_does_not_add_up_is_said(spent: Any, total: Cost, said: str) -> None:
    assert any(said in one for one in told(*spent, total=total, evaluations=2))
