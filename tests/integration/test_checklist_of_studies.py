"""The checklist on studies that were run: what must pass passes, and what is declared is heard."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import searchbench as sb
from searchbench import Budget, ComparisonPlan, Problem, Study
from searchbench.cli.entry import cli
from searchbench.cost import Cost
from searchbench.reports.checklist import Verdict, checklist
from searchbench.reports.dossier import AXES, Dossier, read
from searchbench.reports.gathering import gather
from searchbench.results.columns import TraceColumns
from searchbench.results.digests import Digest, digest
from searchbench.results.records import CheckRecord
from searchbench.results.store import open_store


@pytest.fixture(scope="module")
def multi_fidelity(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    """Searches whose incumbents move up through fidelities, on the shipped table."""
    store = tmp_path_factory.mktemp("checks") / "r.db"
    problem = Problem("nasbench201", "digits", "table", label="table")
    strategies = {"random": "random", "hyperband": "hyperband", "bohb": "bohb", "asha": "asha"}
    study = Study("fidelities", problem, strategies, 6, Budget(epochs=200), comparison=ComparisonPlan("random"))
    sb.run(study, store, workers=0)
    with open_store(store) as opened:
        return read(opened, axes=AXES)


def test_an_incumbent_of_a_higher_fidelity_may_have_a_higher_value(multi_fidelity: Dossier) -> None:
    item = multi_fidelity.checklists["table"]["C16"]
    assert item.verdict is Verdict.PASS, item.evidence


def test_a_rise_within_one_fidelity_is_named_with_its_run(multi_fidelity: Dossier) -> None:
    runs = multi_fidelity.current["table"]
    known = {run.run_id: digest(run.trials, run.traces) for run in runs}
    first = known[runs[0].run_id].stretches[0]
    broken = known | {runs[0].run_id: Digest(((*first, 0.99),))}
    evidence = gather(multi_fidelity.study, multi_fidelity.board.blocks[0], runs, broken)
    item = checklist(evidence)["C16"]
    assert item.verdict is Verdict.FAIL
    assert f"{runs[0].strategy} (seed {runs[0].replicate}: rose from" in item.evidence


@pytest.mark.parametrize(("spent", "reached"), [(98.5, 100.0), (97.0, 97.0)])
def test_a_search_that_ends_by_itself_within_one_more_slice_spent_its_budget(
    multi_fidelity: Dossier, spent: float, reached: float
) -> None:
    log = TraceColumns()
    for epoch in range(1, 50):
        log.append({"epoch": epoch}, Cost(epochs=2.0 * epoch))
    study, block = multi_fidelity.study, multi_fidelity.board.blocks[0]
    spec = study.declared | {"budget": {"epochs": 100.0}}
    changed = replace(study, spec=json.dumps(spec))
    runs = [
        run.changed(ended="finished", traces=log.to_bytes(), cost=replace(run.cost, epochs=spent))
        for run in multi_fidelity.current["table"]
    ]
    evidence = gather(changed, block, runs, {run.run_id: digest(run.trials, run.traces) for run in runs})
    assert {value for arm in evidence.arms for value in arm.spent} == {reached}


def said(store: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, [*arguments, "--store", str(store)])
    return done.exit_code, done.output


def verdict_of(store: Path, id: str) -> tuple[str, str]:
    with open_store(store) as opened:
        item = next(iter(read(opened).checklists.values()))[id]
    return item.verdict.value, item.evidence


def test_reruns_and_the_exported_bundle_are_heard_of(study: Study, tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    sb.run(study, store, workers=0)
    assert verdict_of(store, "C21")[0] == verdict_of(store, "C30")[0] == "WARN"
    assert said(store, "verify", "-k", "2", "--workers", "0")[0] == 0
    code, output = said(store, "export", "--out", str(tmp_path / "out.parquet"))
    assert (code, "rebuilt byte for byte" in output.replace("\n", " ")) == (0, True)
    assert verdict_of(store, "C21") == ("PASS", verdict_of(store, "C21")[1])
    assert "2 of 2 reruns bit-identical, drawn from 6" in verdict_of(store, "C21")[1]
    assert verdict_of(store, "C30")[0] == "PASS"


def test_a_rerun_that_differed_once_is_not_outweighed(study: Study, tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    sb.run(study, store, workers=0)
    with open_store(store, write=True) as opened:
        opened.add_check(
            CheckRecord(study.name, "rerun", False, "0 of 1 reruns bit-identical; x differs", "2026-01-01")
        )
        opened.add_check(CheckRecord(study.name, "rerun", True, "1 of 1 reruns bit-identical", "2026-01-02"))
        opened.add_check(CheckRecord(study.name, "rebuild", False, "leaderboard differs as csv", "2026-01-02"))
    assert verdict_of(store, "C21") == ("FAIL", "0 of 1 reruns bit-identical; x differs (2026-01-01)")
    assert verdict_of(store, "C30")[0] == "FAIL"


def test_a_store_without_checks_is_read_and_takes_one(study: Study, tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    sb.run(study, store, workers=0)
    with sqlite3.connect(store) as connection:
        connection.execute("drop table checks")
    assert verdict_of(store, "C21")[0] == "WARN"
    assert said(store, "verify", "-k", "1", "--workers", "0")[0] == 0
    assert verdict_of(store, "C21")[0] == "PASS"
