"""The driver finds out what a strategy did to the process that counted for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench import Budget, Problem, Study
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.audit import audited
from searchbench.harness.running.run import run_search

sys.path.append(str(Path(__file__).parents[1] / "conformance"))
from cheats import Cheat

SLOW = pytest.mark.slow
OVERSPENT = (
    "ledger through the stack",
    pytest.param("ledger through inspect", marks=SLOW),
    pytest.param("ledger through a traceback", marks=SLOW),
    pytest.param("ledger through gc", marks=SLOW),
    pytest.param("patched price", marks=SLOW),
    "patched ledger",
)


@pytest.mark.parametrize("trick", OVERSPENT)
def test_more_evaluations_than_were_paid_are_a_failed_run_that_says_so(
    problem: Problem, tmp_path: Path, trick: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from searchbench.harness.running import repeats

    monkeypatch.setattr(repeats, "STALLED_AFTER", 200)
    ended = _ended(problem, tmp_path / "s.db", trick)
    assert ended.status == "failed"
    assert "contradicts itself" in ended.error
    assert "measured trials were not charged as evaluations" in ended.error
    assert ended.trials


@SLOW
def test_honest_runs_pass(problem: Problem, tmp_path: Path) -> None:
    assert _ended(problem, tmp_path / "s.db", "nothing").status == "ok"


def read_by_itself(lab: Any) -> None:
    """Take the whole of a split, compute on it without asking, and pay nothing."""
    for batch in lab.batches("valid", 64):
        batch.inputs.mean()


def reset(lab: Any) -> None:
    """Pay for steps, and take the money back."""
    net = lab.supernet()
    net.train()
    design = lab.scenario.space.sample(lab.scenario.seeds.rng("search"))
    for batch in lab.batches("train", 64):
        lab.infer(net, batch, net.path(design))
    frame: Any = sys._getframe()
    while frame is not None:
        behind = frame.f_locals.get("lab")
        if hasattr(behind, "account"):
            behind.account.ledger.inference_samples = 0
        frame = frame.f_back


@dataclass(frozen=True)
class Once:
    """A search that trains, of one slice."""

    act: Callable[[Any], None]

    def start(self, scenario: Any) -> Any:
        return Slice(self.act)


class Slice:
    done = False

    def __init__(self, act: Callable[[Any], None]) -> None:
        self.act = act

    def advance(self, lab: Any) -> None:
        lab.recommend(lab.scenario.space.sample(lab.scenario.seeds.rng("search")))
        self.act(lab)
        self.done = True

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


@pytest.mark.parametrize(
    ("act", "noted", "failed"),
    [
        (lambda lab: None, (), None),
        (read_by_itself, ("was handed 599 samples, and charged for computing on 0 of them",), None),
        (reset, (), "it computed on 599 samples, its total says 0"),
    ],
    ids=["nothing", "reads", "resets"],
)
def test_data_that_was_handed_out_is_held_against_what_was_charged(
    act: Callable[[Any], None], noted: tuple[str, ...], failed: str | None
) -> None:
    small = sb.Use("nasbench201", channels=2, cells=1, stages=1)
    problem = Problem(small, "digits", sb.Use("train", epochs=1))
    (spec,) = plan(Study("s", problem, {"once": Once(act)}, [0], Budget(epochs=1))).runs
    result = audited(spec, run_search(spec))
    assert result.notes == noted
    assert (failed or "None") in str(result.error)
    assert result.status == ("failed" if failed else "ok")


def _ended(problem: Problem, store: Path, trick: str) -> Any:
    """The record of one run of a cheat, in a process of its own."""
    study = Study("s", problem, {"it": Ending(trick)}, [0], Budget(evaluations=30), limits={"run_s": 60})
    sb.run(study, store, workers=0, progress=False)
    with sb.open_store(store) as opened:
        return opened.runs("s")[0]


class Ending(Cheat):
    """A cheat that stops after 100 proposals."""

    def start(self, scenario: Any) -> Any:
        inner = super().start(scenario)
        asked = [0]
        ask = inner.ask

        def limited() -> Any:
            asked[0] += 1
            return None if asked[0] > 100 else ask()

        inner.ask = limited
        return inner
