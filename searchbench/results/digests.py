"""What every board asks of a run's recording, read out of it once: when the run is recorded.

It stands beside the recordings, so that a board of ten thousand runs reads none of them; of a run without one, recorded
by an older version, it is read out of the recording then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from searchbench.cost import COST_AXES
from searchbench.results.columns import read_events, read_traces
from searchbench.results.curves import SUMS, floats, incumbent_curves

if TYPE_CHECKING:
    import pyarrow as pa

Stretch = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """What one recording says, in short."""

    stretches: tuple[Stretch, ...] = ()
    """Validation values of the incumbent over each stretch of the run at one fidelity, where they change; what was
    recommended without a value is no incumbent."""
    steps: Mapping[str, float] = field(default_factory=dict)
    """The most that was spent on an axis between two lines of the search's log, where it kept one that says so, or
    between two trials; axes on which nothing was spent are left out."""

    def to_json(self) -> str:
        """The digest as text, to the last bit."""
        return json.dumps([self.stretches, self.steps], separators=(",", ":"))


def digest(trials: bytes, traces: bytes | None) -> Digest:
    """Read a digest out of a run's recordings.

    Raises:
        ValueError: they are unreadable.
    """
    events = read_events(trials)
    return Digest(_stretches(events), _steps(events, traces))


def digests_from_json(texts: Iterable[str]) -> list[Digest]:
    """Digests from their texts, in one go."""
    found = json.loads(f"[{','.join(texts)}]")
    return [Digest(tuple(map(tuple, stretches)), steps) for stretches, steps in found]


def _stretches(events: pa.Table) -> tuple[Stretch, ...]:
    curves = incumbent_curves([events])
    known = ~np.isnan(curves.value)
    value, stretch = curves.value[known], curves.stretch[known]
    parts = np.split(value, np.flatnonzero(np.diff(stretch)) + 1) if len(value) else []
    return tuple(tuple(own[np.diff(own, prepend=np.inf) != 0].tolist()) for own in parts)


def _steps(events: pa.Table, traces: bytes | None) -> dict[str, float]:
    tables = [table for table in (read_traces(traces), events) if table is not None and table.num_rows]
    spent = [
        {axis: floats(table, name) for axis in COST_AXES if (name := f"spent_{axis}") in table.column_names}
        for table in tables
    ]
    parts = {axis: (axis,) for axis in COST_AXES} | SUMS
    found: dict[str, float] = {}
    for axis, own in parts.items():
        along = next((table for table in spent if all(part in table for part in own)), None)
        if along is not None:
            most = float(np.diff(sum(along[part] for part in own), prepend=0.0).max())
            found |= {axis: most} if most > 0 else {}
    return found
