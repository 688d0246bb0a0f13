"""How the store's database is opened, made and brought up to date.

SQLite in WAL mode with `synchronous = NORMAL`: a commit is handed to the operating system, so a process killed at any
moment loses only what it had not committed; a power cut may lose the last commits, but never damages the store
(https://www.sqlite.org/wal.html, "Performance Considerations"). A disk flush per run would buy nothing but waiting,
since a lost run is rerun bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from searchbench.errors import StoreError
from searchbench.results.location import Location, readable

if TYPE_CHECKING:
    from sqlalchemy import Engine

BUSY_S = 30.0
"""How long a statement waits for another connection's transaction."""


def sqlalchemy_engine(location: Location, write: bool) -> Engine:
    """The engine of a store; connections are made when first used.

    Raises:
        StoreError: the URL's driver is not installed.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import StaticPool

    url = location.url
    sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {}
    if sqlite:
        options["connect_args"] = {"timeout": BUSY_S, "check_same_thread": False}
    if sqlite and location.path is None:
        options["poolclass"] = StaticPool  # a database in memory lives as long as its one connection
    elif sqlite and not write and location.path is not None:
        address, query = readable(location.path)
        url = url.set(database=address, query=query)
    try:
        engine = create_engine(url, **options)
    except ModuleNotFoundError as error:
        raise StoreError(f"the store `{location.shown}` needs the package `{error.name}`; install it.") from None
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


def bring_up_to_date(location: Location, engine: Engine, write: bool) -> None:
    """Make the tables of an empty store, or migrate those of an older one.

    Raises:
        StoreError: the store is foreign or newer; or it would have to be changed, but is opened for reading only.
    """
    from searchbench.results import schema

    version = _version(location, engine)
    if version is not None and version > schema.SCHEMA_VERSION:
        raise StoreError(
            f"the store `{location.shown}` has schema version {version}, newer than this searchbench knows "
            f"({schema.SCHEMA_VERSION}); upgrade searchbench."
        )
    if version != schema.SCHEMA_VERSION:
        if not write:
            state = "holds no tables yet" if version is None else f"has the older schema version {version}"
            raise StoreError(f"the store `{location.shown}` {state}; `searchbench run` brings it up to date.")
        _change(engine, version)
    if write and location.path is not None:
        # Only now: the header that marks the file as ours must be in the file itself, not in its WAL.
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = WAL")


def _change(engine: Engine, version: int | None) -> None:
    from searchbench.results import schema

    now = datetime.now(UTC).isoformat(timespec="seconds")
    with engine.begin() as connection:
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


@contextmanager
def as_store_error(location: Location) -> Iterator[None]:
    """What a database says, in one line; a violated uniqueness is its caller's to explain."""
    from sqlalchemy.exc import DBAPIError, IntegrityError

    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise StoreError(f"the store `{location.shown}` cannot be used: {said[0]}.") from error
