"""Limits that are enforced from outside, by killing: what a part of a study may take of the machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from searchbench.errors import StudyError, did_you_mean

KEYS = ("evaluation_s", "run_s", "memory_gb")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and memory that an evaluation and a run may take; a limit of None does not exist.

    An evaluation over its limit is a failed trial, charged its price, and the search goes on. A run over its limit is
    recorded as `timeout` or `memory` with the trials it had made.

    Raises:
        StudyError: a limit is not positive and finite.
    """

    evaluation_s: float | None = None
    """Wall-clock seconds of one evaluation."""
    run_s: float | None = None
    """Wall-clock seconds of one search, its evaluations included."""
    memory_gb: float | None = None
    """Resident memory of one evaluation, and of one run, in gigabytes (1e9 bytes)."""

    def __post_init__(self) -> None:
        for name in KEYS:
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise StudyError(f"`limits.{name}` must be positive and finite, but got {value!r}.")

    @classmethod
    def of(cls, given: Mapping[str, Any] | Limits | None) -> Limits:
        """Limits from a table of a study file, or themselves. Raises StudyError."""
        if given is None or isinstance(given, Limits):
            return given or cls()
        if not isinstance(given, Mapping):
            raise StudyError(f"`limits` must be a table such as {{ run_s = 600 }}, but got {given!r}.")
        for key in given:
            if key not in KEYS:
                raise StudyError(f"`limits` has no key `{key}`; {did_you_mean(key, KEYS)}")
        return cls(**given)

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return any(getattr(self, name) is not None for name in KEYS)

    @property
    def of_evaluations(self) -> bool:
        """Whether single evaluations are limited."""
        return self.evaluation_s is not None or self.memory_gb is not None

    @property
    def memory_bytes(self) -> float:
        """Memory in bytes; infinite where it is not limited."""
        return math.inf if self.memory_gb is None else self.memory_gb * 1e9

    def to_spec(self) -> dict[str, float]:
        """The limits there are, by name."""
        return {name: value for name in KEYS if (value := getattr(self, name)) is not None}
