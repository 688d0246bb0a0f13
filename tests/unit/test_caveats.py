"""Caveats travel with a verdict into every form, and change its words."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from searchbench.reports.ablation import build as build_ablation
from searchbench.reports.brief import brief
from searchbench.reports.brief import to_text as to_brief
from searchbench.reports.comparison import PairedComparison, compare
from searchbench.reports.dossier import Dossier, read
from searchbench.reports.exports import tables
from searchbench.reports.page import figures_of, to_html
from searchbench.reports.render import FORMATS, render
from searchbench.reports.render.pairs import sentences as paired_sentences
from searchbench.reports.render.pairs import to_text
from searchbench.reports.standing import Declared
from searchbench.reports.words import sentences
from searchbench.results.history import History
from searchbench.results.records import StudyRecord
from searchbench.results.store import open_store
from searchbench.statistics.record import Answer
from tests.recorded import a_run, a_spec, a_store

CLAIM = re.compile(r"(better than|is better|worse than|shown to|established)", re.IGNORECASE)


def grown_without_a_look(path: Path) -> Path:
    """Eight seeds, then four more that no look was declared for."""
    a_store(path, seeds=8, trials=2)
    with open_store(path, write=True) as store:
        first = store.study("recorded").declared
        labels = list(dict.fromkeys(entry["strategy"] for entry in first["planned"]))
        planned = [
            {"run_id": f"{i}/{seed}", "strategy": label, "problem": "cells", "replicate": seed}
            for seed in range(12)
            for i, label in enumerate(labels)
        ]
        text = json.dumps(a_spec(12, planned))
        store.add_study(StudyRecord("recorded", text, "2025-01-02T00:00:00+00:00", 2))
        for entry in planned:
            if entry["replicate"] >= 8:
                store.add_run(a_run(entry, labels.index(entry["strategy"]), 2))
    return path


@pytest.fixture(scope="module")
def exploratory(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    path = grown_without_a_look(tmp_path_factory.mktemp("grown") / "r.db")
    with open_store(path) as store:
        return read(store)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PairedComparison]:
    path = grown_without_a_look(tmp_path_factory.mktemp("pairs") / "r.db")
    with open_store(path) as store:
        return {other: compare(store, "A and B", other)[0] for other in ("random", "base")}


def unmarked(lines: list[str]) -> list[str]:
    """Sentences that claim something and say no "exploratory:" before it."""
    return [line for line in lines if (found := CLAIM.search(line)) and "exploratory:" not in line[: found.start()]]


def test_every_sentence_that_claims_is_marked(exploratory: Dossier) -> None:
    said = sentences(exploratory.board.blocks[0])
    assert any("Better than random" in sentence for sentence in said)
    assert unmarked(said) == []


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_of_a_leaderboard_says_exploratory(exploratory: Dossier, kind: str) -> None:
    text = render(exploratory.board, kind)
    assert "exploratory" in text
    assert "look 2, declared: 1" in text or kind == "csv"
    rows = list(csv.DictReader(io.StringIO(render(exploratory.board, "csv"))))
    assert {row["caveats"] for row in rows} == {"exploratory"}
    assert "better" not in {row["verdict"] for row in rows}
    assert "exploratory: better" in {row["verdict"] for row in rows}


def test_data_carry_the_caveat(exploratory: Dossier) -> None:
    frame = exploratory.board.to_frame()
    assert set(frame["caveats"]) == {"exploratory"}
    block = json.loads(render(exploratory.board, "json"))["blocks"][0]
    assert block["caveats"][0]["kind"] == "exploratory"
    comparisons = list(csv.DictReader(io.StringIO(tables(exploratory)["comparisons.csv"])))
    assert all("exploratory" in row["caveats"] for row in comparisons)
    assert unmarked([row["wording"] for row in comparisons]) == []


def test_the_short_table_says_it(exploratory: Dossier) -> None:
    text = to_brief(brief(exploratory.board))
    assert "exploratory: better" in text
    assert "exploratory: seeds were added" in text


def test_the_head_of_the_page_says_it(exploratory: Dossier) -> None:
    page = to_html(exploratory, figures_of(exploratory), {})
    head = page[: page.index('<main id="main">')]
    assert "<strong>exploratory</strong>: seeds were added after results were there" in head
    assert "report (exploratory)</title>" in head


def test_the_checklist_says_it_with_both_declarations(exploratory: Dossier) -> None:
    found = exploratory.checklists["cells"]
    for item, verdict in (("C05", "FAIL"), ("C17", "WARN"), ("C23", "FAIL")):
        assert found[item].verdict.value == verdict
        assert "revision 1: 8 seeds (0-7); revision 2: 12 seeds (0-11)" in found[item].evidence
    assert found.ranking_allowed  # what was run is ranked, and every statement exploratory


def test_an_ablation_under_a_caveat_concludes_under_it(exploratory: Dossier) -> None:
    assert exploratory.ablations[0].conclusion.startswith("exploratory: ")
    rows = list(csv.DictReader(io.StringIO(tables(exploratory)["ablation.csv"])))
    assert all("exploratory" in row["caveats"] for row in rows)


def test_compare_says_first_what_the_leaderboard_says(pairs: dict[str, PairedComparison]) -> None:
    found = pairs["random"]
    assert found.family is not None
    assert "all 6 comparisons with random, Holm" in found.family.question
    assert "in a family of" in found.family.answer.wording
    said = paired_sentences(found)
    assert said.index(next(s for s in said if "In the study's family" in s)) < next(
        i for i, s in enumerate(said) if s.startswith("Is the difference in test error real?")
    )
    assert unmarked(said) == []
    assert "exploratory" in to_text(found)


def test_a_pair_that_was_not_declared_is_adjusted_over_all_pairs(pairs: dict[str, PairedComparison]) -> None:
    found = pairs["base"]
    assert found.family is not None
    assert "pairs, Holm" in found.family.question
    assert "exploratory" in found.family.answer.caveats


def test_alone_outside_its_family_a_pair_is_exploratory(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", trials=2)) as store:
        found = compare(store, "A and B", "random")[0]
    assert found.caveats == ()
    assert found.family is not None
    assert "exploratory" not in found.family.answer.caveats
    assert "better" in found.family.answer.wording
    assert all("exploratory" in one.answer.caveats for one in found.asked if one.claims)


def test_the_one_declared_pair_is_no_exploration(tmp_path: Path) -> None:
    spec = a_spec(12, [])
    labels = ["random", "A and B"]
    planned = [
        {"run_id": f"{i}/{seed}", "strategy": label, "problem": "cells", "replicate": seed}
        for seed in range(12)
        for i, label in ((0, "random"), (4, "A and B"))
    ]
    spec |= {"planned": planned, "strategies": [{"label": label} for label in labels], "ablation": None}
    with open_store(tmp_path / "r.db", write=True) as store:
        store.add_study(StudyRecord("recorded", json.dumps(spec), "2025-01-01T00:00:00+00:00"))
        for entry in planned:
            store.add_run(a_run(entry, int(entry["run_id"].split("/")[0]), 2))
        found = compare(store, "A and B", "random")[0]
    assert found.family is None
    declared = [one for one in found.asked if "on the way" not in one.question]  # no study declares that outcome
    assert all(one.answer.caveats == () for one in declared if one.answer.status == "ok")


def test_runs_that_are_missing_make_it_incomplete(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", trials=2, missing=3)) as store:
        dossier = read(store)
    assert "incomplete" in {caveat.kind for caveat in dossier.caveats}
    assert "incomplete" in dossier.ablations[0].caveats
    rows = list(csv.DictReader(io.StringIO(render(dossier.board, "csv"))))
    assert all("incomplete" in row["caveats"] for row in rows)


def test_an_ablation_declared_beforehand_needs_no_comparison(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", trials=2, comparison=False)) as store:
        study = store.history().whole
        runs = store.runs("recorded", recordings=False)
        dossier = read(store)
    assert build_ablation(study, {"cells": runs})[0].caveats == ()
    assert [caveat.kind for caveat in dossier.caveats] == ["exploratory"]


def test_an_answer_is_marked_once_and_a_refusal_keeps_its_words() -> None:
    answer = Answer(method="m", call="c", n=3, wording="a is better than b")
    marked = answer.with_caveats("exploratory", "imported")
    assert marked.wording == "imported, exploratory: a is better than b"
    assert marked.with_caveats("exploratory") == marked
    assert marked.to_dict()["caveats"] == ["imported", "exploratory"]
    refusal = Answer(method="m", call="c", n=3, wording="no", status="refused", refusal_reason="no")
    assert refusal.with_caveats("exploratory").wording == "no"
    assert refusal.with_caveats("exploratory").caveats == ("refused", "exploratory")


def test_what_is_imported_says_so() -> None:
    spec = json.dumps({"imported": ["from elsewhere"], "seeds": [0]})
    whole = History.of([StudyRecord("s", spec, "2025-01-01T00:00:00+00:00")], {}).whole
    assert [caveat.kind for caveat in Declared.of(whole.declared).caveats] == ["imported", "exploratory"]
