"""Error against cost: fronts, hypervolumes across searches, the picture, and the command."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from searchbench.cost import Cost
from searchbench.errors import StudyError
from searchbench.harness.declared.study import ComparisonPlan
from searchbench.reports.figures.svg import to_svg
from searchbench.reports.figures.traded import agreement, picture
from searchbench.reports.render.trades import table
from searchbench.reports.tradeoff import build, records
from searchbench.results.columns import TrialColumns
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.trial import FULL

STUDY = StudyRecord("s", json.dumps({"problems": [{"label": "p", "fingerprint": "f"}]}), "2025-01-01T00:00:00")


def run(strategy: str, seed: int, error: float, ms: float | None, trials: list[tuple[float, float]] = ()) -> RunRecord:  # type: ignore[assignment]
    columns = TrialColumns()
    for at, (value, cost) in enumerate(trials):
        columns.append(
            f"a{at}", f"a{at}", FULL, "ok", value, spent=Cost(evaluations=at + 1), metrics={"latency_ms": cost}
        )
    judged: dict[str, Any] = {"test_status": "ok", "test_error": error} if math.isfinite(error) else {}
    return RunRecord.flat(
        run_id=f"{strategy}{seed}", study="s", strategy=strategy, description="d", problem="p", fingerprint="f",
        budget="{}", replicate=seed, status="ok" if judged else "failed", ended="finished", cost=Cost(evaluations=1),
        trials=columns.to_bytes(), started="t", finished="t", architecture=f"{strategy}-{seed}",
        test_metrics={} if ms is None else {"latency_ms": ms}, **judged,
    )  # fmt: skip


RUNS = [
    run("a", 0, 0.1, 8.0, [(0.5, 2.0), (0.2, 8.0)]),
    run("a", 1, 0.2, 4.0, [(0.3, 4.0)]),
    run("b", 0, 0.5, 2.0),
    run("b", 1, 0.5, 10.0),
]


def test_front_is_of_all_that_was_handed_over() -> None:
    (found,) = build(STUDY, {"p": RUNS})
    assert [(own.cost, own.error) for own in found.front] == [(2.0, 0.5), (4.0, 0.2), (8.0, 0.1)]
    assert [row.on_front for row in found.rows] == [2, 1]
    assert found.reference == pytest.approx((11.0, 0.55))


def test_a_declared_reference_is_the_corner_of_every_box_and_stays_when_strategies_are_added() -> None:
    comparison = {"reference": {"test_error": 0.4, "latency_ms": 9.0}}
    study = replace(STUDY, spec=json.dumps({**STUDY.declared, "comparison": comparison}))
    (all_of_them,), (alone,) = (build(study, {"p": runs}) for runs in (RUNS, RUNS[:2]))
    for found in (all_of_them, alone):
        assert found.reference == (9.0, 0.4)
        assert found.measured_reference == pytest.approx((9.0, 0.55))  # of values that no judge stated
        assert found.rows[0].judged.estimate == pytest.approx(((9 - 8) * 0.3 + (9 - 4) * 0.2) / 2 / (9 * 0.4))
        assert any("error 40 (declared)" in note for note in table(found)["notes"])
    assert all_of_them.rows[1].judged.estimate == 0.0  # beyond the corner


def test_half_a_declared_reference_is_completed_from_the_results() -> None:
    study = replace(STUDY, spec=json.dumps({**STUDY.declared, "comparison": {"reference": {"latency_ms": 20.0}}}))
    (found,) = build(study, {"p": RUNS})
    assert found.reference == pytest.approx((20.0, 0.55))
    assert not found.declared


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"latency": 3.0}, "has no objective `latency`; did you mean `latency_ms`"),
        ({"macs": 0}, "must be positive and finite, but got 0"),
        ({"test_error": True}, "must be positive and finite, but got True"),
    ],
)
def test_a_reference_that_is_no_point_is_refused(reference: dict[str, float], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        ComparisonPlan(reference=reference)


def test_hypervolume_is_a_mean_across_searches_of_a_share_of_one_box() -> None:
    (found,) = build(STUDY, {"p": RUNS})
    box = 11.0 * 0.55
    shares = [(11 - 8) * (0.55 - 0.1) / box, (11 - 4) * (0.55 - 0.2) / box]
    answer = found.rows[0].judged
    assert answer.estimate == pytest.approx(sum(shares) / 2)
    assert answer["std"] == pytest.approx(abs(shares[0] - shares[1]) / 2**0.5)
    assert answer.n == 2


def test_everything_measured_dominates_as_a_union() -> None:
    (found,) = build(STUDY, {"p": RUNS})
    a, b = found.rows
    assert found.measured_reference == pytest.approx((8.8, 0.55))
    first = ((8.8 - 2) * (0.55 - 0.5) + (8.8 - 8) * (0.5 - 0.2)) / (8.8 * 0.55)
    second = (8.8 - 4) * (0.55 - 0.3) / (8.8 * 0.55)
    assert a.measured is not None
    assert a.measured.estimate == pytest.approx((first + second) / 2)
    assert b.measured is None


def test_a_search_that_failed_is_counted_and_not_averaged() -> None:
    (found,) = build(STUDY, {"p": [*RUNS, run("b", 2, float("nan"), None)]})
    answer = found.rows[1].judged
    assert (answer.n, answer.n_failed) == (3, 1)


def test_of_an_accuracy_what_is_lacking_is_traded() -> None:
    metric = {"name": "accuracy", "better": "higher", "share": True, "unit": ""}
    study = replace(STUDY, spec=json.dumps({**STUDY.declared, "metric": metric}))
    (errors,) = build(STUDY, {"p": RUNS})
    accuracies = [replace(r, test_error=r.test_error - 1) for r in RUNS[:2]]
    (found,) = build(study, {"p": accuracies})
    assert [own.error for own in found.front] == pytest.approx([0.2, 0.1])
    assert [own.cost for own in found.front] == [own.cost for own in errors.front[1:]]
    assert found.measured.name == "1 - accuracy"


def test_caveats_of_the_declaration_stand_above_the_notes_and_in_every_row() -> None:
    caveats = [{"kind": "exploratory", "reason": "alpha was changed"}]
    study = replace(STUDY, spec=json.dumps({**STUDY.declared, "caveats": caveats}))
    (found,) = build(study, {"p": RUNS})
    assert table(found)["notes"][0] == "exploratory: alpha was changed"
    assert {row["caveats"] for row in records([found])} == {"exploratory"}


def test_there_is_nothing_to_trade_where_no_cost_is_reported() -> None:
    assert build(STUDY, {"p": [run("a", 0, 0.1, None)]}) == []


def test_table_picture_and_csv_show_the_same_front() -> None:
    (found,) = build(STUDY, {"p": RUNS})
    assert [row[0] for row in table(found)["rows"]] == ["a", "b"]
    assert sum(own["on_front"] for own in records([found])) == 3
    figure = picture(found, {"a": 0, "b": 1})
    assert list(figure.marks[0].x) == [2.0, 2.0, 4.0, 8.0, pytest.approx(11.0)]  # type: ignore[union-attr]
    assert to_svg(figure).startswith("<svg")
    assert "y = x" in to_svg(agreement("p", [1.0, 2.0], [1.5, 2.5], ["a", "b"]))
