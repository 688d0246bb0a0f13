"""The leaderboard as GitHub-flavoured Markdown."""

from __future__ import annotations

from searchbench.reports.leaderboard import Block, Leaderboard
from searchbench.reports.render.cells import columns, details, heading, notes

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>|~#"} | {"\n": " ", "\r": " "})


def to_markdown(board: Leaderboard) -> str:
    """A table per block, its notes below."""
    return "\n\n".join(_block(board, block) for block in board.blocks) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return text.translate(_SPECIAL)


def _block(board: Leaderboard, block: Block) -> str:
    shown = columns(block)
    lines = [
        _line([column.title for column in shown]),
        "|" + "|".join("---:" if column.numeric else ":---" for column in shown) + "|",
        *(_line(list(cells)) for cells in zip(*(column.cells for column in shown), strict=True)),
    ]
    said = [f"- {escape(note)}" for note in (*notes(board, block), *details(block))]
    return "\n".join([f"### {escape(heading(board, block))}", "", *lines, "", *said])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(escape(cell.strip()) for cell in cells) + " |"
