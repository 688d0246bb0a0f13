"""Several Ray nodes as processes of this machine: the same record as in one process, wherever things are placed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench.errors import StudyError
from searchbench.harness.executors.on_ray import STARTUP
from searchbench.results.columns import first_difference, read_trials

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


class Nodes:
    """A head and further nodes; the first of those alone has the resource `fast`."""

    def __init__(self, cpus: int = 1, beside: int = 2) -> None:
        from ray.cluster_utils import Cluster

        self.cpus = cpus
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
        self.others = [self.add(**({} if number else {"fast": 2})) for number in range(beside)]

    def add(self, **resources: float) -> Any:
        return self.cluster.add_node(num_cpus=self.cpus, resources=resources or None)

    def workers(self) -> list[int]:
        """Processes of workers that are at work."""
        from benchmarks.faults import descendants

        found = []
        for node in self.cluster.list_all_nodes():
            for raylet in node.all_processes["raylet"]:
                for pid in descendants(raylet.process.pid):
                    with suppress(OSError):
                        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::_"):
                            found.append(pid)
        return sorted(found)

    def close(self) -> None:
        self.cluster.shutdown()


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    for key, value in STARTUP.items():
        monkeypatch.setenv(key, value)
    found = Nodes()
    yield found
    found.close()


def unequal(config: dict[str, float], *, seed: int) -> float:
    time.sleep(0.02 + 0.1 * config["x"])
    return config["x"] + seed % 5


def study(name: str, seeds: int, **given: Any) -> sb.Study:
    problems = [
        sb.Problem("nasbench201", "digits", "table", label="table"),
        sb.Objective(unequal, {"x": sb.Float(0, 1)}, parallel=4, duration=lambda config: config["x"], label="own"),
        sb.Problem(
            sb.Use("nasbench201", channels=4, cells=1, stages=1), "digits", sb.Use("train", epochs=1), label="train",
            parallel=3,
        ),
    ]  # fmt: skip
    evolution = sb.Use("regularized-evolution", population=4, sample=2)
    return sb.Study(name, problems, ["random", evolution], seeds, sb.Budget(evaluations=6), **given)


def assert_same(a: Path, b: Path, name: str, count: int) -> None:
    found = []
    for path in (a, b):
        with sb.open_store(path) as opened:
            found.append({run.run_id: run for run in opened.runs(name)})
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) == count
    for run_id, one in found[0].items():
        other = found[1][run_id]
        errors = (
            {str(error) for error in read_trials(one.trials)["error"].to_pylist() if error} if one.trials else set()
        )
        assert one.status == other.status, (one.error, errors)
        assert first_difference(one.trials, other.trials) is None
        assert (one.status, one.architecture, one.test_error) == (other.status, other.architecture, other.test_error)


def test_three_nodes_give_the_record_of_one_process_and_place_what_is_asked_for(nodes: Nodes, tmp_path: Path) -> None:
    placed = {"problems": {"own": {"custom": {"fast": 1}}}}
    asked = study("cluster", 1, resources=placed)
    sb.run(asked, tmp_path / "cluster.db", ray_address=nodes.cluster.address, progress=False)
    sb.run(study("cluster", 1), tmp_path / "alone.db", workers=0, progress=False)
    assert_same(tmp_path / "cluster.db", tmp_path / "alone.db", "cluster", 6)
    refused = study("refused", 1, resources={"judge": {"gpus": 1}})
    with pytest.raises(StudyError, match=r"never be placed here: it needs `gpus` 1 \(most on one node: 0\)"):
        sb.run(refused, tmp_path / "refused.db", ray_address=nodes.cluster.address, progress=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alone") / "alone.db"
    sb.run(study("any", 1), path, workers=0, progress=False)
    return path


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("count", [1, 3])
def test_workers_nodes_and_a_kill_change_no_record(
    count: int, workers: int, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in STARTUP.items():
        monkeypatch.setenv(key, value)
    rng, over = random.Random(10 * count + workers), threading.Event()
    nodes = Nodes(cpus=-(-8 // count), beside=count - 1)

    def kill() -> None:
        over.wait(6 + 6 * rng.random())
        found = nodes.workers()
        if found and not over.is_set():
            os.kill(rng.choice(found), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        sb.run(study("any", 1), tmp_path / "s.db", workers=workers, ray_address=nodes.cluster.address, progress=False)
    finally:
        over.set()
        killer.join()
        nodes.close()
    assert_same(tmp_path / "s.db", undisturbed, "any", 6)


OWN = """
import json, os, pathlib
from searchbench.strategies.random import Random


class Mine(Random):
    pass


def loss(config, *, seed):
    import lazily  # of the same folder, and not yet imported by the driver
    return config["x"] + lazily.OFFSET


def minutes(config):
    where = pathlib.Path(__file__)
    with open("WHERE", "a") as file:
        file.write(json.dumps([os.environ.get("SEARCHBENCH_ROLE", "driver"), str(where)]) + "\\n")
    return 1.0
"""
FILE = """
name = "own"
seeds = 2
budget = {{ evaluations = 3 }}

[[problems]]
objective = "{folder}/mine_to_send.py:loss"
space = {{ x = {{ float = [0.0, 1.0] }} }}
duration = "mine_to_send:minutes"
parallel = 2

[[strategies]]
use = "random"

[[strategies]]
use = "mine_to_send:Mine"
label = "mine"
"""


def test_a_plug_in_that_lies_with_the_driver_alone_reaches_the_workers(nodes: Nodes, tmp_path: Path) -> None:
    folder = tmp_path / "with the driver"
    folder.mkdir()
    (folder / "mine_to_send.py").write_text(OWN.replace("WHERE", str(tmp_path / "where")))
    (folder / "lazily.py").write_text("OFFSET = 1\n")
    (folder / "own.toml").write_text(FILE.format(folder="."))
    command = [sys.executable, "-m", "searchbench", "run", "own.toml", "--no-report", "--ray-address"]
    done = subprocess.run(
        [*command, nodes.cluster.address, "--store", "own.db"],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with sb.open_store(folder / "own.db") as store:
        assert [run.status for run in store.runs("own")] == ["ok"] * 4
    seen = [json.loads(line) for line in (tmp_path / "where").read_text().splitlines()]
    assert {Path(path).parent == folder for role, path in seen if role == "driver"} <= {True}
    elsewhere = [path for role, path in seen if role == "search"]
    assert elsewhere
    assert all("py_modules_files" in path for path in elsewhere)


@pytest.mark.parametrize("draw", range(2))
def test_nodes_that_die_while_a_study_runs_lose_nothing(nodes: Nodes, tmp_path: Path, draw: int) -> None:
    rng = random.Random(draw)

    def kill() -> None:
        time.sleep(4 + 6 * rng.random())
        nodes.cluster.remove_node(nodes.others[draw], allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    sb.run(study("killed", 3), tmp_path / "killed.db", ray_address=nodes.cluster.address, progress=False)
    killer.join()
    sb.run(study("killed", 3), tmp_path / "alone.db", workers=0, progress=False)
    assert_same(tmp_path / "killed.db", tmp_path / "alone.db", "killed", 18)
