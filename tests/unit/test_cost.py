"""Costs as vectors, and budgets as limits on them."""

from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchbench.cost import BUDGET_AXES, COST_AXES, DETERMINISTIC_AXES, Budget, Cost
from searchbench.errors import StudyError

WHOLE = st.integers(0, 10**12)
COSTS = st.builds(
    Cost,
    evaluations=WHOLE,
    epochs=st.integers(0, 10**6).map(float),
    train_samples=WHOLE,
    inference_samples=WHOLE,
    macs=WHOLE,
    peak_memory_bytes=WHOLE,
)


@given(a=COSTS, b=COSTS, c=COSTS)
def test_costs_add_as_a_commutative_monoid(a: Cost, b: Cost, c: Cost) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Cost() == a


@given(a=COSTS, b=COSTS)
def test_peak_memory_is_a_maximum_and_all_else_a_sum(a: Cost, b: Cost) -> None:
    total = a + b
    for axis in COST_AXES:
        combine = max if axis == "peak_memory_bytes" else lambda x, y: x + y
        assert getattr(total, axis) == combine(getattr(a, axis), getattr(b, axis))


def test_samples_and_seconds_join_their_two_kinds() -> None:
    cost = Cost(train_samples=3, inference_samples=4, device_s=1.5, simulated_s=2.0, host_s=100.0)
    assert (cost.samples, cost.seconds) == (7, 3.5)


def test_deterministic_axes_leave_clocks_and_memory_out() -> None:
    assert set(COST_AXES) - set(DETERMINISTIC_AXES) == {"device_s", "host_s", "peak_memory_bytes"}


def test_budget_lists_what_it_limits_and_says_it() -> None:
    budget = Budget(evaluations=100, macs=1.5e9)
    assert budget.limits == {"evaluations": 100, "macs": 1.5e9}
    assert str(budget) == "evaluations ≤ 100, macs ≤ 1,500,000,000"
    assert pickle.loads(pickle.dumps(budget)) == Budget.from_mapping(budget.limits) == budget


@pytest.mark.parametrize("axis", BUDGET_AXES)
def test_every_axis_limits_its_own_total(axis: str) -> None:
    budget = Budget(**{axis: 10})
    within = {"samples": "train_samples", "seconds": "simulated_s"}.get(axis, axis)
    assert budget.first_exceeded(Cost(**{within: 10})) is None
    assert budget.first_exceeded(Cost(**{within: 11})) == axis


def test_first_exceeded_axis_is_named_and_rounding_is_forgiven() -> None:
    budget = Budget(evaluations=5, epochs=0.3)
    assert budget.first_exceeded(Cost(evaluations=5, epochs=0.1 + 0.2)) is None
    assert budget.first_exceeded(Cost(evaluations=6, epochs=9.0)) == "evaluations"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"must limit at least one of evaluations, epochs.*budget = \{ evaluations = 100 \}"),
        ({"evaluations": 0}, r"`budget\.evaluations` must be positive and finite, but got 0"),
        ({"macs": -1.0}, "must be positive"),
        ({"epochs": math.inf}, "must be positive and finite"),
        ({"epochs": math.nan}, "must be positive and finite"),
        ({"seconds": "60"}, r"`budget\.seconds` must be a number, but got '60'"),
        ({"samples": True}, "must be a number"),
        ({"evaluation": 5}, "unknown budget axis `evaluation`; did you mean `evaluations`"),
    ],
)
def test_impossible_budget_is_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Budget.from_mapping(given)
