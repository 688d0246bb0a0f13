"""Tables as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from searchbench.printable import printable
from searchbench.reports.render.cells import Column
from searchbench.reports.render.sheets import Sheet

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>|~#"} | {"\n": " ", "\r": " "})


def to_markdown(sheets: Sequence[Sheet]) -> str:
    """A table per sheet, its notes below."""
    return "\n\n".join(_table(one.title, one.columns, [*one.notes, *one.comments]) for one in sheets) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return printable(text).translate(_SPECIAL)


def _table(title: str, shown: Sequence[Column], notes: Iterable[str]) -> str:
    lines = [
        _line([escape(column.title) for column in shown]),
        "|" + "|".join("---:" if column.numeric else ":---" for column in shown) + "|",
        *(_line([_cell(column, row) for column in shown]) for row in range(len(shown[0].cells))),
    ]
    said = [f"- {escape(note)}" for note in notes]
    return "\n".join([f"### {escape(title)}", "", *lines, "", *said])


def _cell(column: Column, row: int) -> str:
    text = escape(column.cells[row].strip())
    return f"**{text}**" if column.stands_out(row) else text


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
