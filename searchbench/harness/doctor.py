"""What this machine has, what is missing, and the way out of each lack."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from searchbench.errors import InputError
from searchbench.harness.running.provenance import PACKAGES, provenance
from searchbench.results.examination import examine
from searchbench.results.store import open_store
from searchbench.tasks import TASKS

State = Literal["ok", "missing", "broken"]
OPTIONAL = {"nni": "pip install nni", "PIL": "pip install pillow", "networkx": "pip install networkx"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. "missing" limits what can be run; "broken" means nothing will run well."""

    state: State
    what: str
    told: str


def findings(store: str) -> Iterator[Finding]:
    """Everything worth knowing before a first run."""
    yield _python()
    found = provenance()["packages"]
    for name in PACKAGES:
        told = found.get(name, f"not installed; pip install {name}")
        yield Finding("ok" if name in found else "broken", name, told)
    for module, way_out in OPTIONAL.items():
        present = importlib.util.find_spec(module) is not None
        yield Finding("ok" if present else "missing", module, "installed" if present else f"optional; {way_out}")
    yield from _devices()
    yield _ray()
    yield from _data()
    yield from _store(store)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Finding("ok" if good else "broken", "Python", version if good else f"{version}; 3.11 or newer is needed")


def _devices() -> Iterator[Finding]:
    import torch

    threads = os.environ.get("SEARCHBENCH_THREADS", "1")
    yield Finding("ok", "CPU", f"{os.cpu_count()} cores; {threads} PyTorch thread per run")
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        yield Finding("ok", "CUDA", names)
    else:
        yield Finding("missing", "CUDA", "no device seen; everything runs on the CPU")


def _ray() -> Finding:
    from searchbench.harness.session import executor

    try:
        with executor(workers=1) as one:
            one.submit("search", abs, [-1])
            came = [finished for _ in range(60) for finished in one.wait(timeout_s=1.0)]
    except Exception as error:  # whatever stops Ray is what the user has to be told
        return Finding(
            "broken", "Ray", f"a local Ray does not start: {error}; `searchbench run --workers 0` runs without it"
        )
    if came and came[0].results == [1]:
        return Finding("ok", "Ray", "a local Ray starts and runs a task")
    return Finding(
        "broken", "Ray", "a local Ray starts, but runs no task; `searchbench run --workers 0` runs without it"
    )


def _data() -> Iterator[Finding]:
    for name in TASKS.builtin:
        try:
            TASKS.factory(name)().checksum()
        except InputError as error:
            yield Finding("missing", f"task {name}", str(error))
        else:
            yield Finding("ok", f"task {name}", "data found")


def _store(store: str) -> Iterator[Finding]:
    if "://" not in store and not os.path.exists(store):
        yield Finding("ok", "store", f"{store} does not exist yet; the first run makes it")
        return
    try:
        with open_store(store) as opened:
            yield Finding("ok", "store", f"{store} holds {len(opened.studies())} studies")
    except InputError as error:
        yield Finding("broken", "store", str(error))
    try:
        for looked in examine(store):
            yield Finding(looked.state, f"store: {looked.what}", looked.told)
    except InputError:
        return  # there is none, which has been said
