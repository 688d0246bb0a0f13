"""Ray Tune: a problem as a trainable, its search spaces as ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from searchbench.errors import StudyError
from searchbench.harness.declared.problem import Posed
from searchbench.integrations.asked import as_function, check_known, plain
from searchbench.spaces.choices import Choice, Decision, Float, Integer

VALUE = "value"
"""What trainables report: the validation value, in the metric's own sense."""


def tune_trainable(problem: Posed, seed: int = 0, *, every_amount: bool = False) -> Callable[[dict[str, Any]], None]:
    """A problem as ``tune.Tuner`` takes it.

    ::

        tuner = tune.Tuner(tune_trainable(problem), param_space=param_space(problem),
                           tune_config=tune.TuneConfig(metric="value", mode="min", num_samples=50))

    It reports `value`, in the metric's own sense: `mode` is "max" where more is better.

    Args:
        problem: a `Problem` or an `Objective`.
        seed: of everything that the problem draws.
        every_amount: report at every amount of the fidelity, as `amount`, so that a scheduler can end trials.

    Raises:
        StudyError: a report is wanted at every amount of a problem without a fidelity.
        InputError: the problem has an unknown or impossible part.
    """
    asked = as_function(problem, seed)
    if every_amount and not asked.stops:
        raise StudyError(f"`{problem.name}` has no fidelity; leave `every_amount` out.")

    def trainable(config: dict[str, Any]) -> None:
        from ray import tune

        architecture = asked.architecture(config)
        if not every_amount:
            tune.report({VALUE: asked.measured(architecture)})
            return
        reached = None
        for stop in asked.stops:
            value = asked.measured(architecture, stop, reached)
            reached = stop
            tune.report({VALUE: value, "amount": stop})

    return trainable


def param_space(problem: Posed) -> dict[str, Any]:
    """The space of a problem in Ray Tune's words.

    Tune has no conditions: every decision is drawn, and the trainable ignores those that are inactive.

    Raises:
        StudyError: a decision has no counterpart.
        InputError: the problem has an unknown or impossible part.
    """
    space = problem.resolve().searched
    check_known(space, "Ray Tune")
    return {decision.name: _domain(decision) for decision in space.decisions}


def _domain(decision: Decision) -> Any:
    from ray import tune

    if isinstance(decision, Choice):
        return tune.choice(plain(decision))
    if isinstance(decision, Integer):
        return (tune.lograndint if decision.log else tune.randint)(decision.low, decision.high + 1)
    assert isinstance(decision, Float)
    return (tune.loguniform if decision.log else tune.uniform)(decision.low, decision.high)


def from_param_space(given: Mapping[str, Any]) -> dict[str, Choice | Integer | Float]:
    """The space of Ray Tune's domains, for an `Objective`; a constant is a choice of one.

    Raises:
        StudyError: a domain is quantised, normal, a function, or has no ends.
    """
    return {name: _decision(name, domain) for name, domain in given.items()}


def _decision(name: str, domain: Any) -> Choice | Integer | Float:
    from ray.tune.search import sample

    if isinstance(domain, Mapping) and set(domain) == {"grid_search"}:
        return Choice(name, domain["grid_search"])
    if not isinstance(domain, sample.Domain | Mapping):
        return Choice(name, [domain])
    if isinstance(domain, sample.Categorical):
        return Choice(name, domain.categories)
    if isinstance(domain, sample.Integer | sample.Float):
        drawn = domain.get_sampler()
        log = isinstance(drawn, sample.LogUniform)
        if (log or isinstance(drawn, sample.Uniform)) and domain.lower is not None and domain.upper is not None:
            if isinstance(domain, sample.Integer):
                return Integer(name, domain.lower, domain.upper - 1, log)
            return Float(name, domain.lower, domain.upper, log)
    raise StudyError(f"`{name}`: a space has no counterpart of {domain!r}; list its values in a `Choice`.")
