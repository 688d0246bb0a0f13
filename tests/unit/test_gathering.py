"""From the store to the checklist: what is recorded counts, what is not never passes, what blocks removes the ranks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from recorded import BROKEN, ERRORS, a_store

from searchbench.reports.checklist import Verdict
from searchbench.reports.dossier import AXES, Dossier, read
from searchbench.reports.gathering import gather
from searchbench.reports.render import render
from searchbench.results.digests import digest
from searchbench.results.store import open_store


@pytest.fixture(scope="module")
def dossier(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    with open_store(a_store(tmp_path_factory.mktemp("gather") / "r.db")) as store:
        return read(store, axes=AXES)


def verdict(dossier: Dossier, item: str) -> tuple[Verdict, str]:
    found = dossier.checklists["cells"][item]
    return found.verdict, found.evidence


@pytest.mark.parametrize(
    ("item", "expected", "seen"),
    [
        ("C01", Verdict.PASS, "for all 7 arms"),
        ("C04", Verdict.PASS, "multi_search_one_eval"),
        ("C05", Verdict.PASS, "12 seeds per arm"),
        ("C07", Verdict.PASS, "random search: random"),
        ("C08", Verdict.FAIL, "no random-sampling arm"),
        ("C11", Verdict.WARN, "budget not recorded for every arm"),  # every run of one failed
        ("C13", Verdict.WARN, "for base, +A"),
        ("C14", Verdict.PASS, "configurations tried"),
        ("C15", Verdict.PASS, "chosen and drawn on validation"),
        ("C16", Verdict.PASS, "incumbent monotone"),
        ("C17", Verdict.PASS, "84 of 84 scheduled runs accounted for; 12 failed"),
        ("C18", Verdict.PASS, "all score vectors differ"),
        ("C20", Verdict.PASS, "clean commit"),
        ("C21", Verdict.WARN, "no seed was rerun"),
        ("C22", Verdict.PASS, "factorial: A and B"),
        ("C23", Verdict.PASS, "declared before the first run"),
        ("C24", Verdict.PASS, "Holm over 6"),
        ("C28", Verdict.NA, "no proxy study"),
    ],
)
def test_evidence_is_what_the_store_recorded(dossier: Dossier, item: str, expected: Verdict, seen: str) -> None:
    found, evidence = verdict(dossier, item)
    assert found is expected, evidence
    assert seen in evidence


def test_the_line_stands_beside_the_leaderboard_in_every_format(dossier: Dossier) -> None:
    line = dossier.checklists["cells"].summary
    for format in ("rich", "md", "tex", "json"):
        assert line in render(dossier.board, format)


def test_an_incomplete_study_loses_its_ranks_and_says_why(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", missing=2)) as store:
        board = read(store).board
    (block,) = board.blocks
    assert not block.ranked
    assert (
        block.withheld
        == "C17 all scheduled runs accounted for, failures printed: 82 of 84 scheduled runs accounted for"
    )
    assert all(row.standing.ranks is None for row in block.rows)
    assert "no ranking: C17" in render(board, "rich")


def test_an_undeclared_comparison_fails_and_prints_no_p(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", comparison=False)) as store:
        found = read(store)
    assert verdict(found, "C23")[0] is Verdict.FAIL
    assert verdict(found, "C24")[0] is Verdict.NA


def test_a_search_that_stopped_early_did_not_spend_an_equal_budget(dossier: Dossier) -> None:
    runs = dossier.current["cells"]
    early = [
        r.changed(ended="stalled", cost=replace(r.cost, evaluations=7)) if r.strategy == "base" else r for r in runs
    ]
    evidence = gather(dossier.study, dossier.board.blocks[0], early, None)
    base = next(arm for arm in evidence.arms if arm.name == "base")
    assert set(base.spent) == {7.0}
    assert all(set(arm.spent) == {20.0} for arm in evidence.arms if arm.name not in ("base", BROKEN))
    assert set(base.reached) == {0.35}
    assert base.incumbents is None  # no recordings were read, so nothing is claimed about them


def test_incumbents_are_kept_where_they_change(dossier: Dossier) -> None:
    runs = dossier.current["cells"]
    known = {run.run_id: digest(run.trials, run.traces) for run in runs}
    evidence = gather(dossier.study, dossier.board.blocks[0], runs, known)
    for arm in evidence.arms:
        assert arm.incumbents is not None
        assert all(list(run) == sorted(run, reverse=True) and len(set(run)) == len(run) for run in arm.incumbents)
    assert {arm.name for arm in evidence.arms} == {*ERRORS, BROKEN}
