"""Warm starts: a search that begins with what an earlier study found."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from searchbench.cost import Cost
from searchbench.errors import StudyError
from searchbench.estimators.earlier import EarlierTrials, earlier_trials
from searchbench.spaces.space import Architecture
from searchbench.strategies.optional import Learning, Restricted, Tracing
from searchbench.strategies.strategy import Logged, Scenario, Strategy
from searchbench.strategies.under_way import UnderWay
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
        earlier: the trials; several tables, such as those of zero-cost proxies, agree on the best by the mean of their
            ranks, of what stands in all of them, and give designs only.
        designs: 0, or how many of the best are measured first.

    Raises:
        StudyError: a value is out of range.

    Source: values as observations: Swersky et al. 2013, in its simplest form; best settings first: Feurer et al. 2015,
        "Initializing Bayesian hyperparameter optimization via meta-learning".
    Differs: the table is chosen by whoever declares the study, not by meta-features. What the earlier study cost is no
        part of this one's budget, and is to be said beside the results.
    """

    strategy: Strategy
    earlier: tuple[EarlierTrials, ...]
    designs: int = 0

    def __post_init__(self) -> None:
        if not callable(getattr(self.strategy, "start", None)):
            raise StudyError(f"`strategy` must be an ask/tell strategy such as gp, but got {self.strategy!r}.")
        if not isinstance(self.designs, int) or isinstance(self.designs, bool) or self.designs < 0:
            raise StudyError(f"`designs` must be a non-negative integer, but got {self.designs!r}.")
        if not self.earlier or (self.designs == 0 and len(self.earlier) > 1):
            raise StudyError(
                f"values of {len(self.earlier)} tables cannot be taken as one; say how many `designs` of the best by "
                "mean rank are to be measured, or name one table."
            )

    def unsupported(self, scenario: Scenario) -> str | None:
        reason = self.strategy.unsupported(scenario) if isinstance(self.strategy, Restricted) else None
        if reason is None and not isinstance(self.strategy.start(scenario), Learning):
            return f"it must learn from trials that it did not propose, and {self.strategy!r} cannot."
        return reason

    def start(self, scenario: Scenario) -> Warm:
        """Raises StudyError where the file has changed, TableError where it is faulty."""
        inner = self.strategy.start(scenario)
        assert isinstance(inner, Learning), "refused when the study is planned"
        recorded = [table.recorded(scenario.space) for table in self.earlier]
        return Warm(inner, recorded[0] if len(recorded) == 1 else mean_ranks(recorded), scenario, self.designs)


def mean_ranks(tables: Sequence[Mapping[Architecture, float]]) -> dict[Architecture, float]:
    """The mean of its ranks in all tables, ties in the middle, of each architecture with a value in each of them."""
    from scipy.stats import rankdata

    common = [a for a in tables[0] if all(math.isfinite(table.get(a, math.nan)) for table in tables)]
    ranks = [rankdata([table[a] for a in common]) for table in tables]
    return {a: float(sum(rank[at] for rank in ranks)) / len(ranks) for at, a in enumerate(common)}


def warm_start(
    strategy: Any,
    path: str | Sequence[str],
    designs: int = 0,
    architecture: str = "architecture",
    value: str = "value",
    higher_is_better: bool = False,
) -> WarmStart:
    """A search that begins with what an earlier study found.

    ``use = "warm-start", strategy = { use = "gp" }, path = "earlier.csv", designs = 10``

    Args:
        strategy: by name, as `Use` or itself.
        path: of one table, or of several, see `WarmStart`.
        architecture, value, higher_is_better: see `EarlierTrials`.
        designs: see `WarmStart`.

    Raises:
        StudyError: a value is out of range.
        DataMissing: there is no such file.

    Source: see `WarmStart`.
    Differs: as `WarmStart`.
    """
    from searchbench.strategies import STRATEGIES

    inner = STRATEGIES.factory(strategy)() if isinstance(strategy, str) else strategy
    paths = (path,) if isinstance(path, str) else tuple(path)
    tables = tuple(earlier_trials(file, architecture, value, higher_is_better) for file in paths)
    return WarmStart(inner, tables, designs)


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
        """Learn as the inner search does."""
        self._inner.learn(trial)

    def trace(self) -> list[Mapping[str, Logged]]:
        """What the inner search notes about itself."""
        return self._inner.trace() if isinstance(self._inner, Tracing) else []
