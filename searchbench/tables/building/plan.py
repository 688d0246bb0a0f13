"""What a table that is built here records, and in which order: plain values, settled before anything is trained."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchbench.errors import UnknownName
from searchbench.harness.declared.components import canonical_json
from searchbench.seeds import Seeds, derive
from searchbench.spaces import SPACES
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks import TASKS
from searchbench.tasks.task import Recipe, Task

STACK = 16
"""Trainings in one job on a CPU: more do not fit the cache, fewer pay more for calls."""
GPU_STACK = 512
"""Trainings in one job on a GPU: enough to fill it."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table of every distinct architecture of a space, trained on a task.

    Every training is on the task's train split alone, the same for all; after the recorded epochs the validation and
    the test split are measured.
    """

    name: str
    space: str
    task: str
    recipe: Recipe
    recorded: tuple[int, ...]
    """Epochs after which accuracies are recorded; the last is the recipe's own."""
    settings: tuple[tuple[str, int], ...] = ()
    """Of the space's skeleton."""
    repeats: int = 3
    """Trainings of each architecture, which differ in initial weights and in the order of samples."""
    version: int = 1
    """Raised with every change of what a training computes."""

    def __post_init__(self) -> None:
        assert self.recorded == tuple(sorted(set(self.recorded))), "recorded epochs ascend"
        assert self.recorded[-1] == self.recipe.epochs, "the last epoch is recorded"

    def make_space(self) -> Space:
        """The space, with the table's skeleton."""
        space: Space = SPACES.factory(self.space)(**dict(self.settings))
        return space

    def make_task(self) -> Task:
        """The task."""
        task: Task = TASKS.factory(self.task)()
        return task

    def seeds(self) -> Seeds:
        """The streams of the table: its split is that of replicate 0 of a study of its name."""
        return Seeds(self.name, 0)

    def seed(self, repeat: int) -> int:
        """The seed of all trainings of a repeat: every architecture sees the same samples in the same order."""
        return self.seeds().seed("noise", f"repeat {repeat}")

    def architectures(self) -> list[Architecture]:
        """One architecture per key, the first in the order of enumeration."""
        first: dict[str, Architecture] = {}
        for architecture in self.make_space().enumerate():
            first.setdefault(architecture.key, architecture)
        return list(first.values())

    def jobs(self, device: str = "cpu") -> Iterator[TableJob]:
        """Stacks of trainings for a device, in the order of a seeded permutation of the architectures, all repeats of
        a stack in a row: whatever is finished first is a uniform sample of the space."""
        stack = GPU_STACK if device == "cuda" else STACK
        texts = [str(architecture) for architecture in self.architectures()]
        order = np.random.Generator(np.random.PCG64(derive(0, f"{self.name} order"))).permutation(len(texts))
        for start in range(0, len(order), stack):
            chosen = tuple(texts[at] for at in order[start : start + stack])
            for repeat in range(self.repeats):
                yield TableJob(self, chosen, repeat, device)

    def describe(self) -> dict[str, Any]:
        """Everything that decides the numbers, as plain values. Of the recipe what differs from a recipe's defaults, so
        that a recipe which learns a new word leaves recorded trainings as they are."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        said = dataclasses.fields(self.recipe)
        recipe = {f.name: v for f in said if (v := getattr(self.recipe, f.name)) != f.default}
        return plain | {"recipe": recipe, "settings": dict(self.settings)}

    @property
    def fingerprint(self) -> str:
        """Fingerprint of `describe` and the task's data: only trainings of one fingerprint stand in one table."""
        text = canonical_json(self.describe()) + self.make_task().checksum()
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class TableJob:
    """One stack of trainings."""

    plan: TablePlan
    architectures: tuple[str, ...]
    repeat: int
    device: str = "cpu"
    """Where it is trained: "cpu" or "cuda"."""


PLANS = {
    "nasbench201-digits": TablePlan(
        name="nasbench201-digits",
        space="nasbench201",
        task="digits",
        settings=(("channels", 8), ("cells", 1), ("stages", 1)),
        recipe=Recipe(epochs=12, batch_size=32, lr=0.035, weight_decay=5e-4, bn_momentum=0.3),
        recorded=(1, 2, 3, 4, 6, 8, 10, 12),
    )
}


def table_plan(name: str) -> TablePlan:
    """The plan of a table. Raises UnknownName."""
    if name not in PLANS:
        raise UnknownName("table", name, PLANS)
    return PLANS[name]
