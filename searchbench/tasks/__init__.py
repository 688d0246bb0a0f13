"""Tasks: data sets with their splits and recipes."""

from __future__ import annotations

from searchbench.registry import Entry, Registry

TASKS = Registry(
    kind="task",
    group="searchbench.tasks",
    builtin={
        "digits": Entry("searchbench.tasks.digits:Digits", "1,797 real 8x8 handwritten digits, bundled; no download"),
        "mnist": Entry("searchbench.tasks.images:Mnist", "70,000 handwritten digits, 28x28, read from a folder"),
        "cifar10": Entry("searchbench.tasks.images:Cifar10", "60,000 photographs, 32x32, 10 classes, from a folder"),
    },
)

__all__ = ["TASKS"]
