"""How often statements are wrong, on simulated boards; `benchmarks/statistics_simulations.py` prints more of them."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
BOARDS = 60


@pytest.fixture(scope="module")
def simulations() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "statistics_simulations.py"
    spec = importlib.util.spec_from_file_location("statistics_simulations", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def beyond(share: float, promised: float, boards: int) -> bool:
    """Whether a simulated share of errors exceeds the promised one by more than three standard errors."""
    return share > promised + 3 * math.sqrt(promised * (1 - promised) / boards)


def test_errors_and_cover_are_those_that_are_said(simulations: ModuleType) -> None:
    print(f"\n{simulations.HEADING}")
    wrong = []
    for line in simulations.errors(BOARDS):
        print(line)
        if line.against_own_test:
            wrong.append(f"against its own test: {line}")
        if line.data == simulations.UNEQUAL:
            continue  # not symmetric: what no exact test of a mean can promise is shown beside
        errors = [line.false_when_alike, line.false_when_different]
        errors += [1 - x for x in (line.cover_ranks, line.cover_intervals) if not math.isnan(x)]
        if any(beyond(x, 0.06, BOARDS) for x in errors):
            wrong.append(str(line))
    assert not wrong, "\n".join(wrong)


def test_promised_power_is_kept(simulations: ModuleType) -> None:
    for power in simulations.powers(200):
        print(power)
        assert not beyond(1 - power.said, 0.22, 200), power
