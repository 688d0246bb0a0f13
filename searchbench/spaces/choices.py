"""The decisions a search space is made of: categorical, integer or real, each possibly conditional on an earlier one.

Every decision answers the same questions (draw, is this legal, what is next to it, how is it encoded), so a space
never asks which kind it holds.

A decision is named first, ``Float("lr", 1e-5, 1.0)``, or gets its name from the mapping in which it stands,
``{"lr": Float(1e-5, 1.0)}``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from functools import cache
from itertools import repeat
from typing import Any, Final, Protocol, overload

import numpy as np
import numpy.typing as npt

from searchbench.errors import SpaceError

Value = Hashable
Array = npt.NDArray[np.float64]


class Nothing(Enum):
    """The option None (no depth limit, say), which is not the None of a decision that is inactive."""

    NOTHING = None

    def __str__(self) -> str:
        return "None"

    __repr__ = __str__


LARGEST = 2**63 - 1
"""Of an integer's ends: what NumPy draws from."""
NOTHING: Final = Nothing.NOTHING


def settled(values: Any) -> tuple[Value, ...]:
    """Options as decisions hold them: lists as tuples, None as `NOTHING`."""
    return tuple(_settled(value) for value in values)


def _settled(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return settled(value)
    return NOTHING if value is None else value


@dataclass(frozen=True, slots=True)
class When:
    """A condition: the decision is active only while the earlier decision `name` has one of `values`.

    Args:
        name: of the decision it depends on.
        values: a list or tuple of values, or the only one.
    """

    name: str
    values: tuple[Value, ...]

    def __init__(self, name: str, values: Iterable[Value] | Value) -> None:
        several = values if isinstance(values, tuple | list | set | frozenset | range) else (values,)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", settled(several))


class Decision(Protocol):
    """One named decision. `arity` is None where there are infinitely many values."""

    @property
    def name(self) -> str: ...
    @property
    def when(self) -> When | None: ...
    @property
    def arity(self) -> int | None: ...
    @property
    def width(self) -> int:
        """Length of the one-hot (or scaled) encoding."""

    @property
    def first(self) -> Value:
        """The lowest or first value: what stands in where one is needed and none is drawn."""

    def sample(self, rng: np.random.Generator) -> Value: ...
    def contains(self, value: Value) -> bool: ...
    def own(self, value: Value) -> Value:
        """A legal value as the decision itself spells it (1.0 for 1, an option for what equals it): equal points must
        be written alike."""

    def values(self) -> Iterator[Value]:
        """Every value, in order. Raises SpaceError where there are infinitely many."""

    def neighbours(self, value: Value) -> list[Value]:
        """The values one step away (for a categorical: all others)."""

    def mutate(self, value: Value, rng: np.random.Generator) -> Value:
        """A different value, drawn at random (the same only where there is no other)."""

    def encode(self, value: Value) -> list[float]: ...
    def encodings(self, values: Sequence[Value]) -> Array:
        """`encode` of each, zeros for a None, [n, width]."""


@dataclass(frozen=True, slots=True, init=False)
class Choice:
    """One of finitely many options, without order.

    Lists are held as tuples, and None as `NOTHING`.

    Raises:
        SpaceError: there are no options, or two alike, or one that has no hash or does not equal itself (NaN).
    """

    name: str
    options: tuple[Value, ...]
    when: When | None = None

    @overload
    def __init__(self, name: str, options: Iterable[Value], when: When | None = None) -> None: ...
    @overload
    def __init__(self, options: Iterable[Value], /, *, when: When | None = None) -> None: ...
    def __init__(self, *given: Any, **named: Any) -> None:
        _fill(self, given, named)
        _check_name(self.name)
        object.__setattr__(self, "options", settled(self.options))
        try:
            distinct = len(set(self.options)) == len(self.options)
        except TypeError as error:
            raise SpaceError(f"choice `{self.name}` needs options that can be told apart, but {error}.") from None
        if not self.options or not distinct:
            raise SpaceError(f"choice `{self.name}` needs distinct options, but got {self.options!r}.")
        if any(isinstance(option, float) and math.isnan(option) for option in self.options):
            raise SpaceError(f"choice `{self.name}` has the option NaN, which equals nothing, itself included.")

    @property
    def arity(self) -> int:
        return len(self.options)

    @property
    def width(self) -> int:
        return len(self.options)

    @property
    def first(self) -> Value:
        return self.options[0]

    def sample(self, rng: np.random.Generator) -> Value:
        return self.options[int(rng.random() * len(self.options))]

    def contains(self, value: Value) -> bool:
        return value in self.options

    def own(self, value: Value) -> Value:
        return self.options[self.options.index(value)]

    def values(self) -> Iterator[Value]:
        return iter(self.options)

    def neighbours(self, value: Value) -> list[Value]:
        return [option for option in self.options if option != value]

    def mutate(self, value: Value, rng: np.random.Generator) -> Value:
        at = self.options.index(value)
        if len(self.options) == 1:
            return value
        drawn = int(rng.random() * (len(self.options) - 1))
        return self.options[drawn + (drawn >= at)]

    def encode(self, value: Value) -> list[float]:
        return [1.0 if option == value else 0.0 for option in self.options]

    def encodings(self, values: Sequence[Value]) -> Array:
        position, none = {option: at for at, option in enumerate(self.options)}, self.arity
        encoded = np.zeros((len(values), none + 1))
        encoded[np.arange(len(values)), list(map(position.get, values, repeat(none)))] = 1.0
        return encoded[:, :-1]

    def quantiles(self, units: Array) -> list[Value]:
        """The values that `sample` takes for these uniform numbers [n]."""
        return [self.options[at] for at in (units * self.arity).astype(np.int64).tolist()]


@dataclass(frozen=True, slots=True, init=False)
class Integer:
    """An integer in [low, high]; with `log`, drawn log-uniformly and then rounded.

    Raises:
        SpaceError: low exceeds high, or `log` with low < 1.
    """

    name: str
    low: int
    high: int
    log: bool = False
    when: When | None = None

    @overload
    def __init__(self, name: str, low: int, high: int, log: bool = False, when: When | None = None) -> None: ...
    @overload
    def __init__(self, low: int, high: int, /, *, log: bool = False, when: When | None = None) -> None: ...
    def __init__(self, *given: Any, **named: Any) -> None:
        _fill(self, given, named)
        _check_range(self.name, self.low, self.high, self.log)
        if max(abs(self.low), abs(self.high)) > LARGEST:
            raise SpaceError(f"`{self.name}`: the ends of a range of integers must lie within 64 bits.")

    @property
    def arity(self) -> int:
        return self.high - self.low + 1

    @property
    def width(self) -> int:
        return 1

    @property
    def first(self) -> Value:
        return self.low

    def sample(self, rng: np.random.Generator) -> Value:
        if not self.log:
            return int(rng.integers(self.low, self.high + 1))
        drawn = math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
        return min(max(round(drawn), self.low), self.high)

    def contains(self, value: Value) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def own(self, value: Value) -> Value:
        return int(value)  # type: ignore[call-overload,no-any-return]

    def values(self) -> Iterator[Value]:
        return iter(range(self.low, self.high + 1))

    def neighbours(self, value: Value) -> list[Value]:
        return [v for v in (_number(value) - 1, _number(value) + 1) if self.low <= v <= self.high]

    def mutate(self, value: Value, rng: np.random.Generator) -> Value:
        if self.arity == 1:
            return value
        while (drawn := self.sample(rng)) == value:
            pass
        return drawn

    def encode(self, value: Value) -> list[float]:
        return [_unit(_number(value), self.low, self.high, self.log)]

    def encodings(self, values: Sequence[Value]) -> Array:
        return _units(values, self)


@dataclass(frozen=True, slots=True, init=False)
class Float:
    """A real number in [low, high]; with `log`, drawn as exp(U(log low, log high)).

    Raises:
        SpaceError: low exceeds high, or `log` with low <= 0.
    """

    name: str
    low: float
    high: float
    log: bool = False
    when: When | None = None

    @overload
    def __init__(self, name: str, low: float, high: float, log: bool = False, when: When | None = None) -> None: ...
    @overload
    def __init__(self, low: float, high: float, /, *, log: bool = False, when: When | None = None) -> None: ...
    def __init__(self, *given: Any, **named: Any) -> None:
        _fill(self, given, named)
        _check_range(self.name, self.low, self.high, self.log)

    @property
    def arity(self) -> None:
        return None

    @property
    def width(self) -> int:
        return 1

    @property
    def first(self) -> Value:
        return float(self.low)

    def sample(self, rng: np.random.Generator) -> Value:
        return self._at(float(rng.random()))

    def contains(self, value: Value) -> bool:
        return isinstance(value, float | int) and not isinstance(value, bool) and self.low <= value <= self.high

    def own(self, value: Value) -> Value:
        return float(value)  # type: ignore[arg-type]

    def values(self) -> Iterator[Value]:
        raise SpaceError(
            f"`{self.name}` is a real number and cannot be enumerated; give `grid` a number of points per axis."
        )

    def neighbours(self, value: Value) -> list[Value]:
        at = _unit(_number(value), self.low, self.high, self.log)
        return [self._at(min(max(at + step, 0.0), 1.0)) for step in (-0.1, 0.1) if 0 <= at + step <= 1]

    def mutate(self, value: Value, rng: np.random.Generator) -> Value:
        return self.sample(rng)

    def encode(self, value: Value) -> list[float]:
        return [_unit(_number(value), self.low, self.high, self.log)]

    def encodings(self, values: Sequence[Value]) -> Array:
        if self.log or self.low == self.high or None in values:
            return _units(values, self)
        width = self.high - self.low
        return ((np.array(values, dtype=np.float64) - self.low) / width)[:, None]

    def quantiles(self, units: Array) -> list[Value]:
        """The values that `sample` takes for these uniform numbers [n]."""
        if self.log:  # powers of NumPy differ from those of `sample` in the last digit
            return [self._at(unit) for unit in units.tolist()]
        values: list[Value] = np.clip(self.low + units * (self.high - self.low), self.low, self.high).tolist()
        return values

    def _at(self, unit: float) -> float:
        if self.log:
            drawn = math.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
        else:
            drawn = self.low + unit * (self.high - self.low)
        return float(min(max(drawn, self.low), self.high))


def _fill(decision: Decision, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Set the fields; the name stays open ("") where none comes first. Raises TypeError as any wrong call does."""
    if "name" not in named and not (given and isinstance(given[0], str)):
        given = ("", *given)
    bound = _signature(type(decision)).bind(*given, **named)
    bound.apply_defaults()
    for field, value in bound.arguments.items():
        object.__setattr__(decision, field, value)


@cache
def _signature(kind: Any) -> inspect.Signature:
    parameter, empty = inspect.Parameter, inspect.Parameter.empty
    return inspect.Signature(
        [
            parameter(f.name, parameter.POSITIONAL_OR_KEYWORD, default=empty if f.default is MISSING else f.default)
            for f in fields(kind)
        ]
    )


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise SpaceError(f"a decision's `name` must be a text, but got {name!r}.")


def _check_range(name: str, low: float, high: float, log: bool) -> None:
    _check_name(name)
    for bound in (low, high):
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise SpaceError(f"`{name}`: the ends of a range must be numbers, but got {bound!r}.")
    if not low <= high:
        raise SpaceError(f"`{name}`: `low <= high` must hold, but got low={low}, high={high}.")
    if log and low <= 0:
        raise SpaceError(f"`{name}`: a log scale needs `low > 0`, but got low={low}.")
    try:
        finite = math.isfinite(float(high) - float(low))
    except OverflowError:
        finite = False
    if not finite:
        raise SpaceError(f"`{name}`: a range must be finite and no wider than a double is large.")


def _unit(value: float, low: float, high: float, log: bool) -> float:
    if low == high:
        return 0.0
    if log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)


def _units(values: Sequence[Value], range_: Integer | Float) -> Array:
    ends = (range_.low, range_.high, range_.log)
    return np.array([[0.0 if value is None else _unit(_number(value), *ends)] for value in values])


def _number(value: Any) -> Any:
    return value
