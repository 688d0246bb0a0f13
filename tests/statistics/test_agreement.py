"""Every computation has a second route: another library function, a brute force, or the textbook formula."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.nonparametric import rank_compare_2indep
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from searchbench import statistics as st
from searchbench.statistics import exact
from searchbench.statistics.correlation import tau_interval
from searchbench.statistics.effects import rank_biserial, superiority
from searchbench.statistics.estimand import ESTIMANDS
from searchbench.statistics.friedman import type_one_error
from searchbench.statistics.many_tasks import iqm_draws
from searchbench.statistics.power import claim_power, detectable_d, detectable_in, power_at
from searchbench.statistics.resampling import bca_mean, seed_counts
from searchbench.statistics.ties import ranked

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("decimals", [0, 1, 6])
@pytest.mark.parametrize("n", [5, 8, 11])
def test_signed_rank_agrees_with_all_sign_flips_of_the_ranks(n: int, decimals: int) -> None:
    d = np.round(RNG.normal(0.3, 1.0, (n, 6)), decimals)
    w, p = exact.signed_rank(d)
    for j in range(6):
        x = d[:, j][d[:, j] != 0]
        ranks = stats.rankdata(np.abs(x))
        flips = np.array(list(itertools.product([0, 1], repeat=len(x)))) @ ranks
        plus = ranks[x > 0].sum()
        low = min(plus, ranks.sum() - plus)
        assert w[j] == pytest.approx(low)
        assert p[j] == pytest.approx(min(1.0, 2 * np.mean(flips <= low + 1e-9)))


@pytest.mark.parametrize("n", [20, 50, 60, 100])
def test_signed_rank_agrees_with_scipy_at_larger_n(n: int) -> None:
    d = RNG.normal(0.2, 1.0, (n, 4))
    found = stats.wilcoxon(d, axis=0, method="exact" if n <= 50 else "asymptotic")
    assert exact.signed_rank(d)[1] == pytest.approx(found.pvalue)
    tied = np.round(d, 1)
    approx = np.array([stats.wilcoxon(tied[:, j], method="asymptotic").pvalue for j in range(4)])
    assert exact.signed_rank(tied)[1] == pytest.approx(approx, rel=0.15)


@pytest.mark.parametrize("n", [6, 10, 14])
def test_sign_flip_agrees_with_scipy(n: int) -> None:
    d = np.round(RNG.normal(0.4, 1.0, (n, 3)), 2)
    found, count = exact.sign_flip(d, seed=0)
    assert count == 2**n
    for j in range(3):
        route = stats.permutation_test(
            (d[:, j],), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert found[j] == pytest.approx(route.pvalue)


def test_random_sign_flips_agree_with_exact_rank_free_normal_limit() -> None:
    d = RNG.normal(0.25, 1.0, (80, 3))
    found, count = exact.sign_flip(d, seed=3)
    assert count == 9_999
    assert found == pytest.approx(stats.ttest_1samp(d, 0.0, axis=0).pvalue, abs=0.015)
    assert exact.sign_flip(d, seed=3)[0].tolist() == found.tolist()


@pytest.mark.parametrize("decimals", [0, 6])
@pytest.mark.parametrize(("n", "m"), [(4, 4), (5, 7), (7, 4)])
def test_rank_sum_agrees_with_all_splits(n: int, m: int, decimals: int) -> None:
    a, b = np.round(RNG.normal(0.7, 1, (n, 4)), decimals), np.round(RNG.normal(0, 1, (m, 4)), decimals)
    u, p = exact.rank_sum(a, b)
    for j in range(4):
        ranks = stats.rankdata(np.concatenate([a[:, j], b[:, j]]))
        sums = np.array([ranks[list(c)].sum() for c in itertools.combinations(range(n + m), n)])
        seen = ranks[:n].sum()
        both = 2 * min(np.mean(sums <= seen + 1e-9), np.mean(sums >= seen - 1e-9))
        assert p[j] == pytest.approx(min(1.0, both))
        assert u[j] == pytest.approx(seen - n * (n + 1) / 2)


def test_brunner_munzel_agrees_with_statsmodels() -> None:
    a, b = RNG.normal(0.3, 1, 15), RNG.normal(0, 2, 12)
    route = rank_compare_2indep(a, b, use_t=True)
    answer = st.brunner_munzel(a, b)
    assert answer.p == pytest.approx(route.pvalue)
    assert answer["A12"] == pytest.approx(route.prob1)


def test_superiority_interval_is_close_to_the_statsmodels_one_in_the_middle() -> None:
    a, b = RNG.normal(0.3, 1, 60), RNG.normal(0, 1, 60)
    interval = st.unpaired(a, b, better="higher").effect.interval  # type: ignore[union-attr]
    low, high = rank_compare_2indep(a, b).conf_int()
    assert interval is not None
    assert (interval.low, interval.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


def test_superiority_counts_wins_and_half_ties() -> None:
    a, b = np.round(RNG.normal(0, 1, (7, 2)), 0), np.round(RNG.normal(0, 1, (5, 2)), 0)
    for j in range(2):
        wins = [(x > y) + 0.5 * (x == y) for x in a[:, j] for y in b[:, j]]
        assert superiority(a, b)[j] == pytest.approx(np.mean(wins))


def test_rank_biserial_counts_favourable_ranks() -> None:
    d = np.array([[0.5], [-0.2], [0.0], [0.2], [0.9]])
    assert rank_biserial(d)[0] == pytest.approx((3 + 1.5 + 4 - 1.5) / 10)


def test_paired_interval_agrees_with_statsmodels() -> None:
    a, b = RNG.normal(0, 1, 9), RNG.normal(0, 1, 9)
    low, high = DescrStatsW(a - b).tconfint_mean()
    answer, test = st.paired(a, b), stats.ttest_rel(a, b)
    assert (answer["t"], answer["t_p"]) == pytest.approx((test.statistic, test.pvalue))
    assert answer["t_interval"] == (pytest.approx(low), pytest.approx(high))


def test_welch_columns_agree_with_scipy() -> None:
    a, b = RNG.normal(0, 1, (12, 3)), RNG.normal(0.5, 2, (9, 3))
    for j in range(3):
        test = stats.ttest_ind(a[:, j], b[:, j], equal_var=False)
        answer = st.unpaired(a[:, j], b[:, j])
        assert answer["welch_p"] == pytest.approx(test.pvalue)
        limits = test.confidence_interval()
        assert (answer.interval.low, answer.interval.high) == pytest.approx(tuple(limits))  # type: ignore[union-attr]


def test_bca_agrees_with_scipy() -> None:
    x = RNG.exponential(1.0, 25)
    ours = bca_mean(x, level=0.95, resamples=20_000, seed=1)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2))
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("d", [0.5, 0.8, 1.0, 1.4, 2.0])
def test_power_and_sample_sizes_agree_with_statsmodels(paired: bool, d: float) -> None:
    route = TTestPower() if paired else TTestIndPower()
    assert power_at(d, 9, paired=paired) == pytest.approx(route.power(d, 9, 0.05), abs=1e-9)
    known = {True: {0.5: 34, 0.8: 15, 1.0: 10, 1.4: 7, 2.0: 5}, False: {0.5: 64, 0.8: 26, 1.0: 17, 1.4: 10, 2.0: 6}}
    assert math.ceil(st.required_n(d, paired=paired)) == known[paired][d]


def test_detectable_effect_inverts_the_sample_size() -> None:
    d = detectable_d(15, paired=True)
    assert d is not None
    assert st.required_n(d, paired=True) == pytest.approx(15, abs=1e-3)


def test_friedman_agrees_with_scipy_with_and_without_ties() -> None:
    for decimals in (0, 6):
        x = np.round(RNG.normal(0, 1, (12, 4)), decimals)
        route = stats.friedmanchisquare(*x.T)
        answer = st.friedman(x, better="lower")
        assert answer["Q"] == pytest.approx(route.statistic)
        assert answer["p_chi2"] == pytest.approx(route.pvalue)


def test_critical_difference_separates_exactly_where_the_nemenyi_p_does() -> None:
    x = RNG.normal(0, 1, (15, 4)) + np.array([0, 0.4, 0.9, 1.6])
    answer = st.nemenyi(x, better="lower")
    ranks, p = np.array(answer["average_ranks"]), np.array(answer["p_matrix"])
    gaps = np.abs(ranks[:, None] - ranks)
    assert ((gaps >= answer.estimate) == (p <= 0.05)).all()


def test_exact_type_one_error_of_friedman_agrees_with_simulation() -> None:
    f_error, chi_error = type_one_error(3, 3)
    rng = np.random.default_rng(11)
    p = [_f_p(rng.random((3, 3))) for _ in range(4_000)]
    assert f_error == pytest.approx(np.mean(np.array(p) < 0.05), abs=0.02)
    assert f_error == pytest.approx(7 / 36)
    assert chi_error == pytest.approx(1 / 36)


def _f_p(x: np.ndarray) -> float:
    q = stats.friedmanchisquare(*x.T).statistic
    n, k = x.shape
    room = n * (k - 1) - q
    return 0.0 if room < 1e-9 else float(stats.f.sf((n - 1) * q / room, k - 1, (k - 1) * (n - 1)))


def test_bootstrap_iqm_agrees_with_trimming_each_resample() -> None:
    losses = RNG.normal(0, 1, (3, 12, 2))
    draws = iqm_draws(losses, joint=True, resamples=50, seed=5)
    streams = [seed_counts(5, 50, 12, t).astype(int) for t in range(2)]
    for r in range(50):
        for i in range(3):
            sample = np.concatenate([np.repeat(losses[i, :, t], streams[t][r]) for t in range(2)])
            assert draws[r, i] == pytest.approx(stats.trim_mean(sample, 0.25))


def test_improvement_interval_agrees_with_resampling_the_runs() -> None:
    x, y = RNG.normal(0.5, 1, (20, 2)), RNG.normal(0, 1, (20, 2))
    answer = st.probability_of_improvement(x, y, same_seeds=False)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(1_500):
        i, j = rng.integers(0, 20, (20, 2)), rng.integers(0, 20, (20, 2))
        draws.append(superiority(np.take_along_axis(x, i, 0), np.take_along_axis(y, j, 0)).mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (answer.interval.low, answer.interval.high) == pytest.approx((low, high), abs=0.03)  # type: ignore[union-attr]


def test_expected_best_agrees_with_all_subsets() -> None:
    x = RNG.normal(0, 1, 8)
    for better, pick in (("higher", max), ("lower", min)):
        answer = st.expected_best(x, better=better)  # type: ignore[arg-type]
        for n in range(1, 9):
            truth = np.mean([pick(c) for c in itertools.combinations(x, n)])
            assert answer["expected_best"][n - 1] == pytest.approx(truth)


def test_expected_best_stays_finite_for_many_configurations() -> None:
    curve = st.expected_best(RNG.random(1_000), resamples=50)["expected_best"]
    assert np.isfinite(curve).all()
    assert np.all(np.diff(curve) >= -1e-12)


@pytest.mark.parametrize("decimals", [1, 6])
def test_tau_interval_agrees_with_kendalltau_of_each_resample(decimals: int) -> None:
    x = np.round(RNG.normal(0, 1, 40), decimals)
    y = np.round(x + RNG.normal(0, 1, 40), decimals)
    interval = tau_interval(x, y, resamples=200, seed=4)
    rows = [np.repeat(np.arange(40), c.astype(int)) for c in seed_counts(4, 200, 40)]
    draws = [stats.kendalltau(x[i], y[i]).statistic for i in rows]
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))


def test_variance_components_agree_with_a_mixed_model() -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM

    n, m = 30, 4
    x = 10 + RNG.normal(0, 0.5, (n, 1)) + RNG.normal(0, 0.3, (n, m))
    answer = st.variance_components(x)
    fit = MixedLM(x.ravel(), np.ones((n * m, 1)), groups=np.repeat(np.arange(n), m)).fit(reml=True)
    assert answer["var_search"] == pytest.approx(float(np.ravel(fit.cov_re)[0]), rel=1e-3)
    assert answer["var_evaluation"] == pytest.approx(float(fit.scale), rel=1e-3)
    assert answer["se"] == pytest.approx(float(np.ravel(fit.bse_fe)[0]), rel=1e-3)


def test_independent_factorial_agrees_with_ols_and_hc2() -> None:
    import statsmodels.api as sm

    cells = {frozenset(c): RNG.normal(len(c), 1 + len(c), 6) for c in [(), ("A",), ("B",), ("A", "B")]}
    found = st.factorial({c: st.arm(v) for c, v in cells.items()}, ("A", "B"), paired_by_seed=False)
    y = np.concatenate(list(cells.values()))
    a = np.concatenate([np.full(6, 0.5 if "A" in c else -0.5) for c in cells])
    b = np.concatenate([np.full(6, 0.5 if "B" in c else -0.5) for c in cells])
    fit = sm.OLS(y, np.column_stack([np.ones(24), a, b, a * b])).fit(cov_type="HC2")
    for i, name in enumerate(("A", "B", "A × B"), start=1):
        assert found[name].estimate == pytest.approx(fit.params[i])
        assert found[name]["se"] == pytest.approx(fit.bse[i])


def test_kaplan_meier_agrees_with_statsmodels() -> None:
    from statsmodels.duration.survfunc import SurvfuncRight, survdiff

    times, censored = RNG.exponential(10, 12), RNG.uniform(5, 20, 6)
    other, lost = RNG.exponential(25, 12), RNG.uniform(5, 20, 6)
    answer = st.kaplan_meier(st.Hits(tuple(times), tuple(censored)))
    route = SurvfuncRight(np.concatenate([times, censored]), np.repeat([1, 0], [12, 6]))
    at = dict(zip(answer["times"], answer["survival"], strict=True))
    assert [at[t] for t in route.surv_times] == pytest.approx(list(route.surv_prob))
    assert answer["median"] == route.quantile(0.5)
    both = np.concatenate([times, censored, other, lost])
    test = st.log_rank(st.Hits(tuple(times), tuple(censored)), st.Hits(tuple(other), tuple(lost), "b"))
    chi2, p = survdiff(both, np.tile(np.repeat([1, 0], [12, 6]), 2), np.repeat([0, 1], 18))
    assert test.p == pytest.approx(p)
    assert test["statistic"] ** 2 == pytest.approx(chi2)


def test_step_area_agrees_with_a_fine_grid() -> None:
    times = np.sort(RNG.uniform(0, 10, 20))
    values = st.incumbent(RNG.random(20))
    curve = st.Curve(tuple(times), tuple(values), 10.0, "seconds", before_first=1.0)
    grid = (np.arange(200_000) + 0.5) / 20_000
    assert st.area(curve) == pytest.approx(st.step_at(curve, grid).mean() * 10, abs=1e-3)
    logs = np.exp(np.linspace(np.log(0.1), np.log(10), 200_001))
    middle = st.step_at(curve, np.sqrt(logs[1:] * logs[:-1]))
    assert st.area(curve, log_from=0.1) == pytest.approx((middle * np.diff(np.log(logs))).sum(), abs=1e-3)


def test_order_statistics_agree_with_simulation() -> None:
    draws = np.random.default_rng(0).normal(size=(100_000, 7)).max(axis=1).mean()
    assert st.best_of_k(0.0, 1.0, 7, better="higher").estimate == pytest.approx(draws, abs=0.01)


def test_complete_families_equal_the_comparisons_done_one_by_one() -> None:
    x = RNG.normal(0, 1, (5, 12)) + np.arange(5)[:, None] * 0.3
    arms = [st.arm(x[i], name=f"s{i}", better="lower") for i in range(5)]
    for by_seed, compare in ((True, st.paired), (False, st.unpaired)):
        family = st.versus_baseline(arms, "s0", paired_by_seed=by_seed)
        for (a, b), answer in family:
            alone = compare(x[int(a[1])], x[int(b[1])], better="lower", names=(a, b), comparisons=4)
            assert answer.p == pytest.approx(alone.p)
            assert answer.estimate == pytest.approx(alone.estimate)
            assert answer["A12" if not by_seed else "W"] == pytest.approx(alone["A12" if not by_seed else "W"])


def test_adjusted_p_values_agree_with_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    for p in (RNG.random(9) ** 2, np.round(RNG.random(9), 1), np.array([0.03])):
        assert st.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
        assert st.benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_mid_ranks_and_trimmed_means_agree_with_scipy(n: int) -> None:
    for x in (RNG.normal(size=(n, 3)), RNG.integers(0, 4, (n, 3)).astype(float), np.full((n, 2), 1.5)):
        np.testing.assert_array_equal(ranked(x), stats.rankdata(x, axis=0))
        np.testing.assert_array_equal(ranked(x[:, 0]), stats.rankdata(x[:, 0]))
        iqm = ESTIMANDS["iqm"].location(x[:, 0])
        assert iqm == stats.trim_mean(x[:, 0], 0.25)


@pytest.mark.parametrize("n", [3, 12, 60])
def test_the_difference_that_a_study_can_see_is_where_the_power_is_reached(n: int) -> None:
    for alpha, rope in ((0.05, 0.0), (0.05 / 9, 0.3)):
        found = detectable_in(n, alpha=alpha, rope=rope)
        if found is None:
            assert claim_power(1e6, n, alpha=alpha, rope=rope) < 0.8
            continue
        known = np.sqrt(stats.chi2.ppf((np.arange(40) + 0.5) / 40, n - 1) / (n - 1))  # estimated over true spread
        power = np.mean([claim_power(found * s, n, alpha=alpha, rope=rope * s) for s in known])
        assert power == pytest.approx(0.8, abs=1e-5)
