"""The terminal everything is shown on: what users and plug-ins named is shown letter by letter, never obeyed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from searchbench.printable import printable


class PlainConsole(Console):
    """A console without markup and emoji codes (`:cancer:` is a word), which shows control characters as pictures.

    Styles are given as `rich.text.Text`. Every renderable passes through `render`, live displays included.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            clean = segment.control or segment.text.isprintable()
            yield segment if clean else Segment(printable(segment.text), segment.style)


def on_paper(width: int) -> PlainConsole:
    """A console for text in a string: no colours, no terminal."""
    return PlainConsole(width=width, force_terminal=False, color_system=None, legacy_windows=False)
