"""A space as libraries without conditions see it: a list of category indices and numbers.

A range of one value is no dimension: libraries refuse it, or divide by its width. It is left out of the list, and put
back where the library names a point."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from searchbench.spaces.choices import Choice, Decision, Float, Integer, Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.surrogates import LARGEST

PLAIN = re.compile(r"[^_/{}][^/{}]*", re.DOTALL)


def not_flat(space: Space, library: str) -> str | None:
    """Why a library cannot search a space, or None."""
    if space.conditional:
        return (
            f"{library} knows no conditions, so it would search inactive decisions of `{space.name}` as if they counted"
        )
    for decision in space.decisions:
        if not isinstance(decision, Choice | Integer | Float):
            return f"{library} has no dimension for `{decision.name}`, a {type(decision).__name__}"
    if not dimensions(space):
        return f"every decision of `{space.name}` is a range of one value, so {library} has nothing to search"
    return None


def dimensions(space: Space) -> list[Decision]:
    """The decisions that a library searches: all but ranges of one value."""
    return [decision for decision in space.decisions if not _settled(decision)]


def told(value: float) -> float:
    """A value as a library is told it: one beyond `LARGEST` counts as that, as many square and sum them."""
    return min(max(value, -LARGEST), LARGEST)


def names(space: Space) -> list[str]:
    """What a library calls the `dimensions`: as the space does, or by their positions where one of the names has what
    some library reads for itself (a slash, a brace, an underscore in front)."""
    own = [decision.name for decision in dimensions(space)]
    return own if all(PLAIN.fullmatch(name) for name in own) else [f"decision {at}" for at in range(len(own))]


def _settled(decision: Decision) -> bool:
    return isinstance(decision, Integer | Float) and decision.low == decision.high


def flatten(architecture: Architecture) -> list[Any]:
    """Category indices and numbers, in the order of the `dimensions`."""
    pairs = zip(architecture.space.decisions, architecture.values, strict=True)
    return [d.options.index(value) if isinstance(d, Choice) else value for d, value in pairs if not _settled(d)]


def unflatten(space: Space, point: Sequence[Any]) -> Architecture:
    """The inverse of `flatten`; NumPy's numbers become Python's, and what rounding took out of range comes back."""
    values: list[Value] = []
    coming = iter(point)
    for decision in space.decisions:
        given = decision.low if _settled(decision) else next(coming)  # type: ignore[attr-defined]
        if isinstance(decision, Choice):
            values.append(decision.options[int(given)])
        elif isinstance(decision, Integer):
            values.append(min(max(round(given), decision.low), decision.high))
        else:
            assert isinstance(decision, Float)
            values.append(min(max(float(given), decision.low), decision.high))
    return space.architecture(tuple(values))


class GlobalNumbers:
    """What a library draws from the global generators of `random` and NumPy, kept to itself: inside `use` they hold
    this object's own state, outside it everybody else's."""

    def __init__(self, seed: int) -> None:
        import random

        import numpy as np

        self._states: tuple[Any, Any] = random.Random(seed).getstate(), np.random.RandomState(seed % 2**32).get_state()

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """Lend the library its state for a while, and keep it quiet."""
        import random

        import numpy as np

        outside = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.setstate(self._states[0])
        np.random.set_state(self._states[1])  # noqa: NPY002
        try:
            with quiet():
                yield
        finally:
            self._states = random.getstate(), np.random.get_state()  # noqa: NPY002
            random.setstate(outside[0])
            np.random.set_state(outside[1])  # noqa: NPY002


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warning and no log line of a library, while it is called."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
