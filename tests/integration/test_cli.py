"""The commands as a user types them: what is printed, the exit status, and that wrong input changes nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from searchbench.cli import main


class Said(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `searchbench …` in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return call


FILE = """
name = "cli"
seeds = 2
budget = {{ evaluations = 8 }}
[[problems]]
space = "nasbench201"
task = "digits"
estimator = {{ use = "table", path = "{table}", validation = ["valid_0", "valid_1"], test = ["test_secret"] }}
[[strategies]]
use = "random"
[[strategies]]
use = "local-search"
"""


@pytest.fixture
def ran(command: Command, tmp_path: Path, table_path: Path) -> Said:
    """A study that has run into searchbench.db."""
    (tmp_path / "study.toml").write_text(FILE.format(table=table_path))
    return command("run", "study.toml", "--workers", "0")


def test_run_prints_progress_and_the_leaderboard(ran: Said) -> None:
    assert ran.code == 0, ran.err
    assert "[4/4]" in ran.err
    assert "local-search" in ran.out
    assert "±" in ran.out


def test_run_twice_needs_resume(ran: Said, command: Command) -> None:
    again = command("run", "study.toml", "--workers", "0")
    assert (again.code, again.out) == (2, "")
    assert "continue it with --resume" in again.err
    resumed = command("run", "study.toml", "--workers", "0", "--resume")
    assert resumed.code == 0
    assert "4 of 4 runs stand already" in resumed.err


def test_status_counts_runs(ran: Said, command: Command) -> None:
    said = command("status")
    assert said.code == 0
    assert "cli" in said.out
    assert "32" in said.out  # evaluations


@pytest.mark.parametrize(
    ("kind", "mark"), [("md", "| strategy"), ("tex", r"\toprule"), ("csv", "strategy,"), ("json", "{")]
)
def test_leaderboard_in_every_format(ran: Said, command: Command, kind: str, mark: str) -> None:
    said = command("leaderboard", "--format", kind)
    assert said.code == 0
    assert mark in said.out
    assert "local-search" in said.out
    if kind == "json":
        json.loads(said.out)


def test_compare_speaks_of_both(ran: Said, command: Command) -> None:
    said = command("compare", "random", "local-search")
    assert said.code == 0
    assert "random" in said.out
    assert "local-search" in said.out


def test_verify_says_bit_identical(ran: Said, command: Command) -> None:
    said = command("verify", "-k", "2", "--workers", "0")
    assert said.code == 0
    assert said.out.count("bit-identical") == 2


def test_verify_exits_with_1_where_something_differs(ran: Said, command: Command, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "searchbench.db") as connection:
        connection.execute("UPDATE runs SET test_error = 0.123")
    said = command("verify", "-k", "1", "--workers", "0")
    assert said.code == 1
    assert "test error differs" in said.out


def test_a_failed_run_shows_in_the_exit_status(command: Command, tmp_path: Path, table_path: Path) -> None:
    (tmp_path / "bad_plugin.py").write_text(
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Bad:\n"
        "    def start(self, scenario):\n        raise RuntimeError('no')\n"
    )
    text = FILE.format(table=table_path) + '[[strategies]]\nuse = "bad_plugin:Bad"\n'
    (tmp_path / "study.toml").write_text(text)
    said = command("run", "study.toml", "--workers", "0")
    assert said.code == 1
    assert "2/2" in said.out  # failed of total
    assert "RuntimeError: no" in said.err


@pytest.mark.parametrize("kind", ["strategies", "spaces", "tasks", "estimators", "judges"])
def test_list_names_things(command: Command, kind: str) -> None:
    said = command("list", kind)
    assert said.code == 0
    assert len(said.out.splitlines()) >= 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("random", "Source:"),
        ("regularized-evolution", "population"),
        ("darts", "alpha"),
        ("nasbench201", "15,625 points"),
        ("digits", "8x8"),
        ("train", "epochs"),
        ("optuna:tpe", "tpe"),
    ],
)
def test_describe_says_what_a_thing_is(command: Command, name: str, told: str) -> None:
    said = command("describe", name)
    assert said.code == 0, said.err
    assert told.lower() in said.out.lower()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "no.toml"], "no such study file"),
        (["run"], "Missing argument"),
        (["runn", "x"], "Did you mean"),
        (["leaderboard"], "there is no store"),
        (["status", "--store", "elsewhere.db"], "there is no store"),
        (["describe", "regularised-evolution"], "did you mean `regularized-evolution`"),
        (["list", "strategy"], "strategies"),
        (["check", "no_such:thing"], "cannot be imported"),
        (["compare", "a"], "[STUDY] A B"),
        (["verify", "-k", "0"], "-k"),
        (["run", "x.toml", "--workers", "-1"], "--workers"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_bad_input_exits_with_2_and_changes_nothing(
    command: Command, tmp_path: Path, arguments: list[str], told: str
) -> None:
    said = command(*arguments)
    assert (said.code, said.out) == (2, "")
    assert told in said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


PLUGIN = """
from dataclasses import dataclass
from searchbench import Choice, Proposal, Space

@dataclass(frozen=True)
class Good:
    def start(self, scenario):
        return Search(scenario)

class Search:
    def __init__(self, scenario):
        self.space, self.rng = scenario.space, scenario.seeds.rng("search")
    def ask(self):
        return Proposal(self.space.sample(self.rng))
    def tell(self, trial):
        pass

@dataclass(frozen=True)
class Unable:
    {unable}

@dataclass(frozen=True)
class Half:
    def start(self, scenario):
        return object()

def cells():
    return Space("cells", (Choice("left", ("a", "b")),))

nothing = 3
"""


def test_check_finds_the_kind_and_prints_a_line_per_check(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my_parts.py").write_text(PLUGIN.format(unable="def verdict(self, architecture): ..."))
    good = command("check", "my_parts.py:Good")
    assert good.code == 0
    lines = good.out.strip().splitlines()
    assert lines[-1] == "strategy Good(): 43 passed, 0 failed, 0 skipped"
    assert all(line.startswith("PASS  ") for line in lines[:-1])
    space = command("check", "my_parts.py:cells")
    assert (space.code, space.out.strip().splitlines()[-1].partition(":")[0]) == (0, "space cells")


def test_check_says_what_a_failure_means_and_the_way_out(command: Command, tmp_path: Path) -> None:
    (tmp_path / "other_parts.py").write_text(PLUGIN.format(unable="def verdict(self, architecture): ..."))
    half = command("check", "other_parts.py:Half", "--wrong")
    assert half.code == 1
    assert "found:   StudyError: the search object has no `advance`, so it asks and tells, but lacks" in half.out
    assert "means:   every run would fail when it begins" in half.out
    assert "way out: let `start` return a search" in half.out
    assert "PASS" not in half.out
    for name, told in (("Unable", "no part of a study"), ("nothing", "no part of a study"), ("Nowhere", "cannot be")):
        said = command("check", f"other_parts.py:{name}")
        assert (said.code, said.out) == (2, "")
        assert told in said.err


def test_check_takes_registered_names_of_several_kinds_with_parameters(command: Command) -> None:
    said = command("check", "table", "--wrong", "--with", "path=nasbench201-digits")
    assert said.code == 0
    assert [line.partition(" ")[0] for line in said.out.strip().splitlines()] == ["estimator", "judge"]
    assert command("check", "digits").code == 0
    assert command("check", "random", "--with", "replacment=false").code == 2


def test_a_wrong_study_leaves_no_store_behind(command: Command, tmp_path: Path, table_path: Path) -> None:
    for wrong in ('use = "radnom"', 'use = "random"\npopulation = 3'):
        (tmp_path / "study.toml").write_text(FILE.format(table=table_path).replace('use = "random"', wrong))
        said = command("run", "study.toml", "--workers", "0")
        assert said.code == 2
        assert len(said.err.strip().splitlines()) == 1
    (tmp_path / "study.toml").write_text(FILE.format(table=tmp_path / "no.csv"))
    assert "no.csv" in command("run", "study.toml", "--workers", "0").err
    assert [p.name for p in tmp_path.iterdir()] == ["study.toml"]


def test_a_foreign_store_is_refused_and_kept(command: Command, tmp_path: Path, table_path: Path) -> None:
    (tmp_path / "study.toml").write_text(FILE.format(table=table_path))
    (tmp_path / "notes.txt").write_text("dear diary")
    said = command("run", "study.toml", "--workers", "0", "--store", "notes.txt")
    assert said.code == 2
    assert "not a result store" in said.err
    assert (tmp_path / "notes.txt").read_text() == "dear diary"


def test_an_unknown_label_of_only_is_refused(command: Command, tmp_path: Path, table_path: Path) -> None:
    (tmp_path / "study.toml").write_text(FILE.format(table=table_path))
    said = command("run", "study.toml", "--workers", "0", "--only", "randm")
    assert said.code == 2
    assert "did you mean `random`" in said.err
    assert not (tmp_path / "searchbench.db").exists()


@pytest.mark.skipif(os.geteuid() == 0 and not os.environ.get("SEARCHBENCH_TEST_ROOT"), reason="root may write anywhere")
def test_an_unwritable_folder_is_refused(command: Command, tmp_path: Path, table_path: Path) -> None:
    (tmp_path / "study.toml").write_text(FILE.format(table=table_path))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    said = command("run", "study.toml", "--workers", "0", "--store", "locked/r.db")
    assert said.code == 2
    assert "cannot be written" in said.err


def test_describe_works_for_every_name_that_list_prints(command: Command) -> None:
    from searchbench.cli.things import registries

    for registry in registries().values():
        for name in registry.names():
            said = command("describe", name)
            assert said.code == 0, (name, said.err)
            assert "(no description)" not in said.out, name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("searchbench.strategies.random:Random", "strategy"),
        ("searchbench.spaces.nasbench201.space:nasbench201", "space"),
        ("searchbench.tasks.digits:Digits", "task"),
        ("described_loss.py:loss", "function"),
        ("described_problem.py:problem", "problem"),
        ("optuna:tpe", "strategy"),
    ],
)
def test_describe_says_of_a_path_which_kind_of_part_is_there(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    Path(name.partition(":")[0]).write_text(
        "import searchbench as sb\ndef loss(config):\n    'What is lost.'\n    return 0.0\n"
        "problem = sb.Objective(loss, {'x': sb.Float(0, 1)})\n"
    )
    shown = command("describe", name)
    assert (shown.code, shown.out.splitlines()[0]) == (0, f"{name}, {said}"), shown.err


@pytest.mark.parametrize("name", ["no_such_module:x", "json:no_such", "json:JSONDecoder", "nothing-like-it"])
def test_describe_refuses_what_is_no_part(command: Command, name: str) -> None:
    shown = command("describe", name)
    assert (shown.code, shown.out, len(shown.err.strip().splitlines())) == (2, "", 1)


def test_describe_tells_a_tuning_that_a_study_file_declares(command: Command, tmp_path: Path, table_path: Path) -> None:
    text = (
        FILE.format(table=table_path) + "\n[tune]\nseeds = 7\n[tune.strategies.random]\nreplacement = [true, false]\n"
    )
    (tmp_path / "tuned.toml").write_text(text)
    shown = command("describe", str(tmp_path / "tuned.toml"))
    assert shown.code == 0, shown.err
    assert "seeds=7" in shown.out


def test_describe_tells_what_a_study_declares_from_its_store_or_its_file(ran: Said, command: Command) -> None:
    for name in ("cli", "study.toml"):
        said = command("describe", name)
        assert said.code == 0
        assert "nasbench201 × digits, fingerprint" in said.out
        assert "local-search" in said.out
        assert "evaluations ≤ 8" in said.out


def test_status_tells_simulated_seconds_from_device_time(command: Command, tmp_path: Path, table_path: Path) -> None:
    text = FILE.format(table=table_path).replace(
        'test = ["test_secret"]', 'test = ["test_secret"], seconds = "seconds"'
    )
    (tmp_path / "study.toml").write_text(text)
    assert command("run", "study.toml", "--workers", "0", "--no-report").code == 0
    said = command("status").out
    line = next(line for line in said.splitlines() if " cli " in line)
    device, simulated = line.strip(" │").split("│")[-2:]
    assert "simulated" in said
    assert device.strip() == "–"
    assert "min" in simulated


def test_the_json_of_a_leaderboard_holds_objects(ran: Said, command: Command) -> None:
    (block,) = json.loads(command("leaderboard", "--format", "json").out)["blocks"]
    assert block["budget"] == {"evaluations": 8}
    texts = [v for row in block["rows"] for v in row.values() if isinstance(v, str)]
    assert not [text for text in texts if text.startswith(("{", "["))]


def test_errors_name_the_way_out_of_where_they_are_read(ran: Said, command: Command, tmp_path: Path) -> None:
    from searchbench import open_store, read_study, run
    from searchbench.errors import StoreError

    study = read_study("study.toml")
    with pytest.raises(StoreError, match="continue it with `resume=True`") as error:
        run(study, "searchbench.db", workers=0)
    assert "--" not in str(error.value)
    assert "--resume" in command("run", "study.toml", "--workers", "0").err
    with pytest.raises(StoreError, match=r"`searchbench.run\(study, 'absent.db'\)` makes one") as absent:
        open_store("absent.db")
    assert "--" not in str(absent.value)
    assert "--store absent.db" in command("status", "--store", "absent.db").err
