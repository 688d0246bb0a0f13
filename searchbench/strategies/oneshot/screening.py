"""Random choice by inherited weights: screen many on a part of the validation split, compare the best on all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import AskTellSearch, Scenario
from searchbench.strategies.supernet import check_share
from searchbench.trial import Fidelity, Proposal, Trial


@dataclass(frozen=True, slots=True)
class RandomScreening:
    """Score random designs of the common stream on a part of the validation split; the `finalists` best of them are
    scored on all of it, and the best there is handed over.

    Args:
        candidates: random designs, at most; fewer where the budget ends before (the finalists' comparison is kept
            back from it).
        screen: share of the validation split that candidates are scored on.
        finalists: how many are scored again; none need be where `screen` is 1.

    Raises:
        StudyError: a value is out of range.

    Source: Li & Talwalkar 2019, "Random Search and Reproducibility for Neural Architecture Search", section 3.2 and
        the released code (1,000 candidates, 10 finalists).
    """

    candidates: int = 1000
    screen: float = 0.25
    finalists: int = 10

    def __post_init__(self) -> None:
        if self.candidates < 1 or self.finalists < 1:
            raise StudyError(
                "`candidates` and `finalists` must be at least 1, "
                f"but got candidates={self.candidates}, finalists={self.finalists}."
            )
        check_share("screen", self.screen, closed=True)

    def start(self, scenario: Scenario) -> AskTellSearch:
        return Screening(self, scenario)


class Screening:
    """The live search."""

    def __init__(self, settings: RandomScreening, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._designs = scenario.seeds.rng("init")
        self._screened: dict[Architecture, float] = {}
        self._compared: dict[Architecture, float] = {}
        self._finals: list[Proposal] | None = None
        self._drawn = self._awaited = 0

    def ask(self) -> Proposal | None:
        proposal = self._next()
        self._awaited += proposal is not None
        return proposal

    def _next(self) -> Proposal | None:
        """The next design, or finalist; none while the last of those screened are awaited."""
        if self._finals is None and self._drawn < self._settings.candidates:
            self._drawn += 1
            return Proposal(self._space.sample(self._designs), Fidelity(subset=self._settings.screen))
        if self._finals is None and not self._awaited:
            self.close()
        return self._finals.pop(0) if self._finals else None

    def tell(self, trial: Trial) -> None:
        self._awaited -= 1
        scores = self._screened if self._finals is None else self._compared
        scores[trial.architecture] = math.inf if trial.failed else trial.value

    def closing(self) -> list[Proposal]:
        """What is still to be asked if screening ended now."""
        if self._finals is not None:
            return self._finals
        if self._settings.screen == 1:
            return []
        best = sorted(self._screened, key=self._screened.__getitem__)[: self._settings.finalists]
        return [Proposal(architecture, Fidelity(subset=1.0)) for architecture in best]

    def close(self) -> None:
        """End the screening."""
        self._finals = self.closing()

    def recommend(self) -> Architecture:
        """The best of the finalists; before any is scored again, the best screened."""
        scores = self._compared or self._screened
        return min(scores, key=scores.__getitem__)
