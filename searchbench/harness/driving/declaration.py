"""Declaring a study in a store: what may be added to an earlier declaration of the same name, and what may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from searchbench.errors import StoreError
from searchbench.harness.declared.components import canonical_json
from searchbench.harness.declared.plan import Plan
from searchbench.harness.declared.study import Study
from searchbench.harness.running.provenance import provenance
from searchbench.results.history import UNLIKE, missing
from searchbench.results.records import StudyRecord, timestamp
from searchbench.results.store import ResultStore


def declare(study: Study, planned: Plan, store: ResultStore, *, resume: bool) -> None:
    """Record the study in the store.

    Once a run is recorded, a study of the same name may only grow: seeds, strategies, problems and looks are added in a
    new revision of its declaration, and what was declared stays. The comparison may be changed; what is said of the
    results is exploratory from then on. Other versions of the packages that decide results are a new revision too.

    Raises:
        StoreError: the store holds runs of it and `resume` is not set, or it was declared with something that is
            missing or different now.
    """
    spec = study.spec()
    for entry in spec["problems"]:
        entry["metric"] = planned.metrics[entry["label"]].to_spec()
    spec |= {
        "planned": [
            {"run_id": r.run_id, "strategy": r.contestant.label, "problem": r.problem.name, "replicate": r.replicate}
            for r in planned.runs
        ],
        "skipped": [{"strategy": s.strategy, "problem": s.problem, "reason": s.reason} for s in planned.skipped],
    }
    store.claim(study.name)
    revisions = store.revisions(study.name)
    recorded = len(store.run_ids(study.name)) if revisions else 0
    if recorded:
        _check_continues(revisions[-1].declared, spec, store)
        if not resume:
            held = f"the store `{store.location.shown}` already holds {recorded} runs of study `{study.name}`"
            raise StoreError(
                f"{held}; continue it with `resume=True`, or give another `store`.",
                command=f"{held}; continue it with --resume, or name another store with --store.",
            )
    text, made_with = canonical_json(spec), provenance()
    # results of other versions are told apart by the declaration under which they came
    known = [(revision.spec, revision.provenance.get("packages")) for revision in revisions[-1:]]
    if known != [(text, made_with["packages"])]:
        now = timestamp()  # told from results of the same second
        store.add_study(StudyRecord(study.name, text, now, len(revisions) + 1, made_with))


def _check_continues(before: Mapping[str, Any], now: Mapping[str, Any], store: ResultStore) -> None:
    """Refuse a declaration that leaves out, or has otherwise, what stood when there were results."""
    where = f"the store `{store.location.shown}` holds study `{now['name']}`"
    changed = [key for key in UNLIKE if before.get(key) != now[key]]
    known = {p["label"]: p["fingerprint"] for p in before.get("problems", [])}
    own = {p["label"]: p["fingerprint"] for p in now["problems"]}
    changed += [f"problem `{label}`" for label in known.keys() & own.keys() if known[label] != own[label]]
    if changed:
        told = f"{where} with another {' and '.join(changed)}; results under both would not be comparable."
        way = "Give the study another `name`, or use another"
        raise StoreError(f"{told} {way} `store`.", command=f"{told} {way} --store.")
    if gone := missing(before, now):
        told = (
            f"{where} with results under {'; '.join(gone)}, which this declaration has not. Once there are results, "
            "seeds, strategies and problems may only be added, so that nothing that was run leaves the ranking: put "
            "them back"
        )
        way = "runs a part; a strategy with other settings takes another `label`), or give the study another `name`."
        raise StoreError(f"{told} (`only=` {way}", command=f"{told} (`--only` {way}")
