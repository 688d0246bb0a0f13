"""The life of a supernet within a search, whatever the search does in an epoch."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from searchbench.cost import Cost
from searchbench.strategies.supernet import epochs_within
from searchbench.strategies.supernet_session import SupernetSession


class Weights:
    """One number that learns; what an epoch costs depends on it."""

    supernet: Any = None

    def __init__(self) -> None:
        self.learnt = 0

    def state_dict(self) -> dict[str, Any]:
        return {"learnt": self.learnt}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.learnt = state["learnt"]


class Recommended:
    """A lab that keeps what is recommended."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def recommend(self, architecture: Any) -> None:
        self.told.append(architecture)


SPACE = SimpleNamespace(sample_carrying=lambda rng: rng.random())
SCENARIO: Any = SimpleNamespace(space=SPACE, seeds=SimpleNamespace(rng=random.Random))


def session(epochs: int | None = None, fallback: Any = None) -> SupernetSession[Weights]:
    return SupernetSession(epochs, lambda lab: Weights(), lambda lab, trained: 10 - trained.learnt, fallback)


def test_a_supernet_is_made_once() -> None:
    one, lab = session(3), Recommended()
    assert one.begin(lab) is one.begin(lab)


def test_what_the_budget_affords_is_asked_once_and_a_given_length_is_kept() -> None:
    one, lab = session(), Recommended()
    one.begin(lab).learnt = 5
    one.begin(lab)
    assert one.length == 10
    given = session(3)
    given.begin(lab)
    assert given.length == 3


def test_the_session_is_over_when_every_epoch_is_finished_and_not_before_it_has_begun() -> None:
    one = session()
    assert not one.over
    with pytest.raises(AssertionError, match="not begun"):
        _ = one.length
    one.begin(Recommended())
    one.epoch = 9
    assert not one.over
    one.epoch = 10
    assert one.over


def test_a_first_design_is_recommended_once_and_from_the_stream_of_initial_designs() -> None:
    one, lab = session(3, SCENARIO), Recommended()
    one.begin(lab)
    one.begin(lab)
    assert lab.told == [random.Random("init").random()]


def test_a_restored_session_continues_and_recommends_no_first_design_over_a_learnt_one() -> None:
    first = session(fallback=SCENARIO)
    first.begin(Recommended()).learnt = 4
    first.epoch = 2
    second, lab = session(fallback=SCENARIO), Recommended()
    second.load_state_dict(first.state_dict())
    assert second.begin(lab).learnt == 4
    assert (second.epoch, second.length, lab.told) == (2, 10, [])


def test_prices_are_asked_of_what_was_restored() -> None:
    one = session()
    one.load_state_dict({"epoch": 0, "epochs": None, "trained": {"learnt": 4}})
    one.begin(Recommended())
    assert one.length == 6


def test_what_was_restored_and_not_begun_is_saved_as_it_came() -> None:
    state = {"epoch": 2, "epochs": 7, "trained": {"learnt": 4}}
    one = session()
    one.load_state_dict(state)
    assert one.state_dict() == state


def test_restoring_drops_what_was_trained_since() -> None:
    one, lab = session(9), Recommended()
    one.begin(lab)
    saved = one.state_dict()
    one.begin(lab).learnt = 8
    one.epoch = 5
    one.load_state_dict(saved)
    assert (one.epoch, one.begin(lab).learnt) == (0, 0)


def test_epochs_must_fit_on_every_axis_that_is_limited() -> None:
    left: Any = SimpleNamespace(left=lambda: {"epochs": 10.0, "samples": 350.0, "evaluations": 2.0})
    assert epochs_within(left, Cost(epochs=1.0, train_samples=100)) == 3
    assert epochs_within(left, Cost(epochs=4.0, train_samples=100)) == 2
    assert epochs_within(left, Cost(epochs=1.0, train_samples=1000)) == 1  # what does not fit is tried all the same
    after = Cost(inference_samples=50)
    assert epochs_within(left, Cost(epochs=1.0, train_samples=100), 0.5, afterwards=after) == 1
    assert epochs_within(left, Cost(epochs=1.0), 0.5, afterwards=after) == 10
