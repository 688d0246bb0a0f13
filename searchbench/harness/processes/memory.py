"""The highest resident memory of this process over a stretch of work."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


class PeakMemory:
    """Context manager; `bytes` is the peak reached inside it.

    Linux lets a process reset its high-water mark, so that one run does not inherit the peak of the one before it in
    the same worker. Elsewhere the peak of the whole process is the best that can be had.
    """

    bytes: int = 0

    def __enter__(self) -> Self:
        with suppress(OSError):  # not Linux, or not allowed: the process's own peak stands in
            _RESET.write_text("5")
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = _high_water_bytes()


def _high_water_bytes() -> int:
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
