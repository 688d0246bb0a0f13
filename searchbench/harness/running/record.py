"""The record of one run: its trials, its recommendations, and what the search logged about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from searchbench.cost import Cost
from searchbench.harness.running.incumbent import Incumbent
from searchbench.results.columns import TraceColumns, TrialColumns
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import Logged
from searchbench.trial import Recommendation, Trial

_KEPT = ("able", "columns", "final", "incumbent", "refused", "traces", "trials")  # `watch` belongs to the process


class Record:
    """What has happened in a run so far, in order. The harness numbers the trials, not the search."""

    __slots__ = (*_KEPT, "watch")

    def __init__(self) -> None:
        self.trials = 0
        self.incumbent = Incumbent()
        self.able = Incumbent(able=True)
        """The best of what can learn: in short trainings chance ranks what cannot among the others."""
        self.final: Recommendation | None = None
        self.refused = ""
        """Which limits the last recommendation exceeded that was not taken."""
        self.columns = TrialColumns()
        self.traces = TraceColumns()
        self.watch: Callable[[], object] | None = None
        """Called after every trial and every line of the trace."""

    def add(self, trial: Trial, spent: Cost, *, offer: bool, resumed: int | None) -> None:
        """Record the next trial.

        Args:
            trial: its number is `trials`.
            spent: the run's total after it.
            offer: whether it may become the incumbent: scores by inherited weights may not, being of another scale.
            resumed: number of the trial whose training it continued.
        """
        self.trials += 1
        if offer:
            self.incumbent.offer(trial)
            self.able.offer(trial)
        best = self.incumbent.number
        self.columns.append(
            str(trial.architecture),
            trial.architecture.key,
            trial.fidelity,
            trial.status,
            trial.value,
            spent=spent,
            recommended=best if best >= 0 else None,
            cached=trial.cached,
            error=trial.error,
            metrics=trial.metrics,
            resumed=resumed,
        )
        if self.watch is not None:
            self.watch()

    def recommend(self, architecture: Architecture, value: float, spent: Cost) -> None:
        """Record a recommendation; the last one counts."""
        self.final = Recommendation(self.trials, architecture, value, spent)
        self.columns.recommend(str(architecture), architecture.key, value, spent)

    def log(self, values: Mapping[str, Logged], spent: Cost) -> None:
        """Record a line of the search's own trace."""
        self.traces.append(values, spent)
        if self.watch is not None:
            self.watch()

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _KEPT}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in _KEPT:
            setattr(self, name, state[name])
