"""What a search says must be read with its result: in its record, every form of the board, and the checklist."""

from __future__ import annotations

from pathlib import Path

import pytest

import searchbench as sb
from searchbench.harness.declared.plan import plan
from searchbench.harness.driving.forecast import forecast
from searchbench.reports.comparison import compare
from searchbench.reports.dossier import Dossier, read
from searchbench.reports.page import figures_of, to_html
from searchbench.reports.render import FORMATS, render
from searchbench.reports.render.pairs import sentences
from searchbench.results.store import open_store
from tests.recorded import a_store

NOTE = "decided by chance: the logits took fewer than 100 steps"


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("noted") / "r.db"
    a_store(path, seeds=8, trials=2, notes={"base": (NOTE,)})
    return path


@pytest.fixture(scope="module")
def dossier(noted: Path) -> Dossier:
    with open_store(noted) as store:
        return read(store)


@pytest.mark.parametrize("form", FORMATS)
def test_notes_stand_in_every_form_of_the_board(dossier: Dossier, form: str) -> None:
    said = render(dossier.board, form)
    assert ("noted" if form == "csv" else NOTE.split(":", maxsplit=1)[0]) in " ".join(said.split())


def test_notes_stand_on_the_page_in_the_checklist_and_in_a_comparison(dossier: Dossier, noted: Path) -> None:
    assert NOTE in to_html(dossier, figures_of(dossier), {})
    item = dossier.checklists["cells"]["C17"]
    assert (item.verdict, f"base, 8 runs {NOTE}" in item.evidence) == ("WARN", True)
    with open_store(noted) as store:
        assert f"noted: base, 8 runs: {NOTE}." in sentences(compare(store, "base", "random")[0])


def short(*strategies: object, epochs: int = 3) -> sb.Study:
    space = sb.Use("nasbench201", channels=2, cells=1)
    problem = sb.Problem(space, "digits", sb.Use("train", epochs=1), judge=sb.Use("train", epochs=1))
    return sb.Study("short", problem, list(strategies), seeds=1, budget=sb.Budget(epochs=epochs))


def test_what_cannot_work_within_the_budget_is_said_before_a_run() -> None:
    paper = {"settings": "paper", "batch_size": 256}
    study = short(sb.Use("darts-es", **paper), sb.Use("darts-plus", settings="paper"), "random")
    es, plus = forecast(plan(study).runs, 0).said
    assert "its logits take about 3 steps, fewer than 100: its choice will be chance" in es
    assert "the rule that would stop it cannot act: not before epoch 23, and the search has 1" in es
    assert "the rule that stops it would act on undecided logits with probability 0.4" in plus


def test_a_search_whose_logits_hardly_moved_is_noted_as_chance() -> None:
    from searchbench.harness.running.run import run_search

    run = run_search(plan(short(sb.Use("darts", settings="paper", batch_size=256))).runs[0])
    assert run.notes == (NOTE,)
