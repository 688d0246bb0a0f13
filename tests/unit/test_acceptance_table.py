"""What is known of strategies, in `benchmarks/acceptance_checks.py`, is held by tests that exist."""

from __future__ import annotations

import sys
from pathlib import Path

from searchbench.strategies import STRATEGIES

UNIT = Path(__file__).parent
sys.path.insert(0, str(UNIT.parents[1] / "benchmarks"))

from acceptance_checks import CHECKS  # noqa: E402


def test_every_test_that_holds_a_check_exists():
    named = [test.partition("::")[::2] for check in CHECKS for test in check.tests]
    texts = {file: (UNIT / f"{file}.py").read_text() for file, _ in named}
    assert [name for file, name in named if f"def {name}(" not in texts[file]] == []


def test_every_strategy_of_a_check_exists():
    named = {name for check in CHECKS for name in check.strategies}
    assert {name for name in named if ":" not in name} <= set(STRATEGIES.builtin)
