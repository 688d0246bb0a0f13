"""Records and the recordings of trials."""

from __future__ import annotations

import math
import pickle
from dataclasses import fields

import pytest

from searchbench.cost import Cost
from searchbench.errors import StoreError
from searchbench.results.columns import (
    TraceColumns,
    TrialColumns,
    first_difference,
    read_events,
    read_traces,
    read_trials,
)
from searchbench.results.records import (
    RunRecord,
    SearchResult,
    StudyRecord,
    cost_from_json,
    cost_to_json,
    in_a_line,
)
from searchbench.trial import FULL, Fidelity


def a_run(**changed: object) -> RunRecord:
    plain = {
        "run_id": "r0", "study": "s", "strategy": "random", "description": "Random()", "problem": "p",
        "fingerprint": "f", "budget": '{"evaluations": 2}', "replicate": 0, "status": "ok", "ended": "budget",
        "cost": Cost(evaluations=2), "trials": b"", "started": "t0", "finished": "t1",
    }  # fmt: skip
    return RunRecord.flat(**(plain | changed))


def test_a_record_holds_its_search_whole_and_reads_it_by_flat_names() -> None:
    run = a_run(value=0.25, traces=b"t", host="box", error="boom")
    searched = {f.name for f in fields(SearchResult)}
    assert {name: getattr(run, name) for name in searched} == {name: getattr(run.search, name) for name in searched}
    assert RunRecord(search=run.search, study="s", strategy="random", problem="p", budget='{"evaluations": 2}',
                     replicate=0, finished="t1") == run  # fmt: skip
    assert not searched & {f.name for f in fields(RunRecord)}


def test_a_changed_record_differs_in_what_was_named_alone() -> None:
    run = a_run(value=0.25)
    assert run.changed(value=0.5, test_error=0.75) == a_run(value=0.5, test_error=0.75)
    assert run == a_run(value=0.25)
    with pytest.raises(StoreError, match="but got 'gone'"):
        run.changed(status="gone")
    with pytest.raises(TypeError, match="colour"):
        run.changed(colour="red")


def a_recording(values: list[float], **last: object) -> bytes:
    columns = TrialColumns()
    for i, value in enumerate(values):
        told = {"spent": Cost(evaluations=i + 1, device_s=0.1 * i), "metrics": {"acc": 1 - value}}
        if i == len(values) - 1:
            told |= last
        columns.append(f"arch {i}", f"key {i}", FULL, "nan" if math.isnan(value) else "ok", value, **told)
    return columns.to_bytes()


def test_trials_read_back_as_they_were_appended() -> None:
    columns = TrialColumns()
    spent = Cost(evaluations=1, epochs=0.1 + 0.2, macs=2**62, peak_memory_bytes=7)
    columns.append("a|b", "k", Fidelity(epochs=3), "ok", 0.1, spent=spent, recommended=0, metrics={"acc": 0.9})
    columns.append("ü", "k2", FULL, "error", math.nan, spent=spent, recommended=0, cached=True, error="boom", resumed=0)
    table = read_trials(columns.to_bytes())
    first, second = table.to_pylist()
    assert first["spent_epochs"] == 0.1 + 0.2
    assert first["spent_macs"] == 2**62
    assert (first["fidelity_epochs"], first["fidelity_width"], first["metric_acc"]) == (3.0, None, 0.9)
    assert (second["architecture"], second["status"], second["error"]) == ("ü", "error", "boom")
    assert (second["cached"], second["resumed"], second["metric_acc"]) == (True, 0, None)
    assert math.isnan(second["value"])
    assert [row["number"] for row in (first, second)] == [0, 1]


def test_macs_beyond_64_bits_are_kept_as_floats() -> None:
    columns = TrialColumns()
    columns.append("a", "k", FULL, "ok", 0.1, spent=Cost(macs=10**20))
    assert read_trials(columns.to_bytes()).column("spent_macs").to_pylist() == [1e20]


def test_recommendations_stand_between_trials_and_are_not_trials() -> None:
    columns = TrialColumns()
    columns.recommend("x", "kx", math.nan, Cost(epochs=1.0))
    columns.append("a", "k", FULL, "ok", 0.1, spent=Cost(epochs=2.0), recommended=0)
    columns.recommend("y", "ky", 0.05, Cost(epochs=3.0))
    blob = columns.to_bytes()
    assert len(columns) == 1
    assert read_events(blob).column("event").to_pylist() == ["recommendation", "trial", "recommendation"]
    assert read_trials(blob).column("architecture").to_pylist() == ["a"]
    assert read_events(blob).column("number").to_pylist() == [0, 0, 1]


def test_an_unfinished_recording_goes_into_a_checkpoint_and_goes_on() -> None:
    columns = TrialColumns()
    columns.append("a", "k", FULL, "ok", 0.1, spent=Cost(epochs=2.0), recommended=0)
    columns.recommend("y", "ky", 0.05, Cost(epochs=3.0))
    restored = pickle.loads(pickle.dumps(columns))
    for recording in (columns, restored):
        recording.append("b", "k", FULL, "ok", 0.1, spent=Cost(epochs=4.0), metrics={"acc": 0.9})
    assert first_difference(columns.to_bytes(), restored.to_bytes()) is None
    assert read_trials(restored.to_bytes()).column("number").to_pylist() == [0, 1]


def test_an_empty_recording_has_every_column_and_no_row() -> None:
    for blob in (b"", TrialColumns().to_bytes()):
        assert read_trials(blob).num_rows == 0
        assert "spent_macs" in read_trials(blob).column_names


def test_bytes_that_are_no_recording_are_refused() -> None:
    with pytest.raises(ValueError, match="unreadable"):
        read_trials(b"not arrow at all")


def test_traces_keep_lines_of_different_names() -> None:
    traces = TraceColumns()
    traces.append({"entropy": 1.5}, Cost(epochs=1.0))
    traces.append({"entropy": 1.0, "skips": 2}, Cost(epochs=2.0))
    table = read_traces(traces.to_bytes())
    assert table is not None
    assert table.column("skips").to_pylist() == [None, 2.0]
    assert table.column("spent_epochs").to_pylist() == [1.0, 2.0]
    assert read_traces(None) is None


def test_traces_keep_words_and_lists_and_tell_where_they_part() -> None:
    def logged(weight: float) -> bytes:
        traces = TraceColumns()
        traces.append({"epoch": 1, "decision": "go on", "weights": {"skip": [0.25, math.nan]}}, Cost())
        traces.append({"epoch": 2, "decision": "stop", "weights": {"skip": [weight, 0.5], "conv": [1.0]}}, Cost())
        traces.append({"best": 0.125, "ranks": [1, 2, 3]}, Cost())
        return traces.to_bytes()

    table = read_traces(logged(0.75))
    assert table is not None
    assert table.column("decision").to_pylist() == ["go on", "stop", None]
    assert table.column("weights").to_pylist()[1] == {"skip": [0.75, 0.5], "conv": [1.0]}
    assert table.column("ranks").to_pylist() == [None, None, [1.0, 2.0, 3.0]]
    assert first_difference(logged(0.75), logged(0.75)) is None
    found = first_difference(logged(0.75), logged(0.5))
    assert found is not None
    assert (found.trial, found.column) == (1, "weights")


@pytest.mark.parametrize("value", [None, {}, {"a": 1.0}, ["x"], object()])
def test_what_cannot_be_logged_is_refused_by_name(value: object) -> None:
    with pytest.raises(StoreError, match=r"must be a number, a word, a list of numbers.*but `odd` is"):
        TraceColumns().append({"odd": value}, Cost())


def test_a_name_keeps_its_kind_from_line_to_line() -> None:
    traces = TraceColumns()
    traces.append({"skips": 2}, Cost())
    with pytest.raises(StoreError, match="`skips` is a number in an earlier line, now a word"):
        traces.append({"skips": "two"}, Cost())


def test_equal_recordings_differ_nowhere_though_nan_and_clocks_stand_in_them() -> None:
    left = a_recording([0.3, math.nan, 0.1])
    right = a_recording([0.3, math.nan, 0.1], spent=Cost(evaluations=3, device_s=9.0, host_s=1.0, peak_memory_bytes=5))
    assert left != right
    assert first_difference(left, right) is None


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"spent": Cost(evaluations=4)}, "spent_evaluations"),
        ({"metrics": {"acc": 0.5}}, "metric_acc"),
        ({"metrics": {"other": 0.5}}, "metric_acc"),
        ({"recommended": 1}, "recommended"),
        ({"cached": True}, "cached"),
    ],
)
def test_first_difference_names_the_trial_and_the_column(changed: dict[str, object], column: str) -> None:
    found = first_difference(a_recording([0.3, 0.2, 0.1]), a_recording([0.3, 0.2, 0.1], **changed))
    assert found is not None
    assert (found.trial, found.column) == (2, column)


def test_first_difference_is_the_earliest_trial_and_sees_the_last_bit() -> None:
    found = first_difference(a_recording([0.3, 0.2, 0.1]), a_recording([0.3, math.nextafter(0.2, 1), 0.9]))
    assert found == (1, "value", 0.2, math.nextafter(0.2, 1))


def test_a_recording_that_stops_early_differs_at_the_first_missing_trial() -> None:
    assert first_difference(a_recording([0.3, 0.2, 0.1]), a_recording([0.3, 0.2])) == (2, "trials", 3, 2)


def test_costs_survive_json_to_the_last_bit() -> None:
    cost = Cost(evaluations=3, epochs=0.1 + 0.2, macs=10**21 + 1, host_s=1e-300)
    assert cost_from_json(cost_to_json(cost)) == cost


def test_run_records_travel_between_processes() -> None:
    run = a_run(test_metrics={"params": 1.0})
    assert pickle.loads(pickle.dumps(run)).test_metrics == {"params": 1.0}


def test_a_run_is_judged_only_where_search_and_judge_both_ended_well() -> None:
    assert a_run(test_status="ok", test_error=0.1).judged
    assert not a_run(test_status="nan").judged
    assert not a_run(status="failed", test_status="ok", test_error=0.1).judged


def test_records_refuse_impossible_values() -> None:
    with pytest.raises(StoreError, match=r"`status` must be one of ok, failed, timeout, memory, infra, but got 'fine'"):
        a_run(status="fine")
    with pytest.raises(StoreError, match="`spec` must be JSON"):
        StudyRecord("s", "{", "now")
    with pytest.raises(StoreError, match="JSON object, but got list"):
        StudyRecord("s", "[]", "now")
    with pytest.raises(StoreError, match="counts from 1"):
        StudyRecord("s", "{}", "now", 0)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ('Traceback (most recent call last):\n  File "a.py", line 1, in f\n    f()\nValueError: no', "ValueError: no"),
        ('Traceback (most recent call last):\n  File "a", line 1\nE: one\ntwo\nExplained by: a page', "E: one"),
        ("table t.csv has no rows.\n\nTraceback (most recent call last):\n  File …\nE: x", "table t.csv has no rows."),
        ("the run was killed after 10 s.", "the run was killed after 10 s."),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("", ""),
    ],
)
def test_an_error_is_told_in_the_line_that_says_what_happened(error: str, line: str) -> None:
    assert in_a_line(error) == line
