"""What tells one objective from another: its source, and what that refers to.

Results under two objectives are comparable only where both are the same, so this enters the problem's fingerprint.
Taken into account: the text of the function (comments and layout aside), its defaults, what it closes over, and the
functions and values of its own module that it names. Not what other packages do: they are in the provenance.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from searchbench.registry import settled_name

DEEP = 6
"""How far values within values are followed."""


def identity(function: Callable[..., Any]) -> Any:
    """Plain values that differ when what a callable computes may differ; the same in every process."""
    return _part(function, None, DEEP, set())


def _part(value: Any, module: str | None, deep: int, seen: set[int]) -> Any:
    """A value, or a function of `module` (None: of any), in plain values."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return _sha(value)
    if deep == 0 or id(value) in seen:
        return type(value).__name__
    seen = seen | {id(value)}
    if isinstance(value, FunctionType):
        return settled_name(value) if module not in (None, value.__module__) else _function(value, deep, seen)
    if isinstance(value, functools.partial):
        return ["partial", *(_part(v, module, deep - 1, seen) for v in (value.func, value.args, value.keywords))]
    if isinstance(value, MethodType):
        return [_part(value.__func__, None, deep - 1, seen), _part(value.__self__, module, deep - 1, seen)]
    if isinstance(value, type | ModuleType) or inspect.isbuiltin(value):
        return getattr(value, "__qualname__", value.__name__)
    if isinstance(value, Mapping):
        return {str(k): _part(v, module, deep - 1, seen) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_part(v, module, deep - 1, seen) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(str(_part(v, module, deep - 1, seen)) for v in value)
    return _object(value, module, deep, seen)


def _function(function: FunctionType, deep: int, seen: set[int]) -> Any:
    inner = {name: function.__globals__[name] for name in sorted(_names(function.__code__) & set(function.__globals__))}
    closed = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    with contextlib.suppress(ValueError):  # a cell that is not filled yet
        inner |= {name: cell.cell_contents for name, cell in closed.items()}
    told: dict[str, Any] = {"source": _sha(_text(function).encode())}
    given = {"defaults": function.__defaults__, "keywords": function.__kwdefaults__, "refers": inner}
    for name, part in given.items():
        if part:
            told[name] = _part(part, function.__module__, deep - 1, seen)
    return told


def _object(value: Any, module: str | None, deep: int, seen: set[int]) -> Any:
    """An array by its content; any other object by its class, how it is called, and its state."""
    array = _array(value)
    if array is not None:
        return [type(value).__name__, *array]
    called = type(value).__dict__.get("__call__")
    state = getattr(value, "__dict__", None) or {n: getattr(value, n, None) for n in getattr(value, "__slots__", ())}
    told = {"class": settled_name(type(value)), "state": _part(dict(state), module, deep - 1, seen)}
    return told if called is None else told | {"call": _part(called, None, deep - 1, seen)}


def _array(value: Any) -> list[Any] | None:
    """Type, shape and content of what holds numbers: an array, a tensor, a frame."""
    if not hasattr(value, "__array__") or not hasattr(value, "shape"):
        return None
    import numpy as np

    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    content = repr(array.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(array).tobytes()
    return [str(array.dtype), list(array.shape), _sha(content)]


def _names(code: CodeType) -> set[str]:
    """Every name a function and the functions within it look up."""
    return set(code.co_names).union(*(_names(inner) for inner in _inner(code)))


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


def _text(function: FunctionType) -> str:
    """The source without comments and layout; the compiled code where there is no source to be found."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return _compiled(function.__code__)
    try:
        return ast.unparse(ast.parse(source))
    except SyntaxError:  # a lambda in the middle of a call
        return source


def _compiled(code: CodeType) -> str:
    constants = [_compiled(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, constants))


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
