"""`docs`."""

from __future__ import annotations

from pathlib import Path

import click

from searchbench.cli.options import terminal


@click.command()
@click.argument("page", required=False)
def docs(page: str | None) -> None:
    """Read a PAGE of the docs here, offline; without one, list the pages."""
    from rich.markdown import Markdown

    from searchbench.errors import UnknownName

    known = pages()
    if page is None:
        width = max(map(len, known))
        for name, path in known.items():
            click.echo(f"{name:<{width}}  {_title(path)}")
        return
    if page not in known:
        raise UnknownName("page", page, known)
    terminal().print(Markdown(known[page].read_text(encoding="utf-8")))


def pages() -> dict[str, Path]:
    """The pages that came with the package, or lie beside it in the repository, by name."""
    package = Path(__file__).parents[1]
    folder = next(folder for folder in (package / "docs", package.parent / "docs") if folder.is_dir())
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.md"))}


def _title(path: Path) -> str:
    return next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))[2:]
