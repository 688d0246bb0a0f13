"""Search spaces: ordered, possibly conditional, named decisions, and immutable points in them.

What is common to every space (draw, mutate, cross, list neighbours, enumerate, encode) is implemented once, here, over
the decisions. What differs (when are two points the same function, how is one written, which network does it mean)
is handed to the space as parts.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from searchbench.errors import SpaceError, did_you_mean
from searchbench.spaces.choices import NOTHING, Choice, Decision, Float, Value, settled
from searchbench.spaces.labelled import LabelledGraph
from searchbench.spaces.notation import Notation
from searchbench.spaces.topology import Edge, Topology

CARRYING_TRIES = 1000
"""Draws after which a space is taken to have no network that carries anything."""
Values = tuple[Value, ...]
Array = npt.NDArray[np.float64]


class Architecture:
    """One immutable point of a space: a value per decision, None where the decision is inactive.

    Equal when space and values are equal; `key` is equal when the *functions* are (isomorphic architectures share it).
    """

    __slots__ = ("_hash", "space", "values")

    space: Space
    values: Values
    _hash: int

    def __init__(self, space: Space, values: Values) -> None:
        _put_space(self, space)
        _put_values(self, values)

    @property
    def key(self) -> str:
        """The canonical key, isomorphism-aware: what identifies the architecture in records and in seeds."""
        return self.space.key(self)

    @property
    def identity(self) -> Hashable:
        """Equal where keys are, of one space in one process; quicker where the values say it all, as with numbers."""
        return self.values if self.space.plain else self.space.key(self)

    def key_at(self, epochs: float | None) -> str:
        """The key of all that an evaluation of so many epochs depends on, see `Space.key_at`."""
        return self.space.key_at(self, epochs)

    def __getitem__(self, name: str) -> Value:
        try:
            value = self.values[self.space.position[name]]
        except KeyError:
            raise SpaceError(
                f"space `{self.space.name}` has no decision `{name}`; {did_you_mean(name, self.space.position)}"
            ) from None
        return None if value is NOTHING else value

    def as_dict(self) -> dict[str, Value]:
        """Active decisions by name."""
        pairs = zip(self.space.decisions, self.values, strict=True)
        return {d.name: None if v is NOTHING else v for d, v in pairs if v is not None}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an Architecture is immutable; cannot set `{name}`.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self.values == other.values and self.space.name == other.space.name

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:  # most are candidates that nobody ever asks
            found = hash((self.space.name, self.values))
            _put_hash(self, found)
            return found

    def __reduce__(self) -> tuple[Any, ...]:
        return Architecture, (self.space, self.values)

    def __str__(self) -> str:
        return self.space.write(self)

    def __repr__(self) -> str:
        return f"<{self.space.name} {self.space.write(self)}>"


# what may fill the slots of an immutable object, and is quicker than `object.__setattr__`: candidates are many
_put_space, _put_values, _put_hash = (Architecture.__dict__[name].__set__ for name in ("space", "values", "_hash"))


def _plain_key(architecture: Architecture) -> str:
    return architecture.space.write(architecture)


def _always(architecture: Architecture) -> bool:
    return True


def _write_plain(architecture: Architecture) -> str:
    return architecture.space.notation.write(architecture.values)


@dataclass(frozen=True, eq=False)
class Space:
    """A search space.

    Args:
        name: its registered name.
        decisions: in order; a condition may only refer to an earlier decision.
        settings: plain numbers its networks are built with (channels, cells …); part of the problem's fingerprint.
        canonical: architecture -> key, the same for architectures that compute the same function.
        writer, reader: architecture <-> the literature's notation.
        paths: architecture -> path encoding (White et al. 2021), where the space has one.
        networks: "module:attribute" of the builder of its networks (imported only when a network is built),
            see `searchbench.spaces.networks.Networks`; None where nothing can be trained (hyper-parameter tables).
        topology: where the decisions of its supernet lie, if those are the edges of cells.
        shares_weights: whether its networks have a supernet.
        reads: what its networks read, "images" or "text".
        carrying: architecture -> whether its network lets something of its input through to its output; one that does
            not cannot learn.
        graph: architecture -> graph of its operations, where graph kernels are to compare them.
        setting: of a space of schedules, the space of what is set for one interval; a point then holds one point of it
            after the other, and evaluations are as long as the intervals that they reach.

    Raises:
        SpaceError: two decisions share a name, or a condition refers to no earlier decision.
    """

    name: str
    decisions: tuple[Decision, ...]
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    canonical: Callable[[Architecture], str] = _plain_key
    writer: Callable[[Architecture], str] = _write_plain
    reader: Callable[[Space, str], Architecture] | None = None
    paths: Callable[[Architecture], Array] | None = None
    networks: str | None = None
    topology: Topology | None = None
    shares_weights: bool = True
    reads: str = "images"
    carrying: Callable[[Architecture], bool] = _always
    graph: Callable[[Architecture], LabelledGraph] | None = None
    setting: Space | None = None

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for decision in self.decisions:
            if decision.name in seen:
                raise SpaceError(f"space `{self.name}` has two decisions named `{decision.name}`.")
            if decision.when is not None and decision.when.name not in seen:
                raise SpaceError(
                    f"`{decision.name}` of space `{self.name}` depends on `{decision.when.name}`, "
                    "which is not an earlier decision."
                )
            seen.add(decision.name)
        _ = self.notation  # says at once where it could not tell two options apart

    def __reduce_ex__(self, protocol: Any) -> Any:  # cached properties stay behind: they are cheap to make again
        fields = (self.name, self.decisions, dict(self.settings), self.canonical, self.writer)
        return _rebuild, (
            *fields,
            self.reader,
            self.paths,
            self.networks,
            self.topology,
            self.shares_weights,
            self.reads,
            self.carrying,
            self.graph,
            self.setting,
        )

    @cached_property
    def position(self) -> dict[str, int]:
        """Index of each decision by name."""
        return {decision.name: i for i, decision in enumerate(self.decisions)}

    @cached_property
    def notation(self) -> Notation:
        """How points are written where the space has no writer and reader of its own."""
        return Notation(self.name, self.decisions)

    @cached_property
    def conditional(self) -> bool:
        """Whether any decision depends on another."""
        return any(decision.when is not None for decision in self.decisions)

    @cached_property
    def plain(self) -> bool:
        """Whether every point counts as a function of its own and is written by its values."""
        return self.canonical is _plain_key and self.writer is _write_plain

    @cached_property
    def _laws(self) -> tuple[Choice | Float, ...] | None:
        """The decisions, where none has a condition and a draw of each takes one uniform number; else None."""
        alike = tuple(d for d in self.decisions if isinstance(d, Choice | Float))
        return None if self.conditional or len(alike) < len(self.decisions) else alike

    @cached_property
    def _keys(self) -> dict[Values, str]:
        return {}

    @cached_property
    def _columns(self) -> tuple[dict[Value, int], ...] | None:
        """The one-hot column of every option, by decision, where every decision is categorical; else None."""
        if not all(isinstance(d, Choice) for d in self.decisions):
            return None
        column = itertools.count()
        return tuple({value: next(column) for value in d.values()} for d in self.decisions)

    # -- points ------------------------------------------------------------------------------------------------

    def architecture(self, values: Mapping[str, Value] | Values) -> Architecture:
        """The architecture with these values (a mapping of the active decisions, or a full tuple).

        Raises:
            SpaceError: a value is not legal, an active decision is missing, or an inactive one is given.
        """
        if isinstance(values, Mapping):
            for name in values:
                if name not in self.position:
                    raise SpaceError(
                        f"space `{self.name}` has no decision `{name}`; {did_you_mean(name, self.position)}"
                    )
            values = tuple(values.get(decision.name) for decision in self.decisions)
        if len(values) != len(self.decisions):
            raise SpaceError(f"space `{self.name}` has {len(self.decisions)} decisions, but got {len(values)} values.")
        own: list[Value] = []
        for decision, value in zip(self.decisions, values, strict=True):  # a condition looks at earlier ones only
            own.append(self._own(decision, value, own))
        return Architecture(self, tuple(own))

    def _own(self, decision: Decision, value: Value, before: list[Value]) -> Value:
        if not self._active(decision, before):
            if value is not None:
                raise SpaceError(f"`{decision.name}` is inactive in space `{self.name}`, but got {value!r}.")
            return None
        (value,) = settled((value,))
        if not decision.contains(value):
            raise SpaceError(
                f"{value!r} is not a legal value of `{decision.name}` in space `{self.name}` ({decision})."
            )
        return decision.own(value)

    def _active(self, decision: Decision, values: list[Value] | Values) -> bool:
        if decision.when is None:
            return True
        return values[self.position[decision.when.name]] in decision.when.values

    def parse(self, text: str) -> Architecture:
        """The architecture that `str()` of one, or the literature's notation, names. Raises SpaceError."""
        if self.reader is not None:
            return self.reader(self, text)
        return self.architecture(self.notation.read(self.name, text))

    def write(self, architecture: Architecture) -> str:
        """The architecture in the literature's notation."""
        return self.writer(architecture)

    def key(self, architecture: Architecture) -> str:
        """The canonical key, remembered for spaces of up to a million points."""
        known = self._keys.get(architecture.values)
        if known is None:
            known = self.canonical(architecture)
            if len(self._keys) < 1_000_000:
                self._keys[architecture.values] = known
        return known

    def key_at(self, architecture: Architecture, epochs: float | None) -> str:
        """The key of all that an evaluation of so many epochs depends on: the architecture's; of a schedule, that of
        its first intervals, so that those which begin alike share evaluations and trainings up to where they part."""
        if self.setting is None or epochs is None:
            return self.key(architecture)
        reached = math.ceil(epochs) * len(self.setting.decisions)
        if reached >= len(self.decisions):
            return self.key(architecture)
        return self.notation.write((*architecture.values[:reached], *[None] * (len(self.decisions) - reached)))

    def identities(self, architectures: Sequence[Architecture]) -> list[Hashable]:
        """`identity` of each."""
        if self.plain:
            return [architecture.values for architecture in architectures]
        known = self._keys
        return [known.get(architecture.values) or self.key(architecture) for architecture in architectures]

    @property
    def whole(self) -> Space:
        """The space itself; of a view of a space through a limit, all of what is looked at."""
        return self

    def __contains__(self, architecture: object) -> bool:
        return isinstance(architecture, Architecture) and architecture.space.name == self.name

    # -- moves -------------------------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A uniform draw, decision by decision (not uniform over keys)."""
        return self.completed([None] * len(self.decisions), rng)

    def draws(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        """Draws, as many as asked for: those that `sample` would give one after the other."""
        if self._laws is None:
            return [self.sample(rng) for _ in range(count)]
        columns = [law.quantiles(u) for law, u in zip(self._laws, rng.random((count, len(self._laws))).T, strict=True)]
        return [Architecture(self, values) for values in zip(*columns, strict=True)]

    def sample_carrying(self, rng: np.random.Generator) -> Architecture:
        """A draw whose network can learn: uniform among those; after many draws without one, the last."""
        for _ in range(CARRYING_TRIES):
            drawn = self.sample(rng)
            if self.carrying(drawn):
                break
        return drawn

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """One active decision, drawn uniformly, gets a different value; decisions this activates are drawn anew."""
        active = [i for i, value in enumerate(architecture.values) if value is not None]
        at = active[int(rng.random() * len(active))]
        values = list(architecture.values)
        values[at] = self.decisions[at].mutate(values[at], rng)
        return self.completed(values, rng)

    def redraw(self, architecture: Architecture, probability: float, rng: np.random.Generator) -> Architecture:
        """Every active decision is drawn anew with this probability, possibly to the value it has."""
        coins = rng.random(len(self.decisions)) < probability
        values = list(architecture.values)
        for at, decision in enumerate(self.decisions):
            if coins[at] and values[at] is not None:
                values[at] = decision.sample(rng)
        return self.completed(values, rng)

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """Each decision from one parent or the other, by a fair coin; what becomes active with no value is drawn."""
        coins = rng.integers(2, size=len(self.decisions)).tolist()
        mixed = [x if coin else y for coin, x, y in zip(coins, a.values, b.values, strict=True)]
        return self.completed(mixed, rng)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Every architecture that differs in one decision by one step (newly active ones get their first value)."""
        found = []
        for at, (decision, value) in enumerate(zip(self.decisions, architecture.values, strict=True)):
            for other in decision.neighbours(value) if value is not None else []:
                values = list(architecture.values)
                values[at] = other
                found.append(self.completed(values, None))
        return found

    def completed(self, values: list[Value], rng: np.random.Generator | None) -> Architecture:
        """The point with these values (which are changed): active decisions that have none are drawn, or without `rng`
        take their first; inactive ones are cleared."""
        if self.conditional or None in values:
            for i, decision in enumerate(self.decisions):
                if not self._active(decision, values):
                    values[i] = None
                elif values[i] is None:
                    values[i] = decision.sample(rng) if rng is not None else decision.first
        return Architecture(self, tuple(values))

    # -- the whole space ---------------------------------------------------------------------------------------

    @property
    def size(self) -> float:
        """Number of points (not of distinct functions); infinite with a real-valued decision.

        Conditional spaces are counted through the tree of conditions.
        """
        if any(decision.arity is None for decision in self.decisions):
            return math.inf
        below: dict[str, list[Decision]] = {}
        forms: dict[str, int] = {}
        for decision in reversed(self.decisions):  # a condition refers to an earlier decision only
            children = below.get(decision.name, [])
            forms[decision.name] = decision.arity or 0
            if children:
                forms[decision.name] = sum(
                    math.prod(forms[c.name] for c in children if c.when is not None and value in c.when.values)
                    for value in decision.values()
                )
            if decision.when is not None:
                below.setdefault(decision.when.name, []).append(decision)
        return math.prod(forms[decision.name] for decision in self.decisions if decision.when is None)

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture, in lexicographic order of decisions. Raises SpaceError with a real-valued decision."""
        if not self.conditional:
            for values in itertools.product(*(tuple(d.values()) for d in self.decisions)):
                yield Architecture(self, values)
            return
        yield from (Architecture(self, values) for values in self._extend(()))

    def _extend(self, prefix: Values) -> Iterator[Values]:
        if len(prefix) == len(self.decisions):
            yield prefix
            return
        decision = self.decisions[len(prefix)]
        options = decision.values() if self._active(decision, prefix) else iter((None,))
        for value in options:
            yield from self._extend((*prefix, value))

    # -- encodings ---------------------------------------------------------------------------------------------

    def encode(self, architecture: Architecture, kind: str = "one-hot") -> Array:
        """A vector for surrogates.

        Args:
            kind: "one-hot" (categoricals one-hot, numbers scaled to [0, 1], inactive decisions all zero) or
                "path" (a bit per operation sequence from input to output, where the space has it).

        Returns:
            [D] float64.

        Raises:
            SpaceError: the space has no such encoding.
        """
        if kind == "one-hot" and self._columns is not None:
            pairs = zip(self._columns, architecture.values, strict=True)
            encoded = np.zeros(sum(map(len, self._columns)))
            encoded[[columns[v] for columns, v in pairs if v is not None]] = 1.0
            return encoded
        if kind == "one-hot":
            parts = zip(self.decisions, architecture.values, strict=True)
            return np.array(
                [x for d, v in parts for x in (d.encode(v) if v is not None else [0.0] * d.width)], dtype=np.float64
            )
        if kind == "path" and self.paths is not None:
            return self.paths(architecture)
        known = ("one-hot", "path") if self.paths is not None else ("one-hot",)
        raise SpaceError(f"space `{self.name}` has no encoding `{kind}`; {did_you_mean(kind, known)}")

    def encodings(self, architectures: Sequence[Architecture], kind: str = "one-hot") -> Array:
        """`encode` of each of some architectures, [n, D]; raises what that raises."""
        if kind != "one-hot" or not architectures:
            return np.array([self.encode(architecture, kind) for architecture in architectures])
        columns = zip(*(architecture.values for architecture in architectures), strict=True)
        return np.hstack([d.encodings(column) for d, column in zip(self.decisions, columns, strict=True)])

    # -- networks ----------------------------------------------------------------------------------------------

    @cached_property
    def wiring(self) -> Topology | None:
        """`topology`, or where there is none: every decision an edge into a node of its own, whose options are the
        first ones of the longest decision's. None if they are others."""
        choices = [d for d in self.decisions if isinstance(d, Choice)]
        if self.topology is not None or len(choices) != len(self.decisions) or self.conditional:
            return self.topology
        longest = max((tuple(d.options) for d in choices), key=len)
        if any(tuple(d.options) != longest[: d.arity] for d in choices):
            return None
        edges = tuple(Edge("cell", at, 0) for at in range(len(choices)))
        alike = all(d.arity == len(longest) for d in choices)
        allowed = None if alike else tuple(tuple(range(d.arity)) for d in choices)
        return Topology(edges, tuple(str(option) for option in longest), allowed=allowed)

    def builder(self) -> Any:
        """The builder of its networks, a `searchbench.spaces.networks.Networks`; imports torch.

        Raises:
            SpaceError: the space has no networks.
        """
        if self.networks is None:
            raise SpaceError(f"space `{self.name}` has no networks to build; it can only be looked up in a table.")
        module, _, attribute = self.networks.partition(":")
        return getattr(importlib.import_module(module), attribute)(self)


def _rebuild(*parts: Any) -> Space:
    return Space(*parts)
