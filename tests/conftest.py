"""Shared fixtures: a small synthetic table over the real NAS-Bench-201 space, and studies on it."""

from __future__ import annotations

import hashlib
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported: kernels this small are slower on two threads
from pathlib import Path

import hypothesis
import pytest

from searchbench import Budget, Problem, Study, Use
from searchbench.spaces import SPACES
from searchbench.testing import watching

# A shared machine may pause any single example for longer than hypothesis allows one by default. What CI judges must be
# the same at every run of a commit; new examples are looked for at everybody's desk.
hypothesis.settings.register_profile("searchbench", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("searchbench")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, lest one worker end long after the others: files that start Ray, then commands and
    runs, then the suites of conformance."""
    started_on_ray = {item.path for item in items if item.get_closest_marker("ray")}

    def turn(item: pytest.Item) -> tuple[bool, bool, bool]:
        folder = item.path.parent.name
        return item.path not in started_on_ray, folder != "integration", folder != "conformance"

    items.sort(key=turn)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoded data go elsewhere than a user's."""
    os.environ["SEARCHBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _tables_that_others_open(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look away from the shipped tables where other workers of the suite open them too: who opens a file, the watch
    cannot tell. Those who open one to cheat are looked at all the same.
    """
    if os.environ.get("PYTEST_XDIST_WORKER") and "test_cheat_is_caught" not in request.node.nodeid:
        monkeypatch.setattr(watching, "_tables", list)


def score(text: str, column: str) -> float:
    """A reproducible accuracy in [0, 1] for an architecture: share of convolutions plus a little noise."""
    noise = int.from_bytes(hashlib.sha256(f"{text}|{column}".encode()).digest()[:4], "big") / 2**32
    return round(0.3 + 0.1 * text.count("nor_conv") + 0.05 * noise, 6)


@pytest.fixture(scope="session")
def table_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of all 15,625 cells: two validation repeats, a test column, recorded seconds."""
    path = tmp_path_factory.mktemp("tables") / "cells.csv"
    lines = ["architecture,valid_0,valid_1,test_secret,seconds"]
    for architecture in SPACES.factory("nasbench201")().enumerate():
        text = str(architecture)
        scores = ",".join(str(score(text, column)) for column in ("valid_0", "valid_1", "test"))
        lines.append(f"{text},{scores},{10 + text.count('conv_3x3')}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def table(table_path: Path) -> Use:
    """The table as an estimator."""
    return Use(
        "table", path=str(table_path), validation=["valid_0", "valid_1"], test=["test_secret"], seconds="seconds"
    )


@pytest.fixture
def problem(table: Use) -> Problem:
    return Problem("nasbench201", "digits", table, label="cells")


@pytest.fixture
def study(problem: Problem) -> Study:
    """Two strategies, three seeds, twenty evaluations each."""
    evolution = Use("regularized-evolution", population=5, sample=2)
    return Study("fixture", problem, {"random": "random", "evolution": evolution}, 3, Budget(evaluations=20))


TINY = Use("nasbench201", channels=4, cells=1, stages=1)
"""A skeleton that trains in a fraction of a second."""


@pytest.fixture
def training_problem() -> Problem:
    """Real training on real digits, as small as it gets."""
    return Problem(
        TINY, "digits", Use("train", epochs=1, subset=0.3), judge=Use("train", epochs=1), label="tiny digits"
    )
