"""What was tuned is declared, and the checklist hears it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from searchbench import Budget, Problem, Study, Tuning
from searchbench.errors import StudyError
from searchbench.harness.declared.study import study_from_spec
from searchbench.harness.declared.study_file import study_from_mapping
from searchbench.reports.checklist import Item, checklist
from searchbench.reports.dossier import Dossier, read
from searchbench.reports.gathering import gather
from searchbench.results.store import open_store
from tests.recorded import a_store

CONTENT: dict[str, Any] = {
    "name": "s", "seeds": 1, "budget": {"evaluations": 5}, "strategies": [{"use": "random"}],
    "problems": [{"space": "nasbench201", "task": "digits", "estimator": "table"}],
}  # fmt: skip


def test_a_study_file_declares_tuning_and_a_record_gives_it_back() -> None:
    entry = {"parameters": ["replacement"], "tasks": ["digits"], "seeds": [7], "cost": {"evaluations": 500}}
    study = study_from_mapping(CONTENT | {"tuning": {"random": entry}})
    assert dict(study.tuning)["random"] == Tuning(("replacement",), ("digits",), (7,), {"evaluations": 500})
    assert study_from_spec(json.loads(json.dumps(study.spec()))) == study
    assert hash(study)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"nobody": {"source": "x"}}, "no strategy is labelled"),
        ({"random": {}}, "or where settings are from"),
        ({"random": {"parameters": ["p"], "tasks": ["digits"]}}, "`cost` is missing"),
        ({"random": {"parameters": ["p"], "cost": {"epochs": 1}}}, "`tasks` is missing"),
        ({"random": {"source": "x", "cost": {"hours": 1}}}, "no axis `hours`"),
        ({"random": {"sauce": "x"}}, "no key `sauce`"),
        ({"random": {"parameters": "p"}}, "must be a list"),
    ],
)
def test_an_impossible_tuning_is_refused(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        Study("s", Problem("nasbench201", "digits", "table"), ["random"], 1, Budget(evaluations=5), tuning=entry)


@pytest.fixture(scope="module")
def dossier(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    with open_store(a_store(tmp_path_factory.mktemp("tuning") / "r.db", trials=2)) as store:
        return read(store)


def judged(dossier: Dossier, tuning: dict[str, Any] | None) -> dict[str, Item]:
    labels = [row.strategy for row in dossier.board.blocks[0].rows]
    spec = dossier.study.declared
    plain = [[label, {"use": "x"}] for label in labels if label != "base"]
    spec["given"] = {
        "problems": [{"task": {"use": "cifar10"}}],
        "strategies": [*plain, ["base", {"use": "x", "lr": 1}]],
    }
    spec |= {"tuning": tuning}
    study = replace(dossier.study, spec=json.dumps(spec))
    found = checklist(gather(study, dossier.board.blocks[0], dossier.current["cells"], None))
    return {item.id: item for item in found.items}


TUNED = {"parameters": ["lr"], "tasks": ["digits"], "seeds": [], "cost": {"epochs": 40}, "source": ""}


@pytest.mark.parametrize(
    ("tuning", "verdict", "said"),
    [
        (None, "WARN", "not declared ([tuning]) for base"),
        ({"+A": {"source": "a paper"}}, "FAIL", "not for base"),
        ({"base": {"source": "Real et al. 2019"}}, "PASS", "base: settings of Real et al. 2019"),
        ({"base": TUNED}, "PASS", "base: lr tuned on digits for 40 epochs"),
        ({"base": TUNED | {"tasks": ["cifar10"], "seeds": [3, 99]}}, "FAIL", "base on cells with seeds 3"),
        ({"base": TUNED | {"tasks": ["cells"]}}, "FAIL", "seeds that are not said"),
        ({"base": TUNED | {"tasks": ["cells"], "seeds": [99]}}, "PASS", "lr tuned on cells"),
    ],
)
def test_the_cost_of_tuning_is_told_missing_or_met(
    dossier: Dossier, tuning: dict[str, Any] | None, verdict: str, said: str
) -> None:
    item = judged(dossier, tuning)["C13"]
    assert (item.verdict.value, said in item.evidence) == (verdict, True), item.evidence


def test_tasks_that_were_tuned_on_are_not_fresh(dossier: Dossier) -> None:
    assert judged(dossier, None)["C26"].verdict.value == "WARN"
    tuned = judged(dossier, {"base": TUNED | {"tasks": ["cifar10"], "seeds": [99]}})["C26"]
    assert tuned.verdict.value == "FAIL"
    assert "0 tasks that were not tuned on (tuned on: cells)" in tuned.evidence
    elsewhere = judged(dossier, {"base": TUNED})["C26"]
    assert "1 tasks that were not tuned on (tuned on: digits)" in elsewhere.evidence
