"""Renderings of a leaderboard: terminal, Markdown, LaTeX, CSV, JSON. All from the one object, all the same numbers."""

from __future__ import annotations

from collections.abc import Callable

from searchbench.errors import UnknownName
from searchbench.reports.leaderboard import Leaderboard

FORMATS = ("rich", "md", "tex", "csv", "json")


def render(board: Leaderboard, format: str, *, width: int | None = None) -> str:
    """A leaderboard as text in one of `FORMATS`; `width` in characters, for "rich" only.

    Raises:
        UnknownName: there is no such format.
    """
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    if format == "rich":
        from searchbench.reports.render.terminal import to_text

        return to_text(board, width)
    return _writer(format)(board)


def _writer(format: str) -> Callable[[Leaderboard], str]:
    from searchbench.reports.render import data, latex, markdown

    return {"md": markdown.to_markdown, "tex": latex.to_latex, "csv": data.to_csv, "json": data.to_json}[format]
