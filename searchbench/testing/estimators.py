"""What every estimator must do: charge what it says, measure the same again, fail as a value, know no test data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from searchbench.errors import EvaluationFailed, InputError
from searchbench.estimators.estimator import Estimator, EstimatorSpec, JudgeSpec, Stoppable, Trainable
from searchbench.registry import lacking
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks.task import Task
from searchbench.testing.described import DESCRIBED, drawn_globally, elsewhere, implements
from searchbench.testing.measuring import Opened, charged, within_reach, wrong_cost, wrong_metrics
from searchbench.testing.report import Behaviour, Inapplicable
from searchbench.trial import FULL, Fidelity, Measurement

SEED = 7


def _lives(opened: Opened) -> str | None:
    missing = lacking(opened.live, Estimator)
    if missing:
        return f"what `open` returns lacks {', '.join(f'`{name}`' for name in missing)}."
    if opened.spec.trains and not isinstance(opened.live, Trainable):
        return "it says that it trains, but what `open` returns lends no `bench()`."
    return None


def _checksum(opened: Opened) -> str | None:
    first, second = opened.spec.checksum(), opened.spec.checksum()
    if not isinstance(first, str) or first != second:
        return f"its checksum must be the same text every time, but is {first!r}, then {second!r}."
    return None


def _stops(opened: Opened) -> tuple[float, ...]:
    return opened.spec.stops(opened.task) if isinstance(opened.spec, Stoppable) else ()


def _fidelities(opened: Opened) -> Iterator[Fidelity]:
    """The full one, and the shortest training."""
    yield opened.live.complete(FULL)
    stops = _stops(opened)
    if len(stops) > 1:
        yield opened.live.complete(Fidelity(stops[0]))


def _completes(opened: Opened) -> str | None:
    for fidelity in (FULL, *(Fidelity(stop) for stop in _stops(opened))):
        once = opened.live.complete(fidelity)
        if not isinstance(once, Fidelity) or opened.live.complete(once) != once:
            return f"`complete` of {fidelity} is {once!r}, whose own is {opened.live.complete(once)!r}."
        given = {n: v for n in ("epochs", "subset", "width", "resolution") if (v := getattr(fidelity, n)) is not None}
        changed = [name for name, value in given.items() if getattr(once, name) != value]
        if changed:
            return f"`complete` of {fidelity} changed {', '.join(changed)}: {once}."
    return None


def _ascends(opened: Opened) -> str | None:
    stops = _stops(opened)
    if not stops:
        raise Inapplicable("it measures full trainings only")
    if list(stops) != sorted(set(stops)) or not stops[0] > 0:
        return f"its stops must be positive and ascend, but are {stops}."
    full = opened.live.complete(FULL).epochs
    return None if full == stops[-1] else f"its last stop is {stops[-1]:g}, but the full training has {full} epochs."


def _refuses(opened: Opened) -> str | None:
    try:
        opened.live.complete(Fidelity(1e12))
    except InputError:
        return None
    except Exception as error:
        return f"a training of 1e12 epochs raised {type(error).__name__} ({error}) instead of InputError."
    return "it accepts a training of 1e12 epochs."


def _measure(live: Any, one: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> tuple[Any, Any]:
    """What was measured and charged; a failed evaluation as its reason and message."""
    try:
        measured, cost = live.evaluate(one, fidelity, SEED, resume)
    except EvaluationFailed as failure:
        return (failure.reason, failure.message), None
    return measured, cost


def _measures(opened: Opened) -> str | None:
    for one in opened.some:
        measured, cost = _measure(opened.live, one, opened.live.complete(FULL))
        if cost is None:
            continue
        if not isinstance(measured, Measurement) or not isinstance(measured.value, int | float):
            return f"`evaluate` must return (Measurement, Cost), but the first is {measured!r}."
        if math.isinf(measured.value):
            return f"the value of {one} is {measured.value}."
        wrong = wrong_metrics(measured.metrics) or wrong_cost(cost)
        if wrong is not None:
            return f"{one}: {wrong}"
        if cost.evaluations != 1:
            return f"{one}: one evaluation was charged as {cost.evaluations}."
    return None


def _charges(opened: Opened) -> str | None:
    for fidelity in _fidelities(opened):
        for one in opened.some[:2]:
            price = opened.live.price(one, fidelity)
            _, cost = _measure(opened.live, one, fidelity)
            wrong = wrong_cost(price)
            if wrong is not None:
                return f"`price` of {one} at {fidelity}: {wrong}"
            if cost is not None and charged(cost) != charged(price):
                return f"{one} at {fidelity} is priced {_differing(price, cost)}."
    return None


def _differing(price: Any, cost: Any) -> str:
    before, after = charged(price), charged(cost)
    unequal = {axis: (before.get(axis, 0), after.get(axis, 0)) for axis in (before | after)}
    return ", ".join(f"{axis} {was:g} and charged {now:g}" for axis, (was, now) in unequal.items() if was != now)


def _repeats(opened: Opened) -> str | None:
    fidelity = opened.live.complete(FULL)
    first = [_measured(opened.live, one, fidelity) for one in opened.some]
    other = opened.fresh()
    again = [_measured(other, one, fidelity) for one in reversed(opened.some)][::-1]
    return _unequal(opened, first, again)


def _unequal(opened: Opened, first: list[str], again: list[str]) -> str | None:
    for one, a, b in zip(opened.some, first, again, strict=False):
        if a != b:
            return f"{one} was {a}, then {b}."
    return None


def _measured(live: Any, one: Architecture, fidelity: Fidelity) -> str:
    measured, cost = _measure(live, one, fidelity)
    if cost is None:
        return f"failed: {measured[0]}"
    metrics = {name: float(value) for name, value in sorted(measured.metrics.items())}
    return f"{float(measured.value)!r} {metrics} for {charged(cost)}"  # repr reads back to the same bits


def _same_elsewhere(opened: Opened) -> str | None:
    here = [_measured(opened.live, opened.some[0], opened.live.complete(FULL))]
    return _unequal(opened, here, elsewhere(told, opened.spec, opened.space, opened.task))


def told(spec: Any, space: Space, task: Task) -> list[str]:
    """The first measurement, to the bit."""
    opened = Opened(spec, space, task, 1)
    return [_measured(opened.live, opened.some[0], opened.live.complete(FULL))]


def _continues(opened: Opened) -> str | None:
    stops = _stops(opened)
    if len(stops) < 2:
        raise Inapplicable("it measures full trainings only")
    live, one, full = opened.fresh(), opened.some[0], opened.live.complete(FULL)
    begun = live.complete(Fidelity(stops[0]))
    _measure(live, one, begun)
    continued, cost = _measure(live, one, full, begun)
    whole, alone = _measure(opened.fresh(), one, full)
    if (cost is None) != (alone is None) or (cost is not None and continued.value != whole.value):
        return f"continued from {begun} it measures {continued}, from scratch {whole}."
    if cost is not None and charged(cost) != charged(live.price(one, full, begun)):
        return f"continued, {_differing(live.price(one, full, begun), cost)}."
    if cost is not None and cost.epochs > alone.epochs:
        return f"a continued training costs {cost.epochs:g} epochs, more than the whole ({alone.epochs:g})."
    return None


def _fails(opened: Opened) -> str | None:
    """Raised inside a network, or by a time limit; what looks values up is asked for an architecture it lacks."""
    one = opened.some[0]
    if opened.spec.trains:
        return _must_fail(opened.broken, one, "a network that raises")
    if not hasattr(opened.spec, "time_limit_s"):
        raise Inapplicable("it trains nothing that could be made to fail")
    limited = replace(opened.spec, time_limit_s=1e-9)
    return _must_fail(limited.open(opened.space, opened.task, None), one, "a time limit of a nanosecond")


def _must_fail(live: Any, one: Architecture, why: str) -> str | None:
    try:
        live.evaluate(one, live.complete(FULL), SEED)
    except EvaluationFailed as failure:
        known = ("error", "nan", "timeout", "memory")
        return None if failure.reason in known else f"it failed by {failure.reason!r}, which is none of {known}."
    except Exception as error:
        return f"{why} let {type(error).__name__} through: {error}"
    return f"{why} gave a measurement all the same."


def _leaves_global_state(opened: Opened) -> str | None:
    live, full = opened.fresh(), opened.live.complete(FULL)
    return drawn_globally(lambda: _measure(live, opened.some[0], full))


def _judge(opened: Opened) -> str | None:
    try:
        judge = opened.spec.judge()
    except InputError as reason:
        raise Inapplicable(str(reason)) from reason
    return None if isinstance(judge, JudgeSpec) else f"`judge()` must give a judge with `open`, but gives {judge!r}."


DECLARED = (implements(EstimatorSpec, "estimator"), DESCRIBED)
LIVE = (
    Behaviour(
        "opens as a live estimator",
        _lives,
        "every run would fail when it begins",
        "let `open` return an object with `complete`, `price` and `evaluate` (and `bench`, where it trains).",
    ),
    Behaviour(
        "has a checksum that stays",
        _checksum,
        "results of different data would be compared, or equal ones kept apart",
        'return SHA-256 of the file it reads, or "" where there is none.',
    ),
    Behaviour(
        "completes a fidelity once and for all",
        _completes,
        "equal evaluations would be paid twice, and draw different noise",
        "fill open fields with the full values, and leave given ones alone.",
    ),
    Behaviour(
        "lists where it can stop, the full training last",
        _ascends,
        "halving and Hyperband would plan rungs that do not exist",
        "list epochs in ascending order, up to those of `complete(FULL)`.",
    ),
    Behaviour(
        "refuses a fidelity it does not know",
        _refuses,
        "a strategy could ask for a training that nobody can pay",
        "raise InputError from `complete`.",
    ),
    Behaviour(
        "measures a number, with finite metrics and a finite cost",
        _measures,
        "a trial could not be recorded or charged",
        "return (Measurement(value, metrics), Cost(evaluations=1, …)), and raise EvaluationFailed for the rest.",
    ),
    Behaviour(
        "charges what it says it will",
        _charges,
        "a run could overspend, or be refused what it could pay",
        "let `evaluate` return the cost that `price` returns, plus seconds and memory.",
    ),
    Behaviour(
        "measures the same again, in any order",
        _repeats,
        "no run could be repeated, and pairs by seed would not be pairs",
        "let everything random come from `seed`; keep nothing from one evaluation to the next.",
    ),
    Behaviour(
        "measures the same in another process",
        _same_elsewhere,
        "workers would disagree",
        "let nothing depend on `hash`, on a set's order or on the process.",
    ),
    Behaviour(
        "continues a training to what it is from scratch",
        _continues,
        "strategies that stop early would be measured by another ruler",
        "keep the state of the training, or repeat it unseen; `price` with `resume` is the increment.",
    ),
    Behaviour(
        "fails as a value",
        _fails,
        "one broken architecture would end the run",
        'raise EvaluationFailed("error" | "nan" | "timeout" | "memory", message) from `evaluate`.',
    ),
    Behaviour(
        "holds no test data and no way to it",
        within_reach,
        "a search could be rewarded for the test set",
        "keep `task.search_data(seeds)` only, not the task itself.",
    ),
    Behaviour(
        "leaves every global generator alone",
        _leaves_global_state,
        "what one evaluation draws would change what the next draws",
        "make generators from `seed`: np.random.default_rng(seed), torch.Generator().manual_seed(seed).",
    ),
    Behaviour(
        "names a judge that fits it",
        _judge,
        "a study would have to declare one",
        "return a description of a judge, or raise StudyError where there is none.",
    ),
)
