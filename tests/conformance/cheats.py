"""Strategies that cheat: each finds more, or pays less, than it may. All pass for random search otherwise."""

from __future__ import annotations

import gc
import inspect
import random
import sys
from dataclasses import dataclass
from random import gauss
from typing import Any

import numpy as np

from searchbench import Proposal


@dataclass(frozen=True)
class Cheat:
    """Random search that does one thing more before every proposal."""

    trick: str

    def start(self, scenario: Any) -> Any:
        return Cheating(self.trick, scenario)


class Cheating:
    def __init__(self, trick: str, scenario: Any) -> None:
        self.trick, self.space, self.rng = trick, scenario.space, scenario.seeds.rng("search")

    def ask(self) -> Proposal:
        TRICKS[self.trick](self)
        return Proposal(self.space.sample(self.rng))

    def tell(self, trial: Any) -> None: ...


def ledger_in(scope: dict[str, Any]) -> Any:
    lab = scope.get("lab")
    return None if lab is None else lab.account.ledger


def through_the_stack(search: Cheating) -> None:
    frame: Any = sys._getframe()
    while frame is not None:
        ledger = ledger_in(frame.f_locals)
        if ledger is not None:
            ledger.evaluations = 0
        frame = frame.f_back


def through_inspect(search: Cheating) -> None:
    for found in inspect.stack():
        ledger = ledger_in(found.frame.f_locals)
        if ledger is not None:
            ledger.evaluations = 0


def through_a_traceback(search: Cheating) -> None:
    try:
        raise ValueError
    except ValueError as error:
        frame: Any = error.__traceback__.tb_frame  # type: ignore[union-attr]
    while frame is not None:
        ledger = ledger_in(frame.f_locals)
        if ledger is not None:
            ledger.evaluations = 0
        frame = frame.f_back


def through_gc(search: Cheating) -> None:
    for thing in gc.get_objects():
        if type(thing).__name__ == "Ledger":
            thing.evaluations = 0


def patched_measure(search: Cheating) -> None:
    from searchbench.tables.lookup import TableEstimator
    from searchbench.trial import Measurement

    original = TableEstimator.price
    TableEstimator.evaluate = lambda self, *a, **k: (Measurement(0.0), original(self, *a[:2]))  # type: ignore[method-assign]


def patched_judge(search: Cheating) -> None:
    from searchbench.tables.lookup import TestLookup
    from searchbench.trial import Outcome

    TestLookup.verdict = lambda self, architecture: Outcome("ok", 0.0)  # type: ignore[method-assign]


def patched_price(search: Cheating) -> None:
    from searchbench.cost import Cost
    from searchbench.tables.lookup import TableEstimator

    TableEstimator.price = lambda self, *a, **k: Cost()  # type: ignore[method-assign]


def patched_ledger(search: Cheating) -> None:
    from searchbench.harness.running.ledger import Ledger

    Ledger.charge = lambda self, cost: None  # type: ignore[method-assign]


def exchanged_code(search: Cheating) -> None:
    """The function stays the same object, and does something else."""
    from searchbench.tables.lookup import TableEstimator

    TableEstimator.repeats.__code__ = (lambda self, architecture: (0.0,)).__code__


def patched_for_a_while(search: Cheating) -> None:
    """Patch here, put back when the trial is told."""
    from searchbench.tables.lookup import TableEstimator

    original = TableEstimator.repeats
    TableEstimator.repeats = lambda self, *a, **k: ()  # type: ignore[method-assign]

    def put_back(trial: Any) -> None:
        TableEstimator.repeats = original  # type: ignore[method-assign]

    search.tell = put_back  # type: ignore[method-assign]


def patched_loss(search: Cheating) -> None:
    import torch.nn.functional as F

    F.cross_entropy = lambda *a, **k: 0.0  # type: ignore[assignment]


def table_read_by_another_program(search: Cheating) -> None:
    import subprocess

    from searchbench.tables.shipped import SHIPPED

    if not hasattr(search, "done"):
        search.done = subprocess.run(["head", "-c1", SHIPPED["nasbench201-digits"]], check=False, capture_output=True)


def opened_table(search: Cheating) -> None:
    from pyarrow import parquet

    from searchbench.tables.shipped import SHIPPED

    parquet.read_table(SHIPPED["nasbench201-digits"], columns=["architecture"])


def read_bytes(search: Cheating) -> None:
    from searchbench.tables.shipped import SHIPPED

    with SHIPPED["nasbench201-digits"].open("rb") as file:
        file.read(1)


def global_with_its_state_put_back(search: Cheating) -> None:
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(int(search.rng.integers(1000)))  # noqa: NPY002
    np.random.rand()  # noqa: NPY002
    np.random.set_state(state)  # noqa: NPY002


def python_generator_put_back(search: Cheating) -> None:
    state = random.getstate()
    random.random()
    random.setstate(state)


def imported_by_name(search: Cheating) -> None:
    state = random.getstate()
    gauss(0.0, 1.0)
    random.setstate(state)


TRICKS: dict[str, Any] = {
    "nothing": lambda search: None,
    "ledger through the stack": through_the_stack,
    "ledger through inspect": through_inspect,
    "ledger through a traceback": through_a_traceback,
    "ledger through gc": through_gc,
    "patched measure": patched_measure,
    "patched judge": patched_judge,
    "patched price": patched_price,
    "patched ledger": patched_ledger,
    "exchanged code": exchanged_code,
    "patched for a while": patched_for_a_while,
    "patched loss": patched_loss,
    "table read by another program": table_read_by_another_program,
    "opened table": opened_table,
    "read bytes of the table": read_bytes,
    "global generator, put back": global_with_its_state_put_back,
    "Python's generator, put back": python_generator_put_back,
    "a generator imported by name": imported_by_name,
}
