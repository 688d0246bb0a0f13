"""Importing NAS-Bench-101's TFRecord: trainings of 4, 12, 36 and 108 epochs, three of each, with half-way values."""

from __future__ import annotations

import base64
import binascii
import json
import math
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchbench.errors import SpaceError, TableError
from searchbench.spaces.graphs.nasbench101 import from_matrix, nasbench101
from searchbench.spaces.space import Space
from searchbench.tables.file import stamp
from searchbench.tables.importing import Content
from searchbench.tables.table import Table
from searchbench.tables.tfrecord import fields, records

EPOCHS = (4, 12, 36, 108)
REPEATS = 3
MOMENTS = tuple(moment for epochs in EPOCHS for moment in (epochs // 2, epochs))
"""Epochs at which accuracies are kept: the middle and the end of each training."""


@dataclass(frozen=True, slots=True)
class RecordedMoment:
    """One evaluation within a training."""

    epoch: float = 0.0
    train_s: float = 0.0
    validation: float = math.nan
    test: float = math.nan


def from_nasbench101(path: str, partial: bool = False) -> Content:
    """NAS-Bench-101's ``nasbench_full.tfrecord`` or ``nasbench_only108.tfrecord``; read in a stream.

    Accuracies at 2, 4, 6, 12, 18, 36 and 54 epochs are lower fidelities: ends and middles of trainings with learning
    rates of their own, so each is charged in full. Seconds are the mean of the recorded full trainings.

    Args:
        path: the file.
        partial: whether cells may be missing. A whole file holds 423,624, which is checked by their number.

    Raises:
        DataMissing: there is no such file.
        TableError: a record is damaged, of an unknown operation, doubled, or not what its hash says.
    """
    place, space = Path(stamp(path)[0]), nasbench101()
    texts: dict[str, str] = {}
    held: dict[str, array[float]] = {}
    counts: dict[tuple[str, int], int] = {}
    for number, record in enumerate(records(place), start=1):
        where = f"table {place}, record {number}"
        key, epochs, adjacency, operations, metrics = _parsed(where, record)
        if key not in texts:
            texts[key] = _notation(where, space, key, adjacency, operations)
            held[key] = array("d", [math.nan]) * (2 * len(MOMENTS) * REPEATS + REPEATS + 1)
        repeat = counts.get((key, epochs), 0)
        if repeat == REPEATS:
            raise TableError(f"{where}: cell {key} already has {REPEATS} trainings of {epochs} epochs.")
        counts[key, epochs] = repeat + 1
        _keep(where, held[key], epochs, repeat, metrics)
    if not texts:
        raise TableError(f"table {place} holds no record; is it NAS-Bench-101's own file?")
    if not partial and len(texts) != 423_624:
        told = f"table {place} holds {len(texts):,} cells of the 423,624; complete it, or import it with"
        raise TableError(f"{told} `partial=True`.", command=f"{told} `--partial`.")
    block = np.array([held[key] for key in texts])
    return _content(path, place, space, list(texts.values()), block)


def _parsed(where: str, record: bytes) -> tuple[str, int, str, list[str], bytes]:
    try:
        key, epochs, adjacency, operations, metrics = json.loads(record)
        decoded = base64.b64decode(metrics, validate=True)
        found = str(key), int(epochs), str(adjacency), str(operations).split(","), decoded
    except (ValueError, TypeError, binascii.Error) as error:
        raise TableError(
            f"{where}: hash, epochs, adjacency, operations and metrics are needed, but {error}."
        ) from error
    if found[1] not in EPOCHS:
        raise TableError(f"{where}, column `epochs`: must be one of {EPOCHS}, but is {epochs!r}.")
    return found


def _notation(where: str, space: Space, key: str, adjacency: str, operations: list[str]) -> str:
    """The space's notation of a cell, whose hash must be the recorded one."""
    side = len(operations)
    if len(adjacency) != side * side or not set(adjacency) <= {"0", "1"}:
        raise TableError(f"{where}, column `adjacency`: {side * side} digits of 0 and 1 are needed, not {adjacency!r}.")
    if operations[0] != "input" or operations[-1] != "output":
        raise TableError(f"{where}, column `operations`: input first and output last are needed, not {operations}.")
    matrix = [[int(digit) for digit in adjacency[at : at + side]] for at in range(0, side * side, side)]
    try:
        architecture = from_matrix(space, matrix, operations[1:-1])
    except SpaceError as error:
        raise TableError(f"{where}, column `operations`: {error}") from error
    if architecture.key != key:
        raise TableError(f"{where}, column `hash`: the cell's is {architecture.key}, but {key} is recorded.")
    return str(architecture)


def _keep(where: str, row: array[float], epochs: int, repeat: int, metrics: bytes) -> None:
    try:
        moments, params = _metrics(metrics)
    except (ValueError, TypeError) as error:
        raise TableError(f"{where}, column `metrics`: {error}.") from error
    if not any(round(moment.epoch) == epochs for moment in moments):
        raise TableError(f"{where}, column `metrics`: holds no evaluation after {epochs} epochs.")
    for moment in moments:
        epoch = round(moment.epoch)
        if epoch not in (epochs // 2, epochs):
            continue  # the untrained network
        at = 2 * REPEATS * (2 * EPOCHS.index(epochs) + (epoch == epochs)) + repeat
        for name, value in (("validation", moment.validation), ("test", moment.test)):
            if not 0 <= value <= 1:
                raise TableError(f"{where}, column `{name}`: an accuracy must lie in [0, 1], but is {value:g}.")
        row[at], row[at + REPEATS] = moment.validation, moment.test
        if epoch == EPOCHS[-1]:
            row[2 * len(MOMENTS) * REPEATS + repeat] = moment.train_s
    row[-1] = params


def _metrics(message: bytes) -> tuple[list[RecordedMoment], float]:
    """The evaluations of a training, and the number of parameters, of the benchmark's `ModelMetrics`."""
    moments, params = [], 0.0
    for number, value in fields(message):
        if number == 1 and isinstance(value, bytes):
            given = dict(fields(value))
            epoch, train_s, validation, test = (_double(given.get(n, math.nan)) for n in (1, 2, 4, 5))
            moments.append(RecordedMoment(epoch, train_s, validation, test))
        elif number == 2:
            params = _double(value)
    return moments, params


def _double(value: int | float | bytes) -> float:
    if isinstance(value, bytes):
        raise ValueError("a number is needed, but a field holds bytes")
    if not math.isfinite(value):
        raise ValueError(f"a number is needed, but a field is missing or {value}")
    return float(value)


def _content(path: str, place: Path, space: Space, texts: list[str], block: Any) -> Content:
    columns: dict[str, Any] = {"architecture": texts}
    fidelity = []
    for at, epoch in enumerate(MOMENTS):
        first = 2 * REPEATS * at
        full = epoch == EPOCHS[-1]
        names = tuple(f"validation_{i}" if full else f"epochs_{epoch}_{i}" for i in range(REPEATS))
        if np.isnan(block[:, first : first + REPEATS]).all():
            continue
        columns |= {name: block[:, first + i] for i, name in enumerate(names)}
        if full:
            columns |= {f"test_{i}": block[:, first + REPEATS + i] for i in range(REPEATS)}
        else:
            fidelity.append((float(epoch), names))
    last = 2 * len(MOMENTS) * REPEATS
    if "validation_0" not in columns:
        raise TableError(f"table {place} holds no training of {EPOCHS[-1]} epochs.")
    recorded = block[:, last : last + REPEATS]
    present = np.maximum((~np.isnan(recorded)).sum(axis=1), 1)
    columns["seconds"], columns["params"] = np.nansum(recorded, axis=1) / present, block[:, -1]
    names = tuple(f"validation_{i}" for i in range(REPEATS))
    tests = tuple(f"test_{i}" for i in range(REPEATS))
    table = Table(
        path,
        validation=names,
        test=tests,
        fidelity=tuple(fidelity),
        epochs=float(EPOCHS[-1]),
        seconds="seconds",
        params="params",
        partial=True,
        curve=False,
    )  # partial: points of the space without a way from input to output are no cells
    return Content(columns, space, table, path)
