"""Carrying out a study: declare it, run what is missing, judge what comes back, write every finished run down.

The driver is the only writer of the store. It writes finished searches down before they are judged, and one transaction
per finished run; killed at any moment, it loses the searches in flight and nothing else, and a later call runs exactly
those again, and judges what waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from searchbench.errors import StoreError, StudyError
from searchbench.harness.audit import audited
from searchbench.harness.awaiting import from_waiting, to_waiting
from searchbench.harness.batches import Batches, needs
from searchbench.harness.checkpoint import Checkpoint
from searchbench.harness.components import canonical_json
from searchbench.harness.declaration import declare
from searchbench.harness.executors.executor import ONE_CPU, Executor, Finished, Lost, Role
from searchbench.harness.jobs import judge, judge_job, search, search_job
from searchbench.harness.plan import RunSpec, plan
from searchbench.harness.progress import Observer
from searchbench.harness.run import unrecorded
from searchbench.harness.study import Study, strategy_description
from searchbench.results.records import RunRecord, SearchResult, StudyRecord, outcome_columns, timestamp
from searchbench.results.store import ResultStore, open_store
from searchbench.trial import Outcome

ATTEMPTS = 3
"""How often a run is started before it is recorded as lost by the infrastructure."""
DONE = ("ok", "failed", "timeout", "memory")
"""Statuses that are results; a run the infrastructure lost is none, and is run again."""


def carry_out(
    study: Study,
    store: ResultStore,
    executor: Executor,
    observer: Observer,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    only: str | None = None,
) -> int:
    """Run what is missing of a study; returns the number of runs recorded.

    Args:
        study: what was asked for.
        store: open for writing.
        executor: where jobs run.
        observer: told of progress.
        resume: whether runs already recorded are to be kept and completed.
        retry_failed: whether runs that failed are run again; what failed is kept, and the later result counts.
        only: run the strategy of this label alone.

    Raises:
        InputError: the study is impossible, or the store holds something else under its name.
    """
    planned = plan(study)
    check_placing(planned.runs, executor)
    declare(study, planned, store, resume=resume or retry_failed)
    known = {run.run_id: run for run in store.runs(study.name, recordings=False)}
    again = {run_id for run_id, run in known.items() if retry_failed and run.status in DONE and not run.judged}
    done = {run_id for run_id, run in known.items() if run.status in DONE} - again
    observer.planned(planned, sum(r.run_id in done for r in planned.runs))
    missing = [r for r in planned.runs if r.run_id not in done and only in (None, r.contestant.label)]
    campaign = _Campaign(
        store, executor, observer, deque(missing), Batches(executor.slots), known, store.revisions(study.name)
    )
    if store.location.path is not None:
        campaign.checkpoints, campaign.key = _checkpoints(store.location.path), store.key()
    campaign.take_up()
    campaign.check_checkpoints()
    return campaign.run()


def check_placing(runs: Iterable[RunSpec], executor: Executor) -> None:
    """Raise StudyError, before anything is declared, where something could never be placed; says what is missing."""
    wanted = {str(one): one for spec in runs for one in (spec.needs, spec.judge_needs) if one != ONE_CPU}
    for one in wanted.values():
        if lacking := executor.lacking(one):
            raise StudyError(
                f"this study can never be placed here: it needs {lacking}; lower `[resources]`, or join a cluster that "
                "has them (`ray_address`)."
            )


def _checkpoints(path: Path) -> Path:
    return path.absolute().with_name(path.name + ".checkpoints")


@dataclass(slots=True)
class _Campaign:
    """The driver's loop: what waits, what is out, what has come back."""

    store: ResultStore
    executor: Executor
    observer: Observer
    searches: deque[RunSpec]
    batches: Batches
    known: dict[str, RunRecord]
    """What was recorded before of runs that are run again, and of the others."""
    declared: list[StudyRecord]
    """The study's declarations, as the store held them when it could be read."""
    checkpoints: Path | None = None
    """The folder of checkpoints; None where there are none, as of a store on a server."""
    key: bytes = b""
    """Of the store, by which checkpoints are signed."""
    judges: deque[tuple[RunSpec, SearchResult]] = field(default_factory=deque)
    """Searches that ended well, and await their verdict."""
    out: dict[int, tuple[Role, list[Any]]] = field(default_factory=dict)
    """By ticket, what a worker has been given: specs of searches, or pairs as in `judges`."""
    attempts: dict[str, int] = field(default_factory=dict)
    """How often each run that was lost has been started."""
    recorded: int = 0
    ended: StoreError | None = None
    """Why nothing more can be written to the store."""

    def run(self) -> int:
        while self.searches or self.judges or self.out:
            self._submit()
            for finished in self.executor.wait(timeout_s=0.5):  # now and then, so that the display moves
                self._collect(finished)
            self.observer.tick()
        self._remove_empty_folder()
        if self.ended is not None:
            raise self.ended
        return self.recorded

    def take_up(self) -> None:
        """Judge what waits for it since an earlier driver died; no finished search is run again."""
        studies = {spec.study for spec in self.searches}
        kept = {one.run_id: from_waiting(one) for study in studies for one in self.store.waiting(study)}
        for spec in list(self.searches):
            if (found := kept.get(spec.run_id)) is not None:
                self.searches.remove(spec)
                self.judges.append((spec, found[0]))
                self.attempts[spec.run_id] = found[1]
            elif (before := self.known.get(spec.run_id)) is not None and before.ok and before.architecture:
                self.searches.remove(spec)  # its judge has failed: the search stands as it was recorded
                self.judges.append((spec, self.store.run(spec.run_id).search))

    def check_checkpoints(self) -> None:
        """Raise CheckpointError, before anything runs, where one of another version waits to be continued."""
        for spec in self.searches if self.checkpoints is not None and self.checkpoints.is_dir() else ():
            if (checkpoint := self._checkpoint(spec)) is not None:
                checkpoint.check()

    def _submit(self) -> None:
        """Keep every worker busy and one batch waiting for each, so that none idles while the driver writes."""
        while len(self.out) < 2 * self.executor.slots and (self.judges or self.searches):
            if self.judges:  # first: a run is safe only once it is judged and recorded
                pairs = self.batches.take("judge", self.judges, lambda pair: pair[0], partial(needs, "judge"))
                jobs: list[Any] = [judge_job(spec, result.architecture or "") for spec, result in pairs]
                self.out[self.executor.submit("judge", judge, jobs, needs("judge", pairs[0][0]))] = ("judge", pairs)
            else:
                specs = self.batches.take("search", self.searches, lambda spec: spec, partial(needs, "search"))
                jobs = [search_job(spec, self._checkpoint(spec), shared=self.executor.shared) for spec in specs]
                self.out[self.executor.submit("search", search, jobs, needs("search", specs[0]))] = ("search", specs)
                for spec in specs:
                    self.observer.started(spec)

    def _collect(self, finished: Finished) -> None:
        role, items = self.out.pop(finished.ticket)
        if isinstance(finished.results, Lost):
            self._lost(role, items, finished.results)
            return
        found = list(zip(items, finished.results, finished.seconds, strict=True))
        for item, _, seconds in found:
            self.batches.timed(role, item if role == "search" else item[0], seconds)
        if role == "judge":
            for (spec, searched), verdict, _ in found:
                self._record(spec, searched, verdict)
            return
        searched = [(spec, audited(spec, result)) for spec, result, _ in found]
        self._keep([(spec, result) for spec, result in searched if result.status == "ok"])
        for spec, result in searched:
            if result.status != "ok":
                self._record(spec, result, None)

    def _keep(self, searched: list[tuple[RunSpec, SearchResult]]) -> None:
        """Store finished searches, then let them be judged: what has been found must not be lost to a slow judge."""
        if not searched:
            return
        study = searched[0][0].study
        kept = [to_waiting(result, self._attempts(spec)) for spec, result in searched]
        self._write(study, lambda store: store.add_waiting(study, kept))
        for spec, _ in searched:
            self._remove_checkpoint(spec)
        self.judges.extend(searched)

    def _lost(self, role: Role, items: list[Any], lost: Lost) -> None:
        """Start every run of the batch again, by itself, with the same seed; give up after `ATTEMPTS`."""
        for item in items:
            spec = item if role == "search" else item[0]
            self.batches.alone.add(spec.run_id)  # one of the batch killed the worker; the others must not pay again
            self.attempts[spec.run_id] = self.attempts.get(spec.run_id, 1) + 1
            if self.attempts[spec.run_id] > ATTEMPTS:
                self._give_up(spec, None if role == "search" else item[1], lost)
            elif role == "search":  # to the front: what is lost for good should show early
                self.searches.appendleft(spec)
            else:
                self.judges.appendleft(item)

    def _give_up(self, spec: RunSpec, searched: SearchResult | None, lost: Lost) -> None:
        """Record a run as lost. One that was lost while it was judged keeps what its search has made."""
        error = f"lost by the infrastructure {ATTEMPTS} times: {lost.reason}"
        left = searched or unrecorded(spec, "infra", error, timestamp())
        self._record(spec, replace(left, status="infra", error=error), None)

    def _record(self, spec: RunSpec, result: SearchResult, outcome: Outcome | None) -> None:
        before = self.known.get(spec.run_id)
        retry = 0 if before is None else before.retry + (before.status in DONE)
        if retry:
            said = f"run again on request, after {retry} failure{'s' * (retry > 1)}"
            result = replace(result, notes=(*result.notes, said))
        record = RunRecord(
            search=_described(spec, result),
            study=spec.study,
            strategy=spec.contestant.label,
            problem=spec.problem.name,
            budget=canonical_json(spec.budget.limits),
            replicate=spec.replicate,
            finished=timestamp(),
            attempts=self._attempts(spec) + (0 if before is None else before.attempts),
            retry=retry,
            **outcome_columns(outcome),
        )
        self._write(spec.study, lambda store: store.add_run(record))
        if record.status in DONE:
            self._remove_checkpoint(spec)
        self.recorded += 1
        self.observer.finished(spec, record)

    def _attempts(self, spec: RunSpec) -> int:
        return min(self.attempts.get(spec.run_id, 1), ATTEMPTS)

    def _write(self, study: str, write: Callable[[ResultStore], None]) -> None:
        try:
            write(self.store)
        except StoreError as refused:
            self._rescue(study, write, refused)

    def _rescue(self, study: str, write: Callable[[ResultStore], None], error: StoreError) -> None:
        """The store cannot be written: what is finished goes into a file beside it, and nothing new is begun.

        Raises:
            StoreError: the store's own error, where nothing can be written beside it either.
        """
        path = self.store.location.path
        if path is None:
            raise error
        place = path.absolute().with_name(f"{path.stem}.rescue.db")
        try:
            with suppress(OSError):
                place.parent.mkdir(parents=True, exist_ok=True)  # the whole folder may have been deleted
            if not place.exists():
                with suppress(StoreError):  # an open file that was deleted can still be read
                    self.store.copy(place)
            with open_store(place, write=True) as rescue:
                if not rescue.revisions(study):
                    for declared in self.declared:
                        rescue.add_study(declared)
                write(rescue)
        except StoreError:
            raise error from None
        self.searches.clear()
        self.ended = StoreError(
            f"{error} What has finished is in `{place}`, a store of its own; `searchbench merge` puts it together with "
            "what is left of the other."
        )

    def _checkpoint(self, spec: RunSpec) -> Checkpoint | None:
        return None if self.checkpoints is None else Checkpoint(self.checkpoints / f"{spec.run_id}.pt", self.key)

    def _remove_checkpoint(self, spec: RunSpec) -> None:
        if (checkpoint := self._checkpoint(spec)) is not None:
            checkpoint.remove()

    def _remove_empty_folder(self) -> None:
        if self.checkpoints is not None and self.checkpoints.is_dir() and not any(self.checkpoints.iterdir()):
            self.checkpoints.rmdir()


def _described(spec: RunSpec, result: SearchResult) -> SearchResult:
    """The result with what its worker could not say of its parts; the driver, which has planned the run, can."""
    if result.description and result.fingerprint:
        return result
    description = result.description or strategy_description(spec.contestant.make())
    fingerprint = result.fingerprint or spec.problem.resolve().fingerprint
    return replace(result, description=description, fingerprint=fingerprint)
