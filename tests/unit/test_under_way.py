"""What a search notes beside its proposals, and which note an answer finds."""

from __future__ import annotations

import math

from searchbench.cost import Cost
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Fidelity, Proposal, Trial

SPACE = nasbench201()
CELL, OTHER = (
    SPACE.parse("|" + "|+|".join("|".join(f"{op}~{k}" for k in range(n)) for n in (1, 2, 3)) + "|")
    for op in ("none", "skip_connect")
)


def copy() -> object:
    """An equal architecture that is another object."""
    return SPACE.architecture(CELL.values)


def answer(architecture: object, epochs: float = 12.0) -> Trial:
    return Trial(0, architecture, Fidelity(epochs), "error", math.nan, Cost())  # type: ignore[arg-type]


def test_an_answer_finds_the_note_of_the_very_object_that_was_proposed() -> None:
    asked: UnderWay[str] = UnderWay()
    first, second = Proposal(CELL), Proposal(copy())  # type: ignore[arg-type]
    asked.add(first, "first")
    asked.add(second, "second")
    asked.add(Proposal(OTHER), "other")
    assert len(asked) == 3
    assert asked.take(answer(second.architecture)) == "second"
    assert asked.take(answer(OTHER)) == "other"
    assert asked.take(answer(first.architecture)) == "first"
    assert not asked
    assert asked.take(answer(CELL)) is None


def test_the_length_of_a_training_tells_apart_before_the_object_does() -> None:
    asked: UnderWay[str] = UnderWay()
    asked.add(Proposal(CELL, Fidelity(3.0)), "short")
    asked.add(Proposal(CELL, Fidelity(9.0)), "long")
    assert asked.take(answer(CELL, 9.0)) == "long"
    assert asked.take(answer(copy(), 3.0)) == "short"
    asked.add(Proposal(CELL, Fidelity(3.0)), "short")
    asked.add(Proposal(copy(), Fidelity(9.0)), "long")  # type: ignore[arg-type]
    assert asked.take(answer(CELL, 9.0)) == "long"  # though the other is the very object


def test_a_proposal_of_open_length_is_answered_by_any() -> None:
    asked: UnderWay[str] = UnderWay()
    asked.add(Proposal(copy(), Fidelity(12.0)), "twelve")  # type: ignore[arg-type]
    asked.add(Proposal(CELL), "open")
    assert asked.take(answer(CELL, 12.0)) == "open"


def test_of_equals_the_earlier_is_answered_first() -> None:
    asked: UnderWay[int] = UnderWay()
    for number in range(3):
        asked.add(Proposal(CELL), number)
    assert [asked.take(answer(copy())) for _ in range(3)] == [0, 1, 2]
