"""Settings that hold for a whole training, where schedules are searched: what a schedule has to be better than."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from searchbench.errors import StudyError
from searchbench.spaces.schedules import schedule
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.optional import Recommending, Restricted, Tracing
from searchbench.strategies.strategy import AskTellSearch, Logged, Scenario, Strategy
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial


@dataclass(frozen=True, slots=True)
class ConstantSettings:
    """Any ask/tell strategy over the settings of one interval, each of which is held from the first to the last.

    Args:
        strategy: an ask/tell strategy.

    Raises:
        StudyError: it is no strategy.
    """

    strategy: Strategy

    def __post_init__(self) -> None:
        if not callable(getattr(self.strategy, "start", None)):
            raise StudyError(f"`strategy` must be an ask/tell strategy such as gp, but got {self.strategy!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        if scenario.space.setting is None:
            return f"every point of `{scenario.space.name}` is a constant setting already; leave it out"
        within = _within(scenario)
        reason = self.strategy.unsupported(within) if isinstance(self.strategy, Restricted) else None
        if reason is None and not isinstance(self.strategy.start(within), AskTellSearch):
            return f"it holds settings of ask/tell strategies, and {self.strategy!r} is none"
        return reason

    def start(self, scenario: Scenario) -> HeldSettings:
        inner = self.strategy.start(_within(scenario))
        assert isinstance(inner, AskTellSearch), "refused when the study is planned"
        return HeldSettings(inner, scenario.space)


def constant_settings(strategy: Any) -> ConstantSettings:
    """Any ask/tell strategy over settings that hold for a whole training.

    ``use = "constant-settings", strategy = { use = "gp" }``

    Args:
        strategy: by name, as `Use` or itself.

    Raises:
        StudyError: it is no strategy.

    Source: what Jaderberg et al. 2017 compare population-based training with: searches whose settings stay.
    Differs: nothing.
    """
    from searchbench.strategies import STRATEGIES

    return ConstantSettings(STRATEGIES.factory(strategy)() if isinstance(strategy, str) else strategy)


class HeldSettings:
    """The live search. Any number of proposals may be under way, as far as the inner search allows."""

    def __init__(self, inner: AskTellSearch, space: Space) -> None:
        self._inner, self._space = inner, space
        self._asked: UnderWay[Architecture] = UnderWay()
        if isinstance(inner, Recommending):
            self.recommend = lambda: schedule(space, [inner.recommend()])

    def ask(self) -> Proposal | None:
        proposal = self._inner.ask()
        if proposal is None:
            return None
        held = schedule(self._space, [proposal.architecture])
        return self._asked.add(Proposal(held, proposal.fidelity, proposal.resume), proposal.architecture)

    def tell(self, trial: Trial) -> None:
        setting = self._asked.take(trial)
        assert setting is not None, "it hears of what it asked for"
        self._inner.tell(replace(trial, architecture=setting))

    def trace(self) -> list[Mapping[str, Logged]]:
        """What the inner search notes about itself."""
        return self._inner.trace() if isinstance(self._inner, Tracing) else []


def _within(scenario: Scenario) -> Scenario:
    """What the inner strategy is told: settings in the place of schedules."""
    assert scenario.space.setting is not None
    return replace(scenario, space=scenario.space.setting, latency=None, macs=None)
