"""Tables for papers, as headings and cells before they are LaTeX or Markdown: leaderboards, tasks, pairs, ablations,
fronts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from searchbench.errors import InputError
from searchbench.reports.leaderboard import Block, Leaderboard
from searchbench.reports.render import trades
from searchbench.reports.render.cells import (
    PUBLISHED_NOTES,
    Column,
    details,
    heading,
    notes,
    published_columns,
    published_heading,
    ranks,
    result,
)
from searchbench.reports.render.effects import cells_of
from searchbench.reports.render.numbers import NONE, budget, signed
from searchbench.reports.render.short import COSTS, chosen, concerning, transposed

if TYPE_CHECKING:
    from searchbench.reports.ablation import Ablation
    from searchbench.reports.across import Across
    from searchbench.reports.tradeoff import Tradeoff

Fit = Literal["text", "column", "page"]
FITS: tuple[Fit, ...] = ("text", "column", "page")
"""How wide a table may be: the text of a one-column class, one column of two, or both of them."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table: what it is called, what it says in a line, its columns, and what must be read beside it."""

    label: str
    title: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...]
    comments: tuple[str, ...] = ()
    """What failed and was skipped, a line each."""


def of_board(
    board: Leaderboard, names: Sequence[str] | None = None, *, transpose: bool = False, fit: Fit = "text"
) -> list[Sheet]:
    """A sheet for each block, and one of published rows.

    Args:
        names: headings of the columns wanted; None takes the short table's, ("all",) all.
        transpose: strategies across instead of down.
        fit: in one of two columns, cost is left out and an n that all share goes into the notes.
    """
    sheets = []
    for i, block in enumerate(board.blocks):
        shown, said = chosen(block, names), notes(board, block)
        if fit == "column" and names is None:
            shown, said = _narrowed(shown, said)
        kept = concerning(said, shown)
        shown = transposed(shown) if transpose else shown
        label = f"{board.study}-{block.problem}-{i}"
        sheets.append(Sheet(label, heading(board, block), tuple(shown), tuple(kept), tuple(details(block))))
    if board.reported:
        shown = published_columns(board.reported)
        sheets.append(Sheet(f"{board.study}-reported", published_heading(board), tuple(shown), PUBLISHED_NOTES))
    return sheets


def _narrowed(shown: Sequence[Column], said: Sequence[str]) -> tuple[list[Column], list[str]]:
    kept = [column for column in shown if column.title not in COSTS]
    own = next((column for column in kept if column.title == "n"), None)
    if own is not None and len(set(own.cells)) == 1:
        kept.remove(own)
        return kept, [f"n = {own.cells[0]} for every strategy", *said]
    return kept, list(said)


def of_tasks(board: Leaderboard, across: Across | None) -> list[Sheet]:
    """Strategies down, problems across, each with its rank; and the rank over all problems where there is one.

    Raises:
        InputError: there are fewer than two problems.
    """
    blocks = [block for block in board.blocks if block.ranked or block.withheld]
    if len(blocks) < 2:
        raise InputError(f"a table of tasks needs two problems, but study `{board.study}` has {len(blocks)}.")
    places = {} if across is None else {place.name: place for place in across.places}
    names = list(dict.fromkeys([*places, *(row.strategy for block in blocks for row in block.rows)]))
    shown = [Column(("strategy",), tuple(names), numeric=False)]
    for block in blocks:
        rows = {row.strategy: row for row in block.rows}
        metric, unit = block.verdicts.metric, block.verdicts.metric.shown_unit
        shown.append(
            Column(
                (block.problem, f"{metric.arrow}{f' ({unit})' if unit else ''}"),
                tuple(result(rows[name], metric) if name in rows else NONE for name in names),
                bold=tuple(name in rows and rows[name].standing.top for name in names),
            )
        )
        shown.append(Column(("rank",), tuple(ranks(rows[name].standing) if name in rows else NONE for name in names)))
    if any(place.low is not None for place in places.values()):
        cells = tuple(
            places[n].shown.replace("-", "–") if n in places and places[n].low is not None else NONE for n in names
        )
        shown.append(Column(("rank", "over all"), cells))
    said = [note for block in blocks for note in _about(board, block)]
    if across is not None and across.refusal:
        said.append(f"no rank over all problems: {across.refusal}")
    elif places:
        said.append("rank over all: by normalised regret on these problems; it says nothing of others")
    title = f"{board.study}: {len(names)} strategies on {len(blocks)} problems, budget {budget(blocks[0].budget)}"
    return [Sheet(f"{board.study}-tasks", title, tuple(shown), tuple(dict.fromkeys(said)))]


def _about(board: Leaderboard, block: Block) -> list[str]:
    """A block's notes; those that are of this problem alone under its name."""
    common = ("mean ±", "rank:")
    shown = [Column(("strategy",), ())]
    return [
        note if note.startswith(common) else f"on {block.problem}: {note}"
        for note in concerning(notes(board, block), shown)
    ]


def of_pairs(board: Leaderboard) -> list[Sheet]:
    """Sheets with, for each problem, the differences of all pairs that the declared family compares: row minus
    column."""
    return [
        _pairs(board, block) for block in board.blocks if block.ranked and block.verdicts.family is not None
    ]  # fmt: skip


def _pairs(board: Leaderboard, block: Block) -> Sheet:
    family, metric = block.verdicts.family, block.verdicts.metric
    assert family is not None
    names = [row.strategy for row in block.rows if row.strategy in family.names]
    cells: dict[tuple[str, str], tuple[str, bool]] = {}
    for (a, b), answer in family:
        gap = answer.interval
        width = math.nan if gap is None else (gap.high - gap.low) / 4
        for row, column, sign in ((a, b, 1), (b, a, -1)):
            text = NONE if answer.estimate is None else signed(sign * answer.estimate, metric, width)
            cells[row, column] = text, family.winner(answer) in ("a", "b")
    shown = [
        Column(("",), tuple(str(i) for i in range(1, len(names) + 1)), numeric=False),
        Column(("row minus column",), tuple(names), numeric=False),
    ]
    for i, name in enumerate(names):
        own = [cells.get((row, name), (NONE, False)) for row in names]
        shown.append(Column((str(i + 1),), tuple(text for text, _ in own), bold=tuple(told for _, told in own)))
    unit = metric.short_difference_unit
    estimand = block.verdicts.declared.estimand
    said = [
        f"{estimand} of the paired differences in {metric.name}{f', {unit}' if unit else ''}; bold: told apart at "
        f"the declared level, corrected over {block.verdicts.tested}",
        "no bold is no evidence of a difference, which is no proof of equality",
        *(str(caveat) for caveat in block.caveats),
    ]
    title = f"{heading(board, block)}: all pairs"
    return Sheet(f"{board.study}-{block.problem}-pairs", title, tuple(shown), tuple(said))


def of_ablation(found: Iterable[Ablation]) -> list[Sheet]:
    """Effects and the steps of the ladder, a sheet for each problem."""
    return [_ablation(one) for one in found]


def _ablation(found: Ablation) -> Sheet:
    steps = dict(found.effects)
    steps |= {f"base + {rung.component}": rung.added for rung in found.ladder if rung.added is not None}
    steps |= {f"{rung.component} within full": rung.removed for rung in found.ladder if rung.removed is not None}
    rows = [cells_of(name, answer, found.metric) for name, answer in steps.items()]
    told = tuple(name in found.established for name in steps)
    unit = f"({found.metric.short_difference_unit})" if found.metric.short_difference_unit else ""
    titles = (("effect",), ("estimate", unit), (f"{found.confidence} CI",), ("adjusted p",))
    shown = [
        Column(title, tuple(row[at] for row in rows), numeric=at > 0, bold=told if at == 1 else ())
        for at, title in enumerate(titles)
    ]
    said = [found.conclusion.removesuffix("."), *found.notes, *(rung.interaction for rung in found.ladder)]
    said += [f"caveat: {kind}" for kind in found.caveats]
    title = f"{found.study} · {found.problem} · what each part changes in {found.metric.name}"
    return Sheet(f"{found.study}-{found.problem}-ablation", title, tuple(shown), tuple(said))


def of_fronts(found: Iterable[Tradeoff]) -> list[Sheet]:
    """Hypervolumes and how many finds stand on the front, a sheet for each problem and metric."""
    return [_front(one) for one in found]


def _front(found: Tradeoff) -> Sheet:
    table = trades.table(found)
    wanted = [at for at, title in enumerate(table["headings"]) if title != "hypervolume measured"]
    shown = [Column((table["headings"][at],), tuple(row[at] for row in table["rows"]), numeric=at > 0) for at in wanted]
    said = [note.removesuffix(".") for note in table["notes"][:-1]]  # the last is of what was measured only
    return Sheet(f"{found.study}-{found.problem}-{found.metric}-front", table["title"], tuple(shown), tuple(said))
