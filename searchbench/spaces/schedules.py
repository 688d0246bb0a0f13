"""Schedules: a space of hyper-parameters, once for each interval of a training.

In a study file::

    space = { use = "schedules", intervals = 8, setting = { lr = { float = [1e-4, 1.0] }, batch = [32, 64] } }

A point sets every hyper-parameter in every interval, ``lr@1`` … ``lr@8``. What an evaluation of the first k intervals
gives is a function of the first k settings, so that a training may go on from any other that began alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from searchbench.errors import StudyError
from searchbench.spaces.choices import Decision, Value, When
from searchbench.spaces.hyperparameters import hyperparameters
from searchbench.spaces.space import Architecture, Space


def schedules(intervals: int, setting: Any) -> Space:
    """The space of all schedules: a setting for each interval, chosen apart.

    Args:
        intervals: of a whole training.
        setting: what is set for an interval: hyper-parameters by name, as `hyperparameters` takes them, or a space of
            them.

    Raises:
        StudyError: `intervals` is no positive integer, a declaration is misspelt, or the space is one of architectures.
        SpaceError: a range is empty, or a condition names a value that does not exist.
    """
    if not isinstance(intervals, int) or isinstance(intervals, bool) or intervals < 1:
        raise StudyError(f"schedules: `intervals` must be a positive integer, but got {intervals!r}.")
    inner = setting if isinstance(setting, Space) else hyperparameters(**_declared(setting))
    if not inner.plain or inner.networks is not None or inner.setting is not None:
        raise StudyError(
            f"schedules: `setting` must be hyper-parameters, which can change during a training, but `{inner.name}` is "
            "a space of another kind."
        )
    decisions = tuple(_at(decision, k) for k in range(1, intervals + 1) for decision in inner.decisions)
    return Space("schedules", decisions, {"intervals": intervals}, setting=inner)


def intervals_of(space: Space) -> int:
    """How many intervals a schedule has; 0 where points of the space are no schedules."""
    return 0 if space.setting is None else len(space.decisions) // len(space.setting.decisions)


def schedule(space: Space, settings: Sequence[Architecture]) -> Architecture:
    """The schedule with these settings, one for each interval; the last one holds to the end."""
    missing = intervals_of(space) - len(settings)
    values = (value for setting in (*settings, *[settings[-1]] * missing) for value in setting.values)
    return Architecture(space.whole, tuple(values))


def settings_of(architecture: Architecture) -> list[Architecture]:
    """The setting of each interval."""
    inner, values = architecture.space.setting, architecture.values
    if inner is None:
        raise StudyError(f"points of `{architecture.space.name}` are no schedules.")
    width = len(inner.decisions)
    return [Architecture(inner, values[at : at + width]) for at in range(0, len(values), width)]


def by_interval(space: Space, config: Mapping[str, Value]) -> list[dict[str, Value]]:
    """The active hyper-parameters of a schedule, interval by interval under their own names."""
    assert space.setting is not None
    names = [decision.name for decision in space.setting.decisions]
    return [
        {name: config[at] for name in names if (at := _name(name, k)) in config}
        for k in range(1, intervals_of(space) + 1)
    ]


def _name(name: str, interval: int) -> str:
    return f"{name}@{interval}"


def _at(decision: Decision, interval: int) -> Decision:
    when = None if decision.when is None else When(_name(decision.when.name, interval), decision.when.values)
    return replace(decision, name=_name(decision.name, interval), when=when)  # type: ignore[type-var]


def _declared(setting: Any) -> dict[str, Any]:
    """A mapping, or the pairs by which a study holds one."""
    pairs = isinstance(setting, tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in setting)
    if not (isinstance(setting, Mapping) or pairs) or len(setting) == 0:
        raise StudyError(
            "schedules: `setting` must name the hyper-parameters of an interval, such as "
            f"{{ lr = {{ float = [1e-4, 1.0] }} }}, but got {setting!r}."
        )
    return dict(setting)
