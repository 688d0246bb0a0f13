"""The live search of `halves.Afterwards`: a search that leaves a supernet, then one of that supernet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from searchbench.estimators.estimator import Estimator
from searchbench.strategies.oneshot.composition import scored
from searchbench.strategies.oneshot.engine import ROUND, Watched
from searchbench.strategies.strategy import AskTellSearch, Lab, Scenario, TrainingSearch

if TYPE_CHECKING:
    from searchbench.spaces.networks import Supernet
    from searchbench.strategies.oneshot.halves import Afterwards


@runtime_checkable
class Leaving(Protocol):
    """A training search whose supernet can be searched by others when it is done."""

    def leaves(self, lab: Lab) -> Supernet:
        """The trained supernet."""


class AfterwardsSearch:
    """A slice is one of the training search's, then a round of scores."""

    def __init__(self, settings: Afterwards, scenario: Scenario) -> None:
        self._settings, self._scenario = settings, scenario
        inner = settings.training.start(scenario)
        assert isinstance(inner, TrainingSearch), "unsupported() refuses what trains no supernet"
        assert isinstance(inner, Leaving), "unsupported() refuses what leaves none"
        self._training: TrainingSearch = inner
        self._leaving: Leaving = inner
        self._finding: Watched | None = None
        self._scorer: Estimator | None = None

    @property
    def done(self) -> bool:
        return self._finding is not None and self._finding.exhausted

    def advance(self, lab: Lab) -> None:
        """One slice. The best scored so far is recommended, also when the budget ends."""
        if not self._training.done:
            self._training.advance(lab)
            return
        if self._finding is None:
            self._finding = Watched(self._searched())
        if self._scorer is None:
            how = self._settings.recalibration
            left, score = self._leaving.leaves(lab), self._settings.score
            self._scorer = lab.inherited(left, how.batch_size, how.batches, score)
        try:
            for _ in range(ROUND):
                lab.explore(self._finding, self._scorer, trials=1)
                if self._finding.exhausted:
                    break
        finally:
            choice = self._finding.choice()
            if choice is not None:
                lab.recommend(*choice)
                # the last line is what is to be read with the choice, and what was said of the training's is not
                lab.log(scored=len(self._finding.values), best=choice[1])

    def _searched(self) -> AskTellSearch:
        search = self._settings.finder.start(scored(self._scenario))
        assert isinstance(search, AskTellSearch), "unsupported() refuses the others"
        return search

    def state_dict(self) -> dict[str, Any]:
        finding = None if self._finding is None else self._finding.saved()
        return {"training": self._training.state_dict(), "finding": finding}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._training.load_state_dict(state["training"])
        finding = state["finding"]
        self._finding = None if finding is None else Watched.restored(finding, self._searched)
        self._scorer = None
