"""Measuring architectures in one run: a measurement is launched, then settled.

Between the two nothing is charged, numbered or recorded, so that several may be under way at once and still enter the
record in the order in which they end. One after the other, both happen within `evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from searchbench.cost import Cost
from searchbench.errors import SpaceError
from searchbench.harness.declared.constraint import broken_limits
from searchbench.harness.running.account import Account
from searchbench.harness.running.borders import checked_price
from searchbench.harness.running.launched import Launched
from searchbench.harness.running.measuring import Crew, MeasurementOutcome, Request, completed, measure
from searchbench.harness.running.record import Record
from searchbench.harness.running.repeats import Repeats
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import AskTellSearch, Scenario
from searchbench.trial import FULL, Proposal, Trial

if TYPE_CHECKING:
    from searchbench.estimators.estimator import Estimator


class Evaluation:
    """The measurements of one run.

    Args:
        scenario: what the strategy was told.
        estimator: the problem's own, opened for this replicate.
        account: charged for every measurement.
        record: keeps every trial.
        remembers: whether a repeated measurement is served from memory, free of charge.
        reported: what is reported of an architecture beside its measurement, such as its latency.
        crew: measures in other processes what may be under way at once; None measures here, at once.
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
        crew: Crew | None = None,
    ) -> None:
        self.estimator, self.crew = estimator, crew
        self._scenario, self._account, self._record = scenario, account, record
        self._reported = reported
        self._known_price: object = self  # no price yet
        self.repeats = Repeats(scenario.seeds, remembers)

    def evaluate(self, proposal: Proposal, estimator: Estimator | None = None) -> Trial:
        """Measure a proposal, on the problem's estimator unless another is given.

        A failure of the evaluation comes back as a failed trial. Raises BudgetExhausted, with nothing spent.
        """
        if not self._scenario.trains:  # a look-up costs less than reading the CPU clock
            # one after the other, both happen at once
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
        # only the problem's own measurements are remembered, continued and offered as the incumbent: those of another
        # estimator (inherited weights, say) are on another scale
        own = estimator is None or estimator is self.estimator
        using = self.estimator if estimator is None else estimator
        architecture, fidelity = proposal.architecture, using.complete(proposal.fidelity)
        known = self.repeats.remembered(architecture, fidelity) if own else None
        if known is not None:
            self.repeats.check_ends(self._scenario.space)
            measured = MeasurementOutcome(known.status, known.value, Cost(), known.metrics, known.error)
            return Launched(architecture, fidelity, measured, repeats=known.number)
        begun = self.repeats.continued(proposal) if own else None
        reached = None if begun is None else begun.fidelity
        price = self._priced(using.price(architecture, fidelity, reached))
        # what costs nothing could go on for ever
        if not self._account.limits(price):
            self.repeats.check_stalled()
        self._account.check(price)  # before the noise is drawn: what is refused has not been repeated
        seed = self.repeats.noise_seed(architecture, fidelity) if begun is None else begun.seed
        request = Request(architecture, fidelity, seed, reached, price)
        # charged all the same: were it free, a search could ask at no cost where the constraint lies
        broken = broken_limits(self._scenario.space, architecture)
        launched = Launched(architecture, fidelity, None, own, seed, proposal.resume if begun else None, price=price)
        if broken is not None:
            launched.measured = MeasurementOutcome("error", math.nan, price, error=f"breaks the constraint: {broken}")
        elif own and self.crew is not None:
            launched.ticket = self.crew.begin(request)
        else:
            launched.measured = self._completed(measure(using, request, timed=not self._account.overlaps), architecture)
        self._account.book(price if launched.measured is None else launched.measured.cost)
        if self._account.overlaps:
            launched.declare(using, trains=self._scenario.trains)
        return launched

    def collect(self, launched: Launched) -> MeasurementOutcome:
        """How a launched measurement ended; waits for another process where one measures it."""
        if launched.measured is None:
            measured = self._completed(self.crew.result(launched.ticket), launched.architecture)  # type: ignore[union-attr]
            # booked at its price when it began; now it is known what it came to
            self._account.rebook(launched.price, measured.cost)
            launched.measured = measured
            if launched.lasts is None:
                launched.declare(self.estimator, trains=self._scenario.trains)
        return launched.measured

    def settle(self, launched: Launched, clock_s: float | None = None) -> Trial:
        """Charge and record a measurement. `clock_s`: the simulated time at which it ended."""
        number, measured, cached = self._record.trials, self.collect(launched), launched.repeats is not None
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

    def _completed(self, measured: MeasurementOutcome, architecture: Architecture) -> MeasurementOutcome:
        return completed(measured, architecture, self._reported, self._account.ledger)

    def _priced(self, price: Cost) -> Cost:
        """A price, checked; most problems have one, and it is checked once."""
        if price is not self._known_price:
            self._known_price = checked_price(price)
        return price
