"""What a long run needs of memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from searchbench.spaces.nasbench201 import nasbench201

LONG_RUN = """
import resource, sys
import searchbench as sb
table = sb.Use("table", path=sys.argv[1], test=["test"])
study = sb.Study("long", sb.Problem("nasbench201", "digits", table), ["regularized-evolution"], 1,
                 sb.Budget(evaluations=100_000))
runs = sb.run(study, sys.argv[2], workers=0).runs()
assert list(runs["spent_evaluations"]) == [100_000], list(runs.columns)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_a_run_of_100000_trials_stays_under_a_gigabyte(tmp_path: Path) -> None:
    rows = [f"{a},{at % 997 / 997},{at % 991 / 991}" for at, a in enumerate(nasbench201().enumerate())]
    table = tmp_path / "cells.csv"
    table.write_text("architecture,validation,test\n" + "\n".join(rows) + "\n")
    command = [sys.executable, "-c", LONG_RUN, str(table), str(tmp_path / "long.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.split()[-1])
    print(f"peak memory {peak / 1e6:.0f} MB")
    assert peak < 1e9
