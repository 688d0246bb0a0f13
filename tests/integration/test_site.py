"""The site: it builds without a warning, its links lead somewhere, and every public name and strategy has a page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import searchbench
from searchbench.strategies import STRATEGIES

pytest.importorskip("mkdocs", reason="the site's tools are not installed; pip install searchbench[docs]")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; with `--strict`, a warning (a link or an anchor that leads nowhere) is a failure."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_public_name_has_a_place_in_the_reference(site: Path) -> None:
    anchors = {
        anchor.rpartition(".")[2]
        for page in (site / "reference").glob("*.html")
        for anchor in re.findall(r'id="([\w.]+)"', page.read_text())
    }
    assert set(searchbench._WHERE) <= anchors


def test_every_strategy_has_a_page_with_source_and_differences(site: Path) -> None:
    index = (site / "strategies" / "index.html").read_text()
    for name in STRATEGIES.builtin:
        page = (site / "strategies" / f"{name}.html").read_text()
        assert "<strong>Source.</strong>" in page, name
        assert "<strong>Differs.</strong>" in page, name
        assert f'href="{name}.html"' in index


def test_commands_of_the_tutorial_are_the_commands_there_are() -> None:
    from searchbench.cli.entry import cli

    said = set()
    for page in (ROOT / "docs").rglob("*.md"):
        for block in re.findall(r"```\n(.*?)```", page.read_text(), re.DOTALL):
            said |= set(re.findall(r"^searchbench (\w+)", block, re.MULTILINE))
    assert said <= set(cli.commands), said - set(cli.commands)


def test_study_of_the_tutorial_runs(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text()
    declared = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert declared is not None
    file = tmp_path / "first.toml"
    file.write_text(declared[1].replace("seeds = 12", "seeds = 2").replace("epochs = 1200", "epochs = 120"))
    runs = searchbench.run(searchbench.read_study(file), workers=0).runs()
    assert (runs["status"] == "ok").all()
    assert len(runs) == 6
