"""A comparison of two strategies in words and as a table of seeds."""

from __future__ import annotations

import math

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from searchbench.metric import Metric
from searchbench.reports.comparison import Pair, PairedComparison
from searchbench.reports.console import on_paper
from searchbench.reports.render import sketch
from searchbench.reports.render.numbers import NONE, number, signed, spread, times

WIDTH = 32
"""Characters of the drawing of a pair."""
UNPLANNED = (
    "The study did not declare this comparison; its p-values are not adjusted for the other pairs one might have "
    "looked at: take them as exploratory."
)
ALONE = "The two by themselves, not adjusted for the rest of that family:"
NAMED = 8
"""Incomplete seeds that are named in a sentence; the table has them all."""


def sentences(comparison: PairedComparison) -> list[str]:
    """What happened, then every test that applies, each with its question."""
    metric = comparison.metric
    left, right, difference = comparison.left_summary, comparison.right_summary, comparison.difference
    said = [
        f"On {comparison.problem}, {name} reached {metric.with_article} of {metric.with_unit(spread(summary, metric))} "
        f"({times(summary.n)} of {len(comparison.pairs)})."
        if summary.n
        else f"On {comparison.problem}, {name} has no judged run ({len(comparison.pairs)} planned)."
        for name, summary in ((comparison.left, left), (comparison.right, right))
    ]
    if difference.n:
        said += [_difference(comparison, metric), _directions(comparison)]
    else:
        said.append("No seed has a result of both, so there is no difference to report.")
    if comparison.incomplete:
        named = [f"seed {pair.seed} ({_reason(comparison, pair)})" for pair in comparison.incomplete]
        more = f"; and {len(named) - NAMED} more" if len(named) > NAMED else ""
        said.append(f"Left out of the difference: {'; '.join(named[:NAMED])}{more}.")
    said += [f"{caveat}." for caveat in comparison.caveats]
    if comparison.family is not None:
        said.append(f"{comparison.family.question} {comparison.family.answer.wording}.")
        if comparison.asked:
            said.append(ALONE)
    said += [f"{asked.question} {capitalised(asked.answer.wording)}." for asked in comparison.asked]
    if comparison.asked and not comparison.planned:
        said.append(UNPLANNED)
    return said


def capitalised(text: str) -> str:
    """A sentence's first letter as a capital, unless it begins with a strategy's name."""
    words = ("no evidence", "not shown", "equivalent", "undecided", "have ", "declare", "equivalence needs")
    return text[:1].upper() + text[1:] if text.startswith(words) else text


def to_rich(comparison: PairedComparison) -> Group:
    """The sentences, the interval of the difference, then a row per seed with its pair of dots."""
    metric = comparison.metric
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="")
    unit = f"\n({metric.shown_unit})" if metric.shown_unit else ""
    points = f"\n({metric.short_difference_unit})" if metric.short_difference_unit else ""
    table.add_column("seed", justify="right")
    for heading in (comparison.left, comparison.right):
        table.add_column(Text(f"{heading}{unit}"), justify="right", overflow="fold")
    table.add_column(Text("difference" + points), justify="right")
    table.add_column(Text(f"{sketch.LEFT} {comparison.left}\n{sketch.RIGHT} {comparison.right}"), no_wrap=True)
    known = [v for pair in comparison.pairs for v in (pair.left, pair.right) if math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    for pair in comparison.pairs:
        cells = (_cell(pair.left, pair.left_state, metric), _cell(pair.right, pair.right_state, metric))
        dots = sketch.pair(pair.left, pair.right, low, high, WIDTH)
        table.add_row(str(pair.seed), *map(Text, cells), _signed(pair.difference, metric), Text(dots))
    said = [Text(f"- {sentence}") for sentence in sentences(comparison)]
    return Group(*said, Text(), *_interval(comparison), table)


def _interval(comparison: PairedComparison) -> list[Text]:
    """The difference's interval about zero, drawn."""
    answer = comparison.asked[0].answer if comparison.asked else None
    if answer is None or answer.interval is None or answer.estimate is None:
        return []
    found = answer.interval
    reach = 1.1 * max(abs(found.low), abs(found.high))
    line = sketch.interval(found.low, answer.estimate, found.high, reach=reach, width=2 * WIDTH)
    metric, width = comparison.metric, (found.high - found.low) / 4
    unit = f" {metric.difference_unit}" if metric.difference_unit else ""
    low, high = metric.number(found.low, width), metric.number(found.high, width)
    below = f"{comparison.left} lower".ljust(WIDTH) + f"{comparison.right} lower".rjust(WIDTH)
    told = f"{comparison.left} - {comparison.right}: {signed(answer.estimate, metric, width)} [{low}, {high}]{unit}"
    return [Text(told), Text(line), Text(below, style="dim"), Text()]


def to_text(comparison: PairedComparison, width: int | None = None) -> str:
    """The comparison as plain text."""
    console = on_paper(width or 120)
    with console.capture() as captured:
        console.print(to_rich(comparison))
    return captured.get()


def _difference(comparison: PairedComparison, metric: Metric) -> str:
    difference = comparison.difference
    word = "lower" if difference.mean < 0 else "higher"
    size = metric.number(metric.scale * abs(difference.mean), metric.scale * difference.std)
    points = f" {metric.difference_unit}" if metric.difference_unit else ""
    seeds = "On the one seed" if difference.n == 1 else f"On the {difference.n} seeds"
    if difference.mean == 0:
        return f"{seeds} both finished, their {_numbers(metric)} were equal on average."
    std = "" if math.isnan(difference.std) else f" (std of the differences {number(difference.std, metric)})"
    on_average = "" if difference.n == 1 else " on average"
    return (
        f"{seeds} both finished, the {_number(metric)} of {comparison.left} was {word} than that of {comparison.right} "
        f"by {size}{points}{on_average}{std}."
    )


def _directions(comparison: PairedComparison) -> str:
    lower, equal, higher = comparison.counts
    return f"{comparison.left} was lower on {lower} of them, equal on {equal}, higher on {higher}."


def _reason(comparison: PairedComparison, pair: Pair) -> str:
    sides = ((comparison.left, pair.left_state), (comparison.right, pair.right_state))
    return ", ".join(f"{name}: {state}" for name, state in sides if state != "ok")


def _number(metric: Metric) -> str:
    return "error" if metric.name == "test error" else metric.name


def _numbers(metric: Metric) -> str:
    return "errors" if metric.name == "test error" else f"values of {metric.name}"


def _cell(value: float, state: str, metric: Metric) -> str:
    return state if math.isnan(value) else number(value, metric)


def _signed(value: float, metric: Metric) -> str:
    return NONE if math.isnan(value) else ("+" if value > 0 else "") + number(value, metric)
