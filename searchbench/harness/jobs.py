"""The jobs a campaign gives to workers: plain values, and the two functions that carry them out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from searchbench.harness.checkpoint import Checkpoint
from searchbench.harness.plan import RunSpec
from searchbench.harness.run import SearchResult, run_judge, run_search
from searchbench.trial import Outcome


@dataclass(frozen=True, slots=True)
class SearchJob:
    """A search to run, and where its checkpoint lies ("" for none)."""

    spec: RunSpec
    checkpoint: str


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """An architecture to judge."""

    spec: RunSpec
    architecture: str


def search(job: SearchJob) -> SearchResult:
    """Run a search, in a worker."""
    return run_search(job.spec, Checkpoint(Path(job.checkpoint)) if job.checkpoint else None)


def judge(job: JudgeJob) -> Outcome:
    """Judge what a search recommends, in a worker."""
    return run_judge(job.spec, job.architecture)
