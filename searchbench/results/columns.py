"""A run's trials as columns: gathered while it runs, kept as one compressed Arrow stream, compared bit by bit.

One row per event, in order: a trial, or a recommendation that is not a trial (a supernet search naming the
architecture it would hand over). The columns are those of `_KINDS` and one `metric_<name>` per metric. Cost
columns (`spent_<axis>`) are cumulative: what the whole run had spent after the event.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from searchbench.cost import COST_AXES, DETERMINISTIC_AXES, Cost
from searchbench.errors import StoreError
from searchbench.trial import FULL, Fidelity

if TYPE_CHECKING:
    import pyarrow as pa

INTEGER_AXES = ("evaluations", "train_samples", "inference_samples", "macs", "peak_memory_bytes")
MEASURED_COLUMNS = (*(f"spent_{axis}" for axis in COST_AXES if axis not in DETERMINISTIC_AXES), "error")
"""Columns a rerun does not repeat: clocks, memory, and the wording of failures (their status is compared)."""

_ROW = (
    "event", "number", "architecture", "key", "fidelity", "status", "value", "spent", "recommended", "cached",
    "error", "metrics", "resumed",
)  # fmt: skip
_KINDS = {
    "event": "", "number": "int32", "architecture": "", "key": "", "status": "", "value": "float64",
    "recommended": "int32", "cached": "bool", "resumed": "int32", "error": "",
}  # fmt: skip
"""Arrow types of the plain columns in their order; "" is a dictionary of strings."""
FIDELITY_PARTS = ("epochs", "subset", "width", "resolution")
_cost_axes = attrgetter(*COST_AXES)
_fidelity_fields = attrgetter(*FIDELITY_PARTS)


@dataclass(slots=True)
class TrialColumns:
    """Collects the trials of one run in the worker; appending costs well under a microsecond."""

    _rows: list[tuple[Any, ...]] = field(default_factory=list)
    _trials: int = 0

    def __len__(self) -> int:
        """Trials so far."""
        return self._trials

    def append(
        self,
        architecture: str,
        key: str,
        fidelity: Fidelity,
        status: str,
        value: float,
        *,
        spent: Cost,
        recommended: int | None = None,
        cached: bool = False,
        error: str | None = None,
        metrics: Mapping[str, float] | None = None,
        resumed: int | None = None,
    ) -> None:
        """The next trial. `spent`: the run's total after it. `recommended`: number of the trial the search would
        hand over now (None: none, or not a trial). `resumed`: number of the trial whose training it continued."""
        number = self._trials
        self._rows.append(
            ("trial", number, architecture, key, fidelity, status, value, spent, recommended, cached, error, metrics,
             resumed)
        )  # fmt: skip
        self._trials = number + 1

    def recommend(self, architecture: str, key: str, value: float, spent: Cost) -> None:
        """A recommendation that is not one of the trials; its number is that of the trials finished before it."""
        self._rows.append(
            ("recommendation", self._trials, architecture, key, FULL, "ok", value, spent, None, False, None,
             None, None)
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """One Arrow IPC stream, zstd-compressed."""
        column = dict(zip(_ROW, list(zip(*self._rows, strict=True)) or [()] * len(_ROW), strict=True))
        arrays = {name: _numbers(column[name], kind) if kind else _words(column[name]) for name, kind in _KINDS.items()}
        for name, values in zip(FIDELITY_PARTS, _transposed(column["fidelity"], _fidelity_fields, 4), strict=True):
            arrays[f"fidelity_{name}"] = _numbers(values, "float64")
        return _pack(arrays | _spent_arrays(column["spent"]) | _named_arrays("metric_", column["metrics"]))


Kind = Literal["number", "word", "list", "lists"]


@dataclass(slots=True)
class TraceColumns:
    """Collects the lines a search logs about itself (entropy, skip counts …), with what it had spent by then."""

    _lines: list[Mapping[str, Any]] = field(default_factory=list)
    _spent: list[Cost] = field(default_factory=list)
    _kinds: dict[str, Kind] = field(default_factory=dict)
    """Of each name, in order of first appearance."""

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, values: Mapping[str, Any], spent: Cost) -> None:
        """The next line: numbers, words, lists of numbers, or such lists by name. Lines may carry different names.

        Raises:
            StoreError: a value is nothing of these, or a name had another kind of value before.
        """
        for name, value in values.items():
            kind = _kind_of(name, value)
            if self._kinds.setdefault(name, kind) != kind:
                raise StoreError(
                    f"what is logged as `{name}` is a {self._kinds[name]} in an earlier line, now a {kind}."
                )
        self._lines.append(dict(values))
        self._spent.append(spent)

    @property
    def last(self) -> Mapping[str, Any]:
        """The last line; an empty one where there is none."""
        return self._lines[-1] if self._lines else {}

    def to_bytes(self) -> bytes:
        """One Arrow IPC stream, zstd-compressed: `line`, `spent_<axis>` and one column per logged name, null where a
        line lacks it. Lists are kept in single precision."""
        line = {"line": _numbers(range(len(self._lines)), "int32")}
        logged = {name: _logged([line.get(name) for line in self._lines], kind) for name, kind in self._kinds.items()}
        return _pack(line | _spent_arrays(self._spent) | logged)


class Difference(NamedTuple):
    """Where two recordings of a run part."""

    trial: int
    """Number of the first trial (or line of a trace) that differs."""
    column: str
    """The first column in which it does; "trials" where one recording has more of them."""
    left: object
    right: object


def read_events(blob: bytes) -> pa.Table:
    """Every row of a recording, trials and recommendations, in order; an empty recording has no rows.

    Raises:
        ValueError: the bytes are not such a recording.
    """
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.BufferReader(blob or TrialColumns().to_bytes()), "zstd") as stream:
            table = pa.ipc.open_stream(stream).read_all()
        table.validate(full=True)  # offsets and texts too: what is not checked here breaks wherever it is used
        return table
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"a recording of trials is unreadable: {error}") from error


def read_trials(blob: bytes) -> pa.Table:
    """The trials of a recording, in order."""
    return _only(read_events(blob), "trial")


def read_traces(blob: bytes | None) -> pa.Table | None:
    """What a search logged about itself, a line each; None where it logged nothing."""
    return read_events(blob) if blob else None


def first_difference(left: bytes, right: bytes, *, ignoring: Collection[str] = MEASURED_COLUMNS) -> Difference | None:
    """The first event in which two recordings differ, or None where they are bit-identical.

    NaN equals NaN. `ignoring` names the columns that are not compared: those of clocks and memory.
    """
    a, b = read_events(left), read_events(right)
    both = min(a.num_rows, b.num_rows)
    names = [name for name in dict.fromkeys([*a.column_names, *b.column_names]) if name not in ignoring]
    found = [(row, i) for i, name in enumerate(names) if (row := _first_unequal(a, b, name, both)) is not None]
    if found:
        row, i = min(found)
        return Difference(_number(a, row), names[i], _cell(a, names[i], row), _cell(b, names[i], row))
    if a.num_rows != b.num_rows:
        return Difference(_number(a if a.num_rows > both else b, both), "trials", a.num_rows, b.num_rows)
    return None


def _first_unequal(a: pa.Table, b: pa.Table, name: str, rows: int) -> int | None:
    left, right = _values(a, name, rows), _values(b, name, rows)
    if left == right:
        return None
    for row, (x, y) in enumerate(zip(left, right, strict=True)):
        if not _same(x, y):
            return row
    return None


def _values(table: pa.Table, name: str, rows: int) -> list[Any]:
    """A column's first `rows` values; a metric never seen in a run is None throughout."""
    if name not in table.column_names:
        return [None] * rows
    values: list[Any] = table.column(name).slice(0, rows).to_pylist()
    return values


def _cell(table: pa.Table, name: str, row: int) -> object:
    return _values(table, name, row + 1)[row]


def _number(table: pa.Table, row: int) -> int:
    return int(table.column("number" if "number" in table.column_names else "line")[row].as_py())


def _same(x: object, y: object) -> bool:
    if isinstance(x, list) and isinstance(y, list):
        return len(x) == len(y) and all(map(_same, x, y))
    if isinstance(x, dict) and isinstance(y, dict):
        return x.keys() == y.keys() and all(_same(x[name], y[name]) for name in x)
    return x == y or (_is_nan(x) and _is_nan(y))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def are(table: pa.Table, event: str) -> pa.ChunkedArray:
    """Which rows are of an event. Not by `equal`, which imports pandas to take in the word."""
    import pyarrow.compute as pc

    return pc.match_like(table.column("event").cast("string"), event)


def _only(table: pa.Table, event: str) -> pa.Table:
    return table.filter(are(table, event))


def _kind_of(name: str, value: object) -> Kind:
    if isinstance(value, str):
        return "word"
    if isinstance(value, Mapping) and value and all(_listed(each) for each in value.values()):
        return "lists"
    if _listed(value):
        return "list"
    if isinstance(value, Real):
        return "number"
    raise StoreError(
        "what a search logs must be a number, a word, a list of numbers, or such lists by name, "
        f"but `{name}` is {value!r}."
    )


def _listed(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, Real) for v in value)


def _logged(values: Sequence[Any], kind: Kind) -> pa.Array:
    import pyarrow as pa

    if kind == "number":
        return _numbers(values, "float64")
    if kind == "word":
        return _words(values)
    if kind == "list":
        return pa.array(values, pa.list_(pa.float32()))
    names = dict.fromkeys(name for value in values for name in value or ())
    return pa.array(values, pa.struct([(name, pa.list_(pa.float32())) for name in names]))


def _words(values: Sequence[str | None]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values, pa.string()).dictionary_encode()
    except UnicodeEncodeError:  # half of a pair of code units: escaped
        return pa.array([v and v.encode("utf-8", "backslashreplace").decode() for v in values]).dictionary_encode()


def _numbers(values: Iterable[Any], kind: str) -> pa.Array:
    """An Arrow array of a type; integers beyond 64 bits (MACs of very long runs) become floats."""
    import pyarrow as pa

    values = list(values)
    try:
        return pa.array(values, pa.type_for_alias(kind))
    except (OverflowError, pa.ArrowInvalid):
        return pa.array([None if v is None else _float(v) for v in values], pa.float64())


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer that no float holds
        return math.copysign(math.inf, value)


def _spent_arrays(spent: Sequence[Cost]) -> dict[str, pa.Array]:
    columns = zip(COST_AXES, _transposed(spent, _cost_axes, len(COST_AXES)), strict=True)
    return {f"spent_{axis}": _numbers(c, "int64" if axis in INTEGER_AXES else "float64") for axis, c in columns}


def _named_arrays(prefix: str, lines: Sequence[Mapping[str, float] | None]) -> dict[str, pa.Array]:
    """A column per name in order of first appearance, null where a line lacks it."""
    names = dict.fromkeys(name for line in lines for name in line or ())
    return {
        f"{prefix}{name}": _numbers([line.get(name) if line else None for line in lines], "float64") for name in names
    }


def _transposed(items: Sequence[Any], fields_of: Any, width: int) -> list[tuple[Any, ...]]:
    return list(zip(*map(fields_of, items), strict=True)) or [()] * width


def _pack(arrays: Mapping[str, pa.Array]) -> bytes:
    """One record batch, compressed as a whole: small runs are mostly schema, which compresses too."""
    import pyarrow as pa

    batch = pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream, pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
