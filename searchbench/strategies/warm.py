"""Warm starts: a search that begins with what an earlier study found."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from searchbench.cost import Cost
from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.strategy import Learning, Logged, Restricted, Scenario, Strategy, Tracing
from searchbench.strategies.under_way import UnderWay
from searchbench.tables.file import digest, read_columns, stamp
from searchbench.trial import Proposal, Trial

EARLIER = -1
"""Number of a trial that is none of this run."""


@dataclass(frozen=True, slots=True)
class WarmStart:
    """A search that knows, or first measures, what stands in a table of earlier trials.

    With `designs` = 0 the recorded values are taken as known: the search learns them before its first question, and
    each stands for one of its initial designs. With `designs` = n the n best architectures are measured first, by this
    problem's own estimator, and learnt when they have come back: the way where values of the earlier study are of
    another task, another length of training or a zero-cost proxy, and only their order is of use.

    Args:
        strategy: an ask/tell strategy that can learn from trials which it did not propose.
        path: CSV or Parquet, found as tables are: a row per trial, as `Results.trials()` gives them.
        sha256: of the file's bytes, which is what enters the run's identity.
        designs: 0, or how many of the best are measured first.
        architecture, value: names of its columns. An architecture that stands several times has the mean of its values;
            an empty value is a failed trial.
        higher_is_better: whether the value is an accuracy.

    Raises:
        StudyError: a value is out of range.

    Source: values as observations: Swersky et al. 2013, in its simplest form; best settings first: Feurer et al. 2015,
        "Initializing Bayesian hyperparameter optimization via meta-learning".
    Differs: the table is chosen by whoever declares the study, not by meta-features. What the earlier study cost is no
        part of this one's budget, and is to be said beside the results.
    """

    strategy: Strategy
    path: str = field(metadata={"described": False})  # the digest tells files apart, wherever they lie
    sha256: str
    designs: int = 0
    architecture: str = "architecture"
    value: str = "value"
    higher_is_better: bool = False

    def __post_init__(self) -> None:
        if not callable(getattr(self.strategy, "start", None)):
            raise StudyError(f"`strategy` must be an ask/tell strategy such as gp, but got {self.strategy!r}.")
        if not isinstance(self.designs, int) or isinstance(self.designs, bool) or self.designs < 0:
            raise StudyError(f"`designs` must be a non-negative integer, but got {self.designs!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        reason = self.strategy.unsupported(scenario) if isinstance(self.strategy, Restricted) else None
        if reason is None and not isinstance(self.strategy.start(scenario), Learning):
            return f"it must learn from trials that it did not propose, and {self.strategy!r} cannot."
        return reason

    def start(self, scenario: Scenario) -> Warm:
        """Raises StudyError where the file has changed, TableError where it is faulty."""
        inner = self.strategy.start(scenario)
        assert isinstance(inner, Learning), "refused when the study is planned"
        return Warm(inner, self.recorded(scenario.space), scenario, self.designs)

    def recorded(self, space: Space) -> dict[Architecture, float]:
        """The values to minimise by architecture, in the order of the file; NaN where every trial failed.

        Raises:
            StudyError: the file is another than when the study was planned.
            TableError: it lacks a column, or names an architecture that is none of the space.
        """
        file = stamp(self.path)
        if digest(file) != self.sha256:
            raise StudyError(
                f"the earlier trials in `{self.path}` have changed since this strategy was described; "
                "declare it anew, under another label."
            )
        columns = read_columns(file[0], [self.architecture], [self.value])
        values: dict[Architecture, list[float]] = {}
        for row, text in enumerate(columns.texts[self.architecture]):
            try:
                architecture = space.parse(text)
            except SpaceError as error:
                raise columns.refuse(row, self.architecture, str(error)) from error
            values.setdefault(architecture, []).append(float(columns.numbers[self.value][row]))
        sign = -1.0 if self.higher_is_better else 1.0
        return {a: sign * _mean(known) for a, known in values.items()}


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return fmean(finite) if finite else math.nan


def warm_start(
    strategy: Any,
    path: str,
    designs: int = 0,
    architecture: str = "architecture",
    value: str = "value",
    higher_is_better: bool = False,
) -> WarmStart:
    """A search that begins with what an earlier study found.

    ``use = "warm-start", strategy = { use = "gp" }, path = "earlier.csv", designs = 10``

    Args:
        strategy: by name, as `Use` or itself.
        path, designs, architecture, value, higher_is_better: see `WarmStart`.

    Raises:
        StudyError: a value is out of range.
        DataMissing: there is no such file.

    Source: see `WarmStart`.
    Differs: as `WarmStart`.
    """
    from searchbench.strategies import STRATEGIES

    inner = STRATEGIES.factory(strategy)() if isinstance(strategy, str) else strategy
    return WarmStart(inner, path, digest(stamp(path)), designs, architecture, value, higher_is_better)


class Warm:
    """The live search. Any number of proposals may be under way, as far as the inner search allows."""

    def __init__(self, inner: Learning, recorded: dict[Architecture, float], scenario: Scenario, designs: int) -> None:
        self._inner = inner
        best = sorted((a for a, v in recorded.items() if math.isfinite(v)), key=recorded.__getitem__)
        self._designs = deque(best[:designs])
        self._asked: UnderWay[bool] = UnderWay()
        if designs == 0:
            for architecture, value in recorded.items():
                status: Any = "ok" if math.isfinite(value) else "error"
                inner.learn(Trial(EARLIER, architecture, scenario.full, status, value, Cost()))

    def ask(self) -> Proposal | None:
        if self._designs:
            return self._asked.add(Proposal(self._designs.popleft()), True)
        proposal = self._inner.ask()
        return None if proposal is None else self._asked.add(proposal, False)

    def tell(self, trial: Trial) -> None:
        (self._inner.learn if self._asked.take(trial) else self._inner.tell)(trial)

    def learn(self, trial: Trial) -> None:
        """As the inner search does."""
        self._inner.learn(trial)

    def trace(self) -> list[Mapping[str, Logged]]:
        """What the inner search notes about itself."""
        return self._inner.trace() if isinstance(self._inner, Tracing) else []
