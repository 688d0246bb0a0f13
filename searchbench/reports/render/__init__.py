"""Renderings of a leaderboard: terminal, Markdown, LaTeX, CSV, JSON. All from the one object, all the same numbers."""

from __future__ import annotations

from collections.abc import Sequence

from searchbench.errors import InputError, UnknownName
from searchbench.reports.leaderboard import Leaderboard

FORMATS = ("rich", "md", "tex", "csv", "json")


def render(
    board: Leaderboard,
    format: str,
    *,
    width: int | None = None,
    columns: Sequence[str] | None = None,
    transpose: bool = False,
) -> str:
    """A leaderboard as text in one of `FORMATS`.

    Args:
        width: in characters, for "rich" only.
        columns: headings, for "md" and "tex"; None takes the short table's, ("all",) all.
        transpose: strategies across, for "md" and "tex".

    Raises:
        UnknownName: there is no such format or column.
        InputError: columns or a transposed table are asked of another format.
    """
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    from searchbench.reports.render import data, latex, markdown, terminal

    if format in ("md", "tex"):
        write = markdown.to_markdown if format == "md" else latex.to_latex
        return write(board, columns, transpose=transpose)
    if columns is not None or transpose:
        raise InputError(f'columns are chosen and transposed in "md" and "tex", but the format is "{format}".')
    if format == "rich":
        return terminal.to_text(board, width)
    return data.to_csv(board) if format == "csv" else data.to_json(board)
