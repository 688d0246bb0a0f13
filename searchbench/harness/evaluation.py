"""Measuring architectures in one run: a measurement is launched, then settled.

Between the two nothing is charged, numbered or recorded, so that several may be under way at once and still enter the
record in the order in which they end. One after the other, both happen within `evaluate`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from searchbench.cost import Cost
from searchbench.errors import BudgetExhausted, Interrupted, SpaceError
from searchbench.harness.account import Account
from searchbench.harness.borders import checked_measurement, checked_price, failure, numbers
from searchbench.harness.constraint import broken_limits
from searchbench.harness.record import Record
from searchbench.harness.repeats import Repeats
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import AskTellSearch, Scenario
from searchbench.trial import FULL, Fidelity, Measurement, Proposal, Status, Trial

if TYPE_CHECKING:
    from searchbench.estimators.estimator import Estimator


@dataclass(slots=True)
class Measured:
    """How a measurement ended."""

    status: Status
    value: float
    cost: Cost
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(slots=True)
class Launched:
    """A measurement that has begun: all that will come of it, not yet charged or numbered."""

    architecture: Architecture
    fidelity: Fidelity
    measured: Measured
    own: bool = True
    """Whether the problem's own estimator measured it."""
    seed: int = 0
    resumed: int | None = None
    """Number of the trial whose training it continues."""
    repeats: int | None = None
    """Number of the trial it is served from, free of charge."""


class Evaluation:
    """The measurements of one run.

    Args:
        scenario: what the strategy was told.
        estimator: the problem's own, opened for this replicate.
        account: charged for every measurement.
        record: keeps every trial.
        remembers: whether a repeated measurement is served from memory, free of charge.
        reported: what is reported of an architecture beside its measurement, such as its latency.
    """

    def __init__(
        self,
        scenario: Scenario,
        estimator: Estimator,
        account: Account,
        record: Record,
        *,
        remembers: bool = False,
        reported: Callable[[Architecture], Mapping[str, float]] | None = None,
    ) -> None:
        self.estimator = estimator
        self._scenario, self._account, self._record = scenario, account, record
        self._reported = reported
        self._known_price: object = self  # no price yet
        self.repeats = Repeats(scenario.seeds, remembers)

    def evaluate(self, proposal: Proposal, estimator: Estimator | None = None) -> Trial:
        """Measure a proposal, on the problem's estimator unless another is given.

        A failure of the evaluation comes back as a failed trial. Raises BudgetExhausted, with nothing spent.
        """
        if not self._scenario.trains:  # a look-up costs less than reading the CPU clock
            return self.settle(self.launch(proposal, estimator))
        with self._account.held():
            return self.settle(self.launch(proposal, estimator))

    def explore(
        self, search: AskTellSearch, estimator: Estimator | None = None, trials: int | None = None
    ) -> Trial | None:
        """Run an ask/tell search for at most `trials`; the best trial."""
        best: Trial | None = None
        done = 0
        while (trials is None or done < trials) and (proposal := search.ask()) is not None:
            trial = self.evaluate(proposal, estimator)
            done += 1
            search.tell(trial)
            if not trial.failed and (best is None or trial.value < best.value):
                best = trial
        return best

    def full_price(self, architecture: Architecture) -> Cost:
        """The charge for an evaluation by the problem's own estimator at full fidelity."""
        return self.estimator.price(architecture, self.estimator.complete(FULL), None)

    def launch(self, proposal: Proposal, estimator: Estimator | None = None) -> Launched:
        """Begin a measurement. Raises BudgetExhausted, with nothing spent, and Stalled."""
        if not isinstance(proposal, Proposal) or proposal.architecture not in self._scenario.space.whole:
            raise SpaceError(
                f"`ask` must return a Proposal of an architecture of `{self._scenario.space.name}`, or None, "
                f"but got {proposal!r}."
            )
        own = estimator is None or estimator is self.estimator
        using = self.estimator if estimator is None else estimator
        architecture, fidelity = proposal.architecture, using.complete(proposal.fidelity)
        known = self.repeats.remembered(architecture, fidelity) if own else None
        if known is not None:
            self.repeats.check_ends(self._scenario.space)
            measured = Measured(known.status, known.value, Cost(), known.metrics, known.error)
            return Launched(architecture, fidelity, measured, repeats=known.number)
        begun = self.repeats.continued(proposal) if own else None
        reached = None if begun is None else begun.fidelity
        price = self._priced(using.price(architecture, fidelity, reached))
        if not self._account.limits(price):
            self.repeats.check_stalled()
        self._account.check(price)  # before the noise is drawn: what is refused has not been repeated
        seed = self.repeats.noise_seed(architecture, fidelity) if begun is None else begun.seed
        broken = broken_limits(self._scenario.space, architecture)
        if broken is None:
            measured = self._measure(architecture, price, lambda: using.evaluate(architecture, fidelity, seed, reached))
        else:
            measured = Measured("error", math.nan, price, error=f"breaks the constraint: {broken}")
        self._account.book(measured.cost)
        return Launched(architecture, fidelity, measured, own, seed, None if begun is None else proposal.resume)

    def settle(self, launched: Launched, clock_s: float | None = None) -> Trial:
        """Charge and record a measurement. `clock_s`: the simulated time at which it ended."""
        number, measured, cached = self._record.trials, launched.measured, launched.repeats is not None
        status, value, cost, error = measured.status, measured.value, measured.cost, measured.error
        metrics = measured.metrics if clock_s is None else {**measured.metrics, "clock_s": clock_s}
        trial = Trial(number, launched.architecture, launched.fidelity, status, value, cost, metrics, error, cached)
        if launched.repeats is None:
            self._account.ledger.charge(cost)
            self.repeats.note(trial, launched.seed, launched.own, paid=self._account.limits(cost))
        else:
            self.repeats.serve(number, launched.repeats)
        self._record.add(trial, self._account.ledger.total(), offer=launched.own, resumed=launched.resumed)
        return trial

    def _measure(
        self, architecture: Architecture, price: Cost, training: Callable[[], tuple[Measurement, Cost]]
    ) -> Measured:
        """Whatever becomes of a training, as a value; only the end of the budget passes through."""
        overlaps = self._account.overlaps
        started = 0.0 if overlaps else time.perf_counter()
        try:
            measurement, charge = training()
            value, metrics, cost = checked_measurement(measurement, charge, price)
            more = {} if self._reported is None else numbers(self._reported(architecture), "a metric")
        except (BudgetExhausted, Interrupted):
            raise
        except BaseException as error:  # a failure is a value: charged, recorded, told to the search
            status, message = failure(error)
            wasted = price if overlaps else price + Cost(device_s=time.perf_counter() - started)
            return Measured(status, math.nan, wasted, error=message)
        if self._account.ledger.too_late(cost):
            late = "the evaluation ended after the budget of seconds had run out."
            return Measured("timeout", math.nan, cost, error=late)
        return Measured("ok", value, cost, {**metrics, **more} if more else metrics)

    def _priced(self, price: Cost) -> Cost:
        """A price, checked; most problems have one, and it is checked once."""
        if price is not self._known_price:
            self._known_price = checked_price(price)
        return price
