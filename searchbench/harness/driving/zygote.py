"""The clean parent: a process that has imported the package and nothing of a user's, and forks a child per job.

It reads jobs from its standard input and answers on its standard output, both as length and pickle. It runs one job at
a time, enforces the limits and tells how the job ended; it ends with its parent. Forking it costs some 20 ms, a fresh
interpreter with PyTorch two seconds.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from searchbench.harness.processes.forked import Ended, call, die_with_parent

_LENGTH = struct.Struct("<Q")
_lock = threading.Lock()
_living: list[subprocess.Popen[bytes]] = []


def run_apart(job: Callable[[], Any], *, seconds: float = math.inf, memory_bytes: float = math.inf) -> Ended:
    """Run a job in a child of the clean parent, which is started where there is none.

    Args:
        job: pickled by value where it is of no importable module (cloudpickle).
        seconds, memory_bytes: limits of the child and all that it starts.
    """
    import cloudpickle

    with _lock:
        zygote = _zygote()
        try:
            _write(zygote.stdin, (cloudpickle.dumps(job), seconds, memory_bytes))
            found = _read(zygote.stdout)
        except (OSError, EOFError):  # the child has killed its parent: it shall not have gained by that
            stop()
            return Ended("died", message="killed together with the process that watched over it", killed=True)
        except BaseException:  # interrupted: what runs is not wanted any more
            stop()
            raise
    assert isinstance(found, Ended)
    return found


def stop() -> None:
    """End the clean parent and what runs below it."""
    while _living:
        zygote = _living.pop()
        zygote.kill()
        zygote.wait()
        for pipe in (zygote.stdin, zygote.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was to be written goes nowhere
                    pipe.close()


def _zygote() -> subprocess.Popen[bytes]:
    if _living and _living[0].poll() is None:
        return _living[0]
    stop()
    paths = list(dict.fromkeys(os.path.abspath(path) for path in sys.path if path is not None))
    # -P and last on the path: a `statistics.py` in the user's folder must not stand before Python's own
    code = f"import sys; sys.path += [p for p in {paths!r} if p not in sys.path]; import {__name__} as z; z.serve()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", code]
    _living.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment))
    return _living[0]


atexit.register(stop)


def _write(pipe: IO[bytes] | None, value: Any) -> None:
    assert pipe is not None
    told = pickle.dumps(value)
    pipe.write(_LENGTH.pack(len(told)) + told)
    pipe.flush()


def _read(pipe: IO[bytes] | None) -> Any:
    assert pipe is not None
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    return pickle.loads(pipe.read(length))


def serve() -> None:
    """Answer jobs until the input ends."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a job prints goes where errors go; answers have a channel of their own
    import torch  # noqa: F401  (so that no child has to import it)

    import searchbench.harness.running.run  # noqa: F401
    from searchbench.harness.processes.process import one_thread

    one_thread()
    while True:
        try:
            job, seconds, memory_bytes = _read(sys.stdin.buffer)
        except EOFError:
            return
        _write(answers, call(lambda job=job: _job(job), seconds=seconds, memory_bytes=memory_bytes))  # type: ignore[misc]


def _job(job: bytes) -> Any:
    return pickle.loads(job)()
