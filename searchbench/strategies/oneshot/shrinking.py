"""Progressive shrinking: the largest path first, then ever smaller kernels, depths and widths beside it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from searchbench.errors import StudyError
from searchbench.strategies.oneshot.samplers import Draw
from searchbench.strategies.strategy import Scenario

if TYPE_CHECKING:
    from searchbench.spaces.networks import Supernet

WHOLE, KERNELS, STEP, LAST = 180, 120, 25, 120
"""Relative lengths of the phases: the released epochs of the whole network, of kernels, of a step of depth or width
that is not the last of them, and of the last."""
DIMENSIONS = ("kernel", "depth", "expansion")


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the training."""

    length: int
    """Relative to the others."""
    opened: Mapping[str, int]
    """By dimension, how many options there are to choose from, counted from the largest."""
    paths: int
    """That share an update."""


@dataclass(frozen=True, slots=True)
class ProgressiveShrinking:
    """Train the largest path; then smaller kernels too; then shallower stages, one layer less at a time; then narrower
    layers, one expansion less at a time. What has been opened stays open; everything open is drawn uniformly.

    phases (of the released epochs): whole 180, kernels 120, depth 25 + 120, width 25 + 120
    paths per update: 1, 1, 2, 4, whose gradients add up

    As the whole path has been trained, it becomes the teacher of all that follows. Before narrower layers are trained,
    the channels of every layer are sorted by the sum of |weights| that read them, so that what is cut off matters
    least; channels that an earlier step cut off stay where they are.

    Source: Cai et al. 2020, "Once-for-all: train one network and specialize it for efficient deployment", section 3.3,
        and its code.
    Differs: one training along one cosine, where each phase of the code has its own with a warm-up; images keep their
        size.
    """

    def unsupported(self, scenario: Scenario) -> str | None:
        dimensions = {decision.name.partition(" ")[0] for decision in scenario.space.decisions}
        if dimensions != set(DIMENSIONS):
            return (
                f"it opens depths, kernels and expansions one after the other, which `{scenario.space.name}` does not "
                "have as decisions; see `mobile-ofa`."
            )
        return None

    def plan(self, supernet: Supernet) -> list[Phase]:
        """The phases of a supernet."""
        options = dict(zip(_dimensions(supernet), supernet.options, strict=True))
        opened = dict.fromkeys(DIMENSIONS, 1)
        found = [Phase(WHOLE, dict(opened), 1)]
        if options["kernel"] > 1:
            opened["kernel"] = options["kernel"]
            found.append(Phase(KERNELS, dict(opened), 1))
        for dimension, paths in (("depth", 2), ("expansion", 4)):
            for number in range(2, options[dimension] + 1):
                opened[dimension] = number
                found.append(Phase(LAST if number == options[dimension] else STEP, dict(opened), paths))
        return found

    def phase(self, supernet: Supernet, done: float) -> int:
        """The phase at a share of the training, counted from 0."""
        ends = list(accumulate(phase.length for phase in self.plan(supernet)))
        return min(bisect_right(ends, done * ends[-1]), len(ends) - 1)

    def tutored(self, phase: int) -> bool:
        """Whether paths learn from the whole one: after its own phase."""
        return phase > 0

    def enter(self, phase: int, supernet: Supernet) -> None:
        """Sort channels, where narrower layers begin."""
        from searchbench.spaces.layers.elastic import elastic

        before, now = (self.plan(supernet)[at].opened["expansion"] for at in (phase - 1, phase))
        if now > before:
            for layer in elastic(supernet):
                layer.sort(now - 2)

    def over(self, supernet: Supernet) -> Draw:
        plan, dimensions = self.plan(supernet), _dimensions(supernet)
        if set(dimensions) != set(DIMENSIONS):
            raise StudyError("only a supernet of depths, kernels and expansions can be shrunk.")

        def draw(rng: np.random.Generator, done: float) -> tuple[tuple[int, ...], ...]:
            phase = plan[self.phase(supernet, done)]
            open_ = [phase.opened[dimension] for dimension in dimensions]
            first = np.subtract(supernet.options, open_)
            return tuple(tuple((first + rng.integers(open_)).tolist()) for _ in range(phase.paths))

        return draw


def _dimensions(supernet: Supernet) -> list[str]:
    """What every decision of a supernet is about."""
    space = supernet.architecture((0,) * len(supernet.options)).space
    return [decision.name.partition(" ")[0] for decision in space.decisions]
