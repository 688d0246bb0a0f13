"""The example of a search that asks a language model runs offline from the answers beside it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from searchbench.harness.declared.components import describe
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.run import run_search
from searchbench.results.columns import read_traces, read_trials
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.testing import Stage, fly

EXAMPLE = Path(__file__).parents[2] / "examples" / "llm_guided.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("llm_guided", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["llm_guided"] = module
    spec.loader.exec_module(module)
    return module


def test_every_prompt_of_the_recorded_run_has_its_answer(example: Any) -> None:
    """30 evaluations of the shipped table: 5.01 % validation error, 15.53 % before the first answer."""
    [run] = [spec for spec in plan(example.study()).runs if spec.contestant.label == "guided"]
    found = run_search(run)
    values = read_trials(found.trials).column("value").to_pylist()
    assert len(values) == 30
    assert min(values[:10]) == pytest.approx(0.1553, abs=1e-4)
    assert min(values[10:]) == pytest.approx(0.0501, abs=1e-4)
    rounds: Any = read_traces(found.traces)
    assert rounds.column("cells").to_pylist()[:4] == [5.0] * 4  # a fifth is asked for as the budget ends


class Talking:
    """A model that says more than it was asked for."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def answer(self, prompt: str) -> str:
        self.prompts.append(prompt)
        cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
        return f"Here you are:\n{cell}\n  {cell}\n|sep_conv~0|\nI hope it helps."


@pytest.mark.parametrize("under_way", [1, 8])
def test_what_is_no_cell_is_passed_over_and_failures_are_not_shown(example: Any, under_way: int) -> None:
    talking = Talking()
    flight = fly(example.Guided(talking, initial=4), Stage(nasbench201(), 30), under_way)
    assert len(flight.trials) == 30
    assert len({p.architecture.key for p in flight.asked}) == len(flight.asked)
    named = [p for p in flight.asked if str(p.architecture).startswith("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|sk")]
    assert len(named) == 1
    assert talking.prompts
    assert all("nan" not in prompt for prompt in talking.prompts)


def test_answers_are_known_by_their_bytes_not_their_place(example: Any, tmp_path: Path) -> None:
    copy = tmp_path / "answers.jsonl"
    copy.write_bytes(example.RECORDED.read_bytes())
    assert describe(example.recorded(copy)) == describe(example.recorded())
    assert example.recorded().answer("another prompt") == ""
