"""An ablation in the terminal: cells, effects, the ladder, and the sentence that says what is established."""

from __future__ import annotations

import math

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from searchbench.metric import Metric
from searchbench.reports.ablation import Ablation
from searchbench.reports.console import on_paper
from searchbench.reports.render import sketch
from searchbench.reports.render.numbers import NONE, signed
from searchbench.statistics import Answer
from searchbench.statistics.factorial import label

WIDTH = 33


def to_rich(found: Ablation) -> Group:
    """What is established, then the numbers behind it."""
    unit = f" ({found.unit})" if found.unit else ""
    cells = _table(
        "parts",
        "strategy",
        f"{found.metric.name} {found.metric.arrow}"
        + (f" ({found.metric.shown_unit})" if found.metric.shown_unit else ""),
    )
    for cell in found.cells:
        cells.add_row(label(cell.parts, found.parts), Text(cell.strategy), cell.answer.wording)
    parts: list[Text | Table] = [
        Text(f"{found.study} · {found.problem} · ablation of {', '.join(found.factors)}", style="bold"),
        Text(found.conclusion),
        *(Text(note, style="dim") for note in found.notes),
        Text(),
        cells,
        Text(),
    ]
    if found.effects:
        parts += [_effects(f"effect on the {found.metric.name}{unit}", dict(found.effects), found.metric), Text()]
    if found.ladder:
        steps = {f"base + {r.component}": r.added for r in found.ladder if r.added is not None}
        steps |= {f"{r.component} within full": r.removed for r in found.ladder if r.removed is not None}
        parts += [
            _effects(f"one part at a time{unit}", steps, found.metric),
            *(Text(r.interaction, style="dim") for r in found.ladder),
        ]
    return Group(*parts)


def to_text(found: Ablation, width: int = 120) -> str:
    """The table as plain text."""
    console = on_paper(width)
    with console.capture() as captured:
        console.print(to_rich(found))
    return captured.get()


def _effects(title: str, answers: dict[str, Answer], metric: Metric) -> Table:
    level = next((a.interval.level for a in answers.values() if a.interval is not None), 0.95)
    table = _table(title, "estimate", f"{100 * level:g} % CI", "adjusted p", f"{'lower'.ljust(WIDTH - 6)}higher")
    bounds = [abs(x) for a in answers.values() if a.interval is not None for x in (a.interval.low, a.interval.high)]
    reach = 1.05 * max(bounds, default=1.0) or 1.0
    for name, answer in answers.items():
        table.add_row(*cells_of(name, answer, metric), _line(answer, reach))
    return table


def cells_of(name: str, answer: Answer, metric: Metric) -> tuple[str, str, str, str]:
    """Name, estimate, interval and adjusted p of one effect."""
    found = answer.interval
    width = math.nan if found is None else (found.high - found.low) / 4
    estimate = NONE if answer.estimate is None else signed(answer.estimate, metric, width)
    interval = NONE if found is None else f"[{metric.number(found.low, width)}, {metric.number(found.high, width)}]"
    p = NONE if answer.p_adj is None else "<0.001" if answer.p_adj < 0.001 else f"{answer.p_adj:.3f}"
    return name, estimate, interval, "refused" if answer.status == "refused" else p


def _line(answer: Answer, reach: float) -> str:
    if answer.interval is None or answer.estimate is None:
        return answer.refusal_reason or answer.wording
    return sketch.interval(answer.interval.low, answer.estimate, answer.interval.high, reach=reach, width=WIDTH)


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for heading in headings:
        table.add_column(Text(heading), overflow="fold")
    return table
