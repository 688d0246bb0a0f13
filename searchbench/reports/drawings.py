"""Drawings of found architectures as small graphs in SVG: here those of the NAS-Bench-201 notation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from html import escape

from searchbench.reports import genotype_drawings

EDGE = re.compile(r"([A-Za-z0-9_]+)~(\d+)")
SHORT = {
    "none": "", "skip_connect": "skip", "nor_conv_1x1": "conv 1×1", "nor_conv_3x3": "conv 3×3",
    "avg_pool_3x3": "pool 3×3",
}  # fmt: skip
COLOURS = {
    "skip_connect": "#888888", "nor_conv_1x1": "#0072B2", "nor_conv_3x3": "#D55E00", "avg_pool_3x3": "#009E73",
}  # fmt: skip
STEP, HEIGHT = 150, 180


@dataclass(frozen=True, slots=True)
class DrawnCell:
    """A cell: nodes 0 … n, and an operation on every edge."""

    edges: tuple[tuple[int, int, str], ...]
    """(from, to, operation)."""

    @property
    def nodes(self) -> int:
        """Nodes, input included."""
        return 1 + max(target for _, target, _ in self.edges)


def drawn(text: str, title: str) -> str | None:
    """An architecture as SVG; None in a notation that has no drawing."""
    cell = parse(text)
    if cell is not None:
        return to_svg(cell, title)
    cells = genotype_drawings.parse(text)
    return None if cells is None else genotype_drawings.to_svg(cells, title)


def parse(text: str) -> DrawnCell | None:
    """ "|op~0|+|op~0|op~1|+…": node k's incoming edges in the k-th group; None for any other notation."""
    groups = text.strip().split("+")
    edges = []
    for target, group in enumerate(groups, start=1):
        if not (group.startswith("|") and group.endswith("|") and len(group) > 1):
            return None
        for part in group[1:-1].split("|"):
            found = EDGE.fullmatch(part)
            if found is None or int(found[2]) >= target:
                return None
            edges.append((int(found[2]), target, found[1]))
    return DrawnCell(tuple(edges)) if edges else None


def to_svg(cell: DrawnCell, title: str) -> str:
    """The graph from left (input) to right (output); edges without an operation are left out."""
    width = STEP * (cell.nodes - 1) + 80
    shapes = [shape for edge in cell.edges if edge[2] != "none" for shape in _edge(*edge)]
    shapes += [_node(i, cell.nodes) for i in range(cell.nodes)]
    return (
        f'<svg class="cell" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" '
        f'height="{HEIGHT}" role="img" font-family="sans-serif" font-size="15"><title>{escape(title)}</title>'
        f"{''.join(shapes)}</svg>"
    )


def _x(node: int) -> float:
    return 40 + STEP * node


def _edge(source: int, target: int, operation: str) -> list[str]:
    a, b = _x(source) + 16, _x(target) - 16
    span = target - source
    bend = 0.0 if span == 1 else (-1) ** span * (34 + 26 * (span - 1))
    middle, y = (a + b) / 2, HEIGHT / 2
    colour = COLOURS.get(operation, "#7F5FC4")
    peak = y + 0.75 * bend
    slope = math.degrees(math.atan2(-bend, (b - a) / 2)) if span > 1 else 0.0
    path = f"M{a:.0f} {y:.0f}C{a + 30:.0f} {y + bend:.0f} {b - 30:.0f} {y + bend:.0f} {b:.0f} {y:.0f}"
    dash = ' stroke-dasharray="4 4"' if operation == "skip_connect" else ""
    head = f'<path d="M0 0L-9 -4L-9 4Z" fill="{colour}" transform="translate({b:.0f} {y:.0f}) rotate({slope:.0f})"/>'
    label = escape(SHORT.get(operation, operation))
    return [
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>',
        head,
        f'<text x="{middle:.0f}" y="{peak - 5:.0f}" text-anchor="middle" fill="{colour}">{label}</text>',
    ]


def _node(index: int, nodes: int) -> str:
    name = "in" if index == 0 else "out" if index == nodes - 1 else str(index)
    x, y = _x(index), HEIGHT / 2
    return (
        f'<circle cx="{x}" cy="{y}" r="16" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        f'<text x="{x}" y="{y + 4}" text-anchor="middle" fill="currentColor">{name}</text>'
    )
