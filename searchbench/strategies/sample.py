"""A fixed list of architectures as a search, and the list that rankings are measured on: a stratified sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.strategy import AskTellSearch, Scenario
from searchbench.trial import Proposal, Trial

LISTED = 20_000
"""Spaces of up to as many points are listed, larger ones probed."""
PROBES = 50
"""Random architectures per architecture of the sample, in a space too large to list."""


@dataclass(frozen=True, slots=True)
class StratifiedSample:
    """Measure the same architectures in every run: distinct ones, equally many from each stratum of
    multiply-accumulates, of which each holds as many architectures of the space.

    What is drawn depends on the space and on `draw`, not on the replicate, so that every supernet of a study scores,
    and every table or judge answers for, the same architectures. As the second half of a one-shot search it makes
    `searchbench ranking` compare inherited weights with the truth.

    Args:
        architectures: how many; all of them where the space has no more.
        strata: into how many parts the space is cut.
        draw: another number, another sample.

    Raises:
        StudyError: a value is out of range.

    Source: Chu, Zhang & Xu 2021 (FairNAS), section 4.3, and Yang et al. 2020, section 5.3, rank such samples.
    Differs: FairNAS takes 13 models evenly spaced in multiply-accumulates; here strata are quantiles.
    """

    architectures: int = 200
    strata: int = 5
    draw: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.strata <= self.architectures:
            raise StudyError(
                "1 <= `strata` <= `architectures` must hold, "
                f"but got strata={self.strata}, architectures={self.architectures}."
            )

    def unsupported(self, scenario: Scenario) -> str | None:
        if scenario.macs is None:
            return (
                f"it stratifies by multiply-accumulates, and space `{scenario.space.name}` has no networks of images "
                "to count them in."
            )
        return None

    def start(self, scenario: Scenario) -> AskTellSearch:
        assert scenario.macs is not None, "refused when the study is planned"
        return Listed(self.chosen(scenario.space, scenario.macs))

    def chosen(self, space: Space, macs: Callable[[Architecture], float]) -> list[Architecture]:
        """The sample, one of each stratum in turn: its beginning is stratified too."""
        rng = np.random.default_rng([self.draw, self.architectures, self.strata])
        known = sorted(self._distinct(space, rng), key=macs)  # stable: the order of equals is that of the listing
        parts = np.array_split(np.arange(len(known)), self.strata)
        wanted = [len(part) for part in np.array_split(np.arange(self.architectures), self.strata)]
        picks = [rng.choice(part, min(n, len(part)), replace=False) for part, n in zip(parts, wanted, strict=True)]
        turns = zip_longest(*(pick.tolist() for pick in picks))
        return [known[at] for turn in turns for at in turn if at is not None]

    def _distinct(self, space: Space, rng: np.random.Generator) -> list[Architecture]:
        """One architecture per key, of a listing or of random draws."""
        if space.size <= LISTED:
            points = list(space.enumerate())
        else:
            points = [space.sample(rng) for _ in range(PROBES * self.architectures)]
        first: dict[str, Architecture] = {}
        for architecture in points:
            first.setdefault(architecture.key, architecture)
        return list(first.values())


class Listed:
    """An ask/tell search that asks for what it was given, once each."""

    def __init__(self, architectures: Sequence[Architecture]) -> None:
        self._left = list(architectures)

    def ask(self) -> Proposal | None:
        return Proposal(self._left.pop(0)) if self._left else None

    def tell(self, trial: Trial) -> None:
        pass
