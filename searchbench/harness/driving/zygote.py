"""The clean parent: a process that has imported the package and nothing of a user's, and forks a child per job.

It reads jobs from its standard input and answers on its standard output, both as length and pickle. It runs one job at
a time, enforces the limits and tells how the job ended; it ends with its parent. Forking it costs some 20 ms, a fresh
interpreter with PyTorch two seconds. A child is where its caller is, however long ago the parent was started: it has
the caller's folder, module path and environment.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import math
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import IO, Any, NamedTuple

from searchbench.harness.processes.forked import Ended, call, die_with_parent

_LENGTH = struct.Struct("<Q")
_lock = threading.Lock()
_living: dict[str | None, subprocess.Popen[bytes]] = {}
"""By the seed of their hashes."""


def run_apart(
    job: Callable[[], Any],
    *,
    seconds: float = math.inf,
    memory_bytes: float = math.inf,
    hash_seed: str | None = None,
) -> Ended:
    """Run a job in a child of the clean parent, which is started where there is none.

    Args:
        job: pickled by value where it is of no importable module (cloudpickle).
        seconds, memory_bytes: limits of the child and all that it starts.
        hash_seed: PYTHONHASHSEED of the clean parent; None: the caller's, or Python's choice.
    """
    import cloudpickle

    with _lock:
        zygote = _zygote(hash_seed)
        try:
            _write(zygote.stdin, (_whereabouts(), cloudpickle.dumps(job), seconds, memory_bytes))
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
        zygote = _living.popitem()[1]
        zygote.kill()
        zygote.wait()
        for pipe in (zygote.stdin, zygote.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was to be written goes nowhere
                    pipe.close()


def _zygote(hash_seed: str | None) -> subprocess.Popen[bytes]:
    living = _living.get(hash_seed)
    if living is None or living.poll() is not None:
        code = f"import sys; own = sys.path[:]; sys.path += {_path()!r}; import {__name__} as z; z.serve(own)"
        environment = _environment()
        if hash_seed is not None:
            environment["PYTHONHASHSEED"] = hash_seed
        # -P, and own before the rest: a `statistics.py` in the user's folder must not stand before Python's own
        command = [sys.executable, "-P", "-c", code]
        living = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        _living[hash_seed] = living
    return living


atexit.register(stop)


class _Whereabouts(NamedTuple):
    """What a process sees of its machine: folder, module path, environment."""

    folder: str | None
    path: list[str]
    environment: dict[str, str]

    def enter(self, own: list[str]) -> None:
        """Be there too; modules of Python and of what is installed come first."""
        if self.folder is not None:
            os.chdir(self.folder)
        sys.path[:] = [*own, *(place for place in self.path if place not in own)]
        importlib.invalidate_caches()
        os.environ.clear()
        os.environ.update(self.environment)


def _whereabouts() -> _Whereabouts:
    try:
        folder = os.getcwd()
    except FileNotFoundError:  # it was removed under the caller
        folder = None
    return _Whereabouts(folder, _path(), _environment())


def _path() -> list[str]:
    return list(dict.fromkeys(os.path.abspath(place) for place in sys.path if place is not None))


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


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


def serve(own: list[str]) -> None:
    """Answer jobs until the input ends. `own`: the module path of Python and of what is installed."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a job prints goes where errors go; answers have a channel of their own
    import torch  # noqa: F401  (so that no child has to import it)

    import searchbench.harness.running.run  # noqa: F401
    from searchbench.harness.processes.process import one_thread

    one_thread()
    while True:
        try:
            whereabouts, job, seconds, memory_bytes = _read(sys.stdin.buffer)
        except EOFError:
            return
        done = partial(_do, whereabouts, own, job)
        _write(answers, call(done, seconds=seconds, memory_bytes=memory_bytes))


def _do(whereabouts: _Whereabouts, own: list[str], job: bytes) -> Any:
    whereabouts.enter(own)
    return pickle.loads(job)()
