"""What a study and a finished run are, once they are written down: plain values, nothing of torch, Ray or a space."""

from __future__ import annotations

import json
import marshal
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
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
            declared = self.declared
        except ValueError as error:
            raise StoreError(f"a study's `spec` must be JSON, but {error}.") from None
        if not isinstance(declared, dict):
            raise StoreError(f"a study's `spec` must be a JSON object, but got {type(declared).__name__}.")

    @property
    def declared(self) -> dict[str, Any]:
        """`spec`, read; each time anew, so that whoever asks may change it."""
        declared: dict[str, Any] = marshal.loads(_parsed(self.spec))
        return declared


@lru_cache(maxsize=8)
def _parsed(spec: str) -> bytes:
    """A declaration as the interpreter itself keeps values: that of ten thousand runs is a megabyte of JSON, asked for
    by every table, and read from this in half the time."""
    return marshal.dumps(json.loads(spec))


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """A finished search that awaits its verdict, as the store keeps it."""

    run_id: str
    result: str
    """All of it but its recordings, as JSON."""
    trials: bytes
    traces: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search left behind: its record, and the one architecture that it recommends.

    Raises:
        StoreError: the status is unknown, or the run has no id.
    """

    run_id: str
    """Unique in the store; the same plan gives the same ids."""
    status: RunStatus
    ended: str
    """Why the search ended: "budget", "finished", "stalled" or "error"."""
    cost: Cost
    """What the search had spent at its end."""
    trials: bytes
    """The run's trials (`columns.TrialColumns.to_bytes`); empty where it made none."""
    traces: bytes | None = None
    """The search's own trace (`columns.TraceColumns.to_bytes`), where it kept one."""
    description: str
    """The strategy's canonical description, as it prints."""
    fingerprint: str
    """Of the problem: two results are comparable only where it is equal."""
    architecture: str | None = None
    """What was recommended; None where nothing was."""
    architecture_key: str | None = None
    """Its canonical key."""
    value: float = math.nan
    """The validation value it was chosen by; NaN where the search gave none."""
    error: str | None = None
    """Traceback of what ended it, where something did."""
    started: str
    """When the run began: ISO 8601, UTC."""
    host: str = ""
    """Machine and hardware it ran on."""
    notes: tuple[str, ...] = ()
    """What else is to be known of the run: global state that it changed."""
    handed: int = 0
    """Samples of the task's data that the lab handed to the search; the driver looks at them, the store keeps none."""
    used: int = 0
    """Samples that it was charged for computing on, of those."""

    def __post_init__(self) -> None:
        if not self.run_id:
            raise StoreError("a run's `run_id` must not be empty.")
        if self.status not in RUN_STATUSES:
            raise StoreError(f"a run's `status` must be one of {', '.join(RUN_STATUSES)}, but got {self.status!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One finished run: what was run, what its search left behind, and the judge's verdict on that.

    What stands in `search` is read by its own name too (`run.value`, `run.cost`), as in the store's columns.
    """

    search: SearchResult
    study: str
    """Name of its study."""
    strategy: str
    """The strategy's label in the study."""
    problem: str
    """The problem's label in the study."""
    budget: str
    """The limits as canonical JSON."""
    replicate: int
    """The declared seed."""
    finished: str
    """When it ended, judge included: ISO 8601, UTC."""
    protocol: str = DEFAULT_PROTOCOL
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
    attempts: int = 1
    """How often it was started; above 1 where the infrastructure lost it before, or it failed and was run again."""
    retry: int = 0
    """How many earlier failures of it are kept, after which it was run again on request."""

    @classmethod
    def flat(cls, **values: Any) -> RunRecord:
        """A record from values by the names of the store's columns, those of its search among them.

        Raises:
            StoreError: the status is unknown, or the run has no id.
        """
        of_search, own = _apart(values)
        return cls(search=SearchResult(**of_search), **own)

    def changed(self, **values: Any) -> RunRecord:
        """The record with other values, by the names that `flat` takes."""
        of_search, own = _apart(values)
        return replace(self, search=replace(self.search, **of_search), **own)

    @property
    def ok(self) -> bool:
        """Whether the search ended well (its judging may have failed all the same)."""
        return self.status == "ok"

    @property
    def failure(self) -> str:
        """What kept it from a test value, in one line: of its search, or else of its judging; "" where it has one."""
        if self.judged:
            return ""
        told = self.test_failure if self.ok else self.error
        return in_a_line(told or "") or f"no message ({self.test_status if self.ok else self.status})"

    @property
    def judged(self) -> bool:
        """Whether there is a test value to count: the search ended well and so did the judge."""
        return self.search.status == "ok" and self.test_status == "ok" and math.isfinite(self.test_error)

    # Written out, and not by `__getattr__`, so that a reader's type checker knows them.

    @property
    def run_id(self) -> str:
        return self.search.run_id

    @property
    def status(self) -> RunStatus:
        return self.search.status

    @property
    def ended(self) -> str:
        return self.search.ended

    @property
    def cost(self) -> Cost:
        return self.search.cost

    @property
    def trials(self) -> bytes:
        return self.search.trials

    @property
    def traces(self) -> bytes | None:
        return self.search.traces

    @property
    def description(self) -> str:
        return self.search.description

    @property
    def fingerprint(self) -> str:
        return self.search.fingerprint

    @property
    def architecture(self) -> str | None:
        return self.search.architecture

    @property
    def architecture_key(self) -> str | None:
        return self.search.architecture_key

    @property
    def value(self) -> float:
        return self.search.value

    @property
    def error(self) -> str | None:
        return self.search.error

    @property
    def started(self) -> str:
        return self.search.started

    @property
    def host(self) -> str:
        return self.search.host

    @property
    def notes(self) -> tuple[str, ...]:
        return self.search.notes

    @property
    def handed(self) -> int:
        return self.search.handed

    @property
    def used(self) -> int:
        return self.search.used


_OF_SEARCH = tuple(f.name for f in fields(SearchResult))
_AXES = frozenset(f.name for f in fields(Cost))


def _apart(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values of a search, and those of the run around it."""
    own = dict(values)
    return {name: own.pop(name) for name in _OF_SEARCH if name in own}, own


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


def in_a_line(error: str) -> str:
    """What an error says first: its message, which in a traceback stands behind the frames, before any notes."""
    lines = [line.rstrip() for line in error.strip().splitlines() if line.strip()]
    if not lines or not lines[0].startswith("Traceback"):
        return lines[0] if lines else ""
    framed = max(at for at, line in enumerate(lines) if at == 0 or line.startswith(" "))
    return lines[min(framed + 1, len(lines) - 1)].strip()


def timestamp() -> str:
    """The time as records keep it: ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def cost_to_json(cost: Cost) -> str:
    """Every axis, integers exact (MACs of a long study exceed 64 bits) and floats to the last bit."""
    return json.dumps({f.name: getattr(cost, f.name) for f in fields(cost)})


@lru_cache(maxsize=1024)
def cost_from_json(text: str) -> Cost:
    """The inverse of `cost_to_json`; axes this version does not know are ignored, missing ones are zero."""
    return Cost(**{axis: amount for axis, amount in json.loads(text).items() if axis in _AXES})
