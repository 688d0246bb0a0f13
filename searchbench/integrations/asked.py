"""A problem as a plain function: a configuration in, a number out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from searchbench.errors import EvaluationFailed, StudyError
from searchbench.estimators.estimator import Estimator
from searchbench.harness.declared.problem import Posed, ResolvedProblem
from searchbench.harness.running.measuring import Request, measure
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Decision, Float, Integer, Value
from searchbench.spaces.space import Architecture, Space
from searchbench.trial import FULL, Fidelity


def as_function(problem: Posed, seed: int = 0) -> Asked:
    """A problem as ``f(config) -> number``.

    Args:
        problem: a `Problem` or an `Objective`.
        seed: what a study calls a replicate: another seed draws another split of the data and other noise. It is not
            handed to an objective as it is; `Asked` says what is.

    Raises:
        InputError: the problem has an unknown or impossible part.
    """
    asked = Asked(problem, seed)
    _ = asked.resolved  # says at once what is wrong
    return asked


@dataclass(frozen=True, eq=False)
class Asked:
    """A problem that is asked, one configuration at a time. The same configuration gives the same number.

    The seed of an evaluation is derived from the problem's name, `seed` and the configuration, whatever was asked
    before: every configuration has noise of its own, the same however often it is asked, shorter evaluations of it and
    their continuations included. In a study the study's name takes the place of the problem's, so its numbers
    are others. To average over noise, ask functions of several seeds. The judge draws from streams of its own.

    It can be pickled; the process that has it opens the data for itself.
    """

    problem: Posed
    seed: int = 0

    def __call__(self, config: Mapping[str, Any], epochs: float | None = None) -> float:
        """Measure a configuration: the validation value, in the metric's own sense.

        Args:
            config: values by name. What a condition switches off is left out, or ignored.
            epochs: amount of the fidelity; None measures in full.

        Raises:
            SpaceError: a value is missing or illegal, or the configuration breaks the problem's constraint.
            StudyError: `epochs` is not positive.
            EvaluationFailed: the evaluation raised, or gave no number.
        """
        return self.measured(self.architecture(config), epochs)

    def measured(self, architecture: Architecture, epochs: float | None = None, reached: float | None = None) -> float:
        """Measure an architecture, its training continued from `reached` epochs where it was measured there.

        Raises:
            StudyError: `epochs` is not positive.
            EvaluationFailed: the evaluation raised, or gave no number.
        """
        estimator, full = self._estimator, str(self._estimator.complete(FULL))
        if epochs is not None and not epochs > 0:
            raise StudyError(f"`epochs` must be positive, but got {epochs!r}.")
        fidelity = estimator.complete(Fidelity(epochs=epochs))
        before = None if reached is None else estimator.complete(Fidelity(epochs=reached))
        # a training and its continuation share their noise, so the amount is no part of the seed
        seed = self._seeds.seed("noise", f"{architecture.key}|{full}|0")
        price = estimator.price(architecture, fidelity, before)
        found = measure(estimator, Request(architecture, fidelity, seed, before, price), timed=False)
        if found.status != "ok":
            raise EvaluationFailed(found.status, found.error or "no number")
        return self._sign * found.value

    def judge(self, config: Mapping[str, Any]) -> float:
        """The judge's verdict on a configuration, in the metric's own sense.

        Raises:
            SpaceError: a value is missing or illegal.
            EvaluationFailed: judging failed.
        """
        resolved = self.resolved
        outcome = resolved.judge.open(resolved.space, resolved.task, self._seeds).verdict(self.architecture(config))
        if outcome.status != "ok" or math.isnan(outcome.test_error):
            raise EvaluationFailed(outcome.status, outcome.error or "no number")
        return self._sign * outcome.test_error

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        """The point of the space that a configuration is; what a condition switches off may be there and is ignored.

        Raises:
            SpaceError: a name is unknown, a value missing or illegal, or the constraint broken.
        """
        space = self.space
        for name in config:
            if name not in space.position:
                space.whole.architecture(dict(config))  # says what it may have meant
        values: list[Value] = []
        for decision in space.decisions:
            values.append(native(decision, config.get(decision.name)) if active(space, decision, values) else None)
        return space.architecture(tuple(values))

    @property
    def space(self) -> Space:
        """What is searched, seen through the constraint where there is one."""
        return self.resolved.searched

    @property
    def direction(self) -> str:
        """ "minimize" or "maximize": where the numbers are to go."""
        return "minimize" if self._sign > 0 else "maximize"

    @property
    def stops(self) -> tuple[float, ...]:
        """Amounts of the fidelity at which an evaluation can end, ascending; none where it cannot be chosen."""
        return self.resolved.stops

    @cached_property
    def resolved(self) -> ResolvedProblem:
        """The problem's parts. Raises InputError."""
        return self.problem.resolve()

    @cached_property
    def _estimator(self) -> Estimator:
        return self.resolved.estimator.open(self.resolved.space, self.resolved.task, self._seeds)

    @property
    def _seeds(self) -> Seeds:
        return Seeds(self.problem.name, self.seed)

    @property
    def _sign(self) -> float:
        metric = self.resolved.metric
        return -1.0 if metric is not None and metric.better == "higher" else 1.0

    def __getstate__(self) -> dict[str, Any]:
        return {"problem": self.problem, "seed": self.seed}  # what was opened stays behind


def active(space: Space, decision: Decision, before: list[Value]) -> bool:
    """Whether a decision exists, given the values of those before it."""
    when = decision.when
    return when is None or before[space.position[when.name]] in when.values


def plain(choice: Choice) -> list[Any]:
    """The options as every library holds them: None, numbers and texts as they are, anything else as its text; their
    indices where two texts would be alike."""
    told = [option if isinstance(option, bool | int | float | str) else _text(option) for option in choice.options]
    return told if len(set(told)) == len(told) else list(range(len(told)))


def _text(option: Value) -> Any:
    text = str(option)
    return None if text == "None" else text


def native(decision: Decision, value: Any) -> Value:
    """What a library's value of a decision is to the space: an option for how it was told; other values unchanged."""
    if not isinstance(decision, Choice):
        return value  # type: ignore[no-any-return]
    told = plain(decision)
    return decision.options[told.index(value)] if value in told else value


def foreign(architecture: Architecture) -> dict[str, Any]:
    """The active decisions of an architecture as other libraries hold them, by name; inverse of `native`."""
    pairs = zip(architecture.space.decisions, architecture.values, strict=True)
    return {d.name: plain(d)[d.options.index(v)] if isinstance(d, Choice) else v for d, v in pairs if v is not None}


def check_known(space: Space, library: str) -> None:
    """Raise StudyError where a decision has no counterpart in other libraries."""
    for decision in space.decisions:
        if not isinstance(decision, Choice | Integer | Float):
            raise StudyError(f"{library} has no counterpart of `{decision.name}`, a {type(decision).__name__}.")
