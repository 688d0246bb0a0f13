"""Data that all processes of a node share: decoded once, by whichever comes first, into files that all of them read.

They lie where SEARCHBENCH_CACHE says, or in the user's cache folder, and may be deleted at any time when nothing runs.
What the system keeps of a file in memory serves every process that reads it, and is given up where memory is short.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchbench.errors import DataMissing

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.intp]

_STAMP = "stamp"


def cache_folder() -> Path:
    """Where shared files lie: SEARCHBENCH_CACHE, else `searchbench` in XDG_CACHE_HOME or in ~/.cache."""
    named = os.environ.get("SEARCHBENCH_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named or f"{home}/searchbench").expanduser().absolute()


def stamp_of(files: Iterable[os.DirEntry[str] | Path]) -> str:
    """A digest of the names, lengths and times of files: another one where any of them was changed."""
    digest = hashlib.sha256()
    for file in files:
        told = file.stat()
        digest.update(f"{file.name}\0{told.st_size}\0{told.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def shared(name: str, stamp: str, fill: Callable[[Path], None]) -> Path:
    """The folder that `fill` filled for this name and stamp, here or in another process of the node.

    Args:
        name: what the folder holds, from where, and how it was made; a folder of the same name and another stamp is
            replaced, though whoever has opened it goes on reading.
        stamp: of what it is made from.
        fill: writes files into an empty folder; called while every other process that wants it waits.

    Raises:
        DataMissing: the cache cannot be written, or what `fill` raises.
    """
    place = cache_folder() / hashlib.sha256(name.encode()).hexdigest()[:32]
    if _stamp(place) == stamp:
        return place
    with _writable(place.parent), _alone(place):
        if _stamp(place) == stamp:
            return place
        partial = place.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            fill(partial)
            (partial / _STAMP).write_text(stamp)
            shutil.rmtree(place, ignore_errors=True)
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return place


def remembered(place: Path, what: str, tell: Callable[[], str]) -> str:
    """What `tell` told when it was first asked for this place, from then on for all processes of the node."""
    note = place / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.told"
    with _alone(note):
        if note.is_file():
            return note.read_text()
        told = tell()
        partial = note.with_suffix(".partial")
        partial.write_text(told)
        partial.rename(note)
    return told


def free_bytes() -> int:
    """What may still be written to the cache. Raises DataMissing where there can be none."""
    folder = cache_folder()
    with _writable(folder):
        return shutil.disk_usage(folder).free


def _stamp(place: Path) -> str:
    try:
        return (place / _STAMP).read_text()
    except (OSError, UnicodeDecodeError):
        return ""


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataMissing(
            f"decoded data are kept in {folder}, which cannot be written ({error.strerror or error}); name another "
            "folder, on a disk of this node with room for them, in the environment variable SEARCHBENCH_CACHE."
        ) from error


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the lock of a place, which ends with the process that holds it."""
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True, slots=True, eq=False)
class StoredRows:
    """An array of bytes in a file, of which rows are read where they are wanted and nothing is kept.

    Read by position instead of mapped, so that what the system caches counts as memory of no process.
    """

    file: int
    """Its descriptor, open for as long as the process lives."""
    start: int
    """Where the first row begins."""
    shape: tuple[int, ...]

    held = True

    @classmethod
    def opened(cls, path: Path) -> StoredRows:
        """The rows of an `.npy` file of bytes. Raises DataMissing where it is none."""
        try:
            mapped = np.load(path, mmap_mode="r")
            start = mapped.offset
            found = cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC), start, mapped.shape)
        except (OSError, ValueError) as error:
            raise damaged(path, str(error)) from error
        return found

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self, orders: Iterable[Rows]) -> Iterator[Bytes]:
        """Rows [B, …] of every order of row numbers, in turn."""
        for rows in orders:
            block = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
            self.read_into(block, rows)
            yield block

    def read_into(self, block: Bytes, rows: Rows) -> None:
        """Fill `block` [B, …] with rows; neighbours are read at once. Raises DataMissing."""
        if not len(rows):
            return
        size = int(np.prod(self.shape[1:]))
        edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        flat = memoryview(block.data).cast("B")
        for low, high in itertools.pairwise(edges):
            at, left = self.start + int(rows[low]) * size, flat[low * size : high * size]
            while left:
                got = os.preadv(self.file, [left], at)
                if not got:
                    raise damaged(cache_folder(), "a file in it ends too early")
                left, at = left[got:], at + got


def damaged(path: Path, told: str) -> DataMissing:
    """What is said of a shared file that cannot be read."""
    return DataMissing(f"{path} is damaged ({told}); delete the folder {cache_folder()}, it is filled again.")
