"""Model-based search: fit a surrogate to what is known, measure what an acquisition picks among some candidates.

One search, put together from parts; Gaussian-process and forest optimisation and BANANAS are compositions of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture, Array, Space, Values
from searchbench.strategies.acquisition import Acquisition, Considering, Hedge, IndependentThompson, Predict, Score
from searchbench.strategies.mlp import MlpEnsemble
from searchbench.strategies.optional import Restricted, check_part
from searchbench.strategies.random import Unseen
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.surrogates import Forest, GaussianProcess, Surrogate, finite
from searchbench.trial import Proposal, Trial

REMEMBERED = 20_000
"""Encodings kept by a search: all of a small space, and little memory."""
Measured = tuple[float, Architecture]
Scoring = Callable[[Sequence[Architecture]], Array]
"""Architectures -> their scores by the acquisition, [n], lower is better."""


class Candidates(Protocol):
    """What an acquisition chooses among."""

    def list(
        self, space: Space, ranked: list[Architecture], seen: set[Hashable], rng: np.random.Generator
    ) -> list[Architecture]:
        """Distinct architectures whose identities are not in `seen`. `ranked`: all measured ones, the best first."""


@runtime_checkable
class Led(Protocol):
    """What finds by itself what is measured, where scores lead it."""

    def led(
        self,
        space: Space,
        measured: list[Measured],
        seen: set[Hashable],
        score: Scoring,
        count: int,
        rng: np.random.Generator,
    ) -> list[Architecture]:
        """Distinct architectures whose identities are not in `seen`, at most `count`, the best first. `measured`: with
        their values, the best first."""


@dataclass(frozen=True, slots=True)
class RandomAndNear:
    """Random draws, and one-decision mutations of the best few."""

    random: int = 1000
    near: int = 100
    parents: int = 5

    def __post_init__(self) -> None:
        if min(self.random, self.near) < 0 or self.random + self.near < 1 or self.parents < 1:
            raise StudyError(
                "at least one candidate and one of `parents` are needed, none of them fewer than 0, "
                f"but got {self.random} random ones and {self.near} near {self.parents}."
            )

    def list(
        self, space: Space, ranked: list[Architecture], seen: set[Hashable], rng: np.random.Generator
    ) -> list[Architecture]:
        drawn = space.draws(self.random, rng)
        best = ranked[: self.parents]
        drawn += [space.mutate(best[at % len(best)], rng) for at in range(self.near)]
        found = dict(zip(space.identities(drawn), drawn, strict=True))
        return [a for identity, a in found.items() if identity not in seen]


@dataclass(frozen=True, slots=True)
class Mutations:
    """One-decision mutations of the best measured architecture; of the next best where those leave room."""

    count: int = 100
    tries: int = 100
    """Mutations drawn of each parent."""

    def __post_init__(self) -> None:
        if min(self.count, self.tries) < 1:
            raise StudyError(f"at least one candidate, in one try, is needed, but got {self.count} in {self.tries}.")

    def list(
        self, space: Space, ranked: list[Architecture], seen: set[Hashable], rng: np.random.Generator
    ) -> list[Architecture]:
        found: dict[Hashable, Architecture] = {}
        for parent in ranked:
            for _ in range(self.tries):
                child = space.mutate(parent, rng)
                if child.identity not in seen:
                    found.setdefault(child.identity, child)
                if len(found) == self.count:
                    return list(found.values())
        return list(found.values())


@runtime_checkable
class Encoding(Protocol):
    """Architectures as vectors. A search remembers what it encoded."""

    def of(self, space: Space, architecture: Architecture) -> Array:
        """[D]."""


@runtime_checkable
class EncodingAtOnce(Protocol):
    """An encoding that makes many vectors in less time than it takes to look them up."""

    def of_each(self, space: Space, architectures: Sequence[Architecture]) -> Array:
        """[n, D]."""


@dataclass(frozen=True, slots=True)
class OneHot:
    """Categoricals one-hot, numbers scaled to [0, 1], inactive decisions all zero."""

    def of(self, space: Space, architecture: Architecture) -> Array:
        return space.encode(architecture)

    def of_each(self, space: Space, architectures: Sequence[Architecture]) -> Array:
        return space.encodings(architectures)


@dataclass(frozen=True, slots=True)
class Paths:
    """A bit per operation sequence from input to output, the `first` shortest; one-hot in spaces without paths."""

    first: int | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.first < 1:
            raise StudyError(f"at least one of the shortest paths is needed, but got {self.first}.")

    def of(self, space: Space, architecture: Architecture) -> Array:
        return space.encode(architecture, "one-hot" if space.paths is None else "path")[: self.first]


@dataclass(frozen=True, slots=True)
class ModelBased:
    """Random designs; then, again and again: fit the surrogate to all values, list candidates that were never
    proposed, measure the `batch` that the acquisition picks.

    Args:
        surrogate: `GaussianProcess()`, `Forest()` or `MlpEnsemble()`.
        acquisition: `ExpectedImprovement()`, `ProbabilityOfImprovement()`, `LowerConfidenceBound()`,
            `IndependentThompson()` or `Hedge()`.
        candidates: `RandomAndNear()`, `Mutations()` or `MorphismTree()`.
        encoding: `OneHot()` or `Paths()`.
        initial: random designs of the common stream.
        batch: measured per fit.

    Raises:
        StudyError: `initial` or `batch` is not a positive integer, a part is none, or the acquisition is no score of
            each candidate where candidates are led by it.

    Source: Jones et al. 1998; Shahriari et al. 2016.
    Differs: a failed evaluation counts as the worst value seen, a value beyond 1e100 as that. With several workers,
        what is under way is only left out of the candidates.
    """

    surrogate: Surrogate = field(default_factory=GaussianProcess)
    acquisition: Acquisition = field(default_factory=Hedge)
    candidates: Candidates | Led = field(default_factory=RandomAndNear)
    encoding: Encoding = field(default_factory=OneHot)
    initial: int = 10
    batch: int = 1

    def __post_init__(self) -> None:
        for name, kind in (("surrogate", Surrogate), ("acquisition", Acquisition), ("encoding", Encoding)):
            check_part(name, getattr(self, name), kind)
        for name in ("initial", "batch"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise StudyError(f"`{name}` must be a positive integer, but got {value!r}.")
        if isinstance(self.candidates, Led) and not isinstance(self.acquisition, Score):
            raise StudyError(
                f"`{type(self.candidates).__name__}` is led by a score of each candidate, but `acquisition` is "
                f"{self.acquisition!r}; take `ExpectedImprovement()`, `ProbabilityOfImprovement()` or "
                "`LowerConfidenceBound()`."
            )

    def unsupported(self, scenario: Scenario) -> str | None:
        parts = (self.encoding, self.acquisition)
        reasons = (part.unsupported(scenario) for part in parts if isinstance(part, Restricted))
        return next((reason for reason in reasons if reason is not None), None)

    def start(self, scenario: Scenario) -> Modelling:
        return Modelling(self, scenario)


def gaussian_process(
    initial: int = 10, acquisition: Acquisition | None = None, restarts: int = 2, batch: int = 1
) -> ModelBased:
    """Gaussian-process optimisation with a hedged acquisition.

    Args:
        initial, acquisition, batch: see `ModelBased`.
        restarts: see `GaussianProcess`.

    Source: Snoek et al. 2012; kernels and defaults of scikit-optimize's `gp_minimize`.
    Differs: 1,000 random candidates and 100 mutations of the five best (scikit-optimize: 10,000 random ones, refined
        by gradient where there are real decisions); hyper-parameters are refitted when the data have grown by a tenth.
    """
    return ModelBased(GaussianProcess(restarts), acquisition or Hedge(), initial=initial, batch=batch)


def forest(
    initial: int = 10,
    acquisition: Acquisition | None = None,
    trees: int = 100,
    extremely_random: bool = False,
    batch: int = 1,
) -> ModelBased:
    """Forest optimisation with a hedged acquisition.

    Args:
        initial, acquisition, batch: see `ModelBased`.
        trees, extremely_random: see `Forest`.

    Source: Hutter et al. 2011 (SMAC); defaults of scikit-optimize's `forest_minimize`.
    Differs: candidates as in `gaussian_process`.
    """
    surrogate = Forest(trees, extremely_random=extremely_random)
    return ModelBased(surrogate, acquisition or Hedge(), initial=initial, batch=batch)


def bananas(
    initial: int = 10,
    batch: int = 10,
    candidates: int = 100,
    first_paths: int | None = None,
    acquisition: Acquisition | None = None,
    members: int = 5,
    layers: int = 10,
    width: int = 20,
    epochs: int = 150,
) -> ModelBased:
    """Ensemble of small networks on the path encoding, independent Thompson sampling among mutations of the best.

    y_i ~ N(mean_i, std_i) over the ensemble, for each candidate i;  the `batch` smallest are measured

    Args:
        initial: random designs.
        batch: k, measured per fit of the ensemble.
        candidates: mutations of the best among which it chooses.
        first_paths: keep only that many of the shortest paths (the paper: 40 on NAS-Bench-101, 30 on 201); None: all.
        acquisition: another one, to ablate.
        members, layers, width, epochs: of the ensemble.

    Source: White et al. 2021, "BANANAS: Bayesian Optimization with Neural Architectures …", Algorithm 1, section 5.
    Differs: values are standardised before the fit; a space without paths is encoded one-hot.
    """
    ensemble = replace(MlpEnsemble(), members=members, layers=layers, width=width, epochs=epochs)
    return ModelBased(
        ensemble, acquisition or IndependentThompson(), Mutations(candidates), Paths(first_paths), initial, batch
    )


class Modelling:
    """The live search. Any number of proposals may be under way at a time."""

    def __init__(self, settings: ModelBased, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._rng = scenario.seeds.rng("search")
        self._unseen = Unseen(scenario.space, scenario.seeds.rng("init"))
        self._surrogate = settings.surrogate.start(scenario.space)
        self._acquisition = settings.acquisition.start()
        self._designed = 0
        self._queue: list[Architecture] = []
        self._measured: list[tuple[float, Architecture]] = []
        self._encoded: list[Array] = []
        self._encodings: dict[Values, Array] = {}
        """Of what was a candidate before, up to `REMEMBERED`."""

    def ask(self) -> Proposal | None:
        known = max(self._designed, len(self._measured))
        if known < self._settings.initial or not any(math.isfinite(v) for v, _ in self._measured):
            self._designed += 1
            return self._design()
        if not self._queue:
            self._queue = self._pick()
        while self._queue:
            architecture = self._queue.pop(0)
            if self._unseen.add(architecture):
                return Proposal(architecture)
        return self._design()

    def _design(self) -> Proposal | None:
        architecture = self._unseen.draw()
        return None if architecture is None else Proposal(architecture)

    def _pick(self) -> list[Architecture]:
        ranked = sorted(self._measured, key=lambda pair: pair[0])
        if isinstance(self._settings.candidates, Led):
            return self._follow(self._settings.candidates, ranked)
        candidates = self._settings.candidates.list(self._space, [a for _, a in ranked], self._unseen.seen, self._rng)
        if not candidates:
            return []
        predict, best = self._fit()
        encodings = self._encode(candidates)
        if isinstance(self._acquisition, Considering):
            self._acquisition.consider(self._space, candidates, len(self._measured) - self._settings.initial)
        count = min(self._settings.batch, len(candidates))
        return [candidates[at] for at in self._acquisition.pick(encodings, predict, best, count, self._rng)]

    def _follow(self, candidates: Led, ranked: list[Measured]) -> list[Architecture]:
        (predict, best), acquisition = self._fit(), self._settings.acquisition
        assert isinstance(acquisition, Score), "refused when it was declared"

        def score(architectures: Sequence[Architecture]) -> Array:
            return acquisition.scores(*predict(self._encode(architectures)), best, self._rng)

        values = finite(np.array([value for value, _ in ranked])).tolist()
        measured = [(value, architecture) for value, (_, architecture) in zip(values, ranked, strict=True)]
        return candidates.led(self._space, measured, self._unseen.seen, score, self._settings.batch, self._rng)

    def _fit(self) -> tuple[Predict, float]:
        """The surrogate fitted to all that is known, and the best value."""
        values = finite(np.array([value for value, _ in self._measured]))
        return self._surrogate.fit(np.array(self._encoded), values, self._rng), float(values.min())

    def tell(self, trial: Trial) -> None:
        self._measured.append((math.inf if trial.failed else trial.value, trial.architecture))
        self._encoded.extend(self._encode([trial.architecture]))

    def _encode(self, architectures: Sequence[Architecture]) -> Array:
        if isinstance(self._settings.encoding, EncodingAtOnce):
            return self._settings.encoding.of_each(self._space, architectures)
        return np.array([self._encoding(architecture) for architecture in architectures])

    def _encoding(self, architecture: Architecture) -> Array:
        known = self._encodings.get(architecture.values)
        if known is None:
            known = self._settings.encoding.of(self._space, architecture)
            if len(self._encodings) < REMEMBERED:
                self._encodings[architecture.values] = known
        return known

    def learn(self, trial: Trial) -> None:
        """It is fitted like any other, stands for an initial design, and is not proposed any more."""
        self._unseen.add(trial.architecture)
        self.tell(trial)
