"""How numbers and short texts are written for people: percentages, counts, durations, limits."""

from __future__ import annotations

import json
import math
import re

from searchbench.metric import Metric
from searchbench.reports.summary import Summary

NONE = "–"
_SUFFIXES = ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P"), (1e18, "E"))


def spread(summary: Summary, metric: Metric) -> str:
    """ "6.12 ± 0.31" in shown units; without ± where there is one run."""
    if summary.n == 0:
        return NONE
    return metric.spread(metric.scale * summary.mean, metric.scale * summary.std)


def number(value: float, metric: Metric) -> str:
    """A result in shown units: a share as a percentage."""
    return metric.number(metric.scale * value)


def signed(shown: float, metric: Metric, beside: float = math.nan) -> str:
    """ "+0.31": a difference in shown units, in digits that follow what stands beside it."""
    text = metric.number(shown, abs(beside) if math.isfinite(beside) else abs(shown))
    return text if text.startswith(("-", "–")) else f"+{text}"


def count(value: float) -> str:
    """ "942", "20.50", "12.3M": three significant digits from ten thousand on."""
    if not math.isfinite(value):
        return NONE
    if value < 9999.5:
        return f"{value:.0f}" if value == int(value) else f"{value:.4g}" if value >= 1000 else f"{value:#.4g}"
    size, suffix = next(((s, u) for s, u in _SUFFIXES if value < 999.5 * s), (1e18, "E"))
    return _three(value / size) + suffix


def seconds(value: float) -> str:
    """ "120 ms", "4.50 min", "3.20 h", "12.0 d"."""
    if not math.isfinite(value):
        return NONE
    for limit, size, unit in ((0.9995, 1e-3, "ms"), (99.95, 1, "s"), (5997, 60, "min"), (359_820, 3600, "h")):
        if value < limit:
            return f"{_three(value / size)} {unit}"
    return f"{_three(value / 86_400)} d"


def memory(value: float) -> str:
    """ "512 MB"."""
    if not math.isfinite(value):
        return NONE
    size, unit = next(((s, u) for s, u in ((1e3, "kB"), (1e6, "MB"), (1e9, "GB")) if value < 999.5 * s), (1e12, "TB"))
    return f"{_three(value / size)} {unit}"


def budget(text: str) -> str:
    """ "evaluations ≤ 100, macs ≤ 2T", from the limits as JSON; every digit of them."""
    try:
        limits = json.loads(text)
    except ValueError:
        return text
    if not isinstance(limits, dict):
        return text
    return ", ".join(f"{axis} ≤ {_limit(limit)}" for axis, limit in limits.items()) or "none"


def clipped(text: str, length: int = 200) -> str:
    """A message in one line of bearable length."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def times(runs: int) -> str:
    """ "1 run", "3 runs"."""
    return f"{runs} run" + ("" if runs == 1 else "s")


def _limit(value: float) -> str:
    for size, suffix in reversed(_SUFFIXES[1:]):
        if value >= size:
            return f"{value / size:.15g}{suffix}"
    return f"{value:,.15g}"


def _three(value: float) -> str:
    """Three significant digits, with their zeros; all digits of a larger number."""
    return f"{value:.0f}" if value >= 99.95 or value == 0 else f"{value:#.3g}"


NEGATIVE = re.compile(r"(?<![\w.\-–])-(?=\.?\d)")
"""A hyphen that begins a number: neither within a word or a date, nor between two numbers."""


def minus(text: str) -> str:
    """The text with a minus sign before every negative number, where a hyphen stands."""
    return NEGATIVE.sub("\N{MINUS SIGN}", text)
