"""What lies in the user's folder, and how the process is told to end, as the command meets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import searchbench as sb

STUDY = """
name = "borders"
seeds = 3
budget = { evaluations = 5 }
[[problems]]
space = "nasbench201"
task = "digits"
estimator = "table"
[[strategies]]
use = "STRATEGY"
"""
FOLDER = str(Path(sb.__file__).parent.parent)
CODE_OF_THE_USER = 'raise SystemExit("a file of the user was imported in place of Python\'s own module")'


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "searchbench", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": FOLDER, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def declare(folder: Path, strategy: str) -> None:
    (folder / "study.toml").write_text(STUDY.replace("STRATEGY", strategy))


@pytest.fixture
def shadowed(tmp_path):
    for name in ("statistics", "queue", "random", "email", "signal", "click"):
        (tmp_path / f"{name}.py").write_text(CODE_OF_THE_USER)
    (tmp_path / "mine.py").write_text(
        "from searchbench.strategies.random import Random\nimport statistics, queue\ndef Mine():\n    return Random()\n"
    )
    declare(tmp_path, "mine:Mine")
    return tmp_path


def test_files_named_like_pythons_own_modules_do_not_break_the_command_and_plugins_beside_them_work(shadowed):
    process = command(shadowed, "run", "study.toml", "--workers", "0", "--no-report")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "mine:Mine" in out


@pytest.mark.ray
def test_nor_do_they_in_workers(shadowed):
    process = command(
        shadowed, "run", "study.toml", "--workers", "1", "--no-report", RAY_ADDRESS="127.0.0.1:1"
    )  # an address that nobody asked for is not joined
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_both_ways_of_being_told_to_end_keep_what_is_finished(tmp_path, ending):
    if signal.getsignal(ending) is signal.SIG_IGN:
        pytest.skip("whoever started these tests has the signal ignored, as a shell does for jobs in the background")
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "from searchbench.strategies.random import Random\n"
        "class Slow:\n"
        "    def start(self, scenario):\n"
        "        if scenario.seeds.replicate == 2:\n"
        "            open('last', 'w').close()\n"
        "            time.sleep(60)\n"
        "        return Random().start(scenario)\n"
    )
    declare(tmp_path, "slow:Slow")
    process = command(tmp_path, "run", "study.toml", "--workers", "0")
    limit = time.monotonic() + 60
    while not (tmp_path / "last").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(ending)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finished runs are kept" in err
    with sb.open_store(tmp_path / "searchbench.db") as store:
        assert [run.replicate for run in store.runs("borders")] == [0, 1]


@pytest.mark.parametrize("code", ["import sys; sys.exit(0)", "raise KeyboardInterrupt", "def", "1 / 0"])
def test_a_plugin_that_ends_or_fails_at_its_import_is_named_and_nothing_runs(tmp_path, code):
    (tmp_path / "broken.py").write_text(code)
    declare(tmp_path, "broken:Strategy")
    process = command(tmp_path, "run", "study.toml", "--workers", "0")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "broken:Strategy" in err
    assert not (tmp_path / "searchbench.db").exists()


def test_a_reader_who_has_seen_enough_is_told_nothing(tmp_path):
    with command(tmp_path, "list", "strategies") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
