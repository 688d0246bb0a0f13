"""Whether the page and the leaderboard bear a large study: CPU seconds, peak memory and size, each in a fresh process.

    python benchmarks/page_at_scale.py [--runs 10000] [--trials 200] [--strategies 10] [--outlier] [--keep FOLDER]

The store is made by the library: strategies whose incumbents fall towards errors a little apart, with one that lies
far away where `--outlier` asks for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from searchbench.cost import Cost
from searchbench.results.columns import TrialColumns
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import open_store
from searchbench.trial import FULL

CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
MEASURE = """
import resource, sys, time
began = time.process_time()
{work}
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.process_time() - began, peak * 1024, {size})
"""
LEADERBOARD = """
from searchbench.reports.dossier import read
from searchbench.reports.render import render
from searchbench.results.store import open_store
with open_store(sys.argv[1]) as store:
    text = render(read(store).board, "md")
"""
REPORT = """
from searchbench.reports.report import report
from searchbench.results.store import open_store
with open_store(sys.argv[1]) as store:
    written = report(store, None, sys.argv[2])
"""


def large_store(path: Path, *, runs: int, trials: int, strategies: int, outlier: bool = False) -> Path:
    """A store of `runs` finished runs of `trials` trials each, over `strategies` strategies."""
    labels = ["random", *(f"strategy-{i:02}" for i in range(1, strategies))]
    seeds = max(1, runs // strategies)
    planned = [
        {"run_id": f"{label}/{seed}", "strategy": label, "problem": "cells", "replicate": seed}
        for seed in range(seeds)
        for label in labels
    ]
    parts = {key: {"use": "x"} for key in ("space", "task", "estimator", "judge")}
    spec = {
        "name": "large", "seeds": list(range(seeds)), "budget": {"evaluations": float(trials)}, "planned": planned,
        "problems": [{"label": "cells", "fingerprint": "f", **parts}],
        "strategies": [{"label": label} for label in labels], "skipped": [], "ablation": None,
        "comparison": {"baseline": "random", "alpha": 0.05, "rope": 0.001, "looks": 1, "family": "baseline"},
    }  # fmt: skip
    with open_store(path, write=True) as store:
        store.add_study(StudyRecord("large", json.dumps(spec), "2025-01-01T00:00:00+00:00"))
        for entry in planned:
            store.add_run(_run(entry, labels, trials, outlier))
    return path


def _run(entry: dict[str, object], labels: list[str], trials: int, outlier: bool) -> RunRecord:
    label, seed = str(entry["strategy"]), int(str(entry["replicate"]))
    at = labels.index(label)
    rng = np.random.default_rng([at, seed])
    error = 0.36 if outlier and at == len(labels) - 1 else 0.07 - 0.001 * at
    values = error + 0.02 + 0.1 * rng.exponential(size=trials) ** 2
    columns, best = TrialColumns(), 0
    for t, value in enumerate(values.tolist()):
        best = t if value < values[best] else best
        spent = Cost(evaluations=t + 1, simulated_s=30.0 * (t + 1), host_s=0.001 * (t + 1))
        columns.append(CELL, f"{at}/{seed}/{t}", FULL, "ok", value, spent=spent, recommended=best)
    return RunRecord.flat(
        run_id=entry["run_id"], study="large", strategy=label, problem="cells", fingerprint="f",
        description='{"class":"S"}', budget=json.dumps({"evaluations": float(trials)}), replicate=seed, status="ok",
        ended="budget", cost=Cost(evaluations=trials, simulated_s=30.0 * trials, host_s=0.001 * trials),
        trials=columns.to_bytes(), started="2025-01-01T00:00:05+00:00", finished="2025-01-01T00:00:09+00:00",
        host="box", architecture=CELL, architecture_key=f"{at}/{seed}/{best}", value=float(values[best]),
        test_status="ok", test_error=error + 0.01 * float(rng.normal()),
        test_metrics={"params": 1e5 * (at + 1) + seed, "macs": 2e6},
    )  # fmt: skip


def measured(work: str, size: str, *arguments: str) -> tuple[float, float, float]:
    """CPU seconds, peak bytes and size in bytes of some work in a process of its own."""
    code = MEASURE.format(work=work, size=size)
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    cpu, peak, written = map(float, done.stdout.split()[-3:])
    return cpu, peak, written


def main() -> None:
    """Make the store, then measure what is done with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--strategies", type=int, default=10)
    parser.add_argument("--outlier", action="store_true", help="the last strategy lies far away")
    parser.add_argument("--keep", type=Path, help="folder for the store and its report; made anew where it is absent")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "large.db"
        if not path.exists():
            large_store(path, runs=asked.runs, trials=asked.trials, strategies=asked.strategies, outlier=asked.outlier)
        for what, work, size in (("leaderboard", LEADERBOARD, "len(text)"),
                                 ("report", REPORT, "written.page.stat().st_size")):  # fmt: skip
            cpu, peak, written = measured(work, size, str(path), str(folder / "report"))
            print(f"{what:12} {cpu:6.2f} CPU-s  {peak / 1e6:5.0f} MB  {written / 1e6:7.3f} MB written")


if __name__ == "__main__":
    main()
