"""What the harness adds to an objective that returns at once: evaluations per CPU-second in one process.

Run: python benchmarks/objective_speed.py [evaluations]
"""

from __future__ import annotations

import sys
import time
from typing import Any

import searchbench as sb
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.run import run_judge, run_search

SPACE = {
    "lr": sb.Float(1e-5, 1, log=True),
    "layers": sb.Integer(1, 4),
    "optimizer": sb.Choice(["sgd", "adam"]),
    "momentum": sb.Float(0, 0.99, when=sb.When("optimizer", "sgd")),
}


def instant(config: dict[str, Any], *, seed: int, epochs: int = 27) -> float:
    """A number, at once."""
    return float(config["lr"])


def measure(strategy: str, evaluations: int, **fidelity: int) -> tuple[int, float]:
    """Trials of one run and the CPU seconds it took, judge included."""
    problem = sb.Objective(instant, SPACE, **fidelity)
    study = sb.Study("speed", problem, [strategy], seeds=1, budget=sb.Budget(evaluations=evaluations))
    (spec,) = plan(study).runs
    run_search(spec)  # what is imported and compiled once
    started = time.process_time()
    found = run_search(spec)
    run_judge(spec, found.architecture or "")
    return found.cost.evaluations, time.process_time() - started


def main() -> None:
    """A line per strategy."""
    evaluations = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    for strategy, fidelity in (("random", {}), ("regularized-evolution", {}), ("hyperband", {"epochs": 27})):
        trials, seconds = measure(strategy, evaluations, **fidelity)
        print(f"{strategy:24} {trials:7,} evaluations  {seconds:6.2f} CPU-s  {trials / seconds:8,.0f} per CPU-second")


if __name__ == "__main__":
    main()
