"""Running a study from Python, and what it gives back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searchbench.errors import InputError, did_you_mean
from searchbench.harness.campaign import Observer, carry_out
from searchbench.harness.executors.executor import Executor
from searchbench.harness.interrupts import interruptible
from searchbench.harness.objective import Objective
from searchbench.harness.plan import plan
from searchbench.harness.progress import Silent
from searchbench.harness.study import Study
from searchbench.results.store import open_store
from searchbench.seeds import Seeds

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a study, in a store."""

    study: str
    store: str

    def leaderboard(self) -> pd.DataFrame:
        """A row per strategy and problem, best mean test error first."""
        from searchbench.reports.leaderboard import leaderboard

        with open_store(self.store) as store:
            return leaderboard(store, self.study).to_frame()

    def runs(self) -> pd.DataFrame:
        """A row per run."""
        with open_store(self.store) as store:
            return store.frame(self.study)

    def trials(self, run_id: str) -> pd.DataFrame:
        """The trials of one run, a row each."""
        with open_store(self.store) as store:
            return store.trials(run_id)

    def trace(self, run_id: str) -> pd.DataFrame:
        """What one run's search logged about itself, a row a line: an epoch, usually; see `ResultStore.trace`."""
        with open_store(self.store) as store:
            return store.trace(run_id)


def run(
    study: Study,
    store: str | Path | None = None,
    *,
    workers: int | None = None,
    ray_address: str | None = None,
    resume: bool = False,
    only: str | None = None,
    observer: Observer | None = None,
) -> Results:
    """Run a study and judge what it finds.

    Args:
        study: what to run.
        store: a path or SQLAlchemy URL; None keeps the results in a temporary file.
        workers: processes at a time; None takes every core, 0 runs everything in this process (for debugging).
        ray_address: a Ray cluster to join instead of starting one here.
        resume: complete what the store already holds of this study.
        only: run the strategy of this label alone.
        observer: told of progress.

    Raises:
        InputError: the study or the store is not usable; nothing has been changed.
    """
    if store is None:
        store = Path(tempfile.mkdtemp(prefix="searchbench-")) / "results.db"
    labels = [contestant.label for contestant in study.strategies]
    if only is not None and only not in labels:
        raise InputError(f"no strategy of study `{study.name}` is labelled `{only}`; {did_you_mean(only, labels)}")
    study.spec()  # whatever the user wrote wrong is said before a store or Ray is touched
    plan(study)
    if not resume:
        _try_out(study)
    with open_store(store, write=True) as opened, executor(workers, ray_address) as chosen:
        carry_out(study, opened, chosen, observer or Silent(), resume=resume, only=only)
    return Results(study.name, str(store))


def _try_out(study: Study) -> None:
    """Ask every objective once, so that a broken one is told at once. Raises StudyError."""
    for problem in study.problems:
        if isinstance(problem, Objective):
            problem.try_out(Seeds(study.name, study.seeds[0]))


@contextmanager
def executor(workers: int | None, ray_address: str | None = None) -> Iterator[Executor]:
    """An executor for a while: `workers` processes on Ray (None: every core), or this process itself (0)."""
    chosen: Executor
    if workers == 0:
        from searchbench.harness.executors.local import LocalExecutor

        chosen = LocalExecutor()
    else:
        from searchbench.harness.executors.on_ray import RayExecutor

        chosen = RayExecutor(workers, ray_address)
    try:
        with interruptible():
            yield chosen
    finally:
        chosen.close()
