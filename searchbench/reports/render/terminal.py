"""The leaderboard in a terminal. Where it is narrow, costs that matter less are left out, and that is said."""

from __future__ import annotations

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from searchbench.reports.console import on_paper
from searchbench.reports.leaderboard import Leaderboard
from searchbench.reports.render.cells import (
    PUBLISHED_NOTES,
    Column,
    columns,
    details,
    heading,
    notes,
    published_columns,
    published_heading,
)

MIN_LABEL = 22
"""Characters a strategy's label may be folded to before columns are left out."""


def to_rich(board: Leaderboard, width: int) -> Group:
    """A renderable for a terminal of `width` characters."""
    parts: list[Table | Text] = []
    for block in board.blocks:
        shown, hidden = fitting(columns(block), width)
        said = [*notes(board, block), *details(block)]
        if hidden:
            names = ", ".join(column.title for column in hidden)
            said.append(f"not shown in {width} characters: {names}; all of them: --format csv")
        parts.append(Text(heading(board, block), style="bold" if block.ranked else "dim"))
        parts.append(_table(shown))
        parts += [Text(f"{note}", style="dim") for note in said]
        parts.append(Text())
    if board.reported:
        parts.append(Text(published_heading(board), style="dim"))
        parts.append(_table(fitting(published_columns(board.reported), width)[0]))
        parts += [Text(note, style="dim") for note in PUBLISHED_NOTES]
    return Group(*parts)


def to_text(board: Leaderboard, width: int | None = None) -> str:
    """The board as plain text, 120 characters wide unless told."""
    width = width or 120
    console = on_paper(width)
    with console.capture() as captured:
        console.print(to_rich(board, width))
    return captured.get()


def fitting(all_columns: list[Column], width: int) -> tuple[list[Column], list[Column]]:
    """Columns that fit, and those left out: the highest rank first, rank 0 never."""
    shown = list(all_columns)
    for column in sorted(all_columns, key=lambda c: -c.rank):
        others = [own for own in shown if own is not column]
        room = width - _needed(others) - 2
        if column.rank == 0 or (max(map(cell_len, column.heading)) <= room and _needed(shown) <= width):
            break
        shown = others
    return shown, [own for own in all_columns if all(own is not other for other in shown)]


def _needed(shown: list[Column]) -> int:
    widths = [max(map(cell_len, (*column.heading, *column.cells))) for column in shown]
    widths = [w if c.numeric else min(w, MIN_LABEL) for w, c in zip(widths, shown, strict=True)]
    return sum(w + 2 for w in widths)


def _table(shown: list[Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="")
    for column in shown:
        name = Text("\n".join(column.heading).strip())
        if column.numeric:
            table.add_column(name, justify="right", no_wrap=True)
        else:
            table.add_column(
                name, overflow="fold", min_width=min(MIN_LABEL, max(map(cell_len, column.cells), default=0))
            )
    for row in range(len(shown[0].cells)):
        table.add_row(*(Text(c.cells[row], style="bold" if c.stands_out(row) else "") for c in shown))
    return table
