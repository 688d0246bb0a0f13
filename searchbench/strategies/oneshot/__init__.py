"""One-shot search: how a supernet is trained x how it is searched afterwards."""

from __future__ import annotations

from searchbench.strategies.oneshot.composition import OneShot, Recalibration
from searchbench.strategies.oneshot.evolution import SposEvolution
from searchbench.strategies.oneshot.samplers import Uniform
from searchbench.strategies.oneshot.screening import RandomScreening

__all__ = ["OneShot", "RandomScreening", "Recalibration", "SposEvolution", "Uniform"]
