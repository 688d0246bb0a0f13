"""What every judge must do: one verdict per architecture, the same in any order and process, failures as values."""

from __future__ import annotations

import math
from typing import Any, get_args

from searchbench.errors import InputError
from searchbench.estimators.estimator import Judge, JudgeSpec
from searchbench.registry import lacking
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks.task import Task
from searchbench.testing.described import DESCRIBED, drawn_globally, elsewhere, implements
from searchbench.testing.measuring import Opened, charged, wrong_cost, wrong_metrics
from searchbench.testing.report import Behaviour
from searchbench.trial import Outcome, Status


def _lives(opened: Opened) -> str | None:
    missing = lacking(opened.live, Judge)
    return f"what `open` returns lacks {', '.join(f'`{name}`' for name in missing)}." if missing else None


def _judges(opened: Opened) -> str | None:
    for one in opened.some:
        outcome = opened.live.verdict(one)
        wrong = wrong_outcome(outcome)
        if wrong is not None:
            return f"{one}: {wrong}"
    return None


def wrong_outcome(outcome: object) -> str | None:
    """The sentence about a verdict that is none, or contradicts itself."""
    if not isinstance(outcome, Outcome):
        return f"a verdict must be an Outcome, but is {outcome!r}."
    if outcome.status not in get_args(Status):
        return f"its status must be one of {', '.join(get_args(Status))}, but is {outcome.status!r}."
    if not isinstance(outcome.test_error, int | float) or isinstance(outcome.test_error, bool):
        return f"its test error must be a number, but is {outcome.test_error!r}."
    if outcome.status == "ok" and not math.isfinite(outcome.test_error):
        return f"it is ok, but its test error is {outcome.test_error}."
    if outcome.status != "ok" and not (math.isnan(outcome.test_error) and outcome.error):
        return f"it failed ({outcome.status}), so that its error must be told and its test error NaN: {outcome!r}."
    return wrong_metrics(outcome.metrics) or wrong_cost(outcome.cost)


def _repeats(opened: Opened) -> str | None:
    first = [_told(opened.live.verdict(one)) for one in opened.some]
    other = opened.fresh()
    again = [_told(other.verdict(one)) for one in reversed(opened.some)][::-1]
    twice = [_told(other.verdict(one)) for one in opened.some[:1]]
    for one, a, b in zip((*opened.some, opened.some[0]), (*first, first[0]), (*again, *twice), strict=True):
        if a != b:
            return f"the verdict on {one} was {a}, then {b}."
    return None


def _told(outcome: Outcome) -> str:
    metrics = {name: float(value) for name, value in sorted(outcome.metrics.items())}
    return f"{outcome.status} {float(outcome.test_error)!r} {metrics} for {charged(outcome.cost)}"


def _same_elsewhere(opened: Opened) -> str | None:
    here, there = _told(opened.live.verdict(opened.some[0])), elsewhere(told, opened.spec, opened.space, opened.task)
    return None if here == there else f"the verdict on {opened.some[0]} was {here}, in another process {there}."


def told(spec: Any, space: Space, task: Task) -> str:
    """The first verdict, to the bit."""
    opened = Opened(spec, space, task, 1)
    return _told(opened.live.verdict(opened.some[0]))


def _fails(opened: Opened) -> str | None:
    """Networks that raise, where it trains; an architecture that it cannot know, where it looks values up."""
    foreign = Architecture(Space("foreign", (Choice("left", ("a", "b")),)), ("a",))
    tried = [(foreign, opened.live, "an architecture of another space")]
    if opened.space.networks is not None:
        tried.append((opened.some[0], opened.broken, "a network that raises"))
    for one, live, why in tried:
        try:
            outcome = live.verdict(one)
        except InputError:
            continue
        except Exception as error:
            return f"{why} let {type(error).__name__} through: {error}"
        if one is foreign and outcome.status == "ok":
            return f"{why} was judged all the same: {outcome.test_error}."
        wrong = wrong_outcome(outcome)
        if wrong is not None:
            return f"{why}: {wrong}"
    return None


def _leaves_global_state(opened: Opened) -> str | None:
    live = opened.fresh()
    return drawn_globally(lambda: live.verdict(opened.some[0]))


DECLARED = (implements(JudgeSpec, "judge"), DESCRIBED)
LIVE = (
    Behaviour(
        "opens as a live judge",
        _lives,
        "every run would end without a verdict",
        "let `open` return an object with `verdict(architecture)`.",
    ),
    Behaviour(
        "gives an outcome with its status, error, metrics and cost",
        _judges,
        "the verdict could not be recorded",
        'return Outcome("ok", test_error, metrics, cost), or a failed one with NaN and the reason.',
    ),
    Behaviour(
        "judges the same architecture alike, in any order",
        _repeats,
        "two strategies that find the same would not be judged the same",
        'draw from `seeds.seed("retrain", architecture.key)`, and keep nothing from one verdict to the next.',
    ),
    Behaviour(
        "judges alike in another process",
        _same_elsewhere,
        "workers would disagree",
        "let nothing depend on `hash`, on a set's order or on the process.",
    ),
    Behaviour(
        "fails as an outcome",
        _fails,
        "one broken architecture would lose the run's verdict without a reason",
        'return Outcome("error", nan, error=reason) where training or looking up fails.',
    ),
    Behaviour(
        "leaves every global generator alone",
        _leaves_global_state,
        "what one verdict draws would change what the next draws",
        "make generators from seeds: torch.Generator().manual_seed(seed).",
    ),
)
