"""Whether what is recorded of a run agrees with itself: its trials, what it says it spent, and what it might spend.

Everything here is read from the record alone, so that it holds whatever a strategy did to the process it ran in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from searchbench.cost import DETERMINISTIC_AXES, Budget, Cost
from searchbench.results.columns import read_events

ROUNDING = 1e-9


def contradictions(
    trials: bytes, cost: Cost, limits: Mapping[str, float], charges: tuple[str, ...] | None = None
) -> Iterator[str]:
    """Say what of a run's record contradicts the rest of it; nothing where all agrees.

    Args:
        trials: its recording.
        cost: its recorded total.
        limits: its budget.
        charges: the axes on which the problem charges every evaluation, where it says so and nothing but its
            evaluations is charged (a table, an objective).

    Raises:
        ValueError: the recording cannot be read.
    """
    events = read_events(trials)
    spent = {axis: events.column(f"spent_{axis}").to_numpy() for axis in DETERMINISTIC_AXES} if len(events) else {}
    for axis, amounts in spent.items():
        falls = np.flatnonzero(np.diff(amounts) < -ROUNDING * np.abs(amounts[:-1]))
        if falls.size:
            yield f"what it had spent of `{axis}` falls after row {falls[0]} of its record"
        if amounts[-1] > getattr(cost, axis) * (1 + ROUNDING):
            yield f"its last row had spent {amounts[-1]:,.10g} of `{axis}`, its total says {getattr(cost, axis):,.10g}"
    if spent and charges is not None:
        yield from _uncharged(events, spent, charges)
    bound = {axis: limit for axis, limit in limits.items() if axis != "seconds"}
    exceeded = Budget(**bound).first_exceeded(cost) if bound else None
    if exceeded is not None:
        yield f"it spent {getattr(cost, exceeded):,.10g} of `{exceeded}`, over its budget of {limits[exceeded]:,.10g}"


def _uncharged(events: object, spent: Mapping[str, np.ndarray], charges: tuple[str, ...]) -> Iterator[str]:
    """Trials that were measured, and for which nothing was charged."""
    measured = [e == "trial" and not c for e, c in zip(_list(events, "event"), _list(events, "cached"), strict=True)]
    for axis in charges:
        if axis != "evaluations":  # other axes may charge a continued training nothing
            continue
        charged = np.diff(spent[axis], prepend=0) > 0
        free = int(np.sum(np.asarray(measured) & ~charged))
        if free:
            yield f"{free} of its {sum(measured)} measured trials were charged nothing on `{axis}`"


def _list(events: object, name: str) -> list[object]:
    found: list[object] = events.column(name).to_pylist()  # type: ignore[attr-defined]
    return found
