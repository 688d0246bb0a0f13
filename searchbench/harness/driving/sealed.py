"""Runs that no other run may feel: jobs that only a child of the clean parent opens.

A strategy that is not built in, and whatever has limits, travels as bytes, so that not even reading it imports a
stranger's module into a worker that others share. What becomes of the child is a value: its result, or a record of how
it ended with the trials that it had made.
"""

from __future__ import annotations

import dataclasses
import math
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from searchbench.errors import CheckpointError, InputError
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.limits import Limits
from searchbench.harness.declared.plan import RunSpec
from searchbench.harness.declared.study import Contestant
from searchbench.harness.driving.zygote import run_apart
from searchbench.harness.processes.forked import Ended, again_if_killed
from searchbench.harness.processes.global_state import GlobalState
from searchbench.harness.running.checkpoint import Checkpoint
from searchbench.harness.running.entries import unrecorded
from searchbench.harness.running.journal import Journal
from searchbench.harness.running.run import run_judge, run_search
from searchbench.registry import Registry
from searchbench.results.records import SearchResult
from searchbench.strategies import STRATEGIES
from searchbench.trial import Outcome

PACKAGE = "searchbench"


@dataclass(frozen=True, slots=True)
class SealedSearch:
    """A search as bytes, the limits of its process, and what stands in for a result where it leaves none."""

    spec: bytes
    checkpoint: Checkpoint | None
    limits: Limits
    empty: SearchResult


@dataclass(frozen=True, slots=True)
class SealedJudge:
    """A judgement as bytes, and the limits of its process."""

    spec: bytes
    architecture: str
    limits: Limits
    checkpoint: Checkpoint | None = None


def seal_search(spec: RunSpec, checkpoint: Checkpoint | None, now: str) -> SealedSearch:
    """Seal a search. `now`: when, ISO 8601."""
    import cloudpickle

    empty = unrecorded(spec, "failed", "", now)
    return SealedSearch(cloudpickle.dumps(spec), checkpoint, spec.limits, empty)


def seal_judge(spec: RunSpec, architecture: str, checkpoint: Checkpoint | None = None) -> SealedJudge:
    """Seal a judgement."""
    import cloudpickle

    return SealedJudge(cloudpickle.dumps(without_contestant(spec)), architecture, spec.limits, checkpoint)


def without_contestant(spec: RunSpec) -> RunSpec:
    """The run as a judge may know it: nobody's strategy is imported where test data is read."""
    return replace(spec, contestant=Contestant(Use("random"), spec.contestant.label))


def search_apart(job: SealedSearch) -> SearchResult:
    """Run a sealed search in a child of the clean parent.

    Raises:
        CheckpointError: its checkpoint is of another version; nothing has run.
    """
    with tempfile.TemporaryDirectory(prefix="searchbench-") as folder:
        journal = Path(folder) / "journal"
        ended = _apart(partial(_search, job.spec, job.checkpoint, str(journal)), job.limits)
        if ended.end == "ok" and isinstance(ended.value, SearchResult):
            return ended.value
        if isinstance(ended.value, CheckpointError):
            raise ended.value
        kept = Journal.read(journal) or job.empty
    status: Any = ended.end if ended.end in ("timeout", "memory") else "failed"
    return replace(kept, status=status, ended="error", error=f"the run was {_how(ended)}.", architecture=None)


def _apart(job: Callable[[], Any], limits: Limits) -> Ended:
    seconds, memory = limits.run_s or math.inf, limits.memory_bytes
    return again_if_killed(lambda: run_apart(job, seconds=seconds, memory_bytes=memory))


def judge_apart(job: SealedJudge) -> Outcome:
    """Judge in a child of the clean parent.

    Raises:
        CheckpointError: its checkpoint is of another version; nothing has run.
    """
    ended = _apart(partial(_judge, job.spec, job.architecture, job.checkpoint), job.limits)
    if ended.end == "ok" and isinstance(ended.value, Outcome):
        return ended.value
    if isinstance(ended.value, CheckpointError):
        raise ended.value
    status: Any = ended.end if ended.end in ("timeout", "memory") else "error"
    return Outcome(status, math.nan, error=f"the judgement was {_how(ended)}.")


def is_built_in(part: Any, registry: Registry = STRATEGIES) -> bool:
    """Whether a part, and whatever it is made of, is the package's own (adapters to libraries are)."""
    if isinstance(part, Use):
        prefix, colon, _ = part.name.partition(":")
        own = part.name in registry.builtin or (bool(colon) and (prefix in registry.adapters or _ours(prefix)))
        return own and all(is_built_in(value, registry) for _, value in part.parameters)
    if isinstance(part, tuple | list):
        return all(is_built_in(value, registry) for value in part)
    if part is None or isinstance(part, bool | int | float | str | bytes):
        return True
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        inside = [getattr(part, field.name) for field in dataclasses.fields(part)]
        return _ours(type(part).__module__) and all(is_built_in(value, registry) for value in inside)
    return _ours(getattr(part, "__module__", None) or type(part).__module__)


def _ours(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE


def _search(spec: bytes, checkpoint: Checkpoint | None, journal: str) -> SearchResult:
    state = GlobalState()
    result = run_search(pickle.loads(spec), checkpoint, Journal(Path(journal)).note)
    changed = state.changes()
    said = [f"changed global state of its own process: {', '.join(changed)}"] if changed else []
    return replace(result, notes=(*result.notes, *said))


def _judge(spec: bytes, architecture: str, checkpoint: Checkpoint | None) -> Outcome:
    return run_judge(pickle.loads(spec), architecture, checkpoint)


def _how(ended: Ended) -> str:
    if ended.end != "raised":
        return ended.message
    said = str(ended.value) if isinstance(ended.value, InputError) else ended.message
    return f"ended by an error outside of its search: {said}"
