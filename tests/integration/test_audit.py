"""The driver finds out what a strategy did to the process that counted for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench import Budget, Problem, Study

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
    from searchbench.harness import repeats

    monkeypatch.setattr(repeats, "STALLED_AFTER", 200)
    ended = _ended(problem, tmp_path / "s.db", trick)
    assert ended.status == "failed"
    assert "contradicts itself" in ended.error
    assert "measured trials were not charged as evaluations" in ended.error
    assert ended.trials


@SLOW
def test_honest_runs_pass(problem: Problem, tmp_path: Path) -> None:
    assert _ended(problem, tmp_path / "s.db", "nothing").status == "ok"


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
