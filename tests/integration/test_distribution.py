"""What is shipped: the wheel and the source archive hold what the package needs, and one version is told everywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import searchbench

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a wheel and a source archive, built without the network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def test_wheel_holds_table_template_types_and_licence(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    for needed in ("data/nasbench201-digits.parquet", "reports/templates/", "py.typed", "__main__.py", "docs/study.md"):
        assert any(name.startswith(f"searchbench/{needed}") for name in names), needed
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith("tests/")]


def test_source_archive_holds_tests_and_licence(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "constraints.txt", "tests/conftest.py", "searchbench/__init__.py"} <= names


def test_installed_wheel_reads_its_table_and_tells_its_version(built: Path, tmp_path: Path) -> None:
    wheel = next(built.glob("*.whl"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    code = (
        "import searchbench; from searchbench.tables.shipped import shipped;"
        "shipped('nasbench201-digits'); print(searchbench.__file__, searchbench.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [str(tmp_path / "searchbench" / "__init__.py"), searchbench.__version__]


def test_citation_and_changelog_tell_the_version_of_the_package() -> None:
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None
    assert cited[1] == searchbench.__version__
    assert f"## {searchbench.__version__}" in (ROOT / "CHANGELOG.md").read_text()
