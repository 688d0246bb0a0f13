"""What turns an architecture into a number, and the judge that turns the final one into a verdict.

An estimator is opened inside the process of one run from its frozen description; what `open` returns holds training
and validation data (or validation columns) only. A judge is opened in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed
from searchbench.metric import Metric
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks.task import Task
from searchbench.trial import Fidelity, Measurement, Outcome

if TYPE_CHECKING:  # the bench imports torch
    from searchbench.estimators.bench import Bench


InheritedScore = Literal["loss", "error"]
"""What a path of a supernet is scored by."""


class Estimator(Protocol):
    """A live estimator of one run. It never sees test data."""

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """`fidelity` with every open field at its full value, so that equal evaluations compare equal.

        Raises:
            InputError: the estimator does not know the fidelity (a table without that epoch).
        """

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """What `evaluate` will charge on the deterministic axes, known beforehand; `resume`: continued from there."""

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """Measure. The same arguments give the same measurement, bit for bit.

        Raises:
            EvaluationFailed: the training diverged, ran out of time or memory, or the table records a failure.
        """


@runtime_checkable
class Trainable(Protocol):
    """A live estimator that trains networks, and so can lend its data and device to searches that train a supernet."""

    def bench(self) -> Bench: ...


class Judge(Protocol):
    """A live judge of one replicate: the one final protocol, alike for all strategies."""

    def verdict(self, architecture: Architecture) -> Outcome: ...


class Keeper(Protocol):
    """Where a long training leaves its state; an interrupted one is continued from there."""

    def read(self) -> Mapping[str, Any] | None:
        """What was left last; None where nothing was."""

    def write(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Leave a state, which is asked for unless the last one is recent."""


@runtime_checkable
class Continuing(Protocol):
    """A live judge whose training can be interrupted and continued."""

    def kept_by(self, keeper: Keeper) -> Judge:
        """The judge that leaves its state with a keeper, and continues from what is there."""


@runtime_checkable
class EstimatorSpec(Protocol):
    """A frozen, printable description of an estimator, as a study holds it."""

    @property
    def trains(self) -> bool:
        """Whether it trains networks on the task's data (then supernet searches can run on the problem)."""

    def checksum(self) -> str:
        """Digest of the data it reads besides the task's (a table's file); "" where there is none."""

    def open(self, space: Space, task: Task, seeds: Seeds) -> Estimator: ...
    def judge(self) -> JudgeSpec:
        """The judge that fits it, where the study declares none."""


@runtime_checkable
class Stoppable(Protocol):
    """A description of an estimator that can measure before the full training has ended."""

    def stops(self, task: Task) -> tuple[float, ...]:
        """Epochs at which an evaluation can end, ascending, the last those of the full training."""


@runtime_checkable
class Resuming(Protocol):
    """A description of an estimator that says whether a longer evaluation goes on from a shorter one, and is charged
    the increment alone. One that does not say so does."""

    @property
    def continues(self) -> bool: ...


@runtime_checkable
class Charging(Protocol):
    """A description of an estimator that does not charge every axis of a budget."""

    def charges(self) -> tuple[str, ...]:
        """Axes on which an evaluation costs something."""


@runtime_checkable
class Parallel(Protocol):
    """A description of an estimator that says itself how many evaluations are under way at once."""

    @property
    def workers(self) -> int | None:
        """How many; None: there is no simulated clock, one evaluation follows the other."""


@runtime_checkable
class Stacking(Protocol):
    """A description of an estimator that may train networks that are under way at once in one graph."""

    @property
    def together(self) -> int:
        """How many at most; 1: each by itself."""


Asked = tuple[Architecture, Fidelity, int]
"""What to measure at which fidelity, and the seed."""


class Stack(Protocol):
    """A live estimator that trains networks in one graph."""

    def evaluate_together(self, asked: Sequence[Asked]) -> list[tuple[Measurement, Cost] | EvaluationFailed]:
        """Measure each, all at the same fidelity and none continued: like `evaluate`, up to the order of sums."""


@runtime_checkable
class Staying(Protocol):
    """A description of an estimator that may say that its evaluations stay in the process of their run."""

    @property
    def stays(self) -> bool:
        """Whether they do: a look-up is not worth another process, and what one leaves behind is only there."""


@runtime_checkable
class Timed(Protocol):
    """A live estimator that declares how long evaluations last, for those that are under way at once."""

    def duration(
        self, architecture: Architecture, fidelity: Fidelity, measured: Mapping[str, float] | None
    ) -> float | None:
        """Length of an evaluation in any one unit; never of a host's clock, so that a rerun has the same order.

        Args:
            measured: its metrics once it has ended; None before.

        Returns:
            None where it is known afterwards only, or not at all.
        """

    @property
    def answers_duration(self) -> bool:
        """Whether it is known afterwards only."""


@runtime_checkable
class Checksummed(Protocol):
    """What reads a file whose content belongs to the problem."""

    def checksum(self) -> str: ...


@runtime_checkable
class Checking(Protocol):
    """A description that can say before anything runs that it does not fit a space and a task."""

    def check(self, space: Space, task: Task) -> None:
        """Raise InputError with the reason."""


@runtime_checkable
class Reading(Protocol):
    """A description of an estimator or a judge whose file can be tried before anything runs."""

    def try_out(self, space: Space, task: Task) -> None:
        """Read what `open` reads, and keep nothing. Raise InputError where it cannot be used."""


@runtime_checkable
class JudgeSpec(Protocol):
    """A frozen, printable description of a judge."""

    def open(self, space: Space, task: Task, seeds: Seeds) -> Judge: ...


@runtime_checkable
class Measuring(Protocol):
    """A description of a judge that says what it measures."""

    def metric(self, task: Task) -> Metric:
        """What its value is on a task."""
