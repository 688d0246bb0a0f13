"""Renderings of a leaderboard: terminal, Markdown, LaTeX, CSV, JSON. All from the one object, all the same numbers."""

from __future__ import annotations

from collections.abc import Sequence

from searchbench.errors import InputError, UnknownName
from searchbench.reports.leaderboard import Leaderboard
from searchbench.reports.render.sheets import Fit, Sheet, of_board

FORMATS = ("rich", "md", "tex", "csv", "json")


def render(
    board: Leaderboard,
    format: str,
    *,
    width: int | None = None,
    columns: Sequence[str] | None = None,
    transpose: bool = False,
    fit: Fit = "text",
) -> str:
    """A leaderboard as text in one of `FORMATS`.

    Args:
        width: in characters, for "rich" only.
        columns: headings, for "md" and "tex"; None takes the short table's, ("all",) all.
        transpose: strategies across, for "md" and "tex".
        fit: how wide a "tex" table may be, one of `FITS`.

    Raises:
        UnknownName: there is no such format or column.
        InputError: columns or a transposed table are asked of another format.
    """
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    from searchbench.reports.render import data, terminal

    if format in ("md", "tex"):
        return written(of_board(board, columns, transpose=transpose, fit=fit), format, fit)
    if columns is not None or transpose:
        raise InputError(f'columns are chosen and transposed in "md" and "tex", but the format is "{format}".')
    if format == "rich":
        return terminal.to_text(board, width)
    return data.to_csv(board) if format == "csv" else data.to_json(board)


def written(sheets: Sequence[Sheet], format: str, fit: Fit = "text") -> str:
    """Tables for papers as text, in "md" or "tex"."""
    from searchbench.reports.render import latex, markdown

    return markdown.to_markdown(sheets) if format == "md" else latex.to_latex(sheets, fit)
