"""What every described part is held to, whatever its kind: it is frozen, prints and pickles, and lacks no method."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from searchbench.harness.driving.zygote import run_apart
from searchbench.registry import lacking
from searchbench.testing.report import Behaviour, Inapplicable


def description(part: Any) -> str | None:
    """A part is frozen and hashable, prints what it is, and pickles to its equal."""
    try:
        hash(part)
    except TypeError as error:
        return f"it must be hashable, but: {error}."
    if " object at 0x" in repr(part):
        return f"its repr must say what it is, but is {part!r}."
    try:
        copy = pickle.loads(pickle.dumps(part))
    except Exception as error:
        return f"it must pickle, but: {error}; define it at the top of an importable module."
    if copy != part or repr(copy) != repr(part):
        return f"its pickled copy must equal it, but {copy!r} differs from {part!r}."
    return _mutability(part)


def _mutability(part: Any) -> str | None:
    for name in list(getattr(part, "__dataclass_fields__", ())) or ["anything"]:
        try:
            object.__getattribute__(part, "__class__").__setattr__(part, name, getattr(part, name, None))
        except (AttributeError, TypeError):
            continue
        return f"it must be frozen, but `{name}` can be set."
    return None


DESCRIBED = Behaviour(
    "is described by plain values",
    description,
    "results of different settings could be taken for one another, or runs could not be sent to workers",
    "make it a frozen dataclass of plain values at the top of an importable module: @dataclass(frozen=True).",
)


def implements(protocol: type, kind: str) -> Behaviour:
    """The behaviour of lacking no member of `protocol`."""

    def complete(part: Any, *_: Any) -> str | None:
        missing = lacking(part, protocol)
        return f"it lacks {', '.join(f'`{name}`' for name in missing)}." if missing else None

    return Behaviour(
        f"has what every {kind} has",
        complete,
        f"the harness will ask it for what it lacks, and the {'run' if kind == 'strategy' else 'study'} fails there",
        f"add what it lacks; `{protocol.__module__}.{protocol.__name__}` says what each does.",
    )


def global_states() -> dict[str, str]:
    """Digests of every global generator's state."""
    states: dict[str, Any] = {"random": random.getstate(), "numpy": pickle.dumps(np.random.get_state())}  # noqa: NPY002
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return {name: hashlib.sha256(repr(state).encode()).hexdigest() for name, state in states.items()}


def drawn_globally(act: Callable[[], object]) -> str | None:
    """The sentence about global generators that `act` has drawn from or seeded, or None."""
    before = global_states()
    act()
    after = global_states()
    touched = [name for name in before if before[name] != after[name]]
    return f"it drew from the global generator of {', '.join(touched)}." if touched else None


def elsewhere(act: Callable[..., Any], *arguments: Any) -> Any:
    """What `act(*arguments)` returns in a process of another interpreter, whose hashes have another seed.

    Raises:
        Inapplicable: the arguments cannot be sent there (they are defined in a function or a notebook).
        RuntimeError: it fails there.
    """
    try:
        pickle.dumps((act, arguments))
    except Exception as error:
        raise Inapplicable(f"it cannot be sent to another process ({error})") from error
    other = "4321" if os.environ.get("PYTHONHASHSEED") == "1234" else "1234"
    there = run_apart(partial(act, *arguments), hash_seed=other)
    if there.end != "ok":
        raise RuntimeError(f"it failed in another process: {there.message[-2000:]}")
    return there.value
