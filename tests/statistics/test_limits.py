"""Rules just at their limits, and what a family changes: shares of failures, ropes, ties, what is handed on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from searchbench import statistics as st
from searchbench.statistics.arms import Arm
from searchbench.statistics.estimand import Mean, opposed
from searchbench.statistics.one_task import _baseline_first
from searchbench.statistics.power import detectable_in, sd_upper_factor
from searchbench.statistics.resampling import seed_counts

RNG = np.random.default_rng(12)
BASE = np.linspace(0.0, 0.9, 10)


def losing(count: int) -> Arm:
    """Ten runs, each worse than `BASE` by another amount, the last of which failed."""
    scores = BASE + np.linspace(1.0, 2.0, 10)
    return st.arm([*scores[: 10 - count], *[math.nan] * count], name="a", better="lower")


def test_means_are_compared_up_to_a_fifth_of_failures_and_no_further() -> None:
    base = st.arm(BASE, name="b", better="lower")
    for compare in (st.paired, st.unpaired):
        assert compare(losing(2), base).estimate is not None
        assert compare(losing(3), base).estimate is None
    assert st.tost(losing(2), base, delta=9.0, paired_by_seed=True).estimate is not None
    assert st.tost(losing(3), base, delta=9.0, paired_by_seed=True).code == "too_many_failures"
    for count, told in ((2, None), (3, "too_many_failures")):
        cells = {frozenset[str](): base, frozenset({"A"}): losing(count)}
        for by_seed in (True, False):
            found = st.factorial(cells, ("A",), paired_by_seed=by_seed)["A"]
            assert (found.code == "too_many_failures") is (told is not None)


def test_a_task_on_which_more_than_a_fifth_failed_withholds_all_ranks() -> None:
    x = 5 + RNG.random((2, 10, 3))
    for failed, refused in ((2, False), (3, True)):
        lossy = x.copy()
        lossy[1, :failed, 2] = math.nan  # 3 of 30 runs, but 3 of 10 on one task
        scores = st.Scores(("s0", "s1"), ("t0", "t1", "t2"), lossy, ("lower",) * 3).normalised([3.0] * 3, [9.0] * 3)
        assert (st.aggregate(scores).answers[0].code == "too_many_failures") is refused


def test_a_difference_just_as_large_as_the_rope_is_not_called_better() -> None:
    d = np.array([0.25, 0.5, 0.75] * 4)
    assert st.paired(BASE[0] + d, np.zeros(12), better="lower", rope=0.5).wording.startswith(
        "a and b differ by no more"
    )
    assert st.paired(BASE[0] + d, np.zeros(12), better="lower", rope=0.499).wording.startswith("b is better")


def test_what_would_have_been_seen_is_that_of_the_estimand_in_its_family() -> None:
    a, b = RNG.normal(0, 1, 12), RNG.normal(0, 1, 12)
    sd = (a - b).std(ddof=1)
    for comparisons in (1, 5):
        multiple = detectable_in(12, alpha=0.05 / comparisons)
        assert multiple is not None
        for estimand, efficiency in (("mean", 1.0), ("rank", 0.955), ("median", 0.637)):
            found = st.paired(a, b, better="lower", comparisons=comparisons, estimand=estimand)  # type: ignore[arg-type]
            assert f"a difference of {multiple * sd / math.sqrt(efficiency):.3g} would be seen" in found.wording


def test_plans_of_families_and_rank_tests_need_more_seeds() -> None:
    known = {"delta": 0.5, "sd": 1.0, "n_pilot": 10, "paired": True}
    need = {k: st.required_n(0.5 / sd_upper_factor(9), paired=True, alpha=a) for k, a in ((1, 0.05), (5, 0.01))}
    for comparisons in (1, 5):
        plan = st.more_seeds(**known, comparisons=comparisons)  # type: ignore[arg-type]
        assert plan["n_required"] == pytest.approx(need[comparisons])
    ranked = st.more_seeds(**known, rank_test=True)["ceil"]  # type: ignore[arg-type]
    assert ranked >= math.ceil(need[1] / 0.955) > math.ceil(need[1])


def test_an_arm_that_is_told_apart_hands_a_fifth_of_its_error_to_its_own_pairs() -> None:
    names = [("a", "z"), ("b", "z"), ("c", "z"), ("a", "b"), ("a", "c"), ("b", "c")]
    shares, passing = _baseline_first(names, 3)
    assert shares == pytest.approx([1 / 3] * 3 + [0] * 3)
    assert passing[0] == pytest.approx([0, 0.4, 0.4, 0.1, 0.1, 0])
    assert passing[2] == pytest.approx([0.4, 0.4, 0, 0, 0.1, 0.1])
    assert passing[3] == pytest.approx([0, 0, 0, 0, 0.5, 0.5])


def test_an_arm_that_mostly_failed_hands_nothing_on() -> None:
    good = [st.arm(BASE + 0.3 * k + 0.01 * RNG.random(10), name=f"s{k}", better="lower") for k in range(3)]
    broken = st.arm([*good[0].scores[:6], *[math.nan] * 4], name="broken", better="lower")
    family = st.baseline_then_others([*good, broken], "s0", paired_by_seed=True)
    own = [answer for pair, answer in family if "broken" in pair]
    assert own
    assert all(answer.p_adj == 1.0 for answer in own if answer.p is not None)


def test_an_estimand_that_points_nowhere_is_not_opposed() -> None:
    balanced = np.array([-3.0, -0.1, -0.1, -0.1, -0.1, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1])
    even = np.array([1.0, -1.0, 0.5, -0.5] * 3) + 0.0
    assert opposed(Mean(), even, 1.0) == ""
    assert opposed(Mean(), np.array([-9.0, *balanced[5:], 0.4, 0.3]), 0.5).startswith("the mean difference decides")


def test_first_places_are_shared_among_those_that_tie_for_them() -> None:
    x = np.repeat(RNG.random((1, 10, 1)), 3, axis=0)
    x[2] += 1.0
    assert st.p_best(st.Scores(("a", "b", "c"), ("t",), x, ("lower",))) == {"a": 0.5, "b": 0.5, "c": 0.0}


def test_half_of_the_configurations_may_be_claimed_and_no_more() -> None:
    grey = st.expected_best(RNG.random(8), resamples=10)["grey"]
    assert list(grey) == [False] * 4 + [True] * 4


def test_precision_at_k_counts_architectures_that_tie_with_the_last() -> None:
    found = st.top_k([0.9, 0.8, 0.8, 0.1], [4.0, 3.0, 2.0, 1.0], 2)
    assert found["precision_at_k"] == 1.0
    assert st.top_k([0.9, 0.8, 0.8, 0.1], [1.0, 4.0, 2.0, 3.0], 2)["precision_at_k"] == 0.5


def test_a_band_of_curves_is_drawn_from_ten_runs_on() -> None:
    curves = [st.Curve((0.0,), (float(k),), 1.0, "evaluations") for k in range(10)]
    assert np.isfinite(st.band(curves, [0.5]).low).all()
    assert np.isnan(st.band(curves[:9], [0.5]).low).all()


def test_a_target_reached_beyond_the_budget_is_not_reached() -> None:
    late = st.Curve((1.0, 12.0), (0.5, 0.1), 10.0, "evaluations")
    found = st.hits([late], 0.1)
    assert (found.times, found.censored) == ((), (10.0,))
    assert st.hits([late], 0.5).times == (1.0,)


def test_intervals_of_independent_cells_hold_jointly() -> None:
    cells = {c: st.arm(RNG.normal(0, 1, 9)) for c in (frozenset[str](), frozenset({"A"}), frozenset({"B"}))}
    cells[frozenset({"A", "B"})] = st.arm(RNG.normal(0, 1, 9))
    effect = st.factorial(cells, ("A", "B"), paired_by_seed=False)["A"]
    assert effect.interval is not None
    assert effect.estimate is not None
    half = stats.t.ppf(1 - 0.05 / 3 / 2, effect["df"]) * effect["se"]
    assert (effect.interval.low, effect.interval.joint) == (pytest.approx(effect.estimate - half), 3)


def test_a_claim_over_random_sampling_counts_the_strategies_that_are_compared() -> None:
    spread = np.linspace(-1, 1, 10)
    better, sampled = 96.45 + 0.5 * spread, 96 + 0.2 * spread
    p = st.relative_improvement(better, sampled).p
    assert p is not None
    assert 0.05 / 30 < p < 0.05
    told = [st.relative_improvement(better, sampled, comparisons=m) for m in (1, 30)]
    assert ["no evidence" in answer.wording for answer in told] == [False, True]
    assert told[1].p_adj == pytest.approx(30 * p)


def test_supernets_are_resampled_apart_from_architectures() -> None:
    assert not np.array_equal(seed_counts(3, 50, 8), seed_counts(3, 50, 8, stream=1))
    truth = RNG.normal(0, 1, 12)
    proxies = truth + RNG.normal(0, 1, (4, 12))
    found = st.supernet_correlation(truth, proxies, resamples=60, seed=3)
    taus = []
    for own, weights in zip(seed_counts(3, 60, 12), seed_counts(3, 60, 4, stream=1), strict=True):
        at = np.repeat(np.arange(12), own.astype(int))
        taus.append(np.average([stats.kendalltau(truth[at], y[at]).statistic for y in proxies], weights=weights))
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(np.quantile(taus, [0.025, 0.975])))
    assert found["std"] == pytest.approx(np.std(found["taus"], ddof=1))
