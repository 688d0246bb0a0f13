"""The tables of a result store, their version, and the steps from one version to the next.

No result is ever updated or deleted. A study's later declaration is a new revision; a run that the infrastructure lost
may be recorded again when it has been rerun, as may one that failed and was run again on request: the later row counts.
Only what waits is taken out: a finished search, in the transaction that records its run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA_VERSION = 2
"""Raise it with every change below, and add the step that leads to it to `MIGRATIONS`."""

APPLICATION_ID = 0x5EA2C4BE
"""In the header of an SQLite store, so that a foreign database is known for one without being opened."""

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself in an INTEGER key only

versions = Table(
    "searchbench_schema",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("since", Text, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("provenance", Text, nullable=False),
    UniqueConstraint("name", "revision"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("budget", Text, nullable=False),
    Column("replicate", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("ended", Text, nullable=False),
    Column("error", Text),
    Column("cost", Text, nullable=False),  # JSON: MACs of a long search exceed 64 bits
    Column("architecture", Text),
    Column("architecture_key", Text),
    Column("value", Float(53)),
    Column("test_status", Text),
    Column("test_error", Float(53)),
    Column("test_metrics", Text, nullable=False),
    Column("test_failure", Text),
    Column("judge_cost", Text, nullable=False),
    Column("started", Text, nullable=False),
    Column("finished", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("notes", Text, nullable=False, server_default="[]"),  # JSON: a list of sentences
    Column("retry", Integer, nullable=False, server_default=text("0")),
    Index("runs_by_study", "study"),
)
Index(
    "one_result_per_run",
    runs.c.run_id,
    runs.c.retry,
    unique=True,
    sqlite_where=runs.c.status != "infra",
    postgresql_where=runs.c.status != "infra",
)

# Beside the runs, not in them: a listing of ten thousand runs reads no recording.
recordings = Table(
    "recordings",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    Column("trials", LargeBinary, nullable=False),
    Column("traces", LargeBinary),
)

# What boards ask of every recording, in short. Beside the schema: a run that an older version recorded has none, and
# it is read out of its recording then.
digests = Table(
    "digests",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
)

# Searches that have ended and await their verdict: their judge may take hours, and the driver may die meanwhile.
waiting = Table(
    "waiting",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("study", Text, nullable=False),
    Column("result", Text, nullable=False),  # JSON
    Column("trials", LargeBinary, nullable=False),
    Column("traces", LargeBinary),
)

# Beside the schema: a store that was made before has none until the first is added, and nothing else depends on it.
checks = Table(
    "checks",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("study", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("made", Text, nullable=False),
    Column("passed", Integer, nullable=False),
    Column("said", Text, nullable=False),
)

# What no one knows who has not read the store: checkpoints beside it are signed by it. Made when first asked for, in
# stores that have none.
keys = Table(
    "keys",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, nullable=False),
)


def _second(connection: Connection) -> None:
    """Notes of a run, runs that are run again on request, and searches that await their verdict."""
    blob = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
    for statement in (
        "ALTER TABLE runs ADD COLUMN notes TEXT DEFAULT '[]' NOT NULL",
        "ALTER TABLE runs ADD COLUMN retry INTEGER DEFAULT 0 NOT NULL",
        "DROP INDEX one_result_per_run",
        "CREATE UNIQUE INDEX one_result_per_run ON runs (run_id, retry) WHERE status != 'infra'",
        "CREATE TABLE waiting (run_id TEXT PRIMARY KEY NOT NULL, study TEXT NOT NULL, result TEXT NOT NULL, "
        f"trials {blob} NOT NULL, traces {blob})",
        f"CREATE TABLE keys (id INTEGER NOT NULL PRIMARY KEY, key {blob} NOT NULL)",
    ):
        connection.execute(text(statement))


MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {1: _second}
"""From a version to the step that leads to the next one; run in one transaction, each on its own tables' SQL."""


def create(connection: Connection, since: str) -> None:
    """Make every table of an empty database, in the connection's transaction."""
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
    metadata.create_all(connection)
    connection.execute(versions.insert().values(version=SCHEMA_VERSION, since=since))


def migrate(connection: Connection, version: int, since: str) -> None:
    """Lead an older schema to the present one, in the connection's transaction."""
    for step in range(version, SCHEMA_VERSION):
        MIGRATIONS[step](connection)
        connection.execute(versions.insert().values(version=step + 1, since=since))
