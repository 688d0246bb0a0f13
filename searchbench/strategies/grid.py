"""Grid search: the full product of every decision's values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Decision, Float, Integer, Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Proposal, Trial

LISTABLE = 1_000_000
"""A grid of at most this many points is shuffled as a list; a larger one is drawn from without being listed."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination of values once: all options of a categorical, `points` values of a numeric decision, evenly
    spaced over its range (in the logarithm, where the decision is on a log scale; an integer range of fewer values
    than `points` in full).

    The order is a permutation drawn from the strategy's own stream. A budget usually ends a grid early, and a
    lexicographic prefix never varies the first decisions; a prefix of a random permutation is a uniform sample of the
    grid, drawn without replacement, whatever the budget. On a purely categorical space it is therefore random search
    without replacement of strings: that is what a truncated grid is worth.

    Args:
        points: values per numeric decision.

    Raises:
        StudyError: `points` is not an integer of at least 2.

    Source: Bergstra & Bengio 2012, section 1, for what a grid wastes.
    Differs: the order, see above; isomorphic architectures are separate points, as in any grid over the decisions.
    """

    points: int = 5

    def __post_init__(self) -> None:
        if not isinstance(self.points, int) or isinstance(self.points, bool) or self.points < 2:
            raise StudyError(f"`points` must be an integer of at least 2, but got {self.points!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        if scenario.space.conditional and math.prod(len(a) for a in axes(scenario.space, self.points)) > LISTABLE:
            return f"a grid over a conditional space is listed, which needs at most {LISTABLE:,} combinations"
        return None

    def start(self, scenario: Scenario) -> GridSearch:
        points = order(scenario.space.whole, self.points, scenario.seeds.rng("search"))
        return GridSearch(point for point in points if point in scenario.space)


class GridSearch:
    """The live search."""

    def __init__(self, points: Iterator[Architecture]) -> None:
        self._points = points

    def ask(self) -> Proposal | None:
        architecture = next(self._points, None)
        return None if architecture is None else Proposal(architecture)

    def tell(self, trial: Trial) -> None:
        """Nothing is learnt."""


def order(space: Space, points: int, rng: np.random.Generator) -> Iterator[Architecture]:
    """Every point of the grid once, in an order that is a uniform draw without replacement."""
    grid = axes(space, points)
    if space.conditional:
        listed = list(_tree(space, grid))
        return (Architecture(space, listed[i]) for i in rng.permutation(len(listed)))
    size = math.prod(len(axis) for axis in grid)
    return (Architecture(space, _point(grid, i)) for i in _permutation(size, rng))


def axes(space: Space, points: int) -> list[tuple[Value, ...]]:
    """The values of each decision on the grid."""
    return [_axis(decision, points) for decision in space.decisions]


def _axis(decision: Decision, points: int) -> tuple[Value, ...]:
    if isinstance(decision, Choice) or (decision.arity is not None and decision.arity <= points):
        return tuple(decision.values())
    if not isinstance(decision, Integer | Float):
        raise StudyError(f"`grid` cannot place points on `{decision.name}`, a {type(decision).__name__}.")
    spaced = np.geomspace if decision.log else np.linspace
    spread = [min(max(v, decision.low), decision.high) for v in spaced(decision.low, decision.high, points).tolist()]
    values = [round(v) for v in spread] if isinstance(decision, Integer) else spread
    return tuple(dict.fromkeys(values))


def _point(grid: list[tuple[Value, ...]], index: int) -> tuple[Value, ...]:
    """The point at a lexicographic index (mixed radix, first decision slowest)."""
    values: list[Value] = []
    for axis in reversed(grid):
        index, digit = divmod(index, len(axis))
        values.append(axis[digit])
    return tuple(reversed(values))


def _permutation(size: int, rng: np.random.Generator) -> Iterator[int]:
    """0 … size - 1, each once, in random order; in memory that grows with what is drawn, not with a large size."""
    if size <= LISTABLE:
        yield from rng.permutation(size).tolist()
        return
    # a Fisher-Yates shuffle that remembers only the places it has moved (Python integers: the size may exceed 64 bits)
    moved: dict[int, int] = {}
    for last in range(size - 1, -1, -1):
        at = _below(last + 1, rng)
        yield moved.get(at, at)
        end = moved.pop(last, last)
        if at != last:
            moved[at] = end


def _below(bound: int, rng: np.random.Generator) -> int:
    """A uniform integer in [0, bound), of any size."""
    words = (bound.bit_length() + 63) // 64
    while (drawn := int.from_bytes(rng.bytes(8 * words), "little") >> (64 * words - bound.bit_length())) >= bound:
        pass
    return drawn


def _tree(space: Space, grid: list[tuple[Value, ...]]) -> Iterator[tuple[Value, ...]]:
    """Points of a conditional grid: inactive decisions have no value and are not multiplied out."""
    stack: list[tuple[Value, ...]] = [()]
    while stack:
        prefix = stack.pop()
        if len(prefix) == len(grid):
            yield prefix
            continue
        when = space.decisions[len(prefix)].when
        active = when is None or prefix[space.position[when.name]] in when.values
        options: tuple[Value, ...] = grid[len(prefix)] if active else (None,)
        stack.extend((*prefix, option) for option in reversed(options))


def count(space: Space, points: int = 5) -> int:
    """How many points the grid has."""
    grid = axes(space, points)
    return sum(1 for _ in _tree(space, grid)) if space.conditional else math.prod(len(axis) for axis in grid)
