"""The jobs a campaign gives to workers, and the two functions that carry them out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from searchbench.harness.declared.plan import RunSpec
from searchbench.harness.driving.sealed import (
    SealedJudge,
    SealedSearch,
    is_built_in,
    judge_apart,
    seal_judge,
    seal_search,
    search_apart,
    without_contestant,
)
from searchbench.harness.processes.global_state import GlobalState
from searchbench.harness.running.checkpoint import Checkpoint
from searchbench.harness.running.run import run_judge, run_search
from searchbench.results.records import SearchResult, timestamp
from searchbench.trial import Outcome


@dataclass(frozen=True, slots=True)
class SearchJob:
    """A search to run in the worker itself, and its checkpoint."""

    spec: RunSpec
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """An architecture to judge in the worker itself."""

    spec: RunSpec
    architecture: str
    checkpoint: Checkpoint | None = None


def search_job(spec: RunSpec, checkpoint: Checkpoint | None, *, shared: bool) -> SearchJob | SealedSearch:
    """The job of a search. A stranger's strategy never runs in a worker that others share, nor anything that may have
    to be killed.

    Args:
        checkpoint: where it leaves its state, and continues from; None keeps none.
        shared: whether runs of several strategies share the processes of workers.
    """
    if spec.limits or (shared and not is_built_in(spec.contestant.strategy)):
        return seal_search(spec, checkpoint, timestamp())
    return SearchJob(spec, checkpoint)


def judge_job(spec: RunSpec, architecture: str, checkpoint: Checkpoint | None = None) -> JudgeJob | SealedJudge:
    """The job of a judgement, without the strategy that it judges.

    Args:
        checkpoint: where a training leaves its state, and continues from; None keeps none.
    """
    if spec.limits:
        return seal_judge(spec, architecture, checkpoint)
    return JudgeJob(without_contestant(spec), architecture, checkpoint)


def search(job: SearchJob | SealedSearch) -> SearchResult:
    """Run a search, in a worker or in a child of its own; global state that it changed is named, and put back."""
    if isinstance(job, SealedSearch):
        return search_apart(job)
    strange = not is_built_in(job.spec.contestant.strategy)  # only in the driver's own process, without workers
    state = GlobalState(classes=strange)
    result = run_search(job.spec, job.checkpoint)
    changed = state.changes()
    if not changed:
        return result
    state.restore()
    return replace(result, notes=(*result.notes, f"changed global state, which was put back: {', '.join(changed)}"))


def judge(job: JudgeJob | SealedJudge) -> Outcome:
    """Judge what a search recommends, in a worker or in a child of its own."""
    if isinstance(job, SealedJudge):
        return judge_apart(job)
    return run_judge(job.spec, job.architecture, job.checkpoint)
