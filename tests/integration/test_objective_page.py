"""The page on own functions and its examples do what they say."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import searchbench as sb
from searchbench.cli import main

ROOT = Path(__file__).parents[2]


def blocks(language: str, page: str = "objective") -> list[str]:
    text = (ROOT / "docs" / "howto" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return tmp_path


def test_the_python_of_the_page_runs(folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks("python"):
        exec(block, names)
    board = names["results"].leaderboard()
    assert set(board.strategy) == {"random", "optuna:tpe", "gp", "bohb", "hyperband"}
    assert (board.failed == 0).all()
    assert (names["forests"].leaderboard().n == 2).all()
    assert {d.name for d in sb.Objective(lambda config: 0.0, names["space"]).resolve().space.decisions} == {
        "opt",
        "momentum",
    }


def test_the_study_file_of_the_page_runs(folder: Path) -> None:
    (folder / "my_module.py").write_text(blocks("python")[0].split("problem =")[0])
    (folder / "study.toml").write_text(blocks("toml")[0])
    with pytest.raises(SystemExit) as ended:
        main(["run", "study.toml", "--workers", "0", "--no-report"])
    assert ended.value.code == 0


def test_the_page_on_schedules_runs_and_trains_by_population(folder: Path) -> None:
    code = blocks("python", "schedules")[0].replace("seeds=3", "seeds=1").replace("epochs=64", "epochs=24")
    names: dict[str, Any] = {"__name__": "page"}
    exec(code, names)
    board = names["results"].leaderboard()
    assert (board.strategy.nunique(), board.failed.sum(), board.cost_epochs.max()) == (3, 0, 24)
    assert len(names["results"].trials().query("strategy == 'pbt' and resumed >= 0"))


def test_the_command_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = folder / "train"
    program.write_text('#!/bin/sh\necho "training"\necho "$2"\n')
    program.chmod(0o755)
    first, *rest = blocks("toml")[0].split("[[problems]]")
    strategies = rest[0][rest[0].index("[[strategies]]") :]
    (folder / "study.toml").write_text(first.replace("150", "60") + blocks("toml")[1] + strategies)
    with pytest.raises(SystemExit) as ended:
        main(["run", "study.toml", "--workers", "0", "--no-report"])
    assert ended.value.code == 0, capsys.readouterr().err
    assert "mine · train · budget" in capsys.readouterr().out


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "epochs"), [("pytorch_objective", 40), ("module_objective", 16)])
def test_an_example_of_a_training_loop_runs(name: str, epochs: int, folder: Path) -> None:
    study = example(name).study(1, epochs)
    results = sb.run(study, "r.db", workers=0)
    runs = results.runs()
    assert (runs.test_status == "ok").all(), runs.test_failure
    assert len(runs) == len(study.strategies)


def test_a_training_that_goes_on_gives_what_one_in_one_piece_gives(folder: Path) -> None:
    train = example("pytorch_objective").train
    config = {"lr": 0.01, "layers": 1, "units": 8, "optimizer": "adam"}
    pieces, whole = folder / "pieces", folder / "whole"
    pieces.mkdir()
    whole.mkdir()
    train(config, seed=1, epochs=1, checkpoint=pieces)
    assert train(config, seed=1, epochs=3, checkpoint=pieces) == train(config, seed=1, epochs=3, checkpoint=whole)
