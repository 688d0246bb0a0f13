"""Two strategies seed by seed, in words that claim nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest

from searchbench.cost import Cost
from searchbench.errors import InputError
from searchbench.reports.comparison import Pair, PairedComparison, compare
from searchbench.reports.render.pairs import sentences, to_text
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import ResultStore, open_store

SEEDS = [101, 102, 103, 104, 105]
LEFT = [0.060, 0.062, 0.058, None, 0.061]
RIGHT = [0.066, 0.062, 0.055, 0.070, math.nan]


def a_run(strategy: str, seed: int, error: float, **changed: object) -> RunRecord:
    plain = {
        "run_id": f"{strategy}/{seed}", "study": "first", "strategy": strategy, "description": "S()",
        "problem": "digits", "fingerprint": "f", "budget": "{}", "replicate": seed, "status": "ok",
        "ended": "budget", "cost": Cost(), "trials": b"", "started": "t0", "finished": "t1", "test_status": "ok",
        "test_error": error,
    }  # fmt: skip
    return RunRecord(**(plain | changed))  # type: ignore[arg-type]


@pytest.fixture
def store() -> Iterator[ResultStore]:
    labels = ["random", "RE", "never"]
    planned = [
        {"run_id": f"{s}/{r}", "strategy": s, "problem": "digits", "replicate": r} for r in SEEDS for s in labels
    ]
    spec = {
        "seeds": SEEDS, "budget": {}, "problems": [{"label": "digits", "fingerprint": "f"}], "planned": planned,
        "strategies": [{"label": label} for label in labels],
    }  # fmt: skip
    with open_store("sqlite://", write=True) as opened:
        opened.add_study(StudyRecord("first", json.dumps(spec), "now"))
        for seed, left, right in zip(SEEDS, LEFT, RIGHT, strict=True):
            if left is not None:
                opened.add_run(a_run("RE", seed, left))
            if math.isnan(right):
                opened.add_run(a_run("random", seed, right, status="failed", test_status=None))
            else:
                opened.add_run(a_run("random", seed, right))
        opened.add_run(a_run("RE", 104, 0.9, run_id="of another plan"))
        yield opened


def test_differences_are_of_the_seeds_both_finished(store: ResultStore) -> None:
    (found,) = compare(store, "RE", "random")
    assert [pair.seed for pair in found.complete] == [101, 102, 103]
    assert found.difference.mean == pytest.approx(-0.001)
    assert found.difference.std == pytest.approx(0.004582575694955839, rel=1e-9)
    assert found.counts == (1, 1, 1)
    assert (found.left_summary.n, found.right_summary.n) == (4, 4)
    assert [(p.seed, p.left_state, p.right_state) for p in found.incomplete] == [
        (104, "not run", "ok"),
        (105, "ok", "failed"),
    ]


def test_words_give_numbers_and_absences_and_claim_nothing(store: ResultStore) -> None:
    said = sentences(compare(store, "RE", "random")[0])
    assert said[0] == "On digits, RE reached a test error of 6.02 ± 0.17 % (4 runs of 5)."
    assert said[2] == (
        "On the 3 seeds both finished, the error of RE was lower than that of random by 0.10 percentage points "
        "on average (std of the differences 0.46)."
    )
    assert said[3] == "RE was lower on 1 of them, equal on 1, higher on 1."
    assert said[4] == "Left out of the difference: seed 104 (RE: not run); seed 105 (random: failed)."
    assert "significant" not in " ".join(said)


def test_turning_a_comparison_round_turns_its_sign(store: ResultStore) -> None:
    forth, back = compare(store, "RE", "random")[0], compare(store, "random", "RE")[0]
    assert back.difference.mean == -forth.difference.mean
    assert "was higher than that of RE by 0.10" in sentences(back)[2]


def test_a_strategy_without_runs_leaves_no_difference(store: ResultStore) -> None:
    said = sentences(compare(store, "never", "random")[0])
    assert said[0] == "On digits, never has no judged run (5 planned)."
    assert "No seed has a result of both, so there is no difference to report." in said


def test_many_incomplete_seeds_are_counted_rather_than_listed() -> None:
    pairs = tuple(Pair(seed, 0.1, math.nan, "ok", "not run") for seed in range(300))
    said = sentences(PairedComparison("first", "digits", "RE", "random", pairs))
    assert said[3].endswith("seed 7 (random: not run); and 292 more.")


def test_the_table_has_a_row_per_planned_seed(store: ResultStore) -> None:
    (found,) = compare(store, "RE", "random")
    lines = to_text(found).splitlines()
    assert [line.split()[0] for line in lines[-5:]] == [str(seed) for seed in SEEDS]
    assert lines[-5].split() == ["101", "6.00", "6.60", "-0.60"]
    assert lines[-1].split() == ["105", "6.10", "failed", "–"]
    assert list(found.to_frame().seed) == SEEDS


@pytest.mark.parametrize(
    ("labels", "message"),
    [(("RE", "randon"), "no strategy `randon`; did you mean `random`"), (("RE", "RE"), "but got `RE` twice")],
)
def test_unknown_or_equal_strategies_are_refused(store: ResultStore, labels: tuple[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(store, *labels)


def test_an_unknown_problem_is_refused(store: ResultStore) -> None:
    with pytest.raises(InputError, match="unknown problem `digit`"):
        compare(store, "RE", "random", problem="digit")
