"""What a study and a finished run are, once they are written down: plain values, nothing of torch, Ray or a space."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from searchbench.cost import Cost
from searchbench.errors import StoreError
from searchbench.trial import Outcome

RunStatus = Literal["ok", "failed", "timeout", "memory", "infra"]
RUN_STATUSES: tuple[RunStatus, ...] = ("ok", "failed", "timeout", "memory", "infra")
DEFAULT_PROTOCOL = "multi_search_one_eval"
"""Every independent search hands over one architecture, which is judged once."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A declared study. A changed declaration is a new revision under the same name; old ones are kept.

    Raises:
        StoreError: the name is empty, the revision is below 1, or `spec` is not a JSON object.
    """

    name: str
    spec: str
    """The declared study as canonical JSON: seeds, budget, problems, strategies, comparison, planned, skipped."""
    created: str
    """When it was declared: ISO 8601, UTC."""
    revision: int = 1
    """1 for the first declaration, one more for each change."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Versions, commit, hardware, data checksums."""

    def __post_init__(self) -> None:
        if not self.name:
            raise StoreError("a study's `name` must not be empty.")
        if self.revision < 1:
            raise StoreError(f"a study's `revision` counts from 1, but got {self.revision!r}.")
        try:
            declared = json.loads(self.spec)
        except ValueError as error:
            raise StoreError(f"a study's `spec` must be JSON, but {error}.") from None
        if not isinstance(declared, dict):
            raise StoreError(f"a study's `spec` must be a JSON object, but got {type(declared).__name__}.")

    @property
    def declared(self) -> dict[str, Any]:
        """`spec`, read."""
        declared: dict[str, Any] = json.loads(self.spec)
        return declared


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """What became of checking a study's results: a rerun of some of them, or a rebuild from an exported bundle."""

    study: str
    kind: Literal["rerun", "rebuild"]
    passed: bool
    said: str
    """What was checked, and the first difference where there is one."""
    made: str
    """When: ISO 8601, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One finished run: what was run, what it spent, what it handed over, and the judge's verdict on that.

    Raises:
        StoreError: the status is unknown, or the run has no id.
    """

    run_id: str
    """Unique in the store; the same plan gives the same ids."""
    study: str
    """Name of its study."""
    strategy: str
    """The strategy's label in the study."""
    description: str
    """The strategy's canonical description, as it prints."""
    problem: str
    """The problem's label in the study."""
    fingerprint: str
    """Of the problem: two results are comparable only where it is equal."""
    budget: str
    """The limits as canonical JSON."""
    replicate: int
    """The declared seed."""
    status: RunStatus
    ended: str
    """Why the search ended: "budget", "finished", "stalled" or "error"."""
    cost: Cost
    """What the search had spent at its end."""
    trials: bytes
    """The run's trials (`columns.TrialColumns.to_bytes`); empty where it made none."""
    started: str
    """When the run began: ISO 8601, UTC."""
    finished: str
    """When it ended, judge included."""
    protocol: str = DEFAULT_PROTOCOL
    error: str | None = None
    """Traceback of what ended it, where something did."""
    traces: bytes | None = None
    """The search's own trace (`columns.TraceColumns.to_bytes`), where it kept one."""
    architecture: str | None = None
    """What was handed over; None where nothing was."""
    architecture_key: str | None = None
    """Its canonical key."""
    value: float = math.nan
    """The validation value it was chosen by; NaN where the search gave none."""
    test_status: str | None = None
    """How judging ended ("ok", "error", "nan", "timeout", "memory"); None where nothing was judged."""
    test_error: float = math.nan
    """The judge's test value, lower is better; NaN where judging failed."""
    test_metrics: Mapping[str, float] = field(default_factory=dict)
    """What else the judge measured: params, macs, …"""
    test_failure: str | None = None
    """Why judging failed."""
    judge_cost: Cost = field(default_factory=Cost)
    """What judging cost; not part of the search's budget."""
    host: str = ""
    """Machine and hardware it ran on."""
    attempts: int = 1
    """How often it was started; above 1 where the infrastructure lost it before."""

    def __post_init__(self) -> None:
        if not self.run_id:
            raise StoreError("a run's `run_id` must not be empty.")
        if self.status not in RUN_STATUSES:
            raise StoreError(f"a run's `status` must be one of {', '.join(RUN_STATUSES)}, but got {self.status!r}.")

    @property
    def ok(self) -> bool:
        """Whether the search ended well (its judging may have failed all the same)."""
        return self.status == "ok"

    @property
    def judged(self) -> bool:
        """Whether there is a test value to count: the search ended well and so did the judge."""
        return self.ok and self.test_status == "ok" and math.isfinite(self.test_error)


def outcome_columns(outcome: Outcome | None) -> dict[str, Any]:
    """A judge's verdict as fields of a `RunRecord`; none where nothing was judged."""
    if outcome is None:
        return {}
    return {
        "test_status": outcome.status,
        "test_error": outcome.test_error,
        "test_metrics": dict(outcome.metrics),
        "test_failure": outcome.error,
        "judge_cost": outcome.cost,
    }


def cost_to_json(cost: Cost) -> str:
    """Every axis, integers exact (MACs of a long study exceed 64 bits) and floats to the last bit."""
    return json.dumps({f.name: getattr(cost, f.name) for f in fields(cost)})


def cost_from_json(text: str) -> Cost:
    """The inverse of `cost_to_json`; axes this version does not know are ignored, missing ones are zero."""
    known = {f.name for f in fields(Cost)}
    return Cost(**{axis: amount for axis, amount in json.loads(text).items() if axis in known})
