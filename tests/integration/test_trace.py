"""What a search logs of itself, from the search to the frame a user reads, and how reruns are held to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench.harness.results import Results
from searchbench.harness.verify import verify
from searchbench.results.store import open_store
from searchbench.strategies.strategy import Lab, Scenario


@dataclass(frozen=True)
class Logging:
    """A training search of a user's own: two slices, a line each."""

    slices: int = 2

    def start(self, scenario: Scenario) -> Any:
        return LoggingSearch(self.slices)


class LoggingSearch:
    def __init__(self, slices: int) -> None:
        self.left = slices

    @property
    def done(self) -> bool:
        return self.left == 0

    def advance(self, lab: Lab) -> None:
        space = lab.scenario.space
        self.left -= 1
        lab.recommend(space.sample(lab.scenario.seeds.rng("search")))
        lab.log(epoch=2 - self.left, decision="go on", shares={"a": [0.5, 0.25], "b": [0.5, 0.75]}, ranks=[2, 1])

    def state_dict(self) -> dict[str, Any]:
        return {"left": self.left}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.left = state["left"]


@pytest.fixture
def results(training_problem: sb.Problem, tmp_path: Path) -> Results:
    strategies = {"darts": sb.Use("darts", epochs=2, batch_size=32), "own": Logging(), "random": sb.Use("random")}
    study = sb.Study("traced", training_problem, strategies, [5], sb.Budget(samples=5_000))
    return sb.run(study, tmp_path / "r.db", workers=0)


def run_of(results: Results, strategy: str) -> str:
    runs = results.runs()
    return str(runs.loc[runs.strategy == strategy, "run_id"].item())


def test_a_trace_is_read_back_as_a_row_an_epoch(results: Results) -> None:
    trace = results.trace(run_of(results, "darts"))
    assert trace.epoch.tolist() == [1, 2]
    assert trace.valid_accuracy.between(0, 1).all()
    assert list(trace.operation_weights[1]) == ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    assert all(len(weights) == 6 for weights in trace.operation_weights[1].values())
    assert trace.spent_epochs.is_monotonic_increasing


def test_a_search_of_a_users_own_logs_and_one_that_logs_nothing_has_no_rows(results: Results) -> None:
    trace = results.trace(run_of(results, "own"))
    assert trace.decision.tolist() == ["go on", "go on"]
    assert trace.shares[1]["b"].tolist() == [0.5, 0.75]
    assert trace.ranks[0].tolist() == [2.0, 1.0]
    assert len(results.trace(run_of(results, "random"))) == 0


def test_verify_compares_what_was_logged(results: Results) -> None:
    assert all(verdict.identical for verdict in verify(results.store, count=3, workers=0, trust=True))
    with open_store(results.store) as store:
        own, other = (store.run(run_of(results, name)) for name in ("darts", "own"))
    with sqlite3.connect(results.store) as connection:
        (row,) = connection.execute("SELECT id FROM runs WHERE run_id = ?", (own.run_id,)).fetchone()
        connection.execute("UPDATE recordings SET traces = ? WHERE run = ?", (other.traces, row))
    told = [str(verdict) for verdict in verify(results.store, count=3, workers=0, trust=True) if not verdict.identical]
    assert len(told) == 1
    assert "all trials agree, but line 0 of the log differs" in told[0]
