"""Recorded hyper-parameter settings as a problem: a row per training, a column per hyper-parameter.

What a search proposes seldom stands in the table, so the description says how proposals between rows are answered:
by the nearest recorded row, by a forest fitted to the rows, or not at all. That choice is part of the problem, and so
enters its fingerprint. The searching process reads validation columns only, the judge's test columns only.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, InputError, SpaceError, StudyError, TableError
from searchbench.metric import Metric
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, Integer, Value
from searchbench.spaces.space import Architecture, Space
from searchbench.tables.file import Columns, Stamp, column_names, digest, read_columns, stamp
from searchbench.tables.records import KnownRecord
from searchbench.tasks.task import Task
from searchbench.trial import Fidelity, Measurement, Outcome

Between = Literal["nearest", "forest", "refuse"]
Points = npt.NDArray[np.float64]
TREES = 200
FOLDS = 5
FOREST_SEED = 0
"""The forest is part of the problem, alike for every run of it."""


@dataclass(frozen=True, slots=True)
class RecordedRows:
    """A table of recorded settings, one row each, over a space of hyper-parameters.

    Args:
        path: Parquet, CSV or gzipped CSV, found as `Table`'s is.
        validation: column of the value that a search sees.
        test: column of the value that judges; empty where another judge is declared.
        between: how a proposal that is no row is answered: by the "nearest" row (Euclidean distance of encodings, the
            first of several), by a "forest" fitted to all rows (its error: `forest_error`), or "refuse": failed.
        higher_is_better: whether the value is an accuracy; then its negative is minimised.
        seconds: column of recorded seconds, charged as simulated seconds.
        curve: what the columns of values after fewer epochs begin with: "valid_" for `valid_1`, `valid_12` …, moments
            of one training; a continued evaluation is charged the increment only. None where it is empty.
        epochs: of the training that `validation` is of; charged, in proportion with its seconds after fewer. Needed
            with `curve`.

    Raises:
        StudyError: `between` is none of the three, or a curve has no end.
    """

    path: str = field(metadata={"described": False})  # `checksum` tells files apart
    validation: str = "validation"
    test: str = ""
    between: Between = "nearest"
    higher_is_better: bool = False
    seconds: str = ""
    curve: str = field(default="", metadata={"described": "unless default"})
    epochs: float | None = field(default=None, metadata={"described": "unless default"})

    def __post_init__(self) -> None:
        if self.between not in ("nearest", "forest", "refuse"):
            raise StudyError(f'`between` must be "nearest", "forest" or "refuse", but got {self.between!r}.')
        if self.epochs is not None and not self.epochs > 0:
            raise StudyError(f"the `epochs` of recorded rows must be positive, but got {self.epochs!r}.")
        if self.curve and self.epochs is None:
            raise StudyError("recorded rows with a `curve` need `epochs`: after how many `validation` was measured.")

    @property
    def trains(self) -> bool:
        """False: nothing is trained."""
        return False

    @property
    def stays(self) -> bool:
        """True: it is looked up."""
        return True

    def checksum(self) -> str:
        """SHA-256 of the file. Raises DataMissing."""
        return digest(stamp(self.path))

    def check(self, space: Space, task: Task) -> None:
        """Raise InputError where the file lacks a column of the space, or holds what the space has not."""
        self._rows(space)
        if self.between == "refuse" and any(isinstance(d, Float) for d in space.decisions):
            raise StudyError(
                "no proposal of a real number will ever be a recorded row, so every trial would fail; declare "
                '`between = "nearest"` or "forest", or list the recorded numbers as options.'
            )

    def charges(self) -> tuple[str, ...]:
        """The budget axes on which a look-up is charged: those that are recorded."""
        recorded = {"epochs": self.epochs, "seconds": self.seconds}
        return ("evaluations", *(axis for axis, of in recorded.items() if of))

    def stops(self, task: Task) -> tuple[float, ...]:
        """Epochs at which an evaluation can end; none where no curve is recorded. Raises DataMissing, TableError."""
        return tuple(self._columns()) if self.curve and self.epochs else ()  # type: ignore[arg-type]

    def open(self, space: Space, task: Task, seeds: Seeds) -> RowEstimator:
        """Read the validation columns. Raises DataMissing, TableError."""
        return RowEstimator(self, self._rows(space), self._columns())

    def _columns(self) -> dict[float | None, str]:
        """The column of values after each number of epochs, ascending; the last is that of the full training."""
        shorter = _moments(stamp(self.path), self.curve) if self.curve else {}
        lower: dict[float | None, str] = {e: name for e, name in shorter.items() if e < (self.epochs or 0)}
        return {**lower, self.epochs: self.validation}

    def _rows(self, space: Space) -> Rows:
        columns = tuple(dict.fromkeys(self._columns().values()))
        return _read(stamp(self.path), KnownRecord(space), columns, self.seconds).of(self.validation)

    def judge(self) -> RowJudge:
        """The judge that answers from the test column in the same way. Raises StudyError where there is none."""
        if not self.test:
            raise StudyError(f"the table {self.path} declares no `test` column; name it, or declare another judge.")
        return RowJudge(self)


@dataclass(frozen=True, slots=True)
class RowJudge:
    """Judges by the test column, between rows as the estimator is."""

    table: RecordedRows

    def metric(self, task: Task) -> Metric:
        """The column of the test score; its negative is minimised where more is better."""
        return Metric(self.table.test, better="higher" if self.table.higher_is_better else "lower")

    def checksum(self) -> str:
        """SHA-256 of the file. Raises DataMissing."""
        return self.table.checksum()

    def try_out(self, space: Space, task: Task) -> None:
        """Read the test column as `open` does, and keep none of it. Raises what that raises."""
        _read.__wrapped__(stamp(self.table.path), KnownRecord(space), (self.table.test,), "")

    def open(self, space: Space, task: Task, seeds: Seeds) -> RowVerdicts:
        """Read the test column. Raises DataMissing, TableError."""
        rows = _read(stamp(self.table.path), KnownRecord(space), (self.table.test,), "")
        return RowVerdicts(_answerer(self.table, rows), rows.space)


def row_judge(path: str, test: str, between: Between = "nearest", higher_is_better: bool = False) -> RowJudge:
    """The judge of recorded rows by itself, beside another estimator; the arguments are those of `RecordedRows`."""
    return RecordedRows(path, test=test, between=between, higher_is_better=higher_is_better).judge()


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What was read: encodings [n, d], one column of values [n] (NaN: recorded as failed), and seconds [n]."""

    points: Points
    values: Points
    seconds: Points | None
    at: Mapping[tuple[Value, ...], int]
    space: Space
    recorded: Mapping[str, Points]
    """Every column of values that was read."""

    def of(self, column: str) -> Rows:
        """Return these rows with another column of values."""
        return replace(self, values=self.recorded[column])


class Answerer(Protocol):
    """How a setting is answered from recorded rows."""

    def value(self, architecture: Architecture) -> float: ...


@dataclass(frozen=True, slots=True, eq=False)
class Exactly:
    """Recorded rows only."""

    rows: Rows
    sign: float

    def value(self, architecture: Architecture) -> float:
        row = self.rows.at.get(architecture.values)
        if row is None:
            raise EvaluationFailed("error", f"{architecture} is no recorded row.")
        return self.sign * float(self.rows.values[row])


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The recorded row at the least Euclidean distance of encodings; the first of several."""

    rows: Rows
    sign: float

    def value(self, architecture: Architecture) -> float:
        return self.sign * float(self.rows.values[nearest_row(self.rows, architecture)])


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """The prediction of extremely randomised trees fitted to all rows that did not fail."""

    rows: Rows
    sign: float
    trees: Any

    def value(self, architecture: Architecture) -> float:
        encoded = np.asarray(self.rows.space.encode(architecture), dtype=np.float64)[None, :]
        return self.sign * float(self.trees.predict(encoded)[0])


def nearest_row(rows: Rows, architecture: Architecture) -> int:
    """Number of the recorded row nearest to a setting."""
    exact = rows.at.get(architecture.values)
    if exact is not None:
        return exact
    encoded = np.asarray(rows.space.encode(architecture), dtype=np.float64)
    return int(np.argmin(((rows.points - encoded) ** 2).sum(axis=1)))


class RowEstimator:
    """The live estimator of recorded rows."""

    __slots__ = ("_answerers", "_columns", "_full", "_rows", "_table")

    def __init__(self, table: RecordedRows, rows: Rows, columns: Mapping[float | None, str]) -> None:
        self._table, self._rows, self._columns = table, rows, columns
        self._full = Fidelity(table.epochs, 1.0, 1.0, 1.0)
        self._answerers: dict[float | None, Answerer] = {}

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """Recorded epochs, and the whole of everything else. Raises InputError for what was not recorded."""
        whole = all(getattr(fidelity, name) in (None, 1.0) for name in ("subset", "width", "resolution"))
        if whole and fidelity.epochs in (None, self._full.epochs):
            return self._full
        if not whole or fidelity.epochs not in self._columns:
            known = ", ".join(f"{e:g}" for e in self._columns if e is not None) or "none"
            raise InputError(f"recorded rows have no {fidelity}; epochs that are recorded: {known}.")
        return Fidelity(fidelity.epochs, 1.0, 1.0, 1.0)

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """One evaluation, its epochs, and their share of the recorded seconds of the nearest row; of a continued
        training only the increment."""
        full, amount = self._full.epochs, self.complete(fidelity).epochs
        done = 0.0 if resume is None else self.complete(resume).epochs or 0.0
        epochs = 0.0 if amount is None else max(amount - done, 0.0)
        share = 1.0 if full is None else epochs / full
        seconds = self._rows.seconds
        spent = 0.0 if seconds is None else share * float(seconds[nearest_row(self._rows, architecture)])
        return Cost(evaluations=1, epochs=epochs, simulated_s=spent)

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """The recorded or predicted value. Raises EvaluationFailed where there is none."""
        value = self._answerer(self.complete(fidelity).epochs).value(architecture)
        if not math.isfinite(value):
            raise EvaluationFailed("error", f"the table records no result of {architecture} at {fidelity}.")
        return Measurement(value), self.price(architecture, fidelity, resume)

    def _answerer(self, epochs: float | None) -> Answerer:
        """What answers after so many epochs, made when it is first asked: a forest takes long to fit."""
        if epochs not in self._answerers:
            self._answerers[epochs] = _answerer(self._table, self._rows.of(self._columns[epochs]))
        return self._answerers[epochs]


@dataclass(frozen=True, slots=True, eq=False)
class RowVerdicts:
    """The live judge of recorded rows."""

    answerer: Answerer
    space: Space

    def verdict(self, architecture: Architecture) -> Outcome:
        """The recorded or predicted test value; a failed outcome where there is none."""
        if architecture not in self.space:
            return Outcome("error", math.nan, error=f"{architecture} is no setting of these rows.")
        try:
            value = self.answerer.value(architecture)
        except EvaluationFailed as failure:
            return Outcome("error", math.nan, error=failure.message)
        if not math.isfinite(value):
            return Outcome("error", math.nan, error=f"the table records no test result of {architecture}.")
        return Outcome("ok", value)


def forest_error(table: RecordedRows, space: Space) -> dict[str, float]:
    """How well the forest predicts rows it was not fitted to, by five-fold cross-validation: root mean squared error,
    the values' standard deviation, and Kendall's tau-b."""
    from scipy.stats import kendalltau
    from sklearn.model_selection import KFold, cross_val_predict

    rows = _read(stamp(table.path), KnownRecord(space), (table.validation,), "")
    kept = np.isfinite(rows.values)
    folds = KFold(min(FOLDS, int(kept.sum())), shuffle=True, random_state=FOREST_SEED)
    predicted = cross_val_predict(_trees(), rows.points[kept], rows.values[kept], cv=folds)
    error = float(np.sqrt(np.mean((predicted - rows.values[kept]) ** 2)))
    return {
        "rmse": error,
        "std": float(np.std(rows.values[kept], ddof=1)),
        "tau": float(kendalltau(predicted, rows.values[kept]).statistic),
    }


@functools.lru_cache(maxsize=8)
def _read(file: Stamp, known: KnownRecord, wanted: tuple[str, ...], seconds: str) -> Rows:
    space = known.space
    names = [decision.name for decision in space.decisions]
    columns = read_columns(file[0], names, [*wanted, *([seconds] if seconds else [])])
    at: dict[tuple[Value, ...], int] = {}
    points = []
    for row in range(len(columns.numbers[wanted[0]])):
        architecture = _setting(columns, space, row)
        if at.setdefault(architecture.values, row) != row:
            first = at[architecture.values] + 1
            raise columns.refuse(row, names[0], f"this setting stands in row {first} already; average repeats first.")
        points.append(space.encode(architecture))
    recorded = {name: columns.numbers[name] for name in wanted}
    for name, values in recorded.items():
        if not np.isfinite(values).any():
            raise TableError(f"table {file[0]}, column `{name}`: no row has a value.")
    spent = columns.numbers[seconds] if seconds else None
    encoded = np.asarray(points, dtype=np.float64)
    return Rows(encoded, recorded[wanted[0]], spent, at, space, recorded)


@functools.lru_cache(maxsize=8)
def _moments(file: Stamp, curve: str) -> dict[float, str]:
    """The columns of a curve by their epochs, ascending."""
    found = {}
    for name in column_names(file[0]):
        if name.startswith(curve) and re.fullmatch(r"\d+(\.\d+)?", name[len(curve) :]):
            found[float(name[len(curve) :])] = name
    return dict(sorted(found.items()))


def _setting(columns: Columns, space: Space, row: int) -> Architecture:
    values: dict[str, Value] = {}
    for decision in space.decisions:
        text = columns.texts[decision.name][row]
        if decision.when is not None and values.get(decision.when.name) not in decision.when.values:
            continue
        try:
            values[decision.name] = _value(decision, text)
        except (ValueError, KeyError):
            raise columns.refuse(row, decision.name, f"{text!r} is no value of `{decision.name}`.") from None
    try:
        return space.architecture(values)
    except SpaceError as error:
        raise columns.refuse(row, space.decisions[0].name, str(error)) from error


def _value(decision: Any, text: str) -> Value:
    if isinstance(decision, Choice):
        return {str(option): option for option in decision.options}[text]
    number = float(text)
    if isinstance(decision, Integer):
        if number != int(number):
            raise ValueError
        return int(number)
    return number


def _answerer(table: RecordedRows, rows: Rows) -> Answerer:
    sign = -1.0 if table.higher_is_better else 1.0
    if table.between == "refuse":
        return Exactly(rows, sign)
    if table.between == "nearest":
        return Nearest(rows, sign)
    kept = np.isfinite(rows.values)
    return Forest(rows, sign, _trees().fit(rows.points[kept], rows.values[kept]))


def _trees() -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(n_estimators=TREES, bootstrap=False, random_state=FOREST_SEED, n_jobs=1)
