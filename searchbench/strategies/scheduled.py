"""A searcher and a scheduler put together: one says what is tried next, the other how long it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture
from searchbench.strategies.halving import Scheduler
from searchbench.strategies.optional import Learning, Restricted
from searchbench.strategies.strategy import Scenario, Strategy
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial

REDRAWN = 10
"""How often a searcher is asked again where it names what has been begun already."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Any searcher under any scheduler: `gp` under `hyperband`, `optuna:tpe` under `asha`, `forest` under
    `median-stopping`.

    Each length of training has a searcher of its own, which knows what has come back of that length and nothing else;
    asked for something new is that of the longest trainings of which at least `enough` have come back, and before
    that, one that is told nothing and names its initial designs. So values of different lengths are never compared,
    and the model follows the best evidence there is.

    Args:
        scheduler: `successive-halving`, `hyperband`, `asha`, `median-stopping` or `predicted-stopping`, or another that
            has `over`.
        searcher: an ask/tell strategy that can learn from trials which it did not propose: `random`, `gp`, `forest`,
            `bananas`, `regularized-evolution`, `nsga2`, `optuna:tpe`, `optuna:gp` …
        enough: trainings of one length; None: twice as many as there are decisions, and two.

    Raises:
        StudyError: one of the two is no such strategy, or `enough` is not a positive integer.

    Source: the product of searchers and schedulers is AutoGluon's and Syne Tune's (Klein et al. 2020; Salinas et al.
        2022); a model for each length, the longest with enough data asked, is BOHB's rule (Falkner et al. 2018), and
        `enough` its default.
    Differs: AutoGluon's Gaussian process spans all lengths at once; here a searcher is used as it is. What has been
        begun is named again only where the searcher names nothing else in ten tries.
    """

    scheduler: Scheduler
    searcher: Strategy
    enough: int | None = None

    def __post_init__(self) -> None:
        if not callable(getattr(self.scheduler, "over", None)):
            raise StudyError(
                "`scheduler` must be one that trains what others draw, such as successive-halving, hyperband, asha or "
                f"median-stopping, but got {self.scheduler!r}."
            )
        if not callable(getattr(self.searcher, "start", None)):
            raise StudyError(f"`searcher` must be an ask/tell strategy such as gp, but got {self.searcher!r}.")
        whole = isinstance(self.enough, int) and not isinstance(self.enough, bool)
        if self.enough is not None and not (whole and self.enough >= 1):
            raise StudyError(f"`enough` must be a positive integer or None, but got {self.enough!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        reason = self.scheduler.unsupported(scenario)
        if reason is None and isinstance(self.searcher, Restricted):
            reason = self.searcher.unsupported(scenario)
        if reason is None and not isinstance(self.searcher.start(scenario), Learning):
            return f"its searcher must learn from trials that it did not propose, and {self.searcher!r} cannot."
        return reason

    def start(self, scenario: Scenario) -> Any:
        return self.scheduler.over(Levels(self, scenario), scenario)


def scheduled(scheduler: Any = "hyperband", searcher: Any = "gp", enough: int | None = None) -> Scheduled:
    """Any searcher under any scheduler.

    ``use = "scheduled", scheduler = { use = "asha", eta = 3 }, searcher = { use = "forest" }``

    Args:
        scheduler, searcher: by name, as `Use` or the strategy itself, see `Scheduled`.
        enough: see `Scheduled`.

    Raises:
        StudyError: one of the two is no such strategy, or `enough` is not a positive integer.

    Source: see `Scheduled`.
    Differs: as `Scheduled`.
    """
    from searchbench.strategies import STRATEGIES

    first, second = (STRATEGIES.factory(s)() if isinstance(s, str) else s for s in (scheduler, searcher))
    return Scheduled(first, second, enough)


class Levels:
    """A searcher for each length of training, as the source of what begins."""

    def __init__(self, settings: Scheduled, scenario: Scenario) -> None:
        self._settings, self._scenario = settings, scenario
        self._enough = settings.enough or 2 * (len(scenario.space.decisions) + 1)
        self.searchers: dict[float, Learning] = {}
        """By epochs."""
        self.seen: dict[float, int] = {}
        """Trainings of each length that have come back."""
        self._ignorant = self._searcher()
        self._asked: UnderWay[Learning] = UnderWay()
        self._begun: set[str] = set()

    def draw(self, epochs: float) -> Architecture | None:
        """What the searcher of the longest trainings of which there are enough names."""
        searcher = self.asked
        proposal: Proposal | None = None
        for _ in range(REDRAWN):
            proposal = searcher.ask()
            if proposal is None or proposal.architecture.key not in self._begun:
                break
        if proposal is None:
            return None
        self._begun.add(proposal.architecture.key)
        return self._asked.add(proposal, searcher).architecture

    @property
    def asked(self) -> Learning:
        """The searcher that names what begins next."""
        enough = [epochs for epochs, seen in self.seen.items() if seen >= self._enough]
        return self.searchers[max(enough)] if enough else self._ignorant

    def learn(self, trial: Trial) -> None:
        epochs = trial.fidelity.epochs or 0.0
        if epochs not in self.searchers:
            self.searchers[epochs] = self._searcher()
        self.seen[epochs] = self.seen.get(epochs, 0) + 1
        searcher = self.searchers[epochs]
        own = self._asked.take(trial) is searcher
        (searcher.tell if own else searcher.learn)(trial)

    def _searcher(self) -> Learning:
        search = self._settings.searcher.start(self._scenario)
        assert isinstance(search, Learning), "refused when the study is planned"
        return search
