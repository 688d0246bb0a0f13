"""The result store: append-only, one writer, one transaction per finished run, any number of readers meanwhile.

How SQLite is set up, and why, stands in `database`.
"""

from __future__ import annotations

import json
import math
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from searchbench.errors import StoreError, did_you_mean
from searchbench.results.database import as_store_error, committed, opened
from searchbench.results.location import Location, identity, writing
from searchbench.results.locks import Claims, on_server
from searchbench.results.records import CheckRecord, RunRecord, StudyRecord, Waiting, cost_from_json, cost_to_json

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Connection, Engine, Select

    from searchbench.results.digests import Digest
    from searchbench.results.history import History


@dataclass(frozen=True, slots=True, eq=False)
class ResultStore:
    """An open store, from `open_store`, in a `with` or closed by `close`, or when it is no longer used.

    What is added is committed before the call returns.
    """

    location: Location
    engine: Engine
    lock: Claims | None = None
    writes: bool = False
    file: tuple[int, int] | None = None
    """What tells the file that was opened from another under its name."""
    closing: ExitStack = field(default_factory=ExitStack, repr=False)
    """What is given back at the end: the engine, and the lock of a writer."""

    def close(self) -> None:
        """Give the engine back, and the lock of a writer; a second time nothing happens."""
        self.closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()  # a store that was opened without `with` and is no longer used

    def claim(self, study: str) -> None:
        """Be the one writer of a study until the store is closed; a file has one writer for all of its studies.

        Raises:
            StoreError: another process is.
        """
        if self.lock is not None:
            with as_store_error(self.location):
                self.lock.tell(study)

    def add_study(self, study: StudyRecord) -> None:
        """Record a declaration; one that stands already is left alone.

        Raises:
            StoreError: that revision of the study stands with another declaration, or revisions are skipped.
        """
        from searchbench.results.schema import studies

        self.claim(study.name)
        standing = {s.revision: s for s in self.revisions(study.name)}
        if study.revision in standing:
            if standing[study.revision].spec != study.spec:
                raise StoreError(
                    f"the store already holds revision {study.revision} of study `{study.name}`, declared differently; "
                    f"a changed study is revision {max(standing) + 1}, or give it another name."
                )
            return
        following = max(standing, default=0) + 1
        if study.revision != following:
            raise StoreError(f"the next revision of study `{study.name}` is {following}, but got {study.revision}.")
        row = {name: getattr(study, name) for name in ("name", "revision", "created", "spec")}
        row["provenance"] = json.dumps(dict(study.provenance))
        same = (studies.c.name == study.name) & (studies.c.revision == study.revision)
        self._commit(lambda connection: connection.execute(studies.insert(), row), studies.select().where(same))

    def revisions(self, name: str) -> list[StudyRecord]:
        """Every declaration of a study, oldest first; none where it is unknown."""
        from searchbench.results.schema import studies

        query = studies.select().where(studies.c.name == name).order_by(studies.c.revision)
        return [study_from_row(row) for row in self._rows(query)]

    def history(self, name: str | None = None) -> History:
        """A study's declarations and what was known when each was made; without a name, of the one declared last.

        Raises:
            StoreError: there is none (of that name).
        """
        from searchbench.results.history import History

        study = self.study(name)
        ends = {row["run_id"]: row["finished"] for row in self._latest(study.name, columns=("run_id", "finished"))}
        return History.of(self.revisions(study.name), ends)

    def studies(self) -> list[StudyRecord]:
        """Every study as it was last declared, the one first declared first."""
        from searchbench.results.schema import studies

        latest = {row["name"]: study_from_row(row) for row in self._rows(studies.select().order_by(studies.c.id))}
        return list(latest.values())

    def study(self, name: str | None = None) -> StudyRecord:
        """A study as it was last declared; without a name, the one declared last.

        Raises:
            StoreError: there is none (of that name).
        """
        from searchbench.results.schema import studies

        if name is not None:
            known = {s.name: s for s in self.studies()}
            if name not in known:
                raise StoreError(f"no study `{name}` in `{self.location.shown}`; {did_you_mean(name, known)}")
            return known[name]
        rows = self._rows(studies.select().order_by(studies.c.id.desc()).limit(1))
        if not rows:
            raise StoreError(f"the store `{self.location.shown}` holds no study yet; run one into it.")
        return study_from_row(rows[0])

    def add_run(self, run: RunRecord) -> None:
        """Record a finished run, in one transaction; its search awaits no verdict any more.

        Raises:
            StoreError: the run has a result already. One that the infrastructure lost may be recorded again, and one
                that was run again on request under the next `retry`.
        """
        from sqlalchemy.exc import IntegrityError

        from searchbench.results.schema import digests, recordings, runs, waiting

        short = _digested(run.trials, run.traces)

        def insert(connection: Connection) -> None:
            result = connection.execute(runs.insert(), _run_row(run))
            key = next(iter(result.inserted_primary_key or ()))
            connection.execute(recordings.insert(), {"run": key, "trials": run.trials, "traces": run.traces})
            if short is not None:
                connection.execute(digests.insert(), {"run": key, "digest": short.to_json()})
            connection.execute(waiting.delete().where(waiting.c.run_id == run.run_id))

        same = (runs.c.run_id == run.run_id) & (runs.c.retry == run.retry) & (runs.c.finished == run.finished)
        try:
            self._commit(insert, runs.select().where(same))
        except IntegrityError:
            raise StoreError(f"run `{run.run_id}` of study `{run.study}` has a result already.") from None

    def add_waiting(self, study: str, searches: Iterable[Waiting]) -> None:
        """Keep finished searches until they are judged, all of them in one transaction."""
        from searchbench.results.schema import waiting

        rows = [{name: getattr(search, name) for name in Waiting.__slots__} | {"study": study} for search in searches]
        if not rows:
            return

        def insert(connection: Connection) -> None:
            connection.execute(waiting.delete().where(waiting.c.run_id.in_([row["run_id"] for row in rows])))
            connection.execute(waiting.insert(), rows)

        self._commit(insert)

    def waiting(self, study: str) -> list[Waiting]:
        """The finished searches of a study that await their verdict."""
        from searchbench.results.schema import waiting

        rows = self._rows(waiting.select().where(waiting.c.study == study).order_by(waiting.c.run_id))
        return [Waiting(**{name: row[name] for name in Waiting.__slots__}) for row in rows]

    def key(self) -> bytes:
        """What signs the checkpoints of this store's runs: 32 bytes, drawn when first asked for.

        Raises:
            StoreError: none was drawn yet, and the store is open for reading only.
        """
        from sqlalchemy import inspect

        from searchbench.results.schema import keys

        def draw(connection: Connection) -> None:
            keys.create(connection, checkfirst=True)
            connection.execute(keys.insert(), {"id": 1, "key": secrets.token_bytes(32)})

        if not inspect(self.engine).has_table(keys.name) or not self._rows(keys.select()):
            self._commit(draw, keys.select())
        return bytes(self._rows(keys.select())[0]["key"])

    def copy(self, to: Path) -> None:
        """Copy a store on disk, as this process still sees it, to a file that is not there; its file may be gone.

        Raises:
            StoreError: it cannot be read, or the copy cannot be written.
        """
        try:
            with closing(self.engine.raw_connection()) as source, closing(sqlite3.connect(to)) as target:
                source.driver_connection.backup(target)  # type: ignore[union-attr]
        except sqlite3.Error as error:
            to.unlink(missing_ok=True)
            raise StoreError(f"the store `{self.location.shown}` cannot be copied: {error}.") from error

    def add_check(self, check: CheckRecord) -> None:
        """Record what became of a check. Raises StoreError where the store is open for reading only."""
        from searchbench.results.schema import checks

        row = {name: getattr(check, name) for name in ("study", "kind", "made", "said")} | {"passed": int(check.passed)}

        def insert(connection: Connection) -> None:
            checks.create(connection, checkfirst=True)
            connection.execute(checks.insert(), row)

        self._commit(insert, checks.select().where(checks.c.study == check.study, checks.c.made == check.made))

    def checks(self, study: str) -> list[CheckRecord]:
        """The checks of a study's results, oldest first."""
        from sqlalchemy import inspect

        from searchbench.results.schema import checks

        if not inspect(self.engine).has_table(checks.name):
            return []
        rows = self._rows(checks.select().where(checks.c.study == study).order_by(checks.c.id))
        return [CheckRecord(r["study"], r["kind"], bool(r["passed"]), r["said"], r["made"]) for r in rows]

    def run_ids(self, study: str, *, statuses: Iterable[str] | None = None) -> list[str]:
        """Ids of a study's recorded runs in order of recording, optionally only of those that ended in `statuses`."""
        rows = self._latest(study, columns=("run_id", "status"))
        wanted = None if statuses is None else set(statuses)
        return [row["run_id"] for row in rows if wanted is None or row["status"] in wanted]

    def runs(self, study: str, *, recordings: bool = True) -> list[RunRecord]:
        """A study's runs in order of recording. Without `recordings` their trials are left empty, traces None."""
        return [run_from_row(row) for row in self._each(self._of_runs(study, recorded=recordings))]

    def digests(self, study: str) -> dict[str, Digest]:
        """What boards ask of the recordings of a study's runs, by run id.

        Raises:
            StoreError: a recording that has no digest cannot be read.
        """
        from sqlalchemy import inspect, select

        from searchbench.results.digests import digest, digests_from_json
        from searchbench.results.schema import digests, recordings, runs

        latest = self._latest(study, columns=("id", "run_id"))
        there = inspect(self.engine).has_table(digests.name)
        mine = select(runs.c.id).where(runs.c.study == study)
        kept = self._rows(digests.select().where(digests.c.run.in_(mine))) if there else []
        with damage(f"a digest of study `{study}`"):
            read = dict(zip([r["run"] for r in kept], digests_from_json(r["digest"] for r in kept), strict=True))
        for row in latest:
            if row["id"] not in read:
                with damage(f"run `{row['run_id']}`"):
                    (own,) = self._rows(recordings.select().where(recordings.c.run == row["id"]))
                    read[row["id"]] = digest(own["trials"], own["traces"])
        return {row["run_id"]: read[row["id"]] for row in latest}

    def run(self, run_id: str) -> RunRecord:
        """One run with its recording.

        Raises:
            StoreError: there is no such run.
        """
        rows = self._latest(run_id=run_id, recorded=True)
        if not rows:
            said = f"no run `{run_id}` in `{self.location.shown}`"
            raise StoreError(
                f"{said}; `run_ids(study)` lists those of a study.",
                command=f"{said}; `searchbench status` lists its studies.",
            )
        return run_from_row(rows[0])

    def rows(self, study: str) -> list[dict[str, Any]]:
        """A study's runs as the store keeps them, recordings with them: plain columns, from which `add_row` makes the
        same runs in another store."""
        return [{name: row[name] for name in row if name != "id"} for row in self._latest(study, recorded=True)]

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Record a run from the columns that `rows` gave. Raises StoreError as `add_run` does."""
        self.add_run(run_from_row(row))

    def trials(self, run_id: str) -> pd.DataFrame:
        """The trials of one run, a row each; the columns of `columns.read_trials`."""
        from searchbench.results.columns import read_trials

        with damage(f"run `{run_id}`"):
            return read_trials(self.run(run_id).trials).to_pandas()

    def trace(self, run_id: str) -> pd.DataFrame:
        """What a run's search logged about itself, a row for each line in the order it was logged; no rows where it
        logged nothing.

        Columns: `line`, `spent_<axis>`, and one per logged name (`epoch`, `train_loss`, `valid_accuracy` …), NaN or
        None where a line lacks it. A list of numbers is an array in its cell, lists by name are a dict of arrays.
        """
        import pandas as pd

        from searchbench.results.columns import read_traces

        with damage(f"the log of run `{run_id}`"):
            table = read_traces(self.run(run_id).traces)
            return pd.DataFrame({"line": []}) if table is None else table.to_pandas()

    def frame(self, study: str | None = None) -> pd.DataFrame:
        """A study's runs, a row each; see `frames.run_frame`."""
        from searchbench.results.frames import run_frame

        return run_frame(self.runs(self.study(study).name, recordings=False))

    def _latest(
        self,
        study: str | None = None,
        *,
        run_id: str | None = None,
        columns: Iterable[str] | None = None,
        recorded: bool = False,
    ) -> list[dict[str, Any]]:
        """Rows of runs, the last recorded of each id, in order of recording."""
        return self._rows(self._of_runs(study, run_id=run_id, columns=columns, recorded=recorded))

    def _of_runs(
        self,
        study: str | None = None,
        *,
        run_id: str | None = None,
        columns: Iterable[str] | None = None,
        recorded: bool = False,
    ) -> Select[Any]:
        from sqlalchemy import func, select

        from searchbench.results.schema import recordings, runs

        last = select(func.max(runs.c.id)).group_by(runs.c.run_id)
        last = last.where(runs.c.study == study) if run_id is None else last.where(runs.c.run_id == run_id)
        wanted = [runs.c[name] for name in columns or runs.c.keys()]
        query = select(*wanted).where(runs.c.id.in_(last)).order_by(runs.c.id)
        if recorded:
            query = query.add_columns(recordings.c.trials, recordings.c.traces).join(recordings)
        return query

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        return list(self._each(query))

    def _each(self, query: Select[Any]) -> Iterator[dict[str, Any]]:
        """Rows one by one, as they come."""
        with as_store_error(self.location), self.engine.connect() as connection:
            found = connection.execute(query)
            names = tuple(found.keys())
            for row in found:
                yield dict(zip(names, row, strict=True))

    def _commit(self, work: Callable[[Connection], object], same: Select[Any] | None = None) -> None:
        """Write in one transaction. `same`: finds what it writes, where that may be written once only."""
        if not self.writes:
            raise StoreError(f"the store `{self.location.shown}` was opened for reading only.")

        def checked(connection: Connection) -> None:
            work(connection)
            self.check_stands()

        def stands(connection: Connection) -> bool:
            return same is not None and connection.execute(same).first() is not None

        with as_store_error(self.location):
            committed(self.engine, checked, stands)

    def check_stands(self) -> None:
        """Raise StoreError where what is written goes into a file that nobody finds any more."""
        path = self.location.path
        if path is not None and identity(path) != self.file:
            raise StoreError(
                f"the store `{self.location.shown}` was deleted or replaced while it was being written; nothing more "
                "is written there."
            )


def open_store(where: str | Path, *, write: bool = False) -> ResultStore:
    """Open a store by path or URL; writing makes it where it is absent, and brings an older one up to date.

    Raises:
        StoreError: it is absent (reading), foreign, of a newer version, unwritable, or being written by another
            process; nothing on disk is changed then.
    """
    location = Location.parse(where)
    with ExitStack() as stack:
        lock: Claims | None = None
        if location.path is not None:
            lock = _prepare_file(location, write, stack)
        with as_store_error(location):
            engine = opened(location, write)
        stack.callback(engine.dispose)
        if write and location.path is None:
            lock = on_server(location, engine)
        file = None if location.path is None else identity(location.path)
        return ResultStore(location, engine, lock, write, file, stack.pop_all())


def _prepare_file(location: Location, write: bool, stack: ExitStack) -> Claims | None:
    from searchbench.results.schema import APPLICATION_ID

    assert location.path is not None
    exists = location.exists(APPLICATION_ID)
    if not write:
        if not exists:
            shown = location.shown
            absent = f"there is no store `{shown}`"
            raise StoreError(
                f"{absent}; `searchbench.run(study, {shown!r})` makes one.",
                command=f"{absent}; `searchbench run STUDY.toml --store {shown}` makes one.",
            )
        return None
    location.check_writable()
    return stack.enter_context(writing(location.path))


def study_from_row(row: Mapping[str, Any]) -> StudyRecord:
    """A declaration from its columns. Raises StoreError where they hold what no store was given."""
    with damage(f"study `{row['name']}`"):
        return StudyRecord(row["name"], row["spec"], row["created"], row["revision"], json.loads(row["provenance"]))


@contextmanager
def damage(what: str) -> Iterator[None]:
    """Values that no store was given are a StoreError: bits of the file have changed."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"{what} cannot be read; the store is damaged there: {error}.") from error


def _digested(trials: bytes, traces: bytes | None) -> Digest | None:
    """The digest of a recording; None of one that cannot be read, which whoever needs it is told then."""
    from searchbench.results.digests import digest

    try:
        return digest(trials, traces)
    except ValueError:
        return None


def _run_row(run: RunRecord) -> dict[str, Any]:
    """Columns of `runs`: what is not a plain value as JSON, NaN as NULL (SQLite knows no NaN)."""
    from searchbench.results.schema import runs

    row = {column.name: getattr(run, column.name) for column in runs.c if column.name != "id"}
    for name in ("value", "test_error"):
        row[name] = None if math.isnan(row[name]) else float(row[name])
    return row | {
        "cost": cost_to_json(run.cost),
        "judge_cost": cost_to_json(run.judge_cost),
        "test_metrics": json.dumps(dict(run.test_metrics)),
        "notes": json.dumps(list(run.notes), ensure_ascii=False),
    }


def run_from_row(row: Mapping[str, Any]) -> RunRecord:
    """A run from its columns. Raises StoreError where they hold what no store was given."""
    with damage(f"run `{row['run_id']}`"):
        values = {name: row[name] for name in row if name != "id"}
        for name in ("value", "test_error"):
            values[name] = math.nan if values[name] is None else values[name]
        values["cost"] = cost_from_json(values["cost"])
        values["judge_cost"] = cost_from_json(values["judge_cost"])
        values["test_metrics"] = json.loads(values["test_metrics"])
        values["notes"] = tuple(map(str, json.loads(values.get("notes", "[]"))))
        values.setdefault("trials", b"")
        return RunRecord.flat(**values)
