"""Ray Tune's searchers and schedulers as strategies: ``tune:optuna``, ``tune:asha`` and so on.

The objects that Tune's own loop would ask are asked by the harness instead, so that no Tune run (about a tenth of a
second or more per trial) stands between a strategy and a table.
"""

from __future__ import annotations

import importlib.util
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.choices import Choice, Integer
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.adapters.flat import GlobalNumbers, dimensions, flatten, names, not_flat, unflatten
from searchbench.strategies.rungs import looks, no_rungs, upwards
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import FULL, Fidelity, Proposal, Trial

SEARCHERS = {"random": None, "optuna": "optuna", "hyperopt": "hyperopt"}
"""Who proposes, and the package that needs; `random` draws the designs every strategy begins with, and no others."""
SCHEDULERS = ("asha", "hyperband", "median-stopping")
VALUE, TIME = "value", "training_iteration"
STARTUP = 10
FACTOR = 4
"""By which trainings grow, as in Tune."""


def adapt(name: str, searcher: str = "random", startup: int = STARTUP, **parameters: Any) -> Tune:
    """The strategy ``tune:<name>``: one of Tune's searchers at full length, or one of its schedulers.

    Args:
        name: a searcher (`optuna`, `hyperopt`) or a scheduler (`asha`, `hyperband`, `median-stopping`).
        searcher: who proposes what the scheduler stops.
        startup: designs of the common initial stream that a searcher begins with.
        parameters: passed to Tune's searcher or scheduler.

    Raises:
        StudyError: there is no such searcher or scheduler.
    """
    if name in SCHEDULERS:
        return Tune(searcher, name, startup, tuple(sorted(parameters.items())))
    if name not in SEARCHERS:
        known = [*SEARCHERS, *SCHEDULERS]
        raise StudyError(f"tune has no searcher or scheduler `{name}`; {did_you_mean(name, known)}")
    if searcher != "random":
        raise StudyError(f"`searcher` goes with a scheduler ({', '.join(SCHEDULERS)}); tune:{name} is one itself.")
    return Tune(name, None, startup, tuple(sorted(parameters.items())))


@dataclass(frozen=True, slots=True)
class Tune:
    """A searcher of Ray Tune, and optionally a scheduler that stops what does badly.

    With a scheduler, an architecture is trained from stop to stop of the estimator, each a proposal that continues the
    one before and is charged its increment; after each the scheduler says whether it goes on. Where every evaluation
    begins anew, it is measured where `asha` and `hyperband` decide, and for `median-stopping` at powers of three.

    `asha` is Tune's asynchronous successive halving (a stopping rule: nothing is ever paused), `hyperband` the same
    with three brackets (Tune's own advice in place of its synchronous HyperBand), `median-stopping` Google Vizier's.

    Args:
        searcher: `random`, `optuna` or `hyperopt`.
        scheduler: None trains everything in full.
        startup: designs of the common initial stream that a searcher begins with.
        parameters: of the scheduler where there is one, else of the searcher, as pairs.

    Raises:
        StudyError: there is no such searcher or scheduler.

    Source: Liaw et al. 2018 (Tune); Li et al. 2020 (ASHA); Golovin et al. 2017 (median stopping).
    Differs: nothing in the searchers and schedulers. What they draw from NumPy's global generator comes from a state
        of their own, put in place while they are called. Spaces with conditions are skipped. Tune's synchronous
        HyperBand pauses trials inside its own loop and is not offered.
    """

    searcher: str = "random"
    scheduler: str | None = None
    startup: int = STARTUP
    parameters: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.searcher not in SEARCHERS:
            raise StudyError(f"tune has no searcher `{self.searcher}`; {did_you_mean(self.searcher, SEARCHERS)}")
        if self.scheduler is not None and self.scheduler not in SCHEDULERS:
            raise StudyError(f"tune has no scheduler `{self.scheduler}`; {did_you_mean(self.scheduler, SCHEDULERS)}")

    def unsupported(self, scenario: Scenario) -> str | None:
        needs = SEARCHERS[self.searcher]
        if needs and importlib.util.find_spec(needs) is None:
            return f"tune:{self.searcher} needs the package `{needs}`, which is not installed"
        if self.scheduler and (reason := no_rungs(None, scenario)):
            return reason
        return None if self.searcher == "random" else not_flat(scenario.space, "Tune")

    def start(self, scenario: Scenario) -> TuneSearch:
        return TuneSearch(self, scenario)


@dataclass(frozen=True, slots=True)
class TuneJob:
    """One of Tune's trials, as far as its schedulers look at one."""

    trial_id: str
    architecture: Architecture


class Alone:
    """Tune's controller, as far as its schedulers look at one: nothing else is waiting for the worker."""

    def get_live_trials(self) -> list[Any]:
        return []


class TuneSearch:
    """The live search. Any number of trials may be under way."""

    def __init__(self, settings: Tune, scenario: Scenario) -> None:
        self._space, self._designs = scenario.space, scenario.seeds.rng("init")
        self._stops = _reports(settings, scenario)
        seed = scenario.seeds.python_seed("search") % 2**32
        self._numbers, self._controller = GlobalNumbers(seed), Alone()
        self._going_on: deque[tuple[TuneJob, Fidelity, int]] = deque()
        self._asked: UnderWay[TuneJob] = UnderWay()
        self._jobs = 0
        given = dict(settings.parameters)
        with self._numbers.use():
            self._scheduler = _scheduler(settings.scheduler, given, scenario.stops) if settings.scheduler else None
            self._searcher = None
            if settings.searcher != "random":
                designs = [self._space.sample(self._designs) for _ in range(settings.startup)]
                own = {} if settings.scheduler else given
                self._searcher = _searcher(settings.searcher, self._space, designs, seed, own)

    def ask(self) -> Proposal:
        if self._going_on:
            job, fidelity, resume = self._going_on.popleft()
            return self._asked.add(Proposal(job.architecture, fidelity, resume), job)
        job = self._begin()
        fidelity = Fidelity(self._stops[0]) if self._scheduler else FULL
        return self._asked.add(Proposal(job.architecture, fidelity), job)

    def _begin(self) -> TuneJob:
        name = f"{self._jobs:06d}"
        self._jobs += 1
        with self._numbers.use():
            if self._searcher is None:
                job = TuneJob(name, self._space.sample(self._designs))
            else:
                suggested: Mapping[str, Any] = self._searcher.suggest(name)
                point = [suggested[name] for name in names(self._space)]
                job = TuneJob(name, unflatten(self._space, point))
            if self._scheduler is not None:
                self._scheduler.on_trial_add(self._controller, job)
        return job

    def tell(self, trial: Trial) -> None:
        epochs = trial.fidelity.epochs if self._scheduler else None
        job = self._asked.take(trial)
        assert job is not None, "it hears of what it asked for"
        result = {VALUE: trial.value, TIME: epochs or 1}
        with self._numbers.use():
            if not trial.failed and self._goes_on(job, result):
                following = self._stops[self._stops.index(float(epochs or math.nan)) + 1]
                self._going_on.append((job, Fidelity(following), trial.number))
                return
            self._end(job, None if trial.failed else result)

    def _goes_on(self, job: TuneJob, result: dict[str, Any]) -> bool:
        if self._scheduler is None or result[TIME] >= self._stops[-1]:
            return False
        return bool(self._scheduler.on_trial_result(self._controller, job, result) == "CONTINUE")

    def _end(self, job: TuneJob, result: dict[str, Any] | None) -> None:
        if self._searcher is not None:
            self._searcher.on_trial_complete(job.trial_id, result, error=result is None)
        if self._scheduler is None:
            return
        if result is None:
            self._scheduler.on_trial_error(self._controller, job)
        elif result[TIME] >= self._stops[-1]:
            self._scheduler.on_trial_complete(self._controller, job, result)


def _reports(settings: Tune, scenario: Scenario) -> tuple[float, ...]:
    """At how many epochs the scheduler is told something."""
    if scenario.continues or settings.scheduler in (None, "median-stopping"):
        return looks(scenario) if scenario.stops else ()
    given = dict(settings.parameters)
    return upwards(given.get("grace_period", scenario.stops[0]), scenario.stops, given.get("reduction_factor", FACTOR))


def _scheduler(name: str, given: dict[str, Any], stops: tuple[float, ...]) -> Any:
    from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule

    common: dict[str, Any] = {"time_attr": TIME, "metric": VALUE, "mode": "min", "grace_period": stops[0]}
    if name == "median-stopping":
        return MedianStoppingRule(**(common | given))
    brackets = {"brackets": 3} if name == "hyperband" else {}
    return AsyncHyperBandScheduler(**(common | {"max_t": stops[-1], "reduction_factor": FACTOR} | brackets | given))


def _searcher(name: str, space: Space, designs: list[Architecture], seed: int, given: dict[str, Any]) -> Any:
    called = names(space)
    points = [dict(zip(called, flatten(a), strict=True)) for a in designs]
    domains = {each: _domain(d) for each, d in zip(called, dimensions(space), strict=True)}
    if name == "optuna":
        from ray.tune.search.optuna import OptunaSearch

        return OptunaSearch(domains, metric=VALUE, mode="min", points_to_evaluate=points, seed=seed, **given)
    from ray.tune.search.hyperopt import HyperOptSearch

    return HyperOptSearch(domains, metric=VALUE, mode="min", points_to_evaluate=points, random_state_seed=seed, **given)


def _domain(decision: Any) -> Any:
    from ray import tune

    if isinstance(decision, Choice):
        return tune.choice(list(range(len(decision.options))))
    if isinstance(decision, Integer):
        kind = tune.lograndint if decision.log else tune.randint
        return kind(decision.low, decision.high + 1)
    return (tune.loguniform if decision.log else tune.uniform)(decision.low, decision.high)
