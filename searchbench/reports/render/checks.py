"""The checklist in the terminal: one line per practice, what was seen beside it."""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from searchbench.reports.checklist import Checklist, Verdict

STYLES = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.NA: "dim"}


def to_rich(found: Checklist, title: str) -> Group:
    """The summary, then the thirty items; blocking ones are marked."""
    table = Table("item", "verdict", "practice", "evidence", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False,
                  header_style="")  # fmt: skip
    for item in found.items:
        mark = " (blocking)" if item.blocking else ""
        verdict = Text(item.verdict.value, style=STYLES[item.verdict])
        table.add_row(item.id, verdict, Text(item.check + mark), Text(item.evidence))
    return Group(Text(f"{title}: {found.summary}", style="bold"), table)
