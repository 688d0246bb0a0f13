"""A store on a real PostgreSQL server, started here on loopback: tables made once, one driver per study, restarts."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import searchbench as sb
from searchbench import Budget, Problem, Study
from searchbench.errors import Interrupted, StoreError
from searchbench.harness.declared.plan import plan
from searchbench.harness.driving.progress import Silent
from searchbench.harness.running.checkpoint import Checkpoints
from searchbench.harness.running.run import run_search
from searchbench.results.columns import first_difference
from tests.integration.test_checkpoint import KilledAfter

pytestmark = pytest.mark.slow

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'searchbench[postgresql]'")


def programs() -> Path:
    """The folder of a server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(p) for p in [shutil.which("initdb")] if p]
    if not found:
        pytest.skip("there is no PostgreSQL server here (Debian: apt-get install postgresql)")
    return found[-1].parent


class Server:
    """A server over a folder of its own; root may not run one, and hands it to `postgres` or `nobody`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder, programs()
        self.user = getpass.getuser()
        if os.geteuid() == 0:
            self.user = "postgres"
            shutil.chown(folder, self.user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.do("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "me", "-N", "--locale=C", "-E", "UTF8")
        self.start()

    def do(self, program: str, *arguments: str) -> None:
        as_other = {"user": self.user, "group": self.user} if os.geteuid() == 0 else {}
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **as_other
        )  # type: ignore[call-overload]
        assert done.returncode == 0, done.stdout

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -F"
        self.do("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self.do("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    @property
    def url(self) -> str:
        return f"postgresql://me@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short, and open to the other user
    folder.chmod(0o755)
    try:
        running = Server(folder)
        yield running
        running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def a_study(name: str, problem: Problem, seeds: int = 2) -> Study:
    return Study(name, problem, {"random": "random", "ls": "local-search"}, seeds, Budget(evaluations=5))


def test_a_study_on_a_server_is_the_same_as_in_a_file(server: Server, problem: Problem, tmp_path: Path) -> None:
    study = a_study("same", problem)
    found = []
    for store in (server.url, tmp_path / "s.db"):
        sb.run(study, store, workers=0, progress=False)
        with sb.open_store(store) as opened:
            found.append({run.run_id: run for run in opened.runs("same")})
    assert found[0].keys() == found[1].keys()
    for run_id, one in found[0].items():
        other = found[1][run_id]
        assert first_difference(one.trials, other.trials) is None
        assert (one.architecture, one.test_error, one.value) == (other.architecture, other.test_error, other.value)


def test_tables_are_made_once_however_many_come_first(server: Server) -> None:
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE fresh")
    url = server.url.replace("/postgres", "/fresh")
    with ThreadPoolExecutor(8) as many:
        for opened in many.map(lambda _: sb.open_store(url, write=True), range(8)):
            assert opened.studies() == []
            opened.close()


def test_a_study_has_one_driver_and_another_study_has_another(server: Server, problem: Problem) -> None:
    with sb.open_store(server.url, write=True) as first, sb.open_store(server.url, write=True) as second:
        first.claim("mine")
        with pytest.raises(StoreError, match=r"study `mine` in the store .* is being written by another process"):
            second.claim("mine")
        second.claim("yours")
        first.close()
        second.claim("mine")


def test_a_restart_of_the_server_in_the_middle_of_a_study_loses_nothing(server: Server, problem: Problem) -> None:
    class Restarting(Silent):
        times = 0

        def finished(self, spec: object, record: object) -> None:
            self.times += 1
            if self.times == 3:
                server.stop()
                threading.Thread(target=later(server.start)).start()

    before = time.monotonic()
    sb.run(a_study("restarted", problem, 4), server.url, workers=0, observer=Restarting())
    with sb.open_store(server.url) as opened:
        assert [run.status for run in opened.runs("restarted")] == ["ok"] * 8
    assert time.monotonic() - before < 60


def later(action: Callable[[], None]) -> Callable[[], None]:
    def act() -> None:
        time.sleep(1.0)
        action()

    return act


def test_runs_of_a_store_on_a_server_leave_their_state_at_the_place_that_is_declared(
    server: Server, training_problem: Problem, tmp_path: Path
) -> None:
    study = Study(
        "placed",
        training_problem,
        {"it": sb.Use("darts", epochs=3, batch_size=64)},
        [3],
        Budget(samples=5_000),
        checkpoints={"url": f"file://{tmp_path}/shared", "every_s": 0},
    )
    (spec,) = plan(study).runs
    with sb.open_store(server.url, write=True) as opened:
        kept = Checkpoints.of_study(study, opened).of(spec)
    assert kept is not None
    with pytest.raises(Interrupted):
        run_search(spec, KilledAfter(kept.path, kept.key))
    assert Path(str(kept.path).removeprefix("file://")).exists()
    continued = sb.run(study, server.url, workers=0, progress=False)
    assert continued.runs()["status"].tolist() == ["ok"]
    assert not Path(str(kept.path).removeprefix("file://")).exists()


def test_a_server_that_is_not_there_is_one_message(server: Server) -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        sb.open_store(server.url.replace(str(server.port), "1"))
    with pytest.raises(StoreError, match='database "nothere" does not exist'):
        sb.open_store(server.url.replace("/postgres", "/nothere"))
