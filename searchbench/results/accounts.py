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
    trials: bytes, cost: Cost, limits: Mapping[str, float], *, charges_evaluations: bool = False
) -> Iterator[str]:
    """Say what of a run's record contradicts the rest of it; nothing where all agrees.

    Args:
        trials: its recording.
        cost: its recorded total.
        limits: its budget.
        charges_evaluations: whether the problem charges each of them, and nothing else happens on it (a table, an
            objective).

    Raises:
        ValueError: the recording cannot be read.
    """
    import pyarrow.compute as pc

    events = read_events(trials)
    spent = {axis: events.column(f"spent_{axis}").to_numpy() for axis in DETERMINISTIC_AXES} if len(events) else {}
    for axis, amounts in spent.items():
        falls = np.flatnonzero(np.diff(amounts) < -ROUNDING * np.abs(amounts[:-1]))
        if falls.size:
            yield f"what it had spent of `{axis}` falls after row {falls[0]} of its record"
        if amounts[-1] > getattr(cost, axis) * (1 + ROUNDING):
            yield f"its last row had spent {amounts[-1]:,.10g} of `{axis}`, its total says {getattr(cost, axis):,.10g}"
    if spent and charges_evaluations:
        event = pc.cast(events.column("event"), "string")
        measured = pc.and_(pc.equal(event, "trial"), pc.invert(events.column("cached"))).to_numpy()
        free = int(np.sum(measured & (np.diff(spent["evaluations"], prepend=0) < 1)))
        if free:
            yield f"{free} of its {int(np.sum(measured))} measured trials were not charged as evaluations"
    bound = {axis: limit for axis, limit in limits.items() if axis != "seconds"}  # real ones are known afterwards only
    exceeded = Budget(**bound).first_exceeded(cost) if bound else None
    if exceeded is not None:
        yield f"it spent {getattr(cost, exceeded):,.10g} of `{exceeded}`, over its budget of {limits[exceeded]:,.10g}"
