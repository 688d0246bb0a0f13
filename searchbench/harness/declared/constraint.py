"""What an architecture may cost: parameters, multiply-accumulates, latency. Every strategy of a problem keeps to it.

A strategy is shown the space through the limit (`Within`), so that its draws, mutations and neighbours are legal. What
it proposes all the same (a controller writes architectures of its own) is a failed trial, charged like any other; what
it recommends all the same is not taken, and the last legal recommendation stands.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from searchbench.errors import StudyError, did_you_mean
from searchbench.estimators.latency import METRIC, Latency
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.within import Within, cheapest

LIMITS = ("params", "macs", METRIC)


@dataclass(frozen=True, slots=True)
class Constraint:
    """Upper limits; None: no limit.

    Raises:
        StudyError: none is given, or one is not positive.
    """

    params: float | None = None
    """Parameters of the stand-alone network."""
    macs: float | None = None
    """Multiply-accumulates of one sample forward through it."""
    latency_ms: float | None = None
    """Milliseconds, by the problem's latency."""

    def __post_init__(self) -> None:
        if not self.limits:
            raise StudyError(f"a constraint needs a limit on one of {', '.join(LIMITS)}, but got none.")
        for name, limit in self.limits.items():
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit <= sys.float_info.max:
                raise StudyError(f"a constraint's `{name}` must be a positive number, but got {limit!r}.")

    @classmethod
    def of(cls, given: Any) -> Constraint | None:
        """A study file's value, ``{ macs = 3e8 }``, as a constraint. Raises StudyError."""
        if given is None or isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise StudyError(f"`constraint` must be a table such as {{ macs = 3e8 }}, but got {given!r}.")
        for name in given:
            if name not in LIMITS:
                raise StudyError(f"a constraint has no limit `{name}`; {did_you_mean(name, LIMITS)}")
        return cls(**given)

    @property
    def limits(self) -> dict[str, float]:
        """Those that are given, by name."""
        return {name: limit for name in LIMITS if (limit := getattr(self, name)) is not None}


class Measures:
    """Parameters, multiply-accumulates and latency of a problem's architectures."""

    def __init__(self, space: Space, shape: tuple[int, ...], classes: int, latency: Latency | None) -> None:
        self.space, self.shape, self.classes, self.latency = space, shape, classes, latency
        self._networks: Any = None

    def of(self, name: str, architecture: Architecture) -> float:
        """One of `LIMITS`."""
        if name == METRIC:
            assert self.latency is not None, "checked when the problem is resolved"
            return self.latency(architecture)
        if self._networks is None:
            self._networks = self.space.builder()
        params, macs = self._networks.size(architecture, self.shape, self.classes)
        return float(params if name == "params" else macs)

    def metrics(self, architecture: Architecture) -> dict[str, float]:
        """What a problem with a latency reports beside what its estimator does."""
        return {} if self.latency is None else {METRIC: self.latency(architecture)}

    def counts(self) -> Callable[[Architecture], float] | None:
        """What counts multiply-accumulates, where the space has networks of images."""
        return partial(self.of, "macs") if self.space.networks is not None and self.space.reads == "images" else None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_networks": None}


@dataclass(frozen=True, eq=False)
class Excess:
    """The largest ratio of what an architecture has to what it may have; legal up to 1."""

    measures: Measures
    limits: Mapping[str, float]

    def __call__(self, architecture: Architecture) -> float:
        return max(self.measures.of(name, architecture) / limit for name, limit in self.limits.items())

    def broken(self, architecture: Architecture) -> str:
        """Which limits are exceeded, in words."""
        found = {name: self.measures.of(name, architecture) for name in self.limits}
        return ", ".join(
            f"{name} {found[name]:,.6g} > {limit:,.6g}" for name, limit in self.limits.items() if found[name] > limit
        )


def broken_limits(space: Space, architecture: Architecture) -> str | None:
    """The limits of a space's constraint that an architecture of the whole space exceeds, in words; None: legal."""
    if space.whole is space or architecture in space:
        return None
    limit = getattr(space, "amount", None)
    return limit.broken(architecture) if isinstance(limit, Excess) else str(architecture)


def view(space: Space, constraint: Constraint, measures: Measures) -> Within:
    """The space through the limits.

    The least possible of every limited quantity is found over all architectures of a small space, and by descents
    from random starts in a large one, which is exact where the quantity adds up over decisions.

    Raises:
        StudyError: no architecture satisfies the constraint; says the least there is.
    """
    limits = constraint.limits
    if METRIC in limits and measures.latency is None:
        raise StudyError(
            f"the constraint limits `{METRIC}`, but the problem has no latency; "
            'declare one, such as latency = { use = "block-table", path = "blocks.csv" }.'
        )
    if set(limits) - {METRIC} and space.networks is None:
        raise StudyError(f"space `{space.name}` has no networks whose params or macs could be limited.")
    rng = np.random.default_rng(0)
    for name, limit in limits.items():
        least = cheapest(space, lambda a, name=name: measures.of(name, a), rng)  # type: ignore[misc]
        if measures.of(name, least) > limit:
            raise StudyError(
                f"no architecture of `{space.name}` has `{name}` of at most {limit:,.6g}: the least found is "
                f"{measures.of(name, least):,.6g} ({least}); raise the limit."
            )
    excess = Excess(measures, limits)
    anchor = cheapest(space, excess, rng)
    if excess(anchor) > 1:
        raise StudyError(
            f"each limit of {constraint} can be kept, but no architecture of `{space.name}` was found that keeps to "
            f"all: the nearest has {excess.broken(anchor)} ({anchor}); raise a limit."
        )
    return Within(space, 1.0, excess, anchor)
