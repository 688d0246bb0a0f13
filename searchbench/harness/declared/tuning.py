"""What of a strategy was tuned before a study, on what, and at what cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from searchbench.cost import BUDGET_AXES
from searchbench.errors import StudyError, did_you_mean

KEYS = ("parameters", "tasks", "seeds", "cost", "source", "study")


@dataclass(frozen=True, slots=True)
class Tuning:
    """Where a strategy's settings come from: a publication, or a tuning that somebody did.

    Raises:
        StudyError: neither is said; a tuning names no task or no cost; or a value is of the wrong kind.
    """

    parameters: tuple[str, ...] = ()
    """What was tuned; empty where settings were taken as they are."""
    tasks: tuple[str, ...] = ()
    """On what."""
    seeds: tuple[int, ...] = ()
    """With which seeds, where it was on a task of the study."""
    cost: Mapping[str, float] = field(default_factory=dict, hash=False)
    """What it spent, on the axes of budgets."""
    source: str = ""
    """The publication or code that settings are from, where nothing was tuned."""
    study: str = ""
    """The study that the tuning was, where `searchbench tune` did it; its runs are in the store."""

    def __post_init__(self) -> None:
        for name in ("parameters", "tasks", "seeds"):
            object.__setattr__(self, name, _tuple(getattr(self, name), name))
        if not isinstance(self.cost, Mapping):
            raise StudyError(f"`tuning.cost` must be a table such as {{ evaluations = 500 }}, but got {self.cost!r}.")
        for axis, amount in self.cost.items():
            if axis not in BUDGET_AXES:
                raise StudyError(f"`tuning.cost` has no axis `{axis}`; {did_you_mean(axis, BUDGET_AXES)}")
            if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < math.inf:
                raise StudyError(f"`tuning.cost.{axis}` must be a number from 0 on, but got {amount!r}.")
        if not self.parameters and not self.source:
            raise StudyError("a tuning says what was tuned (`parameters`) or where settings are from (`source`).")
        if self.parameters and not (self.tasks and self.cost):
            missing = "`tasks`" if not self.tasks else "`cost`"
            raise StudyError(f"{', '.join(self.parameters)}: tuned on some tasks at some cost; {missing} is missing.")

    @classmethod
    def of(cls, label: str, given: Any) -> Tuning:
        """A tuning from a table. Raises StudyError, naming the strategy."""
        if isinstance(given, Tuning):
            return given
        if not isinstance(given, Mapping):
            raise StudyError(f'`tuning."{label}"` must be a table such as {{ source = "…" }}, but got {given!r}.')
        for key in given:
            if key not in KEYS:
                raise StudyError(f'`tuning."{label}"` has no key `{key}`; {did_you_mean(key, KEYS)}')
        try:
            return cls(**given)
        except StudyError as error:
            raise StudyError(f'`tuning."{label}"`: {error}') from None

    def to_spec(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        told = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in told.items() if v or k != "study"}


def tunings(
    given: Mapping[str, Any] | tuple[tuple[str, Tuning], ...], labels: Iterable[str]
) -> tuple[tuple[str, Tuning], ...]:
    """Tunings by label, in the order given: a table, or pairs as a study holds them.

    Raises:
        StudyError: a label is no strategy's, or an entry is impossible.
    """
    if isinstance(given, tuple):
        given = dict(given)
    if not isinstance(given, Mapping):
        raise StudyError(f"`tuning` must be a table of strategies' labels, but got {given!r}.")
    known = list(labels)
    for label in given:
        if label not in known:
            raise StudyError(f"`tuning` names `{label}`, which no strategy is labelled; {did_you_mean(label, known)}")
    return tuple((label, Tuning.of(label, entry)) for label, entry in given.items())


def task_of(problem: Any) -> str:
    """What a tuning on a problem names as its task: the task's name, or the label of an objective."""
    task = getattr(problem, "task", None)
    return str(getattr(task, "name", None) or problem.name)


def check_fresh(label: str, own: Tuning, study: Any) -> None:
    """Refuse a study that would count seeds with which a strategy was tuned on one of its tasks.

    Raises:
        StudyError: it has such seeds.
    """
    both = [seed for seed in own.seeds if seed in set(study.seeds)]
    places = [name for p in study.problems for name in (task_of(p), p.name) if name in own.tasks]
    if both and places:
        shown = ", ".join(map(str, both[:5])) + (" …" if len(both) > 5 else "")
        raise StudyError(
            f"`{label}` is tuned on `{places[0]}` with seeds that the study compares with ({shown}), which would "
            "favour it; compare on other `seeds`, or tune with others."
        )


def _tuple(value: Any, name: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise StudyError(f"`tuning.{name}` must be a list, but got {value!r}.")
    return tuple(value)
