"""`ablation`, `ranking`, `pareto`, `checklist` and `report`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from searchbench.cli.options import fit_option, store_option, terminal, trust_option, workers_option

if TYPE_CHECKING:
    from searchbench.reports.render.sheets import Fit
    from searchbench.reports.sharing import Found
    from searchbench.results.records import StudyRecord


def _as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    from searchbench.reports.exports import written

    return written(rows)


def _as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    from searchbench.reports.exports import as_json

    return as_json(rows)


FORMATS = ("rich", "md", "tex", "csv", "json")
DATA: dict[str, Callable[[Iterable[Mapping[str, Any]]], str]] = {"csv": _as_csv, "json": _as_json}
format_option: Callable[[Any], Any] = click.option(
    "--format", "kind", type=click.Choice(FORMATS), default="rich", show_default=True
)


@click.command()
@click.argument("study", required=False)
@store_option
@format_option
@fit_option
def ablation(study: str | None, store: str, kind: str, fit: Fit) -> None:
    """What each declared part of a method contributes: effects, interactions, and what is established."""
    from searchbench.reports.ablation import ablation as analyse
    from searchbench.reports.exports import effect_records
    from searchbench.reports.render import written
    from searchbench.reports.render.effects import to_rich
    from searchbench.reports.render.sheets import of_ablation
    from searchbench.results.store import open_store

    with open_store(store) as opened:
        found = analyse(opened, study)
    if kind in DATA:
        click.echo(DATA[kind](effect_records(found)), nl=False)
        return
    if kind != "rich":
        click.echo(written(of_ablation(found), kind, fit).rstrip("\n"))
        return
    for one in found:
        terminal().print(to_rich(one))


@click.command()
@click.argument("study", required=False)
@store_option
@workers_option
@click.option("--table", metavar="NAME|PATH", default=None, help="Truth for supernets: validation in this table.")
@click.option(
    "--judge",
    metavar="N",
    type=click.IntRange(min=1),
    default=None,
    help="Where the judge trains: have it train N architectures that every supernet scored, twice each.",
)
@trust_option
def ranking(
    study: str | None, store: str, workers: int | None, table: str | None, judge: int | None, trust: bool
) -> None:
    """Whether what the searches knew ranks architectures as the judge does, with noise ceiling and floor.

    First what was handed over; then, where supernets scored a sample in common, how their inherited weights rank it.
    """
    from searchbench.reports.ranking import ranking as analyse
    from searchbench.reports.render.ranks import to_rich
    from searchbench.reports.sharing import gather
    from searchbench.results.store import open_store

    with open_store(store) as opened:
        declared, found = opened.history(study).whole, analyse(opened, study)
        shared = gather(opened, declared)
    for one in found:
        terminal().print(to_rich(one))
    if shared:
        _by_inherited_weights(store, declared, shared, table, judge, workers, trust)


def _by_inherited_weights(
    store: str,
    study: StudyRecord,
    shared: Found,
    table: str | None,
    judge: int | None,
    workers: int | None,
    trust: bool,
) -> None:
    from searchbench.harness.truth import by_judge, by_table
    from searchbench.reports.render.shared import to_rich
    from searchbench.reports.sharing import build, sample
    from searchbench.results.history import caveats_of
    from searchbench.results.inherited import Truth

    for caveat in caveats_of(study.declared):
        terminal().print(str(caveat), markup=False, emoji=False)
    for problem, methods in shared.items():
        notations = sample(methods)
        if not notations:
            truth = Truth("none asked for", {}, {})
        elif table is not None:
            truth = by_table(study, problem, notations, table, trust=trust)
        else:
            truth = by_judge(store, study, problem, notations, at_most=judge, workers=workers, trust=trust)
        terminal().print(to_rich(build(study.name, problem, methods, truth)))
        if notations and not truth.errors:
            terminal().print(
                f"The judge of `{problem}` trains, so none of the {len(notations)} architectures was judged; "
                "`--judge N` has N of them trained, `--table` looks them up.",
                markup=False,
            )


@click.command()
@click.argument("study", required=False)
@store_option
@click.option("--metric", default=None, metavar="NAME", help="Only this one: latency_ms, macs or params.")
@format_option
@fit_option
def pareto(study: str | None, store: str, metric: str | None, kind: str, fit: Fit) -> None:
    """Error against latency, MACs and parameters: Pareto fronts, and hypervolume across independent searches."""
    from searchbench.errors import InputError, did_you_mean
    from searchbench.reports.render import written
    from searchbench.reports.render.sheets import of_fronts
    from searchbench.reports.render.trades import to_rich
    from searchbench.reports.tradeoff import METRICS, records, tradeoffs
    from searchbench.results.store import open_store

    if metric is not None and metric not in METRICS:
        raise InputError(f"there is no metric `{metric}` to trade error for; {did_you_mean(metric, METRICS)}")
    with open_store(store) as opened:
        found = tradeoffs(opened, study)
    shown = [one for one in found if metric in (None, one.metric)]
    if not shown:
        raise InputError(f"no judged run of this study reports {metric or 'latency, MACs or parameters'}.")
    if kind in DATA:
        click.echo(DATA[kind](records(shown)), nl=False)
        return
    if kind != "rich":
        click.echo(written(of_fronts(shown), kind, fit).rstrip("\n"))
        return
    for one in shown:
        terminal().print(to_rich(one))


@click.command()
@click.argument("study", required=False)
@store_option
def checklist(study: str | None, store: str) -> int:
    """The best-practice items, PASS / WARN / FAIL / N-A with evidence. Exits with 1 where one removes the ranking."""
    from searchbench.reports.dossier import read
    from searchbench.reports.render.checks import to_rich
    from searchbench.results.store import open_store

    with open_store(store) as opened:
        dossier = read(opened, study)
    for problem, found in dossier.checklists.items():
        terminal().print(to_rich(found, f"{dossier.study.name} · {problem}"))
    return 0 if all(found.ranking_allowed for found in dossier.checklists.values()) else 1


@click.command()
@click.argument("study", required=False)
@store_option
@click.option("--out", metavar="DIR", default=None, help="Folder to write to. [default: STUDY-report beside the store]")
@click.option(
    "--published",
    metavar="TASK|FILE",
    default=None,
    help="Published rows beside: CIFAR-10, CIFAR-100, PTB, or of a file.",
)
@click.option("--pdf", is_flag=True, help="Figures also as PDF; needs searchbench[report].")
@click.option(
    "--figure-width",
    metavar="NAME|PT",
    default="column",
    show_default=True,
    help="Of the figures' files: column (234 pt), text (397), page (487), or a number of points.",
)
@click.option(
    "--font-size", type=click.FloatRange(min=4, max=30), default=8, show_default=True, help="Theirs, in points."
)
def report(
    study: str | None,
    store: str,
    out: str | None,
    published: str | None,
    pdf: bool,
    figure_width: str,
    font_size: float,
) -> None:
    """One HTML page that works offline, and every table and figure as files: CSV, Markdown, LaTeX, JSON, SVG."""
    from searchbench.reports.figures.svg import paper_of
    from searchbench.reports.report import default_folder
    from searchbench.reports.report import report as write
    from searchbench.results.store import open_store

    paper = paper_of(figure_width, font_size)
    with open_store(store) as opened:
        folder = default_folder(opened, opened.study(study).name) if out is None else out
        written = write(opened, study, folder, published=published, pdf=pdf, paper=paper)
    click.echo(f"{written.page} ({len(written.files)} files)")
