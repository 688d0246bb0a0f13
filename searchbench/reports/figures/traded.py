"""The Pareto picture: what the searches handed over, and the front of all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from searchbench.reports.figures.cutting import cut
from searchbench.reports.figures.figure import GREY, Axis, Dots, Figure, Line, slug
from searchbench.reports.tradeoff import Tradeoff


def picture(found: Tradeoff, colours: Mapping[str, int], focus: tuple[str, ...] = ()) -> Figure:
    """A dot for each search; the staircase is the front of all."""
    scale = found.scale
    steps = [(own.cost, scale * own.error) for own in found.front]
    right, top = _corner(found)
    steps = [(steps[0][0], scale * top), *steps, (right, steps[-1][1])]
    staircase = Line("Pareto front", [x for x, _ in steps], [y for _, y in steps], GREY, step=True, dashed=True)
    dots = tuple(
        Dots(
            row.strategy,
            [own.cost for own in row.found],
            [scale * own.error for own in row.found],
            colours.get(row.strategy, at),
            tuple(f"{own.strategy}, seed {own.replicate}: {own.architecture}" for own in row.found),
        )
        for at, row in enumerate(found.rows)
        if row.found
    )
    drawn = Figure(
        slug(f"pareto-{found.metric}-{found.problem}"),
        f"Pareto front: {found.measured.name} against {found.name}",
        "Each dot is what one search handed over, judged once. Dashed: what nothing handed over beats in both, "
        "whoever found it.",
        Axis(found.name),
        Axis(found.measured.heading),
        (staircase, *dots),
        focus=focus,
    )
    return cut(drawn, "y")


def _corner(found: Tradeoff) -> tuple[float, float]:
    """Where the staircase ends: the reference point, and no further from what was handed over than a tenth, so that a
    declared one far away does not press all of it into a corner."""
    handed = [own for row in found.rows for own in row.found]
    cost, error = max(own.cost for own in handed), max(own.error for own in handed)
    return min(found.reference[0], cost + abs(cost) / 10), min(found.reference[1], error + abs(error) / 10)


def agreement(problem: str, predicted: Sequence[float], measured: Sequence[float], told: Sequence[str]) -> Figure:
    """Predicted against measured latency (ms), and the line on which they would agree."""
    ends = [min(*predicted, *measured), max(*predicted, *measured)]
    return Figure(
        slug(f"latency-{problem}"),
        "Predicted against measured latency",
        "Each dot is a network; on the line both agree.",
        Axis("predicted (ms)"),
        Axis("measured (ms)"),
        (Line("y = x", ends, ends, GREY, dashed=True), Dots("networks", predicted, measured, 0, tuple(told))),
    )
