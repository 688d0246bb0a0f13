"""Ranking against the truth in the terminal: tau with its floors, regrets, the ceiling, and what it does not show."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from searchbench.reports.console import on_paper
from searchbench.reports.ranking import KS, WHAT, Agreement, ProxyRanking
from searchbench.reports.render.numbers import NONE
from searchbench.statistics import Answer

HEADINGS = ("values of", "kind", "n", "tau-b", "95 % CI", "Spearman", "params", "MACs")
"""The last two are the floor."""


def to_rich(found: ProxyRanking) -> Group:
    """Counts, the table, the ceiling, every refusal once, the caveats."""
    title = f"{found.study} · {found.problem} · ranking against the judge"
    parts: list[Text | Table] = [Text(title, style="bold"), Text(counted(found)), Text(found.conclusion), Text()]
    if found.agreements:
        first = len(HEADINGS)
        parts += [_table(found, range(first)), Text()]
        parts += [_table(found, (0, 1, 2, *range(first, first + len(KS)))), Text()]
    parts += [Text(ceiling(found)), *(Text(note, style="dim") for note in notes(found))]
    return Group(*parts)


def to_text(found: ProxyRanking, width: int = 140) -> str:
    """The table as plain text."""
    console = on_paper(width)
    with console.capture() as captured:
        console.print(to_rich(found))
    return captured.get()


def headings() -> tuple[str, ...]:
    """Headings of the table's columns."""
    return (*HEADINGS, *(f"regret@{k}" for k in KS))


def cells(own: Agreement) -> tuple[str, ...]:
    """One row under `headings`."""
    regrets = dict(own.regrets)
    interval = own.tau.interval
    return (
        own.name,
        own.kind,
        str(own.tau.n),
        _number(own.tau),
        NONE if interval is None else f"[{interval.low:.2f}, {interval.high:.2f}]",
        NONE if own.spearman is None else f"{own.spearman:.2f}",
        NONE if own.params.estimate is None else _number(own.params),
        NONE if own.macs.estimate is None else _number(own.macs),
        *(f"{regrets[k]:.3g}" if k in regrets else NONE for k in KS),
    )


def counted(found: ProxyRanking) -> str:
    """How many architectures were judged how often."""
    lost = f"; judging failed {found.failed} times" if found.failed else ""
    return f"{found.architectures} distinct architectures in {found.judgements} judgements{lost}."


def ceiling(found: ProxyRanking) -> str:
    """The noise ceiling in words."""
    lead = "Noise ceiling refused" if found.ceiling.status == "refused" else "Noise ceiling"
    return f"{lead}: {found.ceiling.wording}."


def notes(found: ProxyRanking) -> list[str]:
    """What the values are, why something was refused (strategies together that share a reason), the caveats."""
    reasons: dict[str, list[str]] = {}
    for own in found.agreements:
        if own.tau.status != "ok":
            reasons.setdefault(own.tau.wording, []).append(own.name)
            continue
        for size, answer in (("params", own.params), ("MACs", own.macs)):
            if answer.status != "ok":
                reasons.setdefault(f"no floor by {size}, {answer.wording}", []).append(own.name)
    said = [f"{kind}: {what}." for kind, what in WHAT.items() if any(a.kind == kind for a in found.agreements)]
    said += [f"Refused for {', '.join(dict.fromkeys(names))}: {why}." for why, names in reasons.items()]
    said.append("params, MACs: the floor, tau-b of the same architectures ranked by size, the larger the better.")
    said.append(
        f"regret@k: {found.metric.name} of the best among the k best by validation, minus that of the row's best judged"
        f"{', in ' + found.unit if found.unit else ''}."
    )
    return [*map(str, found.caveats), *said, *found.limits]


def _table(found: ProxyRanking, shown: Sequence[int]) -> Table:
    """The columns at these places; names fold where it is narrow, numbers never."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for i in shown:
        table.add_column(Text(headings()[i]), overflow="fold", no_wrap=i > 0)
    for row in map(cells, found.agreements):
        table.add_row(*(Text(row[i]) for i in shown))
    return table


def _number(answer: Answer) -> str:
    return f"{answer.estimate:.2f}" if answer.estimate is not None else answer.status
