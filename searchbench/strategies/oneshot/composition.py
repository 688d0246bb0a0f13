"""A one-shot search as a composition: how the supernet is trained x how it is searched afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from searchbench.errors import StudyError
from searchbench.estimators.estimator import InheritedScore
from searchbench.strategies.oneshot.evolution import SposEvolution
from searchbench.strategies.oneshot.revising import NO_FINALISTS, AmongKept, Revising
from searchbench.strategies.oneshot.samplers import Grouping, Sampler, Together, Uniform
from searchbench.strategies.oneshot.teaching import Labels, Teaching
from searchbench.strategies.optional import Restricted
from searchbench.strategies.strategy import AskTellSearch, Scenario, TrainingSearch
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
class Split:
    """After a share of its training a supernet gives way to several copies of itself, one for each way in which some
    decisions can be taken, which are trained on in the same minibatches, each on paths of its own.

    Args:
        decisions: by position in the space; a supernet for each combination of their options, each with its memory.
        after: share of the epochs.

    Raises:
        StudyError: a value is out of range.

    Source: Zhao et al. 2021, "Few-shot neural architecture search", section 3: weights are inherited from the
        one-shot supernet.
    """

    decisions: tuple[int, ...] = (0,)
    after: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "decisions", tuple(self.decisions))
        if not self.decisions or len(set(self.decisions)) < len(self.decisions) or min(self.decisions) < 0:
            raise StudyError(f"`decisions` must be distinct positions, at least one, but got {self.decisions!r}.")
        if not 0 <= self.after < 1:
            raise StudyError(f"`after` must lie in [0, 1), but got {self.after!r}.")

    def due(self, epoch: int, epochs: int) -> bool:
        """Whether there are several in an epoch, counted from 0."""
        return epoch >= self.after * epochs

    def unsupported(self, scenario: Scenario) -> str | None:
        space, known = scenario.space, len(scenario.space.decisions)
        if space.conditional or (space.wiring is not None and space.wiring.keeps is not None):
            return f"it splits the supernet by decisions that are always taken, and those of `{space.name}` are not."
        if max(self.decisions) >= known:
            return f"it splits the supernet by decision {max(self.decisions)}, and the space has {known}, from 0."
        return None


@dataclass(frozen=True, slots=True)
class OneShot:
    """Train a supernet path by path, then search it by inherited weights; both are paid from the budget.

    Args:
        sampler: which paths are trained.
        finder: what searches afterwards: an ask/tell strategy, or a choice among the paths that the sampler kept.
        weights: how the supernet's weights are trained.
        train_share: share of the budget for the training, where `weights.epochs` leaves its length open. On an axis
            on which scoring costs nothing, training takes all.
        recalibration: of batch norms, before every score.
        grouping: which of a round's paths share an update.
        retrain: how many of the best scored are evaluated by the problem's own estimator, from the same budget; the
            best there is handed over. Their price is kept back from the scores; 0: the best scored is handed over.
        teaching: what the paths of a round learn from.
        split: when and by which decisions the supernet becomes several; None: never.
        score: what a path is scored by, its validation "loss" or "error"; None: by the loss where labels are few, see
            `SharedWeights`.

    Raises:
        StudyError: a value is out of range.
    """

    sampler: Sampler = field(default_factory=Uniform)
    finder: Finder | AmongKept = field(default_factory=SposEvolution)
    weights: SupernetTraining = field(default_factory=SupernetTraining)
    train_share: float = 0.5
    recalibration: Recalibration = field(default_factory=Recalibration)
    grouping: Grouping = field(default_factory=Together)
    retrain: int = 0
    teaching: Teaching = field(default=Labels(), metadata={"described": "unless default"})
    split: Split | None = field(default=None, metadata={"described": "unless default"})
    score: InheritedScore | None = None

    def __post_init__(self) -> None:
        check_score(self.score)
        if self.retrain < 0:
            raise StudyError(f"`retrain` must not be negative, but got {self.retrain}.")
        check_share("train_share", self.train_share)

    def unsupported(self, scenario: Scenario) -> str | None:
        reason = self.weights.unsupported(scenario)
        if reason is None and isinstance(self.sampler, Restricted):
            reason = self.sampler.unsupported(scenario)
        if reason is None and self.split is not None:
            reason = self.split.unsupported(scenario)
        if isinstance(self.finder, AmongKept):
            return reason if isinstance(self.sampler, Revising) else NO_FINALISTS
        return unsearched(self.finder, scored(scenario)) if reason is None else reason

    def start(self, scenario: Scenario) -> TrainingSearch:
        from searchbench.strategies.oneshot.engine import OneShotSearch

        return OneShotSearch(self, scenario)


def check_score(score: object) -> None:
    """Raise StudyError where it is no way to score a path."""
    if score not in (None, "loss", "error"):
        raise StudyError(f'`score` must be "loss" or "error", or be left out, but got {score!r}.')


def unsearched(finder: Finder, scenario: Scenario) -> str | None:
    """The rule that keeps a strategy from searching a trained supernet, or None. `scenario` is what it is told."""
    reason = finder.unsupported(scenario) if isinstance(finder, Restricted) else None
    if reason is None and not isinstance(finder.start(scenario), AskTellSearch):
        return f"its finder must be an ask/tell strategy, as random or nsga2 is, but got {finder!r}."
    return reason


def scored(scenario: Scenario) -> Scenario:
    """The scenario as the second half is told it: scores by inherited weights know no length of training."""
    return replace(scenario, full=Fidelity(subset=1.0), stops=())
