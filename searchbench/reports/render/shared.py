"""Ranking by inherited weights in the terminal: methods with floor, ceiling and regret, and the pairs of methods."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from searchbench.reports.console import on_paper
from searchbench.reports.render.numbers import NONE
from searchbench.reports.sharing import KS, Against, Method, SharingRanking
from searchbench.results.inherited import MEASURES
from searchbench.statistics import Answer

METHODS = ("supernet", "passes", "seeds", "tau-b ± std", "CI of both", "CI of sample", "error / loss")
PAIRS = ("a - b", "of tau", "CI of supernets", "CI of both", "a better", "p, Holm")


def to_rich(found: SharingRanking) -> Group:
    """Counts, the methods, ceiling and floor, the pairs, what was refused, how to read it."""
    title = f"{found.study} · {found.problem} · ranking by inherited weights"
    parts: list[Text | Table] = [Text(title, style="bold"), Text(counted(found)), Text()]
    if found.methods:
        headings = (*METHODS, *(f"regret@{k}" for k in KS))
        parts += [_table(headings, map(_row, found.methods)), Text(), Text(references(found))]
    if found.comparisons:
        parts += [Text(), _table(PAIRS, map(_pair, found.comparisons))]
    parts += [Text(), *(Text(note, style="dim") for note in notes(found))]
    return Group(*parts)


def to_text(found: SharingRanking, width: int = 140) -> str:
    """The table as plain text."""
    console = on_paper(width)
    with console.capture() as captured:
        console.print(to_rich(found))
    return captured.get()


def counted(found: SharingRanking) -> str:
    """The sample and the truth in words."""
    lost = f"; for {found.missing} more it has no answer" if found.missing else ""
    return (
        f"{found.architectures} architectures, the same for every supernet. Truth: {found.truth}, mean of "
        f"{found.repeats}{lost}."
    )


def references(found: SharingRanking) -> str:
    """Ceiling and floor in words."""
    if found.ceiling is None or found.alone is None:
        ceiling = "Noise ceiling not measured: every architecture was trained once."
    else:
        ceiling = f"Noise ceiling: {_mean(found.ceiling)} between two single trainings"
        ceiling += f", {_mean(found.alone)} of one with the mean of the others." if found.repeats > 2 else "."
    return f"{ceiling} Floor: {_number(found.params)} by parameters, {_number(found.macs)} by MACs."


def notes(found: SharingRanking) -> list[str]:
    """What was refused, and how the columns are to be read."""
    said = [f"Left out of {name}: {why}." for name, why in found.refused]
    if not found.architectures:
        said.append(
            "Nothing to rank: let `stratified-sample` be the second half (`shared-weights`) of two supernets or more."
        )
    if found.methods:
        unit = f", in {found.unit}" if found.unit else ""
        said += [
            "tau-b is taken within a supernet, whose scores have a scale of their own, then averaged over supernets. "
            "95 % intervals: of both, architectures and supernets resampled; of the sample, architectures for these "
            "supernets; of supernets, paired t over seeds for these architectures.",
            f"regret@k: truth of the best among a supernet's k best, minus that of the best of the sample{unit}.",
            "error / loss: tau-b by either of the same passes over the validation split; a path is scored by one of "
            "them (`score`), and shares of few labels are coarse.",
            "passes: over the training split, as they were charged; equal passes are not equal updates.",
        ]
    return said


def _row(own: Method) -> tuple[str, ...]:
    low_high = own.tau.get("architectures")
    std = own.tau.get("std")
    mean = own.tau.status if own.tau.estimate is None else f"{own.tau.estimate:.3f}"
    regrets = {k: f"{mean:.2f}" + ("" if math.isnan(spread) else f" ± {spread:.2f}") for k, mean, spread in own.regrets}
    return (
        own.name,
        f"{own.passes:.1f}",
        str(len(own.seeds)),
        mean if std is None else f"{mean} ± {std:.3f}",
        NONE if own.tau.interval is None else _span(own.tau.interval.low, own.tau.interval.high),
        NONE if low_high is None else _span(*low_high),
        " / ".join(_number(own.by_measure[measure]) for measure in MEASURES if measure in own.by_measure) or NONE,
        *(regrets.get(k, NONE) for k in KS),
    )


def _pair(own: Against) -> tuple[str, ...]:
    interval, p = own.answer.interval, own.answer.p_adj
    return (
        f"{own.a} - {own.b}",
        NONE if own.answer.estimate is None else f"{own.answer.estimate:+.3f}",
        NONE if interval is None else _span(interval.low, interval.high),
        _span(own.both.low, own.both.high),
        f"{own.wins} of {own.answer.n}",
        "too few seeds" if own.answer.status == "refused" else NONE if p is None else f"{p:.3g}",
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for i, heading in enumerate(headings):
        table.add_column(Text(heading), overflow="fold", no_wrap=i > 0)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _mean(answer: Answer) -> str:
    mean = answer.get("mean")
    return answer.status if mean is None else f"{mean:.3f}"


def _number(answer: Answer) -> str:
    return answer.status if answer.estimate is None else f"{answer.estimate:.3f}"


def _span(low: float, high: float) -> str:
    return f"[{low:.2f}, {high:.2f}]"
