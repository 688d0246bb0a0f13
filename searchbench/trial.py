"""What a search proposes and what comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from searchbench.cost import Cost

if TYPE_CHECKING:  # the one type-only upward import: a proposal carries an architecture, never looks inside
    from searchbench.spaces.space import Architecture

Status = Literal["ok", "error", "nan", "timeout", "memory"]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How closely an evaluation resembles the real thing. None means the estimator's full value.

    Raises:
        ValueError: a given field is not positive.
    """

    epochs: float | None = None
    """Training epochs."""
    subset: float | None = None
    """Share of the training split, in (0, 1]."""
    width: float | None = None
    """Multiplier of the channels."""
    resolution: float | None = None
    """Multiplier of the image side."""

    def __post_init__(self) -> None:
        for name in ("epochs", "subset", "width", "resolution"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"a fidelity's `{name}` must be positive, but got {value!r}.")

    def __str__(self) -> str:
        given = [(n, getattr(self, n)) for n in ("epochs", "subset", "width", "resolution")]
        return ", ".join(f"{n}={v:g}" for n, v in given if v is not None) or "full"


FULL = Fidelity()


@dataclass(frozen=True, slots=True)
class Proposal:
    """An architecture a search asks to have measured."""

    architecture: Architecture
    fidelity: Fidelity = FULL
    resume: int | None = None
    """Number of an earlier trial of the same architecture whose training is to be continued; where the estimator can
    continue, only the increment is charged."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an estimator saw: a validation value to minimise, and named metrics (never of test data)."""

    value: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a proposal. A failed one has value NaN, and is told to the search like any other."""

    number: int
    """Position in the run, from 0."""
    architecture: Architecture
    fidelity: Fidelity
    status: Status
    value: float
    """Validation value to minimise; NaN where the evaluation failed."""
    cost: Cost
    """What this trial was charged."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    """Why it failed."""
    cached: bool = False
    """Served from memory under the study's `duplicates = "cache"` policy, free of charge."""

    @property
    def failed(self) -> bool:
        return self.status != "ok"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The architecture a search would hand over if it ended now."""

    after: int
    """Trials finished when it was made."""
    architecture: Architecture
    value: float
    """The validation value it was chosen by; NaN where the search gave none."""
    spent: Cost
    """Everything the run had spent by then."""


def better(value: float, incumbent: float) -> bool:
    """Whether `value` is strictly lower than `incumbent`; NaN is worse than everything."""
    return not math.isnan(value) and (math.isnan(incumbent) or value < incumbent)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The judge's verdict on the one architecture a run handed over."""

    status: Status
    test_error: float
    """Test error in [0, 1] (or the task's test value, lower is better); NaN where judging failed."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Everything else measured: params, macs, …"""
    cost: Cost = field(default_factory=Cost)
    """What judging cost; not part of the search's budget."""
    error: str | None = None
