"""Tau-b within supernets: known values, both kinds of interval, and what pooling would have said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from searchbench import statistics as st
from searchbench.errors import StatisticsError
from searchbench.statistics import correlation
from searchbench.statistics.correlation import resampled_tau
from searchbench.statistics.resampling import seed_counts

N, SUPERNETS = 40, 5


def drawn(noise: float, seed: int = 0, n: int = N, supernets: int = SUPERNETS) -> tuple[np.ndarray, np.ndarray]:
    """A truth, and scores that are the truth plus noise of each supernet's own."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    return truth, truth + noise * rng.normal(size=(supernets, n))


def test_the_estimate_is_the_mean_of_the_supernets_own_taus() -> None:
    truth, scores = drawn(1.0)
    answer = st.supernet_correlation(truth, scores)
    expected = [stats.kendalltau(truth, own).statistic for own in scores]
    assert answer["taus"] == pytest.approx(expected)
    assert answer.estimate == pytest.approx(np.mean(expected))
    assert answer["std"] == pytest.approx(np.std(expected, ddof=1))
    assert answer.interval is not None
    assert answer.interval.low < answer.estimate < answer.interval.high


def test_scales_of_the_supernets_do_not_matter_though_a_pool_of_them_would_suffer() -> None:
    truth, scores = drawn(0.5)
    shifted = scores * np.array([1.0, 3.0, 0.2, 5.0, 1.0])[:, None] + np.array([0.0, 9.0, -9.0, 4.0, 30.0])[:, None]
    assert st.supernet_correlation(truth, shifted) == st.supernet_correlation(truth, scores)
    pooled = stats.kendalltau(np.tile(truth, SUPERNETS), shifted.ravel()).statistic
    assert pooled < 0.7 * st.supernet_correlation(truth, scores).estimate  # type: ignore[operator]


def test_supernets_that_disagree_widen_the_interval_of_both_and_not_that_of_the_architectures() -> None:
    truth, scores = drawn(0.5)
    mixed = scores.copy()
    mixed[:2] = np.random.default_rng(3).normal(size=(2, N))  # two of five learnt nothing
    alike, unlike = st.supernet_correlation(truth, scores), st.supernet_correlation(truth, mixed)

    def width(answer: st.Answer) -> tuple[float, float]:
        low, high = answer["architectures"]
        assert answer.interval is not None
        return answer.interval.high - answer.interval.low, high - low

    both, alone = width(unlike)
    assert both > 2 * alone
    assert both > 2 * width(alike)[0]


def test_identical_supernets_leave_the_architectures_as_the_only_source() -> None:
    truth, scores = drawn(1.0, supernets=1)
    answer = st.supernet_correlation(truth, np.repeat(scores, 4, axis=0))
    assert answer.interval is not None
    assert (answer.interval.low, answer.interval.high) == pytest.approx(answer["architectures"])
    one = st.rank_correlation(truth, scores[0]).interval
    assert one is not None
    assert (answer.interval.low, answer.interval.high) == pytest.approx((one.low, one.high))


def test_the_interval_covers_the_true_mean_tau_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)

    def scored(n: int, supernets: int) -> tuple[np.ndarray, np.ndarray]:
        truth, noises = rng.normal(size=n), rng.uniform(0.5, 2.0, size=(supernets, 1))
        return truth, truth + noises * rng.normal(size=(supernets, n))

    truth, scores = scored(300, 400)
    true = np.mean([stats.kendalltau(truth, own).statistic for own in scores])
    intervals = [st.supernet_correlation(*scored(50, 8), resamples=200).interval for _ in range(200)]
    covered = sum(interval is not None and true in interval for interval in intervals)
    assert 0.88 <= covered / 200 <= 1.0


def test_the_difference_of_two_methods_is_taken_on_the_same_architectures_and_seeds() -> None:
    truth, good = drawn(0.4)
    worse = good + np.random.default_rng(5).normal(size=good.shape)
    interval = st.correlation_difference(truth, good, worse)
    assert interval.low > 0
    nothing = st.correlation_difference(truth, good, good)
    assert (nothing.low, nothing.high) == (0.0, 0.0)


def test_too_few_architectures_and_constant_scores_make_no_claim() -> None:
    truth, scores = drawn(1.0, n=9)
    assert st.supernet_correlation(truth, scores).status == "refused"
    truth, scores = drawn(1.0)
    scores[2] = 1.0
    assert st.supernet_correlation(truth, scores).status == "undefined"
    assert st.supernet_correlation([0.5], [[0.1]]).status == "undefined"


@pytest.mark.parametrize(
    ("truth", "scores", "said"),
    [([1, 2, 3], [[1, 2]], "must fit"), ([1, 2], [1, 2], "must fit"), ([1, 2], [[1, np.nan]], "finite")],
)
def test_what_does_not_fit_is_refused(truth: list[float], scores: list[list[float]], said: str) -> None:
    with pytest.raises(StatisticsError, match=said):
        st.supernet_correlation(truth, scores)
    if said == "must fit":
        return
    with pytest.raises(StatisticsError, match="paired"):
        st.correlation_difference([1, 2], [[1, 2]], [[1, 2], [2, 1]])


def test_large_samples_are_resampled_one_by_one_to_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, scores = drawn(1.0)
    counts = seed_counts(0, 20, N)
    by_matrix = resampled_tau(truth, scores[0], counts)
    monkeypatch.setattr(correlation, "_EXACT_UP_TO", N - 1)
    assert resampled_tau(truth, scores[0], counts) == pytest.approx(by_matrix)
