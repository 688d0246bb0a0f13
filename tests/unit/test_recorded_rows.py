"""Recorded hyper-parameter settings: what is inferred of them, and how proposals between rows are answered."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import searchbench as sb
from searchbench.cli.entry import cli
from searchbench.errors import EvaluationFailed, InputError
from searchbench.results.imported.forms import read_csv
from searchbench.seeds import Seeds
from searchbench.spaces.hyperparameters import hyperparameters
from searchbench.tables.recorded_rows import RecordedRows, forest_error
from searchbench.tables.settings import inferred, read_settings, write
from searchbench.trial import FULL

SEEDS = Seeds("test", 0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """60 settings of which the loss is a smooth function of log lr and layers."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "lr": 10 ** rng.uniform(-5, 0, 60),
            "layers": rng.integers(1, 5, 60),
            "opt": rng.choice(["sgd", "adam"], 60),
            "seconds": rng.uniform(1, 2, 60),
        }
    )
    frame["loss"] = (np.log10(frame["lr"]) + 2.5) ** 2 + 0.3 * frame["layers"] + (frame["opt"] == "sgd")
    frame["test"] = frame["loss"] + 0.01
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def space_of(path: Path) -> Any:
    frame = pd.read_csv(path, dtype=str)
    return hyperparameters(**inferred({name: frame[name].tolist() for name in ("lr", "layers", "opt")}))


def test_types_and_ranges_are_inferred_with_log_scales_where_numbers_span_two_decades(source: Path) -> None:
    frame = pd.read_csv(source, dtype=str)
    found = inferred({name: frame[name].tolist() for name in ("lr", "layers", "opt")})
    assert found["layers"] == {"int": [1, 4]}
    assert found["opt"] == ["adam", "sgd"]
    assert found["lr"]["log"] is True
    assert found["lr"]["float"] == [min(map(float, frame["lr"])), max(map(float, frame["lr"]))]


def test_two_decades_are_a_hundredfold_and_no_less() -> None:
    assert inferred({"x": [0.5, 50.0]})["x"] == {"float": [0.5, 50.0], "log": True}
    assert inferred({"x": [0.5, 49.0], "n": [1, 99], "m": [1, 100]}) == {
        "x": {"float": [0.5, 49.0]}, "n": {"int": [1, 99]}, "m": {"int": [1, 100], "log": True},
    }  # fmt: skip


def test_a_forest_is_fitted_to_rows_that_did_not_fail(source: Path, tmp_path: Path) -> None:
    frame = read_csv(source).assign(loss=1.5)
    frame.loc[::3, "loss"] = np.nan
    frame.to_csv(tmp_path / "some.csv", index=False)
    table = RecordedRows(str(tmp_path / "some.csv"), "loss", between="forest")
    space = space_of(source)
    opened = table.open(space, None, SEEDS)  # type: ignore[arg-type]
    for seed in range(3):
        setting = space.sample(np.random.default_rng(seed))
        assert opened.evaluate(setting, opened.complete(FULL), 0)[0].value == pytest.approx(1.5)


def test_recorded_row_is_answered_by_itself_in_every_mode(source: Path) -> None:
    space, frame = space_of(source), read_csv(source)
    row = frame.iloc[7]
    setting = space.architecture({"lr": float(row["lr"]), "layers": int(row["layers"]), "opt": str(row["opt"])})
    for between in ("nearest", "refuse"):
        opened = RecordedRows(str(source), "loss", "test", between=between).open(space, None, SEEDS)  # type: ignore[arg-type]
        assert opened.evaluate(setting, opened.complete(FULL), 0)[0].value == row["loss"]


def test_nearest_row_is_that_of_a_plain_search(source: Path) -> None:
    space, frame = space_of(source), read_csv(source)
    opened = RecordedRows(str(source), "loss", seconds="seconds").open(space, None, SEEDS)  # type: ignore[arg-type]
    rng = np.random.default_rng(1)
    known = [
        space.encode(space.architecture({"lr": float(r.lr), "layers": int(r.layers), "opt": str(r.opt)}))
        for r in frame.itertuples()
    ]
    for _ in range(30):
        setting = space.sample(rng)
        distances = [float(np.sum((np.asarray(k) - np.asarray(space.encode(setting))) ** 2)) for k in known]
        at = int(np.argmin(distances))
        measured, cost = opened.evaluate(setting, opened.complete(FULL), 0)
        assert measured.value == frame["loss"][at]
        assert cost.simulated_s == frame["seconds"][at]


def test_forest_says_how_well_it_predicts_rows_it_has_not_seen(source: Path) -> None:
    space = space_of(source)
    told = forest_error(RecordedRows(str(source), "loss"), space)
    assert told["rmse"] < 0.7 * told["std"]
    assert told["tau"] > 0.6


def test_refusing_rows_fails_what_is_not_recorded_and_is_refused_for_real_numbers(source: Path) -> None:
    table = RecordedRows(str(source), "loss", between="refuse")
    space = space_of(source)
    with pytest.raises(InputError, match="every trial would fail"):
        table.check(space, None)  # type: ignore[arg-type]
    opened = table.open(space, None, SEEDS)  # type: ignore[arg-type]
    with pytest.raises(EvaluationFailed, match="no recorded row"):
        opened.evaluate(space.sample(np.random.default_rng(2)), opened.complete(FULL), 0)


def test_answering_otherwise_is_another_problem(source: Path) -> None:
    space = sb.Use(
        "hyperparameters", lr={"float": [1e-6, 1.0], "log": True}, layers={"int": [1, 4]}, opt=["adam", "sgd"]
    )
    prints = {
        sb.Problem(space, "digits", RecordedRows(str(source), "loss", "test", between=between)).resolve().fingerprint
        for between in ("nearest", "forest")
    }
    assert len(prints) == 2


FAULTS = [
    ("setting twice", lambda frame: pd.concat([frame, frame.iloc[:1]]), "stands in row 1 already"),
    ("text for a number", lambda frame: frame.assign(loss="low"), "a number is needed"),
    ("no values", lambda frame: frame.assign(loss=np.nan), "no row has a value"),
]


@pytest.mark.parametrize(("fault", "said"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_faulty_rows_are_refused_and_nothing_is_written(source: Path, tmp_path: Path, fault: Any, said: str) -> None:
    bad, out = tmp_path / "bad.csv", tmp_path / "out.parquet"
    fault(read_csv(source)).to_csv(bad, index=False)
    with pytest.raises(InputError, match=said):
        write(read_settings(str(bad), ["lr", "layers", "opt"], RecordedRows(str(bad), "loss")), out)
    assert not out.exists()


def test_imported_rows_are_searched_by_the_printed_lines(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    arguments = ["table", "import", str(source), "--out", str(out), "--parameters", "lr,layers,opt"]
    arguments += ["--validation", "loss", "--test", "test", "--lower-is-better", "--between", "forest"]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "cross-validation" in done.output
    lines = "\n".join(line for line in done.output.splitlines() if " = {" in line)
    parts = tomllib.loads(lines)
    problem = sb.Problem(parts["space"], "digits", parts["estimator"])
    study = sb.Study("rows", problem, ["random", "optuna:tpe", "gp"], seeds=2, budget=sb.Budget(evaluations=12))
    runs = sb.run(study, workers=0).runs()
    assert (runs["status"] == "ok").all()
    assert runs["test_error"].notna().all()
