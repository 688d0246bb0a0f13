"""The public suite catches strategies that cheat, and says by what; it leaves no trace of them behind."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest
from cheats import TRICKS, Cheat

from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.random import Random
from searchbench.tables.lookup import TableEstimator, TestLookup
from searchbench.testing import ConformanceError, Stage, check_strategy

ON = (Stage(nasbench201(), 5),)
SAYS = {
    "ledger through the stack": "it used `sys._getframe`",
    "ledger through inspect": "it used `sys._getframe`",
    "ledger through a traceback": "it used `tb_frame`",
    "ledger through gc": "it used `gc.get_objects`",
    "patched measure": "it replaced `searchbench.tables.lookup.TableEstimator.evaluate`",
    "patched judge": "it replaced `searchbench.tables.lookup.TestLookup.verdict`",
    "patched price": "it replaced `searchbench.tables.lookup.TableEstimator.price`",
    "patched ledger": "it replaced `searchbench.harness.running.ledger.Ledger.charge`",
    "exchanged code": "it replaced `searchbench.tables.lookup.TableEstimator.repeats`",
    "patched for a while": "it replaced `searchbench.tables.lookup.TableEstimator.repeats`",
    "patched loss": "it replaced `torch.nn.functional.cross_entropy`",
    "table read by another program": "the table nasbench201-digits.parquet was opened while it ran",
    "opened table": "the table nasbench201-digits.parquet was opened while it ran",
    "read bytes of the table": "the table nasbench201-digits.parquet was opened while it ran",
    "global generator, put back": "it called `numpy.random.seed` of the global generator",
    "Python's generator, put back": "it called `random.random` of the global generator",
    "a generator imported by name": "it called `random.gauss` of the global generator",
}
OVERSPENT = {
    "ledger through the stack",
    "ledger through inspect",
    "ledger through a traceback",
    "ledger through gc",
    "patched price",
    "patched ledger",
}


@pytest.fixture(autouse=True)
def few_objects() -> Iterator[None]:
    """Hide what other tests of this process hold from `gc.get_objects`, which a cheat walks before every proposal."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


SLOW = ("table read by another program", "ledger through inspect")


@pytest.mark.parametrize(
    "trick", [pytest.param(trick, marks=pytest.mark.slow) if trick in SLOW else trick for trick in SAYS]
)
@pytest.mark.skipif(sys.platform != "linux", reason="opened files are noticed by inotify")
def test_cheat_is_caught_and_named(trick: str) -> None:
    evaluate, verdict = TableEstimator.evaluate, TestLookup.verdict
    with pytest.raises(ConformanceError) as caught:
        check_strategy(Cheat(trick), on=ON, another_process=False)
    assert SAYS[trick] in str(caught.value)
    broken = {check.behaviour for check in caught.value.report.wrong}  # type: ignore[union-attr]
    assert ("keeps to its budget and its accounts" in broken) == (trick in OVERSPENT or trick == "patched measure")
    assert (TableEstimator.evaluate, TestLookup.verdict) == (evaluate, verdict)


def test_every_trick_is_tried() -> None:
    assert set(SAYS) | {"nothing"} == set(TRICKS)


def test_honest_strategies_are_not_accused() -> None:
    assert not check_strategy(Cheat("nothing"), on=ON, another_process=False).wrong
    assert not check_strategy(Random(), on=ON, another_process=False).skipped
