"""Names to things, without importing the things.

A name is one of: a built-in ("random"), an entry point of another package (group "searchbench.strategies" and so on),
an adapter and what it adapts ("optuna:tpe"), or a path to an object ("my_module:MyStrategy", "parts/mine.py:My").
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from searchbench.errors import InputError, Interrupted, UnknownName

MOVED = {
    "searchbench.estimators.table": "searchbench.tables.table",
    "searchbench.spaces.random_graphs": "searchbench.spaces.graphs.generators",
} | {
    f"searchbench.harness.{name}": f"searchbench.harness.declared.{name}"
    for name in ("ablation", "constraint", "limits", "objective", "problem", "resources", "study", "tuning")
}
"""Modules of described parts that stand elsewhere since: where their names were settled, and where they are now.

A class keeps the name it had when stores first held it, so that fingerprints outlive a move, and stores stay readable.
"""
_SETTLED = {now: before for before, now in MOVED.items()}


def settled_name(kind: Any) -> str:
    """`module:attribute` of a class or function, as descriptions and stores write it."""
    return f"{_SETTLED.get(kind.__module__, kind.__module__)}:{kind.__qualname__}"


def lacking(part: object, protocol: type) -> tuple[str, ...]:
    """Members of a Protocol that `part` does not have, in the order in which the Protocol states them."""
    stated = [*vars(protocol), *protocol.__annotations__]
    members = dict.fromkeys(name for name in stated if not name.startswith("_") or name == "__call__")
    return tuple(name for name in members if not _has(part, name))


def _has(part: object, name: str) -> bool:
    absent = object()
    found = inspect.getattr_static(part, name, absent)  # a property may need data that is not there
    return found is not None and (found is not absent or hasattr(part, name))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a registry: where the factory is, and what it makes in a sentence."""

    path: str
    """ "module:attribute" of a callable."""
    summary: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Factories of one kind of thing, by name.

    Args:
        kind: what it holds, in the singular ("strategy"); its entry-point group is `searchbench.<plural>`.
        group: the entry-point group other packages publish under.
        builtin: the package's own entries.
        adapters: prefix -> (entry of a factory taking the rest of the name first, names it accepts or a path to them).
    """

    kind: str
    group: str
    builtin: Mapping[str, Entry]
    adapters: Mapping[str, Entry] = field(default_factory=dict)

    def names(self) -> dict[str, str]:
        """Every name that can be listed, with its summary."""
        listed = {name: entry.summary for name, entry in self.builtin.items()}
        listed |= {f"{prefix}:…": entry.summary for prefix, entry in self.adapters.items()}
        for point in self._entry_points():
            listed.setdefault(point.name, f"from {point.value}")
        return listed

    def factory(self, name: str) -> Callable[..., Any]:
        """The callable registered under `name`.

        Raises:
            UnknownName: nothing is; carries the nearest names.
            InputError: a `module:attr` path or an entry point cannot be imported.
        """
        if name in self.builtin:
            return _load(self.builtin[name].path, name)
        for point in self._entry_points():
            if point.name == name:
                return _load(f"{point.module}:{point.attr}", name)
        prefix, colon, rest = name.partition(":")
        if colon and prefix in self.adapters:
            adapt = _load(self.adapters[prefix].path, name)
            return lambda **parameters: adapt(rest, **parameters)
        if colon and prefix and rest:
            return _load(name, name)
        raise UnknownName(self.kind, name, self.names())

    def described(self, name: str) -> Callable[..., Any]:
        """What says what `name` is: its factory; of what an adapter adapts, and of ``prefix:…``, the adapter.

        Raises:
            InputError: as `factory`.
        """
        prefix, colon, _ = name.partition(":")
        if colon and prefix in self.adapters and name not in self.builtin:
            return _load(self.adapters[prefix].path, name)
        return self.factory(name)

    def _entry_points(self) -> importlib.metadata.EntryPoints:
        return importlib.metadata.entry_points(group=self.group)


def told(error: BaseException) -> str:
    """What went wrong, in a line: the type and the message."""
    return f"{type(error).__name__}: {error}"


def load(path: str) -> Any:
    """The object at ``module:attribute`` or ``folder/file.py:attribute``.

    Raises:
        InputError: it cannot be imported, or importing it raises.
    """
    if not all(path.rpartition(":")[::2]):
        raise InputError(f'an object is named as "module:name" or "file.py:name", but got `{path}`.')
    return _object(path, path)


def _module(name: str) -> ModuleType:
    """A module by its name, or by the path of its file, whose folder is then searched for modules from now on."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    file = Path(name).absolute()
    if file.is_file() and str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    module = importlib.import_module(file.stem)  # by its name, so that what it holds can be sent to other processes
    found = Path(getattr(module, "__file__", None) or "")
    if file.is_file() and not (found.samefile(file) or found.read_bytes() == file.read_bytes()):  # a copy, on a cluster
        raise ImportError(f"`{file.stem}` is the module {found} already; give the file another name")
    return module


def _object(path: str, name: str) -> Any:
    module_name, _, attribute = path.rpartition(":")
    try:
        target: Any = _module(MOVED.get(module_name, module_name))
        for part in attribute.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"`{name}` names the object {path}, which cannot be imported: {error}; "
            "check the spelling and that its package is installed (or that its folder is on PYTHONPATH)."
        ) from error
    except Interrupted:
        raise
    except BaseException as error:  # whatever the module does when it is imported, `sys.exit(0)` included
        raise InputError(f"`{name}` names the object {path}, whose import raises {told(error)}.") from error
    return target


def _load(path: str, name: str) -> Callable[..., Any]:
    target = _object(path, name)
    if not callable(target):
        raise InputError(f"`{name}` must name a callable, but {path} is a {type(target).__name__}.")
    return target  # type: ignore[no-any-return]
