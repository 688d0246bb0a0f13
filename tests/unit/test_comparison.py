"""Two strategies seed by seed: words, tests, refusals and the small figure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest

import searchbench as sb
from searchbench.cost import Cost
from searchbench.errors import InputError
from searchbench.reports.comparison import Pair, PairedComparison, compare
from searchbench.reports.render import sketch
from searchbench.reports.render.pairs import sentences, to_text
from searchbench.results.columns import TrialColumns
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import ResultStore, open_store
from searchbench.trial import FULL

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
    return RunRecord.flat(**(plain | changed))


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


def test_too_few_seeds_are_told_what_would_be_needed(store: ResultStore) -> None:
    real = compare(store, "RE", "random")[0].asked[0]
    assert real.question == "Is the difference in test error real?"
    assert real.answer.status == "refused"
    assert "cannot reach p < 0.05" in real.answer.wording


def contest(seeds: int, comparison: dict[str, object] | None = None) -> PairedComparison:
    """RE beats random by about three points on every seed but two."""
    planned = [
        {"run_id": f"{s}/{r}", "strategy": s, "problem": "digits", "replicate": r}
        for r in range(seeds)
        for s in ("RE", "random")
    ]
    spec = {
        "seeds": list(range(seeds)), "budget": {"evaluations": 9}, "strategies": [{"label": "RE"}, {"label": "random"}],
        "problems": [{"label": "digits", "fingerprint": "f"}], "planned": planned, "comparison": comparison,
    }  # fmt: skip
    with open_store("sqlite://", write=True) as opened:
        opened.add_study(StudyRecord("first", json.dumps(spec), "now"))
        for seed in range(seeds):
            shared = 0.06 + 0.01 * math.sin(seed)
            gap = 0.03 + 0.001 * math.sin(3 * seed) if seed % 5 else -0.001
            opened.add_run(a_run("RE", seed, shared, value=shared, trials=found_at(2, shared)))
            opened.add_run(a_run("random", seed, shared + gap, value=shared, trials=found_at(6, shared)))
        return compare(opened, "RE", "random")[0]


def found_at(first: int, value: float) -> bytes:
    """A search of nine evaluations that fails until evaluation `first`."""
    columns = TrialColumns()
    for i in range(9):
        status, shown = ("ok", value) if i + 1 >= first else ("error", math.nan)
        best = first - 1 if i + 1 >= first else None
        columns.append("a", "a", FULL, status, shown, spent=Cost(evaluations=i + 1), recommended=best)
    return columns.to_bytes()


def test_every_test_that_applies_is_told_in_words() -> None:
    said = {a.question.split(" (")[0]: a.answer for a in contest(12, {"baseline": "random", "rope": 0.001}).asked}
    real = said["Is the difference in test error real?"]
    assert real.wording.startswith("RE is better than random: difference -2.")
    assert real.p is not None
    assert real.p < 0.05
    assert "agrees with the sign-flip test of the mean" in said["Does a rank test agree?"].wording
    assert "not shown equivalent within ±0.1" in said["Are they practically the same?"].wording
    assert said["Where does the difference lie?"].wording.startswith("RE is lower: ")
    assert said["How many more seeds would it take?"].wording.startswith("have 12, need")


def test_the_way_is_compared_by_the_mean_of_the_step_curve() -> None:
    way = next(a.answer for a in contest(12, {"baseline": "random"}).asked if "on the way" in a.question)
    # RE finds its value at evaluation 2 of 9, random at 6: four ninths of the budget at 100 % instead of about 6 %
    errors = [100 * (0.06 + 0.01 * math.sin(seed)) for seed in range(12)]
    expected = -sum(4 / 9 * (100 - e) for e in errors) / 12
    assert way.estimate == pytest.approx(expected, rel=1e-9)
    assert way.wording.startswith("exploratory: RE is better")  # a second outcome that no study declares


def test_without_a_declaration_equivalence_and_planning_are_refused_and_the_pair_is_exploratory() -> None:
    found = contest(12)
    said = " ".join(sentences(found))
    assert "Equivalence needs a bound declared before the run" in said
    assert "The study did not declare this comparison" in said
    assert "The study did not declare" not in " ".join(sentences(contest(12, {"baseline": "RE"})))


def test_the_figure_shows_each_pair_and_the_interval() -> None:
    text = to_text(contest(12, {"baseline": "random"}))
    assert text.count("●") + text.count("◉") == 12 + 2  # one a seed, one in the heading, one in the interval
    assert "RE - random: -2." in text
    assert sketch.pair(0.0, 1.0, 0.0, 1.0, 5) == "●───○"
    assert sketch.pair(1.0, 1.0, 0.0, 1.0, 5) == "    ◉"
    assert sketch.pair(math.nan, 0.5, 0.0, 1.0, 5) == "  ○  "
    assert sketch.interval(-1.0, 0.5, 1.0, reach=2.0, width=9) == "  ├─┼●┤  "


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
    assert lines[-5].split()[:4] == ["101", "6.00", "6.60", "-0.60"]
    assert lines[-1].split() == ["105", "6.10", "failed", "–", "●"]
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


def test_the_way_is_not_compared_of_a_loss_of_which_nothing_is_known_before_the_first_result() -> None:
    problem = sb.Objective(lambda config: config["x"] ** 2, {"x": sb.Float(0, 1)}, metric="log loss")
    study = sb.Study("s", problem, ["random", "local-search"], seeds=3, budget=sb.Budget(evaluations=6))
    results = sb.run(study, workers=0, progress=False)
    (found,) = results.compare("random", "local-search")
    assert not [one for one in found.asked if "on the way" in one.question]
    assert "Validation log loss of the incumbent" in results.figure("anytime").caption
