"""scikit-optimize's optimizers as strategies: ``skopt:gp``, ``skopt:forest``, ``skopt:extra-trees``.

The original of our own `gp` and `forest`, driven through its ask and tell.
"""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.choices import Choice, Integer
from searchbench.spaces.space import Space
from searchbench.strategies.adapters.flat import dimensions, flatten, not_flat, quiet, told, unflatten
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Proposal, Trial

ESTIMATORS = {"gp": "GP", "forest": "RF", "extra-trees": "ET"}
"""Our name -> scikit-optimize's. Its gradient-boosted quantiles (GBRT) do not run with scikit-learn of today."""


def adapt(name: str, startup: int = 10, **parameters: Any) -> Skopt:
    """The strategy ``skopt:<name>``.

    Args:
        name: one of `ESTIMATORS`.
        startup: designs of the common initial stream it begins with.
        parameters: passed to `skopt.Optimizer` (`acq_func`, `acq_optimizer`, …).

    Raises:
        StudyError: there is no such optimizer.
    """
    return Skopt(name, startup, tuple(sorted(parameters.items())))


@dataclass(frozen=True, slots=True)
class Skopt:
    """One of scikit-optimize's optimizers, seeded from the strategy's own stream.

    Its first `startup` points are designs of the stream every strategy begins with. A failed evaluation counts as the
    worst value seen; while several results are awaited it lies about them (constant minimum), as it does in batches.

    Args:
        estimator: its short name.
        startup: how many designs.
        parameters: of `skopt.Optimizer`, as pairs.

    Raises:
        StudyError: there is no such optimizer, or `startup` is not positive.

    Source: Head et al., scikit-optimize; Snoek et al. 2012; Hutter et al. 2011.
    Differs: the random designs are the common ones, and values beyond 1e100 count as that; nothing else. It knows no
        conditions and is skipped where a space has some.
    """

    estimator: str = "gp"
    startup: int = 10
    parameters: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise StudyError(f"skopt has no optimizer `{self.estimator}`; {did_you_mean(self.estimator, ESTIMATORS)}")
        if not isinstance(self.startup, int) or isinstance(self.startup, bool) or self.startup < 1:
            raise StudyError(f"`startup` must be a positive integer, but got {self.startup!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        if importlib.util.find_spec("skopt") is None:
            return 'skopt: needs scikit-optimize, which is not installed; pip install "searchbench[skopt]"'
        return not_flat(scenario.space, "scikit-optimize")

    def start(self, scenario: Scenario) -> SkoptSearch:
        return SkoptSearch(self, scenario)


class SkoptSearch:
    """The live search."""

    def __init__(self, settings: Skopt, scenario: Scenario) -> None:
        import skopt

        self._space, self._designs = scenario.space, scenario.seeds.rng("init")
        self._startup = settings.startup
        self._awaited: Counter[tuple[Any, ...]] = Counter()
        self._worst = -math.inf
        with quiet():
            self._optimizer = skopt.Optimizer(
                _dimensions(scenario.space),
                base_estimator=ESTIMATORS[settings.estimator],
                n_initial_points=settings.startup,
                random_state=scenario.seeds.python_seed("search") % 2**32,
                **dict(settings.parameters),
            )

    def ask(self) -> Proposal:
        if self._startup:
            self._startup -= 1
            architecture = self._space.sample(self._designs)
        else:
            awaited = self._awaited.total()
            with quiet():  # one more than is under way: the liar's answers come in a fixed order
                point = self._optimizer.ask(awaited + 1)[-1] if awaited else self._optimizer.ask()
            architecture = unflatten(self._space, point)
        self._awaited[tuple(flatten(architecture))] += 1
        return Proposal(architecture)

    def tell(self, trial: Trial) -> None:
        point = flatten(trial.architecture)
        self._awaited[tuple(point)] -= 1
        if not trial.failed:
            self._worst = max(self._worst, told(trial.value))
        value = self._worst if trial.failed else told(trial.value)
        if math.isfinite(value):  # a failure before anything succeeded says nothing yet
            with quiet():
                self._optimizer.tell(point, value)


def _dimensions(space: Space) -> list[Any]:
    from skopt.space import Categorical, Real
    from skopt.space import Integer as Whole

    found = []
    for d in dimensions(space):
        if isinstance(d, Choice):
            found.append(Categorical(list(range(len(d.options))), name=d.name))
        else:
            kind = Whole if isinstance(d, Integer) else Real
            found.append(kind(d.low, d.high, prior="log-uniform" if d.log else "uniform", name=d.name))  # type: ignore[attr-defined]
    return found
