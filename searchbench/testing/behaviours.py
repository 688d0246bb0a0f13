"""What every strategy must do: a function each, which says in a sentence what is wrong, or returns None."""

from __future__ import annotations

import functools
import hashlib
import pickle
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from searchbench.strategies.strategy import AskTellSearch, Strategy, TrainingSearch
from searchbench.testing.in_flight import fly
from searchbench.testing.rehearsal import Stage, Weather, evaluate, in_another_process, rehearse, scenario

Behaviour = Callable[[Strategy, Stage], str | None]


@functools.lru_cache(maxsize=1)
def _remembered(strategy: Any, stage: Stage) -> list[str]:
    return rehearse(strategy, stage)


def _reference(strategy: Any, stage: Stage) -> list[str]:
    """The rehearsal the others are compared with: run once per strategy and stage."""
    return _remembered(strategy, stage)


def description(strategy: Strategy) -> str | None:
    """A strategy is frozen and hashable, prints what it is, and pickles to its equal."""
    try:
        hash(strategy)
    except TypeError as error:
        return f"it must be hashable, but: {error}; make it a frozen dataclass of plain values."
    if " object at 0x" in repr(strategy):
        return f"its repr must say what it is, but is {strategy!r}; make it a frozen dataclass."
    try:
        copy = pickle.loads(pickle.dumps(strategy))
    except Exception as error:
        return f"it must pickle, but: {error}; define it at the top of an importable module."
    if copy != strategy or repr(copy) != repr(strategy):
        return f"its pickled copy must equal it, but {copy!r} differs from {strategy!r}."
    return _mutability(strategy)


def _mutability(strategy: Strategy) -> str | None:
    names = list(getattr(strategy, "__dataclass_fields__", ()))
    for name in names or ["anything"]:
        try:
            object.__getattribute__(strategy, "__class__").__setattr__(strategy, name, getattr(strategy, name, None))
        except (AttributeError, TypeError):
            continue
        return f"it must be frozen, but `{name}` can be set; say @dataclass(frozen=True)."
    return None


def _starts(strategy: Strategy, stage: Stage) -> str | None:
    search = strategy.start(scenario(stage, strategy))
    if isinstance(search, AskTellSearch) == isinstance(search, TrainingSearch):
        return (
            f"`start` must return a search with `ask` and `tell`, or with `advance`; it gave a {type(search).__name__}."
        )
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
    there = in_another_process(strategy, stage)
    return there if isinstance(there, str) else _difference(_reference(strategy, stage), there)


def _difference(first: list[str], second: list[str]) -> str | None:
    if first == second:
        return None
    for number, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return f"proposal {number} was {a}, then {b}; draw only from `scenario.seeds`, never from a set's order."
    return f"it made {len(first)} proposals, then {len(second)}."


def _other_seeds(strategy: Strategy, stage: Stage) -> str | None:
    if _reference(strategy, stage) != rehearse(strategy, stage, replicate=1):
        return None
    return "two seeds gave the same proposals; draw from `scenario.seeds`, or say random=False."


def _weathers(weather: Weather) -> Behaviour:
    def survives(strategy: Strategy, stage: Stage) -> str | None:
        rehearse(strategy, stage, weather=weather)
        return None

    return survives


def _abreast(strategy: Strategy, stage: Stage) -> str | None:
    for under_way in (4, 32):
        fly(strategy, stage, under_way)
    return None


def _leaves_global_state(strategy: Strategy, stage: Stage) -> str | None:
    before = _global_states()
    rehearse(strategy, stage)
    after = _global_states()
    touched = [name for name in before if before[name] != after[name]]
    return f"it drew from the global generator of {', '.join(touched)}; use `scenario.seeds.rng`." if touched else None


def _global_states() -> dict[str, str]:
    states: dict[str, Any] = {"random": random.getstate(), "numpy": pickle.dumps(np.random.get_state())}  # noqa: NPY002
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return {name: hashlib.sha256(repr(state).encode()).hexdigest() for name, state in states.items()}


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


def overhead(strategy: Strategy, stage: Stage, slowest_s: float) -> tuple[float, str | None]:
    """Its own CPU seconds per line of a rehearsal, and what is wrong with them."""
    started = time.process_time()
    try:
        lines = rehearse(strategy, stage)
    except Exception as error:
        return 0.0, f"{type(error).__name__}: {error}"
    per_trial_s = (time.process_time() - started) / max(len(lines), 1)
    if per_trial_s <= slowest_s:
        return per_trial_s, None
    return per_trial_s, f"it needs {per_trial_s:.3g} s of its own per trial, more than {slowest_s:g} s."


ASK_TELL: dict[str, Behaviour] = {
    "starts a search": _starts,
    "proposes architectures of the space": _proposes,
    "is not changed by a run": _stays_itself,
    "repeats itself with the same seeds": _repeats,
    "repeats itself in another process": _repeats_elsewhere,
    "other seeds lead elsewhere": _other_seeds,
    "survives failed evaluations": _weathers("failures"),
    "survives nothing but failures": _weathers("only failures"),
    "survives equal values": _weathers("all equal"),
    "survives 4 and 32 proposals under way, answered out of order": _abreast,
    "leaves every global generator alone": _leaves_global_state,
    "proposes nothing more after it has ended": _ends_for_good,
}
TRAINING: dict[str, Behaviour] = {
    "hands over an architecture within its budget": _proposes,
    "is not changed by a run": _stays_itself,
    "repeats itself with the same seeds": _repeats,
    "repeats itself in another process": _repeats_elsewhere,
    "other seeds lead elsewhere": _other_seeds,
    "leaves every global generator alone": _leaves_global_state,
}
