"""Kill workers, nodes, drivers and the head of a Ray cluster at random moments, and count what a study loses.

    python -m benchmarks.cluster_faults --seed 0 --kills 40

A head and two further nodes, each a set of processes of this machine; a driver that joins them, with a plug-in that
lies beside it and its checkpoints at a declared place. Studies search a table and an objective with three evaluations
under way at once, or by training. Kills come one after another at moments drawn from the seed; what they stop is begun
again as a user would (a new node, `run --resume`, a new cluster). When a study is complete it is compared with one that
nobody disturbed, in one process, and the next begins. Prints kill -> outcome, a line each, and at the end how many runs
were lost, recorded twice, recorded again, or changed. Exits with 1 where there is one.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.compare_stores import differences, rows
from benchmarks.faults import HERE, descendants, end_group, every
from searchbench.harness.executors.on_ray import STARTUP

PLUG_IN = """
import time

def loss(config, *, seed):
    time.sleep(0.2 + 0.8 * config["x"])
    return config["x"] + seed % 5

def lasts(config):
    return 0.2 + 0.8 * config["x"]
"""
STUDY = """
name = "study {number}"
seeds = 2
budget = {{ epochs = 4 }}
checkpoints = {{ url = "{place}", every_s = 0.5 }}

[[problems]]
label = "training"
space = {{ use = "nasbench201", channels = 4, cells = 1, stages = 1 }}
task = "digits"
estimator = {{ use = "train", epochs = 1, subset = 0.5 }}
judge = {{ use = "train", epochs = 4 }}

[[strategies]]
use = "random"

[[strategies]]
label = "darts"
use = "darts"
"""
OWN = """
name = "own {number}"
seeds = 4
budget = {{ evaluations = 12 }}
checkpoints = {{ url = "{place}", every_s = 0.5 }}

[[problems]]
label = "table"
space = "nasbench201"
task = "digits"
estimator = "table"

[[problems]]
label = "own"
objective = "kill_me_not:loss"
space = {{ x = {{ float = [0.0, 1.0] }} }}
duration = "kill_me_not:lasts"
parallel = 3

[[strategies]]
use = "random"

[[strategies]]
label = "evolution"
use = "regularized-evolution"
population = 4
sample = 2
"""
KINDS = ("worker", "worker", "worker", "node", "node", "driver", "driver", "head")
"""What is killed; drawn alike, so often as it stands here."""
FINISHED_S = 100.0
"""How long a driver may take to notice that its cluster has gone; then it is killed, too."""


class Nodes:
    """A head and two further nodes, as processes of this machine."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.others: list[Any] = []
        self.fill()

    def fill(self) -> None:
        """Add nodes until there are two beside the head; some have ended with what was killed in them."""
        self.others = [node for node in self.others if self.stands(node)]
        while len(self.others) < 2:
            self.others.append(self.cluster.add_node(num_cpus=1))

    def workers(self) -> list[int]:
        """Processes of workers; busy ones where there are any."""
        found = {}
        for node in [self.cluster.head_node, *self.others]:
            for kind in node.all_processes.get("raylet", []):
                for pid in descendants(kind.process.pid):
                    with suppress(OSError):
                        found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].decode()
        ours = {pid: name for pid, name in found.items() if name.startswith(("ray::_", "ray::IDLE"))}
        return sorted(pid for pid, name in ours.items() if "IDLE" not in name) or sorted(ours)

    def stands(self, node: Any) -> bool:
        """Whether a node's own processes live."""
        kinds = [node.all_processes.get(name, []) for name in ("gcs_server", "raylet")]
        return all(kind.process.poll() is None for kinds in kinds for kind in kinds)

    def kill(self, node: Any) -> None:
        """Kill all processes of a node at once."""
        node.kill_all_processes(check_alive=False, allow_graceful=False)

    def close(self) -> None:
        with suppress(Exception):
            self.cluster.shutdown()


@dataclass
class Harm:
    """What went wrong with a study's runs."""

    lost: int = 0
    twice: int = 0
    again: int = 0
    """Recorded anew though a result was there."""
    changed: int = 0

    def __bool__(self) -> bool:
        return any((self.lost, self.twice, self.again, self.changed))


@dataclass
class Disturbed:
    """One study, its driver, and the kills that happen to it."""

    folder: Path
    number: int
    text: str
    draw: random.Random
    nodes: Nodes
    standing: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Rows of runs as they were first seen."""
    harm: Harm = field(default_factory=Harm)

    @property
    def store(self) -> Path:
        return self.folder / f"{self.number}.db"

    def driver(self, *options: str, store: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a driver in a process group of its own."""
        file = self.folder / f"{self.number}.toml"
        file.write_text(self.text)
        command = [sys.executable, "-m", "searchbench", "run", file.name, "--store", str(store or self.store)]
        command += ["--no-report", "--brief", *options]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, env=environment
            )

    def joined(self, *options: str) -> subprocess.Popen[bytes]:
        return self.driver("--ray-address", self.nodes.cluster.address, *options)

    def look(self) -> int:
        """Count the runs that stand, and notice one that was recorded anew."""
        found = [row for row in every(self.store) if row["status"] != "infra"]
        for row in found:
            now = (row["finished"], row["attempts"])
            self.harm.again += self.standing.setdefault(str(row["run_id"]), now) != now
        return len(found)

    def waiting(self) -> bool:
        """Whether a run was recorded as lost, and has no result beside that row."""
        found = every(self.store)
        whole = {row["run_id"] for row in found if row["status"] != "infra"}
        return any(row["run_id"] not in whole for row in found)

    def undisturbed(self) -> Path:
        store = self.folder / f"undisturbed-{self.number}.db"
        process = self.driver("--workers", "0", store=store)
        try:
            status = process.wait(600)
        finally:
            end_group(process)
        assert status == 0, (self.folder / "log").read_text()[-3000:]
        return store

    def compare(self) -> int:
        """Compare with the undisturbed study; how many runs there should be."""
        before, now = rows(str(self.undisturbed()), "runs"), rows(str(self.store), "runs")
        known = {row["run_id"]: row for row in before.values()}
        counted = Counter(row["run_id"] for row in every(self.store) if row["status"] != "infra")
        found = {row["run_id"]: row for row in now.values() if row["status"] != "infra"}
        self.harm.lost += len(known.keys() - found.keys())
        self.harm.twice += sum(number > 1 for number in counted.values())
        for run_id, row in found.items():
            left, right = ({k: v for k, v in r.items() if k != "attempts"} for r in (known[run_id], row))
            if told := next(differences(left, right, Counter()), None):
                self.harm.changed += 1
                print(f"  changed: {row['strategy']} / {row['problem']} / seed {row['replicate']}: {told[:300]}")
        return len(known)

    def kill(self, process: subprocess.Popen[bytes]) -> tuple[str, str, subprocess.Popen[bytes]]:
        """Draw what is killed, kill it and put it right; what it was, what came of it, and the driver that goes on."""
        kind = self.draw.choice(KINDS)
        if kind == "worker" and (workers := self.nodes.workers()):
            with suppress(ProcessLookupError):
                os.kill(self.draw.choice(workers), signal.SIGKILL)
            return "worker", self.went_on(process), process
        if kind == "node" and self.nodes.others:
            self.nodes.kill(self.nodes.others.pop(self.draw.randrange(len(self.nodes.others))))
            self.nodes.fill()
            return "node", self.went_on(process), process
        if kind == "head":
            began = time.monotonic()
            self.nodes.kill(self.nodes.cluster.head_node)
            try:
                told = f"driver: exit {process.wait(FINISHED_S)} after {time.monotonic() - began:.0f} s"
            except subprocess.TimeoutExpired:
                told = "driver waits on, killed"
            end_group(process)
            self.nodes.close()
            self.nodes = Nodes()
            return "head", f"{told}; a new cluster, resumed", self.joined("--resume")
        process.send_signal(signal.SIGKILL)
        end_group(process)
        return "driver", "resumed", self.joined("--resume")

    def whole_cluster(self) -> str:
        """Put up what is missing of the cluster: another one where its head does not stand."""
        if self.nodes.stands(self.nodes.cluster.head_node):
            self.nodes.fill()
            return ""
        self.nodes.close()
        self.nodes = Nodes()
        return " on a new cluster"

    def went_on(self, process: subprocess.Popen[bytes]) -> str:
        return "driver goes on" if process.poll() is None else f"driver: exit {process.returncode}"


def happen(seed: int, kills: int, folder: Path) -> Harm:
    """Disturb one study after another until as many kills have happened."""
    draw, nodes, number, done, total = random.Random(seed), Nodes(), 0, 0, Harm()
    killed: Counter[str] = Counter()
    (folder / "kill_me_not.py").write_text(PLUG_IN)
    try:
        while done < kills:
            text = (OWN if number % 2 == 0 else STUDY).format(number=number, place=(folder / "shared").as_uri())
            one = Disturbed(folder, number, text, draw, nodes)
            process, began = one.joined(), time.monotonic()
            while True:
                try:
                    status = process.wait(draw.uniform(4, 25))
                except subprocess.TimeoutExpired:
                    if done >= kills or time.monotonic() - began > 600:
                        continue
                    stood = one.look()
                    at = time.monotonic() - began
                    kind, told, process = one.kill(process)
                    done, nodes = done + 1, one.nodes
                    killed[kind] += 1
                    print(
                        f"kill {done:>3}  {kind:<7} study {number} at {at:5.1f} s, {stood} stood -> {told}", flush=True
                    )
                    continue
                end_group(process)
                stands = one.look()
                if status in (0, 1) and not one.waiting():
                    break
                where = one.whole_cluster()
                print(f"          study {number}: exit {status}, {stands} stand -> resumed{where}", flush=True)
                nodes = one.nodes
                process = one.joined("--resume")
            wanted = one.compare()
            harm, took = one.harm, time.monotonic() - began
            print(
                f"          study {number} complete after {took:.0f} s: {one.look()} of {wanted} runs, "
                f"{harm.lost} lost, {harm.twice} twice, {harm.again} recorded again, {harm.changed} changed",
                flush=True,
            )
            for name in ("lost", "twice", "again", "changed"):
                setattr(total, name, getattr(total, name) + getattr(harm, name))
            number += 1
    finally:
        nodes.close()
        shown = ", ".join(f"{count} {kind}s" for kind, count in sorted(killed.items()))
        print(f"seed {seed}: {done} kills ({shown}) in {number} studies: {total.lost} lost, {total.twice} twice, "
              f"{total.again} recorded again, {total.changed} changed", flush=True)  # fmt: skip
    return total


def main() -> None:
    """Print what comes of the kills that are asked for."""
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("--seed", type=int, default=0)
    told.add_argument("--kills", type=int, default=40)
    given = told.parse_args()
    os.environ.update(STARTUP)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before all kills had happened"))
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    harm = happen(given.seed, given.kills, folder)
    if not harm:
        shutil.rmtree(folder)
    sys.exit(f"see {folder}" if harm else 0)


if __name__ == "__main__":
    main()
