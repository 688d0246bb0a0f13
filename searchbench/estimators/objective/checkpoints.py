"""Folders in which an objective leaves its state, so that a longer evaluation goes on where a shorter one ended."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from pathlib import Path


class CheckpointFolders:
    """The folders of one run, removed with it. A folder belongs to a configuration, a seed and an amount.

    An evaluation that goes on from another gets a copy of what that one left, so that it may be gone on from again.
    """

    def __init__(self) -> None:
        self._root: Path | None = None

    def place(self, key: str, seed: int, amount: float | None) -> Path:
        """Where an evaluation leaves its state."""
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="searchbench-"))
            weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        name = hashlib.sha256(f"{seed}|{amount}|{key}".encode()).hexdigest()[:24]
        return self._root / name

    def begin(self, folder: Path, before: Path | None = None) -> Path:
        """The folder, with what an evaluation left at `before`; empty where that is gone, so that all of it is done
        again: what an evaluation gives must not depend on whether something was kept."""
        shutil.rmtree(folder, ignore_errors=True)
        if before is not None and before.is_dir():
            shutil.copytree(before, folder)
        else:
            folder.mkdir()
        return folder

    def discard(self, folder: Path) -> None:
        """Nothing will go on from there."""
        shutil.rmtree(folder, ignore_errors=True)
