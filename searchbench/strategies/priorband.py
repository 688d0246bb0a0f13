"""PriorBand: Hyperband whose architectures come from what somebody believes, as long as that holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Float, Integer
from searchbench.spaces.space import Architecture
from searchbench.strategies.halving import Finished, Halving, rounds
from searchbench.strategies.priors import Prior, perturbed, prior_of
from searchbench.strategies.rungs import Bracket, check_halving, no_rungs
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Trial


@dataclass(frozen=True, slots=True)
class PriorBand:
    """Hyperband; what begins a bracket at rung r is drawn uniformly with probability 1 / (1 + eta^r), and else from the
    prior or around the incumbent, the best at the longest training so far.

    From the prior, until one training is complete, as many epochs as the first bracket's are spent, and some rung has
    eta results. Then, of the best K = floor(n / eta) at the highest rung with eta results, the k-th weighing K + 1 - k,
    the prior takes the share of its summed densities, the incumbent that of a prior of the same width around it. The
    incumbent is perturbed: each decision with probability `rate`.

    Args:
        prior: what is believed.
        eta, min_epochs: as in `Hyperband`.
        rate, deviation: of the incumbent's perturbation.

    Raises:
        StudyError: a value is out of range.

    Source: Mallik et al. 2023, "PriorBand: practical hyperparameter optimization in the age of deep learning", section
        5 and Algorithm 2; rate .5 and deviation .25 of the released code (NePS).
    Differs: the incumbent is the best of the longest trainings, where NePS takes the least value of any length; a
        decision of the density counts relative to a uniform one; brackets as in `Hyperband`.
    """

    prior: Prior
    eta: int = 3
    min_epochs: float | None = None
    rate: float = 0.5
    deviation: float = 0.25

    def __post_init__(self) -> None:
        check_halving(self.eta, self.min_epochs)
        if not 0 < self.rate <= 1:
            raise StudyError(f"`rate` is a probability above 0, but got {self.rate!r}.")
        if not self.deviation > 0:
            raise StudyError(f"`deviation` must be positive, but got {self.deviation!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        for decision in scenario.space.decisions:
            if not isinstance(decision, Choice | Integer | Float):
                return f"it has no distribution for `{decision.name}`, a {type(decision).__name__}"
        return no_rungs(self.min_epochs, scenario) or self.prior.unfit(scenario.space)

    def start(self, scenario: Scenario) -> Halving:
        table = rounds(self.eta, self.min_epochs, scenario)
        return Halving(table, Believing(self, scenario, table))


def priorband(
    prior: Mapping[str, Any] | tuple[tuple[str, Any], ...],
    confidence: float = 0.5,
    eta: int = 3,
    min_epochs: float | None = None,
    rate: float = 0.5,
    deviation: float = 0.25,
) -> PriorBand:
    """Hyperband with a belief about the best architecture.

    ``use = "priorband", prior = { optimizer = "sgd", learning_rate = 0.1 }, confidence = 0.75``

    Args:
        prior: values of some decisions.
        confidence: see `Prior`.
        eta, min_epochs, rate, deviation: see `PriorBand`.

    Raises:
        StudyError: a value is out of range.

    Source: see `PriorBand`.
    Differs: as `PriorBand`.
    """
    return PriorBand(prior_of(prior, confidence), eta, min_epochs, rate, deviation)


class Believing:
    """Draws uniformly, from the prior, or around the incumbent."""

    def __init__(self, settings: PriorBand, scenario: Scenario, table: tuple[Bracket, ...]) -> None:
        self._settings, self._space = settings, scenario.space
        self._belief = settings.prior.of(scenario.space)
        self._designs, self._rng = scenario.seeds.rng("init"), scenario.seeds.rng("search")
        self._rungs = sorted({epochs for bracket in table for epochs in bracket.epochs})
        self._first = table[0].cost_resumed
        self._came: dict[float, list[Finished]] = {epochs: [] for epochs in self._rungs}

    def draw(self, epochs: float) -> Architecture:
        shares = self.shares(epochs)
        how = int(self._rng.choice(3, p=shares))
        if how == 0:
            return self._space.sample(self._designs)
        if how == 1:
            return self._belief.sample(self._rng)
        return perturbed(self.incumbent, self._settings.rate, self._settings.deviation, self._rng)

    def shares(self, epochs: float) -> tuple[float, float, float]:
        """Probabilities of a uniform draw, of the prior, and of the incumbent, for a bracket that begins there."""
        uniform = 1 / (1 + self._settings.eta ** self._rungs.index(epochs))
        if not self._decided:
            return uniform, 1 - uniform, 0.0
        enough = max(e for e, came in self._came.items() if len(came) >= self._settings.eta)
        ranked = sorted(self._came[enough])
        best = ranked[: len(ranked) // self._settings.eta]
        weights = np.arange(len(best), 0, -1)
        around = self._belief.around(self.incumbent)
        prior, incumbent = (
            float(weights @ [belief.density(finished.architecture) for finished in best])
            for belief in (self._belief, around)
        )
        share = prior / (prior + incumbent)
        return uniform, (1 - uniform) * share, (1 - uniform) * (1 - share)

    @property
    def _decided(self) -> bool:
        """Whether enough is known for an incumbent."""
        steps = np.diff([0.0, *self._rungs])
        spent = sum(step * len(came) for step, came in zip(steps, self._came.values(), strict=True))
        some = any(len(came) >= self._settings.eta for came in self._came.values())
        return bool(self._came[self._rungs[-1]]) and spent >= self._first and some

    @property
    def incumbent(self) -> Architecture:
        """The best at the longest training that anything has come back of."""
        longest = max(epochs for epochs, came in self._came.items() if came)
        return min(self._came[longest]).architecture

    def learn(self, trial: Trial) -> None:
        if not trial.failed:
            self._came[trial.fidelity.epochs or 0.0].append(Finished(trial.value, trial.number, trial.architecture))
