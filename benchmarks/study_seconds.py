"""Where the processor seconds of a study go: searching and judging by contestant, in one process and one thread.

    python benchmarks/study_seconds.py [examples/blackbox_leaderboard.toml] [--seeds 3] [--only bananas gp]

A contestant's first run, which imports and opens what the others find, stands in a column of its own. What Ray, its
workers' imports and the page take comes on top: run the study itself for that.
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[1] / "examples" / "blackbox_leaderboard.toml"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of some work, and what it returns."""
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def main() -> None:
    """A line per contestant, and what one seed of all of them costs."""
    import torch

    from searchbench.harness.declared.plan import RunSpec, plan
    from searchbench.harness.declared.study_file import read_study
    from searchbench.harness.running.run import run_judge, run_search

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--seeds", type=int, default=3, help="counted, beside the first")
    parser.add_argument("--only", nargs="+", help="labels")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    runs: dict[str, list[RunSpec]] = defaultdict(list)
    for spec in plan(read_study(asked.study)).runs:
        if asked.only is None or spec.contestant.label in asked.only:
            runs[spec.contestant.label].append(spec)
    print(f"CPU-seconds of a run, means of {asked.seeds} seeds\n{'':24s}   first  search   judge", flush=True)
    whole = 0.0
    for label, specs in runs.items():
        searched, judged = [], []
        for spec in specs[: asked.seeds + 1]:
            seconds, result = timed(lambda spec=spec: run_search(spec, None))  # type: ignore[misc]
            searched.append(seconds)
            if result.architecture is not None:
                judged.append(timed(lambda spec=spec, result=result: run_judge(spec, result.architecture))[0])  # type: ignore[misc]
        search, judge = (sum(each[1:]) / max(len(each) - 1, 1) for each in (searched, judged))
        whole += search + judge
        print(f"{label:24s} {searched[0]:7.2f} {search:7.3f} {judge:7.4f}", flush=True)
    print(f"{'one seed of all':24s} {'':7s} {whole:7.3f}")


if __name__ == "__main__":
    main()
