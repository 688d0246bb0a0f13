"""A problem: space + task + estimator + judge, perhaps a latency and a constraint. Its fingerprint is what makes two
results comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, cast, get_args

from searchbench.errors import StudyError
from searchbench.estimators import ESTIMATORS, JUDGES
from searchbench.estimators.estimator import (
    Checking,
    Checksummed,
    EstimatorSpec,
    JudgeSpec,
    Parallel,
    Resuming,
    Stacking,
    Stoppable,
)
from searchbench.estimators.latency import LATENCIES, LatencySpec
from searchbench.harness.declared.components import Named, Use, as_use, describe, fingerprint, make, written
from searchbench.harness.declared.constraint import Constraint, Measures, view
from searchbench.metric import Metric
from searchbench.registry import lacking
from searchbench.spaces import SPACES
from searchbench.spaces.notation import check_round_trip
from searchbench.spaces.space import Space
from searchbench.tasks import TASKS
from searchbench.tasks.task import NoTask, Task

Order = Literal["declared", "arrival"]
"""Evaluations under way at once are told by their declared durations, or as they end."""
ORDERS = get_args(Order)


class Posed(Protocol):
    """What a study compares strategies on: a `Problem` of parts, or an `Objective`."""

    @property
    def name(self) -> str:
        """How tables call it."""

    def resolve(self) -> ResolvedProblem:
        """The parts, made and checked. Raises InputError."""

    def given(self) -> dict[str, Any]:
        """The problem as it was given, in plain values from which it is made again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is searched, on what data, measured how and judged how.

    Args:
        space, task, estimator: a registered name, a `Use` with parameters, or the object. Recorded results need no
            task, of which nothing would be read.
        judge: likewise; None takes the one that fits the estimator.
        label: how tables call it; None makes one from its parts.
        latency: where latencies come from, likewise; reported as the metric `latency_ms`. None: nothing is reported.
        constraint: a `Constraint`, or a mapping of `params`, `macs`, `latency_ms` to what they may be at most.
        parallel: evaluations of one search that are under way at once; None: one after the other.
        order: in which those are told: "declared", by durations that the problem declares (recorded seconds,
            multiply-accumulates), the same on any machine; or "arrival", as they end, which no rerun repeats.

    Raises:
        StudyError: a part is none, or `parallel` or `order` is impossible.
    """

    space: Named | Space
    task: Named | Task | None = None
    estimator: Named | EstimatorSpec = "train"
    judge: Named | JudgeSpec | None = None
    label: str | None = None
    latency: Named | LatencySpec | None = None
    constraint: Constraint | Mapping[str, float] | None = None
    parallel: int | None = None
    order: Order = "declared"

    def __post_init__(self) -> None:
        check_parallel(self.parallel, self.order)
        for part in ("space", "task", "estimator", "judge", "latency"):
            object.__setattr__(self, part, _hashable(as_use(getattr(self, part), f"a problem's `{part}`"), part))
        object.__setattr__(self, "constraint", Constraint.of(self.constraint))

    @property
    def name(self) -> str:
        """The label, or "space × task"; the space's name alone where there is no task."""
        if self.label is not None:
            return self.label
        return " × ".join(_short(part) for part in (self.space, self.task) if part is not None)

    def resolve(self) -> ResolvedProblem:
        """The parts themselves; the same object for equal problems within a process.

        Raises:
            InputError: a name is unknown, a parameter impossible, or data missing.
        """
        return _resolve(self)

    def given(self) -> dict[str, Any]:
        """The problem as it was given, in plain values; what most problems do not have only where it is there."""
        told = {name: written(getattr(self, name)) for name in ("space", "task", "estimator", "judge", "label")}
        if self.task is None:
            del told["task"]
        if self.latency is not None:
            told["latency"] = written(self.latency)
        constraint = Constraint.of(self.constraint)
        if constraint is not None:
            told["constraint"] = constraint.limits
        return told | parallel_given(self.parallel, self.order)


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedProblem:
    """A problem's parts, made and checked."""

    space: Space
    task: Task
    estimator: EstimatorSpec
    judge: JudgeSpec
    fingerprint: str
    measures: Measures
    searched: Space
    """The space as strategies see it: through the constraint, where there is one."""
    latency: LatencySpec | None = None
    constraint: Constraint | None = None
    metric: Metric | None = None
    """What the number is by which strategies are ranked; None: the test error of the task."""
    parallel: int | None = None
    """Evaluations of one search that are under way at once; None: one after the other."""
    order: Order = "declared"
    """In which those under way are told."""

    @property
    def stops(self) -> tuple[float, ...]:
        """Epochs at which an evaluation can end, ascending; none where the length of training cannot be chosen."""
        return self.estimator.stops(self.task) if isinstance(self.estimator, Stoppable) else ()

    @property
    def continues(self) -> bool:
        """Whether a longer evaluation goes on from a shorter one, and is charged the increment alone."""
        return self.estimator.continues if isinstance(self.estimator, Resuming) else True


@lru_cache(maxsize=64)
def _resolve(problem: Problem) -> ResolvedProblem:
    space = make(problem.space, SPACES)
    task = NoTask() if problem.task is None else make(problem.task, TASKS)
    estimator = make(problem.estimator, ESTIMATORS)
    for part, kind, name in ((space, Space, "space"), (task, Task, "task"), (estimator, EstimatorSpec, "estimator")):
        if problem.task is None and kind is Task:
            continue
        if not isinstance(part, kind):
            missing = () if kind is Space else lacking(part, kind)
            reason = f", which lacks {', '.join(f'`{member}`' for member in missing)}" if missing else ""
            raise StudyError(f"a problem's `{name}` must be a {kind.__name__}, but got {part!r}{reason}.")
    if problem.task is None and (reader := _reader(problem, estimator)):
        raise StudyError(f"{reader} needs the problem's `task`, which is missing; only recorded results need none.")
    judge = make(problem.judge, JUDGES) if problem.judge is not None else estimator.judge()
    check_round_trip(space)
    if estimator.trains and space.networks is None:
        raise StudyError(f"space `{space.name}` has no networks to train; use an estimator that looks values up.")
    for part in (estimator, judge):
        if isinstance(part, Checking):
            part.check(space, task)
    reads = "images" if not estimator.trains or task.shape else "text"
    if estimator.trains and reads != space.reads:
        raise StudyError(f"the networks of `{space.name}` read {space.reads}, but the task `{task.name}` is {reads}.")
    latency = None if problem.latency is None else make(problem.latency, LATENCIES)
    if latency is not None and not isinstance(latency, LatencySpec):
        raise StudyError(f"a problem's `latency` must be a LatencySpec, but got {latency!r}.")
    shape, classes = getattr(task, "shape", (0, 0, 0)), getattr(task, "classes", 0)  # a text has neither
    opened = None if latency is None else latency.open(space, shape, classes)
    measures = Measures(space, shape, classes, opened)
    constraint = Constraint.of(problem.constraint)
    searched = space if constraint is None else cast(Space, view(space, constraint, measures))
    known = _fingerprint(space, task, estimator, judge, latency, constraint, problem)
    parallel = problem.parallel or (estimator.workers if isinstance(estimator, Parallel) else None)
    if isinstance(estimator, Stacking) and estimator.together > 1 and parallel is None:
        raise StudyError(
            f"`together = {estimator.together}` trains what is under way at once in one graph, but the problem has one "
            f"evaluation after the other; say `parallel = {estimator.together}`, or leave it out."
        )
    return ResolvedProblem(
        space, task, estimator, judge, known, measures, searched, latency, constraint, None, parallel, problem.order
    )


def _reader(problem: Problem, estimator: EstimatorSpec) -> str:
    """Which part of a problem reads its task; the judge says so itself. Empty where none does."""
    if _reads(estimator):
        return f"estimator `{_short(problem.estimator)}`"
    return "a latency" if problem.latency is not None else "a constraint" if problem.constraint is not None else ""


def _reads(estimator: EstimatorSpec) -> bool:
    return estimator.trains or bool(getattr(estimator, "reads_task", False))


def check_parallel(parallel: object, order: object) -> None:
    """Raise StudyError where a number of evaluations under way, or their order, is impossible."""
    if parallel is not None and (type(parallel) is not int or parallel < 1):
        raise StudyError(f"a problem's `parallel` must be a positive integer, but got {parallel!r}.")
    if order not in ORDERS:
        raise StudyError(f'a problem\'s `order` must be "declared" or "arrival", but got {order!r}.')
    if order != "declared" and parallel is None:
        raise StudyError("`order` says how evaluations under way at once are told; it needs `parallel = 4`, say.")


def parallel_given(parallel: int | None, order: Order) -> dict[str, Any]:
    """What is told of them, where they are not as they are by default."""
    return ({} if parallel is None else {"parallel": parallel}) | ({} if order == "declared" else {"order": order})


def _fingerprint(
    space: Space,
    task: Task,
    estimator: EstimatorSpec,
    judge: JudgeSpec,
    latency: LatencySpec | None,
    constraint: Constraint | None,
    problem: Problem,
) -> str:
    data = [task.checksum() if _reads(estimator) else "", estimator.checksum()]
    if isinstance(judge, Checksummed):
        data.append(judge.checksum())
    parts = [describe(space), describe(task), describe(estimator), describe(judge), data]
    if latency is not None:
        parts.append([describe(latency), latency.checksum()])
    if constraint is not None:
        parts.append(constraint.limits)
    under_way = parallel_given(problem.parallel, problem.order)
    return fingerprint([*parts, under_way] if under_way else parts)


def _hashable(part: Any, name: str) -> Any:
    try:
        hash(part)
    except TypeError as error:
        raise StudyError(
            f"a problem's `{name}` must be a name, a table with `use`, or an object with a hash (a frozen dataclass of "
            f"tuples and plain values), but got {part!r}: {error}."
        ) from None
    return part


def _short(part: Any) -> str:
    return part.name if isinstance(part, Use | Space) or hasattr(part, "name") else type(part).__name__
