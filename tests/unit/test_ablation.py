"""Ablations: how a study declares them, what the effects are, and what may be said of them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from searchbench import AblationPlan, Problem, Study
from searchbench.cost import Budget, Cost
from searchbench.errors import InputError, StudyError
from searchbench.harness.declared.study import study_from_spec
from searchbench.harness.declared.study_file import study_from_mapping
from searchbench.reports.ablation import Ablation, build
from searchbench.reports.ablation import ablation as of_store
from searchbench.reports.render.effects import to_text
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import open_store

PLAN = {"base": "darts", "factors": {"FIMT": ["+FIMT", "prime"], "PR": ["+PR", "prime"]}}
ERRORS = {"darts": 0.19, "+FIMT": 0.189, "+PR": 0.17, "prime": 0.14}
"""Main effects -1.55 and -3.45 points, interaction -2.9: together they do more than the sum."""


def analysed(seeds: int, errors: dict[str, float], plan: dict[str, Any] = PLAN, noise: float = 0.004) -> Ablation:
    spec = {"seeds": list(range(seeds)), "problems": [{"label": "digits", "fingerprint": "f"}], "ablation": plan}
    runs = [
        RunRecord.flat(
            run_id=f"{label}/{seed}", study="s", strategy=label, description="", problem="digits", fingerprint="f",
            budget="{}", replicate=seed, status="ok", ended="budget", cost=Cost(), trials=b"", started="", finished="",
            test_status="ok", test_error=error + 0.01 * math.sin(seed) + noise * math.sin(11 * seed + 3 * i),
        )
        for seed in range(seeds)
        for i, (label, error) in enumerate(errors.items())
    ]  # fmt: skip
    (found,) = build(StudyRecord("s", json.dumps(spec), "t"), {"digits": runs})
    return found


def test_main_effects_and_interaction_are_contrasts_of_the_cells() -> None:
    found = analysed(12, ERRORS)
    means = {cell.strategy: float(cell.answer.estimate or math.nan) for cell in found.cells}
    darts, fimt, pr, prime = (means[label] for label in ERRORS)
    assert found.effects["FIMT"].estimate == pytest.approx((fimt + prime - darts - pr) / 2)
    assert found.effects["PR"].estimate == pytest.approx((pr + prime - darts - fimt) / 2)
    assert found.effects["FIMT × PR"].estimate == pytest.approx((prime - pr) - (fimt - darts))
    assert found.established == ("FIMT", "PR", "FIMT × PR")
    assert found.conclusion.startswith("Established (in percentage points): FIMT (-1.")


def test_four_seeds_establish_nothing_and_say_why() -> None:
    found = analysed(4, ERRORS)
    assert found.established == ()
    assert found.conclusion.startswith("Nothing is established; not established: FIMT, PR, FIMT × PR (4 seeds cannot")
    assert "refused" in to_text(found)


def test_a_missing_interaction_is_not_called_additive() -> None:
    found = analysed(12, ERRORS | {"prime": 0.169}, noise=0.02)
    assert "FIMT × PR" not in found.established
    assert "would take an equivalence test" in found.conclusion


def test_a_partial_design_gives_a_ladder_and_no_interaction() -> None:
    found = analysed(12, {k: v for k, v in ERRORS.items() if k != "+FIMT"})
    assert found.missing == ("FIMT",)
    assert found.effects == {}
    assert "interactions are not identified" in found.conclusion
    steps = {rung.component: (rung.added, rung.removed) for rung in found.ladder}
    assert steps["PR"][0] is not None
    assert steps["PR"][0].estimate == pytest.approx(-2.0, abs=0.3)
    assert steps["PR"][1] is None  # full without PR is +FIMT, which did not run
    assert steps["FIMT"][0] is None
    assert steps["FIMT"][1] is not None
    assert steps["FIMT"][1].estimate == pytest.approx(-3.0, abs=0.3)


def test_the_terminal_shows_cells_effects_ladder_and_the_sentence() -> None:
    found = analysed(12, ERRORS)
    text = " ".join(to_text(found).split())
    assert " ".join(found.conclusion.split()) in text
    for word in ("base darts", "FIMT+PR prime", "FIMT × PR", "base + PR", "PR within full", "●"):
        assert word in text, word


def test_a_study_without_a_declared_ablation_is_told_how_to_declare_one() -> None:
    with open_store("sqlite://", write=True) as store:
        store.add_study(StudyRecord("s", json.dumps({"problems": []}), "t"))
        with pytest.raises(InputError, match=r"declares no ablation; declare it in the study file: \[ablation\]"):
            of_store(store)


def test_a_study_file_declares_its_ablation_and_the_store_keeps_it(problem: Problem) -> None:
    content = {
        "name": "a", "seeds": 2, "budget": {"evaluations": 5},
        "problems": [{"space": "nasbench201", "task": "digits", "estimator": "train"}],
        "strategies": [{"use": "random", "label": label} for label in ERRORS], "ablation": PLAN,
    }  # fmt: skip
    study = study_from_mapping(content)
    assert study.ablation == AblationPlan(**PLAN)
    assert study.ablation is not None
    assert study.ablation.cells["prime"] == {"FIMT", "PR"}
    assert eval(repr(study.ablation)) == study.ablation
    again = Study("a", problem, dict.fromkeys(ERRORS, "random"), 2, Budget(evaluations=5), ablation=study.ablation)
    assert study_from_spec(again.spec()) == again


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"base": "darts", "factors": {"PR": ["nobody"]}}, "names `nobody`, which no strategy is labelled"),
        ({"base": "darts", "factors": {"PR": ["darts"]}}, "is also listed as having a part"),
        ({"base": "darts", "factors": {"A": ["prime"], "B": ["prime"], "C": []}}, "must list the strategies"),
        ({"base": "darts", "factors": {"A": ["+PR", "prime"]}}, "have the same parts"),
        ({"base": "darts", "factors": {}}, "must be 1 to 5 parts"),
        ({"base": "darts", "factors": {"A": "prime"}}, "must be a list of labels"),
        ({"base": "darts", "factors": {"A": {"low": ["darts", "prime"]}}}, "at least two levels"),
        ({"base": "darts", "factors": {"A": {"low": ["+PR"], "high": ["prime"]}}}, "at which of its levels the base"),
        ({"base": "darts", "factors": {"A": {"low": ["darts"], "high": ["darts"]}}}, "at two levels"),
        ({"base": "darts", "factors": {"A": {"low": ["darts"], "high": []}}}, "must list the strategies"),
        ({"base": "darts"}, "needs the key `factors`"),
        ({"base": "darts", "factor": {}}, "has no key `factor`; did you mean `factors`"),
    ],
)
def test_an_impossible_ablation_is_refused(plan: dict[str, Any], message: str) -> None:
    content = {
        "name": "a", "seeds": 2, "budget": {"evaluations": 5},
        "problems": [{"space": "nasbench201", "task": "digits", "estimator": "train"}],
        "strategies": [{"use": "random", "label": label} for label in ERRORS], "ablation": plan,
    }  # fmt: skip
    with pytest.raises(StudyError, match=message):
        study_from_mapping(content)


LEVELS: dict[str, Any] = {
    "base": "low",
    "factors": {
        "rate": {"low": ["low", "low+W"], "middle": ["middle", "middle+W"], "high": ["high", "high+W"]},
        "W": ["low+W", "middle+W", "high+W"],
    },
}
BY_LEVEL = {"low": 0.2, "low+W": 0.19, "middle": 0.17, "middle+W": 0.16, "high": 0.3, "high+W": 0.29}


def test_a_setting_of_three_levels_is_compared_level_by_level_with_the_base() -> None:
    found = analysed(12, BY_LEVEL, AblationPlan(**LEVELS).to_spec())
    assert found.factors == ("rate", "W")
    assert set(found.effects) == {"rate=middle", "rate=high", "W", "rate=middle × W", "rate=high × W"}
    assert found.effects["rate=middle"].estimate == pytest.approx(-3.0, abs=0.5)
    assert found.effects["rate=high"].estimate == pytest.approx(10.0, abs=0.5)
    assert found.effects["W"].estimate == pytest.approx(-1.0, abs=0.5)
    assert found.established[:2] == ("rate=middle", "rate=high")
    assert "rate=high" in to_text(found)


def test_a_missing_level_is_named() -> None:
    found = analysed(12, {k: v for k, v in BY_LEVEL.items() if k != "high+W"}, AblationPlan(**LEVELS).to_spec())
    assert found.missing == ("rate=high+W",)
    assert not found.effects


def test_levels_are_written_down_and_read_back_in_their_order() -> None:
    content = {
        "name": "s", "seeds": 1, "budget": {"evaluations": 1},
        "problems": [{"space": "nasbench201", "task": "digits", "estimator": "table"}],
        "strategies": [{"use": "random", "label": label} for label in BY_LEVEL], "ablation": LEVELS,
    }  # fmt: skip
    study = study_from_mapping(content)
    again = study_from_spec(json.loads(json.dumps(study.spec(), sort_keys=True)))
    assert again.ablation == study.ablation
    assert [level for level, _ in again.ablation.factors[0][1]] == ["low", "middle", "high"]  # type: ignore[union-attr, misc]
    assert again.ablation.cells["high+W"] == {"rate=high", "W"}  # type: ignore[union-attr]
