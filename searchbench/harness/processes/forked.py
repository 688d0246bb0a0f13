"""A function in a forked process: its value comes back through a pipe, and the process can be killed from outside.

What happens there stays there. A crash, an exit, a hang or a grab for memory ends the fork and not the caller.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

LOOK_S = 0.02
"""Between looks at the clock and the memory of a fork; they grow to `LOOK_MOST_S`."""
LOOK_MOST_S = 0.25
KILLS = 3
"""How often a process is started that somebody kills, before that is held for its own doing."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_READ = 1 << 16

End = Literal["ok", "raised", "died", "timeout", "memory"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a fork ended."""

    end: End
    value: Any = None
    """What the function returned, or the exception that it raised, where that pickles."""
    message: str = ""
    """The traceback of what was raised, or how the fork came to its end."""
    killed: bool = False
    """Whether somebody killed it for no reason known here: the system, short of memory, or a user."""


def again_if_killed(run: Callable[[], Ended]) -> Ended:
    """Run what was killed from outside again, up to `KILLS` times in all; a run repeats itself to the bit."""
    for _ in range(KILLS - 1):
        ended = run()
        if not ended.killed:
            return ended
    return run()


def call(function: Callable[[], Any], *, seconds: float = math.inf, memory_bytes: float = math.inf) -> Ended:
    """Call a function in a fork of this process, alone in its process group.

    Args:
        function: its value, or what it raises, must pickle.
        seconds: of wall-clock; then the group is killed.
        memory_bytes: resident memory of the group; then it is killed.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _run(function, write)
    os.close(write)
    try:
        return watch(pid, read, seconds, memory_bytes)
    finally:
        os.close(read)


def watch(pid: int, read: int, seconds: float, memory_bytes: float) -> Ended:
    """Wait for a fork that writes its pickled outcome to a pipe; kill its group where it goes over a limit."""
    started, parts, look = time.monotonic(), [], LOOK_S
    over: End | None = None
    status: int | None = None
    while over is None:
        left = max(0.0, started + seconds - time.monotonic())
        if select.select([read], [], [], min(look, left))[0]:
            part = os.read(read, _READ)
            if not part:
                break
            parts.append(part)
            continue
        if status is not None:  # it has ended, and what it left running may hold the pipe open for ever
            break
        status = _status(pid)
        if time.monotonic() - started >= seconds:
            over = "timeout"
        elif math.isfinite(memory_bytes) and group_memory(pid) > memory_bytes:
            over = "memory"
        look = min(2 * look, LOOK_MOST_S) if status is None else 0.0
    kill_group(pid)  # what it started and left behind goes with it
    if status is None:
        status = os.waitpid(pid, 0)[1]
    if over == "timeout":
        return Ended("timeout", message=f"killed after {seconds:g} s")
    if over == "memory":
        return Ended("memory", message=f"killed above {memory_bytes / 1e9:g} GB")
    return _outcome(b"".join(parts), status)


def _status(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return status if ended else None


def kill_group(pid: int) -> None:
    """Kill a process and its group, whatever is left of them."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def group_memory(group: int) -> int:
    """Resident bytes of a process group; of the process alone where the system does not tell of groups."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                total += int((folder / "statm").read_text().split()[1]) * _PAGE
    return total


def die_with_parent() -> None:
    """Ask the system to kill this process when its parent ends, where it can (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _run(function: Callable[[], Any], write: int) -> None:
    """Run in the fork and leave it at once, past everything that waits for the end of a process."""
    code = 1
    try:
        os.setsid()
        die_with_parent()
        send(function, write)
        code = 0
    finally:
        os._exit(code)


def send(function: Callable[[], Any], write: int) -> None:
    """Call a function and write how it ended to a pipe, pickled: "ok" and its value, or "raised", the error and its
    traceback as text."""
    text = ""
    try:
        end, value = "ok", function()
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: they end the fork, not the caller
        end, value, text = "raised", error, "".join(traceback.format_exception(error)).strip()
    try:
        told = pickle.dumps((end, value, text))
        pickle.loads(told)  # an error whose constructor takes other arguments pickles and does not come back
    except Exception:
        told = pickle.dumps(("raised", None, text or f"what it returned does not pickle: {type(value).__name__}"))
    with os.fdopen(os.dup(write), "wb") as pipe:
        pipe.write(told)


def _outcome(told: bytes, status: int) -> Ended:
    try:
        end, value, text = pickle.loads(told)  # written by a fork of this very program
    except Exception:
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        return Ended("died", message=how_it_died(status), killed=killed)
    return Ended(end, value, text)


def how_it_died(status: int) -> str:
    """A wait status in words: "killed by SIGSEGV", "left with exit status 3"."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"killed by {signal.Signals(number).name}"
        except ValueError:
            return f"killed by signal {number}"
    return f"left with exit status {os.WEXITSTATUS(status)} before it had finished"
