"""What a long run needs of memory, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from alone import run_alone

from searchbench.spaces.nasbench201.space import nasbench201

LONG_RUN = """
import searchbench as sb
table = sb.Use("table", path=sys.argv[1], test=["test"])
study = sb.Study("long", sb.Problem("nasbench201", "digits", table), ["regularized-evolution"], 1,
                 sb.Budget(evaluations=100_000))
runs = sb.run(study, sys.argv[2], workers=0).runs()
assert list(runs["spent_evaluations"]) == [100_000], list(runs.columns)
"""


@pytest.mark.slow
def test_a_run_of_100000_trials_stays_under_a_gigabyte(tmp_path: Path) -> None:
    rows = [f"{a},{at % 997 / 997},{at % 991 / 991}" for at, a in enumerate(nasbench201().enumerate())]
    table = tmp_path / "cells.csv"
    table.write_text("architecture,validation,test\n" + "\n".join(rows) + "\n")
    _, peak = run_alone(LONG_RUN, str(table), str(tmp_path / "long.db"))
    print(f"peak memory {peak / 1e6:.0f} MB")
    assert peak < 1e9
