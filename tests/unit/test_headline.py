"""One sentence says what was found, whatever that is."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from searchbench.cost import Cost
from searchbench.harness.results import Results
from searchbench.reports.leaderboard import Block, build
from searchbench.reports.words import headline, headlines
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import open_store
from tests.recorded import a_store

PLAN = {"baseline": "random", "alpha": 0.05, "rope": 0.002, "looks": 1, "family": "baseline"}
NOISE = 0.012


def a_block(errors: dict[str, float], seeds: int = 12, plan: dict[str, object] | None = PLAN) -> Block:
    """Strategies whose seeds share most of their noise, around the given mean errors."""
    planned = [
        {"run_id": f"{label}/{seed}", "strategy": label, "problem": "digits", "replicate": seed}
        for seed in range(seeds)
        for label in errors
    ]
    spec = {
        "seeds": list(range(seeds)), "budget": {"evaluations": 9}, "planned": planned, "comparison": plan,
        "problems": [{"label": "digits", "fingerprint": "f"}],
    }  # fmt: skip
    runs = [a_run(entry, errors[entry["strategy"]], i) for i, entry in enumerate(planned)]
    return build(StudyRecord("s", json.dumps(spec), "t"), runs).blocks[0]


def a_run(entry: dict[str, object], mean: float, i: int) -> RunRecord:
    failed = math.isnan(mean)
    seed = int(str(entry["replicate"]))
    error = mean + NOISE * math.sin(5 * seed) + NOISE / 2 * math.sin(7 * i + seed)
    return RunRecord.flat(
        run_id=str(entry["run_id"]), study="s", strategy=str(entry["strategy"]), description="S()", problem="digits",
        fingerprint="f", budget='{"evaluations": 9}', replicate=seed, status="failed" if failed else "ok",
        ended="budget", cost=Cost(evaluations=9), trials=b"", started="t0", finished="t1", value=error,
        test_status=None if failed else "ok", test_error=error, error="boom" if failed else None,
    )  # fmt: skip


def test_nobody_beats_the_baseline_and_what_it_would_take() -> None:
    said = headline(a_block({"random": 0.200, "a": 0.2003, "b": 0.1998}))
    assert said.startswith("No strategy was shown to beat random at this budget, in 12 paired seeds; ")
    assert said.endswith("would be needed to see a difference of 0.4 points.")


def test_nobody_beats_the_baseline_and_some_are_worse() -> None:
    said = headline(a_block({"random": 0.200, "a": 0.2003, "bad": 0.30}))
    assert "; bad did worse" in said


def test_a_top_group_is_named_and_said_to_be_tied() -> None:
    said = headline(a_block({"random": 0.20, "a": 0.1003, "b": 0.10}))
    assert said == "a and b are best and not told apart, in 12 paired seeds."


def test_one_that_beats_all_is_best() -> None:
    said = headline(a_block({"random": 0.20, "a": 0.15, "b": 0.10}))
    assert said == "b is best: it was shown to be better than every other strategy, in 12 paired seeds."


def test_one_that_beats_all_but_a_failing_one_is_best_of_those_ranked() -> None:
    said = headline(a_block({"random": 0.20, "broken": math.nan, "b": 0.10}))
    assert "every other ranked strategy" in said


def test_too_few_seeds_are_given_as_the_reason() -> None:
    said = headline(a_block({"random": 0.20, "a": 0.15}, seeds=3))
    assert said.startswith("Whether any strategy beats random cannot be said: ")


def test_without_a_declaration_it_is_exploratory() -> None:
    said = headline(a_block({"random": 0.20, "a": 0.10}, plan=None))
    assert said.startswith("exploratory: a is best")


@pytest.mark.parametrize(
    ("errors", "opening"),
    [({"a": 0.1}, "Only a has results (9."), ({"a": math.nan}, "No run gave a"), ({}, "No run gave a")],
)
def test_with_nothing_to_compare_it_says_so(errors: dict[str, float], opening: str) -> None:
    assert headline(a_block(errors)).startswith(opening)


def test_nothing_is_found_where_the_ranking_is_withheld() -> None:
    block = replace(a_block({"random": 0.20, "a": 0.10}), withheld="the splits overlap")
    assert headline(block) == "Nothing is ranked: the splits overlap."


def test_results_carry_it(tmp_path: Path) -> None:
    path = a_store(tmp_path / "r.db", trials=2)
    found = Results("recorded", str(path)).headline
    with open_store(path) as store:
        from searchbench.reports.dossier import read

        assert [(problem, found) for problem in ("cells",)] == headlines(read(store).board)


def test_labels_that_would_read_on_stand_in_quotation_marks() -> None:
    from searchbench.reports.words import named

    assert named("A and B") == "“A and B”"
    assert named("the best, really") == "“the best, really”"
    assert named("RE P=30") == "RE P=30"
    assert named("random") == "random"
    assert named("sand-orange") == "sand-orange"
