"""Whether each strategy and adapter keeps its algorithm's rule with 1, 8 and 32 evaluations under way.

    python -m benchmarks.in_flight [--all]

The rows are those of tests/conformance/test_in_flight.py; `--all` takes the adapters too whose libraries load slowly.
Answers come out of order, failures among them. An adapter whose library fits a model for every answer that is awaited
has fewer under way, as its row says.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "conformance"))

import test_in_flight as rows

from searchbench.testing import ConformanceError, Stage, check_in_flight


def verdict(row: Any, under_way: int) -> str:
    """PASS, or which rule was broken."""
    stage = Stage(row.space, row.trials)
    try:
        check_in_flight(
            row.strategy, lambda: row.rule(row.strategy), on=(stage,), under_way=(under_way,), replicates=row.replicates
        )
    except ConformanceError as broken:
        return f"FAIL ({str(broken).rpartition(': ')[2]})"
    return "PASS"


def main() -> None:
    """Print a row per strategy."""
    chosen = rows.ROWS | rows.ADAPTED | (rows.SLOWLY_ADAPTED if "--all" in sys.argv else {})
    print(f"{'rule':32} {'strategy':34} kept with so many under way")
    for name, row in chosen.items():
        kept = ", ".join(f"{number}: {verdict(row, number)}" for number in row.under_way)
        print(f"{row.rule.__name__:32} {name:34} {kept}", flush=True)


if __name__ == "__main__":
    main()
