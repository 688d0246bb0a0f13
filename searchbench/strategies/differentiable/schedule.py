"""Axis U: who moves on which minibatch, and in which order.

What a schedule remembers is a value that the search carries along (and saves); the schedule itself is frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from searchbench.errors import StudyError
from searchbench.strategies.differentiable.pace import Pace, paced
from searchbench.strategies.differentiable.turn import Moment, Phase

ALPHA_FIRST: tuple[Phase, ...] = ("alpha", "w")
TO_SPARE = 1.1
"""What a schedule that waits for the weights aims at, of the steps that it should have: it comes near, not there."""


class Schedule(Protocol):
    """The steps of one training minibatch."""

    @property
    def watches(self) -> bool:
        """Whether it must be told the squared norms of the weights' gradients."""

    def steps(self, moment: Moment, memory: Any) -> tuple[Sequence[Phase], Any]:
        """The steps in order, and what it remembers now."""

    def alpha_steps(self, batches: int, epochs: int) -> float:
        """About how many steps of the architecture so many epochs have in all, to price them beforehand."""


@runtime_checkable
class Watching(Protocol):
    """A schedule that goes by the gradients it sees."""

    @property
    def watches(self) -> bool:
        """Whether it must be told them; one around another asks for what that asks."""

    def fresh(self) -> Any:
        """What it remembers before the first minibatch."""

    def observe(self, memory: Any, squared_norm: float) -> Any:
        """What it remembers after a weight step whose gradient, before clipping, had this squared norm."""


@dataclass(frozen=True, slots=True)
class Alternate:
    """One step of each on every minibatch.

    Args:
        order: ("alpha", "w") is the original's; ("w", "alpha") is NAS-Bench-201's.

    Raises:
        StudyError: `order` is not an order of the two.
    """

    order: tuple[Phase, ...] = ("w", "alpha")
    watches = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", tuple(self.order))  # a study file writes a list
        if sorted(self.order) != ["alpha", "w"]:
            raise StudyError(f'`order` must be ["w", "alpha"] or ["alpha", "w"], but got {list(self.order)}.')

    def steps(self, moment: Moment, memory: None) -> tuple[Sequence[Phase], None]:
        return self.order, None

    def alpha_steps(self, batches: int, epochs: int) -> float:
        return batches * epochs


@dataclass(frozen=True, slots=True)
class Constant:
    """CS(k): a step of the architecture before the weight step of every k-th minibatch of an epoch, b + 1 = 0 mod k.

    Source: DARTS-PRIME (Maile et al. 2021), constant schedule.

    Raises:
        StudyError: `every` is below 1.
    """

    every: int = 10
    least: int | None = None
    """Steps of the architecture that a search should have: one that is too short for them moves it more often. None:
    `every` is as given."""
    watches = False

    def at(self, pace: Pace) -> Constant:
        """The schedule as often as it takes for `least` steps."""
        every = int(pace.condensed(self.every, self.least))
        # an epoch has whole steps: one in 3 of 8 minibatches is two, and not 8/3
        while self.least is not None and every > 1 and pace.epochs * (pace.batches // every) < self.least:
            every -= 1
        return replace(self, every=every, least=None)

    def __post_init__(self) -> None:
        if self.every < 1:
            raise StudyError(f"`every` must be at least 1 minibatch, but got {self.every}.")

    def steps(self, moment: Moment, memory: None) -> tuple[Sequence[Phase], None]:
        return (ALPHA_FIRST if (moment.batch + 1) % self.every == 0 else ("w",)), None

    def alpha_steps(self, batches: int, epochs: int) -> float:
        return batches // self.every * epochs


@dataclass(frozen=True, slots=True)
class OncePerEpoch:
    """A step of the architecture before the first minibatch of every epoch.

    Source: Xiao et al. 2022, "Shapley-NAS", whose logits move once an epoch.
    """

    watches = False

    def steps(self, moment: Moment, memory: None) -> tuple[Sequence[Phase], None]:
        return (("w",) if moment.batch else ALPHA_FIRST), None

    def alpha_steps(self, batches: int, epochs: int) -> float:
        return epochs


@dataclass(frozen=True, slots=True)
class FisherInformed:
    """FIMT: a step of the architecture when the weights have settled.

    F_b = ||grad_w L_train(batch b)||^2, the trace of the empirical Fisher matrix of that minibatch;
    Fbar_b = beta F_b + (1 - beta) Fbar_(b-1). Before a weight step: if Fbar < tau, the architecture moves and
    tau <- tau rise^(-ratio); else tau <- tau rise. The first minibatch never moves it. tau and Fbar outlive epochs.

    Under constant F the pattern repeats every ratio + 1 minibatches, one of them with an architecture step: the ratio
    of minibatches without to those with one is `ratio`, that of weight steps to architecture steps `ratio + 1`.

    Source: DARTS-PRIME (Maile et al. 2021), Algorithm 1.

    Raises:
        StudyError: a value is out of range.
    """

    threshold: float = 1.0
    rise: float = 1.05
    ratio: float = 10.0
    beta: float = 0.2
    least: int | None = None
    """Steps of the architecture that a search should have: in one that is too short for them `ratio` falls, and `rise`
    grows so that a step of the architecture costs the threshold what it did. None: both are as given."""
    watches = True

    def at(self, pace: Pace) -> FisherInformed:
        """The schedule with the ratio that it takes for `least` steps."""
        if self.least is None:
            return self
        ratio = max(0.5, pace.condensed(self.ratio + 1, round(TO_SPARE * self.least)) - 1)
        return replace(self, ratio=ratio, rise=self.rise ** (self.ratio / ratio), least=None)

    def __post_init__(self) -> None:
        if not (self.threshold > 0 and self.rise > 1 and self.ratio > 0 and 0 < self.beta <= 1):
            raise StudyError(
                "FIMT needs `threshold` > 0, `rise` > 1, `ratio` > 0 and `beta` in (0, 1], but got "
                f"threshold={self.threshold}, rise={self.rise}, ratio={self.ratio}, beta={self.beta}."
            )

    def fresh(self) -> tuple[float, float | None]:
        return self.threshold, None

    def steps(
        self, moment: Moment, memory: tuple[float, float | None]
    ) -> tuple[Sequence[Phase], tuple[float, float | None]]:
        tau, trace = memory
        if trace is not None and trace < tau:
            return ALPHA_FIRST, (tau * self.rise**-self.ratio, trace)
        return ("w",), (tau * self.rise, trace)

    def observe(self, memory: tuple[float, float | None], squared_norm: float) -> tuple[float, float]:
        tau, trace = memory
        return tau, squared_norm if trace is None else self.beta * squared_norm + (1 - self.beta) * trace

    def alpha_steps(self, batches: int, epochs: int) -> float:
        return batches * epochs / (self.ratio + 1)


@dataclass(frozen=True, slots=True)
class Joint:
    """Both move at once, on one loss of one training minibatch.

    Source: Xie et al. 2019, "SNAS", single-level optimisation.
    """

    watches = False

    def steps(self, moment: Moment, memory: None) -> tuple[Sequence[Phase], None]:
        return ("both",), None

    def alpha_steps(self, batches: int, epochs: int) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Only the weights move during the first `share` of the epochs (rounded down); then as `then` says.

    Raises:
        StudyError: `share` is not in [0, 1).
    """

    then: Schedule
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise StudyError(f"the `share` of epochs to warm up in must lie in [0, 1), but got {self.share}.")

    @property
    def watches(self) -> bool:
        return isinstance(self.then, Watching) and self.then.watches

    def at(self, pace: Pace) -> WarmUp:
        """The schedule behind the warm-up, at the pace of what remains."""
        left = max(1, pace.epochs - self._resting(pace.epochs))
        return replace(self, then=paced(self.then, replace(pace, epochs=left)))

    def _resting(self, epochs: int) -> int:
        return int(self.share * epochs + 1e-9)

    def fresh(self) -> Any:
        return self.then.fresh() if isinstance(self.then, Watching) else None

    def steps(self, moment: Moment, memory: Any) -> tuple[Sequence[Phase], Any]:
        if moment.epoch < self._resting(moment.epochs):
            return ("w",), memory
        return self.then.steps(moment, memory)

    def observe(self, memory: Any, squared_norm: float) -> Any:
        return self.then.observe(memory, squared_norm) if isinstance(self.then, Watching) else memory

    def alpha_steps(self, batches: int, epochs: int) -> float:
        return self.then.alpha_steps(batches, epochs - self._resting(epochs))
