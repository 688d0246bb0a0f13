"""Reading: what the searching process, and what the judge's, may know of a table of recorded results."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from searchbench.cost import Cost
from searchbench.errors import SpaceError, StudyError, TableError
from searchbench.spaces.space import Space
from searchbench.spaces.space import Values as Point
from searchbench.tables.file import Columns, Numbers, Stamp, read_columns
from searchbench.tables.lookup import Records, Repeats, Rows, TestLookup
from searchbench.trial import Fidelity

if TYPE_CHECKING:
    from searchbench.tables.table import Names, Table


class KnownRecord:
    """A space as a cache key: spaces of equal description are equal, whichever process or pickle they came from."""

    __slots__ = ("_hash", "description", "space")

    def __init__(self, space: Space) -> None:
        self.space = space
        self.description = (space.name, space.decisions, space.canonical, space.reader)
        self._hash = hash((space.name, len(space.decisions)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KnownRecord) and self.description == other.description

    def __hash__(self) -> int:
        return self._hash


@functools.lru_cache(maxsize=8)
def recorded(file: Stamp, table: Table, known: KnownRecord) -> Records:
    """The searching side of a table. Reads no test column."""
    blocks: dict[float | None, Names] = {table.epochs: table.validation, **dict(table.fidelity)}
    scores = [name for names in blocks.values() for name in names]
    columns = read_columns(file[0], [table.architecture], [*scores, *_described(table)])
    rows = _rows(columns, table, known.space)
    return Records(
        rows=rows,
        full=Fidelity(table.epochs, 1.0, 1.0, 1.0),
        values={epochs: _values(columns, names, table) for epochs, names in blocks.items()},
        seconds=_positive(columns, table.seconds) if table.seconds else None,
        metrics=_metrics(columns, table),
        plain={epochs: Cost(evaluations=1, epochs=epochs or 0.0) for epochs in blocks},
        curve=table.curve,
        train_macs=_positive(columns, table.train_macs) if table.train_macs else None,
    )


@functools.lru_cache(maxsize=8)
def verdicts(file: Stamp, second: Stamp | None, table: Table, known: KnownRecord) -> TestLookup:
    """The judge's side of a table. Reads no validation column."""
    join = table.join
    texts = [table.architecture] + ([join.on] if join else [])
    names = list(_metric_columns(table).values())
    columns = read_columns(file[0], texts, names if join else [*names, *table.test])
    rows = _rows(columns, table, known.space)
    if join is None or second is None:
        return TestLookup(rows, _values(columns, table.test, table), _metrics(columns, table))
    joined = read_columns(second[0], [join.on], table.test)
    at = _index(joined, join.on)
    errors = _values(joined, table.test, table)
    matched = [errors[at[name]] if name in at else () for name in columns.texts[join.on]]
    return TestLookup(rows, matched, _metrics(columns, table))


def check_finite(space: Space) -> None:
    """Raise StudyError where no proposal could be a recorded row: a real number that is drawn never equals one."""
    for decision in space.decisions:
        if decision.arity is None and decision.when is None:
            raise StudyError(
                f"`{decision.name}` of space `{space.name}` is a real number, so no proposal would be found among the "
                "recorded rows and every trial would fail; declare the recorded values as its options, such as "
                f'{decision.name} = [0.01, 0.1], or use the estimator "recorded-rows", which answers between rows.'
            )


def _described(table: Table) -> list[str]:
    charged = [column for column in (table.seconds, table.train_macs) if column]
    return charged + list(_metric_columns(table).values())


def _metric_columns(table: Table) -> dict[str, str]:
    """Columns by the name of their metric."""
    sizes = {name: column for name, column in (("params", table.params), ("macs", table.macs)) if column}
    return {**sizes, **dict(table.metrics)}


def _rows(columns: Columns, table: Table, space: Space) -> Rows:
    """Parse the architectures. Raises TableError for one that is not of the space, stands twice, or is missing."""
    by_point: dict[Point, int] = {}
    by_key: dict[str, int] = {}
    for row, text in enumerate(columns.texts[table.architecture]):
        try:
            architecture = space.parse(text)
        except SpaceError as error:
            raise columns.refuse(row, table.architecture, str(error)) from error
        first = by_point.setdefault(architecture.values, row)
        if first != row:
            raise columns.refuse(row, table.architecture, f"{text} already stands in row {first + 1}.")
        by_key.setdefault(architecture.key, row)
    rows = Rows(by_point, by_key)
    if not table.partial:
        _check_coverage(columns.path, rows, space)
    return rows


def _check_coverage(path: str, rows: Rows, space: Space) -> None:
    """Raise TableError if an architecture of a small enough space has no row."""
    points = math.prod(math.inf if d.arity is None else d.arity for d in space.decisions)
    if points > 1_000_000 or points == len(rows.by_point):
        return
    missing = [architecture for architecture in space.enumerate() if rows.find(architecture) is None]
    if missing:
        raise TableError(
            f"table {path} lacks {len(missing):,} of the architectures of space `{space.name}`, the first "
            f"{missing[0]}; complete it, or say `partial = true` to have them fail."
        )


def _values(columns: Columns, names: Names, table: Table) -> list[Repeats]:
    """Per row the recorded values to minimise. Raises TableError for a score that is infinite or out of range."""
    scale = 100.0 if table.percent else 1.0
    for name in names:
        scores = columns.numbers[name]
        bad = np.isinf(scores) | (((scores < 0) | (scores > scale)) & table.higher_is_better)
        if bad.any():
            row = int(np.argmax(bad))
            rule = f"an accuracy must lie in [0, {scale:g}]" if table.higher_is_better else "a value must be finite"
            hint = " Scores in percent are declared: `percent`." if scale < scores[row] <= 100 else ""
            raise columns.refuse(row, name, f"{rule}, but the cell holds {scores[row]:g}.{hint}")
        highest = np.nanmax(scores, initial=-math.inf)
        if table.percent and 0 < highest <= 1:
            raise columns.refuse(
                int(np.nanargmax(scores)),
                name,
                f"scores are declared to be in percent, but the highest is {highest:g}; they are shares, leave "
                "`percent` out.",
            )
    block: Numbers = np.stack([columns.numbers[name] for name in names], axis=1) / scale
    errors = 1.0 - block if table.higher_is_better else block
    return [tuple(error for error in row if not math.isnan(error)) for row in errors.tolist()]


def _positive(columns: Columns, name: str) -> list[float]:
    """A column that is complete and non-negative. Raises TableError."""
    cells = columns.numbers[name]
    bad = ~(np.isfinite(cells) & (cells >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise columns.refuse(row, name, f"a number of at least 0 is needed, but the cell holds {cells[row]:g}.")
    found: list[float] = cells.tolist()
    return found


def _metrics(columns: Columns, table: Table) -> list[Mapping[str, float]] | None:
    given = _metric_columns(table)
    if not given:
        return None
    cells = zip(*(_positive(columns, name) for name in given.values()), strict=True)
    return [dict(zip(given, row, strict=True)) for row in cells]


def _index(columns: Columns, name: str) -> dict[str, int]:
    at: dict[str, int] = {}
    for row, text in enumerate(columns.texts[name]):
        first = at.setdefault(text, row)
        if first != row:
            raise columns.refuse(row, name, f"{text!r} already stands in row {first + 1}; a join needs it once.")
    return at
