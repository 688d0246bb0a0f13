"""The tables of the DARTS-PRIME paper, and reference numbers of Yang et al. (2020), as rows marked *reported*."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from searchbench.errors import StatisticsError
from searchbench.statistics.comparability import Key, Protocol, Row
from searchbench.statistics.two_sample import Summary


@lru_cache(maxsize=1)
def tables() -> dict[str, Any]:
    """The whole file: `seed_tables` (rows, legend, extra facts) and `published_reference_data`."""
    text = files("searchbench.results").joinpath("data/published.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def rows(task: str | None = None) -> tuple[Row, ...]:
    """Published rows, of one task ("CIFAR-10", "CIFAR-100", "PTB") or all. Every one is *reported*."""
    found = [_row(r) for r in tables()["seed_tables"]["rows"] if task in (None, r["task"])]
    if not found:
        known = sorted({r["task"] for r in tables()["seed_tables"]["rows"]})
        raise StatisticsError(f"no published row for task `{task}`; known: {', '.join(known)}")
    return tuple(found)


def summary(task: str, method: str, *, split: str = "test") -> Summary:
    """Mean ± std over n searches of one published row; `split="valid"` where the paper prints it (PTB).

    Raises:
        StatisticsError: no such row, or it has no spread or no number of searches.
    """
    mean, std = ("valid_mean", "valid_std") if split == "valid" else ("mean", "std")
    for r in tables()["seed_tables"]["rows"]:
        if (r["task"], r["method"]) == (task, method) and r.get("n_searches") and r.get(std) is not None:
            return Summary(float(r[mean]), float(r[std]), int(r["n_searches"]), method)
    raise StatisticsError(f"no published row `{method}` on {task} with a spread over several searches ({split})")


def _row(r: dict[str, Any]) -> Row:
    marks = [
        ("*", "star_best_arch_multi_eval"), ("†", "dagger_different_space"), ("‡", "double_dagger_reevaluated_by_darts")
    ]  # fmt: skip
    space = "another space" if r["dagger_different_space"] else "DARTS"
    key = Key(
        task=r["task"], metric=r["metric"], space=space, pipeline=r["reference"], split="test",
        protocol=Protocol(r["protocol"].removeprefix("as_").replace("reported_by_source", "reported")),
        budget="as published",
    )  # fmt: skip
    return Row(
        name=r["method"], key=key, mean=float(r["mean"]), std=r["std"], n=r.get("n_searches"), source="reported",
        marks="".join(sign for sign, flag in marks if r[flag]), reference=r["reference"], cost=r["search_gpu_days"],
    )  # fmt: skip
