"""What every search space must do: points, moves, notation, keys and encodings. Networks: see `networks`."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from searchbench.spaces.choices import Decision, Integer, Value
from searchbench.spaces.space import Architecture, Space
from searchbench.testing.described import drawn_globally, elsewhere
from searchbench.testing.report import Behaviour, Inapplicable

LISTED = 20_000
"""Spaces of up to as many points are listed whole."""
OPTIONS = 64
"""Options of one decision that are tried at most: the first, the last, and evenly between."""


@dataclass(frozen=True, eq=False)
class Points:
    """A space with some of its points."""

    space: Space
    draws: int

    @cached_property
    def drawn(self) -> list[Architecture]:
        """Uniform draws, the same in every process."""
        return drawn(self.space, self.draws)

    @cached_property
    def every_option(self) -> list[Architecture]:
        """An architecture for each option of each decision, which has it."""
        return [
            having(self.drawn[0], at, value)
            for at, decision in enumerate(self.space.decisions)
            for value in options(decision)
        ]


def drawn(space: Space, number: int) -> list[Architecture]:
    """So many uniform draws from one stream."""
    rng = np.random.default_rng(20_261)
    return [space.sample(rng) for _ in range(number)]


def options(decision: Decision) -> list[Value]:
    """At most `OPTIONS` values of a decision, its first and last among them."""
    if decision.arity is None:
        return [getattr(decision, "low", decision.first), getattr(decision, "high", decision.first)]
    if isinstance(decision, Integer):
        return sorted({round(v) for v in np.linspace(decision.low, decision.high, min(OPTIONS, decision.arity))})
    known = list(decision.values())
    return known if len(known) <= OPTIONS else [*known[:: len(known) // OPTIONS], known[-1]]


def having(architecture: Architecture, at: int, value: Value) -> Architecture:
    """The architecture changed to have `value` at a decision, whose conditions are made true first."""
    space, values = architecture.space, list(architecture.values)
    values[at] = value
    condition = space.decisions[at].when
    while condition is not None:
        earlier = space.position[condition.name]
        if values[earlier] not in condition.values:
            values[earlier] = condition.values[0]
        condition = space.decisions[earlier].when
    for number, decision in enumerate(space.decisions):
        if decision.when is not None and values[space.position[decision.when.name]] not in decision.when.values:
            values[number] = None
        elif values[number] is None:
            values[number] = decision.first
    return space.architecture(tuple(values))


# -- points and moves ----------------------------------------------------------------------------------------------


def _is_a_space(points: Points) -> str | None:
    space = points.space
    if not isinstance(space.name, str) or not space.name:
        return f"its name must be a word, but is {space.name!r}."
    return None if space.decisions else "it has no decision, so nothing can be searched."


def _pickles(points: Points) -> str | None:
    copy = pickle.loads(pickle.dumps(points.space))
    for one, other in zip(points.drawn, drawn(copy, points.draws), strict=True):
        if one.values != other.values or one.key != other.key or str(one) != str(other):
            return f"{one!r} is {other!r} of its pickled copy."
    return None


def _draws_legally(points: Points) -> str | None:
    return _first(_illegal(architecture) for architecture in points.drawn)


def _illegal(architecture: Architecture) -> str | None:
    """What the space itself says against a point."""
    try:
        architecture.space.architecture(architecture.values)
    except Exception as error:
        return f"{architecture.values!r} is not legal: {error}"
    return None if architecture in architecture.space else f"{architecture!r} is not in the space it was drawn from."


def _mutates(points: Points) -> str | None:
    rng, space = np.random.default_rng(1), points.space
    for one in points.drawn:
        other = space.mutate(one, rng)
        wrong = _illegal(other)
        pairs = zip(space.decisions, one.values, other.values, strict=True)
        changed = [d.name for d, a, b in pairs if a != b and a is not None and b is not None]
        if wrong is None and len(changed) > 1:
            wrong = f"a mutation of {one!r} changed {len(changed)} decisions: {', '.join(changed)}."
        if wrong is not None:
            return wrong
    return None


def _recombines(points: Points) -> str | None:
    rng, space = np.random.default_rng(2), points.space
    for one, other in itertools.pairwise(points.drawn):
        child = space.crossover(one, other, rng)
        wrong = _illegal(child) or _illegal(space.redraw(one, 0.5, rng))
        if wrong is not None:
            return wrong
        for decision, value, parents in zip(
            space.decisions, child.values, zip(one.values, other.values, strict=True), strict=True
        ):
            if value not in parents and None not in parents:
                return f"`{decision.name}` of a child is {value!r}, but its parents have {parents!r}."
    return None


def _lists_neighbours(points: Points) -> str | None:
    for one in points.drawn[:20]:
        found = points.space.neighbours(one)
        if one in found or len(set(found)) != len(found):
            return f"{one!r} is its own neighbour, or a neighbour stands twice."
        wrong = _first(_illegal(architecture) for architecture in found)
        if wrong is not None:
            return wrong
    return None


def _counts_itself(points: Points) -> str | None:
    space = points.space
    if not space.size >= 1:
        return f"its size must be 1 or more, but is {space.size!r}."
    if space.size > LISTED:
        seen = len({architecture.values for architecture in points.drawn})
        return None if seen <= space.size else f"it has {space.size:g} points, but {seen} different ones were drawn."
    listed = list(space.enumerate())
    if len(listed) != space.size or len(set(listed)) != len(listed):
        return f"its size is {space.size:g}, but it lists {len(listed)} points, {len(set(listed))} of them different."
    if not set(points.drawn) <= set(listed):
        return "a draw is none of the points it lists."
    return _first(_illegal(architecture) for architecture in listed[:1000])


# -- notation, keys, encodings -------------------------------------------------------------------------------------


def _reads_back(points: Points) -> str | None:
    return _first(_not_read(one) for one in (*points.every_option, *points.drawn))


def _not_read(one: Architecture) -> str | None:
    text = str(one)
    try:
        text.encode()
        other = one.space.parse(text)
    except Exception as error:
        return f"{one.values!r} is written {text!r}, which cannot be read: {type(error).__name__}: {error}"
    if other == one and list(map(type, other.values)) == list(map(type, one.values)):
        return None
    return f"{one.values!r} is written {text!r}, which reads back as {other.values!r}."


def _keys(points: Points) -> str | None:
    copy = pickle.loads(pickle.dumps(points.space))
    for one in (*points.every_option, *points.drawn):
        again = copy.architecture(one.values)
        if not isinstance(one.key, str) or not one.key:
            return f"the key of {one!r} must be a text that is not empty, but is {one.key!r}."
        if again.key != one.key:
            return f"the key of {one!r} is {one.key!r}, then {again.key!r}."
    return None


def _keys_tell_apart(points: Points) -> str | None:
    """Different keys for different values, wherever the space has no canonical form of its own."""
    if points.space.canonical is not Space.__dataclass_fields__["canonical"].default:
        raise Inapplicable("its keys are canonical: architectures that compute the same share one")
    known: dict[str, Any] = {}
    for one in (*points.every_option, *points.drawn):
        other = known.setdefault(one.key, one.values)
        if other != one.values:
            return f"{one.values!r} and {other!r} have the same key {one.key!r}."
    return None


def _encodes(points: Points) -> str | None:
    kinds = ("one-hot",) if points.space.paths is None else ("one-hot", "path")
    for kind in kinds:
        vectors = [points.space.encode(one, kind) for one in (*points.every_option, *points.drawn)]
        if len({vector.shape for vector in vectors}) != 1 or vectors[0].ndim != 1:
            return f"`{kind}` gives vectors of the shapes {sorted({vector.shape for vector in vectors})}."
        if not all(np.isfinite(vector).all() for vector in vectors):
            return f"`{kind}` gives numbers that are not finite."
    return None


def _same_elsewhere(points: Points) -> str | None:
    there = elsewhere(told, points.space, 20)
    for here, other in zip(told(points.space, 20), there, strict=True):
        if here != other:
            return f"{here} in this process, {other} in another."
    return None


def told(space: Space, number: int) -> list[tuple[str, str, str]]:
    """Notation, key and encoding of some draws and of the neighbours of one."""
    some = drawn(space, number)
    return [(str(a), a.key, space.encode(a).tobytes().hex()) for a in (*some, *space.neighbours(some[0])[:50])]


def _leaves_global_state(points: Points) -> str | None:
    rng, space = np.random.default_rng(3), points.space

    def use() -> None:
        one = space.sample(rng)
        other = space.mutate(one, rng)
        space.crossover(one, other, rng), space.neighbours(one), space.encode(one), one.key, str(one)

    return drawn_globally(use)


def _first(sentences: Iterator[str | None]) -> str | None:
    """The first sentence that says something."""
    return next((sentence for sentence in sentences if sentence is not None), None)


SPACE = (
    Behaviour(
        "has a name and decisions",
        _is_a_space,
        "no study can name it, or there is nothing to search",
        "give the space a name and at least one decision.",
    ),
    Behaviour(
        "survives pickling",
        _pickles,
        "workers would search another space than the study declares",
        "hand over functions of an importable module, and plain values.",
    ),
    Behaviour(
        "draws legal architectures",
        _draws_legally,
        "runs would fail at their first proposals",
        "let `sample` return what `architecture` accepts.",
    ),
    Behaviour(
        "mutates to legal architectures, one decision at a time",
        _mutates,
        "evolution would leave the space, or jump where it is thought to step",
        "change one decision, and draw anew only what that activates.",
    ),
    Behaviour(
        "recombines parents legally",
        _recombines,
        "evolution would leave the space, or invent what no parent has",
        "take each decision from one of the parents; draw only what became active.",
    ),
    Behaviour(
        "lists legal neighbours, none twice",
        _lists_neighbours,
        "local search would stop early, or pay twice",
        "list every architecture that differs by one step, without itself.",
    ),
    Behaviour(
        "has the size it says",
        _counts_itself,
        "random search without replacement and grids would end too early, or never",
        "let `size` count what `enumerate` lists.",
    ),
    Behaviour(
        "reads back what it writes, every option",
        _reads_back,
        "the judge would train another architecture than the search found",
        "give options texts that `parse` tells apart, with `writer` and `reader` inverse to each other.",
    ),
    Behaviour(
        "gives the same key again",
        _keys,
        "equal architectures would be measured with different noise, and paid twice",
        "compute `canonical` from the values alone, never from an object's identity or a set's order.",
    ),
    Behaviour(
        "tells different architectures apart by their keys",
        _keys_tell_apart,
        "one architecture would be served the measurement of another",
        "escape what separates options in the notation, or give the space a `canonical` key.",
    ),
    Behaviour(
        "encodes to finite vectors of one length",
        _encodes,
        "surrogates would fail, or learn from nonsense",
        "scale numbers to [0, 1], and leave no decision's place out.",
    ),
    Behaviour(
        "is the same in another process",
        _same_elsewhere,
        "the same study would give other results on other workers",
        "sort sets and dictionaries before their order counts; never use `hash`.",
    ),
    Behaviour(
        "leaves every global generator alone",
        _leaves_global_state,
        "what one run draws would change what the next draws",
        "draw from the generator that is handed in.",
    ),
)
