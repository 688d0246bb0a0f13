"""The strategy's own seconds."""

from __future__ import annotations

import time

import pytest

from searchbench.cost import Budget
from searchbench.harness.running.host_clock import HostClock
from searchbench.harness.running.ledger import Ledger


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_only_the_strategys_own_turns_count() -> None:
    ledger = Ledger(Budget(evaluations=1))
    clock = HostClock(ledger)
    for _ in range(3):
        clock.begin()
        burn(0.02)
        clock.end()
        burn(0.04)
    clock.settle()
    assert ledger.host_s == pytest.approx(0.06, rel=0.6)


def test_waiting_is_not_the_strategys_work() -> None:
    ledger = Ledger(Budget(evaluations=1))
    clock = HostClock(ledger)
    clock.begin()
    time.sleep(0.1)
    clock.end()
    assert ledger.host_s < 0.05
