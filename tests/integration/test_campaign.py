"""Whole studies in this process: records, resume, failures, determinism."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import searchbench as sb
from searchbench import Budget, Problem, Proposal, Study, Trial, Use, open_store
from searchbench.errors import InputError, StoreError
from searchbench.harness.declared.plan import plan
from searchbench.harness.driving.campaign import carry_out
from searchbench.harness.driving.declaration import declare
from searchbench.harness.driving.progress import Silent
from searchbench.harness.executors.executor import Finished, Lost
from searchbench.harness.executors.local import LocalExecutor
from searchbench.harness.verify import verify
from searchbench.reports.dossier import read
from searchbench.reports.render import render
from searchbench.results.columns import first_difference
from searchbench.results.records import RunRecord
from searchbench.strategies.random import Random


def run_here(study: Study, store: Path, **options: Any) -> dict[str, RunRecord]:
    sb.run(study, store, workers=0, **options)
    return records(store, study.name)


def records(store: Path, study: str) -> dict[str, RunRecord]:
    with open_store(store) as opened:
        return {run.run_id: run for run in opened.runs(study)}


def assert_same(a: RunRecord, b: RunRecord) -> None:
    assert first_difference(a.trials, b.trials) is None
    assert (a.architecture, a.test_error, a.status, a.ended) == (b.architecture, b.test_error, b.status, b.ended)


def test_every_run_is_recorded_judged_and_within_budget(study: Study, tmp_path: Path) -> None:
    found = run_here(study, tmp_path / "r.db")
    assert len(found) == 6
    for run in found.values():
        assert (run.status, run.ended, run.test_status) == ("ok", "budget", "ok")
        assert run.cost.evaluations == 20
        assert run.cost.simulated_s > 0
        assert 0 < run.test_error < 1
    frame = sb.Results(study.name, str(tmp_path / "r.db")).leaderboard()
    assert set(frame["strategy"]) == {"random", "evolution"}
    assert list(frame["n"]) == [3, 3]


def test_the_same_study_gives_the_same_results(study: Study, tmp_path: Path) -> None:
    one, two = (run_here(study, tmp_path / f"{i}.db") for i in range(2))
    assert one.keys() == two.keys()
    for run_id in one:
        assert_same(one[run_id], two[run_id])


def test_strategies_of_one_replicate_share_their_first_designs(study: Study, tmp_path: Path) -> None:
    found = run_here(study, tmp_path / "r.db")
    with open_store(tmp_path / "r.db") as store:
        by_label = {r.strategy: store.trials(r.run_id) for r in found.values() if r.replicate == 1}
    first = {label: list(trials["architecture"][:5]) for label, trials in by_label.items()}
    assert first["random"] == first["evolution"]
    values = {label: list(trials["value"][:5]) for label, trials in by_label.items()}
    assert values["random"] == values["evolution"]


def test_adding_and_removing_strategies_changes_no_other_run(study: Study, tmp_path: Path) -> None:
    alone = Study(study.name, study.problems, {"random": "random"}, 3, study.budget)
    full, few = run_here(study, tmp_path / "a.db"), run_here(alone, tmp_path / "b.db")
    for run_id, run in few.items():
        assert_same(run, full[run_id])


def test_a_store_that_holds_the_study_needs_resume(study: Study, tmp_path: Path) -> None:
    run_here(study, tmp_path / "r.db")
    with pytest.raises(StoreError, match="already holds 6 runs of study `fixture`; continue it with `resume=True`"):
        run_here(study, tmp_path / "r.db")
    assert len(run_here(study, tmp_path / "r.db", resume=True)) == 6


def test_resume_runs_only_missing_runs(study: Study, tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    before = run_here(study, store, only="random")
    assert {r.strategy for r in before.values()} == {"random"}
    seen: list[str] = []

    class Watching(Silent):
        def started(self, spec: Any) -> None:
            seen.append(spec.contestant.label)

    after = run_here(study, store, resume=True, observer=Watching())
    assert seen == ["evolution"] * 3
    for run_id, run in before.items():
        assert after[run_id].finished == run.finished  # untouched
    more = {c.label: c.strategy for c in study.strategies} | {"ls": "local-search"}
    grown = Study(study.name, study.problems, more, 4, study.budget)
    assert len(run_here(grown, store, resume=True)) == 12


def test_nothing_that_was_declared_leaves_a_study_with_results(study: Study, tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    run_here(study, store)
    strategies = {c.label: c.strategy for c in study.strategies}
    problem = study.problems[0]
    for changed, said in (
        ({"seeds": [0, 2]}, "seeds 1"),
        ({"strategies": {"random": "random"}}, "strategy `evolution`"),
        ({"strategies": strategies | {"evolution": "local-search"}}, "strategy `evolution` as it was"),
        ({"problems": replace(problem, label="other")}, "problem `cells`"),
    ):
        plain = {"name": study.name, "problems": problem, "strategies": strategies, "seeds": 3, "budget": study.budget}
        with pytest.raises(StoreError, match=said):
            run_here(Study(**(plain | changed)), store, resume=True)
    with open_store(store) as opened:
        assert len(opened.revisions(study.name)) == 1


def test_a_declaration_may_change_until_there_is_a_result(study: Study, tmp_path: Path) -> None:
    with open_store(tmp_path / "r.db", write=True) as opened:
        declare(study, plan(study), opened, resume=False)
    fewer = Study(study.name, study.problems, {"random": "random"}, [7], Budget(evaluations=5))
    assert len(run_here(fewer, tmp_path / "r.db")) == 1
    frame = sb.Results(study.name, str(tmp_path / "r.db")).leaderboard()
    assert list(frame["strategy"]) == ["random"]


def test_a_study_cannot_continue_under_another_budget_or_problem(study: Study, tmp_path: Path) -> None:
    run_here(study, tmp_path / "r.db")
    again: dict[str, Any] = {"name": study.name, "strategies": ["random"], "seeds": 3}
    with pytest.raises(StoreError, match="another budget"):
        run_here(Study(problems=study.problems, budget=Budget(evaluations=21), **again), tmp_path / "r.db", resume=True)
    other = replace(study.problems[0], space=Use("nasbench201", channels=3))
    with pytest.raises(StoreError, match="another problem `cells`"):
        run_here(Study(problems=other, budget=study.budget, **again), tmp_path / "r.db", resume=True)


# -- strategies that misbehave -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Misbehaving:
    """Proposes at random, and goes wrong in one way."""

    way: str

    def start(self, scenario: sb.Scenario) -> Any:
        if self.way == "start":
            raise RuntimeError("cannot start")
        return _Misbehaving(self.way, scenario)


class _Misbehaving:
    def __init__(self, way: str, scenario: sb.Scenario) -> None:
        self.way, self.space, self.rng, self.told = way, scenario.space, scenario.seeds.rng("search"), 0

    def ask(self) -> Any:
        if self.way == "ask" and self.told == 3:
            raise RuntimeError("cannot ask")
        if self.way == "nothing":
            return None
        return "rubbish" if self.way == "rubbish" else Proposal(self.space.sample(self.rng))

    def tell(self, trial: Trial) -> None:
        self.told += 1
        if self.way == "tell":
            raise RuntimeError("cannot tell")


@pytest.mark.parametrize(
    ("way", "told", "trials"),
    [
        ("start", "cannot start", 0),
        ("ask", "cannot ask", 3),
        ("tell", "cannot tell", 1),
        ("rubbish", "must return a Proposal", 0),
        ("nothing", "without an architecture to recommend", 0),
    ],
)
def test_a_strategy_that_raises_is_a_failed_run_with_its_traceback(
    problem: Problem, tmp_path: Path, way: str, told: str, trials: int
) -> None:
    study = Study("s", problem, {"bad": Misbehaving(way), "random": "random"}, 1, Budget(evaluations=5))
    found = {r.strategy: r for r in run_here(study, tmp_path / "r.db").values()}
    assert found["bad"].status == "failed"
    assert told in (found["bad"].error or "")
    assert ("Traceback" in (found["bad"].error or "")) == (way != "nothing")
    assert found["bad"].cost.evaluations == trials
    assert found["random"].status == "ok"
    board = sb.Results("s", str(tmp_path / "r.db")).leaderboard().set_index("strategy")
    assert (board.loc["bad", "failed"], board.loc["bad", "n"]) == (1, 0)


def test_a_budget_too_small_for_anything_is_said(training_problem: Problem, tmp_path: Path) -> None:
    study = Study("s", training_problem, ["random"], 1, Budget(macs=10))
    (run,) = run_here(study, tmp_path / "r.db").values()
    assert run.status == "failed"
    assert "macs ≤ 10" in (run.error or "")


# -- infrastructure ------------------------------------------------------------------------------------------------


class Unreliable(LocalExecutor):
    """Loses batches: the first `losses` of them."""

    def __init__(self, losses: int) -> None:
        super().__init__()
        self.losses = losses

    def wait(self, timeout_s: float) -> list[Finished]:
        came = super().wait(timeout_s)
        if came and self.losses > 0:
            self.losses -= 1
            return [Finished(came[0].ticket, Lost("worker killed"))]
        return came


def carried_out(study: Study, store: Path, executor: LocalExecutor) -> dict[str, RunRecord]:
    with open_store(store, write=True) as opened:
        carry_out(study, opened, executor, Silent(), resume=True)
    return records(store, study.name)


def test_a_run_lost_by_the_infrastructure_is_run_again_with_the_same_seed(study: Study, tmp_path: Path) -> None:
    calm, troubled = (carried_out(study, tmp_path / f"{losses}.db", Unreliable(losses)) for losses in (0, 2))
    assert max(run.attempts for run in troubled.values()) > 1
    for run_id, run in calm.items():
        assert_same(run, troubled[run_id])


def test_a_run_lost_three_times_is_recorded_as_lost_and_run_again_on_resume(study: Study, tmp_path: Path) -> None:
    found = carried_out(study, tmp_path / "r.db", Unreliable(10**6))
    assert {run.status for run in found.values()} == {"infra"}
    assert all("worker killed" in (run.error or "") for run in found.values())
    assert {run.status for run in carried_out(study, tmp_path / "r.db", Unreliable(0)).values()} == {"ok"}


class Killed(BaseException):
    """Stands in for the end of the driver."""


class KilledWhileJudging(Unreliable):
    """The driver dies when the first batch of judges is about to run; what was to be searched is written down."""

    def __init__(self, dies: bool, losses: int = 0) -> None:
        super().__init__(losses)
        self.dies = dies
        self.searched: list[str] = []

    def submit(self, role: Any, function: Any, items: Any, *needs: Any) -> int:
        if role == "judge" and self.dies:
            raise Killed
        self.searched += [item.spec.run_id for item in items if role == "search"]
        return super().submit(role, function, items, *needs)


def test_a_search_that_was_finished_when_the_driver_died_is_judged_and_not_run_again(
    study: Study, tmp_path: Path
) -> None:
    calm = run_here(study, tmp_path / "calm.db")
    store = tmp_path / "r.db"
    first, second = KilledWhileJudging(dies=True, losses=2), KilledWhileJudging(dies=False)
    with pytest.raises(Killed):
        carried_out(study, store, first)
    with open_store(store) as opened:
        assert opened.runs(study.name) == []
        waiting = {one.run_id: json.loads(one.result) for one in opened.waiting(study.name)}
    kept = {run_id: result["started"] for run_id, result in waiting.items()}
    assert kept
    assert {result["attempts"] for result in waiting.values()} == {2}
    resumed = carried_out(study, store, second)
    assert not kept.keys() & set(second.searched)
    assert {run_id: resumed[run_id].started for run_id in kept} == kept
    assert {resumed[run_id].attempts for run_id in kept} == {2}  # how often it was started is kept with it
    for run_id, run in calm.items():
        assert_same(run, resumed[run_id])
    with open_store(store) as opened:
        assert opened.waiting(study.name) == []


@dataclass(frozen=True)
class ChangesErrorState:
    """Draws at random, and leaves NumPy's error state changed."""

    def start(self, scenario: Any) -> Any:
        np.seterr(under="print")
        return Random().start(scenario)


def test_global_state_that_a_run_changed_is_said_from_its_record_to_the_leaderboard(
    problem: Problem, tmp_path: Path
) -> None:
    study = Study("s", problem, {"loud": ChangesErrorState(), "random": "random"}, 1, Budget(evaluations=5))
    by_label = {run.strategy: run for run in run_here(study, tmp_path / "r.db").values()}
    assert by_label["random"].notes == ()
    (note,) = by_label["loud"].notes
    assert note.startswith("changed global state")
    results = sb.Results("s", str(tmp_path / "r.db"))
    assert list(results.runs().set_index("strategy")["notes"][["loud", "random"]]) == [note, ""]
    with open_store(tmp_path / "r.db") as opened:
        dossier = read(opened, "s")
    for form in ("rich", "md", "tex", "json"):
        assert "changed global state" in " ".join(render(dossier.board, form, width=400).split())
    assert "changed global state" in dossier.checklists["cells"]["C17"].evidence


@dataclass(frozen=True)
class Poison:
    """Kills whatever worker runs a job of this run in this role."""

    run_id: str
    role: str


class Poisoned(LocalExecutor):
    """Loses every batch that holds poison, and writes down what was submitted."""

    def __init__(self, poison: Poison) -> None:
        super().__init__()
        self.poison = poison
        self.batches: list[tuple[str, list[str]]] = []
        self.lost: set[int] = set()

    def submit(self, role: Any, function: Any, items: Any, *needs: Any) -> int:
        ticket = super().submit(role, function, items, *needs)
        ids = [item.spec.run_id for item in items]
        self.batches.append((role, ids))
        if role == self.poison.role and self.poison.run_id in ids:
            self.lost.add(ticket)
        return ticket

    def wait(self, timeout_s: float) -> list[Finished]:
        return [Finished(f.ticket, Lost("killed")) if f.ticket in self.lost else f for f in super().wait(timeout_s)]


@pytest.mark.parametrize("role", ["search", "judge"])
def test_a_lost_batch_is_started_again_run_by_run_and_what_kills_its_worker_thrice_is_given_up(
    study: Study, tmp_path: Path, role: str
) -> None:
    many = Study("many", study.problems, {"random": "random"}, 16, Budget(evaluations=3))
    ids = [run.run_id for run in plan(many).runs]
    executor = Poisoned(Poison(ids[8], role))
    found = carried_out(many, tmp_path / "r.db", executor)
    batches = [batch for kind, batch in executor.batches if kind == role]
    first = next(batch for batch in batches if ids[8] in batch)
    assert len(first) > 1
    for run_id in first:
        again = [batch for batch in batches if run_id in batch][1:]
        assert again == [[run_id]] * (2 if run_id == ids[8] else 1)
        assert found[run_id].attempts == (3 if run_id == ids[8] else 2)
    assert all(found[run_id].attempts == 1 for run_id in ids if run_id not in first)
    assert {run_id for run_id in ids if found[run_id].status != "ok"} == {ids[8]}
    given_up = found[ids[8]]
    assert (given_up.status, given_up.cost.evaluations) == ("infra", 0 if role == "search" else 3)


def test_resume_runs_neither_what_succeeded_nor_what_failed_again(problem: Problem, tmp_path: Path) -> None:
    study = Study("s", problem, {"bad": Misbehaving("ask"), "random": "random"}, 2, Budget(evaluations=5))
    before = run_here(study, tmp_path / "r.db")
    assert [run.status for run in before.values() if run.strategy == "bad"] == ["failed"] * 2
    seen: list[Any] = []

    class Watching(Silent):
        def started(self, spec: Any) -> None:
            seen.append(spec)

    after = run_here(study, tmp_path / "r.db", resume=True, observer=Watching())
    assert seen == []
    assert {i: r.finished for i, r in after.items()} == {i: r.finished for i, r in before.items()}


def test_a_study_cannot_continue_under_another_policy_for_duplicates(study: Study, tmp_path: Path) -> None:
    run_here(study, tmp_path / "r.db", only="random")
    other = replace(study, duplicates="cache" if study.duplicates == "charge" else "charge")
    with pytest.raises(StoreError, match="another duplicates"):
        run_here(other, tmp_path / "r.db", resume=True)


# -- verify --------------------------------------------------------------------------------------------------------


def test_verify_finds_recorded_runs_bit_identical(study: Study, tmp_path: Path) -> None:
    run_here(study, tmp_path / "r.db")
    verdicts = verify(tmp_path / "r.db", count=6, workers=0)
    assert [str(v).rpartition(": ")[2] for v in verdicts] == ["bit-identical"] * 6


@pytest.fixture
def tampered(study: Study, tmp_path: Path) -> Callable[[str, str], Path]:
    """A store whose recorded runs were changed after the fact."""

    def make(column: str, expression: str) -> Path:
        import sqlite3

        run_here(study, tmp_path / "r.db")
        with sqlite3.connect(tmp_path / "r.db") as connection:
            connection.execute(f"UPDATE runs SET {column} = {expression}")
        return tmp_path / "r.db"

    return make


def test_verify_reruns_the_runs_that_are_named_and_does_not_count_them_as_a_draw(study: Study, tmp_path: Path) -> None:
    run_here(study, tmp_path / "r.db")
    with open_store(tmp_path / "r.db") as store:
        chosen = store.run_ids(study.name)[2]
    (verdict,) = verify(tmp_path / "r.db", runs=[chosen], workers=0)
    assert verdict.identical
    with open_store(tmp_path / "r.db") as store:
        assert store.checks(study.name) == []
    with pytest.raises(InputError, match="no run `another` of study"):
        verify(tmp_path / "r.db", runs=["another"], workers=0)


def test_verify_names_what_differs(tampered: Callable[[str, str], Path]) -> None:
    verdicts = verify(tampered("test_error", "test_error + 0.001"), count=2, workers=0)
    assert not any(v.identical for v in verdicts)
    assert "test error differs" in str(verdicts[0])


def test_verify_names_the_first_trial_that_differs(study: Study, tmp_path: Path) -> None:
    import sqlite3

    found = run_here(study, tmp_path / "r.db")
    ids = sorted(found, key=lambda i: found[i].strategy)
    blobs = {run_id: found[run_id].trials for run_id in ids}
    with sqlite3.connect(tmp_path / "r.db") as connection:
        rows = dict(connection.execute("SELECT run_id, id FROM runs").fetchall())
        connection.execute("UPDATE recordings SET trials = ? WHERE run = ?", (blobs[ids[0]], rows[ids[-1]]))
    told = [str(v) for v in verify(tmp_path / "r.db", count=6, workers=0)]
    assert sum("bit-identical" in t for t in told) == 5
    assert sum("first difference in trial " in t for t in told) == 1


def test_training_runs_are_deterministic_too(training_problem: Problem, tmp_path: Path) -> None:
    study = Study("t", training_problem, ["random"], [7], Budget(evaluations=2))
    run_here(study, tmp_path / "r.db")
    assert all(v.identical for v in verify(tmp_path / "r.db", workers=0))
    with open_store(tmp_path / "r.db") as store:
        (run,) = store.runs("t")
    assert np.isfinite(run.test_error)
    assert run.test_metrics["params"] > 0
    assert run.cost.macs > 0
