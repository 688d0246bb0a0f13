"""Recorded results: an evaluation is a look-up in a table of architectures.

The process that searches reads the validation columns of the file and no others; the judge's process reads the test
columns and no others. What `Table.open` returns holds rows, errors and costs: neither a test number, nor the path or
description by which one could be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from searchbench.errors import StudyError, TableError
from searchbench.metric import Metric
from searchbench.seeds import Seeds
from searchbench.spaces.space import Space
from searchbench.tables.file import Stamp, digest, stamp
from searchbench.tables.lookup import TableEstimator, TestLookup
from searchbench.tables.records import KnownRecord, check_finite, recorded, verdicts
from searchbench.tables.shipped import SHIPPED, shipped
from searchbench.tables.shipped import columns as columns_of_built
from searchbench.tasks.task import NoTask, Task

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
        train_macs: column of recorded multiply-accumulates of the full training; charged, and in proportion to epochs
            at a lower fidelity.
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
    # not described: a charge is no part of what is measured, and fingerprints are older than this column
    train_macs: str | None = field(default=None, metadata={"described": False})

    def __post_init__(self) -> None:
        if self.path in SHIPPED:
            self._take_columns(columns_of_built(shipped(self.path)))
        for name in ("validation", "test"):
            object.__setattr__(self, name, _names(getattr(self, name)))
        object.__setattr__(self, "fidelity", _fidelities(self.fidelity))
        object.__setattr__(self, "join", as_join(self.join))
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

    @property
    def stays(self) -> bool:
        """True: it is looked up."""
        return True

    def checksum(self) -> str:
        """SHA-256 of the file, and of the joined one. Raises DataMissing."""
        paths = [self.path] + ([self.join.path] if self.join else [])
        return "+".join(digest(stamp(path)) for path in paths)

    def charges(self) -> tuple[str, ...]:
        """The budget axes on which a look-up is charged: those that are recorded."""
        recorded = {"epochs": self.epochs, "macs": self.train_macs, "seconds": self.seconds}
        return ("evaluations", *(axis for axis, column in recorded.items() if column))

    def check(self, space: Space, task: Task) -> None:
        """Raise StudyError where no proposal could be a row, because a decision is a real number."""
        check_finite(space)

    def try_out(self, space: Space, task: Task) -> None:
        """Read it as `open` does. Raises what that raises."""
        self._check_task(task)
        recorded(stamp(self.path), self, KnownRecord(space))

    def _check_task(self, task: Task | None) -> None:
        """Raise TableError where it ships with the package, for another task."""
        if self.path in SHIPPED and not isinstance(task, NoTask | None):
            of = shipped(self.path)["plan"]["task"]
            if task.name != of:
                raise TableError(
                    f"table `{self.path}` records trainings on task `{of}`, but the problem's task is "
                    f"`{task.name}`; name that task, or the path of a table of your own."
                )

    @property
    def continues(self) -> bool:
        """Whether a longer training goes on from a shorter one, and is charged the increment alone."""
        return self.curve

    def stops(self, task: Task) -> tuple[float, ...]:
        """Epochs at which an evaluation can end, ascending; none where only one length of training is recorded."""
        return (*(epochs for epochs, _ in self.fidelity), self.epochs) if self.epochs and self.fidelity else ()

    def open(self, space: Space, task: Task, seeds: Seeds) -> TableEstimator:
        """Read the validation columns (from memory, if this process has read the same file before).

        Raises:
            DataMissing: the file is not there.
            TableError: it cannot be used; names row and column. Or it ships with the package, for another task.
        """
        self._check_task(task)
        return TableEstimator(recorded(stamp(self.path), self, KnownRecord(space)))

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

    def metric(self, task: Task) -> Metric:
        """An error rate where scores are accuracies or in percent; what else is recorded only its owner knows."""
        return Metric(share=self.table.higher_is_better or self.table.percent)

    def check(self, space: Space, task: Task) -> None:
        """Raise StudyError where no architecture could be a row; see `Table.check`."""
        check_finite(space)

    def checksum(self) -> str:
        """SHA-256 of the file, and of the joined one. Raises DataMissing."""
        return self.table.checksum()

    def try_out(self, space: Space, task: Task) -> None:
        """Read the test columns as `open` does, and keep none of them. Raises what that raises."""
        if self.table.path not in SHIPPED:
            verdicts.__wrapped__(*self._files(), self.table, KnownRecord(space))

    def open(self, space: Space, task: Task, seeds: Seeds) -> TestLookup:
        """Read the test columns. Raises DataMissing, TableError."""
        return verdicts(*self._files(), self.table, KnownRecord(space))

    def _files(self) -> tuple[Stamp, Stamp | None]:
        join = self.table.join
        return stamp(self.table.path), stamp(join.path) if join else None


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


def as_join(given: Any) -> Join | None:
    """A join as a study file writes it. Raises StudyError where `path` or `on` is missing."""
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
