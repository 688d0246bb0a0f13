"""Recorded results: an evaluation is a look-up in a table of architectures.

The process that searches reads the validation columns of the file and no others; the judge's process reads the test
columns and no others. What `Table.open` returns holds rows, errors and costs: neither a test number, nor the path or
description by which one could be read.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, InputError, SpaceError, StudyError, TableError
from searchbench.estimators.built import SHIPPED, shipped
from searchbench.estimators.built import columns as columns_of_built
from searchbench.estimators.table_file import Columns, Numbers, Stamp, digest, read_columns, stamp
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.space import Values as Point
from searchbench.tasks.task import Task
from searchbench.trial import FULL, Fidelity, Measurement, Outcome

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """A second file, for the judge only: it holds the test columns."""

    path: str = field(metadata={"described": False})
    on: str
    """The column of both files by which rows are matched, compared as text."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of recorded results, and what its columns mean. Rows are architectures.

    A recorded score s becomes the value to minimise: 1 - s, or s itself with `higher_is_better=False`. Several
    validation columns are repeats; an empty cell means that repeat was not recorded, and a row without any is a
    recorded failure. The repeat is drawn among those present by the evaluation-noise seed.

    Args:
        path: Parquet, CSV or gzipped CSV; looked for as it stands, then below the folder SEARCHBENCH_DATA. The name of
            a table that ships with the package stands for its file and for what its columns mean: every argument
            below is then known, unless given.
        architecture: the column of architectures, in the space's notation.
        validation: columns of the validation score at full fidelity, one per repeat.
        test: columns of the test score, one per repeat; in the file of `join`, where that is given.
        fidelity: epochs -> validation columns, for trainings shorter than full.
        epochs: epochs of the full training; charged, and needed with `fidelity`.
        seconds: column of recorded seconds of the full training; charged as simulated seconds, and in proportion to
            epochs at a lower fidelity.
        params, macs: columns reported as metrics.
        metrics: further metrics by name -> column (a latency, to be an objective), or a list of columns.
        percent: scores are in percent (not in [0, 1]).
        higher_is_better: whether the score is an accuracy (in [0, 1] or percent) rather than an error or loss.
        join: a second file for the judge, a `Join`, or `path` and `on` as a mapping or as pairs.
        partial: whether the table may lack architectures of the space; looking one up is then a failed trial.
        curve: whether the lower fidelities are moments of the full training (a recorded learning curve), so that a
            continued evaluation is charged the increment only. False: separate trainings, each charged in full.
        workers: simulate so many parallel workers: evaluations overlap and come back in the order in which their
            recorded seconds end (without `seconds`: their epochs; without those either: a unit each). Every trial then
            carries the simulated time of its end as the metric `clock_s`. None: one after the other, no clock.

    Raises:
        StudyError: the description contradicts itself.
    """

    path: str = field(default="nasbench201-digits", metadata={"described": False})  # `checksum` tells files apart
    architecture: str = "architecture"
    validation: Names = ("validation",)
    test: Names = ()
    fidelity: tuple[tuple[float, Names], ...] = ()
    epochs: float | None = None
    seconds: str | None = None
    params: str | None = None
    macs: str | None = None
    percent: bool = False
    higher_is_better: bool = True
    join: Join | None = None
    partial: bool = False
    curve: bool = True
    workers: int | None = None
    metrics: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.path in SHIPPED:
            self._take_columns(columns_of_built(shipped(self.path)))
        for name in ("validation", "test"):
            object.__setattr__(self, name, _names(getattr(self, name)))
        object.__setattr__(self, "fidelity", _fidelities(self.fidelity))
        object.__setattr__(self, "join", _join(self.join))
        object.__setattr__(self, "metrics", _named(self.metrics))
        if not self.validation:
            raise StudyError("a table needs at least one validation column, but `validation` is empty.")
        if self.workers is not None and (type(self.workers) is not int or self.workers < 1):
            raise StudyError(f"a table's `workers` must be a positive integer, but got {self.workers!r}.")
        _check_epochs(self.epochs, [epochs for epochs, _ in self.fidelity])

    def _take_columns(self, known: Mapping[str, Any]) -> None:
        for one in fields(self):
            if one.name in known and getattr(self, one.name) == one.default:
                object.__setattr__(self, one.name, known[one.name])

    @property
    def trains(self) -> bool:
        """False: nothing is trained."""
        return False

    def checksum(self) -> str:
        """SHA-256 of the file, and of the joined one. Raises DataMissing."""
        paths = [self.path] + ([self.join.path] if self.join else [])
        return "+".join(digest(stamp(path)) for path in paths)

    def stops(self, task: Task) -> tuple[float, ...]:
        """Epochs at which an evaluation can end, ascending; none where only one length of training is recorded."""
        return (*(epochs for epochs, _ in self.fidelity), self.epochs) if self.epochs and self.fidelity else ()

    def open(self, space: Space, task: Task, seeds: Seeds) -> TableEstimator:
        """Read the validation columns (from memory, if this process has read the same file before).

        Raises:
            DataMissing: the file is not there.
            TableError: it cannot be used; names row and column. Or it ships with the package, for another task.
        """
        if self.path in SHIPPED and task is not None:
            recorded = shipped(self.path)["plan"]["task"]
            if task.name != recorded:
                raise TableError(
                    f"table `{self.path}` records trainings on task `{recorded}`, but the problem's task is "
                    f"`{task.name}`; name that task, or the path of a table of your own."
                )
        return TableEstimator(_records(stamp(self.path), self, _Known(space)))

    def judge(self) -> TableJudge:
        """The judge that looks up the test columns. Raises StudyError where none are declared."""
        if not self.test:
            raise StudyError(
                f"the table {self.path} declares no test columns, so it cannot judge; name them in `test`, "
                "or declare another judge."
            )
        return TableJudge(self)


@dataclass(frozen=True, slots=True)
class TableJudge:
    """Judges by the recorded test score: the mean of a row's recorded repeats."""

    table: Table

    def checksum(self) -> str:
        """SHA-256 of the file, and of the joined one. Raises DataMissing."""
        return self.table.checksum()

    def open(self, space: Space, task: Task, seeds: Seeds) -> TestLookup:
        """Read the test columns. Raises DataMissing, TableError."""
        join = self.table.join
        second = stamp(join.path) if join else None
        return _verdicts(stamp(self.table.path), second, self.table, _Known(space))


def table_judge(
    path: str = "nasbench201-digits",
    test: Names = (),
    architecture: str = "architecture",
    params: str | None = None,
    macs: str | None = None,
    percent: bool = False,
    higher_is_better: bool = True,
    join: Join | None = None,
    partial: bool = False,
) -> TableJudge:
    """The judge that looks up the test columns of a table of its own; the arguments are those of `Table`.

    Raises:
        StudyError: the description contradicts itself.
    """
    # the searching side of this description is never opened, so its validation columns are only a placeholder
    return Table(
        path,
        architecture,
        test=test,
        params=params,
        macs=macs,
        percent=percent,
        higher_is_better=higher_is_better,
        join=join,
        partial=partial,
    ).judge()


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Where each architecture stands: by its values, or else by the key of the function it computes."""

    by_point: dict[Point, int]
    by_key: dict[str, int]

    def find(self, architecture: Architecture) -> int | None:
        row = self.by_point.get(architecture.values)
        return self.by_key.get(architecture.key) if row is None else row


Repeats = tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Everything the searching process knows of a table."""

    rows: Rows
    full: Fidelity
    values: Mapping[float | None, Sequence[Repeats]]
    """Per epochs: for each row the recorded values to minimise, empty where the training failed."""
    seconds: Sequence[float] | None
    metrics: Sequence[Mapping[str, float]] | None
    plain: Mapping[float | None, Cost]
    """Per epochs: the charge, seconds aside."""
    curve: bool
    """Whether a continued evaluation is charged its increment only."""


class TableEstimator:
    """The live estimator of a table."""

    __slots__ = ("_full", "_full_values", "_points", "_records")

    def __init__(self, records: Records) -> None:
        self._records = records
        self._full = records.full
        self._full_values = records.values[records.full.epochs]
        self._points = records.rows.by_point

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """Full epochs, and the whole of everything else. Raises InputError for what was not recorded."""
        if fidelity is self._full or fidelity is FULL:
            return self._full
        for name in ("subset", "width", "resolution"):
            if getattr(fidelity, name) not in (None, 1.0):
                raise InputError(f"a table records no fidelity `{name}`, but {fidelity} was asked for; leave it open.")
        if fidelity.epochs is None or fidelity.epochs == self._full.epochs:
            return self._full
        if fidelity.epochs not in self._records.values:
            known = ", ".join(f"{e:g}" for e in self._records.values if e is not None) or "full only"
            raise InputError(f"the table records no training of {fidelity.epochs:g} epochs; it records: {known}.")
        return Fidelity(fidelity.epochs, 1.0, 1.0, 1.0)

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """One evaluation, its epochs and its recorded seconds; of a continued training only the increment."""
        epochs = fidelity.epochs if fidelity is self._full else self.complete(fidelity).epochs
        if resume is None and self._records.seconds is None:
            return self._records.plain[epochs]
        done = None if resume is None or not self._records.curve else self.complete(resume).epochs
        return self._charge(architecture, epochs, done or 0.0)

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """Look up one recorded repeat, number `seed` modulo those present.

        Raises:
            EvaluationFailed: the architecture is not in the table, or its training is recorded as failed.
        """
        row = self._points.get(architecture.values)
        if row is None:
            row = self._row(architecture)
        if fidelity is self._full:
            repeats = self._full_values[row]
        else:
            repeats = self._records.values[self.complete(fidelity).epochs][row]
        if not repeats:
            raise EvaluationFailed("error", f"the table records no result of {architecture} at {fidelity}.")
        value, metrics = repeats[seed % len(repeats)], self._records.metrics
        measured = Measurement(value) if metrics is None else Measurement(value, metrics[row])
        return measured, self.price(architecture, fidelity, resume)

    def repeats(self, architecture: Architecture) -> Repeats:
        """Every recorded validation value of the full training, in the order of the columns."""
        row = self._records.rows.find(architecture)
        return () if row is None else self._full_values[row]

    def _row(self, architecture: Architecture) -> int:
        row = self._records.rows.find(architecture)
        if row is None:
            raise EvaluationFailed("error", f"{architecture} is not in the table.")
        return row

    def _charge(self, architecture: Architecture, epochs: float | None, done: float) -> Cost:
        if epochs is None:
            share, increment = 1.0, 0.0
        else:
            increment = max(epochs - done, 0.0)
            share = increment / (self._full.epochs or epochs)
        row = self._records.rows.find(architecture)
        recorded = self._records.seconds
        seconds = 0.0 if recorded is None or row is None else recorded[row] * share
        return Cost(evaluations=1, epochs=increment, simulated_s=seconds)


@dataclass(frozen=True, slots=True, eq=False)
class TestLookup:
    """The live judge of a table."""

    __test__ = False  # not a test class, whatever its name begins with

    rows: Rows
    errors: Sequence[Repeats]
    metrics: Sequence[Mapping[str, float]] | None

    def verdict(self, architecture: Architecture) -> Outcome:
        """The mean recorded test value; a failed outcome where nothing is recorded."""
        row = self.rows.find(architecture)
        repeats = self.errors[row] if row is not None else ()
        if row is None or not repeats:
            return Outcome("error", math.nan, error=f"the table records no test result of {architecture}.")
        return Outcome("ok", sum(repeats) / len(repeats), {} if self.metrics is None else self.metrics[row])

    def repeats(self, architecture: Architecture) -> Repeats:
        """Every recorded test value by itself, in the order of the columns."""
        row = self.rows.find(architecture)
        return () if row is None else self.errors[row]


# -- reading -----------------------------------------------------------------------------------------------------


class _Known:
    """A space as a cache key: spaces of equal description are equal, whichever process or pickle they came from."""

    __slots__ = ("_hash", "description", "space")

    def __init__(self, space: Space) -> None:
        self.space = space
        self.description = (space.name, space.decisions, space.canonical, space.reader)
        self._hash = hash((space.name, len(space.decisions)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self.description == other.description

    def __hash__(self) -> int:
        return self._hash


@functools.lru_cache(maxsize=8)
def _records(file: Stamp, table: Table, known: _Known) -> Records:
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
    )


@functools.lru_cache(maxsize=8)
def _verdicts(file: Stamp, second: Stamp | None, table: Table, known: _Known) -> TestLookup:
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


def _described(table: Table) -> list[str]:
    return ([table.seconds] if table.seconds else []) + list(_metric_columns(table).values())


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
            raise columns.refuse(row, name, f"{rule}, but the cell holds {scores[row]:g}.")
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


# -- what a study file writes -----------------------------------------------------------------------------------


def _names(given: Any) -> Names:
    return (given,) if isinstance(given, str) else tuple(given)


def _fidelities(given: Any) -> tuple[tuple[float, Names], ...]:
    pairs = given.items() if isinstance(given, Mapping) else given
    try:
        return tuple(sorted((float(epochs), _names(names)) for epochs, names in pairs))
    except ValueError:
        raise StudyError(f"a table's `fidelity` maps epochs to validation columns, but got {given!r}.") from None


def _named(given: Any) -> tuple[tuple[str, str], ...]:
    """Pairs of metric and column; a column alone is its own metric."""
    parts = given.items() if isinstance(given, Mapping) else given
    pairs = tuple((part, part) if isinstance(part, str) else tuple(part) for part in parts)
    if any(len(pair) != 2 or not all(isinstance(word, str) for word in pair) for pair in pairs):
        raise StudyError(f"a table's `metrics` maps names to columns, but got {given!r}.")
    return pairs


def _join(given: Any) -> Join | None:
    if given is None or isinstance(given, Join):
        return given
    given = dict(given)
    if set(given) != {"path", "on"}:
        raise StudyError(f"a table's `join` needs `path` and `on`, but got {', '.join(given) or 'nothing'}.")
    return Join(**given)


def _check_epochs(full: float | None, lower: list[float]) -> None:
    for epochs in lower:
        if full is None or not 0 < epochs < full:
            raise StudyError(
                f"a table's `fidelity` must hold epochs below the full training's, but got {epochs:g} with "
                f"epochs={full}; state `epochs`, what `validation` was trained for."
            )
