"""What people read: a block as headings and short cells in human units, the same for terminal, Markdown and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, overload

from searchbench.metric import Metric
from searchbench.reports.leaderboard import Block, Leaderboard
from searchbench.reports.render import draws
from searchbench.reports.render.numbers import NONE, budget, clipped, count, memory, seconds, signed, spread, times
from searchbench.reports.rows import Row
from searchbench.reports.standing import MAX_FAILED_SHARE
from searchbench.results.records import DEFAULT_PROTOCOL
from searchbench.statistics.record import marked

if TYPE_CHECKING:
    from searchbench.reports.standing import Standing
    from searchbench.statistics import Row as PublishedRow

LOWER = "↓"
"""Beside a metric: lower is better."""
TOP = "•"
"""Before the ranks of the tied top group."""


class Later(Sequence[str]):
    """Cells that are worked out when one is first read: what few tables show, and takes long."""

    __slots__ = ("_cells", "_work_out")

    def __init__(self, work_out: Callable[[], tuple[str, ...]]) -> None:
        self._cells: tuple[str, ...] | None = None
        self._work_out = work_out

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if self._cells is None:
            self._cells = self._work_out()
        return self._cells[at]

    def __len__(self) -> int:
        return len(self[:])


@dataclass(frozen=True, slots=True)
class Column:
    """A heading in one or two lines, and the cells under it."""

    heading: tuple[str, ...]
    cells: Sequence[str]
    rank: int = 0
    """Where it is too narrow for all, columns of the highest rank go first; those of rank 0 stay."""
    numeric: bool = True
    bold: tuple[bool, ...] = ()
    """Cells to stand out: the tied top group, where there is one. Empty: none."""

    def stands_out(self, row: int) -> bool:
        """Whether the cell of that row is bold."""
        return bool(self.bold) and self.bold[row]

    @property
    def title(self) -> str:
        """The heading in one line."""
        return " ".join(self.heading).strip()

    @property
    def says(self) -> bool:
        """Whether there is anything in it; what is worked out later is there for something."""
        return isinstance(self.cells, Later) or any(cell != NONE for cell in self.cells)


def columns(block: Block) -> list[Column]:
    """The columns of a block that say something about it; costs that are zero throughout are left out."""
    metric = block.verdicts.metric
    on_way = validated(block)

    def column(heading: tuple[str, ...], cell: Callable[[Row], str], rank: int = 0) -> Column:
        return Column(heading, tuple(cell(row) for row in block.rows), rank)

    found = [
        Column(("strategy",), tuple(" ".join(row.strategy.split()) for row in block.rows), numeric=False),
        column(("n",), lambda row: str(row.n)),
        column(("failed",), lambda row: f"{row.failed}/{row.total}"),
        replace(
            column((f"{metric.name} {metric.arrow}", _bracketed(metric)), lambda row: result(row, metric)),
            bold=tuple(row.standing.top for row in block.rows),
        ),
        *_statistics(block),
        column(("validation", _bracketed(on_way)), lambda row: spread(row.value, on_way), 3),
        column(("params",), lambda row: count(row.params), 2),
        column(("MACs",), lambda row: count(row.macs), 2),
        *(_cost_column(block, *cost) for cost in _COSTS if any(row.cost[cost[0]] > 0 for row in block.rows)),
    ]
    if any(row.judge_failed for row in block.rows):
        found.append(column(("judging", "failed"), lambda row: str(row.judge_failed), 1))
    if block.missing:
        found.append(column(("not yet", "run"), lambda row: str(row.missing), 1))
    return [c for c in found if c.rank == 0 or c.says]


def _statistics(block: Block) -> list[Column]:
    """What the tests say: ranks, intervals, and each strategy against the baseline."""
    rows, metric = block.rows, block.verdicts.metric
    baseline = block.verdicts.declared.baseline

    def column(heading: tuple[str, ...], cell: Callable[[Standing], str], rank: int) -> Column:
        return Column(heading, tuple(cell(row.standing) for row in rows), rank)

    led = block.verdicts.declared.estimand
    found = [
        column(("rank",), ranks, 0),
        *([column((led,), lambda at: location(at, metric), 1)] if led != "mean" else []),
        column((f"{block.verdicts.declared.confidence} CI",), lambda at: interval(at, metric), 3),
    ]
    if block.verdicts.versus is not None:
        found += [
            column(
                (f"against {clipped(str(baseline), 18)}", f"Δ {_bracketed(metric, metric.short_difference_unit)}"),
                lambda at: difference(at, metric),
                1,
            ),
            column(("adjusted", "p"), p_value, 1),
            column(("effect", "size"), effect, 3),
        ]
    if comes_first(rows):
        found.append(Column(("P(best)",), Later(lambda: tuple(first_places(row.standing) for row in rows)), 4))
    return [c for c in found if c.says]


def comes_first(rows: Iterable[Row]) -> bool:
    """Whether it is known how often strategies come first."""
    return any(first.known for first in {row.standing.first for row in rows} if first is not None)


def first_places(at: Standing) -> str:
    """Share of resamples in which it comes first."""
    return NONE if at.p_best is None else f"{at.p_best:.2f}"


def ranks(at: Standing) -> str:
    """ "1–3", marked where it belongs to the tied top group."""
    if at.ranks is None:
        return NONE
    low, high = at.ranks
    return (f"{TOP} " if at.top else "") + (str(low) if low == high else f"{low}–{high}")


def location(at: Standing, metric: Metric) -> str:
    """The declared estimand of a strategy's completed runs, by which the table is sorted."""
    return NONE if at.location is None else metric.number(at.location)


def interval(at: Standing, metric: Metric) -> str:
    """ "[6.37, 7.94]", in shown units."""
    found = None if at.estimate is None else at.estimate.interval
    if found is None:
        return NONE
    width = (found.high - found.low) / 4  # about a standard error, as which its digits are read
    return f"[{metric.number(found.low, width)}, {metric.number(found.high, width)}]"


def difference(at: Standing, metric: Metric) -> str:
    """ "-8.71"; a strategy minus the baseline, in shown units."""
    if at.versus is None or at.versus.estimate is None:
        return "baseline" if at.verdict == "baseline" else NONE
    gap = at.versus.interval
    return signed(at.versus.estimate, metric, math.nan if gap is None else (gap.high - gap.low) / 4)


def p_value(at: Standing) -> str:
    """ "0.012", "<0.001", or "refused" where no test can be done."""
    if at.verdict == "refused":
        return "refused"
    if at.versus is None or at.versus.p_adj is None:
        return NONE
    return "<0.001" if at.versus.p_adj < 0.001 else f"{at.versus.p_adj:.3f}"


def effect(at: Standing) -> str:
    """ "-0.89": the rank-biserial correlation, negative where the strategy has the lower numbers."""
    if at.versus is None or at.versus.effect is None or at.verdict == "refused":
        return NONE
    return f"{at.versus.effect.value:+.2f}"


def _cost_column(block: Block, axis: str, title: tuple[str, ...], cell: Callable[[float], str], rank: int) -> Column:
    return Column(title, tuple(cell(row.cost[axis]) for row in block.rows), rank)


def heading(board: Leaderboard, block: Block) -> str:
    """What the rows of a block have in common, in one line."""
    kind = "" if block.ranked else " · not comparable with the study as declared now, not ranked"
    kind = " · not ranked" if block.withheld else kind
    kind += "".join(f" · {caveat}" for caveat in block.verdicts.kinds if caveat != "refused")
    protocol = "" if block.protocol == DEFAULT_PROTOCOL else f" · protocol {block.protocol}"
    return f"{board.study} · {block.problem} · budget {budget(block.budget)}{protocol}{kind}"


def notes(board: Leaderboard, block: Block) -> list[str]:
    """What must be read beside the numbers, one sentence each."""
    metric = block.verdicts.metric
    said = [f"mean ± std (ddof 1) over n independent searches; {metric.arrow} {metric.better} is better"]
    if (led := block.verdicts.declared.estimand) != "mean":
        said[0] += f"; sorted, tested and ranked by the {led}, as declared"
    if block.withheld:
        said.append(f"no ranking: {block.withheld}")
    said += [str(caveat) for caveat in block.caveats if caveat.kind != "refused"]
    said += (*block.noted, *block.derived)
    if block.ranked and board.sorted_by != "test_error_mean":
        said[0] += f"; sorted by {board.sorted_by}"
    if block.verdicts.family is not None:
        level = 100 * (1 - block.verdicts.declared.level)
        what = f"simultaneous {level:.4g} % ranks from {block.verdicts.tested} (Holm)"
        top = any(row.standing.top for row in block.rows)
        bold = (
            f"bold, {TOP}: the top group, which nothing was shown to beat" if top else "nothing is bold: no top group"
        )
        said.append(marked(f"rank: {what}; {bold}", block.verdicts.kinds))
    said += block.verdicts.notes
    effects = {
        row.standing.versus.effect.name for row in block.rows if row.standing.versus and row.standing.versus.effect
    }
    if effects:
        what = "errors" if metric.name == "test error" else metric.name
        said.append(f"effect size: {' or '.join(sorted(effects))}, negative where the strategy has the lower {what}")
    ungraded = [row.strategy for row in block.rows if row.total and row.failed_share > MAX_FAILED_SHARE]
    if ungraded:
        said.append(f"not ranked, because more than a fifth of the runs failed: {', '.join(ungraded)}")
    if comes_first(block.rows):
        said.append("P(best): how often it comes first when the seeds are resampled; a description, no test")
    if any(row.n == 1 for row in block.rows):
        said.append("one run has no spread: no ± where n = 1")
    if any(row.failed or row.judge_failed for row in block.rows):
        said.append("means and costs leave failed runs out; read them beside `failed`")
    said += [marked(line, block.verdicts.kinds) for line in draws.lines(block.sampled)]
    if block.checklist:
        said.append(block.checklist)
    return said


def details(block: Block) -> list[str]:
    """What failed and what was skipped, a line each."""
    failed = [f"{strategy}: {times(runs)} failed: {clipped(message)}" for strategy, message, runs in block.failures]
    return failed + [f"{strategy}: skipped: {clipped(reason)}" for strategy, reason in block.skipped]


def published_columns(rows: Iterable[PublishedRow]) -> list[Column]:
    """Published numbers as they were printed, with their marks."""
    rows = tuple(rows)

    def column(title: str, cell: Callable[[PublishedRow], str], rank: int = 0, numeric: bool = True) -> Column:
        return Column((title,), tuple(cell(row) for row in rows), rank, numeric)

    return [
        column("strategy", lambda row: row.name, numeric=False),
        column(f"reported {LOWER}", lambda row: row.shown),
        column("search GPU-days", lambda row: NONE if row.cost is None else f"{row.cost:g}", 1),
        column("protocol", lambda row: str(row.key.protocol), 2, numeric=False),
        column("space", lambda row: row.key.space, 3, numeric=False),
        column("source", lambda row: row.reference, 1, numeric=False),
    ]


def published_heading(board: Leaderboard) -> str:
    """What stands over published numbers."""
    key = board.reported[0].key
    return f"{key.task}, {key.metric.replace('_', ' ')} · reported elsewhere, not measured here, never ranked"


PUBLISHED_NOTES = (
    "* best of several searches, evaluated again: its ± is training noise only",
    "† another search space; ‡ evaluated again by others; no mark is no proof of an average over searches",
)


def result(row: Row, metric: Metric) -> str:
    """What a strategy reached, or why there is nothing."""
    if row.n == 0 and row.total > 0:
        return "failed"
    return spread(row.test_error, metric)


def validated(block: Block) -> Metric:
    """What validation values are: as the metric, but no shares where one lies outside [0, 1]."""
    metric = block.verdicts.metric
    within = all(0 <= row.value.mean <= 1 for row in block.rows if row.value.n)
    return metric if within or not metric.share else replace(metric, share=False)


def _bracketed(metric: Metric, unit: str | None = None) -> str:
    shown = metric.shown_unit if unit is None else unit
    return f"({shown})" if shown else ""


_COSTS: tuple[tuple[str, tuple[str, ...], Callable[[float], str], int], ...] = (
    ("evaluations", ("search", "evals"), count, 4),
    ("epochs", ("search", "epochs"), count, 5),
    ("samples", ("search", "samples"), count, 6),
    ("macs", ("search", "MACs"), count, 2),
    ("device_s", ("search", "device"), seconds, 3),
    ("simulated_s", ("search", "simulated"), seconds, 2),
    ("host_s", ("strategy", "itself"), seconds, 2),
    ("peak_memory_bytes", ("peak", "memory"), memory, 7),
)
