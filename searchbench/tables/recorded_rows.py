"""Recorded hyper-parameter settings as a problem: a row per training, a column per hyper-parameter.

What a search proposes seldom stands in the table, so the description says how proposals between rows are answered:
by the nearest recorded row, by a forest fitted to the rows, or not at all. That choice is part of the problem, and so
enters its fingerprint. The searching process reads validation columns only, the judge's test columns only.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from searchbench import toml_text
from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, InputError, SpaceError, StudyError, TableError
from searchbench.metric import Metric
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, Integer, Value
from searchbench.spaces.hyperparameters import as_table, hyperparameters
from searchbench.spaces.space import Architecture, Space
from searchbench.tables.file import Columns, Stamp, digest, read_columns, stamp
from searchbench.tables.records import KnownRecord
from searchbench.tasks.task import Task
from searchbench.trial import FULL, Fidelity, Measurement, Outcome
from searchbench.whole_file import whole

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

    Raises:
        StudyError: `between` is none of the three.
    """

    path: str = field(metadata={"described": False})  # `checksum` tells files apart
    validation: str = "validation"
    test: str = ""
    between: Between = "nearest"
    higher_is_better: bool = False
    seconds: str = ""

    def __post_init__(self) -> None:
        if self.between not in ("nearest", "forest", "refuse"):
            raise StudyError(f'`between` must be "nearest", "forest" or "refuse", but got {self.between!r}.')

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
        _read(stamp(self.path), KnownRecord(space), self.validation, self.seconds)
        if self.between == "refuse" and any(isinstance(d, Float) for d in space.decisions):
            raise StudyError(
                "no proposal of a real number will ever be a recorded row, so every trial would fail; declare "
                '`between = "nearest"` or "forest", or list the recorded numbers as options.'
            )

    def charges(self) -> tuple[str, ...]:
        """The budget axes on which a look-up is charged: those that are recorded."""
        return ("evaluations", "seconds") if self.seconds else ("evaluations",)

    def open(self, space: Space, task: Task, seeds: Seeds) -> RowEstimator:
        """Read the validation column. Raises DataMissing, TableError."""
        rows = _read(stamp(self.path), KnownRecord(space), self.validation, self.seconds)
        return RowEstimator(rows, _answerer(self, rows))

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
        _read.__wrapped__(stamp(self.table.path), KnownRecord(space), self.table.test, "")

    def open(self, space: Space, task: Task, seeds: Seeds) -> RowVerdicts:
        """Read the test column. Raises DataMissing, TableError."""
        rows = _read(stamp(self.table.path), KnownRecord(space), self.table.test, "")
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

    __slots__ = ("_answerer", "_rows")

    def __init__(self, rows: Rows, answerer: Answerer) -> None:
        self._rows, self._answerer = rows, answerer

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """The only fidelity there is. Raises InputError for another."""
        if fidelity is FULL or fidelity == FULL or fidelity == Fidelity(None, 1.0, 1.0, 1.0):
            return Fidelity(None, 1.0, 1.0, 1.0)
        raise InputError(f"recorded rows have one fidelity, but {fidelity} was asked for; leave it open.")

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """One evaluation, and the recorded seconds of the nearest row."""
        if self._rows.seconds is None:
            return Cost(evaluations=1)
        return Cost(evaluations=1, simulated_s=float(self._rows.seconds[nearest_row(self._rows, architecture)]))

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """The recorded or predicted value. Raises EvaluationFailed where there is none."""
        value = self._answerer.value(architecture)
        if not math.isfinite(value):
            raise EvaluationFailed("error", f"the table records no result of {architecture}.")
        return Measurement(value), self.price(architecture, fidelity)


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


def inferred(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Declarations of hyper-parameters as their recorded columns suggest them, for `hyperparameters`.

    Whole numbers become a range of integers, real ones a range, on a log scale where all are positive and span a factor
    of 100 or more; anything else (also a column of one value) a category of what was recorded, in sorted order.
    """
    return {name: _inferred(list(cells)) for name, cells in columns.items()}


def forest_error(table: RecordedRows, space: Space) -> dict[str, float]:
    """How well the forest predicts rows it was not fitted to, by five-fold cross-validation: root mean squared error,
    the values' standard deviation, and Kendall's tau-b."""
    from scipy.stats import kendalltau
    from sklearn.model_selection import KFold, cross_val_predict

    rows = _read(stamp(table.path), KnownRecord(space), table.validation, "")
    kept = np.isfinite(rows.values)
    folds = KFold(min(FOLDS, int(kept.sum())), shuffle=True, random_state=FOREST_SEED)
    predicted = cross_val_predict(_trees(), rows.points[kept], rows.values[kept], cv=folds)
    error = float(np.sqrt(np.mean((predicted - rows.values[kept]) ** 2)))
    return {
        "rmse": error,
        "std": float(np.std(rows.values[kept], ddof=1)),
        "tau": float(kendalltau(predicted, rows.values[kept]).statistic),
    }


def _inferred(cells: list[Any]) -> Any:
    try:
        numbers = [float(cell) for cell in cells]
    except (TypeError, ValueError):
        return sorted({str(cell) for cell in cells})
    low, high = min(numbers), max(numbers)
    if low == high or not all(math.isfinite(number) for number in numbers):
        return sorted(set(cells), key=str)
    log = low > 0 and high / low >= 100
    if all(number == int(number) for number in numbers):
        return {"int": [int(low), int(high)]} | ({"log": True} if log else {})
    return {"float": [low, high]} | ({"log": True} if log else {})


@functools.lru_cache(maxsize=8)
def _read(file: Stamp, known: KnownRecord, value: str, seconds: str) -> Rows:
    space = known.space
    names = [decision.name for decision in space.decisions]
    columns = read_columns(file[0], names, [value, *([seconds] if seconds else [])])
    at: dict[tuple[Value, ...], int] = {}
    points = []
    for row in range(len(columns.numbers[value])):
        architecture = _setting(columns, space, row)
        if at.setdefault(architecture.values, row) != row:
            first = at[architecture.values] + 1
            raise columns.refuse(row, names[0], f"this setting stands in row {first} already; average repeats first.")
        points.append(space.encode(architecture))
    values = columns.numbers[value]
    if not np.isfinite(values).any():
        raise TableError(f"table {file[0]}, column `{value}`: no row has a value.")
    return Rows(np.asarray(points, dtype=np.float64), values, columns.numbers[seconds] if seconds else None, at, space)


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


def write_rows(path: str, parameters: Sequence[str], table: RecordedRows, out: str) -> tuple[RecordedRows, Space]:
    """Import recorded settings: infer the space, check every row, write the columns used to one Parquet file.

    Args:
        path: the source.
        parameters: columns of hyper-parameters.
        table: which of its columns are the values, and how proposals between rows are answered.
        out: the file to write; where a forest answers, its error by cross-validation stands in the metadata.

    Raises:
        DataMissing, TableError: the source cannot be read, or a row is faulty; nothing is left then.
    """
    import pyarrow as pa
    from pyarrow import parquet

    numbers = [name for name in (table.validation, table.test, table.seconds) if name]
    columns = read_columns(stamp(path)[0], list(parameters), numbers)
    space = hyperparameters(**inferred(columns.texts))
    source = replace(table, path=path)
    source.check(space, cast(Task, None))
    told: dict[str, Any] = {"source": Path(path).name, "sha256": digest(stamp(path))}
    if table.between == "forest":
        told["forest"] = forest_error(source, space)
    arrow = pa.table({**columns.texts, **{name: pa.array(values) for name, values in columns.numbers.items()}})
    with whole(out) as place:
        parquet.write_table(arrow.replace_schema_metadata({"searchbench": json.dumps(told)}), place, compression="zstd")
    return replace(table, path=out), space


def as_toml(table: RecordedRows, space: Space) -> str:
    """The `space` and `estimator` lines of a study file that searches the settings."""
    declared = {decision.name: as_table(decision.name, decision) for decision in space.decisions}
    said = {key: value for key, value in asdict(table).items() if value not in ("", False)}
    return (
        f"space = {toml_text.value({'use': 'hyperparameters', **declared})}\n"
        f"estimator = {toml_text.value({'use': 'recorded-rows', **said})}"
    )
