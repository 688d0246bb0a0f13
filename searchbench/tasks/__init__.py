"""Tasks: data sets with their splits and recipes."""

from __future__ import annotations

from searchbench.registry import Entry, Registry

TASKS = Registry(
    kind="task",
    group="searchbench.tasks",
    builtin={
        "digits": Entry("searchbench.tasks.digits:Digits", "1,797 real 8x8 handwritten digits, bundled; no download"),
    },
)

__all__ = ["TASKS"]
