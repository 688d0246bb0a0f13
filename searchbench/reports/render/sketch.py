"""Small figures out of characters: two dots of a pair, an interval about zero."""

from __future__ import annotations

import math

LEFT, RIGHT, BOTH = "●", "○", "◉"


def pair(left: float, right: float, low: float, high: float, width: int) -> str:
    """ "    ●─────○   ": two values on a line from `low` to `high`; a missing one leaves its dot out."""
    line = [" "] * width
    a, b = (place(value, low, high, width) for value in (left, right))
    if a is not None and b is not None:
        line[min(a, b) : max(a, b)] = "─" * abs(a - b)
    for at, mark in ((a, LEFT), (b, RIGHT)):
        if at is not None:
            line[at] = BOTH if a == b else mark
    return "".join(line)


def interval(low: float, middle: float, high: float, *, reach: float, width: int) -> str:
    """ "   ├──●──┤  ┊     ": an interval on a line from -reach to +reach; ┊ is zero."""
    line = [" "] * width
    zero, a, m, b = (_place(value, -reach, reach, width) for value in (0.0, low, middle, high))
    line[zero] = "┊"
    for i in range(a, b + 1):
        line[i] = "┼" if i == zero else "─"
    line[a], line[b], line[m] = "├", "┤", LEFT
    return "".join(line)


def place(value: float, low: float, high: float, width: int) -> int | None:
    """Index of a value among `width` characters; None where it is not finite."""
    return _place(value, low, high, width) if math.isfinite(value) else None


def _place(value: float, low: float, high: float, width: int) -> int:
    share = 0.5 if high <= low else (value - low) / (high - low)
    return min(width - 1, max(0, round(share * (width - 1))))
