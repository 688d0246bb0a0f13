"""Names and errors that others wrote are shown letter by letter: no terminal, typesetter or spreadsheet obeys them."""

from __future__ import annotations

import csv
import io

import pytest
import recorded
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import searchbench as sb
from searchbench.cli.entry import cli
from searchbench.cli.options import terminal
from searchbench.printable import cell, one_line, printable
from searchbench.reports.dossier import AXES, read
from searchbench.reports.exports import tables
from searchbench.reports.leaderboard import leaderboard
from searchbench.reports.render import FORMATS, render

ESCAPES = "\x1b]0;owned\x07\x1b[2J:cancer: [bold]x[/] \u202egnp\x9b31m"
FORMULA = '=HYPERLINK("http://example.org";"click")'


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "ERRORS", {**recorded.ERRORS, ESCAPES: 0.3, FORMULA: 0.31, "@cmd": 0.32})
    monkeypatch.setattr(recorded, "TRACEBACK", f"Traceback\nValueError: {ESCAPES}")
    return recorded.a_store(tmp_path / "hostile.db", seeds=6)


def harmless(text: str) -> bool:
    return not any(c in text for c in "\x1b\x07\x9b\u202e♋🦀") and "\r" not in text


@pytest.mark.parametrize("kind", FORMATS)
def test_no_format_of_the_leaderboard_passes_on_what_a_terminal_obeys(store, kind):
    with sb.open_store(store) as opened:
        text = render(leaderboard(opened), kind)
    assert harmless(text)
    assert "owned" in text
    if kind == "tex":
        assert all(not line or line[0] in " %\\" for line in text.splitlines())


@pytest.mark.parametrize(
    "command", [["leaderboard"], ["status"], ["checklist"], ["compare", "random", ESCAPES], ["list", "studies"]]
)
def test_no_command_passes_it_on(store, command):
    result = CliRunner().invoke(cli, [*command, "--store", str(store)], catch_exceptions=False)
    assert harmless(result.output)


def test_markup_and_emoji_codes_are_words(capsys):
    terminal().print("[bold]:cancer:[/] \x1b[31m")
    assert capsys.readouterr().out.strip() == "[bold]:cancer:[/] ␛[31m"


def test_no_table_of_the_report_holds_a_formula(store):
    with sb.open_store(store) as opened:
        found = tables(read(opened, axes=AXES))
    cells = [(name, c) for name, text in found.items() for row in csv.reader(io.StringIO(text)) for c in row]
    assert any(c == f"'{FORMULA}" for _, c in cells)
    for name, content in cells:
        assert harmless(content), name
        if content[:1] in ("=", "@", "+"):
            float(content)  # no formula but a number
        if content[:1] == "-":
            float(content)


@given(st.text(st.characters()))
def test_whatever_is_written_can_be_shown_and_encoded(text):
    shown = printable(text)
    shown.encode()
    assert printable(shown) == shown
    assert harmless(shown)
    assert "\n" not in one_line(text)
    assert str(cell(text))[:1] not in ("=", "+", "-", "@")
