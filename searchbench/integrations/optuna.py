"""Optuna: a problem as an objective, its distributions as a space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from searchbench.errors import StudyError
from searchbench.harness.declared.problem import Posed
from searchbench.integrations.asked import Asked, active, as_function, check_known, foreign, native, plain
from searchbench.spaces.choices import Choice, Decision, Float, Integer, Value
from searchbench.spaces.space import Architecture


def optuna_objective(problem: Posed, seed: int = 0, *, pruning: bool = False) -> OptunaObjective:
    """A problem as ``study.optimize`` takes it.

    ::

        objective = optuna_objective(problem)
        study = optuna.create_study(direction=objective.direction)
        study.optimize(objective, n_trials=50, catch=sb.EvaluationFailed)

    Args:
        problem: a `Problem` or an `Objective`.
        seed: of everything that the problem draws.
        pruning: report a value at every amount of the fidelity, and end trials that the study's pruner gives up.

    Raises:
        StudyError: a decision has no distribution, or trials are to be pruned whose length cannot be chosen.
        InputError: the problem has an unknown or impossible part.
    """
    asked = as_function(problem, seed)
    check_known(asked.space, "optuna")
    if pruning and not asked.stops:
        raise StudyError(f"`{problem.name}` has no fidelity, so there is nothing to prune; leave `pruning` out.")
    return OptunaObjective(asked, pruning)


class OptunaObjective:
    """A problem that Optuna asks. Conditional decisions are suggested only while they are active."""

    def __init__(self, asked: Asked, pruning: bool) -> None:
        self.asked, self._pruning = asked, pruning
        self.direction = asked.direction
        """Of the study: "minimize" or "maximize"."""

    def __call__(self, trial: Any) -> float:
        """Measure what a trial suggests. Raises EvaluationFailed, SpaceError, and TrialPruned where it prunes."""
        space, values = self.asked.space, list[Value]()
        for decision in space.decisions:
            values.append(suggested(trial, decision) if active(space, decision, values) else None)
        architecture = space.architecture(tuple(values))
        return self._pruned(trial, architecture) if self._pruning else self.asked.measured(architecture)

    def params(self, architecture: Architecture) -> dict[str, Any]:
        """What ``study.enqueue_trial`` takes for an architecture."""
        return foreign(architecture)

    def config(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """The configuration that ``trial.params`` stand for. Raises SpaceError."""
        return self.asked.architecture(params).as_dict()

    def _pruned(self, trial: Any, architecture: Architecture) -> float:
        from optuna import TrialPruned

        value, reached, stops = 0.0, None, self.asked.stops
        counted = all(stop == int(stop) for stop in stops)  # Optuna's steps are integers
        for at, stop in enumerate(stops, 1):
            value = self.asked.measured(architecture, stop, reached)
            reached = stop
            trial.report(value, int(stop) if counted else at)
            if at < len(stops) and trial.should_prune():
                raise TrialPruned
        return value


def distribution(decision: Decision) -> Any:
    """The distribution that a decision is drawn from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(decision, Choice):
        return CategoricalDistribution(plain(decision))
    assert isinstance(decision, Integer | Float)
    kind = IntDistribution if isinstance(decision, Integer) else FloatDistribution
    return kind(decision.low, decision.high, log=decision.log)


def suggested(trial: Any, decision: Decision) -> Value:
    """What a trial suggests for a decision."""
    if isinstance(decision, Choice):
        return native(decision, trial.suggest_categorical(decision.name, plain(decision)))
    assert isinstance(decision, Integer | Float)
    suggest = trial.suggest_int if isinstance(decision, Integer) else trial.suggest_float
    value: Value = suggest(decision.name, decision.low, decision.high, log=decision.log)
    return value


def from_distributions(distributions: Mapping[str, Any]) -> dict[str, Choice | Integer | Float]:
    """The space of Optuna's distributions, for an `Objective`.

    Raises:
        StudyError: a distribution has steps, or is of another kind.
    """
    return {name: _decision(name, given) for name, given in distributions.items()}


def _decision(name: str, given: Any) -> Choice | Integer | Float:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(given, CategoricalDistribution):
        return Choice(name, given.choices)
    if isinstance(given, IntDistribution) and given.step == 1:
        return Integer(name, given.low, given.high, given.log)
    if isinstance(given, FloatDistribution) and given.step is None:
        return Float(name, given.low, given.high, given.log)
    raise StudyError(f"`{name}`: a space has no counterpart of {given!r}; list its values in a `Choice`.")
