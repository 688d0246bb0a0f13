"""Functions in processes of their own: their value comes back, and nothing that they do to a process stays."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from searchbench.errors import EvaluationFailed
from searchbench.harness.declared.limits import Limits
from searchbench.harness.driving.zygote import run_apart
from searchbench.harness.processes.forked import call
from searchbench.harness.processes.global_state import GlobalState
from searchbench.harness.running.guarded import guarded
from searchbench.strategies import evolution

GB = 1e9


def raises() -> None:
    raise ValueError("no")


def segfaults() -> None:
    faulthandler.disable()  # whose traceback would stand in the output of the tests
    ctypes.string_at(0)


def leaves_a_process() -> int:
    if os.fork() == 0:
        time.sleep(1000)
    return 7


def takes(gigabytes: float) -> int:
    taken = [bytearray(10**8) for _ in range(int(gigabytes * 10))]
    time.sleep(5)
    return len(taken)


ENDS = [
    ("value", lambda: 42, {}, "ok", ""),
    ("large value", lambda: bytes(10**7), {}, "ok", ""),
    ("exception", raises, {}, "raised", "ValueError: no"),
    ("exit", lambda: os._exit(3), {}, "died", "exit status 3"),
    ("system exit", lambda: exec("raise SystemExit(0)"), {}, "raised", "SystemExit"),
    ("segfault", segfaults, {}, "died", "SIGSEGV"),
    ("hang", lambda: time.sleep(1000), {"seconds": 0.3}, "timeout", "killed after 0.3 s"),
    ("memory", lambda: takes(0.8), {"memory_bytes": 0.5 * GB}, "memory", "killed above 0.5 GB"),
    ("process left behind", leaves_a_process, {"seconds": 20.0}, "ok", ""),
    ("what does not pickle", lambda: lambda: 1, {}, "raised", "does not pickle"),
]


@pytest.mark.parametrize(("function", "limits", "end", "said"), [e[1:] for e in ENDS], ids=[e[0] for e in ENDS])
def test_fork_ends_without_its_caller(function: Any, limits: dict[str, float], end: str, said: str) -> None:
    started = time.monotonic()
    found = call(function, **limits)
    assert found.end == end
    assert said in found.message
    assert time.monotonic() - started < 15


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def test_fork_over_its_time_is_gone_with_all_that_it_started() -> None:
    read, write = os.pipe()

    def hangs() -> None:
        if os.fork() == 0:
            os.write(write, str(os.getpid()).encode())
        time.sleep(1000)

    call(hangs, seconds=1.0)
    child = int(os.read(read, 100))
    time.sleep(0.1)
    assert not alive(child)


def test_child_of_the_clean_parent_knows_functions_that_no_module_holds() -> None:
    captured = {"a": 1}
    assert run_apart(lambda: captured["a"] + 1).value == 2


def test_child_that_kills_its_parent_has_died_and_the_next_is_served() -> None:
    assert run_apart(lambda: os.kill(os.getppid(), signal.SIGKILL)).end == "died"
    assert run_apart(lambda: 44).value == 44


def test_class_that_a_child_patches_is_whole_in_the_next() -> None:
    def patches() -> str:
        evolution.Evolution.tell = lambda self, trial: None  # type: ignore[method-assign]
        return ", ".join(name for name in vars(evolution.Evolution) if name == "tell")

    def looks() -> str:
        return evolution.Evolution.tell.__name__

    assert run_apart(patches).value == "tell"
    assert run_apart(looks).value == "tell"


nothing = (lambda self: None).__code__
TOUCHED = [
    ("torch default type", lambda: torch.set_default_dtype(torch.float64)),
    ("torch gradients", lambda: torch.set_grad_enabled(False)),
    ("torch generator", lambda: torch.rand(1)),
    ("random", random.random),
    ("numpy.random", np.random.rand),
    ("numpy.seterr", lambda: np.seterr(all="ignore")),
    ("working folder", lambda: os.chdir("/")),
    ("environment", lambda: os.environ.update({"SOMETHING_OF_A_PLUG_IN": "1"})),
    ("searchbench.strategies.evolution:Evolution.tell", lambda: setattr(evolution.Evolution, "tell", raises)),
    ("searchbench.strategies.evolution:Evolution.ask", lambda: setattr(evolution.Evolution.ask, "__code__", nothing)),
]


@pytest.mark.parametrize(("name", "touch"), TOUCHED, ids=[t[0] for t in TOUCHED])
def test_global_state_that_was_touched_is_named_and_put_back(name: str, touch: Any) -> None:
    found = GlobalState()
    assert found.changes() == []
    touch()
    assert found.changes() == [name]
    found.restore()
    assert found.changes() == []


class Estimator:
    """An estimator that misbehaves as its seed says."""

    def complete(self, fidelity: Any) -> Any:
        return fidelity

    def price(self, architecture: Any, fidelity: Any, resume: Any = None) -> Any:
        return 1

    def evaluate(self, architecture: Any, fidelity: Any, seed: int, resume: Any = None) -> Any:
        return [lambda: ("measurement", 1), raises, lambda: time.sleep(100), lambda: os._exit(1)][seed]()


@pytest.mark.parametrize(("seed", "reason"), [(1, "error"), (2, "timeout"), (3, "error")])
def test_evaluation_that_goes_wrong_is_a_failure_and_not_the_end(seed: int, reason: str) -> None:
    within = guarded(Estimator(), Limits(evaluation_s=0.5))
    with pytest.raises(EvaluationFailed) as failure:
        within.evaluate(None, None, seed)  # type: ignore[arg-type]
    assert failure.value.reason == reason
    assert within.evaluate(None, None, 0) == ("measurement", 1)  # type: ignore[arg-type]


def test_pytorch_that_a_run_was_the_first_to_import_is_put_back_to_what_a_fresh_one_is() -> None:
    code = """
        from searchbench.harness.processes.global_state import GlobalState
        found = GlobalState(classes=False)
        import torch
        untouched = torch.get_rng_state()
        assert found.changes() == [], found.changes()
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.rand(3)
        assert found.changes() == ["torch default type", "torch gradients", "torch generator"], found.changes()
        found.restore()
        assert found.changes() == []
        assert torch.get_default_dtype() is torch.float32 and torch.equal(torch.get_rng_state(), untouched)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_an_own_process_is_where_its_caller_is_and_not_where_its_parent_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_apart(os.getcwd).value == os.getcwd()
    (tmp_path / "added_later.py").write_text("def answer():\n    return 42\n")
    (tmp_path / "statistics.py").write_text("raise RuntimeError('stood before the module of Python')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SAID_LATER", "yes")
    monkeypatch.chdir(tmp_path)

    def sees() -> tuple[Any, ...]:
        import statistics

        import added_later  # type: ignore[import-not-found]

        return os.getcwd(), os.environ.get("SAID_LATER"), added_later.answer(), statistics.mean([1, 3])

    assert run_apart(sees).value == (str(tmp_path), "yes", 42, 2)


def test_hashes_of_an_own_process_have_the_seed_that_was_asked_for() -> None:
    def hashed() -> int:
        return hash("searchbench")

    one, again, other = (run_apart(hashed, hash_seed=seed).value for seed in ("1", "1", "2"))
    assert one == again != other
