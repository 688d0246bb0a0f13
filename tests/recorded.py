"""A store as a study would have left it: two parts of a method, a failing strategy, traces, awkward labels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from searchbench.cost import Cost
from searchbench.results.columns import TraceColumns, TrialColumns
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import open_store
from searchbench.trial import FULL

EVIL = "<script>alert('x')</script> & \"quotes\""
"""A label that must be shown as it is."""
ERRORS = {"random": 0.20, "base": 0.19, "+A": 0.185, "+B": 0.16, "A and B": 0.12, EVIL: 0.201}
BROKEN = "broken"
CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: </pre><b>boom</b> {{ 7 * 7 }}'
BUDGET = {"evaluations": 20.0}
RANDOM = '{"class":"searchbench.strategies.random:Random","replacement":true}'


def a_store(
    path: Path,
    *,
    seeds: int = 12,
    trials: int = 20,
    comparison: bool = True,
    missing: int = 0,
    notes: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Path:
    """Write it; the last `missing` runs are planned but not recorded; `notes` stand in the runs of a strategy."""
    labels = [*ERRORS, BROKEN]
    planned = [
        {"run_id": f"{i}/{seed}", "strategy": label, "problem": "cells", "replicate": seed}
        for seed in range(seeds)
        for i, label in enumerate(labels)
    ]
    with open_store(path, write=True) as store:
        spec = json.dumps(a_spec(seeds, planned, comparison))
        made_with = {"commit": "c0ffee", "packages": {"searchbench": "0"}, "cores": 2}
        store.add_study(StudyRecord("recorded", spec, "2025-01-01T00:00:00+00:00", provenance=made_with))
        for entry in planned[: len(planned) - missing]:
            run = a_run(entry, labels.index(entry["strategy"]), trials)
            store.add_run(run.changed(notes=notes.get(entry["strategy"], ())))
    return path


def a_spec(seeds: int, planned: list[dict[str, Any]], comparison: bool = True) -> dict[str, Any]:
    """The declaration."""
    parts = {key: {"use": "x"} for key in ("space", "task", "estimator", "judge")}
    return {
        "name": "recorded", "seeds": list(range(seeds)), "budget": BUDGET,
        "problems": [{"label": "cells", "fingerprint": "f", **parts}], "planned": planned,
        "strategies": [{"label": label} for label in (*ERRORS, BROKEN)],
        "skipped": [{"strategy": "supernet", "problem": "cells", "reason": "needs training"}],
        "comparison": {"baseline": "random", "alpha": 0.05, "rope": 0.002, "looks": 1, "family": "baseline"}
        if comparison
        else None,
        "ablation": {"base": "base", "factors": [["A", ["+A", "A and B"]], ["B", ["+B", "A and B"]]]},
        "given": {"problems": [], "strategies": [["random", {"use": "random"}], ["base", {"use": "x", "lr": 1}]]},
    }  # fmt: skip


def a_run(entry: dict[str, Any], i: int, trials: int) -> RunRecord:
    """One run; those of `BROKEN` fail with a traceback that looks like markup."""
    label, seed = entry["strategy"], entry["replicate"]
    broken = label == BROKEN
    plain: dict[str, Any] = {
        "run_id": entry["run_id"], "study": "recorded", "strategy": label, "problem": "cells", "fingerprint": "f",
        "description": RANDOM if label == "random" else '{"class":"S"}', "budget": json.dumps(BUDGET),
        "replicate": seed, "status": "failed" if broken else "ok", "ended": "error" if broken else "budget",
        "cost": Cost(evaluations=trials, simulated_s=30.0 * trials + i + seed, host_s=0.01 * (i + 1)),
        "trials": the_trials(label, i, seed, trials), "started": "2025-01-01T00:00:05+00:00",
        "finished": "2025-01-01T00:00:09+00:00", "host": "box", "error": TRACEBACK if broken else None,
    }  # fmt: skip
    if not broken:
        error = ERRORS[label] + 0.01 * math.sin(3 * seed) + 0.003 * math.sin(7 * seed + i)
        plain |= {
            "architecture": CELL, "architecture_key": "k", "value": error - 0.01, "test_status": "ok",
            "test_error": error, "test_metrics": {"params": 1e5 * (i + 1) + seed, "macs": 2e6},
            "traces": a_trace(i, seed),
        }  # fmt: skip
    return RunRecord.flat(**plain)


def the_trials(label: str, i: int, seed: int, trials: int) -> bytes:
    """Values that fall towards the strategy's error; the incumbent is the best so far."""
    columns, best, value = TrialColumns(), 0, math.inf
    for t in range(trials):
        shown = ERRORS.get(label, 0.5) + 0.3 / (1 + t) * (1 + 0.2 * math.sin(t + i + seed))
        if shown < value:
            best, value = t, shown
        spent = Cost(evaluations=t + 1, simulated_s=30.0 * (t + 1), host_s=0.001 * (t + 1))
        columns.append(CELL, "k", FULL, "ok", shown, spent=spent, recommended=best)
    return columns.to_bytes()


def a_trace(i: int, seed: int) -> bytes:
    """Six epochs of falling entropy."""
    lines = TraceColumns()
    for epoch in range(6):
        lines.append({"epoch": epoch, "entropy": 2.0 / (1 + epoch) + 0.01 * i, "skips": seed % 3}, Cost(epochs=epoch))
    return lines.to_bytes()
