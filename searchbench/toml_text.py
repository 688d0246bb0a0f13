"""Values as TOML writes them, for study files that commands print or write; Python itself only reads TOML."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from searchbench.errors import InputError


def value(given: Any) -> str:
    """A value on one line; tables stand in braces.

    Raises:
        InputError: TOML has no such value: None, or an object.
    """
    if isinstance(given, Enum):
        return value(given.value)
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, float):
        return repr(given) if math.isfinite(given) else str(given)
    if isinstance(given, int):
        return str(given)
    if isinstance(given, str):
        return json.dumps(given, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(given, Mapping):
        pairs = ", ".join(f"{key(name)} = {value(part)}" for name, part in given.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(given, list | tuple):
        return f"[{', '.join(map(value, given))}]"
    if given is None:
        raise InputError("a study file cannot write None; give it as a text.")
    raise InputError(f"a study file cannot write {given!r}; it holds texts, numbers, lists and tables.")


def key(name: object) -> str:
    """A key, in quotation marks where it needs them."""
    text = f"{name:g}" if isinstance(name, float) else str(name)
    return text if re.fullmatch("[A-Za-z0-9_-]+", text) else value(text)


def document(content: Mapping[str, Any]) -> str:
    """A whole file: values first, then a section for each table and for each entry of a list of tables.

    Raises:
        InputError: as `value`.
    """
    return "\n".join(_lines(content, "")).strip() + "\n"


def _lines(content: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from (f"{key(n)} = {value(part)}" for n, part in content.items() if not _sections(part))
    for name, part in content.items():
        where = f"{path}.{key(name)}" if path else key(name)
        for entry in _sections(part):
            if isinstance(part, list):
                yield f"\n[[{where}]]"
            elif not all(map(_sections, entry.values())):  # a table of tables needs no line of its own
                yield f"\n[{where}]"
            yield from _lines(entry, where)


def _sections(part: Any) -> list[Mapping[str, Any]]:
    """What of a value stands in sections of its own; nothing where it stands on a line."""
    entries = part if isinstance(part, list) else [part]
    return entries if entries and all(isinstance(entry, Mapping) and entry for entry in entries) else []
