"""Ranking by inherited weights: which architectures it is about, what stands beside it, and the command."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from tiny_lab import SPACE

from searchbench import Budget, Problem, Study, Use
from searchbench.cli.entry import cli
from searchbench.cost import Cost
from searchbench.errors import InputError
from searchbench.harness.session import run
from searchbench.harness.truth import by_table
from searchbench.reports.render.shared import to_text
from searchbench.reports.sharing import SharingRanking, build, sample
from searchbench.results.columns import TrialColumns
from searchbench.results.inherited import Scores, Truth, scores_of
from searchbench.results.records import RunRecord
from searchbench.results.store import open_store
from searchbench.tables.table import Table, table_judge
from searchbench.trial import FULL, Fidelity

KEYS = [f"cell {i}" for i in range(24)]
ERRORS = {key: (0.1 + 0.02 * i, 0.1 + 0.02 * i + 0.03 * math.sin(5 * i)) for i, key in enumerate(KEYS)}
TRUTH = Truth("test error by the judge", ERRORS, {key: (1e3 * (30 - i), 1e6 * (i % 3)) for i, key in enumerate(KEYS)})


def supernet(strategy: str, seed: int, noise: float, keys: Sequence[str] = KEYS) -> Scores:
    rng = np.random.default_rng([seed, len(strategy)])
    values = {key: float(np.mean(ERRORS[key]) + noise * rng.normal()) for key in keys}
    return Scores(strategy, seed, 50.0, values, {key: key for key in keys})


def methods(seeds: int = 3, **noise: float) -> dict[str, list[Scores]]:
    return {name: [supernet(name, seed, level) for seed in range(seeds)] for name, level in noise.items()}


def analysed(found: Mapping[str, Sequence[Scores]], truth: Truth = TRUTH) -> SharingRanking:
    return build("study", "cells", found, truth)


def mean_errors() -> list[float]:
    return [float(np.mean(ERRORS[key])) for key in KEYS]


def test_tau_is_the_mean_over_supernets_with_the_floor_and_the_ceiling_beside_it() -> None:
    own = methods(good=0.05)
    found = analysed(own)
    expected = [stats.kendalltau([s.values[k] for k in KEYS], mean_errors()).statistic for s in own["good"]]
    assert found.methods[0].tau.estimate == pytest.approx(np.mean(expected))
    assert found.params.estimate == pytest.approx(1.0)  # the larger the better
    assert found.macs.estimate == pytest.approx(
        stats.kendalltau([i % 3 for i in range(24)], range(24, 0, -1)).statistic
    )
    assert found.ceiling is not None
    assert found.ceiling["mean"] == pytest.approx(stats.kendalltau(*zip(*ERRORS.values(), strict=True)).statistic)
    shown = " ".join(to_text(found).split())
    assert "24 architectures, the same for every supernet. Truth: test error by the judge, mean of 2." in shown
    assert "Floor: 1.000 by parameters" in shown
    assert "of one with the mean of the others" not in shown  # with two repeats that is the same


def test_a_third_training_tells_what_one_says_of_the_mean_of_the_others() -> None:
    thrice = {key: (*own, own[0] + 0.04 * (i % 5)) for i, (key, own) in enumerate(ERRORS.items())}
    found = analysed(methods(good=0.05), Truth("x", thrice, TRUTH.sizes))
    columns = list(zip(*thrice.values(), strict=True))
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert found.ceiling is not None
    assert found.alone is not None
    assert found.ceiling["taus"] == pytest.approx(
        [stats.kendalltau(columns[a], columns[b]).statistic for a, b in pairs]
    )
    first = np.mean([columns[1], columns[2]], axis=0)
    assert found.alone["taus"][0] == pytest.approx(stats.kendalltau(columns[0], first).statistic)


def test_regret_is_the_truth_of_what_a_supernet_would_pick() -> None:
    scores = supernet("a", 0, 0.0)
    wrong = replace(scores, values={**scores.values, KEYS[7]: 0.0})
    (own,) = analysed({"a": [scores, wrong]}).methods
    best, seventh = min(mean_errors()), mean_errors()[7]
    assert {k: mean for k, mean, _ in own.regrets} == pytest.approx({1: 100 * (seventh - best) / 2, 10: 0.0})


def test_methods_are_compared_seed_by_seed() -> None:
    found = analysed(methods(seeds=6, good=0.02, bad=0.5))
    (pair,) = found.comparisons
    assert (pair.a, pair.b, pair.wins) == ("good", "bad", 6)
    assert pair.answer.estimate == pytest.approx(found.methods[0].tau.estimate - found.methods[1].tau.estimate)
    assert pair.answer.p_adj == pytest.approx(2 / 2**6)
    assert pair.both.low > 0
    assert "6 of 6" in to_text(found)


def test_three_seeds_are_too_few_for_a_test_and_say_so() -> None:
    found = analysed(methods(good=0.02, bad=0.5))
    assert found.comparisons[0].answer.status == "refused"
    assert "too few seeds" in to_text(found)


def test_methods_under_other_seeds_are_not_paired() -> None:
    own = methods(good=0.02, bad=0.5)
    own["bad"] = own["bad"][1:]
    assert analysed(own).comparisons == ()


def test_a_search_that_chose_what_to_score_is_left_out_of_the_sample() -> None:
    own = methods(good=0.02)
    own["spos"] = [supernet("spos", seed, 0.1, KEYS[seed : seed + 20]) for seed in range(3)]
    assert list(sample(own)) == KEYS
    found = analysed(own)
    assert [m.name for m in found.methods] == ["good"]
    assert "Left out of spos: 3 of its 3 supernets scored other architectures." in " ".join(to_text(found).split())


def test_nothing_is_ranked_where_no_two_supernets_scored_alike() -> None:
    own = {"spos": [supernet("spos", seed, 0.1, KEYS[seed : seed + 20]) for seed in range(3)]}
    assert sample(own) == {}
    found = analysed(own, Truth("none", {}, {}))
    assert (found.architectures, found.methods) == (0, ())
    assert "let `stratified-sample` be the second half" in to_text(found)


def test_architectures_without_a_complete_truth_or_score_are_left_out() -> None:
    own = methods(good=0.02)
    own["good"][1] = replace(own["good"][1], values={k: v for k, v in own["good"][1].values.items() if k != KEYS[3]})
    assert KEYS[3] not in sample(own)
    partial = Truth("x", {k: v for k, v in ERRORS.items() if k != KEYS[5]}, TRUTH.sizes, missing=1)
    found = analysed(own, partial)
    assert found.architectures == 22
    assert "for 1 more it has no answer" in to_text(found)


# -- what is read from a run -----------------------------------------------------------------------------------------


def test_a_score_is_what_was_charged_forward_passes_and_no_evaluation() -> None:
    trials = TrialColumns()
    whole, part = Fidelity(subset=1.0), Fidelity(subset=0.25)
    rows = [
        ("a", whole, "ok", 0.3, Cost(inference_samples=10)),
        ("b", part, "ok", 0.2, Cost(inference_samples=15)),  # screened on a part
        ("c", whole, "nan", math.nan, Cost(inference_samples=25)),
        ("d", FULL, "ok", 0.1, Cost(evaluations=1, inference_samples=35)),  # trained alone
        ("a", whole, "ok", 0.25, Cost(evaluations=1, inference_samples=45)),
    ]
    for key, fidelity, status, value, spent in rows:
        trials.append(f"<{key}>", key, fidelity, status, value, spent=spent)
    scores = scores_of(a_run(trials.to_bytes()))
    assert scores is not None
    assert (scores.values, scores.notations) == ({"a": 0.25}, {"a": "<a>", "c": "<c>"})
    assert scores_of(a_run(b"")) is None


def a_run(trials: bytes) -> RunRecord:
    texts = dict.fromkeys(("run_id", "study", "strategy", "description", "problem", "fingerprint", "ended"), "x")
    return RunRecord.flat(
        **texts, budget="{}", replicate=1, status="ok", cost=Cost(epochs=7), trials=trials, started="", finished=""
    )


# -- the command -----------------------------------------------------------------------------------------------------


def a_study(judge: object, name: str = "shared") -> Study:
    space = Use("nasbench201", channels=2, cells=1, stages=1)
    sampled = Use("stratified-sample", architectures=12, strata=3)
    contestants = {
        label: Use("shared-weights", training=Use(label, batch_size=64, recalibrate=1), finder=sampled)
        for label in ("spos", "fairnas")
    }
    problem = Problem(space, "digits", Use("train", epochs=1), judge, "cells")
    return Study(name, problem, contestants, 2, Budget(epochs=1))


def ranked(store: Path, *options: str) -> str:
    answer = CliRunner().invoke(cli, ["ranking", "--store", str(store), *options], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return " ".join(answer.output.split())


def test_the_command_asks_the_tables_judge_or_a_tables_validation(tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    run(a_study(Use("table", path="nasbench201-digits")), store, workers=0)
    shown = ranked(store)
    assert "12 architectures, the same for every supernet. Truth: test error by the judge, mean of 3." in shown
    assert "spos 1.0 2" in shown
    assert "error / loss" in shown
    assert "Noise ceiling: 0." in shown
    shown = ranked(store, "--table", "nasbench201-digits")
    assert "Truth: validation error in the table `nasbench201-digits`, mean of 3." in shown
    with open_store(store) as opened, pytest.raises(InputError, match="nowhere"):
        by_table(opened.study(), "cells", {}, "nowhere.parquet")


def test_a_judge_that_trains_is_asked_only_for_what_is_paid_and_only_once(tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    run(a_study(Use("train", epochs=1)), store, workers=0)
    assert "trains, so none of the 12 architectures was judged; `--judge N`" in ranked(store)
    shown = ranked(store, "--judge", "10", "--workers", "0")
    assert "10 architectures, the same for every supernet. Truth: test error by the judge, mean of 2" in shown
    assert "for 2 more it has no answer" in shown
    with open_store(store) as opened:
        judged = opened.runs("shared (sample judged)")
        assert len(judged) == 20
        assert {run.replicate for run in judged} == {0, 1}
        assert [s.name for s in opened.studies()] == ["shared"]
    assert ranked(store) == shown  # known by now, without training anything


def test_both_sides_of_a_table_answer_with_their_own_repeats() -> None:
    cell = SPACE.parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|")
    digits = Use("digits")
    resolved = Problem(Use("nasbench201", channels=2), digits, "train").resolve()
    valid = Table().open(resolved.space, resolved.task, None)  # type: ignore[arg-type]
    test = table_judge().open(resolved.space, resolved.task, None)  # type: ignore[arg-type]
    assert len(valid.repeats(cell)) == len(test.repeats(cell)) == 3
    assert valid.repeats(cell) != test.repeats(cell)
    assert test.verdict(cell).test_error == pytest.approx(np.mean(test.repeats(cell)))
