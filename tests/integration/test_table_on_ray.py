"""Building a table on Ray workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from searchbench.harness.executors.local import LocalExecutor
from searchbench.harness.session import executor
from searchbench.tables.building.build import build
from searchbench.tables.building.plan import STACK, TablePlan
from searchbench.tasks.task import Recipe

PLAN = TablePlan(
    name="tiny",
    space="nasbench201",
    task="digits",
    settings=(("channels", 2), ("cells", 1), ("stages", 1)),
    recipe=Recipe(epochs=1, batch_size=64, lr=0.1),
    recorded=(1,),
    repeats=2,
)


def rows(path: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in parquet.read_table(path).to_pylist()]


@pytest.mark.ray
def test_a_table_built_on_ray_equals_one_built_in_this_process(tmp_path: Path) -> None:
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    build(PLAN, here, LocalExecutor(), limit=2 * STACK)
    with executor(2) as on_ray:
        built = build(PLAN, there, on_ray, limit=2 * STACK)
    assert built.architectures == 2 * STACK
    assert rows(there) == rows(here)
