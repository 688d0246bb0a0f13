"""Rows of mean ± std, a paper's own for example, to stand beside measured ones: reported, never ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from searchbench.errors import InputError
from searchbench.results.imported.finished import ReportedRow
from searchbench.results.imported.forms import is_summary, read_frame, reported
from searchbench.statistics.comparability import Key, Protocol, Row


def read_rows(path: Path) -> list[ReportedRow]:
    """Rows of a file: a `method` and a `mean` each, and what there is of `std`, `n`, `task`. Raises InputError."""
    frame = read_frame(path)
    if not is_summary(frame):
        raise InputError(f"`{path}` must hold rows with a `method` and a `mean` (also `std`, `n`, `task`), one a row.")
    return reported(frame, f"`{path}`")


def to_spec(rows: Sequence[ReportedRow], source: str) -> list[dict[str, Any]]:
    """The rows as a declaration keeps them."""
    return [
        {"strategy": r.strategy, "task": r.task, "mean": r.mean, "std": r.std, "n": r.n, "reference": source}
        for r in rows
    ]


def published(rows: Sequence[Mapping[str, Any]], metric: str) -> tuple[Row, ...]:
    """Declared rows as those of a table, marked as reported and unverified."""
    return tuple(
        Row(
            name=row["strategy"],
            key=Key(row["task"], metric, "", row["reference"], "", Protocol.REPORTED_UNVERIFIED, "as reported"),
            mean=row["mean"],
            std=row["std"],
            n=row["n"],
            source="reported",
            reference=row["reference"],
        )
        for row in rows
    )
