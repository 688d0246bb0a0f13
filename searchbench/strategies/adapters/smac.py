"""SMAC3's optimizers as strategies: ``smac:forest``, ``smac:gp``.

The original of forest optimisation, with its local search of the acquisition, interleaved random configurations and
intensification, driven through its ask and tell.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.choices import Choice, Decision, Float, Integer, Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.adapters.flat import quiet, told
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial

FACADES = {"forest": "HyperparameterOptimizationFacade", "gp": "BlackBoxFacade"}
"""Our name -> SMAC's."""
TRIALS = 10_000_000
"""As many as SMAC is told to expect; the budget is the harness's."""


def adapt(name: str, startup: int = 10) -> Smac:
    """The strategy ``smac:<name>``.

    Args:
        name: one of `FACADES`.
        startup: designs of the common initial stream it begins with.

    Raises:
        StudyError: there is no such optimizer, or `startup` is not positive.
    """
    return Smac(name, startup)


@dataclass(frozen=True, slots=True)
class Smac:
    """One of SMAC3's facades, seeded from the strategy's own stream, as it is but for its first designs.

    Args:
        facade: its short name: "forest" (random forest, log expected improvement) or "gp" (Gaussian process).
        startup: how many designs of the stream that every strategy begins with.

    Raises:
        StudyError: there is no such facade, or `startup` is not positive.

    Source: Lindauer et al. 2022, "SMAC3"; Hutter et al. 2011.
    Differs: the initial designs are the common ones instead of a Sobol sequence; the scenario is deterministic, one
        evaluation a configuration; a failed evaluation is a crash that costs the worst value seen, and a value beyond
        1e100 counts as that; local searches begin in sorted order, where the library's order depends on the process.
    """

    facade: str = "forest"
    startup: int = 10

    def __post_init__(self) -> None:
        if self.facade not in FACADES:
            raise StudyError(f"smac has no optimizer `{self.facade}`; {did_you_mean(self.facade, FACADES)}")
        if not isinstance(self.startup, int) or isinstance(self.startup, bool) or self.startup < 1:
            raise StudyError(f"`startup` must be a positive integer, but got {self.startup!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        if importlib.util.find_spec("smac") is None:
            return 'smac: needs SMAC3, which is not installed; pip install "searchbench[smac]"'
        for decision in scenario.space.decisions:
            if not isinstance(decision, Choice | Integer | Float):
                return f"smac has no hyper-parameter for `{decision.name}`, a {type(decision).__name__}"
            if unheld := _unheld(decision):
                return (
                    f"ConfigSpace, by which SMAC3 knows a space, cannot hold the range of `{decision.name}`: {unheld}"
                )
        return None

    def start(self, scenario: Scenario) -> SmacSearch:
        return SmacSearch(self, scenario)


class SmacSearch:
    """The live search. Any number of proposals may be under way."""

    def __init__(self, settings: Smac, scenario: Scenario) -> None:
        import smac

        self._space = scenario.space
        self._asked: UnderWay[Any] = UnderWay()
        self._worst = -math.inf
        folder = tempfile.mkdtemp(prefix="smac-")  # it keeps a history on disk, which nobody reads
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        designs = scenario.seeds.rng("init")
        with quiet():
            seed = scenario.seeds.python_seed("search") % 2**31
            known = _configuration_space(scenario.space, seed)
            declared = smac.Scenario(
                known,
                deterministic=True,
                n_trials=TRIALS,
                seed=seed,
                output_directory=Path(folder),
            )
            facade = getattr(smac, FACADES[settings.facade])
            drawn = [scenario.space.sample(designs) for _ in range(settings.startup)]
            self._designs = {_configuration(known, design): design for design in drawn}
            initial = facade.get_initial_design(declared, n_configs=0, additional_configs=list(self._designs))
            self._optimizer = facade(
                declared,
                _unused,
                initial_design=initial,
                acquisition_maximizer=_in_order(facade.get_acquisition_maximizer(declared)),
                logging_level=False,
                overwrite=True,
            )

    def ask(self) -> Proposal | None:
        from smac.main.exceptions import ConfigurationSpaceExhaustedException

        with quiet():
            try:
                info = self._optimizer.ask()
            except (StopIteration, ConfigurationSpaceExhaustedException):  # all of a small space has been tried
                return None
        design = self._designs.get(info.config)  # its numbers are rounded to 13 digits
        return self._asked.add(Proposal(design or _architecture(self._space, info.config)), info)

    def tell(self, trial: Trial) -> None:
        from smac.runhistory.dataclasses import TrialValue
        from smac.runhistory.enumerations import StatusType

        info = self._asked.take(trial)
        assert info is not None, "it hears of what it asked for"
        if not trial.failed:
            self._worst = max(self._worst, told(trial.value))
        cost = self._worst if trial.failed else told(trial.value)
        status = StatusType.CRASHED if trial.failed else StatusType.SUCCESS
        with quiet():
            value = TrialValue(cost=cost if math.isfinite(cost) else 0.0, status=status)
            self._optimizer.tell(info, value, save=False)


def _in_order(maximizer: Any) -> Any:
    """The maximizer, whose local search begins at its points in an order that does not depend on the hash seed of the
    process: SMAC3 2.4 takes them out of a set."""
    search = maximizer._local_search
    points = search._get_initial_points

    def sorted_points(*args: Any, **kwargs: Any) -> list[Any]:
        return sorted(points(*args, **kwargs), key=repr)

    search._get_initial_points = sorted_points
    return maximizer


def _unused(config: Any, seed: int = 0) -> float:
    """The target function, which is never called: the harness evaluates."""
    raise AssertionError("SMAC was to be asked and told")


def _hyperparameter(decision: Decision) -> Any:
    """A decision as ConfigSpace has it; of one value, a constant."""
    from ConfigSpace import CategoricalHyperparameter, Constant
    from ConfigSpace import UniformFloatHyperparameter as Real
    from ConfigSpace import UniformIntegerHyperparameter as Whole

    if isinstance(decision, Choice):
        options = list(range(len(decision.options)))
        return CategoricalHyperparameter(decision.name, options) if len(options) > 1 else Constant(decision.name, 0)
    low, high, log = decision.low, decision.high, decision.log  # type: ignore[attr-defined]
    if low == high:
        return Constant(decision.name, 0)
    return (Whole if isinstance(decision, Integer) else Real)(decision.name, low, high, log=log)


def _unheld(decision: Decision) -> str | None:
    """What ConfigSpace says against a range, or None."""
    from ConfigSpace import ConfigurationSpace

    with quiet():
        try:
            alone = ConfigurationSpace(seed=0)
            alone.add(_hyperparameter(decision))
            alone.sample_configuration()
        except (ValueError, OverflowError) as error:
            return str(error)
    return None


def _configuration_space(space: Space, seed: int) -> Any:
    from ConfigSpace import ConfigurationSpace, InCondition

    known = ConfigurationSpace(seed=seed)
    made: dict[str, Any] = {}
    for d in space.decisions:
        made[d.name] = _hyperparameter(d)
        known.add(made[d.name])
        if d.when is not None:
            parent = space.decisions[space.position[d.when.name]]
            values = [parent.options.index(v) if isinstance(parent, Choice) else v for v in d.when.values]
            known.add(InCondition(made[d.name], made[d.when.name], values))
    return known


def _configuration(known: Any, architecture: Architecture) -> Any:
    from ConfigSpace import Configuration

    values: dict[str, Any] = {}
    for d, value in zip(architecture.space.decisions, architecture.values, strict=True):
        if value is not None:
            single = d.arity == 1 or (not isinstance(d, Choice) and d.low == d.high)  # type: ignore[attr-defined]
            values[d.name] = 0 if single else d.options.index(value) if isinstance(d, Choice) else value
    return Configuration(known, values=values)


def _architecture(space: Space, config: Any) -> Architecture:
    values: list[Value] = []
    given = dict(config)
    for d in space.decisions:
        if d.name not in given:
            values.append(None)
        elif isinstance(d, Choice):
            values.append(d.options[int(given[d.name])])
        elif d.arity == 1 or d.low == d.high:  # type: ignore[attr-defined]
            values.append(d.first)
        elif isinstance(d, Integer):
            values.append(min(max(int(given[d.name]), d.low), d.high))
        else:
            assert isinstance(d, Float)
            values.append(min(max(float(given[d.name]), d.low), d.high))
    return space.architecture(tuple(values))
