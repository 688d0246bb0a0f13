"""The table in the paper: few columns, numbers aligned on the point, nothing lost that must be read with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from searchbench.cli.entry import cli
from searchbench.errors import InputError
from searchbench.reports.dossier import Dossier, read
from searchbench.reports.render import render
from searchbench.reports.render.cells import Column
from searchbench.reports.render.latex import _cell, _kind
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
    titles = ["{rank}", "strategy", r"{test error $\downarrow$ (\%)}", "{n}", "failed", "verdict", "search simulated"]
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
        kinds = re.sub(r"\[.*?\]", "", columns[1])
        rows = [line for line in text.splitlines() if line.endswith(r" \\")]
        assert all(len(re.split(r"(?<!\\) & ", row)) == len(kinds) for row in rows)


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
        (("6.12 ± 0.31", "30.77 ± 51.13", "–"), "S[table-format=2.2(4), separate-uncertainty, detect-weight]"),
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
    assert [_cell(column, row, aligned=True) for row in range(4)] == [
        r"\bfseries -8.71", "{--}", "{{[}$-$1.2, 3.4{]}}", r"{(1.2 $\pm$ 0.3)e-07}",
    ]  # fmt: skip


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
