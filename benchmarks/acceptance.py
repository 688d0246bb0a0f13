"""Everything that shows strategies to be right, in one command: known results, and known mathematics.

    SEARCHBENCH_DATA=… python benchmarks/acceptance.py [--seeds 300] [--workers 2] [--only TEXT …]

First the real NAS-Bench-201 table (see `nasbench201_blackbox.py`): 8 strategies at 50, 100, 200 and 500 evaluations,
every mean beside the reference's with z = difference / standard error. Then what needs no data: counts, brackets,
closed forms, gradients, toys and invariants, each held by the tests that `acceptance_checks.py` names, which this
command runs. A line per check, PASS or FAIL; exits with status 1 where one fails. Without the table its part is left
out with a word.
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from acceptance_checks import CHECKS, Check
from nasbench201_blackbox import REFERENCE, REFERENCE_RUNS, STRATEGIES, problem, search, show

import searchbench as sb
from searchbench.strategies import STRATEGIES as BUILT_IN

UNIT = Path(__file__).resolve().parent.parent / "tests" / "unit"


def main() -> int:
    """Run both parts, print a line per check, tell whether all passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=REFERENCE_RUNS)
    parser.add_argument(
        "--only", nargs="+", metavar="TEXT", help="checks without data that name one of these strategies"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes on Ray; 0 runs everything in this one")
    asked = parser.parse_args()
    started = time.perf_counter()
    checks = [c for c in CHECKS if not asked.only or set(asked.only) & set(c.strategies)]
    if not checks:  # and pytest, told of no test, would run them all
        parser.error(f"no check names {' or '.join(asked.only)}; strategies that have one: {', '.join(sorted(held()))}")
    failed = 0 if asked.only else known_results(asked.seeds, asked.workers)
    failed += known_mathematics(checks)
    print(f"\n{'all passed' if not failed else f'{failed} failed'}, in {time.perf_counter() - started:.0f} s")
    return int(failed > 0)


def known_results(seeds: int, workers: int) -> int:
    """The table of means; the number of budgets at which one is off by more than three standard errors."""
    try:
        problem().resolve()
    except sb.SearchbenchError as error:
        print(f"NAS-Bench-201 is left out: {error}")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for evaluations, reference in REFERENCE.items():
            runs = search(evaluations, seeds, workers, Path(folder) / "results.db")
            print(f"\nNAS-Bench-201, CIFAR-10, test accuracy after {evaluations} evaluations, {seeds} seeds")
            worst = show(runs, reference)
            failed += worst > 3
            print(f"{'PASS' if worst <= 3 else 'FAIL'}  largest |z| {worst:.2f} (at most 3)")
    return failed


class Outcomes:
    """A plugin of pytest that counts outcomes by file and test name."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            path, _, name = report.nodeid.partition("::")
            key = f"{Path(path).stem}::{name.partition('[')[0]}"
            self.counts.setdefault(key, Counter())[report.outcome] += 1


def held() -> set[str]:
    """Strategies that a check names."""
    return {name for check in CHECKS for name in check.strategies}


def unheld() -> set[str]:
    """Built-in strategies of which no check says anything."""
    return set(BUILT_IN.builtin) - held() - {use.name for use in STRATEGIES.values()}


def known_mathematics(checks: Sequence[Check]) -> int:
    """Run the tests of every check; the number of checks of which one did not pass, or does not exist."""
    named = [
        f"{UNIT / file}.py::{name}" for check in checks for file, _, name in (t.partition("::") for t in check.tests)
    ]
    outcomes, told = Outcomes(), io.StringIO()
    with contextlib.redirect_stdout(told):
        pytest.main([*named, "-q", "-p", "no:cacheprovider", "--rootdir", str(UNIT.parent.parent)], plugins=[outcomes])
    print("\nWithout data")
    failed = 0
    for check in checks:
        found = [outcomes.counts.get(test, Counter()) for test in check.tests]
        passed = all(set(counts) == {"passed"} for counts in found)
        failed += not passed
        print(f"{'PASS' if passed else 'FAIL'}  {check.what} ({sum(c.total() for c in found)} tests)")
    print(f"\nStrategies without a number or equation of their own here: {', '.join(sorted(unheld())) or 'none'}")
    if failed:
        print(told.getvalue())
    return failed


if __name__ == "__main__":
    sys.exit(main())
