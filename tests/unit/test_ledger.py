"""Totals, reservations and what a run remembers, below the lab."""

from __future__ import annotations

import time
from dataclasses import fields
from typing import Any

import pytest

from searchbench.cost import Budget, Cost
from searchbench.errors import BudgetExhausted
from searchbench.harness.running import repeats
from searchbench.harness.running.account import Account
from searchbench.harness.running.ledger import Ledger
from searchbench.harness.running.repeats import Repeats, Stalled
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Space
from searchbench.trial import Fidelity, Trial

FOUR = Space("four", (Choice("left", ("a", "b")), Choice("right", ("a", "b"))))
FULL, SHORT = Fidelity(4.0), Fidelity(1.0)


def trial(number: int, architecture: Any, fidelity: Fidelity = FULL) -> Trial:
    return Trial(number, architecture, fidelity, "ok", 0.5, Cost(evaluations=1))


def test_totals_are_sums_but_for_the_highest_memory_and_a_refund_takes_a_sum_back() -> None:
    ledger = Ledger(Budget(evaluations=100))
    one = Cost(*(float(k) for k in range(1, len(fields(Cost)) + 1)))  # type: ignore[arg-type]
    two = Cost(*(2.0 * k for k in range(len(fields(Cost)), 0, -1)))  # type: ignore[arg-type]
    for cost in (one, two, one):
        ledger.charge(cost)
    assert ledger.total() == one + two + one
    assert ledger.peak_memory_bytes == 9
    ledger.refund(two)
    left = ledger.total()
    assert [getattr(left, f.name) for f in fields(Cost)][:-1] == [2.0 * k for k in range(1, len(fields(Cost)))]


def test_what_is_affordable_is_a_whole_number_of_charges() -> None:
    assert Ledger(Budget(macs=100)).affordable(Cost(macs=30)) == 3
    assert Ledger(Budget(macs=100)).affordable(Cost(macs=51)) == 1


def test_reserved_charges_count_against_the_budget_until_they_are_known() -> None:
    account = Account(Budget(macs=100))
    account.overlap()
    account.book(Cost(macs=80))
    with pytest.raises(BudgetExhausted):
        account.check(Cost(macs=30))
    account.rebook(Cost(macs=80), Cost(macs=60))
    account.check(Cost(macs=30))


def test_a_step_that_fails_has_been_paid_for() -> None:
    account = Account(Budget(samples=100))
    with pytest.raises(ZeroDivisionError), account.charged(Cost(train_samples=7)):
        raise ZeroDivisionError
    assert account.spent.train_samples == 7
    with pytest.raises(BudgetExhausted), account.charged(Cost(train_samples=94)):
        raise AssertionError("it is refused before")
    assert account.spent.train_samples == 7


def test_a_strategy_does_not_pay_for_the_seconds_that_the_harness_holds() -> None:
    account = Account(Budget(samples=100))
    with account.strategys_turn(), account.held():
        began = time.process_time()
        while time.process_time() - began < 0.03:
            pass
    assert account.spent.host_s < 0.02


def test_what_was_spent_before_is_spent_after_a_restart() -> None:
    account = Account(Budget(samples=100))
    account.restore(Cost(train_samples=60))
    assert account.left() == {"samples": 40}


def test_a_space_is_exhausted_once_all_of_it_is_measured_at_the_highest_fidelity() -> None:
    known = Repeats(Seeds("s", 0), serves=True)
    cells = list(FOUR.enumerate())
    for number, cell in enumerate(cells):
        known.note(trial(number, cell, SHORT), 0, own=True, paid=True)
    known.serve(4, 0)
    with pytest.raises(repeats.Exhausted):
        known.check_ends(FOUR)
    known.note(trial(5, cells[0]), 0, own=True, paid=True)
    known.serve(6, 5)
    known.check_ends(FOUR)  # three of them are known from a short training only


def test_trials_that_were_free_in_a_row_are_counted_over_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "STALLED_AFTER", 3)
    cells = list(FOUR.enumerate())
    first = Repeats(Seeds("s", 0), serves=False)
    for number in range(2):
        first.note(trial(number, cells[0]), 0, own=True, paid=False)
    second = Repeats(Seeds("s", 0), serves=False)
    second.load_state_dict(first.state_dict())
    second.check_stalled()
    second.note(trial(2, cells[0]), 0, own=True, paid=False)
    with pytest.raises(Stalled):
        second.check_stalled()
    second.note(trial(3, cells[0]), 0, own=True, paid=True)
    second.check_stalled()
