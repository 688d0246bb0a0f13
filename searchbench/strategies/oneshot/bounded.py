"""A second half that ends: any finder for a number of scores."""

from __future__ import annotations

from dataclasses import dataclass

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture
from searchbench.strategies.oneshot.composition import Finder, unsearched
from searchbench.strategies.optional import Recommending
from searchbench.strategies.strategy import AskTellSearch, Scenario
from searchbench.trial import Proposal, Trial, better


@dataclass(frozen=True, slots=True)
class Bounded:
    """Ask a finder no more than `scores` times; evolution by itself would go on until the budget ends.

    Raises:
        StudyError: `scores` is not positive.
    """

    finder: Finder
    scores: int

    def __post_init__(self) -> None:
        if self.scores < 1:
            raise StudyError(f"`scores` must be at least 1, but got {self.scores}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return unsearched(self.finder, scenario)

    def start(self, scenario: Scenario) -> AskTellSearch:
        return BoundedSearch(self.finder.start(scenario), self.scores)


class BoundedSearch:
    """The live search."""

    def __init__(self, search: AskTellSearch, scores: int) -> None:
        self._search, self._left = search, scores
        self._best: tuple[float, Architecture] | None = None

    def ask(self) -> Proposal | None:
        if not self._left:
            return None
        self._left -= 1
        return self._search.ask()

    def tell(self, trial: Trial) -> None:
        self._search.tell(trial)
        if self._best is None or better(trial.value, self._best[0]):
            self._best = trial.value, trial.architecture

    def recommend(self) -> Architecture:
        """The search's own choice, or the best scored."""
        if isinstance(self._search, Recommending):
            return self._search.recommend()
        assert self._best is not None, "a choice is asked for after the first score"
        return self._best[1]
