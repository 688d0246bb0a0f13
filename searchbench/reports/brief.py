"""A leaderboard at first sight: rank, strategy, mean ± std, n and verdict, under what they must be read with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from searchbench.reports.leaderboard import Block, Leaderboard
from searchbench.reports.render.cells import details, heading, notes
from searchbench.reports.render.short import first_sight

CSS = "border-collapse:collapse;margin:.4em 0"
BOLD = ' style="font-weight:bold"'


@dataclass(frozen=True, slots=True)
class Brief:
    """One block of a leaderboard, in a few columns of text."""

    heading: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: tuple[bool, ...]
    """Rows of the tied top group."""
    notes: tuple[str, ...]

    def records(self) -> list[dict[str, str]]:
        """A mapping per row."""
        return [dict(zip(self.titles, row, strict=True)) for row in self.rows]


def brief(board: Leaderboard) -> list[Brief]:
    """The blocks of a board, each short."""
    return [_block(board, block) for block in board.blocks]


def _block(board: Leaderboard, block: Block) -> Brief:
    shown = first_sight(block)
    said = [*map(str, block.caveats), *notes(board, block)[:1], *details(block)]
    said += [block.checklist] if block.checklist else []
    return Brief(
        heading(board, block),
        tuple(column.title for column in shown),
        tuple(zip(*(column.cells for column in shown), strict=True)),
        next(column.bold for column in shown if column.bold),
        tuple(dict.fromkeys(said)),
    )


def to_text(briefs: Sequence[Brief]) -> str:
    """Aligned by spaces, for a terminal or a plain notebook."""
    return "\n\n".join(_text(one) for one in briefs)


def _text(one: Brief) -> str:
    lines = [one.titles, *one.rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(one.titles))]
    left = one.titles.index("strategy")
    written = [
        "  ".join(
            cell.ljust(width) if at == left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([one.heading, *written, *(f"  {note}" for note in one.notes)])


def to_html(briefs: Sequence[Brief]) -> str:
    """Tables for a notebook; nothing is loaded from anywhere."""
    return "\n".join(_html(one) for one in briefs)


def _html(one: Brief) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in one.titles)
    body = "".join(
        f"<tr{BOLD if bold else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row, bold in zip(one.rows, one.bold or [False] * len(one.rows), strict=True)
    )
    said = "".join(f"<div><small>{escape(note)}</small></div>" for note in one.notes)
    return (
        f'<div><b>{escape(one.heading)}</b><table style="{CSS}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{said}</div>"
    )
