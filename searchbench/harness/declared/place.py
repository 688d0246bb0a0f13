"""A folder at a URL, for what long runs leave behind: on this machine, on a shared file system, in an object store."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchbench.errors import StudyError, did_you_mean

EVERY_S = 20.0
KEYS = ("url", "every_s")
OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "hf"})
"""Protocols of object stores in fsspec's registry."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs leave their state; part of no fingerprint and of no record, since it decides no number and may hold
    credentials.

    Raises:
        StudyError: the URL is no text, or the seconds are no number from 0 on.
    """

    url: str
    """Any that fsspec reads ("file:///shared/runs", "s3://bucket/runs"), or a path of this machine."""
    every_s: float = EVERY_S
    """Seconds of work that are lost at most, up to the length of a slice; see `docs/howto/long_runs.md`."""

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not self.url.strip():
            raise StudyError(f'`checkpoints` must be a URL such as "file:///shared/runs", but got {self.url!r}.')
        every = self.every_s
        if isinstance(every, bool) or not isinstance(every, int | float) or not 0 <= every < math.inf:
            raise StudyError(f"`checkpoints.every_s` must be a number of seconds from 0 on, but got {every!r}.")
        if "://" not in self.url:  # workers have other working folders
            object.__setattr__(self, "url", str(Path(self.url).expanduser().absolute()))

    @classmethod
    def of(cls, given: str | Path | Mapping[str, Any] | Place | None) -> Place | None:
        """Read a study file's `checkpoints`: a URL, or a table of `url` and `every_s`. Raises StudyError."""
        if given is None or isinstance(given, Place):
            return given
        if isinstance(given, Path):
            return cls(str(given))
        if not isinstance(given, Mapping):
            return cls(given)
        for key in given:
            if key not in KEYS:
                raise StudyError(f"`checkpoints` has no key `{key}`; {did_you_mean(key, KEYS)}")
        if "url" not in given:
            raise StudyError("`checkpoints` needs the key `url`, which is missing.")
        return cls(**given)

    def check(self) -> None:
        """Raise StudyError where nothing can be written there from this process; writes a file and removes it."""
        probe = f"{self.url.rstrip('/')}/.{secrets.token_hex(8)}"
        try:
            write(probe, b"")
            remove(probe)
        except ImportError as error:
            told = f"`checkpoints` is `{shown(self.url)}`, which needs a package on every node: {error}".rstrip(".")
            raise StudyError(f"{told}.") from error
        except ValueError as error:
            told = f"`checkpoints` must be a URL that fsspec reads, but got `{shown(self.url)}`: {error}".rstrip(".")
            raise StudyError(f"{told}.") from error
        except Exception as error:  # whatever a library of somebody's store raises
            told = f"{type(error).__name__}: {error}".rstrip(".")
            raise StudyError(
                f"nothing can be written to `{shown(self.url)}`, which `checkpoints` names: {told}; name another place."
            ) from error


def shown(url: str | Path) -> str:
    """Name a URL without what may be a password in it."""
    scheme, found, rest = str(url).partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path}" if found else str(url)


def write(url: str | Path, *parts: bytes | memoryview) -> None:
    """Replace a file by these bytes: whoever reads it meanwhile, or after a crash, finds the old ones or the new."""
    files, path = _opened(url)
    if not _keeps_objects(files):
        files.makedirs(files._parent(path), exist_ok=True)
    with files.open(_partial(path), "wb") as file:
        for part in parts:
            file.write(part)
    files.mv(_partial(path), path)  # in one folder: a rename, or a copy that an object store makes at once


def read(url: str | Path) -> bytes | None:
    """The bytes of a file; None where there is none."""
    files, path = _opened(url)
    try:
        found: bytes = files.cat_file(path)
    except FileNotFoundError:
        return None
    return found


def remove(url: str | Path) -> None:
    """Delete a file, and what was left of writing it; without one, do nothing."""
    files, path = _opened(url)
    for one in (path, _partial(path)):
        with suppress(FileNotFoundError):
            files.rm_file(one)


def names(folder: str | Path) -> list[str]:
    """Names of the files in a folder; none where there is no such folder."""
    files, path = _opened(folder)
    try:
        files.invalidate_cache()
        return [str(one).rstrip("/").rpartition("/")[2] for one in files.ls(path, detail=False)]
    except FileNotFoundError:
        return []


def remove_empty(folder: str | Path) -> None:
    """Delete a folder that holds nothing, where folders are kept at all."""
    if not names(folder):
        files, path = _opened(folder)
        with suppress(OSError, NotImplementedError):
            files.rmdir(path)


def below(folder: str | Path, name: str) -> str | Path:
    """A file or folder in a folder."""
    return folder / name if isinstance(folder, Path) else f"{folder.rstrip('/')}/{name}"


def _keeps_objects(files: Any) -> bool:
    """Whether it is a store of objects: it has no folders to make, and its buckets are not ours to make."""
    protocols = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
    return not OBJECTS.isdisjoint(protocols)


def _partial(path: str) -> str:
    return f"{path}.partial"


def _opened(url: str | Path) -> tuple[Any, str]:
    """The file system of a URL and the path in it; a `Path` is one of this machine, whatever stands in it."""
    if isinstance(url, Path):
        from fsspec.implementations.local import LocalFileSystem

        return LocalFileSystem(), str(url.absolute())
    from fsspec.core import url_to_fs

    files, path = url_to_fs(url)
    return files, path
