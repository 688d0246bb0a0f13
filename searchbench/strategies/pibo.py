"""piBO: Bayesian optimisation whose acquisition is weighed by what somebody believes, ever less."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.acquisition import ExpectedImprovement, Predict
from searchbench.strategies.model_based import Candidates, ModelBased, RandomAndNear
from searchbench.strategies.priors import prior_of
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.surrogates import GaussianProcess


class SpaceBelief(Protocol):
    """What is believed of a space's architectures."""

    def density(self, architecture: Architecture) -> float: ...
    def sample(self, rng: np.random.Generator) -> Architecture: ...


class Unplaced(Protocol):
    """A belief that is not yet about any one space."""

    def __hash__(self) -> int: ...
    def unfit(self, space: Space) -> str | None:
        """Why nobody can believe this of a space, or None."""

    def of(self, space: Space) -> SpaceBelief: ...


@lru_cache(maxsize=8)
def placed(prior: Unplaced, space: Space) -> SpaceBelief:
    """The belief about a space, made once: it may have tables to read."""
    return prior.of(space)


@dataclass(frozen=True, slots=True)
class Believed:
    """EI(x) pi(x)^(beta / n), n the values known besides the initial designs.

    Args:
        prior: pi.
        beta: how long it counts.
        improvement: EI.

    Raises:
        StudyError: `beta` is negative.

    Source: Hvarfner et al. 2022, "piBO: augmenting acquisition functions with user beliefs for Bayesian optimization",
        equation 5; beta = 10.
    """

    prior: Unplaced
    beta: float = 10.0
    improvement: ExpectedImprovement = field(default_factory=ExpectedImprovement)

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise StudyError(f"`beta` must not be negative, but got {self.beta!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return self.prior.unfit(scenario.space)

    def start(self) -> Weighing:
        return Weighing(self)


class Weighing:
    """`Believed` within one run."""

    def __init__(self, settings: Believed) -> None:
        self._settings = settings
        self._weights: Array = np.ones(0)

    def consider(self, space: Space, candidates: Sequence[Architecture], known: int) -> None:
        belief = placed(self._settings.prior, space)
        densities = np.array([belief.density(candidate) for candidate in candidates])
        self._weights = densities ** (self._settings.beta / max(known, 1))

    def pick(self, encodings: Array, predict: Predict, best: float, count: int, rng: np.random.Generator) -> list[int]:
        scores = self._settings.improvement.scores(*predict(encodings), best, rng) * self._weights
        order: list[int] = np.argsort(scores, kind="stable")[:count].tolist()
        return order


@dataclass(frozen=True, slots=True)
class WithBelieved:
    """Other candidates, and draws from a prior."""

    prior: Unplaced
    believed: int = 200
    others: Candidates = field(default_factory=RandomAndNear)

    def __post_init__(self) -> None:
        if self.believed < 0:
            raise StudyError(f"draws of a prior (`believed`) cannot be fewer than 0, but got {self.believed}.")

    def list(
        self, space: Space, ranked: list[Architecture], seen: set[Hashable], rng: np.random.Generator
    ) -> list[Architecture]:
        belief = placed(self.prior, space)
        drawn = [belief.sample(rng) for _ in range(self.believed)]
        found = {a.identity: a for a in drawn if a.identity not in seen}
        return [*found.values(), *(a for a in self.others.list(space, ranked, seen, rng) if a.identity not in found)]


def pibo(
    prior: Mapping[str, Any] | tuple[tuple[str, Any], ...],
    confidence: float = 0.5,
    beta: float = 10.0,
    initial: int = 10,
    batch: int = 1,
    restarts: int = 2,
) -> ModelBased:
    """Gaussian-process optimisation with a belief about the best architecture.

    ``use = "pibo", prior = { optimizer = "sgd", learning_rate = 0.1 }, confidence = 0.75``

    Args:
        prior: values of some decisions.
        confidence: see `Prior`.
        beta: see `Believed`.
        initial, batch, restarts: as in `gp`.

    Raises:
        StudyError: a value is out of range.

    Source: Hvarfner et al. 2022, "piBO: augmenting acquisition functions with user beliefs for Bayesian optimization".
    Differs: initial designs are those of the common stream, not of the prior; candidates as in `gp`, with 200 draws
        from the prior.
    """
    believed = prior_of(prior, confidence)
    return ModelBased(
        GaussianProcess(restarts),
        Believed(believed, beta),
        WithBelieved(believed),
        initial=initial,
        batch=batch,
    )
