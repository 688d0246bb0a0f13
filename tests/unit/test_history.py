"""Declarations of a study as a history: what was run stays, and what was changed after results is known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from searchbench import Study
from searchbench.harness.driving import declaration
from searchbench.harness.running.provenance import provenance
from searchbench.harness.session import run
from searchbench.results.history import History
from searchbench.results.records import StudyRecord

HOUR = "2026-01-01T{:02}:00:00.000001+00:00"


def declared(
    revision: int, seeds: Iterable[int], strategies: Iterable[str] = ("a", "b"), at: str = "", **more: Any
) -> StudyRecord:
    """A declaration made at the hour of its revision; the plan that follows from it."""
    seeds, strategies = list(seeds), list(strategies)
    spec = {
        "name": "s", "seeds": seeds, "budget": {"evaluations": 10}, "duplicates": "charge",
        "problems": [{"label": "p", "fingerprint": "f"}],
        "strategies": [{"label": label, "description": f"{label}()"} for label in strategies],
        "planned": [
            {"run_id": f"{label}{seed}", "strategy": label, "problem": "p", "replicate": seed}
            for seed in seeds for label in strategies
        ],
        "comparison": {"baseline": "a", "alpha": 0.05, "looks": 1, "rope": None},
    }  # fmt: skip
    return StudyRecord("s", json.dumps(spec | more), at or HOUR.format(revision), revision)


def results(seeds: Iterable[int], hour: int = 1, strategies: Iterable[str] = ("a", "b")) -> dict[str, str]:
    """Runs that ended half an hour after the revision of that hour."""
    end = HOUR.format(hour).replace(":00:00.", ":30:00.")
    return {f"{label}{seed}": end for seed in seeds for label in strategies}


def test_a_declaration_that_leaves_seeds_out_loses_none_of_them() -> None:
    history = History.of([declared(1, range(16)), declared(2, range(8))], results(range(16)))
    whole = history.whole.declared
    assert whole["seeds"] == list(range(8)) + list(range(8, 16))
    assert len(whole["planned"]) == 32
    assert history.left_out == ("seeds 8-15",)
    assert [c.kind for c in history.caveats] == ["exploratory"]
    assert history.side_by_side("seeds") == "revision 1: 16 seeds (0-15); revision 2: 8 seeds (0-7)"


def test_what_was_declared_before_the_first_result_may_be_declared_anew() -> None:
    history = History.of([declared(1, range(16)), declared(2, range(8))], results(range(8), hour=2))
    assert history.whole.declared["seeds"] == list(range(8))
    assert (history.left_out, history.caveats, history.looks_taken) == ((), (), 1)


def test_what_ran_counts_even_where_the_times_say_it_could_not() -> None:
    history = History.of([declared(1, range(16)), declared(2, range(8))], results(range(16), hour=3))
    assert len(history.whole.declared["planned"]) == 32


def test_declarations_of_one_time_are_taken_to_follow_the_results() -> None:
    same = "2026-01-01T00:00:00+00:00"
    history = History.of([declared(1, range(4), at=same), declared(2, range(12), at=same)], results(range(12)))
    assert history.looks_taken == 2


def test_a_time_of_whole_seconds_counts_all_that_ended_within_that_second() -> None:
    at = "2026-01-01T02:00:00+00:00"
    ends = {run: at.replace("00+", "00.700000+") for run in results(range(4))}
    grown = [declared(1, range(4)), declared(2, range(8), at=at)]
    assert History.of(grown, ends).looks_taken == 2
    exact = [declared(1, range(4)), declared(2, range(8), at=at.replace("00+", "00.600000+"))]
    assert History.of(exact, ends).looks_taken == 1  # declared just before they ended


@pytest.mark.parametrize(("looks", "exploratory"), [(1, True), (2, False)])
def test_added_seeds_are_a_look(looks: int, exploratory: bool) -> None:
    plan = {"comparison": {"baseline": "a", "looks": looks}}
    first, second = declared(1, range(8), **plan), declared(2, range(16), **plan)
    history = History.of([first, second], results(range(8)) | results(range(8, 16), hour=2))
    assert history.looks_taken == 2
    assert bool(history.caveats) is exploratory


def test_looks_declared_after_results_correct_and_excuse_nothing() -> None:
    later = {"comparison": {"baseline": "a", "looks": 3}}
    history = History.of([declared(1, range(8)), declared(2, range(16), **later)], results(range(8)))
    assert history.caveats
    assert history.whole.declared["comparison"]["looks"] == 3


def test_looks_taken_back_count_all_the_same() -> None:
    many = {"comparison": {"baseline": "a", "looks": 3}}
    history = History.of([declared(1, range(8), **many), declared(2, range(8))], results(range(8)))
    assert history.whole.declared["comparison"]["looks"] == 3
    assert history.caveats == ()


def test_seeds_added_twice_without_results_between_are_one_look() -> None:
    history = History.of([declared(1, range(4)), declared(2, range(8)), declared(3, range(9))], results(range(4)))
    assert history.looks_taken == 2


def test_seeds_left_out_and_taken_in_again_are_no_look() -> None:
    history = History.of([declared(1, range(8)), declared(2, range(4)), declared(3, range(8))], results(range(8)))
    assert history.looks_taken == 1


@pytest.mark.parametrize(
    "plan",
    [
        {"baseline": "b"}, {"baseline": "a", "alpha": 0.2}, {"baseline": "a", "rope": 0.1}, {}, None,
        {"baseline": "a", "family": "all-pairs"}, {"baseline": "a", "estimand": "median"},
    ],
)  # fmt: skip
def test_a_comparison_changed_after_results_makes_every_statement_exploratory(plan: dict[str, Any] | None) -> None:
    history = History.of([declared(1, range(4)), declared(2, range(4), comparison=plan)], results(range(4)))
    assert [c.kind for c in history.caveats] == ["exploratory"]
    assert "revision 1: baseline a" in history.caveats[0].reason
    again = History.of([*history.revisions, declared(3, range(4))], results(range(4)))
    assert again.caveats == ()  # what is asked is again what was declared before


def test_a_key_that_states_its_default_changes_nothing() -> None:
    plan = {"baseline": "a", "alpha": 0.05, "family": "baseline", "estimand": "mean", "reference": {}}
    history = History.of([declared(1, range(4)), declared(2, range(4), comparison=plan)], results(range(4)))
    assert history.caveats == ()


def test_a_comparison_without_keys_is_told_from_none() -> None:
    history = History.of([declared(1, [0], comparison=None), declared(2, [0], comparison={})], results([0]))
    assert history.caveats


def test_a_dropped_strategy_stays_and_is_named() -> None:
    history = History.of([declared(1, range(4)), declared(2, range(4), "a")], results(range(4)))
    assert {entry["strategy"] for entry in history.whole.declared["planned"]} == {"a", "b"}
    assert history.left_out == ("strategy `b`",)


def test_a_label_that_stands_for_other_settings_now_is_two_strategies() -> None:
    other = [{"label": "a", "description": "a()"}, {"label": "b", "description": "b(better)"}]
    spec = declared(2, range(2)).declared
    spec["strategies"] = other
    for entry in spec["planned"]:
        entry["run_id"] += "x" if entry["strategy"] == "b" else ""
    second = replace(declared(2, range(2)), spec=json.dumps(spec))
    whole = History.of([declared(1, range(2)), second], results(range(2))).whole.declared
    assert {e["run_id"]: e["strategy"] for e in whole["planned"] if e["strategy"] != "a"} == {
        "b0x": "b", "b1x": "b", "b0": "b (revision 1)", "b1": "b (revision 1)",
    }  # fmt: skip


def test_a_dropped_problem_stays_and_one_that_changed_is_not_mixed_in() -> None:
    gone = declared(2, range(2), problems=[{"label": "q", "fingerprint": "g"}], planned=[])
    whole = History.of([declared(1, range(2)), gone], results(range(2))).whole.declared
    assert [p["label"] for p in whole["problems"]] == ["q", "p"]
    assert len(whole["planned"]) == 4
    changed = declared(2, range(2), problems=[{"label": "p", "fingerprint": "g"}], planned=[])
    history = History.of([declared(1, range(2)), changed], results(range(2)))
    assert history.whole.declared["planned"] == []
    assert history.left_out == ("problem `p` as it was",)


def test_an_ablation_changed_after_results_is_a_caveat_of_the_ablation_alone() -> None:
    plan = {"ablation": {"base": "a", "factors": [["X", ["b"]]]}}
    history = History.of([declared(1, range(4)), declared(2, range(4), **plan)], results(range(4)))
    assert [(c.kind, c.about) for c in history.caveats] == [("exploratory", "ablation")]


def test_results_of_several_versions_are_noted_and_those_of_none_are_not() -> None:
    made = [
        replace(declared(at, range(4)), provenance={"packages": {"optuna": version, "numpy": "2.0"}})
        for at, version in ((1, "4.0.0"), (2, "5.0.0"), (3, "6.0.0"))
    ]
    history = History.of(made, results(range(2), hour=1) | results(range(2, 4), hour=2))
    assert history.versions == {"optuna": ("4.0.0", "5.0.0")}  # nothing came under 6.0.0
    (caveat,) = history.caveats
    assert str(caveat) == "noted: results were made with several versions, which may differ: optuna 4.0.0 and 5.0.0"
    assert history.whole.provenance["packages"] == {"optuna": "4.0.0 and 5.0.0", "numpy": "2.0"}
    assert History.of(made[:1], results(range(4))).caveats == ()


def test_a_study_that_goes_on_under_another_version_says_so_on_every_board(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = provenance()
    for version, part in (("4.0.0", "random"), ("5.0.0", "evolution")):
        made = kept | {"packages": kept["packages"] | {"optuna": version}}
        monkeypatch.setattr(declaration, "provenance", lambda made=made: made)
        results = run(replace(study, seeds=3), tmp_path / "s.db", workers=0, only=part, resume=True)
    assert "several versions, which may differ: optuna 4.0.0 and 5.0.0" in " ".join(str(results.leaderboard).split())
