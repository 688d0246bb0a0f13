"""Whether the page and the leaderboard bear a large study: CPU seconds, peak memory and size of the commands.

    python benchmarks/page_at_scale.py [--runs 10000] [--trials 200] [--strategies 10] [--outlier] [--keep FOLDER]

The store is made by the library: strategies whose incumbents fall towards errors a little apart, with one that lies
far away where `--outlier` asks for it.
"""

from __future__ import annotations

import argparse
import json
import os
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


def measured(*arguments: str) -> tuple[float, float, int]:
    """CPU seconds, peak bytes and characters printed of a command, from its first import on."""
    command = [sys.executable, "-m", "searchbench", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"`{' '.join(command)}` ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, len(printed)


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
        report = folder / "report"
        cpu, peak, written = measured("leaderboard", "--store", str(path))
        print(f"leaderboard  {cpu:6.2f} CPU-s  {peak / 1e6:5.0f} MB  {written / 1e6:7.3f} MB printed")
        cpu, peak, _ = measured("report", "--store", str(path), "--out", str(report))
        page = (report / "index.html").stat().st_size
        print(f"report       {cpu:6.2f} CPU-s  {peak / 1e6:5.0f} MB  {page / 1e6:7.3f} MB of page")


if __name__ == "__main__":
    main()
