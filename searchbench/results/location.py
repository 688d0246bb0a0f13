"""Where a store is, whether it may be opened, and who is writing to it.

Everything here is decided before a database is opened, so that a refusal changes nothing on disk.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searchbench.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import URL

_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Location:
    """A store's address; `path` is its file where it is an SQLite one on disk."""

    url: URL
    path: Path | None

    @classmethod
    def parse(cls, where: str | Path) -> Location:
        """Read a path ("results.db") or an SQLAlchemy URL.

        Raises:
            StoreError: it is neither.
        """
        from sqlalchemy import URL, make_url
        from sqlalchemy.exc import ArgumentError

        if "://" not in str(where):
            return cls(URL.create("sqlite", database=str(where)), Path(where))
        try:
            url = make_url(str(where))
        except ArgumentError:
            raise StoreError(f"a store is a file or an SQLAlchemy URL, but got `{where}`.") from None
        if url.drivername == "postgresql":  # the driver that is an extra of this package, whatever SQLAlchemy prefers
            url = url.set(drivername="postgresql+psycopg")
        on_disk = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
        return cls(url, Path(url.database or "") if on_disk else None)

    @property
    def shown(self) -> str:
        """How messages name it: without its password."""
        return str(self.path) if self.path else self.url.render_as_string(hide_password=True)

    def exists(self, application_id: int) -> bool:
        """Whether the file holds a store; an absent or empty file does not.

        Raises:
            StoreError: there is something else, or it cannot be read.
        """
        assert self.path is not None
        try:
            with self.path.open("rb") as file:
                header = file.read(100)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"the store `{self.shown}` cannot be read: {error.strerror}.") from None
        if not header:
            return False
        if not header.startswith(_MAGIC):
            raise StoreError(f"`{self.shown}` is not a result store: it is not an SQLite database; name another file.")
        if int.from_bytes(header[68:72], "big") != application_id:
            raise StoreError(f"`{self.shown}` is an SQLite database of something else; name another file.")
        return True

    def check_writable(self) -> None:
        """Raises StoreError where the file or its directory cannot be written."""
        assert self.path is not None
        folder = self.path.absolute().parent
        if not folder.is_dir():
            raise StoreError(f"the store `{self.shown}` cannot be written: there is no directory `{folder}`; make it.")
        for place in (folder, *([self.path] if self.path.exists() else [])):
            if not os.access(place, os.W_OK):
                raise StoreError(f"the store `{self.shown}` cannot be written: no permission to write `{place}`.")


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another under its name: its device and number; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def readable(path: Path) -> tuple[str, dict[str, str]]:
    """Address and options by which SQLite reads a file that it may not be able to write beside.

    On a read-only mount a file whose changes are all within it is read as one that cannot change; one that was left
    with a write-ahead log is copied, because reading it means writing to it.
    """
    path = path.absolute()
    if os.access(path.parent, os.W_OK):  # "rw", not "ro": a read-only connection leaves the WAL's files behind
        return path.as_uri(), {"mode": "rw", "uri": "true"}
    log = path.with_name(path.name + "-wal")
    if not log.exists() or log.stat().st_size == 0:
        return path.as_uri(), {"mode": "ro", "immutable": "1", "uri": "true"}
    folder = Path(tempfile.mkdtemp(prefix="searchbench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for part in (path, log):
        shutil.copy(part, folder / part.name)
    return (folder / path.name).as_uri(), {"mode": "rw", "uri": "true"}


@dataclass(slots=True)
class WriterLock:
    """Held by the one process that writes a store; the operating system frees it however that process ends."""

    path: Path
    descriptor: int

    def tell(self, study: str | None = None) -> None:
        """Write down who holds it and for what, for the message a second writer gets."""
        note = ("" if study is None else f"study `{study}`, ") + f"process {os.getpid()} on {socket.gethostname()}"
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, note.encode(), 0)


@contextmanager
def writing(store: Path) -> Iterator[WriterLock]:
    """Be the one writer of a store for a while.

    Raises:
        StoreError: another process is, or the lock file cannot be made.
    """
    import fcntl

    path = store.with_name(store.name + ".lock")
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"the store `{store}` cannot be written: {error.strerror} (`{path}`).") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise StoreError(
                f"the store `{store}` is being written by {holder}; wait for it, or name another store."
            ) from None
        with suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                break
        os.close(descriptor)  # its holder removed the file between our two calls: take the new one
    try:
        lock = WriterLock(path, descriptor)
        lock.tell()
        yield lock
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
