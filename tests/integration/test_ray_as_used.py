"""What is said where Ray is slow, absent, or cannot take what it is given; no Ray is started here."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

import searchbench as sb
from searchbench.errors import InputError, StudyError
from searchbench.harness.executors import on_ray
from searchbench.strategies.random import Random


@pytest.fixture
def init(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Ray's `init`, noted and not done."""
    called: list[dict[str, Any]] = []
    monkeypatch.setattr(on_ray.ray, "init", lambda **given: called.append(given))
    monkeypatch.setattr(on_ray.ray, "shutdown", lambda: None)
    return called


def test_a_cluster_is_joined_only_where_one_was_asked_for(
    init: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    on_ray._start(2, None)
    on_ray._start(2, "auto")
    assert [given["address"] for given in init] == ["local", "auto"]


def test_rays_client_is_refused_with_the_way_out(init: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match=r"ray://there:10001.*start the study on a machine of the cluster"):
        on_ray._start(None, "ray://there:10001")
    assert not init


def test_a_cluster_that_is_not_there_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(**given: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance. And much more.\nOn many lines.")

    monkeypatch.setattr(on_ray.ray, "init", absent)
    with pytest.raises(InputError, match=r"no Ray cluster at `auto`: Could not find any running Ray instance"):
        on_ray._start(None, "auto")


def test_a_slow_start_says_what_it_waits_for_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries: list[int] = []

    def slow(**given: Any) -> None:
        tries.append(1)
        time.sleep(0.1)
        raise RuntimeError("The raylet did not start in time.")

    monkeypatch.setattr(on_ray, "SLOW_S", 0.03)
    monkeypatch.setattr(on_ray.ray, "init", slow)
    monkeypatch.setattr(on_ray.ray, "shutdown", lambda: None)
    with pytest.raises(InputError, match=r"does not start: The raylet did not start in time; `workers=0`") as caught:
        on_ray._start(1, None)
    assert "--workers 0" in caught.value.command
    assert len(tries) == on_ray.TRIES
    assert "waiting for a local Ray to start" in capsys.readouterr().err
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tell")]


@dataclass(frozen=True)
class Holding:
    """Random search that holds a lock."""

    lock: Any = field(default_factory=threading.Lock, metadata={"described": False})

    def start(self, scenario: Any) -> Any:
        return Random().start(scenario)


def test_an_object_that_cannot_leave_its_process_is_one_message(problem: sb.Problem, tmp_path: Any) -> None:
    study = sb.Study("s", problem, {"it": Holding()}, 1, sb.Budget(evaluations=3))
    with pytest.raises(StudyError, match=r"strategy `it` cannot be sent to another process: .*lock.*`workers=0`"):
        sb.run(study, tmp_path / "s.db", workers=2)
    assert not (tmp_path / "s.db").exists()
    sb.run(study, tmp_path / "s.db", workers=0, progress=False)
