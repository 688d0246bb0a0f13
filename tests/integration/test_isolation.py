"""Nothing that one run does can hurt another: strangers' strategies, hangs, crashes and grabs for memory."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench.errors import StudyError
from searchbench.harness.driving.sealed import is_built_in

PLUG_INS = """
import ctypes, faulthandler, os, sys, time
from dataclasses import dataclass
from searchbench import Proposal
import searchbench.strategies.random as built_in

@dataclass(frozen=True)
class Plug:
    does: str = ""
    after: int = 3
    def start(self, scenario):
        return Search(self, scenario)

class Search:
    def __init__(self, plug, scenario):
        self.plug, self.space, self.rng, self.asked = plug, scenario.space, scenario.seeds.rng("search"), 0
    def ask(self):
        self.asked += 1
        if self.asked > self.plug.after:
            DOES[self.plug.does]()
        return Proposal(self.space.sample(self.rng))
    def tell(self, trial):
        pass

def patches():
    for kind in vars(built_in).values():
        if isinstance(kind, type) and hasattr(kind, "ask"):
            kind.ask = lambda self: None

def sets_default_type():
    import torch
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)

def segfaults():
    faulthandler.disable()
    ctypes.string_at(0)

def forks():
    if os.fork() == 0:
        time.sleep(1000)

def takes_memory():
    taken = [bytearray(10**8) for _ in range(40)]
    time.sleep(20)

def prints():
    print("x" * 10**7)

DOES = {
    "": lambda: None, "patches": patches, "sets default type": sets_default_type, "hangs": lambda: time.sleep(1000),
    "segfaults": segfaults, "exits": lambda: os._exit(0), "takes memory": takes_memory, "forks": forks,
    "prints": prints, "leaves": lambda: sys.exit(0),
}
"""


@pytest.fixture(autouse=True)
def plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of strategies that misbehave, found by this process and its children."""
    (tmp_path / "misbehaving.py").write_text(textwrap.dedent(PLUG_INS))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("misbehaving", None)


def study(does: str, **given: Any) -> sb.Study:
    plug = sb.Use("misbehaving:Plug", does=does)
    known: dict[str, Any] = {"seeds": 1, "strategies": {"plug": plug, "random": sb.Use("random")}}
    return sb.Study(
        name="isolated",
        problems=sb.Problem("nasbench201", "digits", "table"),
        budget=sb.Budget(evaluations=8),
        **(known | given),
    )


def ends(does: str, **given: Any) -> dict[str, list[str]]:
    """How the runs of the plug-in and of random search ended."""
    runs = sb.run(study(does, **given), workers=0).runs()
    return {label: group["status"].tolist() for label, group in runs.groupby("strategy")}


ENDS = {
    "hangs": "timeout", "segfaults": "failed", "exits": "failed", "leaves": "failed", "takes memory": "memory",
    "forks": "ok", "prints": "ok", "patches": "ok",
}  # fmt: skip


def test_strategies_that_misbehave_end_their_own_runs_only_and_leave_their_trials(tmp_path: Path) -> None:
    strategies = {does: sb.Use("misbehaving:Plug", does=does) for does in ENDS} | {"random": sb.Use("random")}
    limits = {"run_s": 10.0, "memory_gb": 2.0}  # five forks share it
    found = sb.run(study("", strategies=strategies, seeds=1, limits=limits), tmp_path / "s.db", workers=0)
    runs = found.runs().set_index("strategy")
    assert runs["status"].to_dict() == {**ENDS, "random": "ok"}
    with sb.open_store(tmp_path / "s.db") as opened:
        killed = opened.run(runs.loc["hangs", "run_id"])
        assert "killed after 10 s" in (killed.error or "")
        assert len(opened.trials(killed.run_id)) >= 1
    assert "SIGSEGV" in runs.loc["segfaults", "error"]


def test_results_are_those_of_an_undisturbed_study() -> None:
    alone = sb.run(study("", strategies={"random": sb.Use("random")}), workers=0).runs()
    beside = sb.run(study("patches", limits={"run_s": 60}), workers=0).runs()
    beside = beside[beside["strategy"] == "random"]
    assert beside["test_error"].tolist() == alone["test_error"].tolist()
    assert beside["run_id"].tolist() == alone["run_id"].tolist()


def test_global_state_is_put_back_where_there_are_no_other_processes() -> None:
    found = ends("sets default type")
    assert found == {"plug": ["ok"], "random": ["ok"]}


def test_evaluation_over_its_limit_is_a_failed_trial_and_the_run_goes_on() -> None:
    def slow(config: dict[str, Any], *, seed: int) -> float:
        import time

        time.sleep(100 if config["x"] > 0.5 else 0)
        return float(config["x"])

    problem = sb.Objective(slow, space={"x": sb.Float(0, 1)})
    asked = sb.Study(
        "slow", problem, ["random"], seeds=1, budget=sb.Budget(evaluations=6), limits={"evaluation_s": 0.5}
    )
    found = sb.run(asked, workers=0)
    (run_id,) = found.runs()["run_id"]
    trials = found.trials(run_id)
    assert len(trials) == 6
    assert set(trials["status"]) == {"ok", "timeout"}
    assert found.runs()["status"].tolist() == ["ok"]


@pytest.mark.ray
def test_stranger_runs_apart_from_workers_too() -> None:
    found = sb.run(study("patches"), workers=1).runs()
    assert (found["status"] == "ok").all()
    alone = sb.run(study("", strategies={"random": sb.Use("random")}), workers=0).runs()
    assert sorted(found[found["strategy"] == "random"]["test_error"]) == sorted(alone["test_error"])


@pytest.mark.parametrize(
    ("part", "own"),
    [
        (sb.Use("random"), True),
        (sb.Use("optuna:tpe"), True),
        (sb.Use("misbehaving:Plug"), False),
        (sb.Use("shared-weights", afterwards=sb.Use("misbehaving:Plug")), False),
        (sb.Use("searchbench.strategies.random:RandomSearch"), True),
    ],
)
def test_built_in_is_what_is_made_of_built_in_parts(part: sb.Use, own: bool) -> None:
    assert is_built_in(part) is own


@pytest.mark.parametrize("limits", [{"run_s": 0}, {"memory_gb": float("inf")}, {"runs": 3}, {"run_s": True}, 5])
def test_impossible_limits_are_refused(limits: Any) -> None:
    with pytest.raises(StudyError, match="limits"):
        study("", limits=limits)
