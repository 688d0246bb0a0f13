"""Axis S: when to end before the last epoch, or to go back.

What a rule remembers is a value that the search carries along; the rule itself is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.topology import Topology
from searchbench.strategies.differentiable.connect import Chosen, Weights
from searchbench.strategies.differentiable.discretise import Discretise, skips_of
from searchbench.strategies.differentiable.pace import Pace


@dataclass(frozen=True, slots=True)
class Report:
    """What a rule is told after an epoch, counted from 0."""

    epoch: int
    epochs: int
    weights: Weights
    chosen: Chosen
    """What would be handed over."""
    topology: Topology
    curvature: Callable[[], float]
    """The dominant eigenvalue of the Hessian of the validation loss in alpha; charged."""


@dataclass(frozen=True, slots=True)
class StopDecision:
    """Go on, unless `stop`: then the answer is what `epoch` had derived; or return to `epoch` with more decay."""

    stop: bool = False
    epoch: int | None = None
    decay: float | None = None
    """Factor of the weights' decay after a return."""
    reading: float | None = None
    """What the rule went by: skip connections, epochs of the same ranking, the growth of the eigenvalue."""

    @property
    def decision(self) -> str:
        """Decision in words, for the log; epochs are counted from 1 there."""
        if self.epoch is None:
            return "stop" if self.stop else "go on"
        return f"{'stop, take' if self.stop else 'return to'} epoch {self.epoch + 1}"


GO_ON = StopDecision()


class EarlyStop(Protocol):
    """Looks at every epoch."""

    @property
    def curved(self) -> bool:
        """Whether it asks for the curvature."""

    @property
    def returns(self) -> int:
        """How many epochs back it may return."""

    @property
    def earliest(self) -> int | None:
        """The first epoch, counted from 1, after which it can end the search or return; None: never."""

    def fresh(self) -> Any:
        """What it remembers before the first epoch."""

    def after_epoch(self, report: Report, memory: Any) -> tuple[StopDecision, Any]:
        """The verdict, and what it remembers now."""


@runtime_checkable
class AsksCurvature(Protocol):
    """A rule that asks for the curvature."""

    def checks(self, epochs: int) -> int:
        """How often it asks in a search of so many epochs, at most."""


def reach(rule: EarlyStop, epochs: int) -> str:
    """Words on whether a rule can act at all in a search of so many epochs."""
    if rule.earliest is None:
        return "none"
    if not acts(rule, epochs):
        return f"cannot act: not before epoch {rule.earliest}, and the search has {epochs}"
    return f"can act from epoch {rule.earliest} of {epochs}"


def acts(rule: EarlyStop, epochs: int) -> bool:
    """Whether a rule, if there is one, can act in a search of so many epochs."""
    return rule.earliest is None or rule.earliest <= epochs


def chance(rule: EarlyStop, discretise: Discretise, topology: Topology, draws: int = 1000) -> float:
    """How often a rule that may act after the first epoch does so by chance: on weights that were drawn, not learnt."""
    if rule.earliest != 1:
        return 0.0
    rng, stops = np.random.default_rng(0), 0
    for _ in range(draws):
        weights = rng.random((len(topology.edges), len(topology.operations)))
        for edge, allowed in enumerate(topology.allowed or ()):
            weights[edge, [op for op in range(weights.shape[1]) if op not in allowed]] = 0.0
        report = Report(0, 1, weights, discretise.choose(weights, topology), topology, lambda: 0.0)
        stops += rule.after_epoch(report, rule.fresh())[0].stop
    return stops / draws


@dataclass(frozen=True, slots=True)
class ToTheEnd:
    """All epochs."""

    curved = False
    returns = 0
    earliest = None

    def fresh(self) -> None:
        return None

    def after_epoch(self, report: Report, memory: None) -> tuple[StopDecision, None]:
        return GO_ON, None


@dataclass(frozen=True, slots=True)
class SkipCount:
    """Stop when the derived normal cell has at least `most` skip connections.

    Source: Liang et al. 2019, "DARTS+", criterion 1. The answer is what is derived at the stop.

    Raises:
        StudyError: `most` is below 1.
    """

    most: int = 2
    curved = False
    returns = 0
    earliest = 1

    def __post_init__(self) -> None:
        if self.most < 1:
            raise StudyError(f"`most` must be at least 1 skip connection, but got {self.most}.")

    def fresh(self) -> None:
        return None

    def after_epoch(self, report: Report, memory: None) -> tuple[StopDecision, None]:
        skips = len(skips_of(report.chosen, report.topology))
        return StopDecision(stop=skips >= self.most, reading=float(skips)), None


@dataclass(frozen=True, slots=True)
class RankStability:
    """Stop when the ranking of the learnable operations has been the same on every edge for `epochs` epochs on end.

    Source: Liang et al. 2019, "DARTS+", criterion 1*.

    Raises:
        StudyError: `epochs` is below 1.
    """

    epochs: int = 10
    of: int | None = None
    """Epochs of the search that `epochs` are meant for; None: `epochs` are as given."""
    curved = False
    returns = 0

    @property
    def earliest(self) -> int:
        return self.epochs + 1

    def at(self, pace: Pace) -> RankStability:
        """The rule for a search of so many epochs."""
        return (
            self
            if self.of is None
            else replace(self, epochs=max(1, round(self.epochs * pace.epochs / self.of)), of=None)
        )

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise StudyError(f"`epochs` must be at least 1, but got {self.epochs}.")

    def fresh(self) -> tuple[tuple[int, ...], int]:
        return (), 0

    def after_epoch(
        self, report: Report, memory: tuple[tuple[int, ...], int]
    ) -> tuple[StopDecision, tuple[tuple[int, ...], int]]:
        learnable = [report.topology.operations.index(name) for name in report.topology.learnable]
        ranking = tuple(np.argsort(-report.weights[:, learnable], axis=1, kind="stable").ravel().tolist())
        before, count = memory
        count = count + 1 if ranking == before else 0
        return StopDecision(stop=count >= self.epochs, reading=float(count)), (ranking, count)


@dataclass(frozen=True, slots=True)
class Eigenvalue:
    """EIG: watch the dominant eigenvalue of the Hessian of L_val in alpha; stop when its local mean rises too fast.

    Measured every `every` epochs. The local mean of the last 5 values (at least 3) belongs to the
    epoch two checks before; when it exceeds `factor` times that of `lag` checks before, and that one belongs to epoch
    `begin` or later, the answer is what that earlier epoch had derived.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search" (DARTS-ES), its code,
        which adds the decay of the logits to the diagonal of the Hessian.
    Differs: the paper writes the test as a ratio below 0.75 of the earlier mean to the later.

    Raises:
        StudyError: a value is out of range.
    """

    factor: float = 1.3
    every: int = 2
    lag: int = 4
    begin: int = 10
    of: int | None = None
    """Epochs of the search that `every` and `begin` are meant for; None: they are as given."""
    decay: float = 1e-3
    """Added to the eigenvalue."""
    curved = True
    returns = 0

    @property
    def earliest(self) -> int:
        checks = max(0, -(-self.begin // self.every)) + 3 + self.lag
        return (checks - 1) * self.every + 1

    def at(self, pace: Pace) -> Eigenvalue:
        """The rule for a search of so many epochs."""
        if self.of is None:
            return self
        share = pace.epochs / self.of
        return replace(self, every=max(1, round(self.every * share)), begin=round(self.begin * share), of=None)

    def checks(self, epochs: int) -> int:
        return -(-epochs // self.every)

    def __post_init__(self) -> None:
        if not (self.factor > 0 and self.every >= 1 and self.lag >= 1 and self.begin >= 0 and self.decay >= 0):
            raise StudyError(f"EIG needs factor > 0, every >= 1, lag >= 1, begin >= 0 and decay >= 0, but got {self}.")

    def fresh(self) -> tuple[float, ...]:
        return ()

    def after_epoch(self, report: Report, memory: tuple[float, ...]) -> tuple[StopDecision, tuple[float, ...]]:
        if report.epoch % self.every:
            return GO_ON, memory
        memory = (*memory, report.curvature() + self.decay)
        answer = self.answer(memory)
        return StopDecision(stop=answer is not None, epoch=answer, reading=self.growth(memory)), memory

    def answer(self, values: tuple[float, ...]) -> int | None:
        """The epoch to return to, given the eigenvalues of epochs 0, every, 2 every, …; None: go on."""
        epoch, means = (len(values) - 3 - self.lag) * self.every, self._means(values)
        return epoch if epoch >= self.begin and means is not None and means[1] > self.factor * means[0] else None

    def growth(self, values: tuple[float, ...]) -> float | None:
        """The local mean now as a multiple of the earlier one; None where there are too few values yet."""
        means = self._means(values)
        return None if means is None else means[1] / means[0] if means[0] else float("nan")

    def _means(self, values: tuple[float, ...]) -> tuple[float, float] | None:
        """The local means of `lag` checks ago and of now."""
        now, then = len(values), len(values) - self.lag
        if then < 3:
            return None
        return float(np.mean(values[max(0, then - 5) : then])), float(np.mean(values[max(0, now - 5) : now]))


@dataclass(frozen=True, slots=True)
class EigenvalueRestart:
    """ADA: where `Eigenvalue` would stop, return to that epoch instead, multiply the weights' decay by `decay` and go
    on, at most `restarts` times.

    Source: Zela et al. 2020, DARTS-ADA: 3e-4 to at most 3e-2.

    Raises:
        StudyError: a value is out of range.
    """

    watch: Eigenvalue = field(default_factory=Eigenvalue)
    decay: float = 10.0
    restarts: int = 2
    curved = True

    @property
    def earliest(self) -> int | None:
        return self.watch.earliest if self.restarts else None

    def at(self, pace: Pace) -> EigenvalueRestart:
        """The rule for a search of so many epochs."""
        return replace(self, watch=self.watch.at(pace))

    def checks(self, epochs: int) -> int:
        return self.watch.checks(epochs)

    def __post_init__(self) -> None:
        if not (self.decay > 0 and self.restarts >= 0):
            raise StudyError(f"`decay` must be positive and `restarts` not negative, but got {self}.")

    @property
    def returns(self) -> int:
        return (self.watch.lag + 2) * self.watch.every

    def fresh(self) -> tuple[tuple[float, ...], int]:
        return (), 0

    def after_epoch(
        self, report: Report, memory: tuple[tuple[float, ...], int]
    ) -> tuple[StopDecision, tuple[tuple[float, ...], int]]:
        values, done = memory
        if done >= self.restarts:
            return GO_ON, memory
        verdict, values = self.watch.after_epoch(report, values)
        if not verdict.stop or verdict.epoch is None:
            return verdict, (values, done)
        kept = values[: verdict.epoch // self.watch.every + 1]
        return replace(verdict, stop=False, decay=self.decay), (kept, done + 1)
