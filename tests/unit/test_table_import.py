"""Importing tables: what is read, what is refused, and that what is written serves a study."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from searchbench.cli.table_import import import_table
from searchbench.cost import Budget
from searchbench.errors import DataMissing, StudyError, TableError
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.problem import Problem
from searchbench.harness.declared.study import Study
from searchbench.harness.running.run import run_judge, run_search
from searchbench.results.columns import read_trials
from searchbench.spaces.chains.nasbench_macro import macro
from searchbench.spaces.choices import Choice
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.tables.importing import Beside, as_toml, from_columns, from_fcnet, from_macro, write
from searchbench.tables.table import Join, Table

SPACE = Space("tiny", (Choice("left", ("a", "b")), Choice("right", ("x", "y"))))
TASK: Any = None
CELLS = {
    "id": ["01", "02", "03", "04"],
    "cell": ["left=a,right=x", "left=a,right=y", "left=b,right=x", "left=b,right=y"],
    "acc12": [90.0, 80.0, 70.0, 60.0],
    "acc4": [50.0, 40.0, 30.0, 20.0],
    "seconds_": [12.0, 6.0, 3.0, 1.0],
}


def cells(folder: Path, **changes: list[Any]) -> str:
    path = folder / "cells.csv"
    pd.DataFrame({**CELLS, **changes}).to_csv(path, index=False)
    pd.DataFrame({"id": ["04", "03", "02", "01"], "ms": [4.0, 3.0, 2.0, 1.0], "t": [61.0, 71.0, 81.0, 91.0]}).to_csv(
        folder / "more.csv", index=False
    )
    return str(path)


def mapped(path: str, **settings: Any) -> Table:
    usual = {"architecture": "cell", "validation": ["acc12"], "fidelity": {4: ["acc4"]}, "epochs": 12, "percent": True}
    return Table(path, **{**usual, **settings})  # type: ignore[arg-type]


def test_columns_are_mapped_and_second_files_joined_by_text(tmp_path: Path) -> None:
    more = str(tmp_path / "more.csv")
    table = mapped(cells(tmp_path), seconds="seconds_", test=["t"], join=Join(more, "id"))
    content = from_columns(table, SPACE, [Beside(more, "id", ("ms",))])
    written = write(content, tmp_path / "out.parquet", TASK)
    frame = pd.read_parquet(tmp_path / "out.parquet")
    assert frame["test_0"].tolist() == [91.0, 81.0, 71.0, 61.0]
    assert frame["ms"].tolist() == [1.0, 2.0, 3.0, 4.0]
    estimator = written.open(SPACE, TASK, TASK)
    measured, cost = estimator.evaluate(SPACE.parse("left=a,right=y"), estimator.complete(table_short()), 0)
    assert (measured.value, measured.metrics) == (pytest.approx(0.6), {"ms": 2.0})
    assert (cost.epochs, cost.simulated_s) == (4.0, 2.0)
    assert written.judge().open(SPACE, TASK, TASK).verdict(SPACE.parse("left=b,right=y")).test_error == pytest.approx(
        0.39
    )


def table_short() -> Any:
    from searchbench.trial import Fidelity

    return Fidelity(4.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"acc12": [90.0, 180.0, 70.0, 60.0]}, "row 2, column `validation_0`.*holds 180"),
        ({"cell": [*CELLS["cell"][:3], CELLS["cell"][0]]}, "row 4, column `architecture`.*already stands in row 1"),
        ({"cell": [*CELLS["cell"][:3], "left=c,right=x"]}, "row 4, column `architecture`"),
        ({"seconds_": [1.0, -1.0, 1.0, 1.0]}, "row 2, column `seconds`"),
        ({"id": ["01", "02", "03", "05"]}, "row 4, column `id`: '05' is not in"),
    ],
)
def test_a_fault_is_refused_by_row_and_column_and_nothing_is_written(
    change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    table = mapped(cells(tmp_path, **change), seconds="seconds_")
    beside, out = [Beside(str(tmp_path / "more.csv"), "id", ("ms",))], tmp_path / "out.parquet"
    with pytest.raises(TableError, match=told) as caught:
        write(from_columns(table, SPACE, beside), out, TASK)
    assert "partial" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cells.csv", "more.csv"]


def test_a_table_with_holes_is_refused_unless_declared(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    pd.DataFrame({k: v[:3] for k, v in CELLS.items()}).to_csv(path, index=False)
    with pytest.raises(TableError, match="lacks 1 of the architectures"):
        write(from_columns(mapped(str(path)), SPACE), tmp_path / "out.parquet", TASK)
    written = write(from_columns(mapped(str(path), partial=True), SPACE), tmp_path / "out.parquet", TASK)
    assert written.partial


@pytest.mark.parametrize("name", ["NAS-Bench-201-v1_1.pth", "cells.pickle.pbz2", "table.pkl"])
def test_pickles_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is a pickle"):
        from_columns(Table(str(tmp_path / name)), SPACE)


def macro_json(folder: Path, **changes: Any) -> str:
    entries = {
        str(a): {"test_acc": [80.0, 81.0, 82.0], "mean_acc": 81.0, "std": 1.0, "params": 10 + i, "flops": 100 + i}
        for i, a in enumerate(macro().enumerate())
    }
    entries.update(changes)
    path = folder / "macro.json"
    path.write_text(json.dumps(entries))
    return str(path)


def test_nasbench_macro_is_searched_by_one_repeat_and_judged_by_the_others(tmp_path: Path) -> None:
    content = from_macro(macro_json(tmp_path, **{"22212220": {"test_acc": [93, 94, 95], "params": 7, "flops": 8}}))
    written = write(content, tmp_path / "macro.parquet", TASK)
    best = macro().parse("22212220")
    measured, _ = written.open(content.space, TASK, TASK).evaluate(
        best, written.open(content.space, TASK, TASK)._full, 0
    )
    assert measured.value == pytest.approx(0.07)
    assert measured.metrics == {"params": 7.0, "macs": 8.0}
    assert written.judge().open(content.space, TASK, TASK).verdict(best).test_error == pytest.approx(0.055)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"test_acc": [1, 2, 3], "params": 1}, "column `flops`: is missing"),
        ({"test_acc": [1, 2], "params": 1, "flops": 1}, "three accuracies"),
        ({"test_acc": [1, 2, "x"], "params": 1, "flops": 1}, "a number is needed"),
        (3, "an object is needed"),
    ],
)
def test_broken_macro_entries_are_refused_by_row(entry: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=f"row 1 .00000000.*{told}"):
        from_macro(macro_json(tmp_path, **{"00000000": entry}))
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(TableError, match="is no JSON"):
        from_macro(str(broken))


def fcnet(folder: Path) -> str:
    options = {"act": ["relu", "tanh"], "units": [16, 32], "lr": [0.001, 0.1]}
    index = np.array([[a, b, c] for a in range(2) for b in range(2) for c in range(2)], dtype=np.uint8)
    path = folder / "fcnet.npz"
    losses = np.arange(32.0).reshape(8, 4) / 32
    np.savez(path, config_index=index, space=np.array(json.dumps(options)), protein=losses)
    return str(path)


def test_hyperparameter_tables_declare_their_own_space_and_serve_a_study(tmp_path: Path) -> None:
    content = from_fcnet(fcnet(tmp_path), "protein")
    written = write(content, tmp_path / "fc.parquet", TASK)
    declared = tomllib.loads(as_toml(written, content.space))
    study = Study("fc", Problem(task="digits", **declared), ["random"], 1, Budget(evaluations=20))
    (spec,) = plan(study).runs
    result = run_search(spec)
    values = set(read_trials(result.trials).to_pandas()["value"])
    assert values <= set((np.arange(32.0).reshape(8, 4)[:, :2] / 32).ravel())
    assert run_judge(spec, str(result.architecture)).test_error in set(
        (np.arange(32.0).reshape(8, 4)[:, 2:] / 32).mean(1)
    )
    with pytest.raises(TableError, match="did you mean `protein`"):
        from_fcnet(fcnet(tmp_path), "proteins")
    with pytest.raises(DataMissing):
        from_fcnet("nowhere.npz", "protein")
    with pytest.raises(StudyError, match="Parquet"):
        write(content, tmp_path / "fc.csv", TASK)


def test_command_prints_lines_that_a_study_file_reads(table_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "cells.parquet"
    columns = ["--validation", "valid_0", "--validation", "valid_1", "--test", "test_secret", "--seconds", "seconds"]
    done = CliRunner().invoke(import_table, [str(table_path), "--out", str(out), *columns], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    lines = done.output.replace("\n", " ").partition("space = ")
    declared = tomllib.loads(done.output[done.output.index("space = ") :])
    assert "15,625 rows" in lines[0]
    assert Problem(task="digits", **declared).resolve().space.name == "nasbench201"


DATA = Path(os.environ.get("SEARCHBENCH_DATA", "")) / "tables"


@pytest.mark.skipif(not (DATA / "nasbench201.csv.gz").is_file(), reason="SEARCHBENCH_DATA holds no tables")
def test_real_nasbench201_with_its_latencies_is_imported(tmp_path: Path) -> None:
    table = Table(
        str(DATA / "nasbench201.csv.gz"),
        "arch_str",
        ["c10_val_e200_s0", "c10_val_e200_s1", "c10_val_e200_s2"],  # type: ignore[arg-type]
        percent=True,
    )
    latency = Beside(str(DATA / "help_latency_nasbench201.csv.gz"), "arch_index", ("pixel3",))
    written = write(from_columns(table, nasbench201(), [latency]), tmp_path / "nb.parquet", TASK)
    frame = pd.read_parquet(written.path)
    assert len(frame) == 15_625
    assert frame[["validation_0", "validation_1", "validation_2"]].mean(axis=1).max() == pytest.approx(91.607, abs=1e-3)
