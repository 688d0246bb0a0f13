"""Runs that failed are run again on request: both stay, the later counts, and it says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import searchbench as sb
from searchbench import Budget, Problem, Study
from searchbench.cli.entry import cli
from searchbench.strategies.random import Random
from searchbench.tables.lookup import TestLookup

BROKEN: list[str] = []


class Sometimes:
    """Random search that fails while `BROKEN` says so."""

    def describe(self) -> dict[str, Any]:
        return {}

    def start(self, scenario: Any) -> Any:
        if BROKEN:
            raise RuntimeError("the disk of this machine is gone")
        return Random().start(scenario)


def records(store: Path) -> dict[tuple[str, int], Any]:
    with sb.open_store(store) as opened:
        return {(run.strategy, run.replicate): run for run in opened.runs("s")}


def rows(store: Path) -> int:
    with sb.open_store(store) as opened, opened.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one())


def a_study(problem: Problem) -> Study:
    return Study("s", problem, {"it": Sometimes(), "random": "random"}, 2, Budget(evaluations=5))


def test_failed_runs_are_run_again_on_request_only(problem: Problem, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    BROKEN[:] = ["it"]
    sb.run(a_study(problem), store, workers=0, progress=False)
    assert records(store)["it", 0].status == "failed"
    BROKEN.clear()
    sb.run(a_study(problem), store, workers=0, progress=False, resume=True)
    assert records(store)["it", 0].status == "failed"
    sb.run(a_study(problem), store, workers=0, progress=False, retry_failed=True)
    again, whole = records(store)["it", 0], records(store)["random", 0]
    assert (again.status, again.attempts, again.retry) == ("ok", 2, 1)
    assert again.notes == ("run again on request, after 1 failure",)
    assert (again.test_error, again.value) == (whole.test_error, whole.value)
    assert (whole.attempts, whole.retry, whole.notes) == (1, 0, ())
    assert rows(store) == 6  # the failures are kept
    board = CliRunner().invoke(cli, ["leaderboard", "s", "--store", str(store)]).output
    assert "run again on request" in " ".join(board.split())


def test_failing_again_is_another_attempt(problem: Problem, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    BROKEN[:] = ["it"]
    for more in ({}, {"retry_failed": True}, {"retry_failed": True}):
        sb.run(a_study(problem), store, workers=0, progress=False, **more)
    again = records(store)["it", 1]
    assert (again.status, again.attempts, again.retry) == ("failed", 3, 2)


def test_what_could_not_be_judged_is_judged_again_without_its_search(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "s.db"
    BROKEN.clear()
    with monkeypatch.context() as patched:
        patched.setattr(TestLookup, "verdict", lambda self, architecture: 1 / 0)
        sb.run(a_study(problem), store, workers=0, progress=False)
    before = records(store)["it", 0]
    assert (before.status, before.judged) == ("ok", False)
    BROKEN[:] = ["it"]  # a search would fail now
    sb.run(a_study(problem), store, workers=0, progress=False, retry_failed=True)
    after = records(store)["it", 0]
    assert (after.judged, after.retry, after.trials) == (True, 1, before.trials)
