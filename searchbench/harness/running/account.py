"""What one run may still spend, what it has spent, and whose the processor's seconds are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from searchbench.cost import Budget, Cost
from searchbench.harness.running.ledger import Ledger


class Account:
    """The account of a run: nothing expensive happens before `check` has let it."""

    __slots__ = ("_booked", "_held_cpu_s", "ledger")

    def __init__(self, budget: Budget) -> None:
        self.ledger = Ledger(budget)
        self._booked: Ledger | None = None
        self._held_cpu_s = 0.0

    @property
    def spent(self) -> Cost:
        return self.ledger.total()

    def left(self) -> dict[str, float]:
        """What remains on each limited axis."""
        return self.ledger.left()

    def affordable(self, price: Cost) -> int:
        """How many charges of `price` still fit."""
        return self.ledger.affordable(price)

    def check(self, price: Cost) -> None:
        """Raise BudgetExhausted if `price` does not fit any more. Nothing is charged."""
        # what is booked includes what has ended, so one of the two ledgers says all
        (self._booked or self.ledger).check(price)

    def limits(self, cost: Cost) -> bool:
        """Whether a cost counts against any limit; what does not could go on for ever."""
        return any(getattr(cost, axis) > 0 for axis in self.ledger.budget.limits)

    # -- evaluations that overlap ------------------------------------------------------------------------------

    @property
    def overlaps(self) -> bool:
        """Whether evaluations overlap, so that no clock of the host enters a charge."""
        return self._booked is not None

    def overlap(self) -> None:
        """Let evaluations overlap: each is booked when it begins, so that those under way cannot overspend."""
        self._booked = Ledger(self.ledger.budget)

    def book(self, cost: Cost) -> None:
        """Reserve what has begun and is charged when it ends."""
        if self._booked is not None:
            self._booked.charge(cost)

    def rebook(self, price: Cost, cost: Cost) -> None:
        """Replace a reserved price by what it came to."""
        if self._booked is not None:
            # charged first: in between, no other check may find the price free
            self._booked.charge(cost)
            self._booked.refund(price)

    # -- seconds -----------------------------------------------------------------------------------------------

    @contextmanager
    def held(self) -> Iterator[None]:
        """Count the CPU seconds inside as the harness's own: a strategy does not pay for the trainings it asks for."""
        started = time.process_time()
        try:
            yield
        finally:
            self._held_cpu_s += time.process_time() - started

    @contextmanager
    def charged(self, price: Cost) -> Iterator[None]:
        """Check `price`, then charge it with the device seconds that pass inside. Raises BudgetExhausted before."""
        self.check(price)
        with self.held():
            started = time.perf_counter()
            try:
                yield
            finally:  # a step that fails has been paid for all the same
                self.ledger.charge(price)
                self.ledger.device_s += time.perf_counter() - started

    @contextmanager
    def strategys_turn(self) -> Iterator[None]:
        """Charge the CPU seconds inside to the strategy, less those that the harness held meanwhile."""
        started, held = time.process_time(), self._held_cpu_s
        try:
            yield
        finally:
            # two clocks of one process may disagree by a tick; time never runs backwards on the account
            self.ledger.host_s += max(0.0, time.process_time() - started - (self._held_cpu_s - held))

    def restore(self, spent: Cost) -> None:
        """Continue from what an earlier process had spent."""
        self.ledger = Ledger(self.ledger.budget)
        self.ledger.charge(spent)
