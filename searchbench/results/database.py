"""How the store's database is opened, made and brought up to date.

SQLite in WAL mode with `synchronous = NORMAL`: a commit is handed to the operating system, so a process killed at any
moment loses only what it had not committed; a power cut may lose the last commits, but never damages the store
(https://www.sqlite.org/wal.html, "Performance Considerations"). A disk flush per run would buy nothing but waiting,
since a lost run is rerun bit for bit.
"""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchbench.errors import StoreError
from searchbench.results.location import Location, readable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BUSY_S = 30.0
"""How long a statement waits for another connection's transaction."""
PATIENCE_S = 60.0
"""How long a write waits for a server that does not answer: a restart must not end a study."""


def sqlalchemy_engine(location: Location, write: bool) -> Engine:
    """The engine of a store; connections are made when first used.

    Raises:
        StoreError: the URL's driver is not installed.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import StaticPool

    url = location.url
    sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {} if sqlite else {"pool_pre_ping": True}
    if sqlite:
        options["connect_args"] = {"timeout": BUSY_S, "check_same_thread": False}
    if sqlite and location.path is None:
        options["poolclass"] = StaticPool  # a database in memory lives as long as its one connection
    elif not sqlite and write:  # the one connection that writes is the one that holds the locks of its studies
        options |= {"pool_size": 1, "max_overflow": 0}
    elif sqlite and not write and location.path is not None:
        address, query = readable(location.path)
        url = url.set(database=address, query=query)
    try:
        engine = create_engine(url, **options)
    except ModuleNotFoundError as error:
        way_out = "pip install 'searchbench[postgresql]'" if url.get_backend_name() == "postgresql" else "install it"
        raise StoreError(f"the store `{location.shown}` needs the package `{error.name}`; {way_out}.") from None
    if sqlite:
        event.listen(engine, "connect", lambda connection, _: _set_up(connection, write))
        begin = "BEGIN IMMEDIATE" if write else "BEGIN"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _set_up(connection: Any, write: bool) -> None:
    connection.isolation_level = None  # else Python's driver commits around every CREATE TABLE
    connection.execute("PRAGMA synchronous = NORMAL")
    if not write:
        connection.execute("PRAGMA query_only = ON")


def opened(location: Location, write: bool) -> Engine:
    """The engine of a store of the present schema: made where the store is empty, migrated where it is older.

    What is opened for reading is never changed: an older file is read through a copy that is brought up to date.

    Raises:
        StoreError: the store is foreign, newer or damaged; or it is empty, or an older one on a server, and opened
            for reading only.
    """
    engine = sqlalchemy_engine(location, write)
    try:
        older = bring_up_to_date(location, engine, write)
    except BaseException:
        engine.dispose()
        raise
    if not older:
        return engine
    try:
        return sqlalchemy_engine(_newer_copy(engine), write=False)
    finally:
        engine.dispose()


def _newer_copy(engine: Engine) -> Location:
    """A temporary copy of an SQLite store, of the present schema."""
    folder = Path(tempfile.mkdtemp(prefix="searchbench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = Location.parse(folder / "store.db")
    with closing(engine.raw_connection()) as source, closing(sqlite3.connect(folder / "store.db")) as target:
        source.driver_connection.backup(target)  # type: ignore[union-attr]
    migrating = sqlalchemy_engine(copy, write=True)
    try:
        bring_up_to_date(copy, migrating, write=True)
    finally:
        migrating.dispose()
    return copy


def bring_up_to_date(location: Location, engine: Engine, write: bool) -> bool:
    """Make the tables of an empty store, or migrate those of an older one.

    Returns:
        Whether it is an older file that was opened for reading, and stays as it is.

    Raises:
        StoreError: the store is foreign or newer; or it would have to be changed, but is opened for reading only and
            cannot be copied.
    """
    from searchbench.results import schema

    version = _version(location, engine)
    if version is not None and version > schema.SCHEMA_VERSION:
        raise StoreError(
            f"the store `{location.shown}` has schema version {version}, newer than this searchbench knows "
            f"({schema.SCHEMA_VERSION}); upgrade searchbench."
        )
    if version != schema.SCHEMA_VERSION:
        if not write and version is not None and location.path is not None:
            return True
        if not write:
            state = "holds no tables yet" if version is None else f"has the older schema version {version}"
            raise StoreError(f"the store `{location.shown}` {state}; `searchbench run` brings it up to date.")
        _change(engine)
    if write:
        schema.digests.create(engine, checkfirst=True)  # a store that was made before there were any
    if write and location.path is not None:
        # Only now: the header that marks the file as ours must be in the file itself, not in its WAL.
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
    return False


def _change(engine: Engine) -> None:
    from sqlalchemy import func, inspect, select

    from searchbench.results import schema

    now = datetime.now(UTC).isoformat(timespec="seconds")
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # of several drivers that come first, one makes the tables
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({schema.APPLICATION_ID})")
        there = inspect(connection).has_table(schema.versions.name)
        version = connection.execute(select(func.max(schema.versions.c.version))).scalar() if there else None
        if version == schema.SCHEMA_VERSION:
            return
        if version is None:
            schema.create(connection, now)
        else:
            schema.migrate(connection, version, now)


def _version(location: Location, engine: Engine) -> int | None:
    """The schema version; None where the database is empty. Raises StoreError where it is of something else."""
    from sqlalchemy import func, inspect, select

    from searchbench.results.schema import versions

    tables = inspect(engine).get_table_names()
    if not tables:
        return None
    if versions.name not in tables:
        raise StoreError(f"`{location.shown}` is a database of something else; name another one.")
    with engine.connect() as connection:
        version = connection.execute(select(func.max(versions.c.version))).scalar()
    if not isinstance(version, int) or version < 1:
        raise StoreError(
            f"the store `{location.shown}` is damaged: it gives {version!r} for its schema version, which counts from "
            "1; take a copy of it that was made before, or `searchbench export` what another holds."
        )
    return version


def committed(engine: Engine, work: Callable[[Connection], None], stands: Callable[[Connection], bool]) -> None:
    """Do work in one transaction. A server that does not answer, as while it restarts, is waited for.

    Args:
        engine: of the store.
        work: what is written.
        stands: whether it is written already; asked only where an earlier try may have ended after its commit.
    """
    from sqlalchemy.exc import InterfaceError, OperationalError

    until = time.monotonic() + (0.0 if engine.dialect.name == "sqlite" else PATIENCE_S)
    tries = 0
    while True:
        try:
            with engine.begin() as connection:
                if not (tries and stands(connection)):
                    work(connection)
            return
        except (OperationalError, InterfaceError):
            tries += 1
            if time.monotonic() >= until:
                raise
            time.sleep(min(0.1 * 2**tries, 2.0))


DAMAGED = ("malformed", "decode", "corrupt")
"""What SQLite says of pages that are not as it wrote them."""


@contextmanager
def as_store_error(location: Location) -> Iterator[None]:
    """What a database says, in one line; a violated uniqueness is its caller's to explain."""
    from sqlalchemy.exc import DBAPIError, IntegrityError

    try:
        yield
    except IntegrityError:
        raise
    except UnicodeDecodeError as error:  # of a message in which SQLite quotes what it cannot read
        told = f"the store `{location.shown}` is damaged; `searchbench doctor --store {location.shown}` says what of it"
        raise StoreError(f"{told} can be saved.") from error
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        damaged = any(word in said[0] for word in DAMAGED)
        way = f"; `searchbench doctor --store {location.shown}` says what of it can be saved" if damaged else ""
        raise StoreError(f"the store `{location.shown}` cannot be used: {said[0].rstrip('.')}{way}.") from error
