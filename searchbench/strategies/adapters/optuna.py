"""Optuna's samplers as strategies: ``optuna:tpe``, ``optuna:gp`` and so on.

One in-memory study per run, driven through Optuna's own ask and tell. A space's decisions become distributions (a
categorical is one over the indices of its options), suggested in order and only while they are active, which is how
Optuna itself writes conditional spaces.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.choices import Choice, Decision, Float, Integer, Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.nsga2 import check_objectives, objectives_of
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial


@dataclass(frozen=True, slots=True)
class Sampler:
    """What there is to know about one of Optuna's samplers."""

    attribute: str
    """Its class in `optuna.samplers`."""
    startup: int
    """Designs of the common stream it begins with, where the user does not say."""
    learns: bool = True
    """Whether it takes trials into account that it did not propose."""
    several: bool = True
    """Whether it searches for a front of several objectives."""
    categorical: bool = True
    """Whether it models categorical and conditional decisions itself (else it would draw them at random, silently)."""
    needs: str | None = None
    """A package Optuna does not install."""
    lists: bool = False
    """Whether it lists the integers of a range; wide ones are given to it as numbers, and rounded."""
    defaults: tuple[tuple[str, Any], ...] = ()


def a_quarter_of_the_root(trials: int) -> int:
    """How many of the trials count as good in hyperopt: min(ceil(sqrt(n) / 4), 25)."""
    return min(math.ceil(0.25 * math.sqrt(trials)), 25)


HYPEROPT = (("gamma", a_quarter_of_the_root), ("n_ei_candidates", 24), ("prior_weight", 1.0), ("multivariate", False))
SAMPLERS = {
    "random": Sampler("RandomSampler", 10),
    "tpe": Sampler("TPESampler", 10),
    "tpe-hyperopt": Sampler("TPESampler", 20, defaults=(*HYPEROPT, ("n_startup_trials", 20))),
    "gp": Sampler("GPSampler", 10, needs="torch", lists=True),
    "cmaes": Sampler("CmaEsSampler", 1, learns=False, several=False, categorical=False, needs="cmaes"),
    "nsgaii": Sampler("NSGAIISampler", 50, learns=False),
    "nsgaiii": Sampler("NSGAIIISampler", 50, learns=False),
    "qmc": Sampler("QMCSampler", 0, categorical=False, needs="scipy", defaults=(("scramble", True),)),
    "grid": Sampler("GridSampler", 0, learns=False),
}
LISTED = 10_000
"""Widest range of integers that a sampler is given which lists them."""
GRID_POINTS = 100_000
"""Optuna lists its whole grid; beyond this many points it is not asked to."""


def adapt(
    name: str,
    startup: int | None = None,
    pruner: str | Mapping[str, Any] | None = None,
    objectives: Sequence[str] | None = None,
    **parameters: Any,
) -> Any:
    """The strategy ``optuna:<name>``.

    Args:
        name: one of `SAMPLERS`.
        startup: designs of the common initial stream it begins with.
        pruner: ends trainings early: a name of `optuna_pruners.PRUNERS`, or `name` and its parameters. None: every
            evaluation is a full training.
        objectives: "value" and names of metrics, all minimised ("-name" maximises one), for a search towards their
            front; None: the validation value alone.
        parameters: passed to Optuna's sampler.

    Raises:
        StudyError: there is no such sampler or pruner, or it has no such parameter, or a pruner is to end trainings
            of several objectives, which Optuna cannot.
    """
    sampler = Optuna(name, startup, tuple(sorted(parameters.items())))
    if objectives is not None:
        if pruner is not None:
            raise StudyError("optuna ends no trainings of several objectives; leave out `pruner` or `objectives`.")
        return OptunaFront(sampler, tuple(objectives))
    if pruner is None:
        return sampler
    from searchbench.strategies.adapters.optuna_pruners import Pruned

    given = {"name": pruner} if isinstance(pruner, str) else dict(pruner)
    if "name" not in given:
        raise StudyError(f"`pruner` is a name, or a table with `name` and parameters, but got {pruner!r}.")
    return Pruned(sampler, given.pop("name"), tuple(sorted(given.items())))


@dataclass(frozen=True, slots=True)
class Optuna:
    """One of Optuna's samplers, seeded from the strategy's own stream, behind Optuna's ask and tell.

    Its first `startup` trials are enqueued designs of the stream every strategy begins with. Failed evaluations are
    told as failed.

    Args:
        sampler: its short name.
        startup: how many designs; None takes the sampler's own habit (`SAMPLERS`).
        parameters: of Optuna's sampler, as pairs.

    Raises:
        StudyError: there is no such sampler, or it has no such parameter, or `startup` is negative.

    Source: Akiba et al. 2019; Bergstra et al. 2011 (TPE).
    Differs: nothing in the samplers; `tpe-hyperopt` is Optuna's TPE with hyperopt's split and settings. `cmaes` and
        `qmc` have no answer to categorical or conditional decisions (Optuna falls back to independent draws) and are
        skipped there; `qmc` is scrambled, or it would not depend on its seed. `gp` lists the integers of a range, so
        that more than 10,000 are numbers to it, which are rounded.
    """

    sampler: str = "tpe"
    startup: int | None = None
    parameters: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise StudyError(f"optuna has no sampler `{self.sampler}`; {did_you_mean(self.sampler, SAMPLERS)}")
        if self.startup is not None and (not isinstance(self.startup, int) or self.startup < 0):
            raise StudyError(f"`startup` must be a non-negative integer, but got {self.startup!r}.")
        _check_parameters(self.sampler, dict(self.parameters))

    def unsupported(self, scenario: Scenario) -> str | None:
        kind, space = SAMPLERS[self.sampler], scenario.space
        for decision in space.decisions:
            if not isinstance(decision, Choice | Integer | Float):
                return f"optuna has no distribution for `{decision.name}`, a {type(decision).__name__}"
        if kind.needs and importlib.util.find_spec(kind.needs) is None:
            return f"optuna:{self.sampler} needs the package `{kind.needs}`, which is not installed"
        if not kind.categorical and (
            space.conditional or any(isinstance(d, Choice) and d.arity > 1 for d in space.decisions)
        ):
            return (
                f"optuna:{self.sampler} does not model categorical or conditional decisions; "
                "Optuna would draw them at random without saying so"
            )
        if self.sampler == "grid":
            points = math.prod(math.inf if d.arity is None else d.arity for d in space.decisions)
            if space.conditional or points > GRID_POINTS:
                return (
                    f"optuna:grid lists its grid, which needs finite, unconditional decisions, {GRID_POINTS:,} points"
                )
        return None

    def start(self, scenario: Scenario) -> OptunaSearch:
        return (LearningOptunaSearch if SAMPLERS[self.sampler].learns else OptunaSearch)(self, scenario)


@dataclass(frozen=True, slots=True)
class OptunaFront:
    """One of Optuna's samplers that searches for a front: `nsgaii`, `nsgaiii`, `tpe`, `gp`, `random`.

    Args:
        sampler: which, and its parameters.
        objectives: "value" (the validation value) and names of metrics, all minimised; "-name" maximises one.

    Raises:
        StudyError: the sampler has one objective only, or the names are none or not distinct.

    Source: Akiba et al. 2019; Deb et al. 2002; Deb & Jain 2014 (NSGA-III); Ozaki et al. 2022 (multi-objective TPE).
    Differs: nothing in the samplers. The harness judges one architecture per run, the best validated; the front is in
        the record.
    """

    sampler: Optuna
    objectives: tuple[str, ...] = ("value", "params")

    def __post_init__(self) -> None:
        check_objectives(self.objectives)
        if not SAMPLERS[self.sampler.sampler].several:
            raise StudyError(f"optuna:{self.sampler.sampler} has one objective only, but got {self.objectives!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return self.sampler.unsupported(scenario)

    def start(self, scenario: Scenario) -> OptunaSearch:
        return OptunaSearch(self.sampler, scenario, objectives=self.objectives)


class OptunaSearch:
    """The live search: a study in memory."""

    def __init__(
        self,
        settings: Optuna,
        scenario: Scenario,
        pruner: Any = None,
        study_name: str | None = None,
        objectives: tuple[str, ...] = ("value",),
    ) -> None:
        import optuna

        from searchbench.strategies.adapters.optuna_distributions import distributions_of

        self._space, self._objectives = scenario.space, objectives
        self._designs = scenario.seeds.rng("init")
        kind = SAMPLERS[settings.sampler]
        self._startup = kind.startup if settings.startup is None else settings.startup
        self._left: float = int(scenario.space.size) if settings.sampler == "grid" else math.inf
        self._given = tuple(_given(decision) if kind.lists else decision for decision in scenario.space.decisions)
        """The decisions as the sampler is given them."""
        self._distributions = distributions_of(self._given)
        self._asked: UnderWay[optuna.Trial] = UnderWay()
        with quiet():
            sampler = _make(settings, self._space, scenario.seeds.python_seed("search"))
            self._study = optuna.create_study(
                sampler=sampler, pruner=pruner, study_name=study_name, directions=["minimize"] * len(objectives)
            )

    def ask(self) -> Proposal | None:
        begun = self.begin()
        if begun is None:
            return None
        architecture, trial = begun
        return self._asked.add(Proposal(architecture), trial)

    def begin(self) -> tuple[Architecture, Any] | None:
        """The next architecture and Optuna's trial of it; None: nothing more to try."""
        if self._left == 0:
            return None
        self._left -= 1
        with quiet():
            if self._startup:
                self._startup -= 1
                self._study.enqueue_trial(self._parameters(self._space.sample(self._designs)))
            trial = self._study.ask(None if self._space.conditional else self._distributions)
            return Architecture(self._space, self._suggest(trial)), trial

    def tell(self, trial: Trial) -> None:
        self.end(self._asked.take(trial), None if trial.failed else objectives_of(trial, self._objectives))

    def end(self, asked: Any, value: float | tuple[float, ...] | None, pruned: bool = False) -> None:
        """Tell Optuna what came of one of its trials; no value: it failed."""
        from optuna.trial import TrialState

        with quiet(), contextlib.suppress(*self._stops()):
            if value is None:
                self._study.tell(asked, state=TrialState.FAIL)
            elif pruned:
                self._study.tell(asked, state=TrialState.PRUNED)
            else:
                self._study.tell(asked, value)

    def _stops(self) -> tuple[type[Exception], ...]:
        """Having recorded the last points of its grid, Optuna's grid stops a loop that is not running: RuntimeError."""
        return (RuntimeError,) if self._left == 0 else ()

    def _suggest(self, trial: Any) -> tuple[Value, ...]:
        if not self._space.conditional:
            made = trial.params
            return tuple(_value(decision, made[decision.name]) for decision in self._space.decisions)
        values: list[Value] = []
        for decision, given in zip(self._space.decisions, self._given, strict=True):
            when = decision.when
            if when is not None and values[self._space.position[when.name]] not in when.values:
                values.append(None)
            else:
                values.append(_value(decision, _suggested(trial, given)))
        return tuple(values)

    def _parameters(self, architecture: Architecture) -> dict[str, Any]:
        pairs = zip(self._space.decisions, architecture.values, strict=True)
        return {
            d.name: d.options.index(value) if isinstance(d, Choice) else value
            for d, value in pairs
            if value is not None
        }


class LearningOptunaSearch(OptunaSearch):
    """Search of a sampler that looks at all trials, whoever proposed them."""

    def learn(self, trial: Trial) -> None:
        """Add a finished trial to the study; it stands for an initial design."""
        from optuna.trial import TrialState, create_trial

        self._startup = max(self._startup - 1, 0)
        given = self._parameters(trial.architecture)
        with quiet():
            self._study.add_trial(
                create_trial(
                    state=TrialState.FAIL if trial.failed else TrialState.COMPLETE,
                    value=None if trial.failed else trial.value,
                    params=given,
                    distributions={name: self._distributions[name] for name in given},
                )
            )


def _given(decision: Decision) -> Decision:
    """A wide range of integers as one of numbers, anything else as it is."""
    if not isinstance(decision, Integer) or decision.high - decision.low < LISTED:
        return decision
    return Float(decision.name, decision.low - 0.5, decision.high + 0.5, log=decision.log, when=decision.when)


def _suggested(trial: Any, decision: Decision) -> Any:
    """Optuna's number for a decision."""
    if isinstance(decision, Choice):
        return trial.suggest_categorical(decision.name, tuple(range(len(decision.options))))
    suggest = trial.suggest_int if isinstance(decision, Integer) else trial.suggest_float
    return suggest(decision.name, decision.low, decision.high, log=decision.log)  # type: ignore[attr-defined]


def _value(decision: Decision, made: Any) -> Value:
    """What Optuna's number says of a decision."""
    if isinstance(decision, Choice):
        chosen: Value = decision.options[made]
        return chosen
    number: Value = min(max(round(made), decision.low), decision.high) if isinstance(decision, Integer) else made
    return number


def _make(settings: Optuna, space: Space, seed: int) -> Any:
    import optuna

    kind = SAMPLERS[settings.sampler]
    given = dict(kind.defaults) | dict(settings.parameters)
    if settings.sampler == "grid":
        given["search_space"] = {
            d.name: list(range(len(d.options))) if isinstance(d, Choice) else list(d.values()) for d in space.decisions
        }
    begins_at_random = settings.sampler in ("tpe", "tpe-hyperopt", "gp", "cmaes")
    if settings.startup is not None and begins_at_random and "n_startup_trials" not in dict(settings.parameters):
        given["n_startup_trials"] = max(settings.startup, 1)
    return getattr(optuna.samplers, kind.attribute)(seed=seed, **given)


def _check_parameters(name: str, given: dict[str, Any]) -> None:
    import inspect

    import optuna

    accepted = set(inspect.signature(getattr(optuna.samplers, SAMPLERS[name].attribute)).parameters)
    for parameter in given:
        if parameter not in accepted - {"seed", "search_space"}:
            raise StudyError(f"optuna:{name} has no parameter `{parameter}`; {did_you_mean(parameter, accepted)}")


SILENT = logging.NullHandler()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Optuna logs every study and warns of every experimental part; both are silenced while it is called only."""
    import optuna

    # not by its verbosity: to change that, all loggers of the process forget what they know, at every ask and tell
    logger = logging.getLogger(optuna.__name__)
    before = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [SILENT], False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.handlers, logger.propagate = before
