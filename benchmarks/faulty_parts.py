"""Strategies and functions that fail in every way a plug-in can; drawn and run by `faults.py`."""

from __future__ import annotations

import ctypes
import faulthandler
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from searchbench import Proposal


def hang() -> None:
    while True:
        time.sleep(1000)


def spin() -> None:
    while True:
        pass


def segfault() -> None:
    faulthandler.disable()
    ctypes.string_at(0)


def take_memory() -> None:
    taken = [bytearray(10**8) for _ in range(40)]
    time.sleep(20)
    del taken


def leak_handles() -> None:
    LEAKED.extend(open(os.devnull) for _ in range(500))  # noqa: SIM115


def flood() -> None:
    os.write(1, b"x" * (5 * 10**6))


def fork_and_stay() -> None:
    if os.fork() == 0:
        time.sleep(1000)


def fork_and_go_on() -> None:
    os.fork()


def patch_classes() -> None:
    import searchbench.strategies.random as built_in
    from searchbench.harness.running import lab
    from searchbench.tables import lookup

    for module in (built_in, lookup, lab):
        for kind in list(vars(module).values()):
            for method in ("ask", "evaluate", "verdict") if isinstance(kind, type) else ():
                if method in vars(kind):
                    setattr(kind, method, lambda *arguments, **named: None)


def change_defaults() -> None:
    import numpy as np
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    np.seterr(all="raise")
    np.random.seed(0)  # noqa: NPY002
    os.environ["OMP_NUM_THREADS"] = "7"
    os.chdir("/")


def recurse() -> None:
    recurse()


def throw(error: BaseException) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


class Unpicklable(BaseException):
    """An error that no pickle brings back."""

    def __init__(self, one: object, other: object) -> None:
        super().__init__(lambda: (one, other))


LEAKED: list[Any] = []
ACTS: dict[str, Callable[[], Any]] = {
    "hang": hang,
    "busy loop": spin,
    "segfault": segfault,
    "abort": os.abort,
    "os._exit": lambda: os._exit(0),
    "4 GB of memory": take_memory,
    "SystemExit": lambda: sys.exit(0),
    "KeyboardInterrupt": throw(KeyboardInterrupt()),
    "BaseException": throw(BaseException("told by nobody")),
    "unpicklable error": throw(Unpicklable(1, 2)),
    "lone surrogates": throw(ValueError("\udcff\ud800 of a path")),
    "endless recursion": recurse,
    "leaked handles": leak_handles,
    "flood of output": flood,
    "closed output": lambda: (os.close(1), os.close(2)),
    "fork that stays": fork_and_stay,
    "fork that goes on": fork_and_go_on,
    "patched classes": patch_classes,
    "global defaults": change_defaults,
    "SIGKILL to its parent": lambda: os.kill(os.getppid(), 9),
}
"""What a strategy does in the middle of its run."""
PLACES = ("start", "ask", "tell")


@dataclass(frozen=True)
class Faulty:
    """Random search that does something else at its third proposal."""

    act: str
    place: str = "ask"

    def start(self, scenario: Any) -> Search:
        if self.place == "start":
            ACTS[self.act]()
        return Search(self, scenario)


class Search:
    def __init__(self, faulty: Faulty, scenario: Any) -> None:
        self.faulty, self.space, self.rng, self.asked = faulty, scenario.space, scenario.seeds.rng("search"), 0

    def ask(self) -> Proposal:
        self.asked += 1
        if self.faulty.place == "ask" and self.asked == 3:
            ACTS[self.faulty.act]()
        return Proposal(self.space.sample(self.rng))

    def tell(self, trial: Any) -> None:
        if self.faulty.place == "tell" and self.asked == 3:
            ACTS[self.faulty.act]()


ANSWERS: dict[str, Callable[[], Any]] = {
    "NaN": lambda: math.nan,
    "infinity": lambda: math.inf,
    "text": lambda: "0.5",
    "list": lambda: [0.5],
    "None": lambda: None,
    "metric of text": lambda: {"loss": 0.5, "other": "much"},
    "metric of surrogates": lambda: {"loss": 0.5, "\udcff": 1.0},
    "huge integer": lambda: 10**400,
    "complex": lambda: 1j,
    **{name: ACTS[name] for name in (
        "hang", "segfault", "os._exit", "4 GB of memory", "SystemExit", "KeyboardInterrupt", "BaseException",
        "lone surrogates", "flood of output", "fork that stays", "unpicklable error", "SIGKILL to its parent",
    )},
}  # fmt: skip
"""What a function answers, or does, for some configurations."""


def sound(config: Any, *, seed: int) -> float:
    """A function without fault."""
    return float((config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2 + 1e-3 * (seed % 97))


def _answering(name: str) -> Callable[..., Any]:
    def answer(config: Any, *, seed: int) -> Any:
        return sound(config, seed=seed) if config["x"] < 0.85 else ANSWERS[name]()

    return answer


def __getattr__(name: str) -> Any:
    """`answers_0` … are functions with the faults of `ANSWERS`, in its order."""
    number = name.removeprefix("answers_")
    if name.startswith("answers_") and number.isdigit():
        return _answering(list(ANSWERS)[int(number)])
    raise AttributeError(name)
