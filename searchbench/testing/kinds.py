"""Which kind of part a name, a file or an object is, and the suite that examines it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from searchbench.errors import InputError, Interrupted, UnknownName
from searchbench.estimators import ESTIMATORS, JUDGES
from searchbench.harness.declared.components import Use, make
from searchbench.harness.declared.objective import Objective
from searchbench.harness.declared.problem import Problem
from searchbench.registry import Registry, load, told
from searchbench.spaces import SPACES
from searchbench.spaces.space import Space
from searchbench.strategies import STRATEGIES
from searchbench.tasks import TASKS
from searchbench.testing.report import Conformance
from searchbench.testing.suites import check_estimator, check_judge, check_space, check_strategy, check_task

REGISTRIES = {
    "strategy": STRATEGIES,
    "space": SPACES,
    "task": TASKS,
    "estimator": ESTIMATORS,
    "judge": JUDGES,
}
MARKS = {
    "strategy": ("start",),
    "task": ("search_data", "judge_data"),
    "estimator": ("open", "judge", "trains", "checksum"),
    "judge": ("open",),
}
"""What an object of a kind is recognised by: one of a strategy's or task's, `open` and one more of an estimator's."""


def named(name: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parts that `name` stands for, with their kinds: a registered name may be several.

    Args:
        name: a registered name, an entry point, `module:attr`, or `file.py:attr`.
        parameters: given to the factory.

    Raises:
        InputError: nothing has that name, its parameters are impossible, or it is no part of a study.
    """
    registered = [(kind, registry) for kind, registry in REGISTRIES.items() if _registered(registry, name)]
    if registered:
        yield from ((kind, make(Use(name, **parameters), registry)) for kind, registry in registered)
    elif ":" in name:
        part = _made(name, load(name), parameters)
        yield kind_of(part), part
    else:
        raise UnknownName("part", name, {known for registry in REGISTRIES.values() for known in registry.names()})


def _registered(registry: Registry, name: str) -> bool:
    return name in registry.names() or name.partition(":")[0] in registry.adapters


def _made(name: str, found: Any, parameters: Mapping[str, Any]) -> Any:
    """The part itself, where `found` is a class or a function that makes one."""
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        if parameters:
            raise InputError(f"`{name}` is an object already, so it takes no parameters, but got {dict(parameters)}.")
        return found
    try:
        inspect.signature(found).bind(**parameters)
    except TypeError as error:
        wants = f"`{name}` cannot be made: {error}; give"
        raise InputError(f"{wants} its parameters.", command=f"{wants} parameters with --with NAME=VALUE.") from error
    try:
        return found(**parameters)
    except (InputError, Interrupted):
        raise
    except BaseException as error:  # `sys.exit` in a factory included
        raise InputError(f"`{name}` cannot be made: it raises {told(error)}; mend what makes the part.") from error


def kind_named(name: str) -> tuple[str, Any]:
    """The kind of what a path (`module:attr`, `file.py:attr`) names, and the object itself, which may make the part.

    A function whose part cannot be made without parameters is called a function, an objective or a problem a problem.

    Raises:
        InputError: there is no such object, or it is no part of a study.
    """
    found = load(name)
    if isinstance(found, Objective | Problem):
        return "problem", found
    if inspect.isroutine(found):
        try:
            return kind_of(found()), found
        except Exception:  # it wants parameters, or makes no part: an objective, say
            return "function", found
    return kind_of(found), found


def kind_of(part: Any) -> str:
    """ "strategy", "space", "task", "estimator" or "judge": by what the part is or has.

    Raises:
        InputError: it has nothing that a part of a study has.
    """
    if isinstance(part, Space):
        return "space"
    has = {kind: sum(callable(getattr(type(part), m, None)) or hasattr(part, m) for m in MARKS[kind]) for kind in MARKS}
    if has["strategy"]:
        return "strategy"
    if has["task"]:
        return "task"
    if has["judge"]:
        return "estimator" if has["estimator"] > 1 else "judge"
    raise InputError(
        f"{part!r} is no part of a study: a strategy has `start`, a task `search_data` and `judge_data`, an estimator "
        "`open` and `judge`, a judge `open`, and a space is a `searchbench.Space`."
    )


SUITES: Mapping[str, Callable[..., Conformance]] = {
    "strategy": check_strategy,
    "space": check_space,
    "task": check_task,
    "estimator": check_estimator,
    "judge": check_judge,
}
