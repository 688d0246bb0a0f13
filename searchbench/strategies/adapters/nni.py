"""NNI's tuners as strategies: ``nni:tpe``, ``nni:evolution`` and so on.

NNI 3.0, its last release, is an optional extra. Its tuners are plain objects that are asked for parameters and told
results; its experiments, which enforce no budget, are not used.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.choices import Choice, Decision, Integer
from searchbench.spaces.space import Space
from searchbench.strategies.adapters.flat import GlobalNumbers, dimensions, names, not_flat, unflatten
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial


@dataclass(frozen=True, slots=True)
class Tuner:
    """What there is to know about one of NNI's tuners."""

    path: str
    """ "module:class" below `nni.algorithms.hpo`."""
    seed: Callable[[Any, int], None] = lambda tuner, seed: None
    """Gives a tuner that has its search space, and drew its own seed, ours."""
    arguments: tuple[tuple[str, Any], ...] = ()
    seeded: bool = False
    """Whether its constructor takes `seed`."""
    minimises: bool = True
    """Whether its constructor takes `optimize_mode`."""
    needs: str | None = None
    """A package NNI does not install."""
    layers: bool = False
    """Whether it searches NNI's layer choices and nothing else."""
    waits: Callable[[Any], bool] = lambda tuner: False
    """Whether it has nothing to propose until a result arrives; where it raises `NoMoreTrialError` this need not."""
    rounds_logs: bool = True
    """Whether it knows integers on a log scale."""


def _seed_evolution(tuner: Any, seed: int) -> None:
    import numpy as np

    tuner.random_state = np.random.RandomState(seed)
    tuner.population = []
    for _ in range(tuner.population_size):
        tuner._random_generate_individual()


def _seed_hyperopt(tuner: Any, seed: int) -> None:
    import numpy as np

    tuner.rval.rstate = np.random.RandomState(seed)


TUNERS = {
    "random": Tuner("random_tuner:RandomTuner", seeded=True, minimises=False),
    "tpe": Tuner("tpe_tuner:TpeTuner", seeded=True),
    "evolution": Tuner("evolution_tuner:EvolutionTuner", _seed_evolution, waits=lambda tuner: not tuner.population),
    "anneal": Tuner(
        "hyperopt_tuner:HyperoptTuner",
        _seed_hyperopt,
        arguments=(("algorithm_name", "anneal"),),
        needs="hyperopt",
        rounds_logs=False,
    ),
    "regularized-evolution": Tuner("regularized_evolution_tuner:RegularizedEvolutionTuner", layers=True),
}
BROKEN = {
    "gp": "NNI 3.0's GP tuner hands SciPy a start of two dimensions, which SciPy has refused since 1.11; "
    "searchbench's own `gp`, `optuna:gp` and `skopt:gp` run"
}
"""Tuners that do not run on this stack, and where they fail."""


def adapt(name: str, **parameters: Any) -> Nni:
    """The strategy ``nni:<name>``.

    Args:
        name: one of `TUNERS`.
        parameters: passed to NNI's tuner.

    Raises:
        StudyError: there is no such tuner.
    """
    return Nni(name, tuple(sorted(parameters.items())))


@dataclass(frozen=True, slots=True)
class Nni:
    """One of NNI's tuners behind its own `generate_parameters` and `receive_trial_result`.

    Args:
        tuner: its short name.
        parameters: of NNI's tuner, as pairs.

    Raises:
        StudyError: there is no such tuner.

    Source: Microsoft, Neural Network Intelligence 3.0; Bergstra et al. 2011 (TPE); Real et al. 2017, 2019.
    Differs: the tuners draw their first designs themselves, not from the common stream. Those that cannot be given a
        seed get one all the same: their own generator is replaced, and what they draw from the global generators of
        `random` and NumPy comes from a state of theirs that is put in place while they are called and taken out after.
    """

    tuner: str = "tpe"
    parameters: tuple[tuple[str, Any], ...] = field(default=())

    def __post_init__(self) -> None:
        if self.tuner not in TUNERS and self.tuner not in BROKEN:
            raise StudyError(f"nni has no tuner `{self.tuner}`; {did_you_mean(self.tuner, [*TUNERS, *BROKEN])}")

    def unsupported(self, scenario: Scenario) -> str | None:
        if self.tuner in BROKEN:
            return BROKEN[self.tuner]
        kind = TUNERS[self.tuner]
        if importlib.util.find_spec("nni") is None:
            return 'nni: needs NNI 3.0, which is not installed; pip install "searchbench[nni]"'
        if kind.needs and importlib.util.find_spec(kind.needs) is None:
            return f"nni:{self.tuner} needs the package `{kind.needs}`, which is not installed"
        if kind.layers and not all(isinstance(d, Choice) for d in scenario.space.decisions):
            return f"nni:{self.tuner} searches categorical decisions only, and `{scenario.space.name}` has others"
        return not_flat(scenario.space, "NNI")

    def start(self, scenario: Scenario) -> NniSearch:
        return NniSearch(self, scenario)


class NniSearch:
    """The live search."""

    def __init__(self, settings: Nni, scenario: Scenario) -> None:
        self._space, self._kind = scenario.space, TUNERS[settings.tuner]
        self._asked: UnderWay[tuple[int, dict[str, Any]]] = UnderWay()
        self._number = 0
        seed = scenario.seeds.python_seed("search") % 2**32
        self._numbers = GlobalNumbers(seed)
        with self._numbers.use():
            self._tuner = _make(self._kind, dict(settings.parameters), scenario.space, seed)

    def ask(self) -> Proposal | None:
        import nni

        if self._kind.waits(self._tuner):
            return None
        with self._numbers.use():
            try:
                parameters = self._tuner.generate_parameters(self._number)
            except nni.NoMoreTrialError:  # nothing until a result arrives
                return None
        given = [parameters[name] for name in names(self._space)]
        point = [one["_idx"] for one in given] if self._kind.layers else given
        architecture = unflatten(self._space, point)
        proposal = self._asked.add(Proposal(architecture), (self._number, parameters))
        self._number += 1
        return proposal

    def tell(self, trial: Trial) -> None:
        note = self._asked.take(trial)
        assert note is not None, "a tuner hears of what it generated"
        number, parameters = note
        with self._numbers.use():
            if not trial.failed:
                # every tuner but `random` minimises what it is told
                self._tuner.receive_trial_result(number, parameters, {"default": trial.value})
            self._tuner.trial_end(number, not trial.failed)


def _make(kind: Tuner, given: dict[str, Any], space: Space, seed: int) -> Any:
    module, _, name = kind.path.partition(":")
    arguments = dict(kind.arguments) | ({"optimize_mode": "minimize"} if kind.minimises else {}) | given
    if kind.seeded:
        arguments["seed"] = seed
    tuner = getattr(importlib.import_module(f"nni.algorithms.hpo.{module}"), name)(**arguments)
    described = [
        {"_type": "layer_choice", "_value": d.options} if kind.layers else _described(d, kind.rounds_logs)  # type: ignore[attr-defined]
        for d in dimensions(space)
    ]
    tuner.update_search_space(dict(zip(names(space), described, strict=True)))
    kind.seed(tuner, seed)
    return tuner


LISTED = 10_000
"""Widest range of integers that NNI is given as such: its TPE keeps a weight for each of them."""


def _described(decision: Decision, rounds_logs: bool = True) -> dict[str, Any]:
    """A decision in NNI's words; integers that a tuner does not know, or would list, are numbers that are rounded when
    they come back."""
    if isinstance(decision, Choice):
        return {"_type": "choice", "_value": list(range(len(decision.options)))}
    low, high, log = decision.low, decision.high, decision.log  # type: ignore[attr-defined]
    if isinstance(decision, Integer):
        if log and not rounds_logs:
            return {"_type": "loguniform", "_value": [low - 0.5, high + 0.5]}
        if log:
            return {"_type": "qloguniform", "_value": [low, high, 1]}
        if high - low > LISTED:
            return {"_type": "uniform", "_value": [low - 0.5, high + 0.5]}
        return {"_type": "randint", "_value": [low, high + 1]}
    return {"_type": "loguniform" if log else "uniform", "_value": [low, high]}
