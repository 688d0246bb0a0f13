"""Figures of an ablation: effects with intervals, the interaction, one part at a time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from searchbench.reports.ablation import Ablation
from searchbench.reports.figures.figure import Axis, Figure, Line, Mark, Spans, slug
from searchbench.statistics import Answer


def effects(found: Ablation) -> list[Figure]:
    """Main effects and interactions, then the ladder."""
    figures = []
    unit = f" ({found.unit})" if found.unit else ""
    if shown := _shown(found.effects):
        figures.append(
            _forest(f"effects-{found.problem}", "Effects of the parts", shown,
                    f"effect on the {found.metric.name}{unit}", "Per-seed contrasts with joint intervals; left of "
                    f"zero: the part lowers the {found.metric.name}. Adjusted p-values stand in the table.")
        )  # fmt: skip
    steps = {f"base + {r.component}": r.added for r in found.ladder if r.added is not None}
    steps |= {f"{r.component} within full": r.removed for r in found.ladder if r.removed is not None}
    if shown := _shown(steps):
        figures.append(
            _forest(f"ladder-{found.problem}", "One part at a time", shown, f"change of the {found.metric.name}{unit}",
                    "Each part added to the base, and its contribution within the full method.")
        )  # fmt: skip
    return figures


def interactions(found: Ablation) -> list[Figure]:
    """A figure for every two parts: the error without and with the one, a line for the other; parallel lines do not
    interact."""
    return [_interaction(found, a, b) for a, b in itertools.combinations(found.parts, 2) if _whole(found, a, b)]


def waterfall(found: Ablation) -> Figure | None:
    """A waterfall from the base to the full method, one part after the other in the declared order, as far as those
    cells ran."""
    means = {cell.parts: cell.answer.estimate for cell in found.cells}
    chain = [frozenset(found.parts[:i]) for i in range(len(found.parts) + 1)]
    if any(means.get(parts) is None for parts in chain):
        return None
    levels = [float(means[parts] or 0.0) for parts in chain]
    names = ("base", *(f"+ {factor}" for factor in found.parts))
    low = [levels[0], *(min(a, b) for a, b in itertools.pairwise(levels))]
    high = [levels[0], *(max(a, b) for a, b in itertools.pairwise(levels))]
    told = tuple(f"{name}: {level:.4g}" for name, level in zip(names, levels, strict=True))
    return Figure(
        slug(f"waterfall-{found.problem}"),
        "From base to full",
        f"Mean {found.metric.name} after each part, in the declared order; another order would split the change "
        "differently.",
        Axis(f"mean {found.metric.heading}"),
        Axis(categories=names),
        (Spans("mean", low, levels, high, list(range(len(names))), told=told),),
    )


def _interaction(found: Ablation, a: str, b: str) -> Figure:
    means = {cell.parts: cell.answer.estimate for cell in found.cells}
    marks: list[Mark] = []
    for i, other in enumerate((frozenset[str](), frozenset({b}))):
        y = [float(means[other | with_a] or 0.0) for with_a in (frozenset[str](), frozenset({a}))]
        marks.append(Line(f"with {b}" if other else f"without {b}", [0, 1], y, i))
    return Figure(
        slug(f"interaction-{found.problem}-{a}-{b}"),
        f"Interaction of {a} and {b}",
        f"Mean {found.metric.name} of the four cells (other parts absent). Whether the lines are parallel is for the "
        "interaction's interval to say, not for the eye.",
        Axis(categories=(f"without {a}", f"with {a}")),
        Axis(f"mean {found.metric.heading}"),
        tuple(marks),
    )


def _whole(found: Ablation, a: str, b: str) -> bool:
    means = {cell.parts: cell.answer.estimate for cell in found.cells}
    return all(means.get(frozenset(parts)) is not None for parts in ((), (a,), (b,), (a, b)))


def _shown(answers: Mapping[str, Answer]) -> dict[str, Answer]:
    return {name: a for name, a in answers.items() if a.estimate is not None and a.interval is not None}


def _forest(name: str, title: str, answers: Mapping[str, Answer], axis: str, caption: str) -> Figure:
    found = [(float(a.estimate or 0.0), a.interval) for a in answers.values()]
    low = [m if i is None else i.low for m, i in found]
    high = [m if i is None else i.high for m, i in found]
    told = tuple(a.wording for a in answers.values())
    spans = Spans("effect", low, [m for m, _ in found], high, list(range(len(found))), told=told)
    return Figure(slug(name), title, caption, Axis(axis), Axis(categories=tuple(answers)), (spans,), vertical=(0.0,))
