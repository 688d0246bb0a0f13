"""How long an objective says that its evaluations last: what orders those that are under way at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from searchbench.errors import EvaluationFailed, StudyError
from searchbench.estimators.objective.function import Function


@dataclass(frozen=True, eq=False)
class Duration:
    """A declared duration, in any one unit.

    Args:
        given: a positive number; a callable of the configuration, which gets the fidelity under its name where it takes
            it; ``"module:name"`` of one; or the name of a number among what the objective answers.

    Raises:
        StudyError: it is none of these.
    """

    given: float | str | Callable[..., float]

    def __post_init__(self) -> None:
        given = self.given
        number = isinstance(given, int | float) and not isinstance(given, bool)
        if not (callable(given) or (isinstance(given, str) and given) or (number and 0 < given < math.inf)):  # type: ignore[operator]
            raise StudyError(
                "`duration` must be a positive number, a function of the configuration, or the name of a number that "
                f"the objective answers, but got {given!r}."
            )

    @property
    def answered(self) -> str | None:
        """Name of the number among the objective's answers; None where it is known beforehand."""
        return self.given if isinstance(self.given, str) and ":" not in self.given else None

    @cached_property
    def function(self) -> Function | None:
        """What is asked for it."""
        if self.answered is not None or isinstance(self.given, int | float):
            return None
        return Function(self.given)

    def of(
        self, config: dict[str, Any], fidelity: str | None, amount: float | None, answered: Mapping[str, float] | None
    ) -> float | None:
        """The duration of one evaluation; None where only its answer can say it.

        Raises:
            EvaluationFailed: the function answers something else than a positive number.
        """
        if isinstance(self.given, int | float):
            return float(self.given)
        if self.function is None:
            said = None if answered is None else answered.get(self.answered or "")
        else:
            named = {fidelity: amount} if fidelity is not None and self.function.takes(fidelity) else {}
            said = self.function.function(config, **named)
        if said is None:
            return None
        if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said < math.inf:
            raise EvaluationFailed("error", f"`duration` must be a finite number from 0 on, but it is {said!r}.")
        return float(said)

    def told(self) -> Any:
        """The duration as a study file says it; the text of a function that no other program finds."""
        if self.function is None:
            return self.given
        return self.function.path or {"object": repr(self.given)}

    def identity(self) -> Any:
        """Plain values for the problem's fingerprint."""
        return self.given if self.function is None else self.function.identity()
