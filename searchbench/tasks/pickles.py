"""Pickles of others, read without running or trusting anything of them: plain containers, numbers, arrays of numbers.

Nothing of NumPy is called on what a pickle says: its reconstructors believe the sizes they are given. What stands for
an array or a number here checks them first.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import resource
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

LARGEST = 8 * 10**9
"""Bytes of memory that reading may take beyond what the process has: a file of few bytes can ask for any amount."""
_NUMBERS = re.compile(r"[<>|=]?[biuf][1248]|[<>|=]?[?]|[<>|=]?[bBhHiIlLqQefd]")
"""Codes of types of numbers; none that holds objects, text or fields."""
Failures = (pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, IndexError, KeyError, AttributeError,
            MemoryError, OverflowError, RecursionError)  # fmt: skip
"""Whatever a damaged or malicious pickle may raise when it is read."""


class Foreign(pickle.UnpicklingError):
    """A pickle names something that is not on the list: "module.name"."""


class PickleKind:
    """Stands for NumPy's description of a type of numbers."""

    def __init__(self, code: object, *_: object) -> None:
        named = code.decode("ascii", "replace") if isinstance(code, bytes) else code
        if not isinstance(named, str) or not _NUMBERS.fullmatch(named):
            raise pickle.UnpicklingError(f"an array must hold numbers, but its type is {str(named)[:40]!r}")
        self.dtype = np.dtype(named)

    def __setstate__(self, state: Any) -> None:
        order: Any = state[1].decode() if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"a type's order of bytes is {order!r}")
        self.dtype = self.dtype.newbyteorder(order)


class Numbers:
    """Stands for an array until its numbers come; NumPy then sees an array in it."""

    def __init__(self) -> None:
        self.array: npt.NDArray[Any] = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, in_columns, content = state
        if isinstance(content, str):
            content = content.encode("latin1")
        whole = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
        if not whole or not isinstance(kind, PickleKind) or not isinstance(content, bytes) or len(shape) > 32:
            raise pickle.UnpicklingError("an array must have a shape, a type of numbers, and bytes")
        if math.prod(shape) * kind.dtype.itemsize != len(content):
            raise pickle.UnpicklingError(f"an array of shape {shape} cannot have {len(content):,} bytes")
        self.array = np.frombuffer(content, kind.dtype).reshape(shape, order="F" if in_columns else "C")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self.array if dtype is None else self.array.astype(dtype)


def _array(*_: object) -> Numbers:
    return Numbers()


def _scalar(kind: object, content: object = b"") -> int | float | bool:
    given = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(kind, PickleKind) or not isinstance(given, bytes) or len(given) != kind.dtype.itemsize:
        raise pickle.UnpicklingError("a number must have a type and as many bytes")
    plain: int | float | bool = np.frombuffer(given, kind.dtype)[0].item()
    return plain


def _latin1(text: str, encoding: str) -> bytes:
    """How protocol 2, torch's, writes bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise Foreign(f"_codecs.encode to {encoding}")
    return text.encode("latin1")


def _empty() -> bytes:
    """How protocol 2 writes no bytes; with a size it would make as many."""
    return b""


class _Named:
    """Stands for a class that is only named, as `ndarray` is."""


_CORES = ("numpy.core", "numpy._core")
ADMITTED: Mapping[tuple[str, str], Callable[..., Any] | type] = MappingProxyType(
    {
        **{(f"{core}.multiarray", "_reconstruct"): _array for core in _CORES},
        **{(f"{core}.multiarray", "scalar"): _scalar for core in _CORES},
        ("numpy", "ndarray"): _Named,
        ("numpy", "dtype"): PickleKind,
        ("_codecs", "encode"): _latin1,
        ("collections", "OrderedDict"): OrderedDict,
        ("collections", "defaultdict"): defaultdict,
        **{(built_in, "set"): set for built_in in ("builtins", "__builtin__")},
        **{(built_in, "bytes"): _empty for built_in in ("builtins", "__builtin__")},
        ("builtins", "dict"): dict,
    }
)


class PlainUnpickler(pickle.Unpickler):
    """An unpickler that looks up plain containers, and what stands for NumPy's numbers and arrays."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise Foreign(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        """Stands for a tensor of a torch file: its numbers are never looked at."""
        return None


def plain(stream: io.BufferedIOBase | Any, *, encoding: str = "ASCII", largest: int = LARGEST) -> Any:
    """What a pickle holds.

    Args:
        stream: to read from.
        encoding: of texts that Python 2 wrote.
        largest: bytes of memory it may take.

    Raises:
        Foreign: it names anything but plain containers and numbers; nothing of that has been run.
        pickle.UnpicklingError: it is damaged, or larger.
    """
    try:
        with bounded(largest):
            return PlainUnpickler(stream, encoding=encoding).load()
    except pickle.UnpicklingError:
        raise
    except MemoryError:
        raise pickle.UnpicklingError(f"it takes more than {largest / 1e9:g} GB of memory") from None
    except Failures as error:
        raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from error


@contextmanager
def bounded(more: int) -> Iterator[None]:
    """Let this process take at most `more` bytes of memory beyond what it has, for a while, where the system can."""
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    has = _taken()
    wanted = has + more
    limits = has > 0 and (before == resource.RLIM_INFINITY or wanted < before)
    if limits:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        if limits:
            resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def _taken() -> int:
    """Bytes of address space of this process; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as told:
            return int(told.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
