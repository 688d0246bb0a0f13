"""A space of hyper-parameters that the user declares: numbers, log scales, categories, conditions.

In a study file::

    space = { use = "hyperparameters", lr = { float = [1e-4, 1e-1], log = true }, units = { int = [16, 512] },
              optimizer = ["sgd", "adam"], momentum = { float = [0.0, 0.99], when = { optimizer = "sgd" } } }

It has no networks of its own: its points are looked up in a table, or measured by an estimator of the user's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from searchbench.errors import SpaceError, StudyError, did_you_mean
from searchbench.spaces.choices import NOTHING, Choice, Decision, Float, Integer, When
from searchbench.spaces.space import Space

KINDS = ("float", "int", "choice")
KEYS = (*KINDS, "log", "when")


def hyperparameters(**declared: Any) -> Space:
    """The space of the declared hyper-parameters.

    Args:
        declared: by name. A list is the options of a category; a table says ``float = [low, high]`` or
            ``int = [low, high]`` (with ``log = true`` for a log scale) or ``choice = [...]``, and may have a condition
            ``when = { other = value }`` (or a list of values): the hyper-parameter exists only then. In Python a
            `Float`, `Integer` or `Choice` stands for itself, its name left open.

    Raises:
        StudyError: nothing is declared, a declaration is misspelt, or conditions form a circle.
        SpaceError: a range is empty, or a condition names a value that does not exist.
    """
    if not declared:
        raise StudyError("hyperparameters: declare at least one, such as lr = { float = [1e-4, 1e-1], log = true }.")
    decisions = {name: _decision(name, value) for name, value in declared.items()}
    for decision in decisions.values():
        _check_condition(decision, decisions)
    return Space(name="hyperparameters", decisions=tuple(_in_order(decisions)))


def _decision(name: str, declared: Any) -> Decision:
    if isinstance(declared, Choice | Integer | Float):
        declared = as_table(name, declared)
    table = _table(declared)
    if table is None:
        return Choice(name, _options(name, declared))
    for key in table:
        if key not in KEYS:
            raise StudyError(
                f"hyperparameters: `{name}` has an unknown key `{key}`; {did_you_mean(key, KEYS)} "
                "(Options that are pairs are written { choice = [[…], […]] }.)"
            )
    kinds = [kind for kind in KINDS if kind in table]
    if len(kinds) != 1:
        raise StudyError(f"hyperparameters: `{name}` must say exactly one of {', '.join(KINDS)}, but says {kinds}.")
    when, log = _when(name, table.get("when")), table.get("log", False)
    if kinds == ["choice"]:
        if "log" in table:
            raise StudyError(f"hyperparameters: `{name}` is a category, which has no log scale.")
        return Choice(name, _options(name, table["choice"]), when)
    low, high = _range(name, table[kinds[0]], whole=kinds == ["int"])
    if not isinstance(log, bool):
        raise StudyError(f"hyperparameters: `log` of `{name}` must be true or false, but got {log!r}.")
    return Integer(name, low, high, log, when) if kinds == ["int"] else Float(name, float(low), float(high), log, when)


def as_table(name: str, declared: Decision) -> dict[str, Any]:
    """A decision as a study file declares it. Raises StudyError where it has another name than `name`."""
    if declared.name not in ("", name):
        raise StudyError(f"hyperparameters: `{name}` is given a decision named `{declared.name}`; leave one name out.")
    when = {} if declared.when is None else {"when": {declared.when.name: _plain(declared.when.values)}}
    if isinstance(declared, Choice):
        return {"choice": _plain(declared.options), **when}
    assert isinstance(declared, Integer | Float)
    kind = "int" if isinstance(declared, Integer) else "float"
    return {kind: [declared.low, declared.high], **({"log": True} if declared.log else {}), **when}


def _plain(options: tuple[Any, ...]) -> list[Any]:
    return [None if option is NOTHING else option for option in options]


def _table(declared: Any) -> dict[str, Any] | None:
    """A table as a study holds it (pairs), or as Python has it; None where it is neither."""
    if isinstance(declared, Mapping):
        return dict(declared)
    pairs = isinstance(declared, tuple | list) and len(declared) > 0
    if pairs and all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in declared):
        return dict(declared)
    return None


def _options(name: str, declared: Any) -> tuple[Any, ...]:
    if not isinstance(declared, tuple | list) or not declared:
        raise StudyError(
            f"hyperparameters: `{name}` must be a list of options, or a table such as {{ float = [0, 1] }}, "
            f"but got {declared!r}."
        )
    return tuple(declared)


def _range(name: str, declared: Any, whole: bool) -> tuple[Any, Any]:
    kind: Any = int if whole else (int, float)
    numbers = tuple(declared) if isinstance(declared, tuple | list) else ()
    if len(numbers) != 2 or not all(isinstance(n, kind) and not isinstance(n, bool) for n in numbers):
        what = "whole numbers" if whole else "numbers"
        raise StudyError(
            f"hyperparameters: the range of `{name}` must be two {what} [low, high], but got {declared!r}."
        )
    return numbers[0], numbers[1]


def _when(name: str, declared: Any) -> When | None:
    if declared is None:
        return None
    table = _table(declared)
    if table is None or len(table) != 1:
        raise StudyError(
            f"hyperparameters: `when` of `{name}` must name one other and its values, such as "
            f'{{ optimizer = "sgd" }}, but got {declared!r}.'
        )
    ((other, values),) = table.items()
    return When(other, tuple(values) if isinstance(values, tuple | list) else (values,))


def _check_condition(decision: Decision, decisions: Mapping[str, Decision]) -> None:
    when = decision.when
    if when is None:
        return
    if when.name not in decisions:
        raise StudyError(
            f"hyperparameters: `{decision.name}` depends on `{when.name}`, which is not declared; "
            f"{did_you_mean(when.name, decisions)}"
        )
    for value in when.values:
        if not decisions[when.name].contains(value):
            raise SpaceError(f"`{decision.name}` exists when `{when.name}` is {value!r}, which it cannot be.")


def _in_order(decisions: Mapping[str, Decision]) -> list[Decision]:
    """Every decision after the one it depends on."""
    ordered: dict[str, Decision] = {}
    while len(ordered) < len(decisions):
        ready = [d for n, d in decisions.items() if n not in ordered and (d.when is None or d.when.name in ordered)]
        if not ready:
            circle = ", ".join(f"`{name}`" for name in decisions if name not in ordered)
            raise StudyError(f"hyperparameters: the conditions of {circle} form a circle; leave one of them out.")
        ordered |= {decision.name: decision for decision in ready}
    return list(ordered.values())
