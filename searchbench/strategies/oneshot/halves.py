"""Any training of a supernet with any ask/tell strategy as its second half, as a study file writes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from searchbench.errors import StudyError
from searchbench.estimators.estimator import InheritedScore
from searchbench.strategies.oneshot.bounded import Bounded
from searchbench.strategies.oneshot.composition import Finder, OneShot, Recalibration, check_score, scored, unsearched
from searchbench.strategies.optional import Restricted
from searchbench.strategies.strategy import Scenario, Strategy, TrainingSearch

BATCH = "batch"
"""For `recalibrate`: batch norms use the statistics of the very batch that is classified."""


@dataclass(frozen=True, slots=True)
class Afterwards:
    """Let a search train its supernet to its end (ENAS, DARTS and its relatives), and search what it leaves by
    inherited weights. What that search itself would hand over is left aside.

    Args:
        training: a strategy that trains a supernet.
        finder: what searches afterwards.
        recalibration: of batch norms, before every score.
        score: what a path is scored by, see `OneShot`.

    Raises:
        StudyError: `score` is unknown.
    """

    training: Strategy
    finder: Finder
    recalibration: Recalibration = field(default_factory=Recalibration)
    score: InheritedScore | None = None

    def __post_init__(self) -> None:
        check_score(self.score)

    def unsupported(self, scenario: Scenario) -> str | None:
        from searchbench.strategies.oneshot.afterwards import Leaving

        reason = self.training.unsupported(scenario) if isinstance(self.training, Restricted) else None
        if reason is None and not isinstance(self.training.start(scenario), Leaving):
            return (
                f"its training must leave a supernet, as spos, enas or darts does, but {self.training!r} leaves none."
            )
        return unsearched(self.finder, scored(scenario)) if reason is None else reason

    def start(self, scenario: Scenario) -> TrainingSearch:
        from searchbench.strategies.oneshot.afterwards import AfterwardsSearch

        return AfterwardsSearch(self, scenario)


def shared_weights(
    training: Any = "spos",
    finder: Any = "regularized-evolution",
    scores: int | None = None,
    recalibrate: int | str | None = None,
    score: InheritedScore | None = None,
) -> OneShot | Afterwards:
    """Train a supernet as one method does, and search it by any ask/tell strategy over inherited weights.

    ``use = "shared-weights", training = { use = "fairnas", epochs = 9 }, finder = { use = "optuna:tpe" }, scores = 99``

    Args:
        training: a strategy that trains a supernet, by name, as `Use` or itself; the second half of a one-shot strategy
            is replaced, any other (`enas`, `darts` …) is searched when it is done.
        finder: an ask/tell strategy, likewise: `regularized-evolution`, `nsga2`, `optuna:tpe`, `random`,
            `stratified-sample` …
        scores: how many paths are scored; None: until the finder or the budget ends.
        recalibrate: training batches before every score; 0 keeps the supernet's own statistics, "batch" takes those of
            the batch that is classified; None: as the training's method has it, and 4 where it scores no paths.
        score: a path's validation "loss" or "error"; None: as the training's method has it.

    Raises:
        StudyError: the training or the finder is no strategy, the finder trains a supernet itself, or a value is out of
            range.

    Source: the decomposition of Guo et al. 2020: supernet training and architecture search are two steps.
    Differs: nothing.
    """
    first, second = _strategy(training), _strategy(finder)
    if not callable(getattr(first, "start", None)):
        raise StudyError(f"`training` must be a strategy that trains a supernet such as spos, but got {training!r}.")
    if isinstance(second, OneShot | Afterwards) or not callable(getattr(second, "start", None)):
        raise StudyError(f"`finder` must be an ask/tell strategy such as random or nsga2, but got {finder!r}.")
    if isinstance(recalibrate, str) and recalibrate != BATCH:
        raise StudyError(f'`recalibrate` must be a number of batches or "{BATCH}", but got {recalibrate!r}.')
    how = first.recalibration if isinstance(first, OneShot) else Recalibration()
    if recalibrate is not None:
        how = Recalibration(None if isinstance(recalibrate, str) else recalibrate, how.batch_size)
    bounded = second if scores is None else Bounded(second, scores)
    if isinstance(first, OneShot):
        return replace(first, finder=bounded, recalibration=how, score=score or first.score)
    return Afterwards(first, bounded, how, score)


def _strategy(given: Any) -> Any:
    """A strategy by name with its defaults, or itself."""
    from searchbench.strategies import STRATEGIES

    return STRATEGIES.factory(given)() if isinstance(given, str) else given
