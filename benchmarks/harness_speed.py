"""What the harness itself costs: logged trials per CPU-second, overhead of a run on Ray, start of the command.

    python benchmarks/harness_speed.py [--runs 40] [--trials 500] [--workers 2]

A trial here is whole: asked for, checked against the budget, looked up, charged, told, recorded, and stored. The table
is synthetic, so that nothing but the harness and the strategy is measured. CPU seconds are of this process and its
children, so another load on the machine matters little.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import searchbench as sb
from searchbench.harness.driving.campaign import carry_out
from searchbench.harness.driving.progress import Silent
from searchbench.harness.session import executor
from searchbench.results.store import open_store
from searchbench.spaces import SPACES

STRATEGIES = {
    "random": sb.Use("random"),
    "evolution P=100 S=25": sb.Use("regularized-evolution"),
    "evolution P=10 S=3": sb.Use("regularized-evolution", population=10, sample=3),
}


def synthetic_table(folder: Path) -> Path:
    """All 15,625 cells of NAS-Bench-201 with made-up scores."""
    path = folder / "cells.csv"
    rows = [f"{a},{hash_share(str(a), 1)},{hash_share(str(a), 2)}" for a in SPACES.factory("nasbench201")().enumerate()]
    path.write_text("architecture,validation,test\n" + "\n".join(rows) + "\n")
    return path


def hash_share(text: str, salt: int) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return sb.Seeds(text, salt).seed("noise") / 2**64


def study(name: str, table: Path, strategy: sb.Use, runs: int, trials: int) -> sb.Study:
    estimator = sb.Use("table", path=str(table), test=["test"])
    problem = sb.Problem("nasbench201", "digits", estimator)
    return sb.Study(name, problem, {name: strategy}, runs, sb.Budget(evaluations=trials))


def trials_per_cpu_second(table: Path, folder: Path, runs: int, trials: int) -> None:
    print(f"logged trials per CPU-second, {runs} runs of {trials} trials in one process, stored in SQLite")
    for label, strategy in STRATEGIES.items():
        sb.run(study("warm-up", table, strategy, 1, 10), folder / f"{label}-warm.db", workers=0, progress=False)
        rates = []
        for repeat in range(3):
            planned = study(label, table, strategy, runs, trials)
            started = time.process_time()
            sb.run(planned, folder / f"{label}-{repeat}.db", workers=0, progress=False)
            rates.append(runs * trials / (time.process_time() - started))
        print(
            f"  {label:24s} {statistics.median(rates):>10,.0f}   (three times: {', '.join(f'{r:,.0f}' for r in rates)})"
        )


def overhead_on_ray(table: Path, folder: Path, runs: int, workers: int) -> None:
    """Wall-clock milliseconds per run of a single trial, batched, on a Ray that has started, minus nothing."""
    with executor(workers) as ray:
        for name, n in (("warm-up", 8 * workers), ("overhead", runs)):
            planned = study(name, table, STRATEGIES["random"], n, 1)
            with open_store(folder / f"ray-{name}.db", write=True) as store:
                started = time.perf_counter()
                carry_out(planned, store, ray, Silent())
                seconds = time.perf_counter() - started
    print(f"overhead of a run on Ray, {workers} workers, {runs} runs of one trial, judged and stored, batched")
    print(f"  {seconds / runs * 1e3:.1f} ms per run")


def help_time() -> None:
    times = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "searchbench", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    print(f"searchbench --help\n  {statistics.median(times):.3f} s (median of {len(times)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--ray-runs", type=int, default=400)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = synthetic_table(folder)
        trials_per_cpu_second(table, folder, given.runs, given.trials)
        overhead_on_ray(table, folder, given.ray_runs, given.workers)
    help_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process\n  {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
