"""Jobs as Ray tasks, on a local Ray that starts by itself or on a cluster that is joined."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import LocalRayletDiedError, RayError

from searchbench.errors import ClusterGone, InputError
from searchbench.harness.declared.plan import Role
from searchbench.harness.declared.resources import Resources
from searchbench.harness.executors.executor import ONE_CPU, Finished, Lost, run_batch
from searchbench.harness.executors.own_code import own_modules, staged
from searchbench.harness.executors.placed import placed
from searchbench.working_folder import DRIVER, here, search_last

STARTUP = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task without GPUs must not hide them from the others
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
}
TRIES = 3
"""How often a local Ray is started, each time given half a minute by Ray itself."""
SLOW_S = 10.0
"""Seconds after which it is said what is waited for."""
COUNT_EVERY_S = 10.0
"""Seconds between two looks at how large a cluster is."""
ASK_EVERY_S = 5.0
"""Seconds between two looks at a cluster from which nothing comes back."""
GONE_S = 50.0
"""Seconds without an answer after which a cluster is given up; after 60, Ray ends the process without a word."""


class RayExecutor:
    """An executor over Ray tasks.

    Args:
        workers: processes at a time on a local Ray; None takes every core.
        address: of a running cluster to join ("auto", "host:port"); None starts a local Ray.

    Searches and judges run under different environments, which Ray keeps in different processes.
    """

    shared = True

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        self._owns_ray = not ray.is_initialized()
        if self._owns_ray:
            _start(workers, address)
        self._workers, self._slots, self._counted = workers, 1, -math.inf
        self._tasks: dict[tuple[Role, str], Any] = {}
        self._running: dict[ray.ObjectRef, int] = {}
        self._tickets = 0
        self._unsent: list[Finished] = []
        self._address: str = ray.get_runtime_context().gcs_address
        self._asked = self._answered = time.monotonic()

    @property
    def slots(self) -> int:
        """Processors of the cluster as it is now: nodes join it and leave, and an autoscaler adds what is asked for."""
        if time.monotonic() - self._counted > COUNT_EVERY_S:
            if self._answers():  # else its head is being begun again: the last number stands
                self._slots = max(1, int(ray.cluster_resources().get("CPU", 1)))
            self._counted = time.monotonic()
        return self._slots if self._workers is None else min(self._slots, self._workers)

    def lacking(self, needs: Resources) -> str:
        return needs.lacking(node["Resources"] for node in ray.nodes() if node["Alive"])

    def submit(
        self, role: Role, function: Callable[[Any], Any], items: Sequence[Any], needs: Resources = ONE_CPU
    ) -> int:
        self._tickets += 1
        try:
            packed = cloudpickle.dumps((function, list(items)))
        except Exception as error:  # an object of the user's that cannot leave this process
            self._unsent.append(Finished(self._tickets, Lost(f"it cannot be sent to a worker: {error!r}")))
            return self._tickets
        task = self._tasks.setdefault((role, str(needs)), placed(_run, role, needs, retries=0))
        self._running[task.remote(packed)] = self._tickets
        return self._tickets

    def wait(self, timeout_s: float) -> list[Finished]:
        if self._unsent or not self._running:
            unsent, self._unsent = self._unsent, []
            return unsent
        ready, rest = ray.wait(list(self._running), num_returns=1, timeout=timeout_s)
        self._check_cluster(quiet=not ready)
        if ready and rest:  # whatever else has come back meanwhile
            ready += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return [self._collect(reference) for reference in ready]

    def _check_cluster(self, quiet: bool) -> None:
        """Raise ClusterGone where nothing has come back for long, and nobody answers at the cluster's address; Ray
        itself waits on, for a head that is begun again soon is taken up by its nodes."""
        now = time.monotonic()
        if not quiet:
            self._asked = self._answered = now
        elif now - self._asked > ASK_EVERY_S:
            self._asked = now
            if self._answers():
                self._answered = now
            elif now - self._answered > GONE_S:
                raise _gone(f"the Ray cluster at {self._address} has not answered for {GONE_S:.0f} s")

    def _answers(self) -> bool:
        """Whether somebody listens at the cluster's address. Ray's own questions would wait for a minute."""
        try:
            _check_listening(self._address)
        except ConnectionError:
            return False
        return True

    def _collect(self, reference: ray.ObjectRef) -> Finished:
        ticket = self._running.pop(reference)
        try:
            results, seconds = ray.get(reference)
        except LocalRayletDiedError as error:  # the driver's own: everything else would be lost at once
            raise _gone("this driver's own node of the Ray cluster has gone") from error
        except RayError as error:  # jobs return their failures as values: what comes here is nobody's strategy
            return Finished(ticket, Lost(f"{type(error).__name__}: {error}"))
        return Finished(ticket, results, seconds)

    def close(self) -> None:
        for reference in self._running:
            ray.cancel(reference, force=True)
        self._running.clear()
        if self._owns_ray:
            ray.shutdown()


def _start(workers: int | None, address: str | None) -> None:
    os.environ.update({key: value for key, value in STARTUP.items() if key not in os.environ})
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    ended_by = signal.getsignal(signal.SIGTERM)
    try:
        _connect(workers, address, quiet)
    finally:
        if ended_by is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ended_by)  # Ray puts its own handler there, which exits at once


def _environment(paths: Sequence[str]) -> dict[str, Any]:
    """Where workers look for modules, and with how many threads they work."""
    variables = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return {"env_vars": variables if (folder := here()) is None else {**variables, DRIVER: folder}}


def _connect(workers: int | None, address: str | None, quiet: dict[str, Any]) -> None:
    if address is not None:
        _join(address, quiet)
        return
    cores = workers or os.cpu_count() or 1
    for left in reversed(range(TRIES)):
        try:
            with _told_if_slow("a local Ray to start", "0 workers run without it"):
                ray.init(
                    address="local",  # not the cluster that RAY_ADDRESS or a file of Ray's names: none was asked for
                    num_cpus=cores,
                    include_dashboard=False,
                    runtime_env=_environment(_import_paths()),
                    # processes of both roles stay warm: starting one costs more than most runs
                    _system_config={"num_workers_soft_limit": 2 * cores + 1},
                    **quiet,
                )
            return
        except Exception as error:  # Ray gives up after half a minute, which a loaded machine may need
            ray.shutdown()
            if not left:
                told = f"a local Ray does not start: {_first_line(error)};"
                raise InputError(
                    f"{told} `workers=0` runs without it.", command=f"{told} --workers 0 runs without it."
                ) from error


def _join(address: str, quiet: dict[str, Any]) -> None:
    if address.startswith("ray://"):
        raise InputError(
            f"the cluster `{address}` is named by the address of Ray's client, which cannot cancel what runs when a "
            "study is interrupted; start the study on a machine of the cluster, with `auto` or `host:port`."
        )
    try:
        _check_listening(address)
        with (
            _told_if_slow(f"the Ray cluster at {address}", "without an address a local Ray starts"),
            tempfile.TemporaryDirectory() as folder,
        ):
            own = own_modules()
            found = _import_paths(without={str(origin.parent) for origin in own.values()})  # the copy alone is imported
            environment = _environment(found)
            if copies := staged(own, Path(folder)):
                environment["py_modules"] = copies  # sent while it connects
            ray.init(address=address, runtime_env=environment, **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, RayError) as error:
        ray.shutdown()
        told = f"there is no Ray cluster at `{address}`: {_first_line(error)}"
        if "RAY_AUTH_MODE" not in os.environ:
            told += "; where it asks for a token, set RAY_AUTH_MODE=token"
        raise InputError(f"{told}; without an address a local Ray starts.") from error


def _check_listening(address: str) -> None:
    """Raise ConnectionError where nothing listens at `host:port`: Ray itself would try for two minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():  # `auto`
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError as error:
        raise ConnectionError(f"nothing listens there ({error.strerror or error})") from error


def _gone(told: str) -> ClusterGone:
    what = f"{told}; what has finished is recorded. Complete the study, there or on another cluster, with"
    return ClusterGone(f"{what} `resume=True`.", command=f"{what} --resume.")


def _first_line(error: Exception) -> str:
    """What an error says first, without the stop at its end."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


@contextmanager
def _told_if_slow(what: str, way: str) -> Iterator[None]:
    """Say on the standard error, every `SLOW_S` seconds, what is waited for, and the way out."""
    over = threading.Event()

    def tell() -> None:
        began = time.monotonic()
        while not over.wait(SLOW_S):
            load = f", load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else ""
            print(
                f"waiting for {what} ({time.monotonic() - began:.0f} s so far{load}); {way}",
                file=sys.stderr,
                flush=True,
            )

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _import_paths(without: Collection[str] = ()) -> list[str]:
    """Where plug-ins given as `module:attr` are found by this process, so that workers find them too."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    found = dict.fromkeys(os.path.abspath(p) for p in [*given, *sys.path] if p and os.path.isdir(p))
    return [path for path in found if path not in without]


def _run(packed: bytes) -> tuple[list[Any], tuple[float, ...]]:
    """Worker entry point: a packed function and its items.

    They are unpacked only here because that imports modules: Ray has put the working folder first in the path.
    SIGTERM ends the worker, so that no job takes Ray's exit for a failure of its own.
    """
    search_last()
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        return run_batch(*cloudpickle.loads(packed))
    finally:
        signal.signal(signal.SIGTERM, before)
