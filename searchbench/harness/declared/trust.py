"""What of a recorded declaration is code of somebody else's: nothing of it runs before somebody has said so."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from searchbench.errors import InputError
from searchbench.harness.declared.study import Study, study_from_spec
from searchbench.registry import MOVED
from searchbench.strategies import STRATEGIES

PACKAGE = "searchbench"
PARTS = ("spaces", "tasks", "tables", "estimators", "strategies", "harness")
"""Folders of the package that hold parts of studies."""
_NAMED = re.compile(r"[\w./\\~ -]+:[A-Za-z_][\w.]*")
"""What may be the name of an object, ``module:attribute`` or ``file.py:attribute``."""


def foreign_names(spec: Mapping[str, Any]) -> list[str]:
    """Names in a declaration by which code that is not the package's own would be imported or run, in order.

    Any text that could be such a name counts: a parameter of a built-in part may name a part, too.
    """
    given = spec.get("given") or {}
    groups = [group for group in importlib.metadata.entry_points().groups if group.startswith(f"{PACKAGE}.")]
    published = {point.name for group in groups for point in importlib.metadata.entry_points(group=group)}
    found = [name for name in _texts([given.get("problems"), given.get("strategies")]) if _is_foreign(name, published)]
    return list(dict.fromkeys(found))


def recorded_study(spec: Mapping[str, Any], *, trust: bool) -> Study:
    """The study that a store declares, its parts imported.

    Args:
        spec: the declaration.
        trust: whether code that it names, and that is not the package's own, may be imported and run.

    Raises:
        InputError: there is such code, and it is not trusted; or parts were objects that exist elsewhere only.
    """
    names = [] if trust else foreign_names(spec)
    if names:
        told = (
            f"study `{spec.get('name')}` names code that is not this package's own and would be imported and run here: "
            f"{', '.join(f'`{name}`' for name in names)}. Where you trust it,"
        )
        raise InputError(f"{told} say `trust=True`.", command=f"{told} say --trust.")
    return study_from_spec(spec)


def _texts(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        yield f"command {value}" if key == "command" else value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _texts(part, str(name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def _is_foreign(text: str, published: set[str]) -> bool:
    if text.startswith("command ") or text in published:
        return True
    if not _NAMED.fullmatch(text):
        return False
    prefix = text.partition(":")[0]
    return prefix not in STRATEGIES.adapters and not _is_part(text)


def _is_part(name: str) -> bool:
    """Whether a name is that of a description in this package: a frozen dataclass, which does nothing when made."""
    module, _, attributes = name.rpartition(":")
    module = MOVED.get(module, module)
    top, _, rest = module.partition(".")
    if top != PACKAGE or rest.partition(".")[0] not in PARTS:
        return False
    try:
        found: Any = importlib.import_module(module)
    except ImportError:
        return False
    for attribute in attributes.split("."):
        found = getattr(found, attribute, None)
        if isinstance(found, ModuleType):
            return False
    ours = isinstance(found, type) and found.__module__.partition(".")[0] == PACKAGE
    return ours and dataclasses.is_dataclass(found)
