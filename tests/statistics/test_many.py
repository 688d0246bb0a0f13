"""Many strategies: families, letters, ranks, tasks, and what refuses to be ranked."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hyp

from searchbench import statistics as st
from searchbench.errors import StatisticsError


def arms(k: int, n: int, *, step: float = 0.5, seed: int = 0) -> list[st.Arm]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=n)
    return [st.arm(shared + rng.normal(0, 0.3, n) + step * i, name=f"s{i}", better="lower") for i in range(k)]


def regrets(k: int = 4, seeds: int = 12, tasks: int = 3, *, step: float = 0.3, seed: int = 0) -> st.Scores:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.3, (1, seeds, tasks)) + rng.normal(0, 0.3, (k, seeds, tasks)) + 5
    x += step * np.arange(k)[:, None, None]
    names, labels = tuple(f"s{i}" for i in range(k)), tuple(f"t{t}" for t in range(tasks))
    return st.Scores(names, labels, x, ("lower",) * tasks).normalised([3.0] * tasks, [9.0] * tasks)


def test_holm_is_over_the_comparisons_with_the_baseline() -> None:
    family = st.versus_baseline(arms(4, 12), "s0", paired_by_seed=True)
    assert {a.family_size for a in family.answers} == {3}
    raw = [a.p for a in family.answers]
    assert [a.p_adj for a in family.answers] == pytest.approx(st.holm(raw))
    assert family["s3", "s0"].wording.startswith("s0 is better than s3")


@pytest.mark.parametrize("failed", [False, True])
def test_intervals_of_an_unpaired_family_have_the_level_that_was_asked_for(failed: bool) -> None:
    some = arms(3, 12)
    if failed:
        some[1] = st.arm([*some[1].scores[:-1], math.nan], name="s1", better="lower")
    alone = [st.unpaired(a, some[0], level=0.9).interval for a in some[1:]]
    assert [x.interval for x in st.versus_baseline(some, "s0", paired_by_seed=False, level=0.9).answers] == alone
    strict = st.versus_baseline(some, "s0", paired_by_seed=False, alpha=0.01)
    assert [x.interval.level for x in strict.answers if x.interval is not None] == [0.99, 0.99]


def test_all_pairs_have_friedman_beside_them() -> None:
    family = st.all_pairs(arms(4, 12), paired_by_seed=True)
    assert family.omnibus is not None
    assert family.omnibus.p is not None
    assert family.omnibus.p < 0.001
    assert len(family.pairs) == 6


@pytest.mark.parametrize(("k", "n", "needed"), [(3, 6, 7), (5, 8, 9), (10, 10, 11)])
def test_a_family_below_its_minimum_of_seeds_wins_no_badge(k: int, n: int, needed: int) -> None:
    family = st.all_pairs(arms(k, n, step=5.0), paired_by_seed=True)
    assert all(a.status == "refused" for a in family.answers)
    assert f"{needed - n} more per arm are needed" in family.answers[0].refusal_reason
    enough = st.all_pairs(arms(k, needed, step=5.0), paired_by_seed=True)
    assert all(a.status == "ok" for a in enough.answers)
    assert enough.wins().sum() == k * (k - 1) // 2


def test_an_untestable_member_stays_in_the_family() -> None:
    group = arms(3, 12)
    twin = st.arm(group[0].values + 1.0, name="offset", better="lower")
    family = st.versus_baseline([*group, twin], "s0", paired_by_seed=True)
    assert family["offset", "s0"].p is None
    assert family["offset", "s0"].code == "degenerate_zero_variance"
    assert all(a.family_size == 3 for a in family.answers)
    assert family["s2", "s0"].p_adj == pytest.approx(3 * family["s2", "s0"].p)


def test_an_arm_with_failures_is_compared_by_its_own_policy_inside_a_family() -> None:
    group = arms(3, 12, step=3.0)
    broken = st.arm([*group[2].scores[:-1], math.nan], name="s2", better="lower")
    family = st.all_pairs([*group[:2], broken], paired_by_seed=True)
    assert family["s0", "s2"].n_failed == 1
    assert family["s0", "s1"].n_failed == 0
    assert family.omnibus is not None
    assert family.omnibus.status == "ok"


def test_the_sensitivity_line_of_a_family_is_drawn_on_adjusted_p_values() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(0, 1, 12)
    worse = st.arm(base + 0.1 * np.arange(1, 13), name="worse", better="lower")
    group = [st.arm([math.nan, *base[1:]], name="base", better="lower"), worse]
    group += [st.arm(base + rng.normal(0, 1, 12), name=f"n{i}", better="lower") for i in range(6)]
    alone = st.paired(worse, group[0], names=("worse", "base"))
    inside = st.versus_baseline(group, "base", paired_by_seed=True)["worse", "base"]
    assert (alone["sensitivity"], inside["sensitivity"]) == ("agrees", "disagrees")
    assert alone.wording.startswith("base is better than worse")
    assert inside.wording.startswith("no claim about worse and base")


def test_infrastructure_losses_inside_a_family_keep_their_note() -> None:
    group = arms(3, 12, step=3.0)
    lost = st.arm(group[2].scores, name="s2", statuses=["infra"] + ["ok"] * 11, better="lower")
    answer = st.versus_baseline([*group[:2], lost], "s0", paired_by_seed=True)["s2", "s0"]
    assert answer.status == "incomplete"
    assert "to be rerun: [0]" in answer.wording


@pytest.mark.parametrize("bad", [[0.01, math.nan], [], [0.5, 1.2]])
def test_a_p_family_with_holes_is_an_error(bad: list[float]) -> None:
    for adjust in (st.holm, st.benjamini_hochberg):
        with pytest.raises(StatisticsError):
            adjust(bad)


def test_holm_is_clipped_at_one() -> None:
    assert st.holm([0.4, 0.6, 0.9]).max() == 1.0


@settings(max_examples=60, deadline=None)
@given(hyp.integers(1, 9), hyp.integers(0, 2**32 - 1), hyp.floats(0.05, 0.95))
def test_strategies_share_a_letter_exactly_when_not_told_apart(k: int, seed: int, share: float) -> None:
    different = np.triu(np.random.default_rng(seed).random((k, k)) < share, 1)
    different |= different.T
    shown = [set(s) for s in st.letters(different)]
    for i in range(k):
        for j in range(k):
            assert bool(shown[i] & shown[j]) == (i == j or not different[i, j])


def test_the_best_strategy_gets_the_first_letter() -> None:
    family = st.all_pairs(arms(3, 20, step=2.0), paired_by_seed=True)
    assert family.letters() == {"s0": "a", "s1": "b", "s2": "c"}
    assert family.rank_intervals() == {"s0": (1, 1), "s1": (2, 2), "s2": (3, 3)}


def test_rank_intervals_by_tests_are_everything_when_nothing_is_told_apart() -> None:
    family = st.all_pairs(arms(4, 12, step=0.0), paired_by_seed=True)
    assert set(family.rank_intervals().values()) == {(1, 4)}
    assert set(family.letters().values()) == {"a"}


def test_repeated_names_and_unknown_baselines_are_rejected() -> None:
    group = arms(2, 8)
    with pytest.raises(StatisticsError, match="distinct names"):
        st.all_pairs([group[0], group[0]], paired_by_seed=True)
    with pytest.raises(StatisticsError, match="`nobody` is not among"):
        st.versus_baseline(group, "nobody", paired_by_seed=True)


def test_aggregation_over_unnormalised_tasks_is_refused() -> None:
    raw = st.Scores(("a", "b"), ("t0", "t1"), np.ones((2, 12, 2)), ("lower", "higher"))
    answer = st.aggregate(raw).answers[0]
    assert (answer.status, answer.code, answer.estimate) == ("refused", "not_normalised", None)
    assert st.rank(raw).places[0].shown == "-"


def test_normalised_regret_is_zero_at_the_best_and_one_at_random_in_both_directions() -> None:
    x = np.array([[[3.0, 90.0]], [[9.0, 60.0]]])
    scores = st.Scores(("a", "b"), ("err", "acc"), x, ("lower", "higher")).normalised([3.0, 90.0], [9.0, 60.0])
    assert scores.values.ravel().tolist() == [0, 0, 1, 1]
    assert scores.constants == ((3.0, 9.0), (90.0, 60.0))
    upside_down = st.Scores(("a", "b"), ("err", "acc"), x, ("lower", "higher"))
    with pytest.raises(StatisticsError, match="acc"):
        upside_down.normalised([3.0, 60.0], [9.0, 90.0])


def test_ranks_hold_at_any_number_of_seeds_and_bootstrap_intervals_from_ten() -> None:
    clear, hopeless = st.rank(regrets(seeds=9, step=2.0)), st.rank(regrets(seeds=1, step=2.0))
    assert [p.shown for p in clear.places] == ["1", "2", "3", "4"]
    assert {p.shown for p in hopeless.places} == {"1-4"}
    assert {p.p_best for p in clear.places} == {None}
    assert "needs 10 seeds; 1 more" in clear["s0"].answer.refusal_reason
    assert clear.wording == "simultaneous ranks: s0 1, s1 2, s2 3, s3 4"


def test_tasks_may_have_different_numbers_of_seeds_and_no_run_is_left_out() -> None:
    rng = np.random.default_rng(4)
    ragged = {name: {"t0": rng.normal(at, 1, 12), "t1": rng.normal(at, 1, 15)} for at, name in enumerate("abc")}
    scores = st.Scores.of(ragged, better="lower").normalised([-5.0] * 2, [5.0] * 2)
    found = st.rank(scores, estimand="mean")
    assert found["a"].answer.n == 27
    assert found["a"].answer.n_failed == 0
    flat = np.concatenate([ragged["a"]["t0"], ragged["a"]["t1"]])
    assert found["a"].answer.estimate == pytest.approx(((flat + 5) / 10).mean())
    assert found["a"].answer.interval is not None
    even = {name: {task: x[:12] for task, x in own.items()} for name, own in ragged.items()}
    whole = st.Scores.of(even, better="lower").normalised([-5.0] * 2, [5.0] * 2)
    assert whole.counts is None
    assert st.rank(whole, estimand="mean")["a"].answer.n == 24


def test_a_strategy_without_one_of_the_tasks_or_seeds_is_named() -> None:
    with pytest.raises(StatisticsError, match=r"but b has \['t0'\]"):
        st.Scores.of({"a": {"t0": [1.0], "t1": [1.0]}, "b": {"t0": [1.0]}}, better="lower")
    with pytest.raises(StatisticsError, match="seeds on t0, but b has 1 and a has 2"):
        st.Scores.of({"a": {"t0": [1.0, 2.0]}, "b": {"t0": [1.0]}}, better="lower")
    with pytest.raises(StatisticsError, match=r"Scores\.of"):
        st.Scores(("a",), ("t",), [[1.0]], ("lower",))  # type: ignore[arg-type]


def test_one_of_several_alike_is_never_denied_the_first_place() -> None:
    rng = np.random.default_rng(5)
    boards = [st.rank(st.Scores(tuple("abcde"), ("t",), rng.normal(0, 1, (5, 20, 1)), ("lower",))) for _ in range(8)]
    denied = sum(any(p.low > 1 for p in board.places) for board in boards)  # type: ignore[operator]
    assert denied <= 1  # 70 % by bootstrap ranks


def test_rank_intervals_share_ranks_where_strategies_overlap() -> None:
    clear, close = st.rank(regrets(step=2.0)), st.rank(regrets(step=0.0))
    assert [p.shown for p in clear.places] == ["1", "2", "3", "4"]
    assert clear["s0"].p_best == 1.0
    assert all("-" in p.shown for p in close.places)
    assert sum(p.p_best for p in close.places) == pytest.approx(1.0)  # type: ignore[misc]


def test_resampling_seeds_jointly_keeps_the_pairing() -> None:
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 1, (1, 20, 2))
    x = 5 + shared + np.array([0.0, 0.1])[:, None, None] + rng.normal(0, 0.02, (2, 20, 2))
    scores = st.Scores(("a", "b"), ("t0", "t1"), x, ("lower",) * 2).normalised([0.0] * 2, [10.0] * 2)
    joint = st.rank(scores)
    alone = st.rank(st.Scores(scores.names, scores.tasks, scores.values, scores.better, scores.constants, False))
    assert joint["a"].p_best > 0.97 > alone["a"].p_best  # type: ignore[operator]


def test_failed_runs_take_the_worst_value_of_their_task_and_a_fifth_of_them_refuses() -> None:
    scores = regrets()
    x = scores.values.copy()
    x[1, 0, 0] = np.nan
    some = st.aggregate(st.Scores(scores.names, scores.tasks, x, scores.better, scores.constants))
    assert some["s1"].n_failed == 1
    assert "1 failed runs at the worst value" in some["s1"].wording
    x[1, :3, 0] = np.nan
    many = st.aggregate(st.Scores(scores.names, scores.tasks, x, scores.better, scores.constants))
    assert many["s1"].code == "too_many_failures"
    assert "s1 on t0" in many["s1"].refusal_reason


def test_a_single_task_may_be_aggregated_in_raw_units_of_either_direction() -> None:
    x = np.random.default_rng(0).normal(90, 1, (2, 15, 1)) + np.array([0.0, 3.0])[:, None, None]
    scores = st.Scores(("a", "b"), ("acc",), x, ("higher",))
    found = st.aggregate(scores)
    assert found["b"].estimate == pytest.approx(93, abs=1)
    assert found["b"].estimate in found["b"].interval  # type: ignore[operator]
    assert st.rank(scores).places[0].name == "b"
    assert found.improvement[1, 0] > 0.9


def test_friedman_names_the_incomplete_block() -> None:
    answer = st.friedman([[1, 2, 3], [2, np.inf, 1]], better="lower")
    assert (answer.status, answer["must_list"]) == ("incomplete", ("row 1",))


def test_perfect_agreement_of_ranks_has_its_exact_probability() -> None:
    answer = st.friedman(np.tile([1.0, 2.0, 3.0], (6, 1)), better="lower")
    assert answer.p == pytest.approx((1 / 6) ** 5)


def test_no_critical_difference_diagram_below_ten_blocks() -> None:
    answer = st.nemenyi(np.random.default_rng(0).random((9, 4)), better="lower")
    assert (answer.status, answer.code) == ("refused", "too_few_blocks")
    assert "1 more blocks" in answer.refusal_reason


def test_more_strategies_than_blocks_can_separate_are_refused_a_diagram() -> None:
    assert st.critical_difference(20, 3)["can_separate"]
    assert not st.critical_difference(20, 2)["can_separate"]


def test_superiority_matrix_is_complementary_and_knows_the_direction() -> None:
    matrix = st.superiority_matrix(arms(3, 15, step=2.0))
    assert matrix + matrix.T == pytest.approx(np.ones((3, 3)))
    assert matrix[0, 2] == 1.0
