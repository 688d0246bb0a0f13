"""A report on disk: one page that needs nothing else, and every table and figure as a file for papers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from searchbench.errors import InputError
from searchbench.reports.dossier import AXES, Dossier, read
from searchbench.reports.exports import tables
from searchbench.reports.figures.figure import slug
from searchbench.reports.figures.svg import COLUMN, Paper, to_svg
from searchbench.reports.page import figures_of, to_html
from searchbench.reports.render import render, sheets, written
from searchbench.reports.render.sheets import Sheet
from searchbench.results.store import ResultStore

PAGE = "index.html"


@dataclass(frozen=True, slots=True)
class Written:
    """Where a report lies, and what it is about."""

    page: Path
    files: tuple[Path, ...]
    dossier: Dossier


def report(
    store: ResultStore,
    study: str | None,
    out: str | Path,
    *,
    published: str | None = None,
    pdf: bool = False,
    paper: Paper = COLUMN,
) -> Written:
    """Write the report of a study into a folder; files of an earlier report of the same name are replaced.

    Args:
        pdf: figures also as PDF.
        paper: what the figures' files are printed on: their width, and the size of their text.

    Raises:
        StoreError: there is no such study.
        InputError: the folder cannot be written, nothing is published for that task, or PDF needs the extra `report`.
    """
    dossier = read(store, study, published=published, axes=AXES, rankings=True)
    return write(dossier, Path(out), pdf=pdf, paper=paper)


def write(dossier: Dossier, out: Path, *, pdf: bool = False, paper: Paper = COLUMN) -> Written:
    """Write the report of a dossier that was read with the axes wanted."""
    figures = figures_of(dossier)
    csv = tables(dossier)
    texts = {PAGE: to_html(dossier, figures, csv), **csv}
    texts |= {f"leaderboard.{kind}": render(dossier.board, kind) for kind in ("md", "tex", "json")}
    texts |= {f"{name}.{kind}": written(own, kind) for name, own in _sheets(dossier).items() for kind in ("md", "tex")}
    for sections in figures.values():
        for own in sections.values():
            texts |= {f"figures/{figure.name}.svg": to_svg(figure, paper) for figure in own}
    convert = _pdf_writer() if pdf else None
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        files = []
        for name, text in texts.items():
            files.append(out / name)
            files[-1].write_text(text, encoding="utf-8")
            if convert is not None and name.endswith(".svg"):
                files.append(files[-1].with_suffix(".pdf"))
                convert(files[-2], files[-1])
    except OSError as error:
        raise InputError(f"the report cannot be written to `{out}`: {error.strerror or error}.") from error
    return Written(out / PAGE, tuple(files), dossier)


def _sheets(dossier: Dossier) -> dict[str, list[Sheet]]:
    """The tables for papers beside the leaderboard, by file name; those that the study has."""
    several = sum(block.ranked or bool(block.withheld) for block in dossier.board.blocks) > 1
    found = {
        "tasks": sheets.of_tasks(dossier.board, dossier.across) if several else [],
        "pairs": sheets.of_pairs(dossier.board), "ablation": sheets.of_ablation(dossier.ablations),
        "fronts": sheets.of_fronts(dossier.tradeoffs),
    }  # fmt: skip
    return {name: own for name, own in found.items() if own}


def default_folder(store: ResultStore, study: str) -> Path:
    """Beside the store's file, by the study's name; in the working directory where the store is no file."""
    place = store.location.path
    return (Path() if place is None else place.parent) / f"{slug(study)}-report"


def _pdf_writer() -> Callable[[Path, Path], None]:
    """Turns SVG files into PDF."""
    try:
        from reportlab.graphics import renderPDF
        from svglib.svglib import svg2rlg
    except ImportError:
        raise InputError("figures as PDF need the extra `report`: pip install 'searchbench[report]'.") from None

    def convert(source: Path, target: Path) -> None:
        renderPDF.drawToFile(svg2rlg(str(source)), str(target))

    return convert
