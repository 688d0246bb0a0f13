"""What a run has made so far, kept outside of its process, so that a killed one leaves its trials behind."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from searchbench.results.records import SearchResult

EVERY_S = 0.5
SHARE = 0.05
"""At most this share of a run's time goes into its journal, which grows with its trials."""


@dataclass(slots=True)
class Journal:
    """A file with the result so far, replaced atomically, now and then."""

    path: Path
    _next: float = field(default_factory=time.monotonic)

    def note(self, so_far: Callable[[], SearchResult]) -> None:
        """Write the result so far, unless the last one is recent."""
        now = time.monotonic()
        if now < self._next:
            return
        partial = self.path.with_suffix(".partial")
        partial.write_bytes(pickle.dumps(so_far()))
        os.replace(partial, self.path)
        took = time.monotonic() - now
        self._next = now + max(EVERY_S, took / SHARE)

    @classmethod
    def read(cls, path: Path) -> SearchResult | None:
        """What was written last; None where nothing was. The file is one of this process's own temporary ones."""
        try:
            found: SearchResult = pickle.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        return found
