"""The strategy's own CPU seconds, measured cheaply enough to be measured at every trial.

Reading the CPU clock of a process with many threads costs tens of microseconds, more than a look-up in a table and the
answer to it. So the wall clock, which is all but free, says which share of the time is the strategy's, and the CPU
clock is read now and then and divided in that proportion.
"""

from __future__ import annotations

import time

from searchbench.harness.running.ledger import Ledger

EVERY = 256
"""Turns of the strategy between two readings of the CPU clock …"""
LONG_S = 0.05
"""… or less, once its share has become so long."""


class HostClock:
    """Adds a strategy's CPU seconds to `ledger.host_s`: `begin`, the strategy's turn, `end`, and `settle` at last."""

    __slots__ = ("_began", "_cpu", "_ledger", "_own", "_turns", "_wall")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._restart()

    def _restart(self) -> None:
        self._own, self._turns = 0.0, 0
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        self._began = self._wall

    def begin(self) -> None:
        """The strategy's turn begins."""
        self._began = time.perf_counter()

    def end(self) -> None:
        """It has ended."""
        self._own += time.perf_counter() - self._began
        self._turns += 1
        if self._turns == EVERY or self._own > LONG_S:
            self.settle()

    def settle(self) -> None:
        """Divide the CPU seconds since the last reading by the shares of the wall clock."""
        wall = time.perf_counter() - self._wall
        if wall > 0:
            self._ledger.host_s += (time.process_time() - self._cpu) * min(self._own / wall, 1.0)
        self._restart()
