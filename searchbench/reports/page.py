"""The HTML page: everything a template needs as plain values, and one self-contained file out of it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchbench.reports import drawings
from searchbench.reports.dossier import Dossier
from searchbench.reports.figures import ablated, anytime, contest, logged, ranked, traded
from searchbench.reports.figures.figure import Figure, Picture, slug
from searchbench.reports.figures.plotly import to_plotly
from searchbench.reports.leaderboard import Block, Leaderboard
from searchbench.reports.ranking import ProxyRanking
from searchbench.reports.render import ranks, trades
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
from searchbench.reports.render.effects import cells_of
from searchbench.reports.render.meanings import meaning
from searchbench.reports.render.numbers import minus
from searchbench.reports.render.short import concerning, short
from searchbench.reports.runs import overview
from searchbench.reports.words import headline, sentences
from searchbench.results.records import RunRecord

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
MAX_EMBEDDED = 2_000_000
"""Characters of a CSV that the page carries; a larger one lies beside it."""
MAX_TRACEBACKS = 40
MAX_CELLS = 12


def figures_of(dossier: Dossier) -> dict[str, dict[str, Sequence[Picture]]]:
    """All figures, by problem and section, in the page's order."""
    found: dict[str, dict[str, Sequence[Picture]]] = {}
    for block in _own_blocks(dossier.board):
        runs = dossier.current.get(block.problem, ())
        colours = {row.strategy: i for i, row in enumerate(block.rows)}
        logs = logged.logs_of(runs)
        curves = dossier.curves.get(block.problem, {})
        main = [contest.errors(block, runs, colours) if any(row.n for row in block.rows) else None]
        main += [contest.rank_intervals(block, colours), contest.differences(block, colours)]
        main += [contest.critical_difference(block, colours), contest.best_of(block, runs, colours)]
        others = [row.strategy for row in block.rows]
        found[block.problem] = {
            "results": _some(main),
            "anytime": [
                anytime.anytime(block.problem, runs, c, colours, block.verdicts.metric, contest.focus(block))
                for c in curves.values()
            ],
            "pairs": _some(contest.pairs(block, name, colours) for name in others),
            "costs": _some(
                contest.against(block, runs, colours, axis=axis, title=title)
                for axis, title in (
                    ("params", "parameters of the found network"),
                    ("macs of the network", "MACs of the found network"),
                    ("macs", "MACs of the search"),
                    ("seconds", "seconds of the search (device or simulated)"),
                    ("host_s", "CPU seconds of the strategy itself"),
                )
            ),
            "epochs": logged.epochs(block.problem, logs, colours),
            "traces": logged.traces(block.problem, logs, colours),
        }
    for ranking in dossier.rankings:
        block = next(b for b in _own_blocks(dossier.board) if b.problem == ranking.problem)
        colours = {row.strategy: i for i, row in enumerate(block.rows)}
        found.setdefault(ranking.problem, {})["ranking"] = ranked.scatters(ranking, colours)
    for trade in dossier.tradeoffs:
        block = next(b for b in _own_blocks(dossier.board) if b.problem == trade.problem)
        colours = {row.strategy: i for i, row in enumerate(block.rows)}
        own = found.setdefault(trade.problem, {})
        own["tradeoffs"] = [*own.get("tradeoffs", ()), traded.picture(trade, colours, contest.focus(block))]
    for one in dossier.ablations:
        parts = [*ablated.effects(one), *ablated.interactions(one), ablated.waterfall(one)]
        found.setdefault(one.problem, {})["ablation"] = _some(parts)
    return found


def index_html(stores: Sequence[Mapping[str, Any]]) -> str:
    """The list of stores and their studies that a server begins with."""
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    return _environment().get_template("index.html.j2").render(stores=stores, css=css)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(["j2"]), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters["minus"] = minus
    return found


def to_html(
    dossier: Dossier,
    figures: Mapping[str, Mapping[str, Sequence[Picture]]],
    csv: Mapping[str, str],
    *,
    live: bool = False,
) -> str:
    """The page, with the figures' library, styles, data and CSVs inside.

    Args:
        live: for a server: the page asks it for progress, and for runs that it does not hold whole.
    """
    drawn = [figure for sections in figures.values() for own in sections.values() for figure in own]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            study=dossier.study,
            live=live,
            problems=[_problem(dossier, block, figures.get(block.problem, {})) for block in _own_blocks(dossier.board)],
            others=[
                _table(dossier.board, block, columns(block))
                for block in dossier.board.blocks
                if not (block.ranked or block.withheld)
            ],
            published=_published(dossier.board),
            across=dossier.across,
            caveats=dossier.caveats,
            provenance=_provenance(dossier),
            declaration=json.dumps(_short_spec(dossier.spec), indent=1, ensure_ascii=False),
            failures=_failures(dossier.runs),
            figure_data=packed(_json({figure.name: to_plotly(figure) for figure in drawn})),
            csv_data={name: packed(text) for name, text in csv.items() if len(text) <= MAX_EMBEDDED},
            csv_names=list(csv),
            run_data=packed(_json(overview(dossier))),
            library=plotly_library(),
            css=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
            javascript=(TEMPLATES / "page.js").read_text(encoding="utf-8"),
        )
    )


@cache
def plotly_library() -> str:
    """The JavaScript that plotly's wheel ships, packed; the Python package itself is not imported."""
    place = Path(str(distribution("plotly").locate_file("plotly/package_data/plotly.min.js")))
    return packed(place.read_text(encoding="utf-8"))


def packed(text: str) -> str:
    """Text as zlib's bytes in base64: what browsers unpack by themselves (`DecompressionStream("deflate")`)."""
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()


def _own_blocks(board: Leaderboard) -> list[Block]:
    return [block for block in board.blocks if block.ranked or block.withheld]


def _problem(dossier: Dossier, block: Block, figures: Mapping[str, Sequence[Picture]]) -> dict[str, Any]:
    checks = dossier.checklists.get(block.problem)
    return {
        "label": block.problem,
        "id": slug(block.problem),
        "headline": headline(block),
        "summary": sentences(block),
        "short": _table(dossier.board, block, short(block)),
        "table": _table(dossier.board, block, columns(block)),
        "checklist": checks,
        "comparisons": [
            {"who": a, "verdict": block.verdicts[a].verdict, "wording": answer.wording, "method": answer.method}
            for (a, _), answer in block.verdicts.versus or ()
        ],
        "figures": figures,
        "ablation": next((_ablation(a) for a in dossier.ablations if a.problem == block.problem), None),
        "ranking": next((_ranking(r) for r in dossier.rankings if r.problem == block.problem), None),
        "tradeoffs": [trades.table(t) for t in dossier.tradeoffs if t.problem == block.problem],
        "cells": _cells(dossier.current.get(block.problem, ()), block),
    }


def _table(board: Leaderboard, block: Block, shown: Sequence[Column]) -> dict[str, Any]:
    keys = _sort_keys(block, shown)
    rows = [
        [
            {"text": column.cells[i], "sort": keys[column.title][i], "bold": column.stands_out(i)}
            for column in shown
        ]
        for i in range(len(block.rows))
    ]  # fmt: skip
    return {
        "heading": heading(board, block),
        "names": [row.strategy for row in block.rows],
        "problem": block.problem,
        "columns": [{"title": c.title, "numeric": c.numeric, "meaning": meaning(c, block)} for c in shown],
        "rows": rows,
        "notes": concerning(notes(board, block), shown),
        "details": details(block),
    }


def _sort_keys(block: Block, shown: Sequence[Column]) -> dict[str, list[Any]]:
    """What each column is sorted by: the full numbers behind its cells, the cells themselves for words."""
    fields = {
        "n": "n", "failed": "failed", "rank": "rank_low",
        f"{block.verdicts.declared.confidence} CI": "interval_low", "adjusted p": "p_adjusted",
        "effect size": "effect", "P(best)": "p_best", "params": "params", "MACs": "macs", "search evals":
        "cost_evaluations", "search epochs": "cost_epochs", "search samples": "cost_samples",
        "search MACs": "cost_macs",
        "search device": "cost_device_s", "search simulated": "cost_simulated_s", "strategy itself": "cost_host_s",
        "peak memory": "cost_peak_memory_bytes", "judging failed": "judge_failed", "not yet run": "missing",
    }  # fmt: skip
    values = [row.values() for row in block.rows]
    keys: dict[str, list[Any]] = {}
    for column in shown:
        name = fields.get(column.title)
        if column.title.startswith(block.verdicts.metric.name):
            name = "test_error_mean"
        elif column.title.startswith("validation"):
            name = "value_mean"
        elif column.title.startswith("against"):
            name = "difference"
        keys[column.title] = [v[name] for v in values] if name else list(column.cells)
    return keys


def _published(board: Leaderboard) -> dict[str, Any] | None:
    if not board.reported:
        return None
    shown = published_columns(board.reported)
    return {
        "heading": published_heading(board),
        "names": [],
        "problem": "",
        "columns": [{"title": c.title, "numeric": c.numeric, "meaning": ""} for c in shown],
        "rows": [
            [{"text": c.cells[i], "sort": c.cells[i], "bold": False} for c in shown] for i in range(len(board.reported))
        ],
        "notes": list(PUBLISHED_NOTES),
        "details": [],
    }


def _ablation(found: Any) -> dict[str, Any]:
    return {
        "conclusion": found.conclusion,
        "effects": [cells_of(name, answer, found.metric) for name, answer in found.effects.items()],
        "ladder": [rung.interaction for rung in found.ladder],
        "unit": found.unit,
        "confidence": found.confidence,
    }


def _ranking(found: ProxyRanking) -> dict[str, Any]:
    return {
        "counted": ranks.counted(found),
        "conclusion": found.conclusion,
        "headings": ranks.headings(),
        "rows": [ranks.cells(own) for own in found.agreements],
        "ceiling": ranks.ceiling(found),
        "notes": ranks.notes(found),
    }


def _cells(runs: Sequence[RunRecord], block: Block) -> list[dict[str, Any]]:
    """Cells: for each strategy that of its best validation value, and how many of its searches found the same one."""
    found = []
    for row in block.rows:
        own = [run for run in runs if run.strategy == row.strategy and run.architecture and run.judged]
        if not own:
            continue
        best = min(own, key=lambda run: (run.value if run.value == run.value else float("inf"), run.replicate))
        title = f"{row.strategy}: best on validation, seed {best.replicate}"
        svg = drawings.drawn(best.architecture or "", title)
        if svg is None:
            continue
        same = sum(run.architecture_key == best.architecture_key for run in own)
        found.append({"title": title, "svg": svg, "text": best.architecture, "same": same,
                      "of": len(own)})  # fmt: skip
    return found[:MAX_CELLS]


def _failures(runs: Iterable[RunRecord]) -> dict[str, Any]:
    """Runs without a test error, one traceback for each kind of failure."""
    groups: dict[tuple[str, str, str], list[RunRecord]] = {}
    for run in runs:
        if not run.judged:
            groups.setdefault((run.problem, run.strategy, run.failure), []).append(run)
    shown = [
        {
            "problem": problem, "strategy": strategy, "message": last, "runs": len(own), "status": own[0].status,
            "seeds": ", ".join(str(run.replicate) for run in own[:10]) + (" …" if len(own) > 10 else ""),
            "traceback": ((own[0].test_failure if own[0].ok else own[0].error) or "").strip(),
        }
        for (problem, strategy, last), own in groups.items()
    ]  # fmt: skip
    return {"shown": shown[:MAX_TRACEBACKS], "more": max(0, len(shown) - MAX_TRACEBACKS)}


def _provenance(dossier: Dossier) -> list[tuple[str, str]]:
    kept = dossier.study.provenance
    rows = [("study", dossier.study.name), ("declared", dossier.study.created)]
    rows.append(("revision", str(dossier.study.revision)))
    rows += [(f"fingerprint of {p['label']}", p["fingerprint"]) for p in dossier.spec.get("problems", [])]
    rows += [(key, str(value)) for key, value in kept.items() if not isinstance(value, Mapping) and value is not None]
    rows += [("hosts", ", ".join(sorted({run.host for run in dossier.runs if run.host})) or "–")]
    rows += [(f"{name}", version) for name, version in (kept.get("packages") or {}).items()]
    return rows


def _short_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The declaration without the list of run ids and the decisions of every space."""
    kept = {k: v for k, v in spec.items() if k not in ("planned", "problems")}
    kept["planned"] = f"{len(spec.get('planned', []))} runs"
    return kept


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _some(figures: Iterable[Figure | None]) -> list[Figure]:
    return [figure for figure in figures if figure is not None]
