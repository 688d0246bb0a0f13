"""Where a training search leaves its state between slices, so that a killed one continues instead of starting over."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchbench.harness.lab import MeteredLab
from searchbench.strategies.strategy import Search, TrainingSearch


@dataclass(slots=True)
class Checkpoint:
    """One run's checkpoint file, replaced atomically at most every `every_s` seconds."""

    path: Path
    every_s: float = 20.0
    _last: float = field(default_factory=time.monotonic)

    def restore(self, search: Search, lab: MeteredLab) -> bool:
        """Continue from the file if there is one and it is whole; whether it did."""
        if not isinstance(search, TrainingSearch) or not self.path.exists():
            return False
        import torch

        try:
            state: dict[str, Any] = torch.load(self.path, weights_only=False)
        except Exception:  # a file cut short by a crash is no checkpoint: start over, which gives the same result
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
        torch.save({"search": search.state_dict(), "lab": lab.state_dict()}, partial)
        os.replace(partial, self.path)
        self._last = time.monotonic()

    def remove(self) -> None:
        """The run has ended: its result is in the store."""
        self.path.unlink(missing_ok=True)
