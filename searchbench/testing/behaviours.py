"""What every strategy must do: a function each, which says in a sentence what is wrong, or returns None."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from searchbench.strategies.search_kind import search_kind
from searchbench.strategies.strategy import AskTellSearch, Strategy
from searchbench.testing.described import drawn_globally, implements
from searchbench.testing.in_flight import fly
from searchbench.testing.rehearsal import Stage, Weather, evaluate, in_another_process, rehearse, scenario
from searchbench.testing.report import Behaviour


@functools.lru_cache(maxsize=1)
def _remembered(strategy: Any, stage: Stage) -> list[str]:
    return rehearse(strategy, stage)


def _reference(strategy: Any, stage: Stage) -> list[str]:
    """The rehearsal the others are compared with: run once per strategy and stage."""
    return _remembered(strategy, stage)


def _starts(strategy: Strategy, stage: Stage) -> str | None:
    search_kind(strategy.start(scenario(stage, strategy)))  # raises, and says what is lacking
    return None


def _proposes(strategy: Strategy, stage: Stage) -> str | None:
    return None if _reference(strategy, stage) else "it proposed nothing at all."


def _stays_itself(strategy: Strategy, stage: Stage) -> str | None:
    before = repr(strategy)
    rehearse(strategy, stage)
    return None if repr(strategy) == before else f"a run changed the description from {before} to {strategy!r}."


def _repeats(strategy: Strategy, stage: Stage) -> str | None:
    return _difference(_reference(strategy, stage), rehearse(strategy, stage))


def _repeats_elsewhere(strategy: Strategy, stage: Stage) -> str | None:
    return _difference(_reference(strategy, stage), in_another_process(strategy, stage))


def _difference(first: list[str], second: list[str]) -> str | None:
    if first == second:
        return None
    for number, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return f"proposal {number} was {a}, then {b}."
    return f"it made {len(first)} proposals, then {len(second)}."


def _other_seeds(strategy: Strategy, stage: Stage) -> str | None:
    if _reference(strategy, stage) != rehearse(strategy, stage, replicate=1):
        return None
    return "two seeds gave the same proposals."


def _weathers(weather: Weather) -> Callable[[Strategy, Stage], str | None]:
    def survives(strategy: Strategy, stage: Stage) -> str | None:
        rehearse(strategy, stage, weather=weather)
        return None

    return survives


def _abreast(strategy: Strategy, stage: Stage) -> str | None:
    for under_way in (4, 32):
        fly(strategy, stage, under_way)
    return None


def _leaves_global_state(strategy: Strategy, stage: Stage) -> str | None:
    return drawn_globally(lambda: rehearse(strategy, stage))


def _ends_for_good(strategy: Strategy, stage: Stage) -> str | None:
    search = strategy.start(scenario(stage, strategy))
    if not isinstance(search, AskTellSearch):
        return None
    ended = False
    for number in range(stage.trials):
        proposal = search.ask()
        if proposal is None:
            ended = True
        elif ended:
            return f"it proposed {proposal.architecture} after it had returned None."
        else:
            search.tell(evaluate(proposal, number, "fair"))
    return None


def quickness(strategy: Strategy, stage: Stage, slowest_s: float) -> tuple[float, Behaviour]:
    """The strategy's own CPU seconds per line of a rehearsal, and the behaviour of needing no more than it may."""
    started = time.process_time()
    try:
        lines = rehearse(strategy, stage)
    except Exception as error:
        per_trial_s, wrong = 0.0, f"{type(error).__name__}: {error}"
    else:
        per_trial_s = (time.process_time() - started) / max(len(lines), 1)
        wrong = f"it needs {per_trial_s:.3g} s of its own per trial, more than {slowest_s:g} s."
        wrong = "" if per_trial_s <= slowest_s else wrong
    return per_trial_s, Behaviour(
        "is quick",
        lambda: wrong or None,
        "a study would wait for it instead of measuring",
        "do less per proposal, or allow more with `slowest_s`.",
    )


DECLARED = (implements(Strategy, "strategy"),)
OTHER_SEEDS = "other seeds lead elsewhere"

_COMMON = (
    Behaviour(
        "starts a search",
        _starts,
        "every run would fail when it begins",
        "let `start` return a search with `ask` and `tell`, or with all four members of `TrainingSearch`.",
    ),
    Behaviour(
        "is not changed by a run",
        _stays_itself,
        "the second run would be of another strategy than the first",
        "keep the state of a run in the search that `start` returns.",
    ),
    Behaviour(
        "repeats itself with the same seeds",
        _repeats,
        "no run could be repeated or verified",
        "draw only from `scenario.seeds`, never from the clock or an object's identity.",
    ),
    Behaviour(
        "repeats itself in another process",
        _repeats_elsewhere,
        "the same study would give other results on other workers",
        "sort sets before their order counts; never use `hash`.",
    ),
    Behaviour(
        OTHER_SEEDS,
        _other_seeds,
        "the spread over seeds would be none, and every test would be wrong",
        "draw from `scenario.seeds`, or say random=False if it is deterministic.",
    ),
    Behaviour(
        "leaves every global generator alone",
        _leaves_global_state,
        "what one run draws would change what the next draws",
        'draw from `scenario.seeds.rng("search")`.',
    ),
)
ASK_TELL = (
    *_COMMON,
    Behaviour(
        "proposes architectures of the space",
        _proposes,
        "a run would end without a result",
        "return Proposal(architecture of `scenario.space`) from `ask`.",
    ),
    Behaviour(
        "survives failed evaluations",
        _weathers("failures"),
        "one failed training would end the run",
        "failed trials arrive with value NaN: look at `trial.failed` before the value is used.",
    ),
    Behaviour(
        "survives nothing but failures",
        _weathers("only failures"),
        "a study of a broken estimator would lose its runs without a record",
        "go on proposing; there may be no best trial yet.",
    ),
    Behaviour(
        "survives equal values",
        _weathers("all equal"),
        "ties would end the run",
        "expect that no value is better than another.",
    ),
    Behaviour(
        "survives 4 and 32 proposals under way, answered out of order",
        _abreast,
        "it could not run in parallel",
        "expect `ask` before earlier proposals are told, and results in another order.",
    ),
    Behaviour(
        "proposes nothing more after it has ended",
        _ends_for_good,
        "when a run ends would depend on who asks",
        "return None for good once nothing is left.",
    ),
)
TRAINING = (
    *_COMMON,
    Behaviour(
        "hands over an architecture within its budget",
        _proposes,
        "a run would end without a result",
        "call `lab.recommend` in every slice, and go through `lab` for everything expensive.",
    ),
)
