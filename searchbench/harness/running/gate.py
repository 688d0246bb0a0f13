"""The lab as a search holds it: what `searchbench.strategies.strategy.Lab` promises, and no way behind it.

A method leads to its object by `__self__`, a function to what it uses by `__closure__`; from the lab itself a search
would reach the ledger, the estimator and its records, and the whole of the data. What is here leads nowhere by any
attribute. The stack and the garbage collector still do, in the process of the run: see docs/trust.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

from searchbench.cost import Cost
from searchbench.harness.running.account import Account
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import AskTellSearch, Loss
from searchbench.tasks.task import Batch
from searchbench.trial import Fidelity, Measurement, Trial

if TYPE_CHECKING:
    import torch

    from searchbench.estimators.estimator import Estimator, InheritedScore
    from searchbench.harness.running.lab import MeteredLab
    from searchbench.spaces.networks import Active, Supernet

P = ParamSpec("P")
R = TypeVar("R")


def sealed(function: Callable[P, R]) -> Callable[P, R]:
    """The function as a callable that shows nothing of what it calls."""
    # C's cache of no entries: it only passes on, and keeps what it calls where no attribute leads
    shown = lru_cache(maxsize=0)(function)
    del shown.__wrapped__
    return cast(Callable[P, R], shown)


class Gate:
    """What a training search is handed. Implements `searchbench.strategies.strategy.Lab`.

    Args:
        lab: the lab behind it.
    """

    __slots__ = (
        "_spent",
        "affordable",
        "batches",
        "explore",
        "full_price",
        "gradients",
        "hessian",
        "infer",
        "inherited",
        "left",
        "log",
        "price",
        "recommend",
        "samples",
        "scenario",
        "sizes",
        "step",
        "supernet",
    )

    def __init__(self, lab: MeteredLab) -> None:
        self.scenario, self._spent = lab.scenario, sealed(lambda: lab.spent)
        self.left, self.affordable = sealed(lab.left), sealed(lab.affordable)
        self.samples, self.sizes, self.batches = sealed(lab.samples), sealed(lab.sizes), sealed(lab.batches)
        self.supernet, self.price = sealed(lab.supernet), sealed(lab.price)
        self.gradients, self.step, self.infer = sealed(lab.gradients), sealed(lab.step), sealed(lab.infer)
        self.full_price, self.recommend, self.log = sealed(lab.full_price), sealed(lab.recommend), sealed(lab.log)
        lent: WeakKeyDictionary[object, Estimator] = WeakKeyDictionary()

        def inherited(
            supernet: Supernet, batch_size: int, recalibrate: int | None, score: InheritedScore | None = "error"
        ) -> Estimator:
            behind = lab.inherited(supernet, batch_size, recalibrate, score)
            shown = Lent(behind, lab.account)
            lent[shown] = behind
            return shown

        def explore(
            search: AskTellSearch, estimator: Estimator | None = None, trials: int | None = None
        ) -> Trial | None:
            return lab.explore(search, None if estimator is None else lent.get(estimator, estimator), trials)

        def hessian(
            supernet: Supernet, batch: Batch, active: Active, of: torch.Tensor, loss: Loss | None = None
        ) -> Callable[[torch.Tensor], torch.Tensor]:
            return sealed(lab.hessian(supernet, batch, active, of, loss))

        self.inherited, self.explore, self.hessian = sealed(inherited), sealed(explore), sealed(hessian)

    @property
    def spent(self) -> Cost:
        """What the run has spent."""
        return self._spent()


class Lent:
    """The lab's estimator by inherited weights, as a search holds it: its evaluations are charged, whoever asks.

    Args:
        behind: the estimator.
        account: charged for evaluations that are asked for here, and not through the lab's `explore`.
    """

    __slots__ = ("__weakref__", "complete", "evaluate", "price")

    def __init__(self, behind: Estimator, account: Account) -> None:
        def evaluate(
            architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
        ) -> tuple[Measurement, Cost]:
            with account.charged(behind.price(architecture, fidelity, resume)):
                return behind.evaluate(architecture, fidelity, seed, resume)

        self.complete, self.price, self.evaluate = sealed(behind.complete), sealed(behind.price), sealed(evaluate)
