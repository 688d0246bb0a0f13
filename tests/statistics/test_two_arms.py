"""One and two strategies: words, refusals, failures, degenerate scores."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from searchbench import statistics as st
from searchbench.errors import StatisticsError

NAN = math.nan


def shifted(n: int, by: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=n)
    return shared + rng.normal(scale=0.3, size=n) + by, shared + rng.normal(scale=0.3, size=n)


def test_four_paired_seeds_are_refused_with_the_number_that_is_missing() -> None:
    answer = st.paired([2.6, 2.7, 2.5, 2.6], [2.9, 2.8, 3.0, 2.7], better="lower")
    assert answer.status == "refused"
    assert answer.p is None
    assert answer.interval is not None
    assert answer.refusal_reason == (
        "4 paired seeds cannot reach p < 0.05 with an exact test (minimum 0.125); 2 more per arm are needed"
    )


@pytest.mark.parametrize(("better", "winner"), [("lower", "b is better than a"), ("higher", "a is better than b")])
def test_direction_of_the_metric_decides_who_is_better(better: str, winner: str) -> None:
    a, b = shifted(12, by=1.0)
    assert st.paired(a, b, better=better).wording.startswith(winner)
    assert st.unpaired(a * 0.1 + 1, b * 0.1, better=better).wording.startswith(winner)


def test_without_a_direction_nobody_is_called_better() -> None:
    a, b = shifted(12, by=1.0)
    assert "better than" not in st.paired(a, b).wording
    assert "no metric direction" in st.paired(a, b).wording


def test_a_difference_inside_the_rope_is_not_called_better() -> None:
    a, b = shifted(30, by=0.3)
    assert st.paired(a, b, better="higher").wording.startswith("a is better")
    assert "differ by no more than the declared 0.5" in st.paired(a, b, better="higher", rope=0.5).wording


def test_no_evidence_comes_with_the_difference_that_would_have_been_seen() -> None:
    a, b = shifted(8, by=0.0, seed=3)
    answer = st.paired(a, b, better="lower")
    assert answer.wording.startswith("no evidence of difference")
    assert "would be seen with 80 % power" in answer.wording


@pytest.mark.parametrize("n", [3, 8, 13, 14, 40, 60])
def test_identical_vectors_give_the_same_answer_at_every_n(n: int) -> None:
    x = np.linspace(1, 2, n)
    for answer in (st.paired(x, x, better="lower"), st.unpaired(x, x, better="lower")):
        assert (answer.p, answer.status, answer.code) == (1.0, "degenerate", "identical")
        assert "better" not in answer.wording
        assert answer.warnings


@pytest.mark.parametrize("n", [2, 4, 9, 20])
def test_a_constant_offset_is_reported_and_not_tested(n: int) -> None:
    x = np.random.default_rng(0).normal(size=n)
    answer = st.paired(x, x + 0.25, better="lower")
    assert (answer.p, answer.status, answer.code) == (None, "degenerate", "degenerate_zero_variance")
    assert answer.estimate == pytest.approx(-0.25)


def test_float_noise_on_a_coarse_grid_does_not_break_ties() -> None:
    a = np.array([0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1])
    b = a - np.array([0.1, 0.1, 0.2, -0.1, 0.3, 0.1, 0.2])
    noisy = a + 1e-12 * np.arange(7)
    assert st.paired(noisy, b)["wilcoxon_p"] == st.paired(a, b)["wilcoxon_p"]
    assert st.paired(noisy, b)["W"] == st.paired(a, b)["W"] == 2.5


def test_failures_rank_worst_and_are_not_dropped() -> None:
    a = st.arm([0.9, 0.9, 0.8, 0.9, None, None, 0.9, 0.8, 0.9, 0.9], name="a", better="higher")
    b = st.arm([0.7, 0.75, 0.7, 0.72, 0.71, 0.7, 0.74, 0.7, 0.73, 0.7], name="b", better="higher")
    answer = st.unpaired(a, b)
    assert answer["A12"] == pytest.approx(0.8)
    assert answer["A12_completed_only"] == 1.0
    assert answer.n_failed == 2
    assert "completed a 8/10, b 10/10" in answer.wording


def test_dropping_two_failures_would_move_a12() -> None:
    scores = [0.9, 0.9, 0.9, 0.9]
    with_failures = st.unpaired(
        st.arm(scores, better="higher"), st.arm([0.9, 0.9, None, None], name="b", better="higher")
    )
    assert with_failures["A12"] == 0.75
    assert with_failures["A12_completed_only"] == 0.5


def test_no_claim_when_worst_rank_and_completed_only_disagree() -> None:
    a, b = shifted(12, by=1.0)
    a[:2] = NAN
    answer = st.paired(st.arm(a, name="a", better="higher"), st.arm(b, name="b", better="higher"))
    assert answer["sensitivity"] == "disagrees"
    assert answer.wording.startswith("no claim about a and b")


def test_failures_alone_do_not_make_the_other_arm_better() -> None:
    gaps = 0.1 * np.arange(1, 11) * np.array([1, 1, 1, 1, 1, 1, 1, 1, -1, 1])
    base = np.linspace(2, 3, 12)
    lossy = [*(base[:10] + gaps), math.nan, math.nan]
    answer = st.paired(base, lossy, better="lower")
    assert answer["p_worst_rank"] < 0.05 < answer["p_completed_only"]
    assert answer.p == answer["p_worst_rank"]
    assert answer.wording.startswith("no claim about a and b")


def test_above_a_fifth_failed_means_are_not_compared_but_ranks_are() -> None:
    a, b = shifted(12, by=0.0)
    a[:4] = math.inf
    for answer in (st.paired(a, b, better="lower"), st.unpaired(a, b, better="lower")):
        assert answer.estimate is None
        assert answer.interval is None
        assert answer.p is not None
        assert answer.code == "too_many_failures"
        assert "33 % of an arm failed" in answer.refusal_reason


def test_ranking_failures_worst_needs_a_direction() -> None:
    a, b = shifted(12, by=0.0)
    a[0] = NAN
    for compare in (st.paired, st.unpaired):
        with pytest.raises(StatisticsError, match="metric direction"):
            compare(a, b)


def test_two_failures_in_one_pair_are_a_tie() -> None:
    from searchbench.statistics.paired import worst_contrasts

    losses = np.array([[math.inf, math.inf, 1.0, 2.0], [math.inf, 1.0, math.inf, 1.5]])
    d = worst_contrasts(losses, np.array([1.0, -1.0]), sign=1.0)
    assert d.tolist() == [0.0, 1.5, -1.5, 0.5]


def test_infrastructure_losses_are_listed_and_left_out() -> None:
    a, b = shifted(8, by=1.0)
    a_lost = st.arm(a, name="a", seeds=range(101, 109), statuses=["infra"] + ["ok"] * 7, better="higher")
    answer = st.paired(a_lost, st.arm(b, name="b", seeds=range(101, 109), better="higher"))
    assert (answer.status, answer.code, answer.n, answer.n_failed) == ("incomplete", "infra_pending", 7, 0)
    assert answer["infra_seeds"] == (101,)
    assert "[101]" in answer.wording
    alone = st.paired(a[1:], b[1:], better="higher")
    assert answer.p == alone.p
    unpaired = st.unpaired(a_lost, st.arm(b, name="b", better="higher"))
    assert (unpaired.status, unpaired.n) == ("incomplete", 15)


def test_a_missing_run_without_an_excuse_ranks_worst_and_marks_the_answer_incomplete() -> None:
    a, b = shifted(10, by=2.0)
    answer = st.paired(dict(enumerate(a)), dict(list(enumerate(b))[:-1]), better="higher")
    assert (answer.status, answer.code, answer.n_failed) == ("incomplete", "incomplete_pairs", 1)
    assert answer["missing_b"] == (9,)
    assert answer["sensitivity"] == "agrees"


def test_arms_with_different_seeds_are_not_paired() -> None:
    answer = st.paired({1: 0.1, 2: 0.2, 3: 0.3}, {2: 0.1, 3: 0.2, 4: 0.3}, better="lower")
    assert (answer.status, answer.code) == ("refused", "seeds_differ")


def test_pairs_are_matched_by_seed_and_not_by_position() -> None:
    a, b = shifted(9, by=0.4, seed=5)
    order = np.random.default_rng(1).permutation(9)
    straight = st.paired(dict(enumerate(a)), dict(enumerate(b)), better="lower")
    shuffled = st.paired(dict(enumerate(a)), {int(i): b[i] for i in order}, better="lower")
    assert straight.p == shuffled.p


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_than_four_unpaired_runs_show_an_effect_without_words(n: int) -> None:
    answer = st.unpaired(np.arange(n) + 10.0, np.arange(n) * 1.0, better="higher")
    assert (answer.status, answer.code) == ("refused", "insufficient_n")
    assert answer.effect is not None
    assert answer.effect.value == 1.0
    assert answer.effect.magnitude is None
    assert answer.p in (None, 1.0)


def test_separated_arms_do_not_get_a_p_of_zero() -> None:
    answer = st.unpaired(np.arange(12) + 100.0, np.arange(12) * 1.0, better="higher")
    assert "Mann-Whitney" in answer.method
    assert 0 < answer.p < 1e-4  # type: ignore[operator]


def test_arms_that_never_vary_are_an_offset() -> None:
    answer = st.unpaired([1.0] * 6, [2.0] * 6, better="lower")
    assert (answer.p, answer.code) == (None, "degenerate_zero_variance")


def test_a_single_run_has_no_plus_minus() -> None:
    answer = st.describe([97.18])
    assert answer.wording == "97.18 (n=1)"
    assert answer["std"] is None


def test_description_names_searches_and_evaluations() -> None:
    answer = st.describe([2.55, 2.60, 2.63, 2.70], evaluations_each=1)
    assert answer.wording == "2.62 ± 0.06 (n=4 searches, 1 eval each)"


def test_description_of_an_arm_with_failures_says_how_many_completed() -> None:
    answer = st.describe([97.1, None, 97.3, 97.0])
    assert answer.status == "incomplete"
    assert "completed 3/4" in answer.wording
    low, high = answer["completed_interval"]
    assert 0.3 < low < 0.75 < high < 1.0


def test_an_arm_without_a_completed_run_is_undefined() -> None:
    assert st.describe([None, math.inf]).status == "undefined"


def test_bootstrap_interval_appears_from_ten_runs_only() -> None:
    x = np.random.default_rng(0).normal(size=10)
    assert st.describe(x[:9])["bca_ci"] is None
    assert st.describe(x)["bca_ci"][0] < x.mean() < st.describe(x)["bca_ci"][1]


def test_a_score_given_for_a_failed_run_is_not_read() -> None:
    timed_out = st.arm([1.0, 2.0], statuses=["ok", "timeout"], better="lower")
    assert timed_out.completed.tolist() == [1.0]
    assert timed_out.losses().tolist() == [1.0, math.inf]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"seeds": [1, 1]}, "repeats a seed"),
        ({"seeds": [1]}, "one seed and one status per score"),
        ({"statuses": ["ok", "lost"]}, "status must be one of"),
        ({"better": "smaller"}, "'lower' or 'higher'"),
    ],
)
def test_malformed_arms_are_rejected(kwargs: dict, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        st.arm([1.0, 2.0], **kwargs)


def test_directions_that_disagree_are_rejected() -> None:
    a, b = st.arm([1.0] * 6, better="lower"), st.arm([2.0] * 6, name="b", better="higher")
    with pytest.raises(StatisticsError, match="higher and lower"):
        st.versus_baseline([a, b], "a", paired_by_seed=True)


def test_a_bare_p_value_cannot_be_recorded() -> None:
    with pytest.raises(StatisticsError, match="bare p-value"):
        st.Answer(method="t", call="", n=3, wording="", p=0.01)
    with pytest.raises(StatisticsError, match="must lie in"):
        st.Answer(method="t", call="", n=3, wording="", p=NAN, estimate=1.0)
    with pytest.raises(StatisticsError, match="without a reason"):
        st.Answer(method="t", call="", n=3, wording="", status="refused")


def test_answers_are_plain_frozen_values() -> None:
    answer = st.unpaired(*shifted(12, by=0.2), better="lower")
    assert pickle.loads(pickle.dumps(answer)) == answer
    assert hash(answer) == hash(pickle.loads(pickle.dumps(answer)))
    assert answer.to_dict()["facts"]["A12"] == answer["A12"]
    with pytest.raises(AttributeError):
        answer.p = 0.0  # type: ignore[misc]


def test_pairing_is_shown_with_its_correlation() -> None:
    answer = st.paired(*shifted(12, by=0.0), better="lower")
    assert f"12 pairs by seed, r={answer['pairing_correlation']:.2f}" in answer.wording


def test_failure_rates_are_compared_by_fisher() -> None:
    a = st.arm([None] * 6 + [1.0] * 4, name="a")
    b = st.arm([1.0] * 10, name="b")
    answer = st.failure_rates(a, b)
    assert answer.p == pytest.approx(0.0108359, abs=1e-6)
    assert answer.estimate == pytest.approx(0.6)
    assert st.completion(a).wording.startswith("completed 4/10")
