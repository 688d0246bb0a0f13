"""Symmetries and sanity that hold for any scores, ties and failures included."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hyp

from searchbench import statistics as st

SCORE = hyp.one_of(hyp.integers(0, 4).map(float), hyp.floats(-5, 5).map(lambda v: round(v, 3)))
ENDED = hyp.sampled_from(["ok"] * 8 + ["failed", "timeout", "infra", "nan", "missing"])
RUN = hyp.tuples(SCORE, ENDED)
RUNS = hyp.integers(1, 24).flatmap(lambda n: hyp.tuples(*[hyp.lists(RUN, min_size=n, max_size=n)] * 2))


def arms(runs: tuple[list[tuple[float, str]], ...], *, sign: float = 1.0, better: Any = "lower") -> tuple[st.Arm, ...]:
    return tuple(
        st.arm([sign * v for v, _ in r], name=name, statuses=[s for _, s in r], better=better)
        for name, r in zip("ab", runs, strict=True)
    )


def who(answer: st.Answer) -> str | None:
    return answer.wording.split(" is better than ")[0] if "is better than" in answer.wording else None


def same(x: float | None, y: float | None) -> bool:
    return (x is None) == (y is None) and (x is None or y is None or math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9))


@pytest.mark.parametrize("compare", [st.paired, st.unpaired])
@settings(max_examples=150, deadline=None)
@given(runs=RUNS)
def test_any_pair_of_arms_gets_a_complete_answer(compare: Any, runs: Any) -> None:
    a, b = arms(runs)
    answer = compare(a, b)
    assert answer.wording
    assert answer.p is None or 0 <= answer.p <= 1
    assert answer.estimate is None or math.isfinite(answer.estimate)
    explained = answer.status in ("refused", "incomplete") or answer.code == "too_many_failures"
    assert explained or not answer.refusal_reason
    assert (answer.status == "ok") <= (answer.p is not None)
    if who(answer):
        assert answer.p is not None
        assert answer.p < 0.05
    hash(answer)
    answer.to_dict()


@pytest.mark.parametrize("compare", [st.paired, st.unpaired])
@settings(max_examples=100, deadline=None)
@given(runs=RUNS)
def test_swapping_the_arms_mirrors_the_answer(compare: Any, runs: Any) -> None:
    a, b = arms(runs)
    there, back = compare(a, b), compare(b, a)
    assert (there.status, there.code) == (back.status, back.code)
    assert same(there.p, back.p)
    assert same(there.estimate, None if back.estimate is None else -back.estimate)
    assert who(there) == who(back)


@pytest.mark.parametrize("compare", [st.paired, st.unpaired])
@settings(max_examples=100, deadline=None)
@given(runs=RUNS)
def test_negating_the_metric_and_its_direction_changes_nothing(compare: Any, runs: Any) -> None:
    plain = compare(*arms(runs))
    mirrored = compare(*arms(runs, sign=-1.0, better="higher"))
    assert (plain.status, plain.code, who(plain)) == (mirrored.status, mirrored.code, who(mirrored))
    assert same(plain.p, mirrored.p)


@settings(max_examples=100, deadline=None)
@given(hyp.lists(RUN, min_size=1, max_size=15))
def test_any_arm_can_be_described(runs: list[tuple[float, str]]) -> None:
    answer = (
        st.describe([v for v, _ in runs]) if all(s == "ok" for _, s in runs) else st.describe(arms((runs, runs))[0])
    )
    assert answer.wording
    assert "nan" not in answer.wording
    assert answer["n_ok"] + answer["n_failed"] + answer["n_infra"] == len(runs)


@settings(max_examples=60, deadline=None)
@given(hyp.integers(3, 6), hyp.integers(3, 12), hyp.integers(0, 2**31), hyp.booleans(), hyp.booleans())
def test_any_family_is_adjusted_and_lettered(k: int, n: int, seed: int, by_seed: bool, fails: bool) -> None:
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(0, 1, (k, n)) + rng.integers(0, 3, (k, 1)), 1)
    x[rng.random((k, n)) < 0.1 * fails] = np.nan
    group = [st.arm(row, name=f"s{i}", better="lower") for i, row in enumerate(x)]
    family = st.all_pairs(group, paired_by_seed=by_seed)
    shown = family.letters()
    wins = family.wins()
    for i, first in enumerate(family.names):
        for j, second in enumerate(family.names):
            assert bool(set(shown[first]) & set(shown[second])) == (not wins[i, j] and not wins[j, i])
    for answer in family.answers:
        assert answer.p_adj is None or (answer.p is not None and answer.p_adj >= answer.p - 1e-12)
    for low, high in family.rank_intervals().values():
        assert 1 <= low <= high <= k
