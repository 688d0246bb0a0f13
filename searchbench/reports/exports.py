"""Every table of a report as CSV in full precision, by file name."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import SimpleNamespace
from typing import Any

from searchbench.printable import cell, escaped
from searchbench.reports.ablation import Ablation
from searchbench.reports.dossier import Dossier
from searchbench.reports.ranking import records as ranking_records
from searchbench.reports.render.data import to_csv
from searchbench.reports.tradeoff import records as tradeoff_records
from searchbench.results.curves import Curves
from searchbench.results.frames import run_columns
from searchbench.results.records import RunRecord
from searchbench.statistics import Answer

POINTS = 200


def tables(dossier: Dossier) -> dict[str, str]:
    """File name to CSV."""
    found = {
        "leaderboard.csv": to_csv(dossier.board),
        "comparisons.csv": written(_comparisons(dossier)),
        "checklist.csv": written(_checks(dossier)),
        "runs.csv": written(_runs(dossier.runs)),
        "curves.csv": written(_curves(dossier)),
    }
    if dossier.across is not None:
        found["across.csv"] = written(dossier.across.records())
    if dossier.rankings:
        found["ranking.csv"] = written(ranking_records(dossier.rankings))
    if dossier.tradeoffs:
        found["fronts.csv"] = written(tradeoff_records(dossier.tradeoffs))
    if dossier.ablations:
        found["ablation.csv"] = written(effect_records(dossier.ablations))
    return {name: text for name, text in found.items() if text}


def _runs(runs: Sequence[RunRecord]) -> Iterable[dict[str, Any]]:
    columns = {name: values for name, values in run_columns(runs).items() if name != "error"}
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def written(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows under the keys of the first as CSV; empty where there is none."""
    left = iter(rows)
    first = next(left, None)
    if first is None:
        return ""
    lines: list[str] = []  # a `StringIO` takes four bytes for each character
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="\n")
    writer.writerow(first)
    for row in chain([first], left):
        if row.keys() != first.keys():
            raise ValueError(f"rows of one table have the same keys, but got {list(first)} and {list(row)}")
        writer.writerow("" if v is None or (isinstance(v, float) and math.isnan(v)) else cell(v) for v in row.values())
    return "".join(lines)


def _comparisons(dossier: Dossier) -> Iterable[dict[str, Any]]:
    """Every test of the leaderboard's family."""
    for block in dossier.board.blocks:
        unit = block.verdicts.unit or block.verdicts.metric.name
        family = block.verdicts.family
        kind = "baseline" if block.verdicts.pairs is None else "all pairs"
        for (a, b), answer in family or ():
            yield {"problem": block.problem, "family": kind, "a": a, "b": b, "unit": unit} | _flat(answer)


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as a list of JSON objects; what is no finite number is null."""
    plain = [{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()} for row in rows]
    return escaped(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def effect_records(ablations: Iterable[Ablation]) -> Iterable[dict[str, Any]]:
    """A row for each effect and single step of each ablation."""
    for found in ablations:
        steps: dict[str, Answer | None] = dict(found.effects)
        steps |= {f"base + {r.component}": r.added for r in found.ladder}
        steps |= {f"{r.component} within full": r.removed for r in found.ladder}
        for name, answer in steps.items():
            if answer is not None:
                numbers = _flat(answer)
                size = {"effect_size": numbers.pop("effect")}
                yield {"problem": found.problem, "effect": name, "unit": found.unit} | numbers | size


def _flat(answer: Answer) -> dict[str, Any]:
    interval, effect = answer.interval, answer.effect
    return {
        "estimate": answer.estimate, "low": interval.low if interval else None,
        "high": interval.high if interval else None, "level": interval.level if interval else None,
        "effect_name": effect.name if effect else None, "effect": effect.value if effect else None, "p": answer.p,
        "p_adjusted": answer.p_adj, "family_size": answer.family_size, "n": answer.n, "failed": answer.n_failed,
        "status": answer.status, "method": answer.method, "call": answer.call, "wording": answer.wording,
        "refusal": answer.refusal_reason, "caveats": ";".join(answer.caveats),
    }  # fmt: skip


def _checks(dossier: Dossier) -> Iterable[dict[str, Any]]:
    for problem, found in dossier.checklists.items():
        for item in found.items:
            yield {
                "problem": problem, "id": item.id, "verdict": item.verdict.value, "practice": item.check,
                "evidence": item.evidence, "source": item.source, "blocking": item.blocking,
            }  # fmt: skip


def _curves(dossier: Dossier) -> Iterable[dict[str, Any]]:
    """Mean incumbent of each strategy on a common grid of each axis, and how many runs have one by then."""
    for problem, axes in dossier.curves.items():
        for curves in axes.values():
            yield from _means(problem, dossier.current[problem], curves)


def _means(problem: str, runs: Sequence[RunRecord], curves: Curves) -> Iterable[dict[str, Any]]:
    import numpy as np

    grid = curves.grid(POINTS)
    values = curves.at(grid) if len(grid) else np.empty((len(runs), 0))
    names = np.array([run.strategy for run in runs], dtype=object)
    for strategy in dict.fromkeys(names):
        own = values[names == strategy]
        having = (~np.isnan(own)).sum(axis=0)
        mean = np.nansum(own, axis=0) / np.maximum(having, 1)
        for at, value, n in zip(grid.tolist(), mean.tolist(), having.tolist(), strict=True):
            if n:
                yield {
                    "problem": problem, "axis": curves.axis, "spent": at, "strategy": strategy,
                    "validation_mean": value, "runs_with_incumbent": n, "runs": len(own),
                }  # fmt: skip
