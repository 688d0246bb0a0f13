"""What the README shows works as it stands there."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import searchbench
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.study_file import read_study
from searchbench.testing import check_strategy

README = (Path(searchbench.__file__).parents[1] / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """The fenced block of a language that contains a text."""
    found = [b for b in re.findall(rf"```{language}\n(.*?)```", README, re.S) if containing in b]
    assert len(found) == 1
    return found[0]


def test_the_study_file_of_the_readme_can_be_planned(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(block("toml", "first"))
    assert len(plan(read_study(path)).runs) == 40


def test_the_plug_in_of_the_readme_passes_the_conformance_suite(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = block("python", "HillClimb")
    assert len([line for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]) <= 20
    (tmp_path / "my_strategy.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_strategy", raising=False)  # another page's plug-in may have the same name
    own = importlib.import_module("my_strategy")
    monkeypatch.setitem(sys.modules, "my_strategy", own)
    check_strategy(own.HillClimb())


def test_the_function_of_the_readme_takes_at_most_twelve_lines_and_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = block("python", "def loss")
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    small = code.replace("    ...\n", '    return config["lr"] / epochs + seed % 7\n')
    small = small.replace("seeds=20", "seeds=1").replace("epochs=500", "epochs=60")
    session: Any = __import__("searchbench.harness.session", fromlist=["run"])
    found: list[Any] = []
    monkeypatch.setattr(
        searchbench, "run", lambda study: found.append(session.run(study, tmp_path / "r.db", workers=0)), raising=False
    )
    exec(small, {"__name__": "readme"})
    assert (found[0].leaderboard().n == 1).all()
    assert len(found[0].leaderboard()) == 5


@pytest.mark.slow
def test_the_ten_lines_of_python_give_a_leaderboard(monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = __import__("searchbench.harness.session", fromlist=["run"])
    here = lambda study: session.run(study, workers=0)  # noqa: E731
    monkeypatch.setattr(searchbench, "run", here, raising=False)
    printed: list[Any] = []
    exec(block("python", "print(results)"), {"print": printed.append})
    assert set(printed[0].leaderboard()["strategy"]) == {"random", "regularized-evolution"}
