"""Commands of searchbench in forks of one process that has imported everything already: a second less for each.

What happens to a command from there on is what happens to `python -m searchbench`, signals and all: the fork has a
session and a folder of its own, and leaves as Python does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Command:
    """A command that runs in a fork."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid, self._server = pid, server
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        if self._status is None:
            self._status = self._server.ask(pid=self.pid)
        return self._status

    def wait(self, timeout_s: float | None = None) -> int:
        """Its exit status. Raises TimeoutExpired."""
        began = time.monotonic()
        while (status := self.poll()) is None:
            if timeout_s is not None and time.monotonic() - began > timeout_s:
                raise subprocess.TimeoutExpired("searchbench", timeout_s)
            time.sleep(0.02)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkServer:
    """Starts commands.

    Args:
        paths: where their modules are found.
    """

    def __init__(self, paths: str) -> None:
        command = [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def start(self, arguments: list[str], folder: Path, log: Path) -> Command:
        """Begin a command in a folder; what it prints is appended to `log`."""
        return Command(self, self.ask(arguments=arguments, folder=str(folder), log=str(log)))

    def ask(self, **what: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        with self._process:  # closes its pipes
            self._process.kill()


def serve() -> None:
    """Answer requests until the input ends; in a fork, run the command and leave."""
    import ray  # noqa: F401
    import torch  # noqa: F401

    import searchbench.cli.entry  # noqa: F401
    from searchbench.harness import session  # noqa: F401

    while line := sys.stdin.readline():
        asked = json.loads(line)
        if "pid" in asked:
            ended, status = os.waitpid(asked["pid"], os.WNOHANG)
            _answer(os.waitstatus_to_exitcode(status) if ended else None)
        elif (pid := os.fork()) == 0:
            _run(asked)
        else:
            _answer(pid)


def _answer(value: int | None) -> None:
    print(json.dumps(value), flush=True)


def _run(asked: dict[str, Any]) -> None:
    os.setsid()
    os.chdir(asked["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may have it ignored
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    from searchbench.cli import main

    main(asked["arguments"])
