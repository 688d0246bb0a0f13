"""Compact letter display: strategies that share a letter are not told apart.

Insert-and-absorb (Piepho 2004, J. Comput. Graph. Stat. 13:456).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def letters(different: NDArray[np.bool_], order: Sequence[int] | None = None) -> tuple[str, ...]:
    """One string of letters per strategy.

    Args:
        different: symmetric [k, k]; True where a pair is told apart.
        order: strategies from best to worst, so that "a" goes to the best; default 0 … k-1.

    Returns:
        [k] strings; two of them share a letter exactly when their pair is not told apart.
    """
    k = len(different)
    place = list(range(k)) if order is None else list(order)
    columns = [frozenset(range(k))]
    for i in range(k):
        for j in range(i + 1, k):
            if different[i, j]:
                columns = _absorb(_split(columns, i, j))
    where = {s: at for at, s in enumerate(place)}
    columns.sort(key=lambda c: sorted(where[s] for s in c))
    return tuple("".join(_name(c) for c, column in enumerate(columns) if s in column) for s in range(k))


def _split(columns: list[frozenset[int]], i: int, j: int) -> list[frozenset[int]]:
    out = []
    for column in columns:
        out += [column - {i}, column - {j}] if i in column and j in column else [column]
    return out


def _absorb(columns: list[frozenset[int]]) -> list[frozenset[int]]:
    columns = list(dict.fromkeys(columns))
    return [c for c in columns if not any(c < other for other in columns)]


def _name(index: int) -> str:
    """a … z, then (27), (28) … in brackets, so that a display of many letters still reads."""
    return chr(ord("a") + index) if index < 26 else f"({index + 1})"
