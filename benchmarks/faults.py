"""Draw faults of all kinds, let them happen to studies that run, recover, and compare with what had happened without.

    python benchmarks/faults.py --seed 0 --faults 60

Studies on a table and by real training, in one process and with two workers. Faults of strategies and of functions
happen within a study, beside sound ones; faults of the machine (kills, a full disk, a store that is deleted, replaced
or damaged) happen to the driver at random moments, and then the study is resumed as a user would. Prints a line per
fault: what it was, where, and what came of it; and at the end how many runs of the sound strategies were lost, recorded
twice, or changed. Exits with 1 where there is one.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmarks.compare_stores import differences, rows
from benchmarks.faulty_parts import ACTS, ANSWERS, PLACES
from benchmarks.forked_commands import Command, ForkServer

HERE = Path(__file__).resolve().parent
PATHS = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
Driver = subprocess.Popen[bytes] | Command
# `python -m searchbench`, Ctrl-C not ignored: in the background it would be, from the shell on
LISTENING = "import runpy, signal; signal.signal(2, signal.default_int_handler); "
FRESH = [sys.executable, "-c", LISTENING + "runpy.run_module('searchbench', run_name='__main__', alter_sys=True)"]
TABLE = """
[[problems]]
label = "table"
space = "nasbench201"
task = "digits"
estimator = "table"
"""
FUNCTION = """
[[problems]]
label = "{label}"
objective = "benchmarks.faulty_parts:{name}"
space = {{ x = {{ float = [0.0, 1.0] }}, y = {{ float = [0.0, 1.0] }} }}
"""
TRAINING = """
[[problems]]
label = "training"
space = { use = "nasbench201", channels = 4, cells = 1, stages = 1 }
task = "digits"
estimator = { use = "train", epochs = 1, subset = 0.3 }
judge = { use = "train", epochs = 1 }
"""
STRATEGY = """
[[strategies]]
label = "{label}"
use = "{use}"
"""
LIMITS = """
[limits]
evaluation_s = 2
run_s = 60
memory_gb = 2
"""
SHORT = {"table": LIMITS.replace("60", "20"), "training": "\n[limits]\nrun_s = 60\nmemory_gb = 2\n"}
"""For studies in which strategies hang; a training may take seconds on a loaded machine."""
OF_RUNS = "\n[limits]\nrun_s = 60\n"
"""With which searches run in processes of their own, but not single evaluations."""
DRIVER = ("SIGKILL", "SIGTERM", "Ctrl-C", "killed worker", "full disk", "deleted store", "replaced store",
          "damaged store", "deleted folder", "SIGKILL at once", "SIGTERM at once", "Ctrl-C at once")  # fmt: skip
AT_ONCE_S = 2.0
"""Within which a command that has just begun is ended: while it imports, plans, or opens its store."""
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}


@dataclass(frozen=True)
class Setting:
    """A study that faults happen to: what its sound part is, and with how many workers it runs."""

    kind: str
    workers: int

    @property
    def sound(self) -> str:
        """The study's text, sound strategies only."""
        problem, budget, seeds = (TABLE, "evaluations = 10", 2) if self.kind == "table" else (TRAINING, "epochs = 1", 2)
        uses = ("random", "regularized-evolution") if self.kind == "table" else ("random", "darts")
        strategies = "".join(STRATEGY.format(label=use, use=use) for use in uses)
        strategies = strategies.replace(
            'use = "regularized-evolution"', 'use = "regularized-evolution"\npopulation = 8\nsample = 3'
        )
        return f'name = "faults"\nseeds = {seeds}\nbudget = {{ {budget} }}\n{problem}{strategies}'

    def __str__(self) -> str:
        return f"{self.kind}, {self.workers} workers"


@dataclass
class Outcome:
    """What came of one fault."""

    fault: str
    setting: Setting
    told: str
    lost: int = 0
    duplicated: int = 0
    changed: int = 0

    @property
    def harmless(self) -> bool:
        return not (self.lost or self.duplicated or self.changed)


@dataclass
class Faults:
    """Draws faults and lets them happen, each in a folder of its own."""

    folder: Path
    draw: random.Random
    undisturbed: dict[str, Path] = field(default_factory=dict)
    seconds: dict[Setting, float] = field(default_factory=dict)

    # -- running ---------------------------------------------------------------------------------------------------

    @cached_property
    def server(self) -> ForkServer:
        return ForkServer(PATHS)

    def driver(self, study: str, store: Path, workers: int, *options: str, fresh: bool = False) -> Driver:
        """A driver in a process group of its own; a fork of one that has imported everything unless `fresh`."""
        file = store.with_suffix(".toml")
        file.parent.mkdir(exist_ok=True)
        file.write_text(study)
        arguments = ["run", str(file), "--store", str(store), "--no-report"]
        arguments += ["--workers", str(workers), "--brief", *options]
        log = self.folder / "log"
        if not fresh:
            return self.server.start(arguments, self.folder, log)
        with log.open("ab") as told:
            return subprocess.Popen(
                [*FRESH, *arguments],
                cwd=self.folder,
                stdout=told,
                stderr=told,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": PATHS},
            )

    def complete(self, study: str, store: Path, workers: int, *options: str, within_s: float = 300) -> int:
        """Run a driver to its end; its exit status."""
        process = self.driver(study, store, workers, *options)
        try:
            return process.wait(within_s)
        finally:
            end_group(process)

    def reference(self, setting: Setting) -> Path:
        """The store of a setting's sound study, undisturbed; the number of workers changes nothing of it."""
        if setting.kind not in self.undisturbed:
            store = self.folder / f"undisturbed-{setting.kind}.db"
            began = time.monotonic()
            status = self.complete(setting.sound, store, 0)
            self.seconds[Setting(setting.kind, 0)] = time.monotonic() - began
            assert status == 0, (self.folder / "log").read_text()[-3000:]
            self.undisturbed[setting.kind] = store
        return self.undisturbed[setting.kind]

    def takes(self, setting: Setting) -> float:
        """Seconds that a setting's study takes."""
        self.reference(setting)
        if setting not in self.seconds:
            began = time.monotonic()
            self.complete(setting.sound, self.folder / f"{len(self.seconds)}.db", setting.workers)
            self.seconds[setting] = time.monotonic() - began
        return self.seconds[setting]

    def compared(self, setting: Setting, store: Path, fault: str, told: str, *, whole: bool = True) -> Outcome:
        """The sound runs of a store beside the undisturbed ones. `whole`: whether all of them should be there."""
        before, now = rows(str(self.reference(setting)), "runs"), rows(str(store), "runs")
        known = {row["run_id"]: row for row in before.values()}
        counted = Counter(row["run_id"] for row in every(store) if row["status"] != "infra")
        found = {row["run_id"]: row for row in now.values() if row["run_id"] in known and row["status"] != "infra"}
        changed = 0
        for run_id, row in found.items():
            left, right = ({k: v for k, v in r.items() if k != "attempts"} for r in (known[run_id], row))
            changed += any(differences(left, right, Counter()))
        lost = len(known) - len(found) if whole else 0
        twice = sum(number > 1 for run_id, number in counted.items() if run_id in known)
        return Outcome(fault, setting, f"{told}; {len(found)} of {len(known)} sound runs", lost, twice, changed)

    # -- faults of parts ------------------------------------------------------------------------------------------

    def of_strategies(self, setting: Setting, drawn: list[tuple[str, str]]) -> Iterator[Outcome]:
        """One study with a faulty strategy for each fault, beside the sound ones."""
        labels = {f"{act} in {place}": (act, place) for act, place in drawn}
        more = "".join(
            STRATEGY.format(label=label, use="benchmarks.faulty_parts:Faulty") + f'act = "{act}"\nplace = "{place}"\n'
            for label, (act, place) in labels.items()
        )
        store = self.folder / f"parts-{setting.kind}-{setting.workers}" / "s.db"
        self.reference(setting)
        status = self.complete(setting.sound + more + SHORT[setting.kind], store, setting.workers)
        for label in labels:
            ended = Counter(row["status"] for row in every(store) if row["strategy"] == label)
            told = ", ".join(f"{number} {state}" for state, number in ended.items()) or f"nothing, exit {status}"
            yield self.compared(setting, store, f"strategy: {label}", told)

    def of_functions(self, setting: Setting, drawn: list[str]) -> Iterator[Outcome]:
        """One study with a faulty function for each fault, as problems beside the sound one."""
        more = "".join(FUNCTION.format(label=answer, name=f"answers_{list(ANSWERS).index(answer)}") for answer in drawn)
        head, problems, strategies = setting.sound.partition("\n[[problems]]")
        sound, mark, rest = strategies.partition("\n[[strategies]]")
        study = f"{head}{problems}{sound}{more}{mark}{rest}"
        store = self.folder / f"functions-{setting.kind}-{setting.workers}" / "s.db"
        self.reference(setting)
        status = self.complete(study + LIMITS, store, setting.workers, within_s=600)
        for answer in drawn:
            ended = Counter(row["status"] for row in every(store) if row["problem"] == answer)
            told = ", ".join(f"{number} {state}" for state, number in ended.items()) or f"nothing, exit {status}"
            yield self.compared(setting, store, f"function: {answer}", told)

    # -- faults of the machine ------------------------------------------------------------------------------------

    def of_driver(self, setting: Setting, number: int, fault: str) -> Outcome:
        """A driver, disturbed at a random moment; then what a user does, and the comparison."""
        home = self.folder / f"driver-{number}"
        home.mkdir()
        apart = fault == "killed worker" or self.draw.random() < 0.5
        store, study = home / "s.db", setting.sound + (OF_RUNS if apart else "")
        at_once = fault.endswith(" at once")
        takes = AT_ONCE_S if at_once else self.takes(setting)
        process = self.driver(study, store, setting.workers, fresh=at_once)
        moment = self.draw.uniform(0.1, takes) if at_once else self.draw.uniform(0.1 * takes, 1.1 * takes)
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            if process.poll() is None:
                self.disturb(fault, process, store)
            status = process.wait(300)
        finally:
            end_group(process)
        stood = len(every(store)) if store.exists() else 0
        recovered = self.recovered(home, store)
        again = self.complete(study, recovered, setting.workers, "--resume")
        told = f"after {moment:.1f} s: exit {status}, {stood} runs stood, resumed: exit {again}"
        return self.compared(setting, recovered, f"driver: {fault}", told)

    def disturb(self, fault: str, process: Driver, store: Path) -> None:
        """Let a fault of the machine happen."""
        if (name := fault.removesuffix(" at once")) in SIGNALS:
            process.send_signal(SIGNALS[name])
        elif fault == "killed worker":
            below = descendants(process.pid)
            if below:
                os.kill(self.draw.choice(below), signal.SIGKILL)
        elif fault == "full disk":
            size = store.stat().st_size if store.exists() else 4096
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        elif fault == "deleted store":
            for file in store.parent.glob("s.db*"):
                if file.is_file():
                    file.unlink()
        elif fault == "deleted folder":
            shutil.rmtree(store.parent)
        elif fault == "replaced store" and store.exists():
            other = self.folder / "other.db"
            if not other.exists():
                self.complete(Setting("table", 0).sound.replace('"faults"', '"other"'), other, 0)
            shutil.copy(other, store.with_name("copy"))
            store.with_name("copy").replace(store)
        elif fault == "damaged store" and store.exists():
            damage(store, self.draw)

    def recovered(self, home: Path, store: Path) -> Path:
        """The store to go on with: its own, or what could be saved of it together with the rescue file."""
        home.mkdir(exist_ok=True)
        parts = [file for file in (store, home / "s.rescue.db") if file.exists()]
        if parts == [store] and sound_file(store):
            return store
        saved = []
        for file in parts:
            new = file.with_name(f"saved-{file.name}")
            status, _ = self.say("doctor", "--store", str(file), "--save", str(new))
            if status == 0 and every(new):
                saved.append(str(new))
        whole = home / "whole.db"
        if saved:
            status, said = self.say("merge", *saved, "--store", str(whole))
            assert status == 0, said
        return whole

    def say(self, *arguments: str) -> tuple[int, str]:
        """Exit status of a command of searchbench's, and what it printed."""
        log = self.folder / "said"
        log.unlink(missing_ok=True)
        status = self.server.start(list(arguments), self.folder, log).wait(300)
        return status, log.read_text()


def every(store: Path) -> list[dict[str, object]]:
    """Every row of runs; none where there is no store that can be read."""
    if not store.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM runs")]
    except sqlite3.DatabaseError:
        return []


def sound_file(store: Path) -> bool:
    """Whether SQLite finds no fault with a file, and there is a study of ours in it."""
    try:
        with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    except sqlite3.DatabaseError:
        return False


def damage(store: Path, draw: random.Random) -> None:
    """Overwrite a few hundred bytes past the header."""
    size = store.stat().st_size
    with store.open("r+b") as file:
        for _ in range(3):
            file.seek(draw.randrange(200, max(size, 201)))
            file.write(draw.randbytes(100))


def descendants(pid: int) -> list[int]:
    """Processes below one, from the system's list."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, look = [], [pid]
    while look:
        below = parents.get(look.pop(), [])
        found += below
        look += below
    return found


def end_group(process: Driver) -> None:
    """Kill what is left of a driver and everything below it."""
    for pid in [*descendants(process.pid), process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def happen(seed: int, faults: int, folder: Path, kinds: tuple[str, ...], workers: tuple[int, ...]) -> Iterator[Outcome]:
    """Draw faults and let them happen; half of them to drivers, the others in strategies and functions."""
    draw = random.Random(seed)
    all_of_them = Faults(folder, draw)
    settings = [Setting(kind, number) for kind in kinds for number in workers]
    each = max(1, faults // (3 * len(settings)))
    strategies = draw.sample([(act, place) for act in ACTS for place in PLACES], each * len(settings))
    functions = draw.sample(list(ANSWERS), min(len(ANSWERS), each * len(settings)))
    names = list(DRIVER) * (faults // len(DRIVER) + 1)
    asked = sum(setting.kind == "table" for setting in settings)
    drivers = names[: max(0, faults - each * (len(settings) + asked))]
    draw.shuffle(drivers)
    try:
        for at, setting in enumerate(settings):
            yield from all_of_them.of_strategies(setting, strategies[at * each : (at + 1) * each])
            if setting.kind == "table":  # a function is charged evaluations, the trainings of a supernet epochs
                yield from all_of_them.of_functions(setting, functions[at * each : (at + 1) * each])
        here = [setting for setting in settings if setting.workers == 0]
        for number, fault in enumerate(drivers):  # most in one process, where a driver begins in a moment
            among = settings if number % 2 or not here else here
            yield all_of_them.of_driver(among[number // 2 % len(among)], number, fault)
    finally:
        all_of_them.server.close()


def summary(seed: int, outcomes: list[Outcome], seconds: float) -> None:
    """Print what all faults together came to."""
    lost, twice, changed = (sum(getattr(o, name) for o in outcomes) for name in ("lost", "duplicated", "changed"))
    told = f"{lost} runs lost, {twice} duplicated, {changed} changed"
    print(f"seed {seed}: {len(outcomes)} faults; {told}; {seconds:.0f} s", flush=True)


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("--seed", type=int, default=0)
    told.add_argument("--faults", type=int, default=64)
    told.add_argument("--kinds", default="table,training")
    told.add_argument("--workers", default="0,2")
    given = told.parse_args()
    began = time.monotonic()
    outcomes = []
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    kinds, workers = tuple(given.kinds.split(",")), tuple(map(int, given.workers.split(",")))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before all faults had happened"))
    try:
        for outcome in happen(given.seed, given.faults, folder, kinds, workers):
            outcomes.append(outcome)
            verdict = "harmless" if outcome.harmless else "HARM"
            print(f"{verdict:8}  {outcome.fault:36} {outcome.setting!s:20} {outcome.told}", flush=True)
    finally:
        summary(given.seed, outcomes, time.monotonic() - began)
    if any(not outcome.harmless for outcome in outcomes):
        print(f"see {folder}")
    else:
        shutil.rmtree(folder)
    sys.exit(any(not outcome.harmless for outcome in outcomes))


if __name__ == "__main__":
    main()
