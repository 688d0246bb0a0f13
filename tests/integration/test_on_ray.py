"""Whole studies on Ray: any number of workers, killed drivers, plug-ins found by workers, processes kept apart."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import searchbench as sb
from searchbench import Budget, Problem, Study, Use, open_store
from searchbench.harness.executors.executor import Lost
from searchbench.results.columns import first_difference
from searchbench.results.records import RunRecord

pytestmark = pytest.mark.ray

FILE = """
name = "killed"
seeds = 10
budget = {{ evaluations = 60 }}
[[problems]]
space = "nasbench201"
task = "digits"
estimator = {{ use = "table", path = "{table}", validation = ["valid_0", "valid_1"], test = ["test_secret"] }}
[[strategies]]
use = "random"
[[strategies]]
use = "{plugin}"
"""

PLUGIN = """
import time
from dataclasses import dataclass
from searchbench import Proposal

@dataclass(frozen=True)
class Slow:
    def start(self, scenario):
        return Live(scenario)

class Live:
    def __init__(self, scenario):
        self.space, self.rng = scenario.space, scenario.seeds.rng("search")
    def ask(self):
        time.sleep(0.0005)
        return Proposal(self.space.sample(self.rng))
    def tell(self, trial):
        pass
"""


def records(store: Path, study: str) -> dict[str, RunRecord]:
    with open_store(store) as opened:
        return {run.run_id: run for run in opened.runs(study)}


def assert_same(a: dict[str, RunRecord], b: dict[str, RunRecord]) -> None:
    assert a.keys() == b.keys()
    for run_id, one in a.items():
        other = b[run_id]
        assert first_difference(one.trials, other.trials) is None
        assert (one.status, one.architecture, one.test_error) == (other.status, other.architecture, other.test_error)


@pytest.fixture
def folder(tmp_path: Path, table_path: Path) -> Path:
    """A folder with a study file and a one-file plug-in beside it."""
    (tmp_path / "slow_plugin.py").write_text(PLUGIN)
    (tmp_path / "study.toml").write_text(FILE.format(table=table_path, plugin="slow_plugin:Slow"))
    return tmp_path


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "searchbench", "run", str(folder / "study.toml"), *arguments]


def complete(folder: Path, *arguments: str, **environment: str) -> str:
    """Run a driver to its end; what it printed."""
    env = {**os.environ, **environment}
    run = subprocess.run(
        command(folder, *arguments), cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def finished(store: Path) -> int:
    """Runs committed so far, seen from outside."""
    if not store.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.fixture
def victim(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A driver in a process group of its own, of which nothing is left afterwards."""
    with (folder / "log").open("wb") as log:
        start = command(folder, "--store", "killed.db", "--workers", "2")
        process = subprocess.Popen(start, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        yield process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_driver_killed_at_any_moment_loses_only_runs_in_flight(folder: Path, victim: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while finished(folder / "killed.db") < 3:
        assert victim.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.01)
    victim.kill()  # SIGKILL: no handler runs
    victim.wait()
    kept = records(folder / "killed.db", "killed")
    assert 3 <= len(kept) < 20
    complete(folder, "--store", "killed.db", "--workers", "2", "--resume", PYTHONHASHSEED="1")
    complete(folder, "--store", "whole.db", "--workers", "0", PYTHONHASHSEED="2")
    after = records(folder / "killed.db", "killed")
    assert len(after) == 20
    assert_same(after, records(folder / "whole.db", "killed"))
    assert all(after[run_id].finished == run.finished for run_id, run in kept.items())


def test_the_number_of_workers_changes_no_result(problem: Problem, training_problem: Problem, tmp_path: Path) -> None:
    strategies = {"random": "random", "evolution": Use("regularized-evolution", population=3, sample=2)}
    study = Study("both", [problem, training_problem], strategies, 2, Budget(evaluations=6))
    for workers in (0, 2):
        sb.run(study, tmp_path / f"{workers}.db", workers=workers)
    here, there = (records(tmp_path / f"{workers}.db", "both") for workers in (0, 2))
    assert len(here) == 8
    assert_same(here, there)


def test_searches_and_judges_run_in_different_processes(tmp_path: Path) -> None:
    from searchbench.harness.session import executor

    with executor(workers=2) as ray:
        tickets = [ray.submit(role, abs_and_pid, [1]) for role in ("search", "judge") * 4]
        came = {}
        while len(came) < len(tickets):
            came |= {f.ticket: f.results for f in ray.wait(timeout_s=5)}
        pids = [came[ticket][0] for ticket in tickets]
        assert not set(pids[::2]) & set(pids[1::2])
        lost = ray.submit("search", die, [1])
        outcome = [f for _ in range(20) for f in ray.wait(timeout_s=5)]
    assert outcome[0].ticket == lost
    assert isinstance(outcome[0].results, Lost)


def abs_and_pid(_: int) -> int:
    time.sleep(0.1)
    return os.getpid()


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_smallest_plug_in_is_at_most_twenty_lines_and_runs_beside_the_built_ins(folder: Path) -> None:
    lines = [line for line in textwrap.dedent(PLUGIN).splitlines() if line.strip()]
    assert len(lines) <= 20
    text = (folder / "study.toml").read_text().replace("seeds = 10", "seeds = 2")
    (folder / "study.toml").write_text(text)
    assert "slow_plugin:Slow" in complete(folder, "--store", "p.db", "--workers", "0")  # on Ray above
    assert {r.strategy for r in records(folder / "p.db", "killed").values()} == {"random", "slow_plugin:Slow"}


def unequal(config: dict[str, float], *, seed: int) -> float:
    time.sleep(0.05 + 0.3 * config["x"])
    return config["x"] + seed % 5


def test_evaluations_of_one_search_run_side_by_side_with_the_same_record(tmp_path: Path) -> None:
    declared = {"parallel": 6, "duration": lambda config: 0.05 + 0.3 * config["x"]}
    problem = sb.Objective(unequal, {"x": sb.Float(0, 1)}, **declared)  # type: ignore[arg-type]
    study = Study("side", problem, [Use("regularized-evolution", population=6, sample=2)], 1, Budget(evaluations=24))
    for workers in (0, 2):
        sb.run(study, tmp_path / f"side{workers}.db", workers=workers)
    assert_same(*(records(tmp_path / f"side{workers}.db", "side") for workers in (0, 2)))
