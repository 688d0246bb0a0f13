"""An objective: a problem without a task. A function or command of the user's own is asked, and afresh to judge.

::

    def loss(config, *, seed, epochs=None): ...          # a number, or {"loss": …, "accuracy": …, "test": …}

    Objective(loss, {"lr": Float(1e-5, 1, log=True), "opt": Choice(["sgd", "adam"])}, metric="log loss", epochs=27)
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from searchbench.errors import StudyError, did_you_mean
from searchbench.estimators.objective.command import Command
from searchbench.estimators.objective.duration import Duration
from searchbench.estimators.objective.evaluation import AnswerSource, Asked, Asking, Fresh, Stops, try_out
from searchbench.estimators.objective.function import CHECKPOINT, SEED, STATE, Function
from searchbench.estimators.objective.stepwise import INTERVALS, Stepwise
from searchbench.harness.declared.components import Use, as_use, describe, fingerprint, make, written
from searchbench.harness.declared.constraint import Measures
from searchbench.harness.declared.problem import Order, Posed, Problem, ResolvedProblem, check_parallel, parallel_given
from searchbench.metric import Metric
from searchbench.registry import load
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.spaces.choices import Choice, Float, Integer
from searchbench.spaces.hyperparameters import as_table
from searchbench.spaces.schedules import intervals_of
from searchbench.spaces.space import Space
from searchbench.tasks.task import NoTask

KEYS = (
    "objective", "command", "space", "metric", "unit", "better", "share", "test", "test_repeats", "fidelity", "version",
    "label", "folder", "parallel", "order", "duration",
)  # fmt: skip
"""What a study file may say of an objective, beside the fidelity under its own name."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Objective:
    """A function of the user's own as a problem: no task, no data, no protocol to implement.

    Args:
        function: ``f(config, *, seed, <fidelity>, checkpoint)``, given what it has parameters for: `config` the active
            hyper-parameters by name; `seed` an integer below 2**31, another for every evaluation; the fidelity under
            its name; `checkpoint` a folder, empty or with what a shorter evaluation of the same configuration and
            seed left there; or `state`, None or what that one returned beside its number, as this one has to. It
            returns a number, or numbers by name, among which the metric's (or `loss`); one called `test` is for the
            judge alone. Or ``"module:name"`` of it. Where the space is one of `schedules`, it trains one interval:
            `config` is that interval's setting, `interval` its number from 1.
        space: names to `Float`, `Integer`, `Choice` (or what a study file writes for them); or any space.
        metric: what the number is called; or a `Metric`, or a table of its fields.
        unit: its unit.
        better: "lower" or "higher". What is minimised is mirrored where more is better; what is shown is not.
        test: another function, of the same form, which the judge asks instead. None: the judge asks `function` again,
            on a seed no search was given.
        fidelity: one name and its full amount, ``{"epochs": 27}``: evaluations can end at 1, 2 … 27. Or its amounts,
            ``{"subset": [0.1, 0.3, 1.0]}``. The budget's axis `epochs` counts it, whatever its name.
        command: in place of `function`, a program of any language: ``"./train --lr {lr} --seed {seed}"``.
        test_repeats: how many fresh answers the judge takes the mean of.
        version: what tells the function from others in fingerprints, in place of its source.
        label: how tables call it; None takes the function's name.
        share: whether the number is a share, shown in percent.
        folder: where a command runs; the working directory by default.
        parallel: evaluations of one search that are under way at once; None: one after the other.
        order: in which those are told: "declared", by `duration`, or "arrival", as they end.
        duration: how long an evaluation lasts, in any unit, where several are under way: a number, a function of
            `config` (and of the fidelity, under its name, where it takes it), ``"module:name"`` of one, or the name of
            a number that the function answers. None: the amount of its fidelity.
        named: the fidelity by its name, ``epochs=27``.

    Raises:
        StudyError: something is missing, twofold or out of range.
    """

    function: Any
    command: str | None
    space: Any
    metric: Metric
    test: Any
    test_repeats: int
    fidelity: tuple[str, Stops] | None
    version: str | None
    label: str | None
    folder: str | None
    parallel: int | None
    order: Order
    duration: Any

    def __init__(
        self,
        function: Callable[..., Any] | str | None = None,
        space: Any = None,
        metric: str | Metric | Mapping[str, Any] = "loss",
        unit: str = "",
        better: str = "lower",
        test: Callable[..., Any] | str | None = None,
        fidelity: Mapping[str, Any] | None = None,
        *,
        command: str | None = None,
        test_repeats: int = 1,
        version: str | None = None,
        label: str | None = None,
        share: bool = False,
        folder: str | None = None,
        parallel: int | None = None,
        order: Order = "declared",
        duration: float | str | Callable[..., float] | None = None,
        **named: Any,
    ) -> None:
        if (function is None) == (command is None):
            raise StudyError(
                'an objective is either a function or a command; give one: objective = "module:name" or '
                'command = "./train --lr {lr}".'
            )
        values = {
            "function": function,
            "command": command,
            "space": _space(space),
            "metric": _metric(metric, unit, better, share),
            "test": test,
            "test_repeats": test_repeats,
            "fidelity": _fidelity({**(fidelity or {}), **named}),
            "version": version,
            "label": label,
            "folder": folder,
            "parallel": parallel,
            "order": order,
            "duration": duration,
        }
        check_parallel(parallel, order)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._source, self._judge_source, self._duration  # noqa: B018  (what they refuse is said here)

    def __repr__(self) -> str:
        """The code that makes it again, where its function has a path."""
        told = {k: v for k, v in self.given().items() if v is not None} | {"space": self.space, "metric": self.metric}
        first = [repr(told.pop("objective"))] if "objective" in told else []
        return f"Objective({', '.join([*first, *(f'{name}={value!r}' for name, value in told.items())])})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objective) and self.given() == other.given()

    def __hash__(self) -> int:
        return hash((self.name, self.metric, self.fidelity))

    @property
    def name(self) -> str:
        """The label, or the name of the function or program."""
        return self.label if self.label is not None else self._source.name

    def resolve(self) -> ResolvedProblem:
        """The parts a study runs on. Raises InputError where the function or the space is not usable."""
        return self._resolved

    def labelled(self, label: str) -> Objective:
        """A copy under another label."""
        found = copy.copy(self)
        object.__setattr__(found, "label", label)
        return found

    def given(self) -> dict[str, Any]:
        """The objective as a study file says it, where the function has a path; else its text, from which it is not
        made again."""
        source = self._source
        told: dict[str, Any] = {"space": written(self.space), "metric": self.metric.to_spec(), "label": self.label}
        function = {"objective": source.path or _lost(self.function)}
        told |= function if self.command is None else {"command": self.command}
        if self.test is not None:
            told["test"] = self._judge_source.path or _lost(self.test)
        if self.fidelity is not None:
            told["fidelity"] = {self.fidelity[0]: _amounts(self.fidelity[1])}
        optional = {"version": self.version, "folder": self.folder, "test_repeats": self.test_repeats}
        optional |= {"duration": None if self._duration is None else self._duration.told()}
        told |= parallel_given(self.parallel, self.order)
        return told | {name: value for name, value in optional.items() if value not in (None, 1)}

    def try_out(self, seeds: Seeds) -> None:
        """Ask it once, before anything is planned at length; its test function too.

        Raises:
            StudyError: it raises, or answers something else than a number.
        """
        resolved = self.resolve()
        for asking in dict.fromkeys((self._asking, self._judging)):
            try_out(asking, resolved.space, seeds.rng("init"))

    @cached_property
    def _source(self) -> Function | Command:
        if self.command is not None:
            folder = os.getcwd() if self.folder is None else self.folder
            return Command(self.command, folder, self.version)
        return Function(self.function, self.version)

    @cached_property
    def _judge_source(self) -> Function | Command:
        return self._source if self.test is None else Function(self.test, self.version)

    @cached_property
    def _duration(self) -> Duration | None:
        return None if self.duration is None else Duration(self.duration)

    @cached_property
    def _space(self) -> Space:
        # nothing is built by the harness
        return replace(made_space(self.space), networks=None, topology=None, shares_weights=False)

    @cached_property
    def _asking(self) -> Asking:
        name, stops = _reaches(self.fidelity, self._space)
        return Asking(self._trained(self._source), self.metric, name, stops, self._duration)

    def _trained(self, source: Function | Command) -> AnswerSource:
        """What is asked: where points are schedules, a step of the training at a time."""
        return source if self._space.setting is None else Stepwise(source, self._space)

    @cached_property
    def _judging(self) -> Asking:
        """What the judge asks; a test function need not take the fidelity."""
        if self._judge_source is self._source:
            return self._asking
        source = self._trained(self._judge_source)
        takes = isinstance(source, Function | Stepwise) and source.takes(self._asking.fidelity)
        stops, name = (self._asking.stops, self._asking.fidelity) if takes else ((), None)
        return Asking(source, self.metric, name, stops)

    @cached_property
    def _resolved(self) -> ResolvedProblem:
        space = self._space
        for asking in (self._asking, self._judging):
            asking.source.check(space, asking.fidelity)
        estimator, judge = Asked(self._asking), Fresh(self._judging, self.test_repeats)
        under_way = parallel_given(self.parallel, self.order)
        known = fingerprint(
            [describe(space), describe(estimator), describe(judge), *([under_way] if under_way else [])]
        )
        measures = Measures(space, (0, 0, 0), 0, None)
        return ResolvedProblem(space, NoTask(), estimator, judge, known, measures, space, None, None, self.metric,
                               self.parallel, self.order)  # fmt: skip


def posed(entry: Mapping[str, Any]) -> Posed:
    """What an entry of a study file, or a recorded declaration, describes.

    ``objective = "module:name"`` may also name an `Objective`, which then says all the rest.

    Raises:
        StudyError: a key is unknown, or a value impossible.
    """
    given = dict(entry)
    for name in ("objective", "test"):
        if isinstance(given.get(name), Mapping):
            raise StudyError(
                f"the objective's {given[name]['object']} exists only in the program that declared it; put it into a "
                "module, so that it can be found again."
            )
    if "objective" not in given and "command" not in given:
        return Problem(**given)
    function = given.pop("objective", None)
    if isinstance(function, str) and set(given) <= {"label"}:
        found: Any = load(function) if ":" in function else None
        if isinstance(found, Objective):
            return found if given.get("label") is None else found.labelled(given["label"])
    return Objective(function, **given)


def _lost(function: Any) -> dict[str, str]:
    """What is written of a function that no other program finds."""
    return {"object": repr(function)}


# -- what is written ----------------------------------------------------------------------------------------------


def made_space(given: Any) -> Space:
    """The space that an objective's `space` declares. Raises InputError where it is none."""
    space = make(_space(given), SPACES)
    if not isinstance(space, Space):
        raise StudyError(f"an objective's `space` must be a mapping of names, or a Space, but got {space!r}.")
    return space


def _space(given: Any) -> Any:
    """A mapping of hyper-parameters as the space of them; anything else as it is."""
    if given is None or given == {}:
        raise StudyError('an objective needs a `space`, such as {"lr": Float(1e-5, 1, log=True)}.')
    if not isinstance(given, Mapping) or isinstance(given.get("use"), str):
        return as_use(given, "an objective's `space`")
    if "use" in given:
        raise StudyError("`use` cannot be the name of a hyper-parameter: a study file names spaces by it.")
    kinds = (Float, Integer, Choice)
    return Use(
        "hyperparameters",
        **{str(n): as_table(str(n), d) if isinstance(d, kinds) else d for n, d in given.items()},
    )


def _metric(given: Any, unit: str, better: str, share: bool) -> Metric:
    if isinstance(given, str):
        return Metric(given, unit, better, share)  # type: ignore[arg-type]
    if (unit, better, share) != ("", "lower", False):
        raise StudyError("`unit`, `better` and `share` belong to the metric, which is given whole; say them there.")
    return Metric.of(given)


def _fidelity(given: Mapping[str, Any]) -> tuple[str, Stops] | None:
    """The one fidelity's name and amounts."""
    if not given:
        return None
    if len(given) > 1:
        named = ", ".join(f"`{name}`" for name in given)
        raise StudyError(f"an objective has one fidelity, but got {named}{''.join(map(_near, given))}.")
    ((name, amount),) = given.items()
    if name in (SEED, CHECKPOINT, STATE, "config"):
        raise StudyError(f"a fidelity cannot be called `{name}`, which the function is given anyway.")
    amounts = [amount] if isinstance(amount, int | float) else amount
    numbers = isinstance(amounts, list | tuple | range) and all(map(_positive, amounts)) and len(amounts) > 0
    if not numbers:
        raise StudyError(
            f"`{name}` must be a fidelity's full amount, such as 27, or its amounts, such as [1, 3, 9, 27], "
            f"but got {amount!r}{_near(name)}."
        )
    if amounts is not amount and amounts[0] != int(amounts[0]):
        raise StudyError(f"`{name}` is counted from 1 up to its full amount, but got {amount!r}; give its amounts.")
    stops = range(1, int(amounts[0]) + 1) if amounts is not amount else amounts
    return name, tuple(sorted({float(stop) for stop in stops}))


def _reaches(declared: tuple[str, Stops] | None, space: Space) -> tuple[str | None, Stops]:
    """The fidelity's name and amounts: a schedule's are its intervals."""
    if space.setting is None:
        return declared or (None, ())
    stops = tuple(float(k) for k in range(1, intervals_of(space) + 1))
    if declared is not None and declared[1] != stops:
        raise StudyError(
            f"a schedule is trained by intervals, of which there are {len(stops)}, but `{declared[0]}` is "
            f"{declared[1][-1]:g}; leave it out, or give it the same number."
        )
    return (INTERVALS if declared is None else declared[0]), stops


def _near(name: str) -> str:
    """What a misspelt key may have meant."""
    hint = did_you_mean(name, KEYS)
    return f" ({hint.rstrip('?')}?)" if hint.startswith("did") else ""


def _amounts(stops: Stops) -> float | list[float]:
    """Amounts as they were given: the full amount alone, where evaluations can end at every whole amount below."""
    counted = stops == tuple(float(stop) for stop in range(1, int(stops[-1]) + 1))
    return stops[-1] if counted else list(stops)


def _positive(amount: Any) -> bool:
    return isinstance(amount, int | float) and not isinstance(amount, bool) and 0 < amount < float("inf")
