"""Axis D, continued: the architecture handed over is the best of some that are drawn and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.space import Space
from searchbench.spaces.topology import Topology
from searchbench.strategies.differentiable.connect import Chosen, Weights
from searchbench.strategies.differentiable.discretise import Discretise, SpaceRule


@runtime_checkable
class Electing(Protocol):
    """A discretisation that measures, at the end of the search."""

    @property
    def draws(self) -> int:
        """How many architectures it measures, each on a minibatch of the architecture's data."""

    def elect(
        self, weights: Weights, topology: Topology, accuracy: Callable[[Chosen], float], rng: np.random.Generator
    ) -> Chosen:
        """The architecture handed over.

        Args:
            weights: of the operations, [decisions, options].
            topology: of the space.
            accuracy: of one architecture with the supernet's weights, on the next minibatch.
            rng: the strategy's own stream.
        """


@dataclass(frozen=True, slots=True)
class Finalists:
    """The most accurate of `draws` architectures, each measured on a minibatch with the supernet's weights: what
    `rule` derives of the weights themselves, and of weights with Gumbel noise on their logarithms, which draws every
    edge's operation with its probability. Of equals the first.

    Source: Dong & Yang 2019, "One-shot neural architecture search via self-evaluated template network", section 3.3,
    and its code for NAS-Bench-201 (100 of them, which are the likeliest there).

    Raises:
        StudyError: `draws` is below 1.
    """

    rule: Discretise = field(default_factory=SpaceRule)
    draws: int = 100

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise StudyError(f"finalists (`draws`) must be at least 1 architecture, but got {self.draws}.")

    @property
    def projects(self) -> bool:
        return self.rule.projects

    def protocol(self, topology: Topology) -> str:
        return f"best of {self.draws} measured: {self.rule.protocol(topology)}"

    def leaves_none(self, topology: Topology) -> bool:
        return self.rule.leaves_none(topology)

    def choose(self, weights: Weights, topology: Topology) -> Chosen:
        return self.rule.choose(weights, topology)

    def elect(
        self, weights: Weights, topology: Topology, accuracy: Callable[[Chosen], float], rng: np.random.Generator
    ) -> Chosen:
        candidates = [self.choose(weights, topology)]
        with np.errstate(divide="ignore"):  # what weighs nothing is never drawn
            logs = np.log(weights)
        for _ in range(self.draws - 1):
            noisy = logs + rng.gumbel(size=logs.shape)
            candidates.append(self.choose(np.exp(noisy - noisy.max()), topology))
        accuracies = [accuracy(candidate) for candidate in candidates]
        return candidates[int(np.argmax(accuracies))]

    def unsupported(self, space: Space) -> str | None:
        return self.rule.unsupported(space)
