"""Search spaces."""

from __future__ import annotations

from searchbench.registry import Entry, Registry
from searchbench.spaces.choices import Choice, Decision, Float, Integer, When
from searchbench.spaces.space import Architecture, Space

SPACES = Registry(
    kind="space",
    group="searchbench.spaces",
    builtin={
        "nasbench201": Entry(
            "searchbench.spaces.nasbench201:nasbench201",
            "one cell, six edges, five operations: 15,625 strings, 6,466 distinct (Dong & Yang 2020)",
        ),
    },
)

__all__ = ["SPACES", "Architecture", "Choice", "Decision", "Float", "Integer", "Space", "When"]
