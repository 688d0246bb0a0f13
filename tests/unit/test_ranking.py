"""Ranking against the truth: known correlations, floor, ceiling, regret, and every refusal, from a store alone."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from recorded import BUDGET, a_run, a_store
from scipy import stats

from searchbench.cli.entry import cli
from searchbench.cost import Cost
from searchbench.errors import StoreError
from searchbench.reports.ranking import ESTIMATED, INHERITED, UNVALUED, ProxyRanking, build, ranking, records
from searchbench.reports.render.ranks import to_text
from searchbench.reports.report import report
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import open_store

SPEC = {"name": "recorded", "seeds": [0], "budget": BUDGET, "strategies": [],
        "problems": [{"label": "cells", "fingerprint": "f"}]}  # fmt: skip


def a_search(strategy: str, seed: int, key: str, value: float, error: float, **other: object) -> RunRecord:
    entry = {"run_id": f"{strategy}/{seed}", "strategy": "base", "problem": "cells", "replicate": seed}
    run = a_run(entry, 1, 1).changed(strategy=strategy, architecture_key=key, value=value, test_error=error)
    return run.changed(**other)


def searches(strategy: str, values: Sequence[float], errors: Sequence[float], **other: object) -> list[RunRecord]:
    """An architecture for every seed, never the same twice."""
    return [
        a_search(strategy, i, f"{strategy} {i}", v, e, **other)
        for i, (v, e) in enumerate(zip(values, errors, strict=True))
    ]


def analysed(*runs: RunRecord) -> ProxyRanking:
    (found,) = build(StudyRecord("recorded", json.dumps(SPEC), "t"), {"cells": runs})
    return found


ERRORS = [0.30, 0.28, 0.26, 0.24, 0.22, 0.20, 0.18, 0.16, 0.14, 0.12, 0.10, 0.08]
SWAPPED = [0.28, 0.30, *ERRORS[2:]]
"""One of the 66 pairs is ranked the wrong way round: tau = 1 - 2/66."""


def test_tau_has_the_value_of_its_definition_and_an_interval_around_it() -> None:
    pool, own = analysed(*searches("a", SWAPPED, ERRORS)).agreements
    for agreement in (pool, own):
        assert agreement.tau.estimate == pytest.approx(1 - 2 / 66)
        assert agreement.spearman == pytest.approx(stats.spearmanr(SWAPPED, ERRORS).statistic)
        interval = agreement.tau.interval
        assert interval is not None
        assert interval.low < 1 - 2 / 66 <= interval.high
    assert (pool.pooled, own.pooled, own.kind) == (True, False, ESTIMATED)


def test_nine_architectures_are_refused_and_one_more_is_asked_for() -> None:
    found = analysed(*searches("a", SWAPPED[:9], ERRORS[:9]))
    for agreement in found.agreements:
        assert agreement.tau.status == "refused"
        assert agreement.tau.estimate is None
        assert agreement.tau.refusal_reason.startswith("9 architectures with validation value and test error; 1 more")
        assert agreement.regrets == ()
    assert "Refused for all strategies, a: 9 architectures" in " ".join(to_text(found, 400).split())


def test_caveats_of_the_declaration_stand_before_the_conclusion_in_the_notes_and_in_every_row() -> None:
    spec = SPEC | {"caveats": [{"kind": "exploratory", "reason": "seeds were added"}]}
    runs = searches("a", SWAPPED, ERRORS)
    (found,) = build(StudyRecord("recorded", json.dumps(spec), "t"), {"cells": runs})
    assert found.conclusion.startswith("exploratory: All strategies")
    assert "exploratory: seeds were added" in to_text(found, 400)
    assert {row["caveats"] for row in records([found])} == {"exploratory"}


def test_two_strategies_too_small_alone_are_ranked_together() -> None:
    pool, a, b = analysed(*searches("a", SWAPPED[:6], ERRORS[:6]), *searches("b", SWAPPED[6:], ERRORS[6:])).agreements
    assert (a.tau.status, b.tau.status) == ("refused", "refused")
    assert pool.tau.estimate == pytest.approx(1 - 2 / 66)


def test_an_architecture_found_often_counts_once_with_its_mean() -> None:
    runs = searches("a", SWAPPED, ERRORS)
    again = a_search("a", 99, "a 0", runs[0].value + 0.02, runs[0].test_error + 0.04)
    found = analysed(*runs, again)
    judged = {one.key: one for one in found.agreements[1].judged}
    assert (found.architectures, found.judgements, found.agreements[1].tau.n) == (12, 13, 12)
    assert judged["a 0"].value == pytest.approx(runs[0].value + 0.01)
    assert judged["a 0"].error == pytest.approx(runs[0].test_error + 0.02)
    assert judged["a 0"].judgements == 2


def test_the_floor_ranks_the_same_architectures_by_size() -> None:
    runs = [
        run.changed(test_metrics={"params": 1e5 * (i % 4), "macs": 1e6 * i})
        for i, run in enumerate(searches("a", SWAPPED, ERRORS))
    ]
    found = analysed(*runs)
    own = found.agreements[1]
    assert own.macs.estimate == pytest.approx(1.0)  # the more MACs the lower the error
    by_params = stats.kendalltau([i % 4 for i in range(12)], [-e for e in ERRORS]).statistic
    assert own.params.estimate == pytest.approx(by_params)
    assert f"floor {by_params:.2f} by parameters, 1.00 by MACs" in found.conclusion


def test_a_judge_that_reports_no_size_leaves_the_floor_refused() -> None:
    found = analysed(*(run.changed(test_metrics={}) for run in searches("a", SWAPPED, ERRORS)))
    assert found.agreements[1].params.status == "refused"
    assert "12 of 12 architectures lack a number" in found.agreements[1].params.wording
    assert "floor not measured" in found.conclusion
    assert "Refused for all strategies, a: no floor by params, 12 of 12" in " ".join(to_text(found, 400).split())


def test_the_ceiling_is_refused_where_nothing_was_judged_twice() -> None:
    found = analysed(*searches("a", SWAPPED, ERRORS))
    assert found.ceiling.status == "refused"
    assert "0 architectures judged under two seeds; 10 more judged twice" in found.ceiling.refusal_reason
    assert "Noise ceiling refused: 0 architectures" in to_text(found)


def judged_again(errors: Sequence[float], *, later: int) -> list[RunRecord]:
    return [a_search("b", i + later, f"a {i}", 0.1, e) for i, e in enumerate(errors)]


def test_the_ceiling_is_tau_of_two_judgements_under_different_seeds() -> None:
    found = analysed(*searches("a", SWAPPED, ERRORS), *judged_again(SWAPPED, later=100))
    assert found.ceiling.estimate == pytest.approx(1 - 2 / 66)
    assert found.ceiling.n == 12
    assert "no noise" not in found.ceiling.wording
    exact = analysed(*searches("a", SWAPPED, ERRORS), *judged_again(ERRORS, later=100))
    assert exact.ceiling.estimate == pytest.approx(1.0)
    assert "repeats itself to the bit" in exact.ceiling.wording


def test_two_judgements_under_one_seed_make_no_ceiling() -> None:
    found = analysed(*searches("a", SWAPPED, ERRORS), *judged_again(SWAPPED, later=0))
    assert found.ceiling.n == 0
    assert found.ceiling.status == "refused"


def test_regret_is_what_trusting_the_k_best_values_costs() -> None:
    values = list(ERRORS)
    values[0] = 0.01  # the worst network has the best value; the best by test comes second
    own = analysed(*searches("a", values, ERRORS)).agreements[1]
    assert dict(own.regrets) == pytest.approx({1: 22.0, 3: 0.0, 5: 0.0, 10: 0.0})  # percentage points


def test_scores_of_a_supernet_are_named_and_never_pooled_with_estimates() -> None:
    supernet = searches("spos", [5 + v for v in SWAPPED], ERRORS, cost=Cost(evaluations=0, epochs=5))
    found = analysed(*searches("a", SWAPPED, ERRORS), *supernet)
    pools = [a for a in found.agreements if a.pooled]
    assert [(p.kind, p.tau.n) for p in pools] == [(ESTIMATED, 12), (INHERITED, 12)]
    shown = " ".join(to_text(found, 400).split())
    assert "inherited: scores by the inherited weights of a supernet, 0 evaluations charged." in shown
    assert "a supernet for every seed" in shown


def test_a_search_that_states_no_value_is_refused_by_name() -> None:
    found = analysed(*searches("darts", [math.nan] * 12, ERRORS, cost=Cost()))
    (own,) = found.agreements
    assert (own.kind, own.without_value) == (UNVALUED, 12)
    assert "12 more judged without a validation value" in own.tau.refusal_reason
    assert found.conclusion.startswith("Nothing was judged that had a validation value")


def test_equal_values_everywhere_leave_tau_undefined() -> None:
    own = analysed(*searches("a", [0.1] * 12, ERRORS)).agreements[1]
    assert own.tau.status == "undefined"
    assert own.tau.estimate is None
    assert "constant" in own.tau.wording


def test_a_failed_judgement_is_counted_and_left_out() -> None:
    runs = searches("a", SWAPPED, ERRORS)
    found = analysed(*runs[:-1], runs[-1].changed(test_status="nan", test_error=math.nan))
    assert (found.architectures, found.failed) == (11, 1)
    assert "judging failed 1 times" in to_text(found)


def test_every_rendering_says_that_the_range_is_restricted() -> None:
    assert "They were selected, so the range is restricted" in " ".join(to_text(analysed()).split())


def test_numbers_are_never_broken_on_a_narrow_terminal() -> None:
    shown = to_text(analysed(*searches("a strategy with a long name", SWAPPED, ERRORS)), 80)
    assert "estimated   12   0.97    [" in shown
    assert "regret@10" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store whose strategies hand over an architecture of their own for every seed."""
    path = tmp_path / "r.db"
    with open_store(path, write=True) as opened:
        opened.add_study(StudyRecord("recorded", json.dumps(SPEC), "2025-01-01T00:00:00+00:00"))
        for run in [*searches("a", SWAPPED, ERRORS), *searches("<b>", ERRORS, ERRORS)]:
            opened.add_run(run)
    return path


def test_the_command_prints_it_from_the_store(store: Path) -> None:
    answer = CliRunner().invoke(cli, ["ranking", "recorded", "--store", str(store)], catch_exceptions=False)
    assert answer.exit_code == 0
    assert "24 distinct architectures in 24 judgements" in answer.output
    assert "floor" in answer.output


def test_an_unknown_study_is_an_error(store: Path) -> None:
    with open_store(store) as opened, pytest.raises(StoreError, match="no study `record`"):
        ranking(opened, "record")


def test_the_report_has_its_section_figure_and_csv(store: Path, tmp_path: Path) -> None:
    with open_store(store) as opened:
        written = report(opened, None, tmp_path / "out")
    page = written.page.read_text(encoding="utf-8")
    assert '<h3 id="cells-ranking">Ranking against the judge</h3>' in page
    assert "the range is restricted" in page
    assert "ranking-cells-estimated.svg" in {path.name for path in written.files}
    rows = list(csv.DictReader((tmp_path / "out" / "ranking.csv").read_text(encoding="utf-8").splitlines()))
    own = {(row["strategy"], row["ranked_by"]): row for row in rows}
    assert float(own["a", "validation"]["tau_b"]) == pytest.approx(1 - 2 / 66)
    assert own["judge", "second judgement"]["status"] == "refused"
    assert {"validation", "params", "macs", "second judgement"} == {row["ranked_by"] for row in rows}


def test_a_study_that_found_one_architecture_only_is_refused_everywhere(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db")) as opened:
        (found,) = ranking(opened)
    assert found.architectures == 1
    assert {a.tau.status for a in found.agreements} == {"refused"}
    assert found.ceiling.status == "refused"
