"""CMA-ES for spaces of numbers and categories, by the package cmaes: ``cmaes:catcma``."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.choices import Choice, Decision, Integer, Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.adapters.flat import not_flat, quiet
from searchbench.strategies.densities import from_unit, to_unit
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial

OPTIMIZERS = ("catcma",)
LISTED = 1000
"""Integers of up to as many values are discrete to it; more are numbers that are rounded."""


def adapt(name: str, population: int | None = None, **parameters: Any) -> Cmaes:
    """The strategy ``cmaes:<name>``.

    Args:
        name: "catcma".
        population: see `Cmaes`.
        parameters: passed to `cmaes.CatCMAwM` (`sigma`, …).

    Raises:
        StudyError: there is no such optimizer, or a value is out of range.
    """
    return Cmaes(name, population, tuple(sorted(parameters.items())))


@dataclass(frozen=True, slots=True)
class Cmaes:
    """CatCMA with margin: one distribution over numbers (normal), integers (normal, with a margin that keeps each
    value possible) and categories (a probability each), whose parameters follow the natural gradient.

    Args:
        optimizer: its short name.
        population: solutions of a generation; None: the library's own number for the dimensions.
        parameters: of the library's class, as pairs.

    Raises:
        StudyError: there is no such optimizer, or `population` is too small.

    Source: Hamano et al. 2024, "CatCMA: stochastic optimization for mixed-category problems"; Hamano et al. 2025 (with
        margin); the package cmaes.
    Differs: nothing in the library. Numbers are given on their own scale from 0 to 1; a decision of one value is left
        out. A generation is told when `population` of its solutions have come back; those that come later than that are
        left aside, as in Optuna. A failed evaluation counts as the worst of its generation. Where the library says
        stop, it begins anew with the next seed.
    """

    optimizer: str = "catcma"
    population: int | None = None
    parameters: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise StudyError(f"cmaes has no optimizer `{self.optimizer}`; {did_you_mean(self.optimizer, OPTIMIZERS)}")
        whole = isinstance(self.population, int) and not isinstance(self.population, bool)
        if self.population is not None and not (whole and self.population >= 2):
            raise StudyError(f"`population` must be an integer of at least 2, but got {self.population!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        if importlib.util.find_spec("cmaes") is None:
            return 'cmaes: needs the package cmaes, which is not installed; pip install "searchbench[cmaes]"'
        if all(decision.arity == 1 for decision in scenario.space.decisions):
            return f"there is nothing to choose in space `{scenario.space.name}`."
        return not_flat(scenario.space, "cmaes")

    def start(self, scenario: Scenario) -> CmaesSearch:
        return CmaesSearch(self, scenario)


class Blocks:
    """A space as the library has it: numbers, integers and categories, each in a block."""

    def __init__(self, space: Space) -> None:
        self._space = space
        chosen = [(at, d) for at, d in enumerate(space.decisions) if d.arity != 1]
        self.categories = [at for at, d in chosen if isinstance(d, Choice)]
        self.integers = [at for at, d in chosen if isinstance(d, Integer) and (d.arity or LISTED + 1) <= LISTED]
        self.numbers = [at for at, _ in chosen if at not in {*self.categories, *self.integers}]

    def spaces(self) -> dict[str, Any]:
        """Arguments of the library's class."""
        decisions = self._space.decisions
        found: dict[str, Any] = {
            "x_space": [[0.0, 1.0]] * len(self.numbers),
            "z_space": [[to_unit(decisions[at], v) for v in decisions[at].values()] for at in self.integers],
            "c_space": [decisions[at].arity for at in self.categories],
        }
        return {name: block for name, block in found.items() if block}

    def architecture(self, solution: Any) -> Architecture:
        """What a solution stands for."""
        values: list[Value] = [decision.first for decision in self._space.decisions]
        for block, places in ((solution.x, self.numbers), (solution.z, self.integers)):
            for at, unit in zip(places, () if block is None else block.tolist(), strict=True):
                values[at] = from_unit(self._space.decisions[at], min(max(unit, 0.0), 1.0))
        for at, row in zip(self.categories, () if solution.c is None else solution.c, strict=True):
            values[at] = self._option(self._space.decisions[at], row)
        return self._space.architecture(tuple(values))

    def _option(self, decision: Decision, row: Any) -> Value:
        assert isinstance(decision, Choice)
        return decision.options[int(np.argmax(row[: len(decision.options)]))]


class CmaesSearch:
    """The live search. Any number of proposals may be under way."""

    def __init__(self, settings: Cmaes, scenario: Scenario) -> None:
        self._settings, self._seed = settings, scenario.seeds.python_seed("search") % 2**31
        self._blocks = Blocks(scenario.space)
        self._runs = 0
        self.generation = 0
        """Of all runs together."""
        self._optimizer = self._begin()
        self._asked: UnderWay[tuple[int, Any]] = UnderWay()
        self.came: list[tuple[Any, float]] = []
        """Solutions of the generation with their values; infinite where failed."""

    def _begin(self) -> Any:
        import cmaes

        given = dict(self._settings.parameters) | self._blocks.spaces()
        if self._settings.population is not None:
            given["population_size"] = self._settings.population
        with quiet():
            return cmaes.CatCMAwM(**given, seed=self._seed + self._runs)

    def ask(self) -> Proposal:
        with quiet():
            solution = self._optimizer.ask()
        return self._asked.add(Proposal(self._blocks.architecture(solution)), (self.generation, solution))

    def tell(self, trial: Trial) -> None:
        note = self._asked.take(trial)
        assert note is not None, "it hears of what it asked for"
        generation, solution = note
        if generation != self.generation:
            return
        self.came.append((solution, math.inf if trial.failed else trial.value))
        if len(self.came) == self._optimizer.population_size:
            self._learn()

    def _learn(self) -> None:
        finite = [value for _, value in self.came if math.isfinite(value)]
        worst = max(finite, default=0.0)
        with quiet():
            self._optimizer.tell([(s, value if math.isfinite(value) else worst) for s, value in self.came])
            stops = bool(self._blocks.numbers or self._blocks.integers) and self._optimizer.should_stop()
        self.came = []
        self.generation += 1
        if stops:
            self._runs += 1
            self._optimizer = self._begin()
