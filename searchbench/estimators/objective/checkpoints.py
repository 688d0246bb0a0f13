"""Folders in which an objective leaves its state, so that a longer evaluation goes on where a shorter one ended."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from pathlib import Path

from searchbench.errors import EvaluationFailed


class CheckpointFolders:
    """The folders of one run, removed with it. A folder belongs to a configuration, a seed and an amount.

    An evaluation that goes on from another gets a copy of what that one left, so that it may be gone on from again.
    """

    def __init__(self) -> None:
        self._root: Path | None = None

    def begin(self, key: str, seed: int, amount: float | None, resume: float | None) -> Path:
        """The folder of an evaluation: empty, or with what the evaluation to `resume` left there."""
        folder = self._place(key, seed, amount)
        shutil.rmtree(folder, ignore_errors=True)
        if resume is None:
            folder.mkdir()
            return folder
        before = self._place(key, seed, resume)
        if not before.is_dir():
            raise EvaluationFailed("error", f"the state left at {resume:g} is not there to go on from.")
        shutil.copytree(before, folder)
        return folder

    def discard(self, folder: Path) -> None:
        """Nothing will go on from there."""
        shutil.rmtree(folder, ignore_errors=True)

    def _place(self, key: str, seed: int, amount: float | None) -> Path:
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="searchbench-"))
            weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        name = hashlib.sha256(f"{seed}|{amount}|{key}".encode()).hexdigest()[:24]
        return self._root / name
