"""Where a training search leaves its state between slices, so that a killed one continues instead of starting over."""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchbench.errors import CheckpointError
from searchbench.harness.lab import MeteredLab
from searchbench.results.store import ResultStore
from searchbench.strategies.strategy import Search, TrainingSearch

VERSION = 1
"""Raise it with every change of what a checkpoint holds: the states of the lab, of a search, or of their parts."""
_OPENING = b"searchbench checkpoint "
_DIGEST = 32
"""Bytes of SHA-256."""
_LONGEST = 64
"""Bytes in which the first line must end."""


@dataclass(slots=True)
class Checkpoint:
    """One run's checkpoint file, replaced atomically at most every `every_s` seconds.

    A line with the version stands before the state, so that another version is refused without being unpickled: its
    classes may not exist any more, or mean something else under the same name. Then comes a digest that only who knows
    the store's key can have made (RFC 2104): the state is a pickle, and what somebody else has put there is not read.
    """

    path: Path
    key: bytes = b""
    """Of the store that the run is recorded in."""
    every_s: float = 20.0
    _last: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise CheckpointError where a checkpoint of another version stands; without one, do nothing."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            opening = file.read(_LONGEST)
        found = _version(opening)
        if opening and found != VERSION:
            words = "before checkpoints had versions" if found is None else f"as version {found}"
            raise CheckpointError(
                f"the checkpoint `{self.path}` was written {words}, and this searchbench continues version {VERSION} "
                "only; complete the study with the searchbench that began it, or delete the file to run it anew."
            )

    def restore(self, search: Search, lab: MeteredLab) -> bool:
        """Continue from the file if there is one, it is whole, and this store's; whether it did.

        Raises:
            CheckpointError: it is of another version.
        """
        self._last = time.monotonic()  # here, where it runs, and not where it was planned
        if not isinstance(search, TrainingSearch) or not self.path.exists():
            return False
        self.check()
        import torch

        _, _, signed = self.path.read_bytes().partition(b"\n")
        digest, written = signed[:_DIGEST], signed[_DIGEST:]
        if not hmac.compare_digest(digest, self._digest(written)):
            return False  # cut short by a crash, or another's: starting over gives the same result
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(written), weights_only=False)
        except Exception:  # what it names has gone from its module, say
            return False
        search.load_state_dict(state["search"])
        lab.load_state_dict(state["lab"])
        return True

    def save(self, search: Search, lab: MeteredLab) -> None:
        """Write the state after a slice, unless the last one is recent."""
        if not isinstance(search, TrainingSearch) or time.monotonic() - self._last < self.every_s:
            return
        import torch

        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        written = io.BytesIO()
        torch.save({"search": search.state_dict(), "lab": lab.state_dict()}, written)
        with partial.open("wb") as file:
            file.write(_OPENING + b"%d\n" % VERSION + self._digest(written.getbuffer()))
            file.write(written.getbuffer())
        os.replace(partial, self.path)
        self._last = time.monotonic()

    def _digest(self, written: bytes | memoryview) -> bytes:
        return hmac.digest(self.key or b"no store", written, hashlib.sha256)

    def remove(self) -> None:
        """Delete the file of a search that has ended, once the store has its result."""
        self.path.unlink(missing_ok=True)


@dataclass(slots=True)
class Checkpoints:
    """The checkpoints of a store's runs: files in a folder beside it, signed with its key."""

    folder: Path | None
    """None where there are none, as of a store on a server."""
    key: bytes = b""

    @classmethod
    def beside(cls, store: ResultStore) -> Checkpoints:
        """The checkpoints of a store that is a file."""
        path = store.location.path
        return cls(None) if path is None else cls(path.absolute().with_name(path.name + ".checkpoints"), store.key())

    def of(self, run_id: str) -> Checkpoint | None:
        """Where a run leaves its state; None where none is kept."""
        return None if self.folder is None else Checkpoint(self.folder / f"{run_id}.pt", self.key)

    def check(self, run_ids: Iterable[str]) -> None:
        """Raise CheckpointError, before anything runs, where one of another version waits to be continued."""
        for run_id in run_ids if self.folder is not None and self.folder.is_dir() else ():
            if (checkpoint := self.of(run_id)) is not None:
                checkpoint.check()

    def remove(self, run_id: str) -> None:
        """Delete a run's, once the store has its result."""
        if (checkpoint := self.of(run_id)) is not None:
            checkpoint.remove()

    def close(self) -> None:
        """Delete the folder, unless something is left in it."""
        if self.folder is not None and self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def _version(opening: bytes) -> int | None:
    """The version that a file's first line gives, or None."""
    line, newline, _ = opening.partition(b"\n")
    number = line.removeprefix(_OPENING)
    return int(number) if newline and line.startswith(_OPENING) and number.isdigit() else None
