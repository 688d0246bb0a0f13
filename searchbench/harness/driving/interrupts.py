"""How a command is told to end: Ctrl-C and SIGTERM alike, and neither to be mistaken for what a plug-in raises."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from searchbench.errors import Interrupted


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM, for a while, raise `Interrupted` in the main thread; what was ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    caught = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in caught:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in caught.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(signal.Signals(number).name)
