"""Networks of one run that are under way at once, trained in one graph: quick where a single one is too small.

Which networks share a graph is decided by what is under way when the first of them is waited for, and so by the search
alone: neither by the machine nor by what an interrupted run had measured.
"""

from __future__ import annotations

from typing import cast

from searchbench.errors import BudgetExhausted, Interrupted
from searchbench.estimators.estimator import Estimator, Stack
from searchbench.harness.running.borders import checked_measurement
from searchbench.harness.running.measuring import MeasurementOutcome, Request, failed, measure
from searchbench.harness.running.remembered import Remembered


class StackedCrew:
    """Measures in the run's own process, what is alike together.

    Args:
        estimator: the problem's own, which can stack.
        most: networks in one graph.
        remembered: keeps what a graph gave, and answers with it where the same graph is asked for again.
    """

    def __init__(self, estimator: Estimator, most: int, remembered: Remembered) -> None:
        self._estimator, self._most, self._remembered = estimator, most, remembered
        self._begun = 0
        self._waiting: dict[int, Request] = {}
        self._ended: dict[int, MeasurementOutcome] = {}

    def begin(self, request: Request) -> int:
        """Take note of a measurement; its ticket."""
        self._begun += 1
        self._waiting[self._begun] = request
        return self._begun

    def result(self, ticket: int) -> MeasurementOutcome:
        """How it ended; where it waits still, it is measured now, and with it the oldest that are alike."""
        if ticket in self._waiting:
            others = [other for other in self._waiting if other != ticket and self._alike(other, ticket)]
            chosen = sorted([ticket, *others[: self._most - 1]])
            asked = [self._waiting.pop(one) for one in chosen]
            self._ended |= zip(chosen, self._measured(asked), strict=True)
        return self._ended.pop(ticket)

    def first(self, tickets: list[int]) -> int:
        """The oldest: nothing ends before it is waited for."""
        return min(tickets)

    def _alike(self, one: int, other: int) -> bool:
        left, right = self._waiting[one], self._waiting[other]
        return left.fidelity == right.fidelity and left.reached is None and right.reached is None

    def _measured(self, asked: list[Request]) -> list[MeasurementOutcome]:
        key = tuple((one.architecture.values, one.fidelity, one.seed, one.reached) for one in asked)
        if (before := self._remembered.get(key)) is not None:
            return list(before)
        found = together(self._estimator, asked)
        self._remembered.keep(key, found)
        return list(found)


def together(estimator: Estimator, asked: list[Request]) -> list[MeasurementOutcome]:
    """Whatever becomes of measurements in one graph, as values; one alone is measured as ever."""
    if len(asked) == 1:
        return [measure(estimator, asked[0], timed=False)]
    stack = cast(Stack, estimator)
    try:
        found = stack.evaluate_together([(one.architecture, one.fidelity, one.seed) for one in asked])
    except (BudgetExhausted, Interrupted):
        raise
    except BaseException as error:
        return [failed(error, one.price) for one in asked]
    ended = []
    for one, request in zip(found, asked, strict=True):
        try:
            if isinstance(one, Exception):
                raise one
            value, metrics, cost = checked_measurement(*one, request.price)
            ended.append(MeasurementOutcome("ok", value, cost, metrics))
        except Exception as error:
            ended.append(failed(error, request.price))
    return ended
