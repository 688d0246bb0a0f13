"""What a run must leave as it found it: state that every other run in the process shares."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from searchbench.errors import SearchbenchError

PACKAGE = "searchbench"
_LIBRARIES = ("TORCH", "KMP_", "OMP_", "RAY_", "PYTORCH_", "CUDA_")
"""Variables that libraries set when they are first used: nobody's fault, and nobody's business."""


class GlobalState:
    """A fingerprint of a process's global state, by name, from which it can be put back.

    Of PyTorch: default type, whether gradients are recorded, threads, determinism, and the global generator; of
    Python and NumPy: the global generators and the error state; the working folder and the environment; and every
    attribute of the package's own classes and modules.

    Args:
        classes: whether the package's own classes are looked at; that takes 4 ms, all the rest a fifth of one.
    """

    def __init__(self, *, classes: bool = True) -> None:
        self._found = _simple()
        members = _attributes() if classes else ()
        self._attributes = {owner: {n: (v, code_of(v)) for n, v in found.items()} for owner, found in members}

    def changes(self) -> list[str]:
        """Names of what is not as it was found."""
        now, attributes = _simple(), dict(_attributes()) if self._attributes else {}
        changed = [name for name, value in self._before().items() if name in now and not _same(now[name], value)]
        for owner, before in self._attributes.items():
            after = attributes.get(owner, {})
            changed += [
                f"{owner}.{name}"
                for name, (value, code) in before.items()
                if after.get(name, value) is not value or code_of(value) != code
            ]
        return changed

    def restore(self) -> None:
        """Put everything back that can be."""
        for name, value in self._before().items():
            _RESTORE[name](value)
        for owner, before in self._attributes.items():
            target = _owner(owner)
            for name, (value, code) in before.items():
                put_back_code(value, code)
                if target is not None and vars(target).get(name) is not value:
                    try:
                        setattr(target, name, value)
                    except (AttributeError, TypeError) as error:
                        raise SearchbenchError(f"`{owner}.{name}` was changed and cannot be put back.") from error

    def _before(self) -> dict[str, Any]:
        """What was found, and of a PyTorch that was imported since, what it is when nobody has touched it."""
        torch = sys.modules.get("torch")
        if torch is None or "torch generator" in self._found:
            return self._found
        return self._found | {
            "torch default type": torch.float32,
            "torch gradients": True,
            "torch determinism": False,
            # each process draws its seed, so that a seed which was set cannot be told from it, but what was drawn can
            "torch generator": torch.Generator().manual_seed(torch.initial_seed()).get_state().numpy().tobytes(),
        }


def _simple() -> dict[str, Any]:
    found: dict[str, Any] = {
        "random": random.getstate(),
        "numpy.random": np.random.get_state(legacy=True),  # noqa: NPY002  (the state that nobody may touch)
        "numpy.seterr": np.geterr(),
        "working folder": _folder(),
        "environment": {k: v for k, v in os.environ.items() if not k.startswith(_LIBRARIES)},
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found |= {
            "torch default type": torch.get_default_dtype(),
            "torch gradients": torch.is_grad_enabled(),
            "torch threads": torch.get_num_threads(),
            "torch determinism": torch.are_deterministic_algorithms_enabled(),
            "torch generator": torch.get_rng_state().numpy().tobytes(),
        }
    return found


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _attributes() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Full name of each of the package's modules and classes, and its functions, classes and plain members."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != PACKAGE or module is None:
            continue
        members = dict(vars(module))
        yield name, {key: value for key, value in members.items() if callable(value)}
        for key, value in members.items():
            if isinstance(value, type) and value.__module__ == name:
                yield f"{name}:{key}", {k: v for k, v in vars(value).items() if _settled(v)}


Code = tuple[Any, ...]


def code_of(member: Any) -> Code:
    """The code and the defaults of a function, which can be exchanged while it stays the same object; () of others."""
    inner = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
    if type(inner) is not FunctionType:
        return ()
    return inner, inner.__code__, inner.__defaults__, inner.__kwdefaults__


def put_back_code(member: Any, was: Code) -> None:
    """Put back what `code_of` found of a function."""
    if was and code_of(member) != was:
        inner, inner.__code__, inner.__defaults__, inner.__kwdefaults__ = was


def _settled(value: Any) -> bool:
    """Whether an attribute of a class is one that nothing of the package's own changes after its definition."""
    return callable(value) or isinstance(value, property | classmethod | staticmethod)


def _owner(name: str) -> Any:
    module, colon, kind = name.partition(":")
    found = sys.modules.get(module)
    return vars(found).get(kind) if colon and found is not None else found


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    return bool(a == b)


def _restore_environment(value: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if not name.startswith(_LIBRARIES) and name not in value]:
        del os.environ[name]
    os.environ.update(value)


def _in_torch(name: str) -> Callable[[Any], None]:
    """Calls a function of PyTorch's, looked up when it is needed: PyTorch is imported by those who train."""

    def put_back(value: Any) -> None:
        getattr(sys.modules["torch"], name)(value)

    return put_back


def _restore_generator(value: bytes) -> None:
    torch = sys.modules["torch"]
    torch.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))


_RESTORE: Mapping[str, Callable[[Any], Any]] = {
    "random": random.setstate,
    "numpy.random": np.random.set_state,
    "numpy.seterr": lambda value: np.seterr(**value),
    "working folder": lambda value: os.chdir(value) if value else None,
    "environment": _restore_environment,
    "torch default type": _in_torch("set_default_dtype"),
    "torch gradients": _in_torch("set_grad_enabled"),
    "torch threads": _in_torch("set_num_threads"),
    "torch determinism": _in_torch("use_deterministic_algorithms"),
    "torch generator": _restore_generator,
}
