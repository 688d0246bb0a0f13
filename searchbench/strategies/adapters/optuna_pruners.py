"""Optuna's pruners over its samplers: ``optuna:tpe`` with ``pruner = "median"`` and so on.

A training is reported to Optuna at epochs where the estimator can stop, and continued (charged the increment only)
until the pruner ends it.
"""

from __future__ import annotations

import inspect
from collections import deque
from dataclasses import dataclass
from typing import Any

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.space import Architecture
from searchbench.strategies.adapters.optuna import Optuna, OptunaSearch, quiet
from searchbench.strategies.rungs import looks, no_rungs, upwards
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Fidelity, Proposal, Trial

PRUNERS = {"median": "MedianPruner", "halving": "SuccessiveHalvingPruner", "hyperband": "HyperbandPruner"}
FACTOR = {"halving": 4, "hyperband": 3}
"""Optuna's default reduction factors."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A sampler of Optuna whose trainings one of Optuna's pruners may end early.

    Args:
        sampler: where new trainings come from.
        pruner: median, halving or hyperband.
        parameters: of Optuna's pruner, as pairs.

    Raises:
        StudyError: there is no such pruner or parameter.

    Source: Akiba et al. 2019; Li et al. 2018, 2020.
    Differs: nothing in the pruners. Epochs are counted in whole numbers, so fractional ones are refused. The median
        pruner is reported to wherever the estimator can stop (where every evaluation begins anew, at powers of three of
        the first stop), the others where they decide: at the reduction factor's
        powers of the first stop. hyperband chooses a training's bracket by a hash of the study's name, which is made of
        the seed.
    """

    sampler: Optuna
    pruner: str = "median"
    parameters: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        import optuna

        if self.pruner not in PRUNERS:
            raise StudyError(f"optuna has no pruner `{self.pruner}`; {did_you_mean(self.pruner, PRUNERS)}")
        accepted = set(inspect.signature(getattr(optuna.pruners, PRUNERS[self.pruner])).parameters)
        for name, _ in self.parameters:
            if name not in accepted:
                raise StudyError(
                    f"optuna's pruner {self.pruner} has no parameter `{name}`; {did_you_mean(name, accepted)}"
                )

    def unsupported(self, scenario: Scenario) -> str | None:
        reason = self.sampler.unsupported(scenario) or no_rungs(None, scenario)
        if reason is None and any(stop != int(stop) for stop in scenario.stops):
            return f"optuna's pruners count whole epochs, but the estimator stops at {scenario.stops[0]:g}"
        return reason

    def start(self, scenario: Scenario) -> PrunedSearch:
        return PrunedSearch(self, scenario)


class PrunableTraining:
    """One of Optuna's trials, and how far it has been trained."""

    def __init__(self, architecture: Architecture, asked: Any) -> None:
        self.architecture, self.asked = architecture, asked
        self.stop = 0
        """Index of the stop it is to reach next."""
        self.trial: int | None = None
        """Number of the harness's trial that reached the stop before."""


class PrunedSearch:
    """The live search."""

    def __init__(self, settings: Pruned, scenario: Scenario) -> None:
        self.stops = _reports(settings, scenario)
        seed = scenario.seeds.python_seed("search")
        self._inner = OptunaSearch(settings.sampler, scenario, _pruner(settings, scenario), f"searchbench-{seed}")
        self._ready: deque[PrunableTraining] = deque()
        self._asked: UnderWay[PrunableTraining] = UnderWay()

    def ask(self) -> Proposal | None:
        if self._ready:
            training = self._ready.popleft()
        else:
            begun = self._inner.begin()
            if begun is None:
                return None
            training = PrunableTraining(*begun)
        fidelity = Fidelity(self.stops[training.stop])
        return self._asked.add(Proposal(training.architecture, fidelity, training.trial), training)

    def tell(self, trial: Trial) -> None:
        training = self._asked.take(trial)
        assert training is not None, "it hears of what it asked for"
        if trial.failed:
            self._inner.end(training.asked, None)
            return
        with quiet():
            training.asked.report(trial.value, int(self.stops[training.stop]))
            last = training.stop + 1 == len(self.stops)
            pruned = not last and training.asked.should_prune()
        if last or pruned:
            self._inner.end(training.asked, trial.value, pruned)
        else:
            training.stop, training.trial = training.stop + 1, trial.number
            self._ready.append(training)


def _reports(settings: Pruned, scenario: Scenario) -> tuple[float, ...]:
    if settings.pruner == "median":
        return looks(scenario)
    given = dict(settings.parameters)
    factor = given.get("reduction_factor", FACTOR[settings.pruner])
    first = float(given.get("min_resource", scenario.stops[0]))
    return upwards(first, scenario.stops, factor)


def _pruner(settings: Pruned, scenario: Scenario) -> Any:
    import optuna

    given = dict(settings.parameters)
    if settings.pruner != "median":
        given.setdefault("min_resource", int(scenario.stops[0]))
    if settings.pruner == "hyperband":
        given.setdefault("max_resource", int(scenario.stops[-1]))
    with quiet():
        return getattr(optuna.pruners, PRUNERS[settings.pruner])(**given)
