"""A driver inside a cluster: what is sent to it, what is refused before anything is sent, and how it is followed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import searchbench as sb
from searchbench.cli import main
from searchbench.cli.entry import cli

STUDY = """
name = "sent away"
seeds = 1
budget = { evaluations = 2 }

[[problems]]
objective = "sent_with_the_study.py:loss"
space = { x = { float = [0.0, 1.0] } }

[[strategies]]
use = "random"
"""


class Jobs:
    """A client of Ray's that keeps what it is given."""

    given: dict[str, Any]

    def __init__(self, address: str | None) -> None:
        if address == "http://nobody:8265":
            raise ConnectionError("Failed to connect to Ray at address: http://nobody:8265.")

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, Any]) -> str:
        folder = Path(runtime_env["working_dir"])
        Jobs.given = {"command": entrypoint, "files": {file.name: file.read_text() for file in folder.iterdir()}}
        return submission_id


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    taken = ModuleType("ray.job_submission")
    taken.JobSubmissionClient = Jobs  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray.job_submission", taken)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sent_with_the_study.py").write_text("def loss(config, *, seed):\n    return config['x']\n")
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "large.bin").write_text("data that nobody imports")
    yield tmp_path
    sys.modules.pop("sent_with_the_study", None)


def status_of(command: list[str]) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(command)
    return ended.value.code


def test_a_study_is_sent_with_its_modules_to_a_driver_that_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "study.toml", "--store", "/shared/my results.db", "--only", "random", "--submit", "http://h:8265"]
    assert status_of(command) == 0
    assert {"study.toml", "sent_with_the_study.py"} <= Jobs.given["files"].keys()
    assert "large.bin" not in Jobs.given["files"]
    assert Jobs.given["files"]["study.toml"] == STUDY
    assert Jobs.given["command"] == (
        "python -m searchbench run study.toml --store '/shared/my results.db' --ray-address auto --resume --no-report "
        "--only random"
    )
    shown = capsys.readouterr().out
    assert "searchbench-sent-away-" in shown
    assert "searchbench status --watch --store '/shared/my results.db'" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--store", "here.db", "--submit", "http://h:8265"], "`here.db` is relative to this folder; give an absolute"),
        (
            ["--store", "/s.db", "--submit", "http://nobody:8265"],
            "no cluster at `http://nobody:8265` takes jobs",
        ),
        (["--store", "/s.db", "--submit", "http://h:8265", "--ray-address", "auto"], "leave out --ray-address"),
        (["--store", "/s.db", "--submit", "http://h:8265", "--only", "nobody"], "no strategy of study `sent away` is"),
    ],
)
def test_what_cannot_be_submitted_is_one_message(
    folder: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["run", "study.toml", *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_recipe_for_kubernetes_is_yaml_that_runs_a_study_on_nodes_that_are_added() -> None:
    recipe = Path(__file__).parents[2] / "examples" / "kuberay.yaml"
    claim, job = yaml.safe_load_all(recipe.read_text())
    words = job["spec"]["entrypoint"].partition("python -m searchbench ")[2].split()
    assert words[0] == "run"
    known = {option for parameter in cli.commands["run"].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} - known == {"--no-report"}  # the other side of --report
    head, (group,) = (job["spec"]["rayClusterSpec"][part] for part in ("headGroupSpec", "workerGroupSpecs"))
    for pod in (head["template"]["spec"], group["template"]["spec"]):
        assert {volume["name"] for volume in pod["volumes"]} == {
            m["name"] for m in pod["containers"][0]["volumeMounts"]
        }
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_watching_ends_when_no_run_is_missing(tmp_path: Path) -> None:
    problem = sb.Objective(lambda config: config["x"], {"x": sb.Float(0, 1)})
    sb.run(
        sb.Study("watched", problem, ["random"], 2, sb.Budget(evaluations=2)),
        tmp_path / "s.db",
        workers=0,
        progress=False,
    )
    shown = CliRunner().invoke(cli, ["status", "--watch", "--store", str(tmp_path / "s.db")])
    assert shown.exit_code == 0
    assert shown.output.count("watched") == 1
