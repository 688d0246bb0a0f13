"""What a run leaves: its search's result, made where it ran, and its entry in the store, made by the driver, which has
planned the run and knows of its parts what a worker that broke could not say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from searchbench.cost import Cost
from searchbench.errors import Interrupted
from searchbench.harness.declared.components import canonical_json
from searchbench.harness.declared.plan import RunSpec
from searchbench.harness.declared.study import strategy_description
from searchbench.harness.running.borders import text
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.provenance import host
from searchbench.results.records import RunRecord, RunStatus, SearchResult, outcome_columns, timestamp
from searchbench.trial import Outcome

DONE: tuple[RunStatus, ...] = ("ok", "failed", "timeout", "memory")
"""Statuses that are results; a run the infrastructure lost is none, and is run again."""


def entry(
    spec: RunSpec, result: SearchResult, outcome: Outcome | None, attempts: int, before: RunRecord | None
) -> RunRecord:
    """The record of a run.

    Args:
        spec: the run.
        result: what its search left behind.
        outcome: the judge's verdict; None where nothing was judged.
        attempts: how often this driver has started it.
        before: what was recorded of it earlier, where it has been run again.
    """
    retry = 0 if before is None else before.retry + (before.status in DONE)
    if retry:
        said = f"run again on request, after {retry} failure{'s' * (retry > 1)}"
        result = replace(result, notes=(*result.notes, said))
    return RunRecord(
        search=_described(spec, result),
        study=spec.study,
        strategy=spec.contestant.label,
        problem=spec.problem.name,
        budget=canonical_json(spec.budget.limits),
        replicate=spec.replicate,
        finished=timestamp(),
        attempts=attempts + (0 if before is None else before.attempts),
        retry=retry,
        **outcome_columns(outcome),
    )


def left_behind(
    spec: RunSpec, lab: MeteredLab, description: str, fingerprint: str, started: str, ended: str, error: str | None
) -> SearchResult:
    """What a search has left behind by now."""
    final, caveat = lab.final, lab.traces.last.get("caveat")
    return SearchResult(
        run_id=spec.run_id,
        status="ok" if error is None else "failed",
        ended=ended,
        cost=lab.spent,
        trials=lab.columns.to_bytes(),
        traces=lab.traces.to_bytes() if len(lab.traces) else None,
        description=description,
        fingerprint=fingerprint,
        architecture=text(str(final.architecture)) if final is not None else None,
        architecture_key=text(final.architecture.key) if final is not None else None,
        value=final.value if final is not None else math.nan,
        error=error,
        started=started,
        host=host(),
        notes=(text(str(caveat)),) if caveat else (),
        handed=lab.supernets.handed,
        used=lab.supernets.used,
    )


def unrecorded(spec: RunSpec, status: RunStatus, error: str, started: str) -> SearchResult:
    """What stands in for a search that left nothing behind: it could not begin, or was lost for good."""
    return SearchResult(
        run_id=spec.run_id,
        status=status,
        ended="error",
        cost=Cost(),
        trials=b"",
        description=_or_nothing(lambda: strategy_description(spec.contestant.make())),
        fingerprint=_or_nothing(lambda: spec.problem.resolve().fingerprint),
        error=error,
        started=started,
    )


def _described(spec: RunSpec, result: SearchResult) -> SearchResult:
    """The result with what its worker could not say of its parts."""
    if result.description and result.fingerprint:
        return result
    description = result.description or strategy_description(spec.contestant.make())
    fingerprint = result.fingerprint or spec.problem.resolve().fingerprint
    return replace(result, description=description, fingerprint=fingerprint)


def _or_nothing(tell: Callable[[], str]) -> str:
    """What a part says of itself; "" where it cannot here: the driver says it when it makes the entry."""
    try:
        return tell()
    except Interrupted:
        raise
    except BaseException:
        return ""
