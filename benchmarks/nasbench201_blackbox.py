"""Black-box search on the real NAS-Bench-201 table, through the whole harness, against known results.

    SEARCHBENCH_DATA=… python benchmarks/nasbench201_blackbox.py [--seeds 300] [--workers 2]

Searches minimise the 12-epoch validation error on CIFAR-10; the judge looks up the mean 200-epoch test accuracy. The
folder must hold `nasbench201.csv.gz` and `nasbench201_test_e200.csv.gz` (there or in `tables/`). Every mean is printed
beside the reference's with z = difference / standard error of the difference; exits with status 1 where one is off by
more than three, or where the whole took longer than the limit.
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd

import searchbench as sb

LIMIT_S = 90.0
REFERENCE_RUNS = 300
DEFAULT = [100, 500]
"""What must end within the limit on two cores; `--evaluations 50 100 200 500` compares the whole table."""


class Known(NamedTuple):
    """A published or simulated mean ± std of test accuracy, in percent, over `REFERENCE_RUNS` searches."""

    mean: float
    std: float | None


STRATEGIES: dict[str, sb.Use] = {
    "random": sb.Use("random"),
    "random, distinct": sb.Use("random", replacement=False),
    "evolution P=10 S=3": sb.Use("regularized-evolution", population=10, sample=3),
    "evolution P=30 S=10": sb.Use("regularized-evolution", population=30, sample=10),
    "evolution P=100 S=25": sb.Use("regularized-evolution"),
    "REINFORCE lr=0.01": sb.Use("reinforce", learning_rate=0.01),
    "REINFORCE lr=0.1": sb.Use("reinforce", learning_rate=0.1),
    "local search": sb.Use("local-search"),
}
REFERENCE: dict[int, dict[str, Known]] = {
    50: {
        "random": Known(93.47, 0.54),
        "random, distinct": Known(93.44, 0.59),
        "evolution P=10 S=3": Known(93.56, 0.63),
        "evolution P=30 S=10": Known(93.74, 0.52),
        "evolution P=100 S=25": Known(93.48, 0.55),
        "REINFORCE lr=0.01": Known(93.53, None),
        "REINFORCE lr=0.1": Known(93.64, None),
        "local search": Known(93.93, 0.50),
    },
    100: {
        "random": Known(93.72, 0.36),
        "random, distinct": Known(93.73, 0.41),
        "evolution P=10 S=3": Known(93.89, 0.43),
        "evolution P=30 S=10": Known(94.12, 0.30),
        "evolution P=100 S=25": Known(93.76, 0.35),
        "REINFORCE lr=0.01": Known(93.80, 0.30),
        "REINFORCE lr=0.1": Known(93.95, 0.37),
        "local search": Known(94.19, 0.26),
    },
    200: {
        "random": Known(93.87, 0.25),
        "random, distinct": Known(93.90, 0.27),
        "evolution P=10 S=3": Known(94.10, 0.30),
        "evolution P=30 S=10": Known(94.25, 0.23),
        "evolution P=100 S=25": Known(94.23, 0.20),
        "REINFORCE lr=0.01": Known(93.96, None),
        "REINFORCE lr=0.1": Known(94.09, None),
        "local search": Known(94.32, 0.16),
    },
    500: {
        "random": Known(94.02, 0.23),
        "random, distinct": Known(94.02, 0.23),
        "evolution P=10 S=3": Known(94.28, 0.18),
        "evolution P=30 S=10": Known(94.28, 0.22),
        "evolution P=100 S=25": Known(94.35, 0.11),
        "REINFORCE lr=0.01": Known(94.13, None),
        "REINFORCE lr=0.1": Known(94.19, None),
        "local search": Known(94.37, 0.00),
    },
}
"""Simulation on the same two tables, 300 seeds, by an independent implementation; std None: not recorded."""


def problem() -> sb.Problem:
    """NAS-Bench-201 on CIFAR-10: 12-epoch validation to search by, 200-epoch test to judge by."""
    table = sb.Use(
        "table",
        path="nasbench201.csv.gz",
        architecture="arch_str",
        validation=["c10_val_e12"],
        epochs=12,
        percent=True,
        params="params_c10",
        test=["c10_test_e200_mean"],
        join={"path": "nasbench201_test_e200.csv.gz", "on": "arch_index"},
    )
    return sb.Problem("nasbench201", "cifar10", table)


def main() -> int:
    """Run, print the comparison, tell whether it agrees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=REFERENCE_RUNS)
    parser.add_argument("--workers", type=int, default=2, help="processes on Ray; 0 runs everything in this one")
    parser.add_argument("--evaluations", type=int, nargs="*", default=DEFAULT, choices=sorted(REFERENCE))
    asked = parser.parse_args()
    try:
        problem().resolve()
    except sb.SearchbenchError as error:
        print(error, file=sys.stderr)
        return 2
    began, worst, trials = time.perf_counter(), 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for evaluations in asked.evaluations:
            started = time.perf_counter()
            runs = search(evaluations, asked.seeds, asked.workers, Path(folder) / "results.db")
            print(f"\n{evaluations} evaluations, {asked.seeds} seeds, in {time.perf_counter() - started:.1f} s")
            worst = max(worst, show(runs, REFERENCE[evaluations]))
            trials += evaluations * len(runs)
    took = time.perf_counter() - began
    print(f"\nlargest |z| {worst:.2f} (at most 3); {trials:,} trials in {took:.1f} s (at most {LIMIT_S:g} s)")
    return int(worst > 3 or (took > LIMIT_S and asked.evaluations == DEFAULT))


def search(evaluations: int, seeds: int, workers: int, store: Path) -> pd.DataFrame:
    """A row per run."""
    study = sb.Study(
        name=f"nasbench201 {evaluations}",
        problems=problem(),
        strategies=STRATEGIES,
        seeds=seeds,
        budget=sb.Budget(evaluations=evaluations),
    )
    return sb.run(study, store, workers=workers).runs()


def show(runs: pd.DataFrame, reference: dict[str, Known]) -> float:
    """Print measured beside known; the largest |z|."""
    print(f"{'strategy':22s}{'measured':>16s}{'reference':>16s}{'z':>8s}")
    worst = 0.0
    for label, known in reference.items():
        accuracy = 100 * (1 - runs.loc[runs["strategy"] == label, "test_error"])
        mean, std = accuracy.mean(), accuracy.std(ddof=1)
        z = score(mean, std, len(accuracy), known)
        told = f"{known.mean:.2f}" + (f" ± {known.std:.2f}" if known.std is not None else "       ")
        print(f"{label:22s}{mean:9.3f} ± {std:.2f}{told:>16s}{z:8.2f}")
        worst = max(worst, abs(z))
    return worst


def score(mean: float, std: float, runs: int, known: Known) -> float:
    """z of the difference of two means. The reference is rounded to 0.01, so up to 0.005 are no difference; where its
    std was not recorded, ours stands in."""
    difference = mean - known.mean
    beyond = math.copysign(max(abs(difference) - 0.005, 0.0), difference)
    error = math.hypot(std / math.sqrt(runs), (std if known.std is None else known.std) / math.sqrt(REFERENCE_RUNS))
    return 0.0 if beyond == 0 else beyond / max(error, 1e-9)


if __name__ == "__main__":
    sys.exit(main())
