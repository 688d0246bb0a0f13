"""Curves, targets, tuning, baselines, equivalence, power, ablations, proxies, variance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from searchbench import statistics as st
from searchbench.errors import StatisticsError
from searchbench.statistics.factorial import cells as every_cell

RNG = np.random.default_rng(21)


def curve(times: list[float], values: list[float], budget: float = 10.0, unit: str = "evaluations", **more: float):  # type: ignore[no-untyped-def]
    return st.Curve(tuple(times), tuple(values), budget, unit, **more)


def test_a_step_holds_its_value_until_the_next_evaluation() -> None:
    c = curve([1, 4], [0.5, 0.2], before_first=1.0)
    assert st.step_at(c, [0, 0.99, 1, 3.99, 4, 10]).tolist() == [1.0, 1.0, 0.5, 0.5, 0.2, 0.2]


def test_a_curve_without_a_declared_start_is_not_extended_backwards() -> None:
    with pytest.raises(StatisticsError, match="before_first"):
        st.area(curve([3, 5], [0.5, 0.3]))


def test_evaluations_beyond_the_budget_do_not_count() -> None:
    assert st.area(curve([0, 12], [0.5, 0.0])) == pytest.approx(5.0)


def test_a_failed_trial_leaves_the_incumbent_alone() -> None:
    assert st.incumbent([0.5, math.nan, 0.4]).tolist() == [0.5, 0.5, 0.4]
    assert st.incumbent([0.5, math.nan, 0.4], better="higher").tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("other", "message"),
    [(curve([0], [1.0], budget=10.2), "budgets differ"), (curve([0], [1.0], unit="seconds"), "different units")],
)
def test_curves_of_different_budgets_or_units_are_refused(other: st.Curve, message: str) -> None:
    answer = st.regrets([curve([0], [1.0]), other], best=0.0)
    assert (answer.status, answer.code) == ("refused", "budgets_differ")
    assert message in answer.refusal_reason


def test_budgets_within_one_percent_are_the_same() -> None:
    assert st.regrets([curve([0], [1.0]), curve([0], [0.5], budget=10.1)], best=0.0).estimate == pytest.approx(0.75)


def test_band_widens_over_runs_and_is_withheld_below_ten() -> None:
    runs = [curve([0, 5], [1 + 0.1 * i, 0.1 * i]) for i in range(10)]
    full, few = st.band(runs, [0, 9]), st.band(runs[:9], [0, 9])
    assert (full.low < full.mean).all()
    assert (full.high > full.mean).all()
    assert np.isnan(few.low).all()
    with pytest.raises(StatisticsError, match="beyond the budget"):
        st.band(runs, [0, 11])


def test_runs_that_miss_the_target_are_censored_at_their_budget() -> None:
    runs = [curve([1, 6], [0.5, 0.1]), curve([1], [0.5]), curve([2], [0.05])]
    found = st.hits(runs, 0.1)
    assert (found.times, found.censored) == ((6.0, 2.0), (10.0,))
    assert st.hits(runs, 0.4, better="higher").times == (1.0, 1.0)


def test_expected_running_time_without_a_success_is_infinite() -> None:
    answer = st.expected_running_time(st.Hits((), (10.0, 10.0)))
    assert (answer.status, answer["ERT"], answer["success_rate"]) == ("undefined", math.inf, 0.0)


def test_two_hits_give_only_an_expected_running_time() -> None:
    few, many = st.Hits((1.0, 2.0), (9.0, 9.0)), st.Hits((1.0, 2.0, 3.0), (9.0,), "b")
    assert st.kaplan_meier(few).code == "too_few_hits"
    answer = st.log_rank(few, many)
    assert (answer.status, answer["ERT_a"]) == ("refused", 10.5)


def test_log_rank_names_the_faster_arm() -> None:
    fast, slow = st.Hits(tuple(range(1, 11)), (), "fast"), st.Hits(tuple(range(20, 30)), (), "slow")
    assert st.log_rank(fast, slow).wording.startswith("fast reaches the target sooner")
    assert st.log_rank(slow, fast).wording.startswith("fast reaches the target sooner")


def test_median_time_is_not_reached_when_most_runs_are_censored() -> None:
    answer = st.kaplan_meier(st.Hits((1.0, 2.0, 3.0), (10.0,) * 9))
    assert answer.estimate is None
    assert "not reached by half" in answer.wording


def test_expected_best_beyond_the_configurations_tried_is_refused() -> None:
    assert st.expected_best([1.0, 2.0, 3.0], n=4).code == "n_exceeds_b"
    assert st.expected_best(np.arange(10.0), n=6).code == "beyond_half"
    assert st.expected_best(np.arange(10.0), n=5).code == "ok"


def test_plug_in_estimate_is_never_above_the_unbiased_one() -> None:
    answer = st.expected_best(RNG.random(12))
    assert (np.array(answer["plug_in"]) <= np.array(answer["expected_best"]) + 1e-12).all()


def test_relative_improvement_needs_a_random_arm_of_the_same_pipeline() -> None:
    x = 97 + RNG.normal(0, 0.1, 8)
    assert st.relative_improvement(x, None).code == "no_random_arm"
    assert st.relative_improvement(x, x, same_pipeline=False).code == "no_random_arm"


def test_relative_improvement_below_eight_architectures_makes_no_claim() -> None:
    answer = st.relative_improvement([97.3] * 3 + [97.4] * 4, [97.0] * 6 + [97.1])
    assert (answer.status, answer.code) == ("refused", "insufficient_n")
    assert answer.estimate is not None
    assert "1 more per arm" in answer.refusal_reason


def test_relative_improvement_claims_only_what_its_interval_allows() -> None:
    base = 97 + RNG.normal(0, 0.2, 20)
    assert "beats random sampling" in st.relative_improvement(base + 1, base).wording
    assert "no evidence" in st.relative_improvement(base - 1, base).wording


@pytest.mark.parametrize("comparisons", [1, 5])
def test_the_interval_of_a_relative_improvement_is_joint_over_the_comparisons_and_not_over_the_runs(
    comparisons: int,
) -> None:
    accuracies, sampled = 97 + RNG.normal(0, 0.3, 12), 96 + RNG.normal(0, 0.2, 9)
    answer = st.relative_improvement(accuracies, sampled, comparisons=comparisons)
    ratio = accuracies.mean() / sampled.mean()
    parts = accuracies.var(ddof=1) / 12, ratio**2 * sampled.var(ddof=1) / 9
    df = sum(parts) ** 2 / (parts[0] ** 2 / 11 + parts[1] ** 2 / 8)
    half = stats.t.ppf(1 - 0.025 / comparisons, df) * math.sqrt(sum(parts)) / sampled.mean()
    assert answer.interval is not None
    assert (answer.interval.low, answer.interval.high) == pytest.approx(
        (100 * (ratio - half - 1), 100 * (ratio + half - 1))
    )
    assert answer.interval.joint == comparisons


def test_equivalence_needs_a_declared_bound_and_enough_runs() -> None:
    x = RNG.normal(0, 1, 12)
    for test in (st.tost, st.rope):
        assert test(x, x + 0.1, delta=None, paired_by_seed=True).code == "delta_not_declared"
        assert test(x[:4], x[4:8], delta=0.1, paired_by_seed=False).code == "insufficient_n"
        assert test(x, x + 0.1, delta=0.5, paired_by_seed=True).status == "degenerate"


def test_no_difference_is_not_equivalence() -> None:
    a, b = RNG.normal(0, 1, 8), RNG.normal(0, 1, 8)
    assert st.tost(a, b, delta=0.05, paired_by_seed=False).wording.startswith("not shown equivalent")
    near = a + RNG.normal(0, 0.01, 8)
    assert st.tost(a, near, delta=0.1, paired_by_seed=True)["equivalent"]
    assert st.rope(a, near, delta=0.1, paired_by_seed=True).wording.startswith("equivalent")


def test_tost_is_significant_exactly_when_its_interval_lies_inside_the_bound() -> None:
    for shift in np.linspace(0, 0.3, 13):
        a, b = RNG.normal(shift, 0.2, 10), RNG.normal(0, 0.2, 10)
        for matched in (True, False):
            answer = st.tost(a, b, delta=0.25, paired_by_seed=matched)
            inside = answer.interval.low > -0.25 and answer.interval.high < 0.25  # type: ignore[union-attr]
            assert answer["equivalent"] == inside


def test_posterior_masses_add_up_to_one() -> None:
    answer = st.rope(RNG.normal(0, 1, 9), RNG.normal(0, 1, 7), delta=0.3, paired_by_seed=False)
    assert answer["below"] + answer["within"] + answer["above"] == pytest.approx(1.0)


def test_more_seeds_speaks_in_seeds_and_cost() -> None:
    answer = st.more_seeds(delta=0.2, sd=0.14317821063276354, n_pilot=4, paired=False, cost_per_run=3.5)
    assert answer.wording == "have 4, need 17 per arm (+13, ~45.5 GPU-days per arm at 3.5 each)"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"delta": None}, "delta_not_declared"), ({"n_pilot": 2}, "insufficient_n"), ({"sd": 0.0}, "degenerate")],
)
def test_planning_without_its_premises_is_refused(change: dict, code: str) -> None:  # type: ignore[type-arg]
    known = {"delta": 0.2, "sd": 0.1, "n_pilot": 4, "paired": True}
    assert st.more_seeds(**(known | change)).code == code  # type: ignore[arg-type]


def test_a_huge_effect_still_needs_the_combinatorial_minimum() -> None:
    answer = st.more_seeds(delta=100.0, sd=0.1, n_pilot=4, paired=True, comparisons=10)
    assert answer["ceil"] == st.min_pairs(0.05, 10) == 9


def test_looks_divide_alpha_and_undeclared_ones_are_exploratory() -> None:
    assert st.looks(taken=2, declared=2).wording == "look 2 of 2, alpha 0.025"
    for taken, declared in ((3, 2), (1, None)):
        answer = st.looks(taken=taken, declared=declared)
        assert (answer.status, answer.code) == ("refused", "exploratory")


def cells(n: int, effects: tuple[float, float, float]) -> dict[frozenset[str], st.Arm]:
    shared = RNG.normal(0, 0.5, n)
    out = {}
    for a in (0, 1):
        for b in (0, 1):
            mean = effects[0] * a + effects[1] * b + effects[2] * a * b
            name = frozenset(f for f, on in (("A", a), ("B", b)) if on)
            out[name] = st.arm(shared + mean + RNG.normal(0, 0.1, n), seeds=range(101, 101 + n))
    return out


def test_factorial_contrasts_recover_the_effects() -> None:
    found = st.factorial(cells(20, (1.0, -0.5, 0.6)), ("A", "B"), paired_by_seed=True)
    assert found["A"].estimate == pytest.approx(1.3, abs=0.15)
    assert found["B"].estimate == pytest.approx(-0.2, abs=0.15)
    assert found["A × B"].estimate == pytest.approx(0.6, abs=0.2)
    assert "established" in found["A"].wording
    assert found["A"].p_adj <= 3 * found["A"].p  # type: ignore[operator]


def test_blocking_by_seed_is_sharper_than_independent_cells() -> None:
    table = cells(12, (0.3, 0.0, 0.0))
    blocked, free = (st.factorial(table, ("A", "B"), paired_by_seed=p)["A"] for p in (True, False))
    assert blocked.estimate == pytest.approx(free.estimate)
    assert blocked["se"] < free["se"]


def test_a_missing_corner_leaves_nothing_identified() -> None:
    table = cells(8, (1.0, 1.0, 0.0))
    del table[frozenset({"A", "B"})]
    found = st.factorial(table, ("A", "B"), paired_by_seed=True)
    assert found.missing == ("A+B",)
    assert {a.code for a in found.effects.values()} == {"not_identified"}


def test_five_blocks_estimate_but_do_not_test() -> None:
    answer = st.factorial(cells(5, (1.0, 0, 0)), ("A", "B"), paired_by_seed=True)["A"]
    assert (answer.status, answer.p) == ("refused", None)
    assert answer.interval is not None
    assert "2 more" in answer.refusal_reason  # a family of three needs seven


def test_a_seed_with_a_failed_cell_is_left_out_by_name() -> None:
    table = cells(8, (1.0, 0, 0))
    first = table[frozenset()]
    table[frozenset()] = st.arm([None, *first.scores[1:]], seeds=first.seeds)
    answer = st.factorial(table, ("A", "B"), paired_by_seed=True)["A"]
    assert (answer.status, answer.n_effective) == ("incomplete", 7)
    assert "[101]" in answer.wording


def test_cells_of_different_seeds_are_not_blocked() -> None:
    table = cells(8, (1.0, 0, 0))
    table[frozenset()] = st.arm(table[frozenset()].scores, seeds=range(8))
    assert st.factorial(table, ("A", "B"), paired_by_seed=True)["A"].code == "seeds_differ"


def test_three_factors_have_seven_effects_that_cancel_as_they_should() -> None:
    factors = ("A", "B", "C")
    table = {c: st.Summary(2.0 * ("A" in c) + 3.0 * (c == frozenset(factors)), 0.5, 6) for c in every_cell(factors)}
    found = st.factorial(table, factors, paired_by_seed=False)
    assert len(found.effects) == 7
    assert found["A × B × C"].estimate == pytest.approx(3.0)
    assert found["A"].estimate == pytest.approx(2.75)
    assert found["B × C"].estimate == pytest.approx(1.5)


def test_a_ladder_compares_with_both_ends_and_admits_what_it_cannot_tell() -> None:
    table = cells(10, (1.0, 0.5, 0.8))
    base, full = table[frozenset()], table[frozenset({"A", "B"})]
    rungs = st.ladder(
        base, full, added={"A": table[frozenset({"A"})]}, removed={"A": table[frozenset({"B"})]}, better="higher"
    )
    (rung,) = rungs
    assert rung.added is not None
    assert rung.removed is not None
    assert rung.added.estimate == pytest.approx(1.0, abs=0.2)
    assert rung.removed.estimate == pytest.approx(1.8, abs=0.2)
    assert rung.added.family_size == 2
    assert "not identified" in rung.interaction


def test_rank_correlation_shows_its_ceiling_and_floor() -> None:
    truth = RNG.normal(0, 1, 60)
    answer = st.rank_correlation(
        truth, truth + RNG.normal(0, 1, 60), again=truth + RNG.normal(0, 0.3, 60), n_params=RNG.normal(0, 1, 60)
    )
    assert answer["ceiling"] > answer.estimate > answer["floor"]  # type: ignore[operator]
    assert "noise ceiling" in answer.wording
    assert "#params floor" in answer.wording


def test_rank_correlation_says_when_its_references_were_not_measured() -> None:
    x = RNG.normal(0, 1, 30)
    assert "ceiling not measured" in st.rank_correlation(x, x + RNG.normal(0, 1, 30)).wording


def test_fewer_than_ten_architectures_make_no_rank_claim() -> None:
    answer = st.rank_correlation(np.arange(9.0), np.arange(9.0))
    assert (answer.status, answer.estimate, answer.interval) == ("refused", 1.0, None)


def test_regret_at_k_follows_the_direction_of_the_truth() -> None:
    error, proxy = [5.0, 5.5, 6.0, 7.0, 8.0], [0.2, 0.9, 0.8, 0.1, 0.3]
    answer = st.top_k(error, proxy, 2, better="lower")
    assert (answer["regret_at_k"], answer["precision_at_k"]) == (0.5, 0.5)


def test_many_evaluations_of_few_searches_do_not_shrink_the_error() -> None:
    x = 10 + RNG.normal(0, 1, (4, 1)) + RNG.normal(0, 0.1, (4, 50))
    answer = st.variance_components(x, cost_search=0.4, cost_evaluation=3.0)
    assert answer["se"] > 4 * answer["naive_se"]
    assert answer["best_m"] == 1.0


@pytest.mark.parametrize("shape", [(2, 5), (5, 1)])
def test_variance_split_needs_three_searches_evaluated_twice(shape: tuple[int, int]) -> None:
    assert st.variance_components(RNG.random(shape)).status == "refused"
