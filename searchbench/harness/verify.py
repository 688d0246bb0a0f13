"""Rerunning runs drawn at random and comparing them with the store, trial by trial."""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchbench.cost import DETERMINISTIC_AXES
from searchbench.errors import InputError, StoreError
from searchbench.harness.declared.plan import Role, RunSpec, plan
from searchbench.harness.declared.trust import recorded_study
from searchbench.harness.driving.jobs import judge, judge_job, search, search_job
from searchbench.harness.executors.executor import Executor, Lost
from searchbench.harness.session import executor
from searchbench.results.columns import first_difference
from searchbench.results.records import CheckRecord, RunRecord, SearchResult, timestamp
from searchbench.results.store import open_store
from searchbench.trial import Outcome


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether one rerun gave the recorded run again."""

    run: str
    """The run, in words."""
    difference: str | None
    """The first thing that differs, or None."""

    @property
    def identical(self) -> bool:
        return self.difference is None

    def __str__(self) -> str:
        return f"{self.run}: {self.difference or 'bit-identical'}"


def verify(
    store: str | Path,
    study: str | None = None,
    count: int = 3,
    *,
    draw: int | None = None,
    runs: Sequence[str] = (),
    workers: int | None = None,
    ray_address: str | None = None,
    trust: bool = False,
) -> list[Verification]:
    """Rerun `count` recorded runs of a study and compare; what came of it is recorded, where the store can be written.

    Of runs that were named, only those that differ are recorded: what was picked by hand vouches for no others.

    Args:
        store: path or URL.
        study: its name; None takes the one declared last.
        count: how many runs; all of them where there are fewer.
        draw: seed of the draw; None draws afresh every time.
        runs: ids of the runs to rerun, instead of a draw.
        workers, ray_address: as for `run`.
        trust: whether strategies, problems and functions that the store names may be imported, and its commands run,
            where they are not the package's own.

    Raises:
        InputError: there is no such store, study or run, it has no finished run, or it names code that is not
            trusted.
    """
    with open_store(store) as opened:
        record = opened.study(study)
        recorded = {run.run_id: run for run in opened.runs(record.name) if run.status != "infra"}
    planned = {spec.run_id: spec for spec in plan(recorded_study(record.declared, trust=trust)).runs}
    known = sorted(recorded.keys() & planned.keys())
    if not known:
        raise InputError(
            f"study `{record.name}` has no finished run that this version of the package could rerun: "
            "its strategies or problems are described differently now, or nothing has finished yet."
        )
    if lacking := [run for run in runs if run not in known]:
        raise InputError(
            f"no run `{lacking[0]}` of study `{record.name}` can be rerun; runs.csv of its report lists them."
        )
    drawn = list(runs) or random.Random(secrets.randbits(64) if draw is None else draw).sample(
        known, min(count, len(known))
    )
    with executor(workers, ray_address) as chosen:
        verdicts = _rerun([planned[run_id] for run_id in drawn], [recorded[run_id] for run_id in drawn], chosen)
    recorded_too = [verdict for verdict in verdicts if not (runs and verdict.identical)]
    with suppress(StoreError):  # of another's, or being written: the verdicts stand all the same
        if recorded_too:
            _record(store, record.name, recorded_too, len(known))
    return verdicts


def _record(store: str | Path, study: str, verdicts: Sequence[Verification], of: int) -> None:
    differing = [verdict for verdict in verdicts if not verdict.identical]
    said = f"{len(verdicts) - len(differing)} of {len(verdicts)} reruns bit-identical, drawn from {of}"
    if differing:
        said += f"; {differing[0]}"
    now = timestamp()
    with open_store(store, write=True) as opened:
        opened.add_check(CheckRecord(study, "rerun", not differing, said, now))


def _rerun(specs: Sequence[RunSpec], records: Sequence[RunRecord], chosen: Executor) -> list[Verification]:
    searched = _each(chosen, "search", search, [search_job(spec, None, shared=chosen.shared) for spec in specs])
    judged = [i for i, result in enumerate(searched) if isinstance(result, SearchResult) and result.status == "ok"]
    jobs = [judge_job(specs[i], searched[i].architecture) for i in judged]
    outcomes = dict(zip(judged, _each(chosen, "judge", judge, jobs), strict=True))
    return [
        Verification(str(spec), _difference(record, searched[i], outcomes.get(i)))
        for i, (spec, record) in enumerate(zip(specs, records, strict=True))
    ]


def _each(chosen: Executor, role: Role, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Every item as a batch of its own; a lost one comes back as `Lost`."""
    tickets = [chosen.submit(role, function, [item]) for item in items]
    came: dict[int, Any] = {}
    while len(came) < len(tickets):
        for finished in chosen.wait(timeout_s=1.0):
            came[finished.ticket] = finished.results if isinstance(finished.results, Lost) else finished.results[0]
    return [came[ticket] for ticket in tickets]


def _difference(record: RunRecord, result: SearchResult | Lost, outcome: Outcome | Lost | None) -> str | None:
    if isinstance(result, Lost) or isinstance(outcome, Lost):
        lost = result if isinstance(result, Lost) else outcome
        return f"the rerun was lost: {lost.reason}" if isinstance(lost, Lost) else None
    differs = first_difference(record.trials, result.trials)
    if differs is not None:
        values = f"{differs.left!r} recorded, {differs.right!r} now"
        return f"first difference in trial {differs.trial}, {differs.column}: {values}"
    differs = first_difference(record.traces or b"", result.traces or b"")
    if differs is not None:
        values = f"{differs.left!r} recorded, {differs.right!r} now"
        return f"all trials agree, but line {differs.trial} of the log differs, {differs.column}: {values}"
    pairs: list[tuple[str, Any, Any]] = [
        ("status", record.status, result.status),
        ("architecture handed over", record.architecture, result.architecture),
        *((f"spent {axis}", getattr(record.cost, axis), getattr(result.cost, axis)) for axis in DETERMINISTIC_AXES),
    ]
    if outcome is not None:
        pairs.append(("test error", record.test_error, outcome.test_error))
    for what, before, now in pairs:
        if before != now and not _both_nan(before, now):
            return f"all trials agree, but {what} differs: {before!r} recorded, {now!r} now"
    return None


def _both_nan(a: Any, b: Any) -> bool:
    return isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
