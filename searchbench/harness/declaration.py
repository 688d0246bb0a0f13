"""Declaring a study in a store: what may be added to an earlier declaration of the same name, and what may not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from searchbench.errors import StoreError
from searchbench.harness.components import canonical_json
from searchbench.harness.plan import Plan
from searchbench.harness.provenance import provenance
from searchbench.harness.study import Study
from searchbench.results.records import StudyRecord
from searchbench.results.store import ResultStore


def declare(study: Study, planned: Plan, store: ResultStore, *, resume: bool) -> None:
    """Record the study in the store.

    A study of the same name may grow or shrink by strategies, seeds and comparison (a new revision of its
    declaration); its budget, problems and duplicates policy are what makes its runs comparable and stay.

    Raises:
        StoreError: the store holds runs of it and `resume` is not set, or holds it with another budget or problem.
    """
    spec = study.spec() | {
        "planned": [
            {"run_id": r.run_id, "strategy": r.contestant.label, "problem": r.problem.name, "replicate": r.replicate}
            for r in planned.runs
        ],
        "skipped": [{"strategy": s.strategy, "problem": s.problem, "reason": s.reason} for s in planned.skipped],
    }
    revisions = store.revisions(study.name)
    if revisions:
        _check_continues(study.name, revisions[-1].declared, spec, store)
        recorded = len(store.run_ids(study.name))
        if recorded and not resume:
            raise StoreError(
                f"the store `{store.location.shown}` already holds {recorded} runs of study `{study.name}`; "
                "continue it with --resume, or name another store with --store."
            )
    text = canonical_json(spec)
    if not revisions or revisions[-1].spec != text:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        store.add_study(StudyRecord(study.name, text, now, len(revisions) + 1, provenance()))


def _check_continues(name: str, before: Mapping[str, Any], now: Mapping[str, Any], store: ResultStore) -> None:
    changed = [key for key in ("budget", "duplicates") if before.get(key) != now[key]]
    known = {p["label"]: p["fingerprint"] for p in before.get("problems", [])}
    changed += [
        f"problem `{p['label']}`"
        for p in now["problems"]
        if known.get(p["label"], p["fingerprint"]) != p["fingerprint"]
    ]
    if changed:
        raise StoreError(
            f"the store `{store.location.shown}` holds study `{name}` with another {' and '.join(changed)}; results "
            "under both would not be comparable. Give the study another `name`, or use another --store."
        )
