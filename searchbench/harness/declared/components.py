"""Naming the parts of a study: by registered name with parameters, or as the object itself.

A part (space, task, estimator, judge, strategy) is held as it was given, so that a study prints as the code that
rebuilds it; it is made, and its parameters checked, by `make`. `describe` turns any made part into plain JSON values,
which is what fingerprints are taken of.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from numbers import Integral, Real
from os import PathLike
from typing import Any

from searchbench.errors import InputError, Interrupted, StudyError, did_you_mean
from searchbench.registry import Registry, settled_name, told
from searchbench.spaces.choices import Choice, Float, Integer
from searchbench.spaces.hyperparameters import as_table
from searchbench.spaces.space import Space

Parameters = tuple[tuple[str, Any], ...]
PLAIN: Mapping[str, Callable[[Any], bool]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: type(value) is not bool and isinstance(value, Integral),
    "float": lambda value: type(value) is not bool and isinstance(value, Real) and not math.isnan(value),
    "str": lambda value: isinstance(value, str | PathLike),
    "list": lambda value: not isinstance(value, str | bool | int | float),
    "None": lambda value: value is None,
}
"""Whether a value is of an annotated kind; what is no number at all (NaN) is no number."""
WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "list": "a list",
    "None": "left out",
}


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Use:
    """A registered name with parameters: ``Use("regularized-evolution", population=30)``."""

    name: str
    parameters: Parameters

    def __init__(self, name: str, /, **parameters: Any) -> None:
        if not isinstance(name, str) or not name:
            raise StudyError(f"`use` must be a name, but got {name!r}.")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "parameters", tuple((k, _frozen(v)) for k, v in sorted(parameters.items())))

    def __repr__(self) -> str:
        given = "".join(f", {k}={v!r}" for k, v in self.parameters)
        return f"Use({self.name!r}{given})"

    def __str__(self) -> str:
        given = ", ".join(f"{k}={_brief(v)}" for k, v in self.parameters)
        return f"{self.name}({given})" if given else self.name


Named = str | Mapping[str, Any] | Use
"""How a part is asked for by its registered name: the name, a study file's table with `use`, or a `Use`."""


def as_use(given: Any, where: str) -> Any:
    """A study file's value (a name, or a table with `use`) as a `Use`; anything else is returned untouched.

    Raises:
        StudyError: a table without `use`.
    """
    if isinstance(given, str):
        return Use(given)
    if isinstance(given, Mapping):
        if "use" not in given:
            near = f"; {did_you_mean('use', given)}" if given else ""
            raise StudyError(f'{where} is a table without `use`; write {{ use = "name", … }}{near}')
        return Use(given["use"], **{str(k): v for k, v in given.items() if k != "use"})
    return given


def make(given: Any, registry: Registry) -> Any:
    """The part itself: made by its registered factory, or as given.

    Raises:
        UnknownName: no such name.
        StudyError: the factory has no such parameter, lacks a required one, refuses a value, or is given one of another
            kind than it is annotated with.
    """
    if not isinstance(given, Use):
        return given
    factory = registry.factory(given.name)
    parameters = dict(given.parameters)
    _check_parameters(factory, given.name, registry.kind, parameters)
    try:
        return factory(**{key: _made(value, registry) for key, value in parameters.items()})
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise StudyError(f"{registry.kind} `{given.name}` refuses its parameters: {error}") from error
    except Interrupted:
        raise
    except BaseException as error:
        raise StudyError(f"{registry.kind} `{given.name}` cannot be made: {told(error)}") from error


def _made(value: Any, registry: Registry) -> Any:
    """A parameter that is itself a part is made: one of the same kind by its name (a strategy within a strategy),
    any other by `module:attr`; tuples of them too."""
    if isinstance(value, tuple):
        return tuple(_made(v, registry) for v in value)
    return make(value, registry) if isinstance(value, Use) else value


def _check_parameters(factory: Any, name: str, kind: str, given: Mapping[str, Any]) -> None:
    try:
        accepted = inspect.signature(factory).parameters
    except ValueError:  # written in C: it checks for itself
        return
    anything = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    for key in given:
        if key not in accepted and not anything:
            raise StudyError(f"{kind} `{name}` has no parameter `{key}`; {did_you_mean(key, accepted)}")
    for key, parameter in accepted.items():
        if parameter.default is parameter.empty and key not in given and not anything:
            raise StudyError(f"{kind} `{name}` needs the parameter `{key}`, which is not given.")
    for key, value in given.items():
        wanted = _wanted(accepted[key].annotation) if key in accepted else []
        if wanted and not any(PLAIN[one](value) for one in wanted):
            said = " or ".join(WORDS[one] for one in wanted)
            raise StudyError(f"{kind} `{name}`: `{key}` must be {said}, but got {value!r}.")


def _wanted(annotation: Any) -> list[str]:
    """The plain kinds that a parameter may be of; none where it may be of others, which the part checks for itself."""
    told = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if re.match(r"(tuple|list|Sequence)\[[^]]*]$", told):
        return ["list"]
    kinds = [kind.strip() for kind in told.split("|")]
    return kinds if all(kind in PLAIN for kind in kinds) else []


def describe(part: Any) -> Any:
    """Plain JSON values that say everything about a part: its class and, recursively, its fields.

    A dataclass field with metadata ``{"described": False}`` is left out: where a file lies, which device is used. One
    with ``{"described": "unless default"}`` is left out while it has its default: a setting that came later, which
    may not make other parts of those that were described before.

    Raises:
        StudyError: a part cannot be written down (a strategy that is no frozen dataclass and has no `describe`).
    """
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if isinstance(part, Enum):
        return part.value
    if isinstance(part, Space):
        return {"use": part.name, "settings": describe(dict(part.settings)), "decisions": describe(part.decisions)}
    if isinstance(part, Mapping):
        return {str(k): describe(v) for k, v in part.items()}
    if isinstance(part, tuple | list | range):
        return [describe(v) for v in part]
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        kind = type(part)
        shown = {f.name: describe(getattr(part, f.name)) for f in dataclasses.fields(part) if _is_told(part, f)}
        return {"class": settled_name(kind), **shown}
    if inspect.isfunction(part) or inspect.isclass(part):
        return settled_name(part)
    state = getattr(part, "__dict__", None)
    if state is not None:
        kind = type(part)
        return {"class": settled_name(kind), **describe(state)}
    raise StudyError(
        f"{part!r} cannot be written down, so its results could not be told apart; make it a frozen dataclass."
    )


def _is_told(part: Any, field: dataclasses.Field[Any]) -> bool:
    rule = field.metadata.get("described", True)
    return bool(getattr(part, field.name) != field.default if rule == "unless default" else rule)


def written(given: Any) -> Any:
    """A part as it was given, in plain JSON values from which `read` makes it again: nothing is left out.

    Raises:
        StudyError: a part cannot be written down.
    """
    if given is None or isinstance(given, bool | int | float | str):
        return given
    if isinstance(given, Use):
        return {"use": given.name, **{k: written(v) for k, v in given.parameters}}
    if isinstance(given, tuple | list | range):
        return [written(v) for v in given]
    if isinstance(given, Mapping):
        return {str(k): written(v) for k, v in given.items()}
    if dataclasses.is_dataclass(given) and not isinstance(given, type) and not isinstance(given, Space):
        kind = type(given)
        fields = {f.name: written(getattr(given, f.name)) for f in dataclasses.fields(given) if f.init}
        return {"use": settled_name(kind), **fields}
    if inspect.isfunction(given) or inspect.isclass(given):
        return {"object": settled_name(given)}
    return {"object": repr(given)}


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no white space: equal values give equal text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()  # half a pair of code units, as a path may hold: escaped


def fingerprint(value: Any) -> str:
    """The first 16 hex digits of SHA-256 over the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "use" in value:
            return as_use(value, "a parameter")
        decisions = (Choice, Integer, Float)
        return tuple((k, _frozen(as_table(k, v) if isinstance(v, decisions) else v)) for k, v in value.items())
    if isinstance(value, list):
        return tuple(_frozen(v) for v in value)
    return value


def _brief(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
