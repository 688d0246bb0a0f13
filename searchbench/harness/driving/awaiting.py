"""Finished searches as the store keeps them until they are judged: plain values as JSON, recordings as they are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from searchbench.errors import StoreError
from searchbench.results.records import SearchResult, Waiting, cost_from_json, cost_to_json

_RECORDINGS = ("trials", "traces")


def to_waiting(result: SearchResult, attempts: int) -> Waiting:
    """A finished search, and how often it was started, for the store."""
    plain = {f.name: getattr(result, f.name) for f in fields(result) if f.name not in _RECORDINGS}
    value = None if math.isnan(result.value) else float(result.value)
    plain |= {"cost": cost_to_json(result.cost), "value": value, "notes": list(result.notes), "attempts": attempts}
    return Waiting(result.run_id, json.dumps(plain), result.trials, result.traces)


def from_waiting(kept: Waiting) -> tuple[SearchResult, int] | None:
    """The inverse of `to_waiting`; None where another version kept it, or it is damaged: its search is run again."""
    try:
        plain: Mapping[str, Any] = json.loads(kept.result)
        known = {f.name: plain[f.name] for f in fields(SearchResult) if f.name in plain}
        value = math.nan if known["value"] is None else float(known["value"])
        known |= {"cost": cost_from_json(known["cost"]), "value": value, "notes": tuple(known["notes"])}
        return SearchResult(**known, trials=kept.trials, traces=kept.traces), int(plain["attempts"])
    except (ValueError, TypeError, KeyError, AttributeError, StoreError):
        return None
