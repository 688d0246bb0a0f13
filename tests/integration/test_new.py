"""`searchbench new`: what it makes conforms at once, is found in every way, and runs beside the built-ins."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import searchbench
from searchbench import testing
from searchbench.cli import main
from searchbench.cli.scaffold import KINDS

DOCS = Path(searchbench.__file__).parents[1] / "docs" / "howto"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return tmp_path


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def made(kind: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The part of a fresh project, whose folder is the working one afterwards."""
    assert command("new", kind, name) == 0
    monkeypatch.chdir(folder / name)
    monkeypatch.syspath_prepend(str(folder / name))
    entry = tomllib.loads(Path("pyproject.toml").read_text())["project"]["entry-points"]
    module, _, attribute = entry[f"searchbench.{KINDS[kind]}"][name].partition(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_conforms_at_once(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = made(kind, f"fresh-{kind}", folder, monkeypatch)
    part = factory(epochs=1) if kind == "judge" else factory()
    less: dict[str, dict[str, int]] = {"strategy": {"trials": 10}, "space": {"draws": 15, "built": 1}, "task": {}}
    few = less.get(kind, {"architectures": 1})
    assert not getattr(testing, f"check_{kind}")(part, another_process=False, **few).wrong


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_a_kind_leads_to_a_study_beside_built_ins(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (DOCS / f"{kind}.md").read_text()
    assert f"searchbench new {kind} my-{kind}" in page
    made(kind, f"my-{kind}", folder, monkeypatch)
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    Path("study.toml").write_text(text)
    assert command("run", "study.toml", "--workers", "0", "--no-report") == 0, capsys.readouterr().err


def test_a_part_is_found_by_the_path_of_its_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("new", "strategy", "filed", "--into", "elsewhere") == 0
    assert command("describe", "elsewhere/filed.py:Filed") == 0
    assert "mutates the best" in Path("elsewhere/filed.py").read_text()
    assert "Draw `initial` architectures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("strategy", "random"), "there is a strategy `random` already"),
        (("space", "json"), "there is a Python module `json` already"),
        (("task", "2fast"), "begin with a letter"),
        (("task", "a/b"), "letters, digits"),
        (("task", "../up"), "letters, digits"),
        (("judge", "class"), "letters, digits"),
        (("judge", "Mine"), "take `mine`"),
        (("judg", "mine"), "'judg' is not one of"),
        (("judge", "full"), "is there already and not empty"),
    ],
)
def test_bad_names_are_refused_and_nothing_is_written(
    arguments: tuple[str, str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "kept.txt").write_text("kept")
    assert command("new", *arguments) == 2
    assert said in capsys.readouterr().err
    assert [str(p.relative_to(folder)) for p in sorted(folder.rglob("*"))] == ["full", "full/kept.txt"]


@pytest.mark.slow
@pytest.mark.timeout(900)  # seven processes one after the other, each of which imports PyTorch
@pytest.mark.parametrize("kind", KINDS)
def test_a_project_is_installed_tested_checked_and_run_by_its_short_name(kind: str, folder: Path) -> None:
    name = f"my-{kind}"
    assert command("new", kind, name) == 0
    site, project = folder / "site", folder / name
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(DOCS.parents[1])])}

    def run(*arguments: str, at: Path = folder) -> str:
        command = [sys.executable, "-m", *arguments]
        done = subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "1 passed" in run("pytest", "-q", at=project)
    run("pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site), str(project))
    assert name in run("searchbench", "list", KINDS[kind])
    assert run("searchbench", "describe", name).startswith(f"{name}, {kind}")
    given = ["--with", "epochs=1"] if kind == "judge" else []
    assert " 0 failed" in run("searchbench", "check", name, *given)
    (text,) = re.findall(r"```toml\n(.*?)```", (DOCS / f"{kind}.md").read_text(), re.DOTALL)
    (folder / "study.toml").write_text(re.sub(rf'"my_{kind}:\w+"', f'"{name}"', text))
    assert f'"{name}"' in (folder / "study.toml").read_text()
    run("searchbench", "run", "study.toml", "--workers", "0")
    assert "random" in run("searchbench", "leaderboard")
