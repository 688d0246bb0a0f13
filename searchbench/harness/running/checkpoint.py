"""Where a run leaves its state, so that one that is killed continues instead of starting over.

A training search leaves its own state and the lab's between slices, an ask/tell search the measurements that took
long, a judge its training between epochs. Whatever a run is begun again with gives the record of one that was never
interrupted.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchbench.errors import CheckpointError
from searchbench.harness.declared import place
from searchbench.harness.running.lab import MeteredLab
from searchbench.strategies.strategy import Search, TrainingSearch

if TYPE_CHECKING:
    from searchbench.harness.declared.plan import Role, RunSpec
    from searchbench.harness.declared.study import Study
    from searchbench.results.store import ResultStore

VERSION = 2
"""Raise it with every change of what a checkpoint holds: the states of the lab, of a search, or of their parts."""
_OPENING = b"searchbench checkpoint "
_DIGEST = 32
"""Bytes of SHA-256."""
_LONGEST = 64
"""Bytes in which the first line must end."""


@dataclass(slots=True)
class Checkpoint:
    """One run's file, replaced atomically at most every `every_s` seconds by whichever worker runs it.

    A line with the version stands before the state, so that another version is refused without being unpickled: its
    classes may not exist any more, or mean something else under the same name. Then comes a digest that only who knows
    the store's key can have made (RFC 2104): the state is a pickle, and what somebody else has put there is not read.
    """

    path: str | Path
    """A file of this machine, or a URL that fsspec reads."""
    key: bytes = b""
    """Of the store that the run is recorded in."""
    every_s: float = place.EVERY_S
    trouble: str = ""
    """Why the state could last not be written; a run goes on without."""
    _last: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise CheckpointError where a checkpoint of another version stands; without one, do nothing."""
        self._signed()

    def read(self) -> dict[str, Any] | None:
        """The state that was left; None where there is none that is whole and this store's.

        Raises:
            CheckpointError: it is of another version, or nobody can say what is there.
        """
        self._last = time.monotonic()  # here, where it runs, and not where it was planned
        signed = self._signed()
        if signed is None:
            return None
        import torch

        digest, written = signed[:_DIGEST], signed[_DIGEST:]
        if not hmac.compare_digest(digest, self._digest(written)):
            return None  # cut short by a crash, or another's: starting over gives the same result
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(written), weights_only=False)
        except Exception:  # what it names has gone from its module, say
            return None
        return state

    def write(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Leave a state, unless the last one is recent. Where it cannot be written, `trouble` says why."""
        if time.monotonic() - self._last < self.every_s:
            return
        import torch

        written = io.BytesIO()
        torch.save(dict(state()), written)
        head = _OPENING + b"%d\n" % VERSION + self._digest(written.getbuffer())
        try:
            place.write(self.path, head, written.getbuffer())
        except Exception as error:  # a full disk, a server that is away: nobody's search is to fail of it
            self.trouble = f"{type(error).__name__}: {error}"
        else:
            self.trouble = ""
        self._last = time.monotonic()

    def restore(self, search: Search, lab: MeteredLab) -> bool:
        """Continue a training search from the file if there is one, it is whole, and this store's; whether it did.

        Raises:
            CheckpointError: it is of another version.
        """
        state = self.read() if isinstance(search, TrainingSearch) else None
        if state is None:
            return False
        assert isinstance(search, TrainingSearch), "the others leave measurements"
        search.load_state_dict(state["search"])
        lab.load_state_dict(state["lab"])
        return True

    def save(self, search: Search, lab: MeteredLab) -> None:
        """Leave the state of a training search after a slice, unless the last one is recent."""
        if isinstance(search, TrainingSearch):
            self.write(lambda: {"search": search.state_dict(), "lab": lab.state_dict()})

    def remove(self) -> None:
        """Delete the file of what has ended, once the store has its result."""
        try:
            place.remove(self.path)
        except Exception as error:  # it is in nobody's way, and the result is safe
            self.trouble = f"{type(error).__name__}: {error}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the record of a run says of it."""
        return (f"its state could not be kept: {self.trouble}",) if self.trouble else ()

    def _signed(self) -> bytes | None:
        """What stands in the file after its first line; None where there is no file, or an empty one."""
        try:
            found = place.read(self.path)
        except Exception as error:  # whatever a library of somebody's store raises: days of work may lie there
            told = f"{type(error).__name__}: {error}".rstrip(".")
            raise CheckpointError(
                f"the checkpoint `{place.shown(self.path)}` cannot be read: {told}; complete the study when it can."
            ) from error
        if not found:
            return None
        version = _version(found[:_LONGEST])
        if version != VERSION:
            words = "before checkpoints had versions" if version is None else f"as version {version}"
            raise CheckpointError(
                f"the checkpoint `{place.shown(self.path)}` was written {words}, and this searchbench continues "
                f"version {VERSION} only; complete the study with the searchbench that began it, or delete the file to "
                "run it anew."
            )
        return found.partition(b"\n")[2]

    def _digest(self, written: bytes | memoryview) -> bytes:
        return hmac.digest(self.key or b"no store", written, hashlib.sha256)


@dataclass(slots=True)
class Checkpoints:
    """The checkpoints of a store's runs: files in a folder, signed with its key."""

    folder: str | Path | None
    """None where there are none, as of a store on a server and a study that declares no place."""
    key: bytes = b""
    every_s: float = place.EVERY_S

    @classmethod
    def of_study(cls, study: Study, store: ResultStore) -> Checkpoints:
        """The checkpoints of a study: in a folder of this store's own at the place that it declares, which stores may
        share, else beside the store's file."""
        declared, path = study.checkpoints, store.location.path
        if declared is not None:
            key = store.key()
            own = hashlib.sha256(b"searchbench folder " + key).hexdigest()[:16]
            return cls(place.below(declared.url, own), key, declared.every_s)
        return cls(None) if path is None else cls(path.absolute().with_name(path.name + ".checkpoints"), store.key())

    def of(self, spec: RunSpec, role: Role = "search") -> Checkpoint | None:
        """Where a run leaves its state; None where none is kept, as of what only looks numbers up."""
        if self.folder is None or spec.stays:
            return None
        return Checkpoint(place.below(self.folder, _name(spec, role)), self.key, self.every_s)

    def check(self, specs: Iterable[RunSpec]) -> None:
        """Raise CheckpointError, before anything runs, where one of another version waits to be continued."""
        left = set() if self.folder is None else set(place.names(self.folder))
        for spec in specs if left else ():
            if _name(spec, "search") in left and (checkpoint := self.of(spec)) is not None:
                checkpoint.check()

    def remove(self, spec: RunSpec, role: Role = "search") -> None:
        """Delete a run's, once the store has its result."""
        if (checkpoint := self.of(spec, role)) is not None:
            checkpoint.remove()

    def close(self) -> None:
        """Delete the folder, unless something is left in it."""
        if self.folder is not None:
            place.remove_empty(self.folder)


def _name(spec: RunSpec, role: Role) -> str:
    return f"{spec.run_id}.pt" if role == "search" else f"{spec.run_id}.judge.pt"


def _version(opening: bytes) -> int | None:
    """The version that a file's first line gives, or None."""
    line, newline, _ = opening.partition(b"\n")
    number = line.removeprefix(_OPENING)
    return int(number) if newline and line.startswith(_OPENING) and number.isdigit() else None
