"""Anytime curves: the validation value of a run's incumbent as a function of what the run had spent.

A curve is a right-continuous step function: at the very cost of a trial, its result counts. Before the first
incumbent it is NaN. All runs are evaluated on a common grid at once, without a loop over grid or runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from searchbench.cost import BUDGET_AXES, COST_AXES
from searchbench.errors import InputError, did_you_mean
from searchbench.results.columns import FIDELITY_PARTS, are, read_events

if TYPE_CHECKING:
    import pyarrow as pa

    Recording: TypeAlias = bytes | pa.Table

Floats = npt.NDArray[np.float64]

CURVE_AXES = tuple(dict.fromkeys((*COST_AXES, *BUDGET_AXES, "trials")))
"""What a curve can run along: every cost axis, the sums that budgets limit, and the number of trials."""
TOGETHER = 256
"""Recordings whose events are gone through at once."""
SUMS = {"samples": ("train_samples", "inference_samples"), "seconds": ("device_s", "simulated_s")}
"""Axes that are the sum of others."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Incumbent curves of S runs with E events in all, run after run.

    Attributes:
        axis: one of `CURVE_AXES`.
        run: [E] index of the run, non-decreasing.
        spent: [E] what the run had spent after the event, non-decreasing within a run.
        value: [E] validation value of the incumbent from then on; NaN where the search gave none.
        ends: [S] what each run had spent at its last event; NaN for a run without any.
        stretch: [E] counts on where an incumbent's value cannot be compared with the one before: it was measured at a
            higher fidelity, or is what a search said of its own recommendation.
    """

    axis: str
    run: npt.NDArray[np.int32]
    spent: Floats
    value: Floats
    ends: Floats
    stretch: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ends)

    def at(self, grid: npt.ArrayLike, *, hold: bool = True) -> Floats:
        """Every run's incumbent value at each grid point.

        Args:
            grid: [T] costs, ascending.
            hold: whether a run's last value stays after its end; otherwise it is NaN from there on.

        Returns:
            [S, T], NaN before the first incumbent.

        Raises:
            ValueError: the grid is not ascending.
        """
        points = np.asarray(grid, dtype=np.float64)
        if points.ndim != 1 or np.any(np.diff(points) < 0) or np.any(np.isnan(points)):
            raise ValueError(f"a curve's grid must be one ascending row of costs, but got {grid!r}.")
        # An event takes effect at the first grid point not before it; of several there, the last one counts.
        place = np.searchsorted(points, self.spent, side="left")
        last = np.full((len(self), len(points) + 1), -1, dtype=np.int32)
        np.maximum.at(last, (self.run, place), np.arange(len(self.run), dtype=np.int32))
        last = np.maximum.accumulate(last[:, :-1], axis=1)
        values = np.full(last.shape, np.nan)
        known = last >= 0
        values[known] = self.value[last[known]]
        return values if hold else np.where(points[None, :] <= self.ends[:, None], values, np.nan)

    def final(self) -> Floats:
        """[S] the incumbent value each run ended with."""
        return self.at([np.inf])[:, 0]

    def grid(self, points: int = 200) -> Floats:
        """At most `points` costs that carry the curves: all where anything changes, or their quantiles."""
        if not len(self.spent):
            return np.empty(0)
        changes = np.unique(self.spent)
        if len(changes) <= points:
            return changes
        return np.unique(np.quantile(changes, np.linspace(0.0, 1.0, points), method="nearest"))


def incumbent_curves(recordings: Sequence[Recording], axis: str = "evaluations") -> Curves:
    """The curves of some runs' recordings, along one axis.

    Raises:
        InputError: there is no such axis.
    """
    return curves_along(recordings, (axis,))[axis]


def curves_along(recordings: Sequence[Recording], axes: Sequence[str]) -> dict[str, Curves]:
    """Curves along several axes; each recording is read once.

    Raises:
        InputError: there is no such axis.
    """
    for axis in axes:
        if axis not in CURVE_AXES:
            raise InputError(f"unknown cost axis `{axis}`; {did_you_mean(axis, CURVE_AXES)}")
    lengths: list[int] = []
    value, stretch, spent = _Growing(np.float64), _Growing(np.int32), {axis: _Growing(np.float64) for axis in axes}
    for tables in _together(recordings, axes):
        lengths += [table.num_rows for table in tables]
        events = _Events.of(tables)
        foreseen = sum(lengths) * len(recordings) // len(lengths)
        value.add(np.append(floats(events.table, "value"), np.nan)[events.source], foreseen)
        stretch.add(events.stretches(), foreseen)
        for axis in axes:
            spent[axis].add(events.spent(axis), foreseen)
        del tables, events  # before the next are read
    run, last = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths), np.cumsum(lengths, dtype=np.int64) - 1
    some = np.array(lengths, dtype=np.int64) > 0
    found = {}
    for axis in axes:
        own = spent.pop(axis).whole
        own = own if own.any() else np.broadcast_to(0.0, own.shape)
        ends = np.full(len(lengths), np.nan)
        ends[some] = own[last[some]]
        found[axis] = Curves(axis, run, own, value.whole, ends, stretch.whole)
    return found


class _Growing:
    """An array to which parts are added: kept until the last is there, they would take the memory twice."""

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._room, self._used = np.empty(0, dtype=kind), 0

    def add(self, part: npt.NDArray[Any], foreseen: int) -> None:
        """Add a part, where so many values in all are to be expected."""
        needed = self._used + len(part)
        if needed > len(self._room):
            wider = np.empty(max(needed, foreseen, min(2 * len(self._room), needed + needed // 4)), self._room.dtype)
            wider[: self._used] = self.whole
            self._room = wider
        self._room[self._used : needed] = part
        self._used = needed

    @property
    def whole(self) -> npt.NDArray[Any]:
        """All that was added."""
        return self._room[: self._used]


def _together(recordings: Iterable[Recording], axes: Sequence[str]) -> Iterator[list[pa.Table]]:
    """The events of so many recordings at a time that arrays pay, and no more than memory bears."""
    parts = {part for axis in axes if axis != "trials" for part in SUMS.get(axis, (axis,))}
    wanted = ["event", "value", "recommended", *(f"fidelity_{part}" for part in FIDELITY_PARTS)]
    wanted += [f"spent_{part}" for part in sorted(parts)]
    left = iter(recordings)
    while own := list(islice(left, TOGETHER)):
        yield [(read_events(one) if isinstance(one, bytes) else one).select(wanted) for one in own]


@dataclass(frozen=True, slots=True, eq=False)
class _Events:
    """The events of several runs, one run after the other: E rows in all."""

    table: pa.Table
    begins: npt.NDArray[np.int64]
    """[E] row at which the event's run begins."""
    is_trial: npt.NDArray[np.bool_]
    source: npt.NDArray[np.int64]
    """[E] row of the incumbent after each event; -1 before a run's first."""

    @classmethod
    def of(cls, tables: Sequence[pa.Table]) -> _Events:
        import pyarrow as pa

        table = pa.concat_tables(tables, promote_options="permissive")
        lengths = [own.num_rows for own in tables]
        begins = np.repeat(np.cumsum([0, *lengths[:-1]], dtype=np.int64), lengths)
        is_trial = _bits(_joined(are(table, "trial")), 1)
        return cls(table, begins, is_trial, _source(floats(table, "recommended"), begins, is_trial))

    def stretches(self) -> npt.NDArray[np.int32]:
        """[E] number of the stretch of every event, counted in its run."""
        parts = [np.nan_to_num(floats(self.table, f"fidelity_{part}"), nan=1.0) for part in FIDELITY_PARTS]
        levels = np.append(np.prod(parts, axis=0), 0.0)[self.source]
        own = np.append(~self.is_trial, False)[self.source]
        first = self.begins == np.arange(len(self.begins))
        moved = np.where(first, self.source != -1, np.diff(self.source, prepend=-1) != 0)
        higher = np.where(first, levels > 0, np.diff(levels, prepend=0.0) > 0)
        new = moved & (own | higher)
        counted = np.cumsum(new)
        return np.asarray(counted - (counted - new)[self.begins], dtype=np.int32)

    def spent(self, axis: str) -> Floats:
        """[E] what an event's run had spent after it."""
        if axis == "trials":
            counted = np.cumsum(self.is_trial)
            return np.asarray(counted - (counted - self.is_trial)[self.begins], dtype=np.float64)
        parts = (floats(self.table, f"spent_{part}") for part in SUMS.get(axis, (axis,)))
        return sum(parts, np.zeros(self.table.num_rows))


def _source(
    recommended: Floats, begins: npt.NDArray[np.int64], is_trial: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    rows = np.arange(len(begins))
    of_trial = np.flatnonzero(is_trial)  # row of each trial, by number
    before = np.append(np.cumsum(is_trial) - is_trial, len(of_trial))[begins]  # trials of the runs before
    source = np.where(is_trial, -1, rows)
    named = np.flatnonzero(is_trial & ~np.isnan(recommended))
    chosen = recommended[named].astype(np.int64)
    place = before[named] + chosen
    if np.any((chosen < 0) | (place >= len(of_trial))) or np.any(begins[of_trial[place]] != begins[named]):
        raise ValueError("a recording recommends a trial that it does not hold")
    source[named] = of_trial[place]
    # A trial that names no incumbent changes nothing: what was recommended before stands.
    holder = np.maximum.accumulate(np.where(source >= 0, rows, -1))
    return np.where(holder >= begins, np.append(source, -1)[holder], -1)


def floats(table: pa.Table, name: str) -> Floats:
    """A column of recordings as numbers, NaN where there is none."""
    column = _joined(table.column(name).cast("float64"))
    values = np.frombuffer(column.buffers()[1] or b"", count=column.offset + len(column))[column.offset :]
    return np.where(_bits(column, 0), values, np.nan) if column.null_count else values


# Arrow's buffers themselves: its `to_numpy` imports pandas, which takes longer than a thousand runs.


def _joined(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _bits(column: pa.Array, buffer: int) -> npt.NDArray[np.bool_]:
    """A buffer of bits, one for each value: whether there is one, or what it is."""
    raw = np.frombuffer(column.buffers()[buffer] or b"", dtype=np.uint8)
    own = np.unpackbits(raw, count=column.offset + len(column), bitorder="little")[column.offset :]
    return own.astype(np.bool_)
