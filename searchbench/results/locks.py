"""One writer per store, or per study on a server: held by a process, and free however that process ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from searchbench.errors import StoreError
from searchbench.results.location import Location

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Claims(Protocol):
    """What a writer holds."""

    def tell(self, study: str) -> None:
        """Be the writer of a study from now on. Raises StoreError where another process is."""


@dataclass(slots=True)
class ServerLocks:
    """Advisory locks of the studies that this process writes, on the one connection by which it writes.

    The server frees them when the connection ends (https://www.postgresql.org/docs/current/explicit-locking.html,
    "Advisory Locks"); whenever a connection is made anew, they are taken again.
    """

    shown: str
    engine: Engine
    studies: dict[str, None] = field(default_factory=dict)

    def tell(self, study: str) -> None:
        """Take the lock of a study. Raises StoreError where another process holds it."""
        if study in self.studies:
            return
        with self.engine.connect() as connection:
            self._take(connection.connection, study)
        self.studies[study] = None

    def connected(self, connection: Any, _: object = None) -> None:
        """Take all locks again, on a new connection."""
        for study in self.studies:
            self._take(connection, study)

    def _take(self, connection: Any, study: str) -> None:
        from searchbench.results.schema import APPLICATION_ID

        cursor = connection.cursor()
        cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (APPLICATION_ID - 2**31, study))
        (taken,) = cursor.fetchone()
        cursor.close()
        connection.commit()
        if not taken:
            raise StoreError(
                f"study `{study}` in the store `{self.shown}` is being written by another process; wait for it, or "
                "give the study another name."
            )


def on_server(location: Location, engine: Engine) -> ServerLocks | None:
    """The locks of a writer on a server; None where the database offers none."""
    from sqlalchemy import event

    if engine.dialect.name != "postgresql":
        return None
    locks = ServerLocks(location.shown, engine)
    event.listen(engine, "connect", locks.connected)
    return locks
