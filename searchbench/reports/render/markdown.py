"""The leaderboard as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from searchbench.printable import printable
from searchbench.reports.leaderboard import Leaderboard
from searchbench.reports.render.cells import (
    PUBLISHED_NOTES,
    Column,
    details,
    heading,
    notes,
    published_columns,
    published_heading,
)
from searchbench.reports.render.short import chosen, concerning, transposed

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>|~#"} | {"\n": " ", "\r": " "})


def to_markdown(board: Leaderboard, names: Sequence[str] | None = None, *, transpose: bool = False) -> str:
    """A table per block, its notes below.

    Args:
        names: headings of the columns wanted; None takes the short table's, ("all",) all.
        transpose: strategies across instead of down.
    """
    parts = []
    for block in board.blocks:
        shown = chosen(block, names)
        said = [*concerning(notes(board, block), shown), *details(block)]
        parts.append(_table(heading(board, block), transposed(shown) if transpose else shown, said))
    if board.reported:
        parts.append(_table(published_heading(board), published_columns(board.reported), PUBLISHED_NOTES))
    return "\n\n".join(parts) + "\n"


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
