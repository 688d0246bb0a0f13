"""Running a study from Python, and what it gives back."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from searchbench.errors import InputError, StudyError
from searchbench.estimators.estimator import Reading
from searchbench.harness.declared.objective import Objective
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.study import Study
from searchbench.harness.declared.tuning import check_fresh
from searchbench.harness.driving.campaign import carry_out
from searchbench.harness.driving.interrupts import interruptible
from searchbench.harness.driving.progress import Observer, SeveralObservers, Silent, shown_here
from searchbench.harness.executors.executor import Executor
from searchbench.harness.processes.forked import call
from searchbench.harness.results import Results
from searchbench.results.store import open_store
from searchbench.seeds import Seeds


def run(
    study: Study,
    store: str | Path | None = None,
    *,
    workers: int | None = None,
    ray_address: str | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    only: str | None = None,
    observer: Observer | None = None,
    observers: Sequence[Observer] = (),
    progress: bool = True,
) -> Results:
    """Run a study and judge what it finds.

    Args:
        study: what to run.
        store: a path or SQLAlchemy URL; None keeps the results in a temporary file.
        workers: processes at a time; None takes every core, 0 runs everything in this process (for debugging).
        ray_address: a Ray cluster to join instead of starting one here.
        resume: complete what the store already holds of this study.
        retry_failed: complete it, and run again what failed, ran out of time or memory, or could not be judged. What
            failed is kept; the later result counts, and says so.
        only: run the strategy of this label alone.
        observer: told of progress, instead of its being shown.
        observers: told of it besides: trackers (`searchbench.integrations`). One that fails is told no more.
        progress: whether it is shown, on the standard error: live in a terminal, in place in a notebook, a line for
            each run elsewhere.

    Raises:
        InputError: the study or the store is not usable; nothing has been changed.
    """
    if store is None:
        store = Path(tempfile.mkdtemp(prefix="searchbench-")) / "results.db"
    study.check_label(only)
    study.spec()  # whatever the user wrote wrong is said before a store or Ray is touched
    plan(study)
    for label, own in study.tuning:
        check_fresh(label, own, study)
    if study.checkpoints is not None:
        study.checkpoints.check()
    if workers != 0 or study.limits:
        _check_travels(study)
    if not (resume or retry_failed):
        _try_out(study)
    shown: AbstractContextManager[Observer] = shown_here(workers)
    if observer is not None or not progress:
        shown = nullcontext(observer or Silent())
    with open_store(store, write=True) as opened, executor(workers, ray_address) as chosen, shown as told:
        heard = SeveralObservers(told, observers) if observers else told
        carry_out(study, opened, chosen, heard, resume=resume, retry_failed=retry_failed, only=only)
    return Results(study.name, str(store))


def _check_travels(study: Study) -> None:
    """Raise StudyError where a part that was given as an object cannot be sent to another process."""
    import cloudpickle

    parts = [(f"strategy `{contestant.label}`", contestant) for contestant in study.strategies]
    for what, part in [*parts, *((f"problem `{problem.name}`", problem) for problem in study.problems)]:
        try:
            cloudpickle.dumps(part)
        except Exception as error:  # whatever its own reducers raise
            told = f"{what} cannot be sent to another process: {type(error).__name__}: {error}."
            way = "Make what cannot be pickled (an open file, a lock, a generator) where it is used"
            raise StudyError(
                f"{told} {way}, or run with `workers=0` and without limits.",
                command=f"{told} {way}, or run with --workers 0 and without limits.",
            ) from error


def _try_out(study: Study) -> None:
    """Ask every objective once and read every file, so that a broken one is told at once. Raises InputError.

    Within the limits of an evaluation: one that goes over them is no broken function, but a trial that will fail.
    """
    seeds = Seeds(study.name, study.seeds[0])
    for problem in study.problems:
        if not isinstance(problem, Objective):
            resolved = problem.resolve()
            for part in (resolved.estimator, resolved.judge):
                if isinstance(part, Reading):
                    part.try_out(resolved.space, resolved.task)
            continue
        if not study.limits.of_evaluations:
            problem.try_out(seeds)
            continue
        tried = partial(problem.try_out, seeds)
        limits = study.limits
        ended = call(tried, seconds=limits.evaluation_s or math.inf, memory_bytes=limits.memory_bytes)
        if ended.end == "raised" and isinstance(ended.value, InputError):
            raise ended.value


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
