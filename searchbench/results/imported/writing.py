"""Finished results written into a store as a study: marked as imported everywhere, never as measured here."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchbench.cost import Cost
from searchbench.errors import InputError, StoreError, did_you_mean
from searchbench.metric import Metric
from searchbench.results.columns import TrialColumns
from searchbench.results.imported.finished import FinishedRun
from searchbench.results.records import RunRecord, StudyRecord, timestamp
from searchbench.results.store import ResultStore
from searchbench.trial import Fidelity

CAVEAT = "not recorded here: budget, seeds, splits and failures are as their source says"
BY_VALIDATION = "ranked by the best value that the searches themselves saw; nothing was judged apart"


@dataclass(frozen=True, slots=True)
class Import:
    """What is to be written, and under which name."""

    name: str
    runs: Sequence[FinishedRun]
    metric: Metric
    sources: Mapping[str, str]
    """SHA-256 of every file read, by name."""
    baseline: str | None = None
    reported: Sequence[Mapping[str, Any]] = ()
    comparison: Mapping[str, Any] = field(default_factory=dict)


def write(given: Import, store: ResultStore) -> int:
    """Write an import as a study of its own; returns how many runs it has.

    Raises:
        InputError: there is nothing to write, or no strategy is labelled as the baseline.
        StoreError: the store holds a study of that name.
    """
    if not given.runs:
        said = "there are no runs to import; rows of mean ± std alone stand beside a study"
        raise InputError(f"{said}.", command=f"{said} by --published.")
    labels = list(dict.fromkeys(run.strategy for run in given.runs))
    if given.baseline is not None and given.baseline not in labels:
        raise InputError(f"no strategy is labelled `{given.baseline}`; {did_you_mean(given.baseline, labels)}")
    if store.revisions(given.name):
        said = f"the store `{store.location.shown}` already holds a study `{given.name}`; import under another"
        why = "since what was written is never changed."
        raise StoreError(f"{said} `name`, {why}", command=f"{said} --name, {why}")
    now = timestamp()
    ids = [_digest([given.name, run.strategy, run.task, run.seed]) for run in given.runs]
    spec = _declaration(given, labels, ids)
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    store.add_study(StudyRecord(given.name, text, now, 1, {"imported": dict(given.sources)}))
    for run_id, run in zip(ids, given.runs, strict=True):
        store.add_run(_record(given, run_id, run, now))
    return len(ids)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            found.update(str(file.relative_to(path) if path.is_dir() else file.name).encode())
            found.update(file.read_bytes())
    return found.hexdigest()


def _declaration(given: Import, labels: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:
    tasks = list(dict.fromkeys(run.task for run in given.runs))
    searched = any(run.trials for run in given.runs)
    return {
        "name": given.name,
        "seeds": sorted({run.seed for run in given.runs}),
        "budget": {},
        "duplicates": "charge",
        "metric": given.metric.to_spec(),
        "imported": [CAVEAT, *([BY_VALIDATION] if searched else [])],
        "problems": [
            {"label": task, "fingerprint": _fingerprint(given, task), "task": task, "estimator": "imported"}
            for task in tasks
        ],
        "strategies": [{"label": label, "name": label, "description": _description(label)} for label in labels],
        "comparison": {"baseline": given.baseline, **given.comparison},
        "ablation": None,
        "planned": [
            {"run_id": run_id, "strategy": run.strategy, "problem": run.task, "replicate": run.seed}
            for run_id, run in zip(ids, given.runs, strict=True)
        ],
        "skipped": [],
        "reported": list(given.reported),
    }


def _record(given: Import, run_id: str, run: FinishedRun, now: str) -> RunRecord:
    sign = 1.0 if given.metric.better == "lower" else -1.0
    columns, best = _columns(run, sign)
    spent = Cost(evaluations=len(run.trials), device_s=run.seconds)
    return RunRecord.flat(
        run_id=run_id,
        study=given.name,
        strategy=run.strategy,
        description=_description(run.strategy),
        problem=run.task,
        fingerprint=_fingerprint(given, run.task),
        budget="{}",
        replicate=run.seed,
        status="failed" if run.failed else "ok",
        ended="error" if run.failed else "finished",
        cost=spent,
        trials=columns,
        started="",
        finished=now,
        error=(run.error or "its score is not a number") if run.failed else None,
        architecture=best,
        architecture_key=best,
        value=sign * run.score if run.trials and not run.failed else math.nan,
        test_status=None if run.failed else "ok",
        test_error=math.nan if run.failed else sign * run.score,
        host="imported",
    )


def _columns(run: FinishedRun, sign: float) -> tuple[bytes, str | None]:
    """The recorded trials, and the configuration that was best."""
    if not run.trials:
        return b"", None
    columns, seconds = TrialColumns(), 0.0
    best, best_at = math.inf, None
    for number, trial in enumerate(run.trials):
        seconds += trial.seconds
        value = math.nan if trial.failed else sign * trial.score
        if value < best:
            best, best_at = value, number
        columns.append(
            trial.configuration,
            trial.configuration,
            Fidelity(),
            "error" if trial.failed else "ok",
            value,
            spent=Cost(evaluations=number + 1, device_s=seconds),
            recommended=best_at,
            error=trial.error,
        )
    return columns.to_bytes(), None if best_at is None else run.trials[best_at].configuration


def _fingerprint(given: Import, task: str) -> str:
    return _digest(["imported", given.name, task, given.metric.to_spec()])


def _description(label: str) -> str:
    return json.dumps({"imported": label}, ensure_ascii=False)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
