"""Evaluations under way at once that are trained in one graph: the record is a function of the study alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench.errors import Interrupted, StudyError
from searchbench.estimators.from_scratch import FromScratch
from searchbench.harness.declared.plan import RunSpec, plan
from searchbench.harness.running.checkpoint import Checkpoint
from searchbench.harness.running.run import run_search
from searchbench.results.columns import first_difference, read_trials

TINY = sb.Use("nasbench201", channels=4, cells=1, stages=1)


def spec(strategy: Any = "random", evaluations: int = 6, parallel: int | None = 4, **estimator: Any) -> RunSpec:
    train = sb.Use("train", **{"epochs": 1, "subset": 0.3, **estimator})
    problem = sb.Problem(TINY, "digits", train, label="stacked", parallel=parallel)
    return plan(sb.Study("s", problem, [strategy], 1, sb.Budget(evaluations=evaluations))).runs[0]


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks each graph had."""
    sizes: list[int] = []
    real = FromScratch.evaluate_together

    def counted(self: FromScratch, asked: Any) -> Any:
        sizes.append(len(asked))
        return real(self, asked)

    monkeypatch.setattr(FromScratch, "evaluate_together", counted)
    return sizes


def test_what_is_under_way_shares_a_graph_and_gives_what_it_gives_alone(stacks: list[int]) -> None:
    shared = read_trials(run_search(spec(together=4)).trials).to_pylist()
    assert stacks
    assert max(stacks) == 4
    alone = read_trials(run_search(spec()).trials).to_pylist()
    assert [one["architecture"] for one in shared] == [one["architecture"] for one in alone]
    assert [one["spent_macs"] for one in shared] == [one["spent_macs"] for one in alone]
    for one, other in zip(shared, alone, strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=0.02)


def test_no_graph_holds_more_than_is_declared_and_a_rerun_repeats_it(stacks: list[int]) -> None:
    first, second = (run_search(spec(together=3)).trials for _ in range(2))
    assert max(stacks) == 3
    assert first_difference(first, second) is None


def test_only_trainings_that_begin_at_one_fidelity_share_a_graph(stacks: list[int]) -> None:
    found = run_search(spec(sb.Use("asha", eta=2), evaluations=8, epochs=2, together=4))
    events = read_trials(found.trials).to_pylist()
    assert {one["status"] for one in events} == {"ok"}
    assert {one["fidelity_epochs"] for one in events} == {1.0, 2.0}


def test_a_run_that_was_interrupted_forms_the_same_graphs(
    stacks: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, counted = run_search(spec(together=4)).trials, FromScratch.evaluate_together
    assert stacks == [4, 2]

    def interrupted(self: FromScratch, asked: Any) -> Any:
        if len(asked) == 2:
            raise Interrupted("SIGTERM")
        return counted(self, asked)

    monkeypatch.setattr(FromScratch, "evaluate_together", interrupted)
    with pytest.raises(Interrupted):
        run_search(spec(together=4), Checkpoint(tmp_path / "state", b"key", every_s=0.0))
    monkeypatch.setattr(FromScratch, "evaluate_together", counted)
    stacks.clear()
    resumed = run_search(spec(together=4), Checkpoint(tmp_path / "state", b"key", every_s=0.0)).trials
    assert stacks == [2]
    assert first_difference(whole, resumed) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"together": 0}, "`together` must be a positive integer"),
        ({"together": 4, "parallel": None}, "say `parallel = 4`"),
        ({"together": 4, "halvings": 1}, "this one has `halvings`"),
    ],
)
def test_what_cannot_share_a_graph_is_refused_before_anything_runs(given: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        spec(**given)


def test_a_space_whose_networks_do_not_stack_and_limits_are_refused() -> None:
    train = sb.Use("train", epochs=1, together=2)
    darts = sb.Problem(sb.Use("darts", channels=4, cells=3), "digits", train, parallel=2)
    with pytest.raises(StudyError, match="`darts` cannot be trained `together`"):
        plan(sb.Study("s", darts, ["random"], 1, sb.Budget(evaluations=2)))
    stacked = sb.Problem(TINY, "digits", train, parallel=2)
    with pytest.raises(StudyError, match="share a graph"):
        plan(sb.Study("s", stacked, ["random"], 1, sb.Budget(evaluations=2), limits={"evaluation_s": 9}))


def test_a_graph_that_breaks_fails_all_that_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(self: FromScratch, asked: Any) -> Any:
        raise MemoryError("too many networks")

    monkeypatch.setattr(FromScratch, "evaluate_together", breaks)
    trials = read_trials(run_search(spec(together=4)).trials).to_pylist()
    assert {one["status"] for one in trials[:4]} == {"memory"}
    assert trials[0]["spent_macs"] > 0
