"""One-shot search: how a supernet is trained x how it is searched afterwards."""

from __future__ import annotations

from searchbench.strategies.oneshot.bounded import Bounded
from searchbench.strategies.oneshot.composition import OneShot, Recalibration, Split
from searchbench.strategies.oneshot.evolution import SposEvolution
from searchbench.strategies.oneshot.samplers import (
    Attentive,
    MacsStratified,
    PathDropout,
    Sandwich,
    StrictFair,
    Successive,
    Together,
    Uniform,
)
from searchbench.strategies.oneshot.screening import RandomScreening
from searchbench.strategies.oneshot.teaching import InPlaceDistillation, Labels

__all__ = [
    "Attentive",
    "Bounded",
    "InPlaceDistillation",
    "Labels",
    "MacsStratified",
    "OneShot",
    "PathDropout",
    "RandomScreening",
    "Recalibration",
    "Sandwich",
    "Split",
    "SposEvolution",
    "StrictFair",
    "Successive",
    "Together",
    "Uniform",
]
