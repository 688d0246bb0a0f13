"""What a strategy's code does besides asking and telling, noticed while it runs: frames, live objects, files, code.

Python cannot keep a plug-in from any of this. It can be seen, though: the interpreter reports looks at frames and live
objects (audit events), the operating system reports opened files, and replaced functions are other objects than before.
"""

from __future__ import annotations

import ctypes
import os
import random
import struct
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from searchbench.harness.processes.global_state import Code, code_of, put_back_code

PACKAGE = Path(__file__).parents[1]
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
REACHES = ("sys._getframe", "sys._current_frames", "gc.get_objects", "gc.get_referrers", "gc.get_referents")
FRAMES = ("tb_frame", "gi_frame", "cr_frame", "ag_frame")
PASSED_THROUGH = ("inspect.py", "traceback.py")
"""Files of the library whose look at frames is that of who called them."""
TORCH = ("manual_seed", "seed", "set_rng_state", "rand", "randn", "randint", "randperm", "normal", "bernoulli")


@dataclass(slots=True)
class AccessWatch:
    """What was noticed, in the order in which it happened, each thing once."""

    root: str
    """The folder or file of the plug-in's code."""
    noticed: dict[str, None] = field(default_factory=dict)
    look: Callable[[], object] = bool
    """Looks now whether a function is replaced, that may have been put back when the run has ended."""

    def note(self, what: str) -> None:
        self.noticed[what] = None

    def own(self, frame: types.FrameType | None) -> bool:
        """Whether a frame is of the plug-in's code: of its own folder, or of no library and not of this package."""
        while frame is not None and Path(frame.f_code.co_filename).name in PASSED_THROUGH:
            frame = frame.f_back
        if frame is None:
            return False
        file = frame.f_code.co_filename
        if self.root and file.startswith(self.root):
            return True
        return not file.startswith((*LIBRARIES, str(PACKAGE), "<frozen"))


_watching: list[AccessWatch] = []
_inside: list[bool] = []
"""Whether the hook itself is at work, which looks at frames too."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or _inside:
        return
    reaches = event in REACHES or event.startswith("ctypes.") or event in ("sys.settrace", "sys.setprofile")
    looks = event == "object.__getattr__" and len(arguments) > 1 and arguments[1] in FRAMES
    if not (reaches or looks):
        return
    _inside.append(True)
    try:
        if _watching[-1].own(sys._getframe(1)):
            _watching[-1].note(f"it used `{arguments[1] if looks else event}`")
    finally:
        _inside.pop()


def _listen() -> None:
    """Install the hook once; it cannot be taken away again, but does nothing while nobody watches."""
    if not getattr(_listen, "done", False):
        sys.addaudithook(_hook)
        _listen.done = True  # type: ignore[attr-defined]


@contextmanager
def watched(part: object) -> Iterator[AccessWatch]:
    """Notice what the code of `part` does inside: looks at frames and live objects, draws from global generators,
    replaced functions of this package (put back afterwards), opened tables."""
    _listen()
    watch = AccessWatch(_root(type(part)))
    with ExitStack() as around:
        around.enter_context(_unopened(watch))
        around.enter_context(_undrawn(watch, sys.modules.get(type(part).__module__)))
        around.enter_context(unchanged_code(watch))  # last, and so with the spies of the others in place
        _watching.append(watch)
        try:
            yield watch
        finally:
            _watching.remove(watch)


def _root(kind: type) -> str:
    """Folder of the installed package that a class is of, or its file."""
    top = sys.modules.get(kind.__module__.partition(".")[0])
    if top is None or top.__name__ == "searchbench":
        return str(PACKAGE / "strategies")
    file = getattr(top, "__file__", None) or ""
    return str(Path(file).parent) if Path(file).name == "__init__.py" else file


# -- replaced code -------------------------------------------------------------------------------------------------


@contextmanager
def unchanged_code(watch: AccessWatch) -> Iterator[None]:
    """Note which functions that measurements rely on were replaced inside, and put them back."""
    before = [(owner, name, value, code_of(value)) for owner, name, value in _functions()]

    def replaced() -> Iterator[tuple[Any, str, Any, Code]]:
        for owner, name, value, code in before:
            if vars(owner).get(name) is not value or code_of(value) != code:
                module = f"{owner.__module__}." if isinstance(owner, type) else ""
                watch.note(f"it replaced `{module}{owner.__name__}.{name}`")
                yield owner, name, value, code

    watch.look = lambda: all(replaced())
    try:
        yield
    finally:
        for owner, name, value, code in replaced():
            put_back_code(value, code)
            setattr(owner, name, value)
        watch.look = bool


RELIED_ON = ("builtins", "time", "math", "random", "numpy", "torch", "torch.nn.functional")
"""Modules of others by which things are measured, drawn and timed."""


def _functions() -> Iterator[tuple[Any, str, Any]]:
    """(module or class, name, value) of everything that can be called or looked up in this package and in what every
    measurement relies on."""
    own = [module for name, module in sys.modules.items() if name.partition(".")[0] == "searchbench"]
    for module in [*own, *(sys.modules[name] for name in RELIED_ON if name in sys.modules)]:
        for name, value in list(vars(module).items()):
            if isinstance(value, types.FunctionType | types.BuiltinFunctionType):
                yield module, name, value
            elif isinstance(value, type) and value.__module__ == module.__name__ and module in own:
                members = (types.FunctionType, property, staticmethod, classmethod)
                yield from ((value, n, m) for n, m in list(vars(value).items()) if isinstance(m, members))


# -- opened files --------------------------------------------------------------------------------------------------


@contextmanager
def _unopened(watch: AccessWatch) -> Iterator[None]:
    """Ask the operating system whether a table is opened, by whatever library: inotify, so on Linux only."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    handle = -1 if libc is None else libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if libc is None or handle < 0:
        yield
        return
    try:
        known = {libc.inotify_add_watch(handle, str(path).encode(), 0x20): path.name for path in _tables()}  # IN_OPEN
        yield
        for opened in _events(handle):
            watch.note(f"the table {known.get(opened, 'of a study')} was opened while it ran")
    finally:
        os.close(handle)


def _tables() -> Iterable[Path]:
    from searchbench.tables.shipped import SHIPPED

    return [path for path in SHIPPED.values() if path.is_file()]


def _events(handle: int) -> set[int]:
    try:
        told = os.read(handle, 65_536)
    except BlockingIOError:
        return set()
    found, at = set(), 0
    while at < len(told):
        descriptor, _, _, length = struct.unpack_from("iIII", told, at)
        found.add(descriptor)
        at += struct.calcsize("iIII") + length
    return found


# -- global generators ---------------------------------------------------------------------------------------------


@contextmanager
def _undrawn(watch: AccessWatch, module: types.ModuleType | None) -> Iterator[None]:
    """Put a spy before every function of the global generators, and before those that the plug-in has imported."""
    spied = [(owner, name, f) for owner, name, f in _generators() if callable(f)]
    known = {id(f): (owner.__name__, name) for owner, name, f in spied}
    held = [(module, n, f) for n, f in list(vars(module).items()) if id(f) in known] if module is not None else []
    for owner, name, function in [*spied, *held]:
        setattr(owner, name, _spy(watch, function, ".".join(known[id(function)])))
    try:
        yield
    finally:
        for owner, name, function in [*spied, *held]:
            setattr(owner, name, function)


def _generators() -> Iterator[tuple[types.ModuleType, str, Any]]:
    for module, generator in ((random, random._inst), (np.random, np.random.mtrand._rand)):
        for name, value in list(vars(module).items()):
            if getattr(value, "__self__", None) is generator or (module is np.random and name == "seed"):
                yield module, name, value
    torch = sys.modules.get("torch")
    if torch is not None:
        yield from ((torch, name, getattr(torch, name)) for name in TORCH)


def _spy(watch: AccessWatch, function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def spied(*arguments: Any, **named: Any) -> Any:
        _inside.append(True)
        try:
            if named.get("generator") is None and watch.own(sys._getframe(1)):
                watch.note(f"it called `{name}` of the global generator")
        finally:
            _inside.pop()
        return function(*arguments, **named)

    return spied
