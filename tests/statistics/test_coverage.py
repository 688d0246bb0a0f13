"""Simulated coverage of every interval and type-I error of every test; `pytest -m slow -s` prints the table."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from searchbench import statistics as st
from searchbench.statistics import exact
from searchbench.statistics.effects import superiority, superiority_interval
from searchbench.statistics.resampling import bca_mean
from searchbench.statistics.two_sample import brunner_munzel_columns

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

Rng = np.random.Generator
Draw = Callable[[Rng], bool]


def rate(draw: Draw, reps: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    return float(np.mean([draw(rng) for _ in range(reps)]))


def holds(interval: st.Interval | None, truth: float) -> bool:
    return interval is not None and truth in interval


def mean_interval(n: int) -> Draw:
    return lambda rng: holds(st.describe(rng.normal(0, 1, n)).interval, 0.0)


def skewed_mean_interval(n: int) -> Draw:
    return lambda rng: holds(st.describe(rng.exponential(1, n)).interval, 1.0)


def bca(n: int) -> Draw:
    def draw(rng: Rng) -> bool:
        low, high = bca_mean(rng.normal(0, 1, n), level=0.95, resamples=1_000, seed=int(rng.integers(4)))
        return low <= 0 <= high

    return draw


def paired_interval(n: int) -> Draw:
    return lambda rng: holds(st.paired(rng.normal(0, 1, n), rng.normal(0, 1, n)).interval, 0.0)


def welch_interval(n: int, m: int) -> Draw:
    return lambda rng: holds(st.welch(rng.normal(0, 3, n), rng.normal(0, 1, m)).interval, 0.0)


def relative(n: int) -> Draw:
    return lambda rng: holds(st.relative_improvement(rng.normal(97, 0.3, n), rng.normal(96, 0.2, n)).interval, 100 / 96)


def iqm(seeds: int) -> Draw:
    def draw(rng: Rng) -> bool:
        x = rng.normal(0, 1, (2, seeds, 3))
        scores = st.Scores(("a", "b"), ("t", "u", "v"), x, ("lower",) * 3, ((0.0, 1.0),) * 3)
        return holds(st.aggregate(scores, resamples=500).answers[0].interval, 0.0)

    return draw


def improvement(seeds: int) -> Draw:
    def draw(rng: Rng) -> bool:
        shared = rng.normal(0, 1, (seeds, 3))
        x, y = (shared + rng.normal(0, 1, (seeds, 3)) for _ in range(2))
        return holds(st.probability_of_improvement(x, y, resamples=500).interval, 0.5)

    return draw


def tau(n: int) -> Draw:
    truth = 2 / math.pi * math.asin(0.6)

    def draw(rng: Rng) -> bool:
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], n).T
        return holds(st.rank_correlation(x, y, resamples=300, seed=int(rng.integers(4))).interval, truth)

    return draw


def median_time(n: int) -> Draw:
    def draw(rng: Rng) -> bool:
        t = rng.exponential(1, n)
        answer = st.kaplan_meier(st.Hits(tuple(t[t < 2]), tuple(np.full((t >= 2).sum(), 2.0))))
        return holds(answer.interval, math.log(2))

    return draw


def success(n: int, p: float) -> Draw:
    return lambda rng: holds(st.wilson(int(rng.binomial(n, p)), n).interval, p)


def searches(n: int, m: int) -> Draw:
    def draw(rng: Rng) -> bool:
        return holds(st.variance_components(rng.normal(0, 1, (n, 1)) + rng.normal(0, 1, (n, m))).interval, 0.0)

    return draw


def credible(n: int) -> Draw:
    def draw(rng: Rng) -> bool:
        answer = st.rope(rng.normal(0, 1, n), rng.normal(0, 1, n), delta=1.0, paired_by_seed=False)
        return holds(answer.interval, 0.0)

    return draw


def ranks(seeds: int) -> Draw:
    def draw(rng: Rng) -> bool:
        x = rng.normal(0, 1, (4, seeds, 2)) + 0.3 * np.arange(4)[:, None, None]
        scores = st.Scores(tuple("abcd"), ("t", "u"), x, ("lower",) * 2, ((0.0, 1.0),) * 2)
        place = st.rank(scores, resamples=400)["b"]
        return place.low <= 2 <= place.high  # type: ignore[operator]

    return draw


def superiority_coverage(n: int, shift: float) -> float:
    rng = np.random.default_rng(1)
    a, b = rng.normal(shift, 1, (n, 4_000)), rng.normal(0, 1, (n, 4_000))
    low, high = superiority_interval(superiority(a, b), n, n)
    truth = stats.norm.cdf(shift / math.sqrt(2))
    return float(((low <= truth) & (truth <= high)).mean())


INTERVALS: list[tuple[str, Draw, int, float]] = [
    *[(f"mean, t, normal, n={n}", mean_interval(n), 1_500, 0.93) for n in (3, 4, 5, 10, 20)],
    *[(f"mean, t, exponential, n={n}", skewed_mean_interval(n), 1_500, 0.84) for n in (4, 10, 20)],
    *[(f"mean, BCa, normal, n={n}", bca(n), 1_500, 0.86) for n in (10, 20)],
    *[(f"paired difference, t, n={n}", paired_interval(n), 1_500, 0.93) for n in (4, 10)],
    ("difference, Welch, n=4 and 9, std 3:1", welch_interval(4, 9), 1_500, 0.92),
    ("relative improvement, delta, n=8", relative(8), 1_500, 0.92),
    ("IQM, joint bootstrap, 10 seeds x 3 tasks", iqm(10), 800, 0.88),
    ("IQM, joint bootstrap, 20 seeds x 3 tasks", iqm(20), 800, 0.89),
    ("P(improvement), joint bootstrap, 10 x 3", improvement(10), 800, 0.88),
    ("Kendall tau, bootstrap, n=20", tau(20), 800, 0.87),
    ("Kendall tau, bootstrap, n=60", tau(60), 800, 0.90),
    ("median time, Brookmeyer-Crowley, n=20", median_time(20), 1_000, 0.92),
    ("success rate, Wilson, n=10, p=0.9", success(10, 0.9), 2_000, 0.90),
    ("success rate, Wilson, n=30, p=0.9", success(30, 0.9), 2_000, 0.92),
    ("mean over searches, n=4, m=5", searches(4, 5), 1_500, 0.93),
    ("mean difference, credible t, n=6", credible(6), 1_500, 0.93),
    ("rank interval, joint bootstrap, 10 x 2", ranks(10), 600, 0.92),
]


def test_intervals_cover_what_they_say() -> None:
    lines, short = [], []
    for i, (label, draw, reps, least) in enumerate(INTERVALS):
        covered = rate(draw, reps // 2, seed=100 + i)
        lines.append(f"{label:<45} {covered:.3f}")
        short += [lines[-1]] if covered < least else []
    for n in (4, 6, 10, 20):
        for shift in (0.0, 1.5):
            covered = superiority_coverage(n, shift)
            lines.append(f"{f'A12, Newcombe, n={n}, shift {shift}':<45} {covered:.3f}")
            short += [lines[-1]] if covered < 0.91 else []
    print("\n95 % intervals: simulated coverage\n" + "\n".join(lines))
    assert not short


def columns_error(p: np.ndarray) -> float:
    return float((p < 0.05).mean())


def family_error(k: int, n: int, paired_by_seed: bool, every: bool) -> Draw:
    def draw(rng: Rng) -> bool:
        shared = rng.normal(0, 1, n) if paired_by_seed else np.zeros(n)
        arms = [st.arm(shared + rng.normal(0, 1, n), name=f"s{i}", better="lower") for i in range(k)]
        if every:
            family = st.all_pairs(arms, paired_by_seed=paired_by_seed)
        else:
            family = st.versus_baseline(arms, "s0", paired_by_seed=paired_by_seed)
        return bool(family.wins().any())

    return draw


def omnibus(n: int, k: int) -> Draw:
    return lambda rng: st.friedman(rng.random((n, k)), better="lower").p < 0.05  # type: ignore[operator]


def nemenyi_family(n: int, k: int) -> Draw:
    def draw(rng: Rng) -> bool:
        mean = st.block_ranks(rng.random((n, k)), better="lower").mean(axis=0)
        return bool(np.ptp(mean) > float(st.critical_difference(k, n).estimate))  # type: ignore[arg-type]

    return draw


def time_to_target(n: int) -> Draw:
    def draw(rng: Rng) -> bool:
        arms = []
        for _ in range(2):
            t = rng.exponential(1, n)
            arms.append(st.Hits(tuple(t[t < 2]), tuple(np.full((t >= 2).sum(), 2.0))))
        return st.log_rank(*arms).p < 0.05  # type: ignore[operator]

    return draw


def equivalence_at_the_bound(n: int, matched: bool) -> Draw:
    def draw(rng: Rng) -> bool:
        a, b = rng.normal(1.0, 0.5, n), rng.normal(0, 0.5, n)
        return bool(st.tost(a, b, delta=1.0, paired_by_seed=matched)["equivalent"])

    return draw


def with_failures(n: int, compare: Callable[..., st.Answer]) -> Draw:
    def draw(rng: Rng) -> bool:
        a, b = (np.where(rng.random(n) < 0.1, np.nan, rng.normal(0, 1, n)) for _ in range(2))
        return "is better than" in compare(a, b, better="lower").wording

    return draw


def interaction(n: int, blocked: bool) -> Draw:
    corners = [frozenset(c) for c in ((), ("A",), ("B",), ("A", "B"))]

    def draw(rng: Rng) -> bool:
        table = {c: st.arm(rng.normal(0, 1, n)) for c in corners}
        found = st.factorial(table, ("A", "B"), paired_by_seed=blocked)
        return any(a.p_adj < 0.05 for a in found.effects.values())  # type: ignore[operator]

    return draw


TESTS: list[tuple[str, Draw, int, float]] = [
    ("Holm, 5 vs baseline, paired, n=8", family_error(5, 8, True, False), 400, 0.075),
    ("Holm, 5 all pairs, paired, n=10", family_error(5, 10, True, True), 400, 0.075),
    ("Holm, 5 all pairs, unpaired, n=8", family_error(5, 8, False, True), 400, 0.075),
    ("Friedman (Iman-Davenport), N=5, k=5", omnibus(5, 5), 1_500, 0.08),
    ("Friedman (Iman-Davenport), N=10, k=5", omnibus(10, 5), 1_500, 0.075),
    ("Nemenyi, family-wise, N=10, k=5", nemenyi_family(10, 5), 1_000, 0.07),
    ("log-rank, n=15", time_to_target(15), 1_000, 0.075),
    ("TOST at its bound, Welch, n=8", equivalence_at_the_bound(8, False), 1_500, 0.07),
    ("TOST at its bound, paired, n=8", equivalence_at_the_bound(8, True), 1_500, 0.07),
    ("paired, 10 % failed, claims, n=12", with_failures(12, st.paired), 1_000, 0.065),
    ("unpaired, 10 % failed, claims, n=12", with_failures(12, st.unpaired), 1_000, 0.07),
    ("factorial, blocked, Holm over 3, n=8", interaction(8, True), 800, 0.075),
    ("factorial, independent, Holm over 3, n=4", interaction(4, False), 800, 0.075),
]


def test_tests_err_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    found = []
    for n in (6, 8, 12, 30):
        d = rng.normal(0, 1, (n, 3_000))
        found.append((f"sign-flip, n={n}", columns_error(exact.sign_flip(d, seed=1)[0]), 0.065))
        found.append((f"Wilcoxon, n={n}", columns_error(exact.signed_rank(d)[1]), 0.065))
        grid = np.round(d)
        found.append((f"Wilcoxon, heavy ties, n={n}", columns_error(exact.signed_rank(grid)[1]), 0.065))
    for n in (4, 6, 8):
        x, y = rng.normal(0, 1, (n, 3_000)), rng.normal(0, 1, (n, 3_000))
        found.append((f"Mann-Whitney exact, n={n}", columns_error(exact.rank_sum(x, y)[1]), 0.065))
        found.append(
            (f"Mann-Whitney, heavy ties, n={n}", columns_error(exact.rank_sum(x.round(), y.round())[1]), 0.065)
        )
    for n in (10, 20):
        x, y = rng.normal(0, 1, (n, 3_000)), rng.normal(0, 3, (n, 3_000))
        found.append((f"Brunner-Munzel, std 1:3, n={n}", columns_error(brunner_munzel_columns(x, y)[1]), 0.08))
    found += [(label, rate(draw, reps, 200 + i), most) for i, (label, draw, reps, most) in enumerate(TESTS)]
    lines = [f"{label:<45} {error:.3f}" for label, error, _ in found]
    print("\ntests at 0.05: simulated type-I error\n" + "\n".join(lines))
    assert not [label for label, error, most in found if error > most]
