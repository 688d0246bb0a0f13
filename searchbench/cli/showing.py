"""`leaderboard`, `compare` and `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from searchbench.cli.options import fit_option, store_option, terminal

if TYPE_CHECKING:
    from searchbench.reports.dossier import Dossier
    from searchbench.reports.leaderboard import Leaderboard
    from searchbench.reports.render.sheets import Fit

FORMATS = ("rich", "md", "tex", "csv", "json")


@click.command()
@click.argument("study", required=False)
@store_option
@click.option("--sort", default="test_error", show_default=True, metavar="COLUMN", help="Column to sort by.")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="rich", show_default=True)
@click.option(
    "--published",
    metavar="TASK|FILE",
    default=None,
    help="Published rows beside: CIFAR-10, CIFAR-100, PTB, or of a file.",
)
@click.option("--columns", metavar="A,B", default=None, help="md and tex: headings, or `all`. [default: short]")
@click.option("--transpose", is_flag=True, help="md and tex: strategies across.")
@click.option("--tasks", "what", flag_value="tasks", help="md and tex: strategies down, problems across, with ranks.")
@click.option("--pairs", "what", flag_value="pairs", help="md and tex: the differences of all pairs as a matrix.")
@fit_option
def leaderboard(
    study: str | None,
    store: str,
    sort: str,
    kind: str,
    published: str | None,
    columns: str | None,
    transpose: bool,
    what: str | None,
    fit: Fit,
) -> None:
    """The leaderboard of a study (the latest, if none is named)."""
    from searchbench.errors import InputError
    from searchbench.reports.dossier import read
    from searchbench.reports.render import render, written
    from searchbench.reports.render.sheets import of_pairs, of_tasks
    from searchbench.results.store import open_store

    if what and (kind not in ("md", "tex") or columns or transpose):
        raise InputError(
            f"`--{what}` is a table of its own, for `--format md` or `tex` without columns or transposing."
        )
    with open_store(store) as opened:
        dossier = read(opened, study, sort=sort, published=published)
    if what:
        sheets = of_pairs(dossier.board) if what == "pairs" else of_tasks(dossier.board, dossier.across)
        click.echo(written(sheets, kind, fit).rstrip("\n"))
    elif columns is None and not transpose and fit == "text":
        show(dossier.board, kind)
    else:
        names = None if columns is None else columns.split(",")
        click.echo(render(dossier.board, kind, columns=names, transpose=transpose, fit=fit).rstrip("\n"))


def show(board: Leaderboard, kind: str = "rich") -> None:
    """Print a leaderboard, in colours where the output is a terminal."""
    from searchbench.reports.render import render
    from searchbench.reports.render.terminal import to_rich

    if kind == "rich":
        console = terminal()
        console.print(to_rich(board, console.width))
    else:
        click.echo(render(board, kind).rstrip("\n"))


def in_brief(dossier: Dossier) -> None:
    """Print what was found: a sentence and a short table for each problem."""
    from dataclasses import replace

    from rich.text import Text

    from searchbench.reports.brief import brief, to_text
    from searchbench.reports.words import headlines

    console = terminal()
    for (_, found), block in zip(headlines(dossier.board), brief(dossier.board), strict=False):
        console.print(Text(found, style="bold"))
        console.print(Text(to_text([replace(block, notes=())])))


def in_words(dossier: Dossier) -> None:
    """Print what was found, which differences are real, which are not, and what it would take to know."""
    from rich.text import Text

    from searchbench.reports.words import headlines, summary

    console = terminal()
    found = headlines(dossier.board)
    for problem, sentence in found:
        console.print(Text(f"{problem}: {sentence}" if len(found) > 1 else sentence, style="bold"))
    console.print()
    told = [(f"In words, on {problem}:", said[1:]) for problem, said in summary(dossier.board)]
    if dossier.across is not None:
        told.append(("In words, on all problems together:", dossier.across.sentences))
    for title, said in told:
        console.print(Text(title, style="bold"))
        for sentence in said:
            console.print(Text(f"- {sentence}"))
        console.print()


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="[STUDY] A B")
@store_option
def compare(names: tuple[str, ...], store: str) -> None:
    """Two strategies of a study, paired by seed: every test that applies, in words, with a small figure."""
    from searchbench.reports.comparison import compare as pair
    from searchbench.reports.render.pairs import to_rich
    from searchbench.results.store import open_store

    if len(names) not in (2, 3):
        raise click.UsageError(f"compare takes [STUDY] A B, but got {len(names)} names.")
    study = names[0] if len(names) == 3 else None
    with open_store(store) as opened:
        comparisons = pair(opened, names[-2], names[-1], study=study)
    for comparison in comparisons:
        terminal().print(to_rich(comparison))
