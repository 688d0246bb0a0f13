"""Runs as the page shows them: all in one table, and those that are looked at first with all that was recorded."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from searchbench.metric import Metric
from searchbench.reports import drawings
from searchbench.reports.dossier import Dossier
from searchbench.results.columns import read_traces, read_trials
from searchbench.results.curves import floats
from searchbench.results.records import RunRecord, cost_to_json

MAX_DETAILED = 200
"""Runs that the page holds whole; of more, failed ones and each strategy's best, middle and worst come first."""
MAX_FAILED = 40
POINTS = 200
"""Trials of a run, or lines of its log, that are drawn; more are thinned evenly."""
MAX_LOGGED = 8
"""Names of a log that a run's page draws."""


def overview(dossier: Dossier) -> dict[str, Any]:
    """What the table of runs and the pages of single runs are drawn from, as plain values in columns."""
    runs = [run for own in dossier.current.values() for run in own]
    others = {run.run_id for run in runs}
    runs += [run for run in dossier.runs if run.run_id not in others]
    metrics = {block.problem: block.verdicts.metric for block in reversed(dossier.board.blocks)}  # ranked ones first
    strategies, problems = _numbered(run.strategy for run in runs), _numbered(run.problem for run in runs)
    wanted = looked_at_first(runs)
    whole = [run for run in runs if run.run_id in wanted]
    return {
        "strategies": list(strategies), "problems": list(problems), "settings": _settings(dossier),
        "metrics": [metrics[name].heading if name in metrics else "result" for name in problems],
        "command": f"searchbench verify {shlex.quote(dossier.study.name)} --run",
        "columns": {
            "id": [run.run_id for run in runs], "strategy": [strategies[run.strategy] for run in runs],
            "problem": [problems[run.problem] for run in runs], "seed": [run.replicate for run in runs],
            "status": [_ending(run) for run in runs], "ended": [run.ended for run in runs],
            "result": [_number(run.test_error * metrics[run.problem].scale) for run in runs],
            "validation": [_number(run.value * metrics[run.problem].scale) for run in runs],
            "evaluations": [_number(run.cost.evaluations) for run in runs],
            "seconds": [_number(run.cost.seconds) for run in runs],
        },
        "details": {run.run_id: detail(run, metrics[run.problem]) for run in whole}, "cells": cells(whole),
        "all": len(whole) == len(runs),
    }  # fmt: skip


def looked_at_first(runs: Sequence[RunRecord]) -> set[str]:
    """Ids of all runs where they are few; else each strategy's best, middle and worst, failures, and the first."""
    if len(runs) <= MAX_DETAILED:
        return {run.run_id for run in runs}
    failed = [run for run in runs if not run.judged][:MAX_FAILED]
    arms: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        if run.judged:
            arms.setdefault((run.problem, run.strategy), []).append(run)
    told = []
    for own in arms.values():
        ordered = sorted(own, key=lambda run: (run.test_error, run.replicate))
        told += [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
    found = dict.fromkeys(run.run_id for run in (*told, *failed, *runs))
    return set(list(found)[:MAX_DETAILED])


def _settings(dossier: Dossier) -> dict[str, str]:
    """Settings by label: what the study file said of a strategy."""
    given = dict(dossier.spec.get("given", {}).get("strategies", ()))
    return {label: json.dumps(said, ensure_ascii=False) for label, said in given.items()}


def _ending(run: RunRecord) -> str:
    return "ok" if run.judged else run.status if not run.ok else f"judging: {run.test_status or 'missing'}"


def cells(runs: Iterable[RunRecord]) -> dict[str, str]:
    """Drawings of what runs handed over, by notation; of what cannot be drawn there is none."""
    drawn = {run.architecture: drawings.drawn(run.architecture, run.architecture) for run in runs if run.architecture}
    return {notation: svg for notation, svg in drawn.items() if svg is not None}


def detail(run: RunRecord, metric: Metric) -> dict[str, Any]:
    """All that the page of one run shows, its recordings included."""
    facts = {
        "architecture": run.architecture or "–", "described as": run.description, "budget": run.budget,
        "protocol": run.protocol, "started": run.started, "finished": run.finished, "host": run.host or "–",
        "attempts": str(run.attempts), "fingerprint of the problem": run.fingerprint,
        "cost of the search": _spent(cost_to_json(run.cost)), "cost of judging": _spent(cost_to_json(run.judge_cost)),
        "measured by the judge": ", ".join(f"{name} {value:.6g}" for name, value in run.test_metrics.items()) or "–",
    }  # fmt: skip
    if run.notes:
        facts["notes"] = "; ".join(run.notes)
    return {
        "facts": facts, "trials": _trials(run, metric.factor), "log": _log(run), "cell": run.architecture,
        "failure": ((run.test_failure if run.ok else run.error) or "").strip(),
    }  # fmt: skip


def _spent(text: str) -> str:
    spent: Mapping[str, float] = json.loads(text)
    return ", ".join(f"{axis} {amount:.6g}" for axis, amount in spent.items() if amount) or "–"


def _trials(run: RunRecord, factor: float) -> dict[str, Any]:
    """Values of the trials by number, and the value of the one that stood recommended after each."""
    table = read_trials(run.trials) if run.trials else None
    if table is None or not table.num_rows:
        return {}
    values = factor * floats(table, "value")
    chosen = floats(table, "recommended")
    known = np.isfinite(chosen) & (chosen >= 0) & (chosen < len(values))
    best = np.where(known, values[np.where(known, chosen, 0).astype(int)], np.nan)
    at = _thinned(len(values))
    words = table["architecture"].cast("string").to_pylist()
    return {
        "of": len(values), "number": (at + 1).tolist(), "value": [_number(values[i]) for i in at],
        "best": [_number(best[i]) for i in at], "what": [str(words[i])[:120] for i in at] if len(values) <= 50 else [],
        "failed": sum(status != "ok" for status in table["status"].cast("string").to_pylist()),
    }  # fmt: skip


def _log(run: RunRecord) -> dict[str, list[float | None]]:
    """Numbers that the search logged, a list for each name."""
    table = read_traces(run.traces)
    if table is None or not table.num_rows:
        return {}
    names = [
        name for name in table.column_names
        if name not in ("line", "epoch") and not name.startswith("spent_") and str(table[name].type) == "double"
    ][:MAX_LOGGED]  # fmt: skip
    at = _thinned(table.num_rows)
    return {name: [_number(table[name][int(i)].as_py()) for i in at] for name in names}


def _thinned(many: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.unique(np.linspace(0, many - 1, min(many, POINTS)).round().astype(np.int64))


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(dict.fromkeys(names))}


def _number(value: float | None) -> float | None:
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
