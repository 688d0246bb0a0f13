"""One estimand per table: p, side, estimate, effect, interval, order and rank agree, whatever the unit or labels."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hyp
from scipy import stats

from searchbench import statistics as st
from searchbench.errors import StatisticsError
from searchbench.statistics.claims import leaning
from searchbench.statistics.estimand import EstimandName
from searchbench.statistics.families import graphical
from searchbench.statistics.power import claim_power, detectable_in

NAMES: tuple[EstimandName, ...] = get_args(EstimandName)
BOARDS = hyp.tuples(hyp.integers(2, 5), hyp.sampled_from([4, 6, 9, 14, 20]), hyp.integers(0, 2**31), hyp.booleans())


def board(k: int, n: int, seed: int, coarse: bool) -> np.ndarray:
    """Scores [k, n] near 0.3; on a grid of 0.01 where coarse, so that they tie."""
    rng = np.random.default_rng(seed)
    x = 0.3 + 0.02 * rng.normal(0, 1, (k, n)) + 0.02 * rng.integers(0, 3, (k, 1)) + 0.05 * rng.normal(0, 1, n)
    return np.round(x, 2) if coarse else np.round(x, 6)


def told(x: np.ndarray, names: list[str], estimand: EstimandName, *, better: Any = "lower") -> Any:
    """Every conclusion about a board, by name: who beats whom, ranks and order."""
    arms = [st.arm(own, name=name, better=better) for name, own in zip(names, x, strict=True)]
    family = st.baseline_then_others(arms, "s0", paired_by_seed=True, estimand=estimand)
    wins = {frozenset(pair): {"a": pair[0], "b": pair[1], "none": ""}[family.winner(answer)] for pair, answer in family}
    codes = {frozenset(pair): answer.code for pair, answer in family}
    return wins, codes, family.rank_intervals()


@pytest.mark.parametrize("estimand", NAMES)
@settings(max_examples=10, deadline=None)
@given(made=BOARDS, power=hyp.integers(-9, 9), shift=hyp.sampled_from([0.0, 1.0, -3.0, 100.0]))
def test_units_shift_direction_and_labels_change_no_conclusion(
    estimand: EstimandName, made: Any, power: int, shift: float
) -> None:
    x = board(*made)
    names = [f"s{i}" for i in range(len(x))]
    plain = told(x, names, estimand)
    assert told(x * 10.0**power, names, estimand) == plain
    assert told(x + shift, names, estimand) == plain
    assert told(-x, names, estimand, better="higher") == plain
    rng = np.random.default_rng(made[2])
    assert told(x[:, rng.permutation(x.shape[1])], names, estimand) == plain
    order = rng.permutation(len(x))
    assert told(x[order], [names[i] for i in order], estimand) == plain


def test_an_interval_that_ends_at_zero_contains_it_where_the_test_does_not_reject() -> None:
    a, b = board(2, 9, 430052, True)[:2]
    answer = st.paired(a, b, better="lower")
    assert answer.p is not None
    assert answer.interval is not None
    assert answer.p > 0.05
    assert answer.interval.high == 0.0


def test_an_interquartile_mean_of_ties_has_an_effect_on_its_side() -> None:
    d = np.array([-0.01] * 5 + [0.05, -0.06, 0.02, -0.03])
    found = st.paired(d, np.zeros(9), better="lower", estimand="iqm")
    assert found.effect is not None
    assert found.effect.value < 0


@pytest.mark.parametrize("estimand", NAMES)
@settings(max_examples=25, deadline=None)
@given(made=BOARDS, alpha=hyp.sampled_from([0.05, 0.2]))
def test_p_side_estimate_effect_and_interval_are_one_statement(estimand: EstimandName, made: Any, alpha: float) -> None:
    a, b = board(*made)[:2]
    answer = st.paired(a, b, better="lower", alpha=alpha, estimand=estimand)
    if answer.status != "ok" or answer.interval is None:
        return
    assert (answer.p < alpha) == (0.0 not in answer.interval)  # type: ignore[operator]
    assert answer.interval.level == 1 - alpha
    if "is better" in answer.wording:
        assert answer.effect is not None
        assert answer.estimate is not None
        assert leaning(answer) * answer.estimate > 0
        assert leaning(answer) * answer.effect.value > 0


def test_a_collapse_decides_by_the_mean_and_not_by_the_rank() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(0.30, 0.002, 15)
    b = a - rng.uniform(0.004, 0.008, 15)
    b[7] += 0.6
    arms = [st.arm(a, name="A", better="lower"), st.arm(b, name="B", better="lower")]
    found = {name: st.all_pairs(arms, paired_by_seed=True, estimand=name) for name in NAMES}
    assert found["mean"].order() == ("A", "B")
    assert found["mean"].winner(found["mean"].answers[0]) == "none"
    assert "another estimand points the other way" in st.paired(*arms).wording
    for name in ("median", "iqm", "rank"):
        assert found[name].order() == ("B", "A")
        assert found[name].rank_intervals() == {"A": (2, 2), "B": (1, 1)}


def test_estimands_agree_with_scipy() -> None:
    rng = np.random.default_rng(3)
    d = rng.normal(0.5, 1, 12)
    zero = np.zeros(12)
    assert st.paired(d, zero, estimand="rank").p == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)
    assert st.paired(d, zero, estimand="median").p == pytest.approx(stats.binomtest(int((d > 0).sum()), 12).pvalue)
    flips = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert st.paired(d, zero).p == pytest.approx(flips.pvalue)
    assert st.paired(d, zero, estimand="iqm").estimate == pytest.approx(stats.trim_mean(d, 0.25))
    with pytest.raises(StatisticsError, match="no estimand `mode`"):
        st.paired(d, zero, estimand="mode")  # type: ignore[arg-type]


def test_intervals_hold_jointly_and_follow_alpha() -> None:
    rng = np.random.default_rng(4)
    arms = [st.arm(rng.normal(0, 1, 14), name=f"s{i}", better="lower") for i in range(4)]
    family = st.versus_baseline(arms, "s0", paired_by_seed=True, alpha=0.01)
    alone = st.paired(arms[1], arms[0], alpha=0.01)
    joint = family[("s1", "s0")].interval
    assert joint is not None
    assert alone.interval is not None
    assert (joint.level, joint.joint, alone.interval.joint) == (0.99, 3, 1)
    assert joint.low < alone.interval.low < alone.interval.high < joint.high
    assert "99% CI" in family.answers[0].wording
    assert "jointly over 3" in family.answers[0].wording


def test_equal_shares_on_a_graph_are_holm_and_what_is_left_is_handed_on() -> None:
    p = [0.001, 0.02, 0.04, 0.3]
    equal = (1 - np.eye(4)) / 3
    assert graphical(p, [0.25] * 4, equal) == pytest.approx(st.holm(p))
    serial = np.array([[0.0, 1.0], [0.0, 0.0]])
    assert graphical([0.03, 0.04], [1, 0], serial) == pytest.approx([0.03, 0.04])
    assert graphical([0.06, 0.001], [1, 0], serial) == pytest.approx([0.06, 0.06])


def test_failures_are_looked_at_twice_in_an_ablation_as_in_a_comparison() -> None:
    rng = np.random.default_rng(6)
    shared = rng.normal(0, 0.01, 12)
    x = {c: 0.3 + shared + rng.normal(0, 0.002, 12) - 0.02 * ("A" in c) for c in ("", "A", "B", "AB")}
    x["A"][[0, 1]] = math.nan
    x["AB"][[2, 3]] = math.nan
    cells = {frozenset(c): st.arm(own, name=c or "base", better="lower") for c, own in x.items()}
    effect = st.factorial(cells, ("A", "B"), paired_by_seed=True)["A"]
    assert effect["p_completed_only"] < 0.05
    assert effect["sensitivity"] == "disagrees"
    assert "not established: with failures ranked worst" in effect.wording
    assert "[0, 1, 2, 3]" in effect.wording
    assert "no claim" in st.paired(cells[frozenset("A")], cells[frozenset()]).wording


def test_a_factor_may_have_more_than_two_levels() -> None:
    rng = np.random.default_rng(7)
    gain = {"low": 0.0, "mid": 0.0, "high": -0.5}
    table = {
        (lr, part): st.arm(rng.normal(0, 0.05, 10) + gain[lr] - 0.2 * (part == "on"), better="lower")
        for lr in gain
        for part in ("off", "on")
    }
    found = st.factorial(table, {"lr": tuple(gain), "part": ("off", "on")}, paired_by_seed=True)
    assert list(found.effects) == ["lr=mid", "lr=high", "part=on", "lr=mid × part=on", "lr=high × part=on"]
    assert found["lr=high"].estimate == pytest.approx(-0.5, abs=0.06)
    assert found["part=on"].estimate == pytest.approx(-0.2, abs=0.06)
    assert ["not established" in a.wording for a in found.effects.values()] == [True, False, False, True, True]


def test_two_components_of_a_ladder_have_one_interaction() -> None:
    rng = np.random.default_rng(8)
    base, a, b, full = (st.arm(rng.normal(m, 0.01, 9), better="lower") for m in (1.0, 0.9, 0.9, 0.5))
    rungs = st.ladder(base, full, {"A": a, "B": b}, {"A": b, "B": a}, better="lower")
    assert "is its interaction with B" in rungs[0].interaction


def test_power_is_that_of_the_claim() -> None:
    assert claim_power(0.4, 200, rope=0.4) == pytest.approx(0.5, abs=0.01)  # the rope itself is a coin's toss
    plan = st.more_seeds(delta=0.4, rope=0.4, sd=1.0, n_pilot=10, paired=True)
    assert plan.code == "delta_within_rope"
    alone, family = (detectable_in(12, alpha=0.05 / m) for m in (1, 9))
    assert alone is not None
    assert family is not None
    assert family > 1.3 * alone


def test_identical_arms_have_p_one_in_every_test() -> None:
    x = [0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    assert st.paired(x, x).p == st.unpaired(x, x).p == st.welch(x, x).p == st.mann_whitney(x, x).p == 1.0
    cells = {frozenset(c): st.arm(x) for c in ("", "A")}
    assert st.factorial(cells, ("A",), paired_by_seed=True)["A"].p == 1.0


def test_no_arm_is_better_than_itself() -> None:
    said = st.welch(st.Summary(1.0, 0.1, 9), st.Summary(2.0, 0.1, 9), better="lower").wording
    assert said.startswith("a is better than b")
    assert st.mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], better="lower").wording.startswith("a is better than b")


def test_names_stay_with_their_scores_in_every_call() -> None:
    import pandas as pd

    rng = np.random.default_rng(9)
    x = {name: rng.normal(m, 0.05, 12) for name, m in (("re", 0.2), ("bo", 0.3), ("random", 0.5))}
    frame = pd.DataFrame(x, index=range(101, 113))
    for scores in (x, frame):
        family = st.versus_baseline(scores, "random", paired_by_seed=True, better="lower")
        assert family.pairs == (("re", "random"), ("bo", "random"))
        assert st.all_pairs(scores, paired_by_seed=True, better="lower").order() == ("re", "bo", "random")
        found = st.against_control(scores, control="random", better="lower")
        assert found["names"] == ("re", "bo", "random")
        assert found["others"] == (0, 1)
    with pytest.raises(StatisticsError, match="no control `randon`; did you mean `random`"):
        st.against_control(frame, control="randon", better="lower")


def test_a_transposed_matrix_is_questioned() -> None:
    x = np.random.default_rng(10).normal(0, 1, (6, 20))
    assert "transposed?" in st.friedman(x, better="lower").warnings[0]
    assert not st.friedman(x.T, better="lower").warnings


def test_tau_says_what_it_is_made_of() -> None:
    found = st.rank_correlation([1, 2, 3, 4], [1, 3, 2, 4])
    assert (found["concordant"], found["discordant"], found["tied"]) == (5, 1, 0)


@pytest.mark.parametrize("estimand", NAMES)
def test_order_of_many_seeds_changes_no_p(estimand: EstimandName) -> None:
    x = board(5, 20, 29, True)
    order = np.random.default_rng(29).permutation(x.shape[1])
    for one, other in ((0, 1), (1, 2), (3, 4)):
        whole = st.paired(x[one], x[other], better="lower", estimand=estimand)
        mixed = st.paired(x[one][order], x[other][order], better="lower", estimand=estimand)
        assert mixed.p == whole.p
        assert mixed.interval == whole.interval
