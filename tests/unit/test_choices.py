"""Single decisions: draws, neighbours, mutations and encodings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice, Decision, Float, Integer

RNG_SEEDS = st.integers(0, 2**32)
DECISIONS: list[Decision] = [
    Choice("c", ("a", "b", "c")),
    Choice("c", (None.__class__, 1, "x")),
    Choice("c", ("only",)),
    Integer("i", -3, 9),
    Integer("i", 1, 1000, log=True),
    Integer("i", 4, 4),
    Float("f", -1.0, 2.0),
    Float("f", 1e-5, 1e-1, log=True),
    Float("f", 2.0, 2.0),
]


@pytest.mark.parametrize("decision", DECISIONS, ids=repr)
@given(seed=RNG_SEEDS)
def test_everything_drawn_is_legal_and_encodes_to_the_declared_width(decision: Decision, seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = decision.sample(rng)
    for legal in (value, decision.first, decision.mutate(value, rng), *decision.neighbours(value)):
        assert decision.contains(legal)
        encoded = decision.encode(legal)
        assert len(encoded) == decision.width
        assert all(-1e-12 <= x <= 1 + 1e-12 for x in encoded)


@pytest.mark.parametrize("decision", [d for d in DECISIONS if d.arity not in (None, 1)], ids=repr)
@given(seed=RNG_SEEDS)
def test_mutation_changes_the_value_where_there_is_another(decision: Decision, seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = decision.sample(rng)
    assert decision.mutate(value, rng) != value
    assert value not in decision.neighbours(value)


def test_mutation_of_a_choice_is_uniform_over_the_others() -> None:
    choice, rng = Choice("c", tuple(range(5))), np.random.default_rng(0)
    counts = np.bincount([choice.mutate(2, rng) for _ in range(8000)], minlength=5)  # type: ignore[arg-type, list-item]
    assert counts[2] == 0
    assert stats.chisquare(np.delete(counts, 2)).pvalue > 1e-3


def test_log_scale_is_uniform_in_the_logarithm() -> None:
    decision, rng = Float("lr", 1e-4, 1e-1, log=True), np.random.default_rng(0)
    logs = [math.log10(decision.sample(rng)) for _ in range(4000)]  # type: ignore[arg-type]
    assert stats.kstest(logs, stats.uniform(-4, 3).cdf).pvalue > 1e-3


def test_integer_log_scale_is_drawn_log_uniformly_and_rounded() -> None:
    decision, rng = Integer("n", 1, 8, log=True), np.random.default_rng(0)
    counts = np.bincount([decision.sample(rng) for _ in range(8000)], minlength=9)[1:]  # type: ignore[arg-type, list-item]
    edges = np.log(np.arange(1, 10) - 0.5)
    assert stats.chisquare(counts, 8000 * np.diff(edges) / (edges[-1] - edges[0])).pvalue > 1e-3


def test_values_list_all_of_a_finite_decision() -> None:
    assert list(Integer("n", 2, 5).values()) == [2, 3, 4, 5]
    assert list(Choice("c", ("b", "a")).values()) == ["b", "a"]
    with pytest.raises(SpaceError, match="real number and cannot be enumerated"):
        Float("f", 0, 1).values()


def test_booleans_and_foreign_values_are_not_numbers() -> None:
    assert not Integer("n", 0, 5).contains(True)
    assert not Integer("n", 0, 5).contains(2.0)
    assert not Float("f", 0, 1).contains("0.5")
    assert Float("f", 0, 1).contains(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Choice("c", ()), "needs distinct options"),
        (lambda: Choice("c", ("a", "a")), "needs distinct options"),
        (lambda: Integer("n", 5, 1), r"`low <= high` must hold, but got low=5, high=1"),
        (lambda: Float("f", 0.0, 1.0, log=True), r"a log scale needs `low > 0`, but got low=0\.0"),
        (lambda: Float("f", math.nan, 1.0), "`low <= high` must hold"),
    ],
)
def test_impossible_decisions_are_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpaceError, match=message):
        make()


def test_neighbours_of_a_real_number_are_a_tenth_of_its_scale_away_and_within_it() -> None:
    plain, scaled = Float("x", 0.0, 1.0), Float("x", 1e-4, 1.0, log=True)
    assert plain.neighbours(0.5) == pytest.approx([0.4, 0.6])
    assert plain.neighbours(0.05) == pytest.approx([0.15])
    assert plain.neighbours(1.0) == pytest.approx([0.9])
    assert scaled.neighbours(1e-2) == pytest.approx([10**-2.4, 10**-1.6])
