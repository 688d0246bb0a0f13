"""A one-shot search as a composition: how the supernet is trained x how it is searched afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from searchbench.errors import StudyError
from searchbench.strategies.oneshot.evolution import SposEvolution
from searchbench.strategies.oneshot.samplers import Grouping, Sampler, Together, Uniform
from searchbench.strategies.oneshot.teaching import Labels, Teaching
from searchbench.strategies.strategy import AskTellSearch, Restricted, Scenario, TrainingSearch
from searchbench.strategies.supernet import SupernetTraining, check_share
from searchbench.trial import Fidelity, Proposal


class Finder(Protocol):
    """The second half: any ask/tell strategy, over inherited weights."""

    def start(self, scenario: Scenario) -> AskTellSearch: ...


@runtime_checkable
class Closing(Protocol):
    """An ask/tell search that wants its last trials kept back from the budget."""

    def closing(self) -> list[Proposal]:
        """What it would still ask if it were told to close now."""

    def close(self) -> None:
        """Ask nothing but those from now on."""


@dataclass(frozen=True, slots=True)
class Recalibration:
    """How batch norms are re-estimated before a path is scored.

    Raises:
        StudyError: a value is out of range.
    """

    batches: int | None = 4
    """Training batches; 0 keeps the supernet's own statistics; None: each batch that is classified has its own."""
    batch_size: int = 64

    def __post_init__(self) -> None:
        if (self.batches or 0) < 0 or self.batch_size < 2:
            raise StudyError(
                "recalibration takes `batches` >= 0 of `batch_size` >= 2, "
                f"but got batches={self.batches}, batch_size={self.batch_size}."
            )


@dataclass(frozen=True, slots=True)
class OneShot:
    """Train a supernet path by path, then search it by inherited weights; both are paid from the budget.

    Args:
        sampler: which paths are trained.
        finder: what searches afterwards.
        weights: how the supernet's weights are trained.
        train_share: share of the budget for the training, where `weights.epochs` leaves its length open. On an axis
            on which scoring costs nothing, training takes all.
        recalibration: of batch norms, before every score.
        grouping: which of a round's paths share an update.
        retrain: how many of the best scored are evaluated by the problem's own estimator, from the same budget; the
            best there is handed over. Their price is kept back from the scores; 0: the best scored is handed over.
        teaching: what the paths of a round learn from.

    Raises:
        StudyError: a value is out of range.
    """

    sampler: Sampler = field(default_factory=Uniform)
    finder: Finder = field(default_factory=SposEvolution)
    weights: SupernetTraining = field(default_factory=SupernetTraining)
    train_share: float = 0.5
    recalibration: Recalibration = field(default_factory=Recalibration)
    grouping: Grouping = field(default_factory=Together)
    retrain: int = 0
    teaching: Teaching = field(default=Labels(), metadata={"described": "unless default"})

    def __post_init__(self) -> None:
        if self.retrain < 0:
            raise StudyError(f"`retrain` must not be negative, but got {self.retrain}.")
        check_share("train_share", self.train_share)

    def unsupported(self, scenario: Scenario) -> str | None:
        reason = self.weights.unsupported(scenario)
        if reason is None and isinstance(self.sampler, Restricted):
            reason = self.sampler.unsupported(scenario)
        return unsearched(self.finder, scored(scenario)) if reason is None else reason

    def start(self, scenario: Scenario) -> TrainingSearch:
        from searchbench.strategies.oneshot.engine import OneShotSearch

        return OneShotSearch(self, scenario)


def unsearched(finder: Finder, scenario: Scenario) -> str | None:
    """The rule that keeps a strategy from searching a trained supernet, or None. `scenario` is what it is told."""
    reason = finder.unsupported(scenario) if isinstance(finder, Restricted) else None
    if reason is None and not isinstance(finder.start(scenario), AskTellSearch):
        return f"its finder must be an ask/tell strategy, as random or nsga2 is, but got {finder!r}."
    return reason


def scored(scenario: Scenario) -> Scenario:
    """The scenario as the second half is told it: scores by inherited weights know no length of training."""
    return replace(scenario, full=Fidelity(subset=1.0), stops=())
