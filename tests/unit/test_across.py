"""All problems of a study together: which population is spoken of, and what is refused."""

from __future__ import annotations

import json
import math

import pytest
from recorded import a_run

from searchbench.reports.across import Across, across
from searchbench.reports.leaderboard import build
from searchbench.results.records import RunRecord, StudyRecord

LABELS = ("random", "base", "+B")


def of_problems(count: int, seeds: int, *, lost: int = 0, baseline: str | None = "random") -> Across | None:
    problems = [f"p{i}" for i in range(count)]
    runs: list[RunRecord] = []
    for i, problem in enumerate(problems):
        for seed in range(seeds):
            for label in LABELS:
                entry = {"run_id": f"{problem}/{label}/{seed}", "strategy": label, "replicate": seed}
                run = a_run(entry, LABELS.index(label), 1)
                # every problem has its own level and its own noise
                error = run.test_error * (1 + i) / 4 + 0.002 * math.sin(13 * seed + 5 * i + len(label))
                runs.append(run.changed(problem=problem, fingerprint=problem, test_error=error))
    for run in [r for r in runs if r.strategy == "base"][:lost]:
        runs[runs.index(run)] = run.changed(status="failed", test_status=None, test_error=math.nan)
    spec = {
        "seeds": list(range(seeds)), "budget": {}, "problems": [{"label": p, "fingerprint": p} for p in problems],
        "planned": [{"run_id": r.run_id, "strategy": r.strategy, "problem": r.problem, "replicate": r.replicate}
                    for r in runs],
        "comparison": {"baseline": baseline},
    }  # fmt: skip
    return across(build(StudyRecord("s", json.dumps(spec), "t"), runs).sorted("test_error"))


def test_the_order_is_that_of_normalised_regret_with_the_baseline_at_one() -> None:
    found = of_problems(3, 12)
    assert found is not None
    assert [place.name for place in found.places] == ["+B", "base", "random"]
    by_name = {place.name: place for place in found.places}
    assert by_name["random"].answer.estimate == pytest.approx(1.0, abs=0.05)
    assert by_name["+B"].shown == "1"
    assert by_name["+B"].p_best == 1.0
    assert dict(found.improvement)["+B"].estimate == 1.0
    assert len(found.constants) == 3


def test_three_problems_say_nothing_about_others() -> None:
    found = of_problems(3, 12)
    assert found is not None
    assert found.new_problems.status == "refused"
    said = " ".join(found.sentences)
    assert said.startswith("Over these 3 problems (p0, p1, p2)")
    assert "About other problems: 3 blocks of 3:" in said
    assert "2 more problems are needed" in said


def test_five_problems_answer_with_friedman() -> None:
    found = of_problems(5, 12)
    assert found is not None
    assert found.new_problems.status == "ok"
    assert "over 5 problems" in found.new_problems.wording


def test_few_seeds_have_simultaneous_ranks_without_bootstrap_intervals() -> None:
    found = of_problems(2, 4)
    assert found is not None
    assert {place.answer.interval for place in found.places} == {None}
    assert all(place.low is not None for place in found.places)
    assert "Ranks hold jointly" in " ".join(found.sentences)


def test_too_many_failures_are_refused() -> None:
    found = of_problems(2, 12, lost=4)
    assert found is not None
    assert "of the runs of base on p0 failed" in found.refusal
    assert all(place.rank is None for place in found.places)


def test_one_problem_or_no_baseline_has_nothing_to_add() -> None:
    assert of_problems(1, 12) is None
    assert of_problems(2, 12, baseline=None) is None


def test_records_are_the_places() -> None:
    found = of_problems(2, 12)
    assert found is not None
    assert [record["strategy"] for record in found.records()] == [place.name for place in found.places]
    assert found.records()[0]["rank_high"] == 1
