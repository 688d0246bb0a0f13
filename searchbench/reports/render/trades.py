"""Trade-offs as a table: hypervolumes, and how many finds stand on the front of all."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from searchbench.reports.render.numbers import NONE, count
from searchbench.reports.tradeoff import Traded, Tradeoff
from searchbench.statistics import Answer

HEADINGS = ("strategy", "n", "mean cost", "hypervolume handed over", "95 % CI", "hypervolume measured", "on the front")


def to_rich(found: Tradeoff) -> Group:
    """The table, the front itself, the notes."""
    shown = table(found)
    drawn = Table(*HEADINGS, box=box.SIMPLE_HEAD, title=shown["title"], title_justify="left")
    for row in shown["rows"]:
        drawn.add_row(*row)
    front = Table("on the front", found.name, found.measured.heading, box=box.SIMPLE_HEAD)
    for own in found.front:
        front.add_row(f"{own.strategy}, seed {own.replicate}", _cost(found, own.cost), _error(found, own.error))
    return Group(drawn, front, *(Text(note, style="dim") for note in shown["notes"]))


def table(found: Tradeoff) -> dict[str, Any]:
    """Title, headings, rows and notes as plain values."""
    cost, error = found.reference
    origin = "declared" if found.declared else "a tenth beyond the worst that was handed over, where not declared"
    return {
        "title": f"{found.study} · {found.problem} · {found.measured.name} against {found.name}",
        "headings": HEADINGS,
        "rows": [_cells(found, row) for row in found.rows],
        "notes": [
            *map(str, found.caveats),
            "Hypervolume: the share of the box between the origin and the reference point that is dominated, higher is "
            "better; mean ± std across independent searches.",
            f"Reference point, the same for all: {found.name} {_cost(found, cost)}, error "
            f"{found.scale * error:.4g} ({origin}).",
            "Handed over: the one network of a search, judged. Measured: all that a search measured, by validation "
            "values as it knew them (inherited weights, where a supernet was searched): only alike searches compare; "
            f"reference: {found.name} {_cost(found, found.measured_reference[0])}, and a tenth beyond the worst value "
            "that anybody measured.",
        ],
    }


def _cost(found: Tradeoff, value: float) -> str:
    """ "4.38" of milliseconds, "2.00M" of what is counted."""
    return f"{value:,.4g}" if found.metric == "latency_ms" else count(value)


def _error(found: Tradeoff, value: float) -> str:
    return found.measured.number(found.scale * value)


def _cells(found: Tradeoff, row: Traded) -> tuple[str, ...]:
    costs = [own.cost for own in row.found]
    interval = row.judged.interval
    return (
        row.strategy,
        str(row.judged.n),
        _cost(found, sum(costs) / len(costs)) if costs else NONE,
        _said(row.judged),
        NONE if interval is None else f"[{interval.low:.3f}, {interval.high:.3f}]",
        NONE if row.measured is None else _said(row.measured),
        f"{row.on_front}/{len(row.found)}",
    )


def _said(answer: Answer) -> str:
    if answer.estimate is None:
        return NONE
    std = answer.get("std")
    return f"{answer.estimate:.3f}" if std is None else f"{answer.estimate:.3f} ± {std:.3f}"
