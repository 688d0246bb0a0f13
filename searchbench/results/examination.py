"""A store looked at closely: its pages, its runs against their trials and budgets, and what of it can be saved."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from searchbench.errors import StoreError
from searchbench.results.accounts import contradictions
from searchbench.results.columns import read_events
from searchbench.results.location import Location, readable
from searchbench.results.records import RunRecord, StudyRecord, Waiting
from searchbench.results.store import ResultStore, open_store, run_from_row, study_from_row

NAMED = 5
"""Contradictions that are told one by one."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One thing that was looked at in a store."""

    state: Literal["ok", "broken"]
    what: str
    told: str


@dataclass(frozen=True, slots=True)
class Saved:
    """What could be read of a damaged store."""

    studies: tuple[StudyRecord, ...]
    runs: tuple[RunRecord, ...]
    waiting: tuple[tuple[str, Waiting], ...]
    lost: int
    """Rows that are damaged."""

    def __str__(self) -> str:
        lost = f"; {self.lost} rows are damaged" if self.lost else ""
        return f"{len(self.runs)} runs of {len(self.studies)} declarations can be read{lost}"


def examine(where: str) -> Iterator[Looked]:
    """Look at a store closely.

    Raises:
        StoreError: there is no store.
    """
    path = _file(where)
    broken = [] if path is None else damaged_pages(path)
    if broken:
        yield Looked("broken", "pages", f"{len(broken)} damages, the first: {broken[0]}")
    elif path is not None:
        yield Looked("ok", "pages", "every page of the file and every index is whole")
    try:
        with open_store(where) as store:
            yield from _runs(store)
            whole = not broken
    except StoreError as error:
        yield Looked("broken", "content", str(error))
        whole = False
    if path is not None and not whole:
        way_out = f"`searchbench doctor --store {where} --save NEW.db` writes them to a new store"
        yield Looked("broken", "can be saved", f"{salvage(path)}; {way_out}")


def _file(where: str | Path) -> Path | None:
    """The file of a store; None for one on a server. Raises StoreError where there is none, or something else."""
    from searchbench.results.schema import APPLICATION_ID

    location = Location.parse(where)
    if location.path is not None and not location.exists(APPLICATION_ID):
        raise StoreError(f"there is no store `{location.shown}`.")
    return location.path


def damaged_pages(path: Path) -> list[str]:
    """What SQLite's own check of pages and indices finds; nothing where the file is whole."""
    try:
        with closing(_connection(path)) as connection:
            said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if said == ["ok"] else [line for told in said for line in told.splitlines()]


def salvage(path: Path) -> Saved:
    """Everything that can still be read of an SQLite store, row by row."""
    studies: list[StudyRecord] = []
    runs: list[RunRecord] = []
    waiting: list[tuple[str, Waiting]] = []
    lost = 0
    with closing(_connection(path)) as connection:
        connection.row_factory = sqlite3.Row
        for row in _each(connection, "studies", "id"):
            try:
                studies.append(study_from_row(dict(row or {})))
            except (StoreError, KeyError):
                lost += 1
        recordings = {row["run"]: row for row in _each(connection, "recordings", "run") if row is not None}
        for row in _each(connection, "runs", "id"):
            try:
                recording = recordings[row["id"]] if row is not None else {}
                run = run_from_row({**dict(row or {}), "trials": recording["trials"], "traces": recording["traces"]})
                read_events(run.trials)
                runs.append(run)
            except (StoreError, KeyError, ValueError, TypeError):
                lost += 1
        for row in _each(connection, "waiting", "rowid"):
            if row is not None:
                values = dict(row)
                study = values.pop("study")
                values.pop("rowid", None)
                waiting.append((study, Waiting(**values)))
    return Saved(tuple(studies), tuple(runs), tuple(waiting), lost)


def save(path: Path, out: Path) -> Saved:
    """Write what can be read of a damaged store to a new one.

    Raises:
        StoreError: there is no such store, or there is a file at `out` already.
    """
    _file(path)
    if out.exists():
        raise StoreError(f"`{out}` is there already; name another file.")
    found = salvage(path)
    with open_store(out, write=True) as store:
        for study in found.studies:
            store.add_study(study)
        for run in found.runs:
            store.add_run(run)
        for study_name, search in found.waiting:
            store.add_waiting(study_name, [search])
    return found


def _each(connection: sqlite3.Connection, table: str, key: str) -> Iterator[Any]:
    """Every row of a table, one by one, so that a damaged page costs its own rows alone: None for such a row."""
    try:
        keys = [row[0] for row in connection.execute(f"SELECT {key} FROM {table}")]
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):  # an older schema
            return
        keys = _keys_by_number(connection, table, key)
    for number in keys:
        try:
            row = connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", (number,)).fetchone()
        except sqlite3.DatabaseError:
            row = None
        yield row


def _keys_by_number(connection: sqlite3.Connection, table: str, key: str) -> list[int]:
    """Keys to ask for one by one, where a scan for them ends in a damaged page."""
    try:
        (last,) = connection.execute(f"SELECT max({key}) FROM {table}").fetchone()
    except sqlite3.DatabaseError:
        return []
    return list(range(1, (last or 0) + 1))


def _connection(path: Path) -> sqlite3.Connection:
    address, query = readable(path)
    options = "&".join(f"{name}={value}" for name, value in query.items() if name != "uri")
    connection = sqlite3.connect(f"{address}?{options}", uri=True)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _runs(store: ResultStore) -> Iterator[Looked]:
    count, found = 0, list[str]()
    for study in store.studies():
        revisions = [revision.declared for revision in store.revisions(study.name)]
        planned = {entry.get("run_id") for declared in revisions for entry in declared.get("planned", ())}
        runs = store.runs(study.name)
        count += len(runs)
        for run in runs:
            named = f"{run.strategy} / {run.problem} / seed {run.replicate} of study `{study.name}`"
            if planned and run.run_id not in planned:
                found.append(f"{named}: no declaration plans it")
            try:
                found += [f"{named}: {one}" for one in contradictions(run.trials, run.cost, json.loads(run.budget))]
            except (ValueError, TypeError) as error:
                found.append(f"{named}: {error}")
    if found:
        more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
        yield Looked("broken", "runs", "; ".join(found[:NAMED]) + more)
    else:
        yield Looked("ok", "runs", f"{count} runs agree with their trials, their totals and their budgets")
