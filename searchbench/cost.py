"""What was spent, as a vector, and the limits on it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields

from searchbench.errors import StudyError, did_you_mean


@dataclass(frozen=True, slots=True)
class Cost:
    """One charge, or a sum of charges. Axes add, except `peak_memory_bytes`, of which the maximum is kept."""

    evaluations: int = 0
    """Architectures measured by the problem's estimator."""
    epochs: float = 0.0
    """Passes over the task's training split (a pass over half of it is 0.5)."""
    train_samples: int = 0
    """Samples sent forward and backward."""
    inference_samples: int = 0
    """Samples sent forward only."""
    macs: int = 0
    """Multiply-accumulates: 3 x forward for a training sample, 1 x forward for an inference sample."""
    device_s: float = 0.0
    """Seconds the device was held by the harness (wall clock; not deterministic)."""
    host_s: float = 0.0
    """CPU seconds of the strategy's own code: ask, tell, surrogate, controller (not deterministic)."""
    simulated_s: float = 0.0
    """Seconds recorded in a table for what was looked up."""
    peak_memory_bytes: int = 0
    """Highest memory seen (not deterministic)."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.evaluations + other.evaluations,
            self.epochs + other.epochs,
            self.train_samples + other.train_samples,
            self.inference_samples + other.inference_samples,
            self.macs + other.macs,
            self.device_s + other.device_s,
            self.host_s + other.host_s,
            self.simulated_s + other.simulated_s,
            max(self.peak_memory_bytes, other.peak_memory_bytes),
        )

    @property
    def samples(self) -> int:
        """Sample passes: training and inference samples together."""
        return self.train_samples + self.inference_samples

    @property
    def seconds(self) -> float:
        """Device seconds, or the simulated seconds that stand in for them on a table."""
        return self.device_s + self.simulated_s


COST_AXES = tuple(f.name for f in fields(Cost))
DETERMINISTIC_AXES = ("evaluations", "epochs", "train_samples", "inference_samples", "macs", "simulated_s")
"""The axes that a rerun of the same seed reproduces exactly."""

BUDGET_AXES = ("evaluations", "epochs", "samples", "macs", "seconds")


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on a run; the first exhausted ends it. At least one axis must be limited.

    Every axis but `seconds` is priced beforehand and never exceeded, and gives the same run on any machine. Real
    seconds are known only afterwards: an evaluation that ends after the limit is a failed trial, and the run ends. On
    a table seconds are the recorded ones, and exact.

    Raises:
        StudyError: no axis is limited, or a limit is not a positive number.
    """

    evaluations: float | None = None
    epochs: float | None = None
    samples: float | None = None
    macs: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for axis, limit in self.limits.items():
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise StudyError(f"`budget.{axis}` must be a number, but got {limit!r}.")
            if not 0 < limit <= sys.float_info.max:
                raise StudyError(f"`budget.{axis}` must be positive and finite, but got {limit!r}.")
        if not self.limits:
            raise StudyError(
                f"a budget must limit at least one of {', '.join(BUDGET_AXES)}, but it limits none; "
                "write for example budget = { evaluations = 100 }."
            )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, float]) -> Budget:
        """A budget from a study file's table. Raises StudyError on an unknown axis."""
        for axis in mapping:
            if axis not in BUDGET_AXES:
                raise StudyError(f"unknown budget axis `{axis}`; {did_you_mean(axis, BUDGET_AXES)}")
        return cls(**mapping)

    @property
    def limits(self) -> dict[str, float]:
        """The limited axes and their limits."""
        return {axis: getattr(self, axis) for axis in BUDGET_AXES if getattr(self, axis) is not None}

    def first_exceeded(self, total: Cost) -> str | None:
        """The first axis on which `total` is over its limit (beyond rounding), or None."""
        for axis, limit in self.limits.items():
            if getattr(total, axis) > limit * (1 + 1e-12):
                return axis
        return None

    def __str__(self) -> str:
        return ", ".join(f"{axis} ≤ {limit:,.10g}" for axis, limit in self.limits.items())
