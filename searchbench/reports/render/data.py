"""The leaderboard for programs: every column in full precision, an unknown number empty (CSV) or null (JSON)."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from searchbench.printable import cell, escaped
from searchbench.reports.leaderboard import Leaderboard, measured_values
from searchbench.reports.rows import COLUMNS

PLACE = (
    "study", "problem", "ranked", "protocol", "budget", "fingerprint", "source", "metric", "unit", "better",
)  # fmt: skip
MARKS = ("marks", "reference")
"""What a published row adds."""


def to_csv(board: Leaderboard) -> str:
    """A line per strategy and block, under one heading."""
    out = io.StringIO()
    writer = csv.DictWriter(
        out, [*PLACE, *map(board.named, COLUMNS), *(MARKS if board.reported else ())], lineterminator="\n"
    )
    writer.writeheader()
    for record in board.records():
        writer.writerow({key: "" if value is None else cell(value) for key, value in _plain(record).items()})
    return out.getvalue()


def to_json(board: Leaderboard) -> str:
    """Blocks with their rows, what was skipped, and what failed how often."""
    blocks = [
        {
            "problem": block.problem,
            "ranked": block.ranked,
            "protocol": block.protocol,
            "budget": _read(block.budget),
            "fingerprint": block.fingerprint,
            "missing": block.missing,
            "withheld": block.withheld,
            "checklist": block.checklist,
            "caveats": [{"kind": caveat.kind, "reason": caveat.reason} for caveat in block.caveats],
            "notes": [*block.verdicts.notes, *block.noted, *block.derived],
            **measured_values(block),
            "rows": [_plain({board.named(key): value for key, value in row.values().items()}) for row in block.rows],
            "skipped": [{"strategy": strategy, "reason": reason} for strategy, reason in block.skipped],
            "failures": [{"strategy": s, "message": message, "runs": count} for s, message, count in block.failures],
        }
        for block in board.blocks
    ]
    whole: dict[str, Any] = {"study": board.study, "revision": board.revision, "sorted_by": board.sorted_by}
    whole["blocks"] = blocks
    if board.reported:
        reported = (r for r in board.records() if r["source"] == "reported")
        whole["reported"] = [_plain(r | {"budget": _read(r["budget"])}) for r in reported]
    return escaped(json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def _read(text: str) -> Any:
    """A budget as an object, where it is one in text; published rows have theirs in words."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
