"""The metered gate of one run: everything expensive passes through it, is checked against the budget *before* it
happens, charged, and recorded. A search cannot count its own trials, overspend, or reach test data: the lab holds
an estimator over training and validation data only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from searchbench.cost import Cost
from searchbench.errors import SpaceError
from searchbench.harness.declared.constraint import broken_limits
from searchbench.harness.running.account import Account
from searchbench.harness.running.borders import number
from searchbench.harness.running.evaluation import Evaluation
from searchbench.harness.running.incumbent import Incumbent
from searchbench.harness.running.measuring import Crew
from searchbench.harness.running.record import Record
from searchbench.harness.running.supernets import Supernets
from searchbench.results.columns import TraceColumns, TrialColumns
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import Logged, Scenario
from searchbench.trial import Recommendation

if TYPE_CHECKING:
    from searchbench.estimators.bench import Bench
    from searchbench.estimators.estimator import Estimator
    from searchbench.harness.declared.study import Duplicates


class MeteredLab:
    """The lab of one run, composed of its parts. Implements `searchbench.strategies.strategy.Lab`.

    Args:
        scenario: what the strategy was told.
        estimator: the problem's own estimator, opened for this replicate.
        duplicates: "charge" or "cache".
        bench: the training side; None where the problem's estimator does not train.
        metrics: what is reported of an architecture beside its measurement, such as its latency.
        crew: other processes that measure for it; None measures here.
    """

    def __init__(
        self,
        scenario: Scenario,
        estimator: Estimator,
        duplicates: Duplicates,
        bench: Bench | None = None,
        metrics: Callable[[Architecture], Mapping[str, float]] | None = None,
        crew: Crew | None = None,
    ) -> None:
        self.scenario = scenario
        self.account, self.record = Account(scenario.budget), Record()
        self.evaluation = Evaluation(
            scenario,
            estimator,
            self.account,
            self.record,
            remembers=duplicates == "cache",
            reported=metrics,
            crew=crew,
        )
        self.supernets = supernets = Supernets(scenario.seeds, self.account, bench)
        # what a search calls is the parts' own; only what needs two of them is written out below
        self.left, self.affordable = self.account.left, self.account.affordable
        self.evaluate, self.explore = self.evaluation.evaluate, self.evaluation.explore
        self.full_price = self.evaluation.full_price
        self.samples, self.sizes, self.batches = supernets.samples, supernets.sizes, supernets.batches
        self.supernet, self.inherited, self.price = supernets.supernet, supernets.inherited, supernets.price
        self.gradients, self.step, self.infer = supernets.gradients, supernets.step, supernets.infer
        self.hessian = supernets.hessian

    @property
    def spent(self) -> Cost:
        return self.account.spent

    @property
    def final(self) -> Recommendation | None:
        return self.record.final

    @property
    def trials(self) -> int:
        return self.record.trials

    @property
    def incumbent(self) -> Incumbent:
        return self.record.incumbent

    @property
    def columns(self) -> TrialColumns:
        return self.record.columns

    @property
    def traces(self) -> TraceColumns:
        return self.record.traces

    def recommend(self, architecture: Architecture, value: float = float("nan")) -> None:
        space = self.scenario.space
        if architecture not in space.whole:
            raise SpaceError(f"can only recommend an architecture of `{space.name}`, got {architecture!r}.")
        broken = broken_limits(space, architecture)
        if broken is None:
            self.record.recommend(architecture, number(value, "the value of a recommendation"), self.spent)
        else:  # the last legal one stands
            self.record.refused = broken

    def log(self, **values: Logged) -> None:
        self.record.log(values, self.spent)

    def state_dict(self) -> dict[str, Any]:
        """Everything the lab needs to continue a training search after a slice."""
        return {
            "spent": self.spent,
            "record": self.record.state_dict(),
            "repeats": self.evaluation.repeats.state_dict(),
            "supernets": self.supernets.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`'s result."""
        self.account.restore(state["spent"])
        self.record.load_state_dict(state["record"])
        self.evaluation.repeats.load_state_dict(state["repeats"])
        self.supernets.load_state_dict(state["supernets"])
