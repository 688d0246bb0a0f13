"""Carrying out a study: declare it, run what is missing, judge what comes back, write every finished run down.

The driver is the only writer of the store. It writes finished searches down before they are judged, and one transaction
per finished run; killed at any moment, it loses the searches in flight and nothing else, and a later call runs exactly
those again, and judges what waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from searchbench.harness.declared.plan import Role, RunSpec, plan
from searchbench.harness.declared.study import Study
from searchbench.harness.driving.awaiting import from_waiting, to_waiting
from searchbench.harness.driving.batches import RunBatches
from searchbench.harness.driving.declaration import declare
from searchbench.harness.driving.jobs import judge, judge_job, search, search_job
from searchbench.harness.driving.placing import check_placing, needs
from searchbench.harness.driving.progress import Observer
from searchbench.harness.driving.rescue import Writing
from searchbench.harness.executors.executor import Executor, Finished, Lost
from searchbench.harness.running.audit import audited
from searchbench.harness.running.checkpoint import Checkpoints
from searchbench.harness.running.entries import DONE, entry, unrecorded
from searchbench.results.records import RunRecord, SearchResult, timestamp
from searchbench.results.store import ResultStore
from searchbench.trial import Outcome

ATTEMPTS = 3
"""How often a run is started before it is recorded as lost by the infrastructure."""


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
    # before anything is declared: what can never run must not leave a study behind
    check_placing(planned.runs, executor, study.resources.nodes)
    declare(study, planned, store, resume=resume or retry_failed)
    # without their trials, which a driver never reads: its memory stays that of the plan
    known = {run.run_id: run for run in store.runs(study.name, recordings=False)}
    again = {run_id for run_id, run in known.items() if retry_failed and run.status in DONE and not run.judged}
    done = {run_id for run_id, run in known.items() if run.status in DONE} - again
    observer.planned(planned, sum(r.run_id in done for r in planned.runs))
    missing = [r for r in planned.runs if r.run_id not in done and only in (None, r.contestant.label)]
    checkpoints = Checkpoints.of_study(study, store)
    writing = Writing(store, study.name, store.revisions(study.name))
    campaign = _Campaign(writing, executor, observer, deque(missing), RunBatches(executor.slots), known, checkpoints)
    campaign.take_up()
    checkpoints.check(campaign.searches)
    return campaign.run()


@dataclass(slots=True)
class _Campaign:
    """The driver's loop: what waits, what is out, what has come back."""

    writing: Writing
    executor: Executor
    observer: Observer
    searches: deque[RunSpec]
    batches: RunBatches
    known: dict[str, RunRecord]
    """What was recorded before of runs that are run again, and of the others."""
    checkpoints: Checkpoints
    judges: deque[tuple[RunSpec, SearchResult]] = field(default_factory=deque)
    """Searches that ended well, and await their verdict."""
    out: dict[int, tuple[Role, list[Any]]] = field(default_factory=dict)
    """By ticket, what a worker has been given: specs of searches, or pairs as in `judges`."""
    attempts: dict[str, int] = field(default_factory=dict)
    """How often each run that was lost has been started."""
    recorded: int = 0

    def run(self) -> int:
        while self.searches or self.judges or self.out:
            self._submit()
            for finished in self.executor.wait(timeout_s=0.5):  # now and then, so that the display moves
                self._collect(finished)
            self.observer.tick()
        self.writing.write(ResultStore.check_stands)  # it may have gone since the last commit
        self.checkpoints.close()
        if self.writing.refused is not None:
            raise self.writing.refused
        return self.recorded

    def take_up(self) -> None:
        """Judge what waits for it since an earlier driver died; no finished search is run again."""
        studies = {spec.study for spec in self.searches}
        kept = {one.run_id: from_waiting(one) for study in studies for one in self.writing.store.waiting(study)}
        unsearched: deque[RunSpec] = deque()
        for spec in self.searches:
            if (found := kept.get(spec.run_id)) is not None:
                self.judges.append((spec, found[0]))
                self.attempts[spec.run_id] = found[1]
            elif (before := self.known.get(spec.run_id)) is not None and before.ok and before.architecture:
                # its judge has failed: the search stands as it was recorded
                self.judges.append((spec, self.writing.store.run(spec.run_id).search))
            else:
                unsearched.append(spec)
        self.searches = unsearched

    def _submit(self) -> None:
        """Keep every worker busy and one batch waiting for each, so that none idles while the driver writes."""
        # twice: while the driver writes what came back, the next batch is already there
        while len(self.out) < 2 * self.executor.slots and (self.judges or self.searches):
            if self.judges:  # first: a run is safe only once it is judged and recorded
                pairs = self.batches.take("judge", self.judges, lambda pair: pair[0], partial(needs, "judge"))
                jobs: list[Any] = [
                    judge_job(spec, found.architecture or "", self.checkpoints.of(spec, "judge"))
                    for spec, found in pairs
                ]
                self.out[self.executor.submit("judge", judge, jobs, needs("judge", pairs[0][0]))] = ("judge", pairs)
            else:
                specs = self.batches.take("search", self.searches, lambda spec: spec, partial(needs, "search"))
                jobs = [search_job(spec, self.checkpoints.of(spec), shared=self.executor.shared) for spec in specs]
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
        # one transaction for the whole batch: over a table, to commit costs more than to search
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
        self._write(lambda store: store.add_waiting(study, kept))
        for spec, _ in searched:
            self.checkpoints.remove(spec)
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
        record = entry(spec, result, outcome, self._attempts(spec), self.known.get(spec.run_id))
        self._write(lambda store: store.add_run(record))
        if record.status in DONE:
            self.checkpoints.remove(spec, "search" if outcome is None else "judge")
        self.recorded += 1
        self.observer.finished(spec, record)

    def _attempts(self, spec: RunSpec) -> int:
        return min(self.attempts.get(spec.run_id, 1), ATTEMPTS)

    def _write(self, write: Callable[[ResultStore], None]) -> None:
        self.writing.write(write)
        if self.writing.refused is not None:
            self.searches.clear()
