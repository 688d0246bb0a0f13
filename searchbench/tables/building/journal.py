"""The journal of a table in the making: finished trainings, a transaction per stack, so that nothing is done twice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from searchbench.errors import TableError

if TYPE_CHECKING:  # it imports torch
    from searchbench.tables.building.training import TrainedRow

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (fingerprint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trainings (
    architecture TEXT NOT NULL, repeat INTEGER NOT NULL, row TEXT NOT NULL, PRIMARY KEY (architecture, repeat)
);
"""


class BuildJournal:
    """An SQLite file. The driver is its only writer; killed at any moment, it loses what was in flight.

    Args:
        path: of the file; made where there is none.
        fingerprint: of the plan.

    Raises:
        TableError: the file is no journal, or one of another plan.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path)
        try:
            self._begin(fingerprint)
        except BaseException:
            self._database.close()
            raise

    def _begin(self, fingerprint: str) -> None:
        try:
            self._database.executescript(_SCHEMA)
            known = self._database.execute("SELECT fingerprint FROM about").fetchone()
        except sqlite3.DatabaseError as error:
            raise TableError(f"{self.path} is not the journal of a table ({error}); name another file.") from error
        if known is None:
            with self._database:
                self._database.execute("INSERT INTO about VALUES (?)", (fingerprint,))
        elif known[0] != fingerprint:
            raise TableError(
                f"{self.path} holds trainings of another recipe or other data (fingerprint {known[0]}, now "
                f"{fingerprint}), which may not stand in one table; remove it, or build into another file."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()

    def add(self, rows: Sequence[TrainedRow]) -> None:
        """Record a finished stack."""
        values = [(row.architecture, row.repeat, json.dumps(astuple(row)[2:])) for row in rows]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO trainings VALUES (?, ?, ?)", values)

    def finished(self) -> set[tuple[str, int]]:
        """(architecture, repeat) of every training recorded."""
        return set(self._database.execute("SELECT architecture, repeat FROM trainings"))

    def rows(self) -> Iterator[tuple[str, int, list[Any]]]:
        """Every training: architecture, repeat, and [train, valid, test, loss, seconds]."""
        for architecture, repeat, row in self._database.execute("SELECT * FROM trainings"):
            yield architecture, repeat, json.loads(row)
