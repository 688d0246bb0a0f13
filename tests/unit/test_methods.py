"""The methods paragraph: what was declared and recorded, in sentences, with its sources."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from recorded import EVIL, a_store

from searchbench.cli.entry import cli
from searchbench.cli.methods import sources
from searchbench.reports.dossier import Dossier, read
from searchbench.reports.methods import cited_in, library, methods
from searchbench.results.store import open_store
from searchbench.strategies import STRATEGIES


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_store(tmp_path_factory.mktemp("methods") / "r.db", trials=2)


@pytest.fixture(scope="module")
def dossier(path: Path) -> Dossier:
    with open_store(path) as store:
        return read(store)


def test_it_states_protocol_budget_seeds_tests_corrections_settings_failures_and_versions(dossier: Dossier) -> None:
    text = methods(dossier, {"random": "Bergstra & Bengio 2012."}).paragraph("md")
    for said in (
        "We compare 7 search strategies", "12 independent searches on each problem", "(0 to 11)", "evaluations ≤ 20",
        "judged once", "The comparison was declared before the first run", "alpha 0.05", "sign-flip permutation",
        "over all 15 pairs by Holm's procedure [@holm1979simple]", "simultaneous 95 % confidence ranks",
        "base (lr = 1)", "12 of 84 searches gave no result", "searchbench 0", "random [@bergstra2012random]",
    ):  # fmt: skip
        assert said in text, said


def test_what_cannot_run_is_not_said_to_be_compared(dossier: Dossier) -> None:
    skipped = [{"strategy": "darts", "problem": "cells", "reason": "it needs networks."}]
    spec = dossier.spec | {"skipped": skipped, "strategies": [*dossier.spec["strategies"], {"label": "darts"}]}
    changed = replace(dossier, study=replace(dossier.study, spec=json.dumps(spec)))
    text = methods(changed, {}).paragraph("md")
    assert "We compare 7 search strategies" in text
    assert "Darts was left out on cells, where it cannot run: it needs networks." in text


def test_caveats_are_sentences_of_it(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", trials=2, comparison=False, missing=3)) as store:
        text = methods(read(store), {}).paragraph("md")
    assert "exploratory" in text.lower()
    assert "3 of 84 planned runs are not recorded yet" in text
    assert "no ranking is given" in text.lower()


def test_every_key_has_its_entry_and_nothing_else_is_listed(dossier: Dossier) -> None:
    found = methods(dossier, {"random": "Bergstra & Bengio 2012; Li & Talwalkar 2019."})
    keys = set(re.findall(r"@([a-z][\w-]+)", "".join(re.findall(r"\[@[^\]]*\]", found.paragraph("md")))))
    assert keys == set(re.findall(r"^@\w+\{([\w-]+),", found.bib, re.M))
    assert "shorthand" not in found.bib
    assert found.bib.count("{") == found.bib.count("}")
    assert EVIL in found.unsourced


def test_latex_is_escaped_and_cites(dossier: Dossier) -> None:
    text = methods(dossier, {"random": "Bergstra & Bengio 2012."}).paragraph("tex")
    assert r"random~\cite{bergstra2012random}" in text
    assert "<script>" not in text
    assert r"\textless{}script\textgreater{}" in text


def test_works_of_one_author_and_year_are_told_apart_or_not_cited() -> None:
    assert cited_in('Chu et al. 2021, "DARTS-: robustly stepping out of performance collapse"') == (
        "chu2021dartsminus",
    )
    assert cited_in("Chu et al. 2021 (FairNAS)") == ("chu2021fairnas",)
    assert cited_in("Chu et al. 2021") == ()
    assert cited_in("Real et al. 2019. Differs: as in Liu et al. 2019.") == ("real2019regularized",)


def test_most_strategies_of_the_package_are_cited_from_what_they_document() -> None:
    given = {"given": {"strategies": [[name, {"use": name}] for name in STRATEGIES.builtin]}}
    uncited = [name for name, said in sources(given).items() if not cited_in(said)]
    assert len(uncited) <= 5, uncited
    assert sources({"given": {"strategies": [["mine", {"use": "os:getcwd"}]]}}) == {}  # nobody else's code is imported


def test_the_command_prints_the_paragraph_and_writes_the_sources(path: Path, tmp_path: Path) -> None:
    arguments = ["methods", "--store", str(path), "--bib", str(tmp_path / "own.bib")]
    found = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert found.output.startswith("We compare 7 search strategies")
    assert "@article{holm1979simple" in (tmp_path / "own.bib").read_text()
    assert len(library()) > 60
