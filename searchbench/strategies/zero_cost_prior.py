"""Zero-cost proxies as a belief: their ranks as features of a surrogate, and as a prior that counts ever less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from searchbench.errors import StudyError
from searchbench.estimators.earlier import EarlierTrials, earlier_trials
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.model_based import Encoding, ModelBased, OneHot
from searchbench.strategies.pibo import Believed, WithBelieved
from searchbench.strategies.surrogates import Forest
from searchbench.strategies.warm import mean_ranks

UNKNOWN = 0.5
"""Standing of an architecture that no table has: the middle."""


@dataclass(frozen=True, slots=True)
class ByRanks:
    """The belief that proxies rank architectures: pi(x) = 1 - u(x), u the mean rank in all tables on a scale from 0
    (the best) to 1; what does not stand in every table is in the middle.

    Args:
        earlier: tables of proxies' values.

    Raises:
        StudyError: there is no table.
    """

    earlier: tuple[EarlierTrials, ...]

    def __post_init__(self) -> None:
        if not self.earlier:
            raise StudyError("a prior of ranks needs at least one table.")

    def unfit(self, space: Space) -> str | None:
        return None

    def of(self, space: Space) -> RankedBelief:
        """Raises TableError where a table is faulty, StudyError where it is another than when it was declared."""
        return RankedBelief(space, _standing(mean_ranks([table.recorded(space) for table in self.earlier])))


class RankedBelief:
    """The belief about one space."""

    def __init__(self, space: Space, standing: Mapping[Architecture, float]) -> None:
        self._space, self._standing = space, standing
        self._known = list(standing)
        self._below = np.cumsum(1 - np.array(list(standing.values())))

    def density(self, architecture: Architecture) -> float:
        """1 - u."""
        return 1 - self._standing.get(architecture, UNKNOWN)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One that stands in the tables, as often as it is believed in; a uniform draw where none does."""
        if not self._known:
            return self._space.sample(rng)
        return self._known[int(self._below.searchsorted(rng.random() * self._below[-1], side="right"))]


@dataclass(frozen=True, slots=True)
class WithRanks:
    """Another encoding, and the standing in each table on a scale from 0 to 1.

    Source: Krishnakumar et al. 2022, "NAS-Bench-Suite-Zero", section 5: proxies as features of a predictor.
    Differs: ranks, not values, whose scales differ by powers of ten.
    """

    earlier: tuple[EarlierTrials, ...]
    inner: Encoding = field(default_factory=OneHot)

    def of(self, space: Space, architecture: Architecture) -> Array:
        own = [standing.get(architecture, UNKNOWN) for standing in _standings(self.earlier, space)]
        return np.concatenate([self.inner.of(space, architecture), own])


def zero_cost_prior(
    path: str | Sequence[str],
    beta: float = 10.0,
    initial: int = 10,
    batch: int = 1,
    trees: int = 100,
    believed: int = 200,
    architecture: str = "architecture",
    value: str = "value",
    higher_is_better: bool = False,
) -> ModelBased:
    """Forest optimisation that knows how zero-cost proxies rank architectures: each proxy's rank is a feature, and
    expected improvement is multiplied by 1 - mean rank, to a power that falls with every result.

    EI(x) (1 - u(x))^(beta / n), see `ByRanks` and `Believed`

    ``use = "zero-cost-prior", path = ["synflow.csv", "nwot.csv"]``

    Args:
        path: of one table, or of several, as `results.trials().to_csv` writes them from studies of `zero-cost`.
        beta: how long ranks count beside the forest; 0: as features alone.
        initial, batch, trees: as in `forest`.
        believed: candidates drawn by the prior, beside the others.
        architecture, value, higher_is_better: see `EarlierTrials`.

    Raises:
        StudyError: a value is out of range.
        DataMissing: there is no such file.

    Source: Krishnakumar et al. 2022, "NAS-Bench-Suite-Zero: accelerating research on zero cost proxies", section 5;
        Hvarfner et al. 2022, "piBO: augmenting acquisition functions with user beliefs for Bayesian optimization".
    Differs: a random forest, not gradient boosting; ranks, not values; what the proxies cost is no part of the budget,
        and is to be said beside the results.
    """
    paths = (path,) if isinstance(path, str) else tuple(path)
    tables = tuple(earlier_trials(file, architecture, value, higher_is_better) for file in paths)
    belief = ByRanks(tables)
    return ModelBased(
        Forest(trees), Believed(belief, beta), WithBelieved(belief, believed), WithRanks(tables), initial, batch
    )


def _standing(ranks: Mapping[Architecture, float]) -> dict[Architecture, float]:
    """Ranks from 1 on a scale from 0 to 1, of which they take the middles of equal parts."""
    return {a: (rank - 0.5) / len(ranks) for a, rank in ranks.items()}


@lru_cache(maxsize=4)
def _standings(earlier: tuple[EarlierTrials, ...], space: Space) -> tuple[dict[Architecture, float], ...]:
    return tuple(_standing(mean_ranks([table.recorded(space)])) for table in earlier)
