"""The commands. What they import waits until Ctrl-C and SIGTERM have somebody to go to."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

INTERRUPTED = 130
SAID = "searchbench: interrupted; finished runs are kept, and --resume runs what is missing"
_told: list[int] = []
"""Signals that have come."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 some runs failed or differ, 2 bad input, 130 interrupted."""
    before = {number: signal.signal(number, _leave) for number in _caught()}
    try:
        from searchbench.cli.entry import carry_out

        for number in before:
            signal.signal(number, _interrupt)
        carry_out(arguments)
    except BaseException as ended:
        if not _told or (isinstance(ended, SystemExit) and ended.code in (0, INTERRUPTED)):
            raise
        # a library on its way, PyTorch while it is imported, has made an error of its own of it
        print(SAID, file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        _told.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def _caught() -> list[signal.Signals]:
    """Those that end a command; what was ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        return []
    ends = (signal.SIGINT, signal.SIGTERM)
    return [number for number in ends if signal.getsignal(number) not in (signal.SIG_IGN, None)]


def _leave(number: int, frame: FrameType | None) -> None:
    """Leave at once, while there is nothing yet that would have to be put away."""
    os.write(2, f"{SAID}\n".encode())
    os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    from searchbench.errors import Interrupted

    _told.append(number)
    # no plain KeyboardInterrupt: of one within `exec`, by which dataclasses are made, CPython dies at the end whatever
    # status was asked for
    raise Interrupted(signal.Signals(number).name)
