"""Importing NAS-Bench-201 and NATS-Bench, by the benchmark's protocol of what a search may see and what judges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from searchbench.errors import StudyError, TableError, did_you_mean
from searchbench.spaces.chains.nats_sizes import nats_sizes
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.tables.importing import Content
from searchbench.tables.nats_files import NatsEntry, RecordedTraining, entries
from searchbench.tables.table import Table

SETS = {
    "cifar10": (("cifar10-valid", "x-valid"), ("cifar10", "ori-test")),
    "cifar100": (("cifar100", "x-valid"), ("cifar100", "x-test")),
    "ImageNet16-120": (("ImageNet16-120", "x-valid"), ("ImageNet16-120", "x-test")),
}
"""Data set -> (training and its evaluation set that a search may see, those of the judge)."""
REPEATS = 3


def from_nats(path: str, data: str, recipe: int | None = None, partial: bool = False) -> Content:
    """NAS-Bench-201's pickle, or NATS-Bench's: a ``-simple`` folder, its tar, or the whole file; topology or sizes.

    By the full recipe (200 epochs, 90 for sizes) lower fidelities are the shorter recipes, separate trainings. By a
    shorter recipe they are its recorded epochs, a curve; the judge stays with the full recipe's test accuracy.

    Args:
        path: file or folder.
        data: cifar10, cifar100 or ImageNet16-120.
        recipe: epochs of the recipe that counts as full; None takes the longest.
        partial: whether architectures may be missing.

    Raises:
        StudyError: there is no such data set.
        DataMissing, TableError: a file is missing, damaged, refused, or lacks the recipe.
    """
    if data not in SETS:
        raise StudyError(f"NATS-Bench has no data set `{data}`; {did_you_mean(data, SETS)}")
    rows = [_row(entry, data, recipe) for entry in entries(path)]
    epochs = {row["epochs"] for row in rows}
    if len(epochs) != 1:
        raise TableError(f"table {path}: the full recipe must be the same for all, but there are {sorted(epochs)}.")
    full = float(epochs.pop())
    names = list(dict.fromkeys(name for row in rows for name in row if name not in ("epochs", "architecture")))
    columns: dict[str, Any] = {"architecture": [row["architecture"] for row in rows]}
    columns |= {name: np.array([row.get(name, math.nan) for row in rows]) for name in names}
    lower = sorted({float(name.split("_")[1]) for name in names if name.startswith("epochs_")})
    table = Table(
        path,
        validation=_like(names, "validation_"),
        test=_like(names, "test_"),
        fidelity=tuple((e, _like(names, f"epochs_{e:g}_")) for e in lower),
        epochs=full,
        seconds="seconds",
        params="params",
        macs="macs",
        percent=True,
        partial=partial,
        curve=recipe is not None,
    )
    space = nats_sizes() if ":" in columns["architecture"][0] else nasbench201()
    return Content(columns, space, table, _source(path))


def _like(names: Sequence[str], prefix: str) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name.startswith(prefix)))


def _source(path: str) -> str:
    """The file whose checksum stands for the source: of a folder, its list of architectures."""
    place = Path(path).expanduser()
    return str(place / "meta.pickle.pbz2") if place.is_dir() else str(place)


def _row(entry: NatsEntry, data: str, recipe: int | None) -> dict[str, Any]:
    """The cells of one architecture, by column."""
    seen, judged = SETS[data]
    longest = max(entry.trainings, key=int)
    searched = longest if recipe is None else str(recipe)
    if searched not in entry.trainings:
        raise TableError(
            f"row {entry.index + 1} ({entry.notation}) records no recipe of {searched} epochs; it records "
            f"{', '.join(sorted(entry.trainings, key=int))}."
        )
    trainings = _of(entry.trainings[searched], seen[0])
    row: dict[str, Any] = {"architecture": entry.notation, "epochs": int(searched)}
    row |= _cells("validation", trainings, seen[1], None)
    row |= _cells("test", _of(entry.trainings[longest], judged[0]), judged[1], None)
    if recipe is None:
        for name, others in entry.trainings.items():
            if name != longest:
                row |= _cells(f"epochs_{int(name)}", _of(others, seen[0]), seen[1], None)
    else:
        for epoch in range(1, int(searched)):
            row |= _cells(f"epochs_{epoch}", trainings, seen[1], epoch)
    if not any(name.startswith("validation_") for name in row):
        raise TableError(f"row {entry.index + 1} ({entry.notation}), column `{seen[1]}`: no training of {seen[0]}.")
    row["seconds"] = float(np.mean([training.train_s + training.valid_s for training in trainings]))
    row["params"], row["macs"] = trainings[0].params_m * 1e6, trainings[0].macs_m * 1e6
    return row


def _of(trainings: Sequence[RecordedTraining], data: str) -> list[RecordedTraining]:
    """Records of one data set, in the order of their seeds."""
    return sorted((training for training in trainings if training.data == data), key=lambda training: training.seed)


def _cells(column: str, trainings: Sequence[RecordedTraining], name: str, epoch: int | None) -> Mapping[str, float]:
    """Accuracy after `epoch` epochs (None: the last), one cell per repeat that records it."""
    return dict(_recorded(column, trainings, name, epoch))


def _recorded(
    column: str, trainings: Sequence[RecordedTraining], name: str, epoch: int | None
) -> Iterator[tuple[str, float]]:
    for repeat, training in enumerate(trainings[:REPEATS]):
        at = f"{name}@{(training.epochs if epoch is None else epoch) - 1}"
        if at in training.accuracies:
            yield f"{column}_{repeat}", training.accuracies[at]
