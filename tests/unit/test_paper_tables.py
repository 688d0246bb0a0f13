"""The table in the paper: few columns, numbers aligned on the point, nothing lost that must be read with them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from searchbench.cli.entry import cli
from searchbench.errors import InputError
from searchbench.reports.dossier import Dossier, read
from searchbench.reports.render import render, written
from searchbench.reports.render.cells import Column
from searchbench.reports.render.latex import SPREAD, _cell, _kind, to_latex
from searchbench.reports.render.sheets import Fit, Sheet, of_ablation, of_fronts, of_pairs
from searchbench.results.store import open_store
from tests.recorded import a_store


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_store(tmp_path_factory.mktemp("paper") / "r.db", trials=2)


@pytest.fixture(scope="module")
def dossier(path: Path) -> Dossier:
    with open_store(path) as store:
        return read(store)


def test_the_table_is_short_and_its_caption_one_line(dossier: Dossier) -> None:
    text = render(dossier.board, "tex")
    header = text[text.index(r"\toprule") : text.index(r"\midrule")]
    titles = [
        "{rank}",
        "strategy",
        r"\multicolumn{2}{c}{\shortstack{test error $\downarrow$\\(\%)}}",
        "{n}",
        "failed",
        "verdict",
        r"\shortstack{search\\simulated}",
    ]
    assert header.splitlines()[1].strip().removesuffix(r" \\").split(" & ") == titles
    caption = re.search(r"\\caption\{(.*)\}\n", text)
    assert caption is not None
    assert len(caption[1]) < 100
    assert "resizebox" not in text


def test_every_environment_ends_and_every_brace_closes(dossier: Dossier) -> None:
    for text in (render(dossier.board, "tex"), render(dossier.board, "tex", columns=["all"], transpose=True)):
        opened: list[str] = []
        for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
            if kind == "begin":
                opened.append(name)
            else:
                assert opened.pop() == name
        assert opened == []
        plain = re.sub(r"\\[{}\\]|^%.*$", "", text, flags=re.M)
        assert plain.count("{") == plain.count("}")
        columns = re.search(r"\\begin\{tabular\}\{(.*)\}\n", text)
        assert columns is not None
        kinds = re.sub(r"\[.*?\]|@\{.*?\}|>\{.*?\}|\{.*?\}", "", columns[1])
        rows = [line for line in text.splitlines() if line.endswith(r" \\")]
        assert all(len(re.split(r"(?<!\\) & ", row)) + row.count(r"\multicolumn{2}") == len(kinds) for row in rows)


def test_notes_stand_below_with_every_caveat(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", trials=2, comparison=False)) as store:
        board = read(store).board
    for kind in ("md", "tex"):
        text = render(board, kind)
        assert "exploratory" in text
        assert "nothing was declared in" in text
        assert "effect size:" not in text.lower()


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (("6.12 ± 0.31", "30.77 ± 51.13", "–"), rf"S[table-format=2.2]{SPREAD}S[table-format=2.2]"),
        (("-8.71", "+0.3", "baseline"), "S[table-format=+1.2]"),
        (("12", "8"), "S[table-format=2]"),
        (("4.50 min", "2.1 h"), "r"),
        (("(1.2 ± 0.3)e-07",), "r"),
    ],
)
def test_numbers_are_aligned_on_the_point_with_room_for_the_widest(cells: tuple[str, ...], kind: str) -> None:
    assert _kind(Column(("x",), cells)) == kind


def test_words_among_numbers_stand_in_braces_and_signs_are_real() -> None:
    column = Column(("x",), ("-8.71", "–", "[-1.2, 3.4]", "(1.2 ± 0.3)e-07"), bold=(True, False, False, False))
    assert [_cell(column, row, "S[table-format=1.2]") for row in range(4)] == [
        r"\bfseries -8.71", "{--}", "{{[}$-$1.2, 3.4{]}}", r"{(1.2 $\pm$ 0.3)e-07}",
    ]  # fmt: skip


def test_a_mean_and_its_spread_are_aligned_each_on_its_own_point() -> None:
    column = Column(("x",), ("6.12 ± 0.31", "failed", "5.1"), bold=(True, False, False))
    kind = _kind(column)
    assert [_cell(column, row, kind) for row in range(3)] == [
        r"\bfseries 6.12 & \bfseries 0.31", r"\multicolumn{2}{c}{failed}", r"\multicolumn{2}{c}{5.1}",
    ]  # fmt: skip


def test_a_table_for_one_of_two_columns_is_narrow_and_loses_no_n(tmp_path: Path, dossier: Dossier) -> None:
    text = render(dossier.board, "tex", fit="column")
    assert "search simulated" not in text
    assert "n = 12 for every strategy" in text or " & {n} & " in text
    assert r"\begin{table*}" in render(dossier.board, "tex", fit="page")


def test_all_pairs_are_a_matrix_in_which_only_what_was_told_apart_is_bold(path: Path, dossier: Dossier) -> None:
    found = CliRunner().invoke(cli, ["leaderboard", "--store", str(path), "--format", "md", "--pairs"])
    rows = [line.strip("| ").split(" | ") for line in found.output.splitlines() if line.startswith("|")][2:]
    block = dossier.board.blocks[0]
    family = block.verdicts.family
    assert family is not None
    told = {name for pair, answer in family for name in [pair] if family.winner(answer) in ("a", "b")}
    assert sum("**" in cell for row in rows for cell in row) == 2 * len(told) > 0
    assert len(rows) == len(family.names)
    refused = CliRunner().invoke(cli, ["leaderboard", "--store", str(path), "--pairs"])
    assert isinstance(refused.exception, InputError)


def test_tables_of_tasks_need_two_problems(path: Path) -> None:
    found = CliRunner().invoke(cli, ["leaderboard", "--store", str(path), "--format", "tex", "--tasks"])
    assert "needs two problems" in str(found.exception)


def test_ablations_and_fronts_are_tables_for_papers_too(path: Path) -> None:
    for command, said in (("ablation", "what each part changes"), ("pareto", "the share of the box")):
        for kind in ("md", "tex"):
            found = CliRunner().invoke(cli, [command, "--store", str(path), "--format", kind], catch_exceptions=False)
            assert said in found.output
            assert ("booktabs" in found.output) == (kind == "tex")
        rows = CliRunner().invoke(cli, [command, "--store", str(path), "--format", "csv"], catch_exceptions=False)
        objects = CliRunner().invoke(cli, [command, "--store", str(path), "--format", "json"], catch_exceptions=False)
        read = list(csv.DictReader(io.StringIO(rows.output)))
        assert [row["problem"] for row in read] == [row["problem"] for row in json.loads(objects.output)]
        assert read


CLASSES = {
    "text": (r"\documentclass[10pt]{article}\usepackage[textwidth=5.5in,textheight=9in]{geometry}", 5.5 * 72.27),
    "column": (
        r"\documentclass[10pt,twocolumn]{article}\usepackage[textwidth=6.75in,textheight=9in,columnsep=0.25in]{geometry}",
        3.25 * 72.27,
    ),
}
"""The measures of NeurIPS' class, and of ICML's."""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdfLaTeX here")
@pytest.mark.parametrize("fit", CLASSES)
def test_every_table_compiles_and_stays_within_its_column(path: Path, tmp_path: Path, fit: Fit) -> None:
    with open_store(path) as store:
        dossier = read(store, axes=(), rankings=True)
    wide: Fit = "page" if fit == "column" else fit
    tables = [
        render(dossier.board, "tex", fit=fit), written(of_pairs(dossier.board), "tex", wide),
        written(of_ablation(dossier.ablations), "tex", fit),
        written(of_fronts(dossier.tradeoffs), "tex", wide),
    ]  # fmt: skip
    begin, _ = CLASSES[fit]
    packages = r"\usepackage{times,booktabs,threeparttable,siunitx,textcomp,etoolbox}\usepackage[T1]{fontenc}"
    packages += r"\robustify\bfseries\sisetup{detect-weight, retain-explicit-plus}"
    head = begin + packages + r"\begin{document}Text." + "\n"
    (tmp_path / "paper.tex").write_text(head + "\n".join(tables) + "\n\\end{document}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(
        command, check=False, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
    too_wide = [float(found) for found in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)]
    assert all(points < 1 for points in too_wide), done.stdout


def test_columns_are_chosen_by_how_their_headings_begin_and_tables_turned(path: Path) -> None:
    def run(*options: str) -> str:
        found = CliRunner().invoke(cli, ["leaderboard", "--store", str(path), *options], catch_exceptions=False)
        return found.output

    text = run("--format", "md", "--columns", "strategy,TEST ERROR,against")
    assert next(line for line in text.splitlines() if line.startswith("|")).count("|") == 4
    turned = run("--format", "md", "--columns", "strategy,n", "--transpose")
    rows = [line for line in turned.splitlines() if line.startswith("|")]
    assert rows[0].startswith("|  | A and B |")
    assert rows[2].startswith("| n | 12 |")


def test_unknown_columns_and_formats_without_columns_are_refused(dossier: Dossier) -> None:
    with pytest.raises(InputError, match="unknown column `rnak`"):
        render(dossier.board, "md", columns=["rnak"])
    with pytest.raises(InputError, match="chosen and transposed in"):
        render(dossier.board, "csv", columns=["rank"])


def test_a_heading_is_no_wider_than_the_numbers_below_it() -> None:
    shown = (
        Column(("strategy",), ("a", "b"), numeric=False),
        Column(("hypervolume handed over",), ("0.148 ± 0.010", "-0.131 ± 0.053")),
    )
    written = to_latex([Sheet("t", "A title", shown, ("alone -0.5",))])
    assert r"\shortstack{hypervolume\\handed over}" in written
    assert "alone $-$0.5" in written.lower()
