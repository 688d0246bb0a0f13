"""The table that is read first: rank, strategy, mean ± std, n, verdict and cost; other columns where asked for."""

from __future__ import annotations

from collections.abc import Sequence

from searchbench.errors import UnknownName
from searchbench.reports.leaderboard import Block
from searchbench.reports.render.cells import Column, columns
from searchbench.reports.render.numbers import NONE

COSTS = ("search device", "search simulated", "search MACs", "search epochs", "strategy itself", "search evals")
"""What a search cost is told by the first of these that there is."""
EXTRA = {"effect size", "P(best)"}
"""Columns whose notes are left out with them."""


def first_sight(block: Block) -> list[Column]:
    """Rank, strategy, mean ± std, n, how many failed where any did, and the verdict."""
    every = {column.title: column for column in columns(block)}
    result = list(every.values())[3]  # behind strategy, n and failed, which are always there
    wanted = [every.get("rank"), every["strategy"], result, every["n"]]
    if any(row.failed for row in block.rows):
        wanted.append(every["failed"])
    if any(row.standing.said for row in block.rows):
        wanted.append(verdicts(block))
    return [column for column in wanted if column is not None]


def short(block: Block) -> list[Column]:
    """`first_sight` and what a search cost."""
    every = {column.title: column for column in columns(block)}
    cost = next((every[title] for title in COSTS if title in every), None)
    return [*first_sight(block), *([cost] if cost is not None else [])]


def verdicts(block: Block) -> Column:
    """What the tests say of each strategy against the baseline, under its caveats."""
    return Column(("verdict",), tuple(row.standing.said or NONE for row in block.rows), numeric=False)


def chosen(block: Block, names: Sequence[str] | None) -> list[Column]:
    """The short table's columns; those of the given names in that order; all for "all".

    A name is a heading or how it begins, in any case: "strategy", "test error", "against", "search MACs".

    Raises:
        UnknownName: no column of the block begins so.
    """
    if names is None:
        return short(block)
    every = [*columns(block), verdicts(block)]
    return every[:-1] if list(names) == ["all"] else [_named(name, every) for name in names]


def _named(name: str, every: Sequence[Column]) -> Column:
    wanted = " ".join(name.lower().split())
    exact = [column for column in every if column.title.lower() == wanted]
    begun = [column for column in every if wanted and column.title.lower().startswith(wanted)]
    if not (exact or begun):
        raise UnknownName("column", name, [column.title for column in every])
    return (exact or begun)[0]


def concerning(notes: Sequence[str], shown: Sequence[Column]) -> list[str]:
    """Notes without those about columns that are not shown; caveats always stay."""
    absent = EXTRA - {column.title for column in shown}
    return [note for note in notes if not any(note.startswith(f"{title}:") for title in absent)]


def transposed(shown: Sequence[Column]) -> list[Column]:
    """A column for each strategy, a line for each heading."""
    of = next((column for column in shown if column.title == "strategy"), shown[0])
    rest = [column for column in shown if column is not of]
    return [
        Column(("",), tuple(column.title for column in rest), numeric=False),
        *(
            Column((name,), tuple(c.cells[at] for c in rest), bold=tuple(c.stands_out(at) for c in rest))
            for at, name in enumerate(of.cells)
        ),
    ]
