"""Drawings of cells in the notation ``Genotype(normal=[('sep_conv_3x3', 0), …], …)``, side by side in one SVG."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType

Term = tuple[str, int]
"""Operation and source."""

LIST = r"(\[[^\]]*\]|range\([^)]*\))"
COLOURS: Mapping[str, str] = MappingProxyType(
    {"skip": "#888888", "sep": "#D55E00", "dil": "#0072B2", "max": "#009E73", "avg": "#56B4E9"}
)
"""By the first word of an operation."""
OTHER = "#7F5FC4"
INPUTS = ("k-2", "k-1")
STEP, HEIGHT, RADIUS, TOP = 118, 300, 15, 30
LANES = (90, 205, 130, 245)
"""Heights of the nodes in turn, so that edges do not lie on one another."""


@dataclass(frozen=True, slots=True)
class DrawnGenotype:
    """A cell with two inputs (states 0 and 1) and nodes (states 2, 3, …) of two terms each."""

    name: str
    nodes: tuple[tuple[Term, ...], ...]
    concat: tuple[int, ...]
    """States whose channels make the output."""


def parse(text: str) -> tuple[DrawnGenotype, ...] | None:
    """The normal and the reduction cell; None for any other notation."""
    if not text.startswith("Genotype("):
        return None
    cells = tuple(_cell(text, name) for name in ("normal", "reduce"))
    return None if None in cells else cells  # type: ignore[return-value]


def _cell(text: str, name: str) -> DrawnGenotype | None:
    terms = re.search(rf"\b{name}\s*=\s*{LIST}", text)
    states = re.search(rf"\b{name}_concat\s*=\s*{LIST}", text)
    if terms is None or states is None:
        return None
    try:
        pairs = [(str(operation), int(source)) for operation, source in ast.literal_eval(terms[1])]
        inside = states[1].removeprefix("range(").rstrip(")")
        bounds = ast.literal_eval(inside if inside.startswith("[") else f"[{inside}]")
        concat = tuple(range(*bounds)) if states[1].startswith("range") else tuple(int(state) for state in bounds)
    except (ValueError, SyntaxError, TypeError):
        return None
    nodes = tuple(zip(pairs[::2], pairs[1::2], strict=False))
    known = all(source < at for at, node in enumerate(nodes, start=2) for _, source in node)
    if len(pairs) % 2 or not nodes or not known or not all(0 <= state < len(nodes) + 2 for state in concat):
        return None
    return DrawnGenotype(name, nodes, concat)


def to_svg(cells: tuple[DrawnGenotype, ...], title: str) -> str:
    """The cells one beside the other, each from its inputs (left) to its output (right); `none` is left out."""
    width, shapes = 0, []
    for cell in cells:
        shapes.append(f'<g transform="translate({width} 0)">{"".join(_shapes(cell))}</g>')
        width += _width(cell)
    return (
        f'<svg class="cell" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" '
        f'height="{HEIGHT}" role="img" font-family="sans-serif" font-size="13"><title>{escape(title)}</title>'
        f"{''.join(shapes)}</svg>"
    )


def _width(cell: DrawnGenotype) -> int:
    return STEP * (len(cell.nodes) + 1) + 90


def _place(cell: DrawnGenotype, state: int) -> tuple[int, int]:
    """Centre of a state; that behind the last is the output."""
    if state < len(INPUTS):
        return 40, (105, 215)[state]
    if state == len(cell.nodes) + 2:
        return _width(cell) - 45, 165
    return 40 + STEP * (state - 1), LANES[state % len(LANES)]


def _shapes(cell: DrawnGenotype) -> list[str]:
    """Thin lines to the output, the operations, and the states over them."""
    output, shapes = len(cell.nodes) + 2, [f'<text x="24" y="{TOP - 8}" font-weight="bold">{escape(cell.name)}</text>']
    shapes += [_line(_place(cell, state), _place(cell, output)) for state in cell.concat]
    seen: dict[tuple[int, int], int] = {}
    for target, node in enumerate(cell.nodes, start=2):
        for operation, source in node:
            if operation == "none":
                continue
            again = seen[source, target] = seen.get((source, target), -1) + 1
            shapes.append(_edge(_place(cell, source), _place(cell, target), operation, again))
    names = [*INPUTS, *map(str, range(2, output)), "out"]
    return shapes + [_state(*_place(cell, state), name) for state, name in enumerate(names)]


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x, y), (u, v) = start, end
    return f'<path d="M{x} {y}L{u} {v}" stroke="currentColor" stroke-width="1" opacity="0.25"/>'


def _edge(start: tuple[int, int], end: tuple[int, int], operation: str, again: int) -> str:
    """An arrow with its operation's name; `again` bends the second of two between the same states."""
    (x, y), (u, v) = start, end
    bend = 24 * again - 12
    length = max(1.0, ((u - x) ** 2 + (v - y) ** 2) ** 0.5)
    across, along = ((y - v) / length, (u - x) / length), ((u - x) / length, (v - y) / length)
    a = x + RADIUS * along[0], y + RADIUS * along[1]
    b = u - (RADIUS + 2) * along[0], v - (RADIUS + 2) * along[1]
    middle = (a[0] + b[0]) / 2 + bend * across[0], (a[1] + b[1]) / 2 + bend * across[1]
    label = (a[0] + b[0] + 2 * middle[0]) / 4, (a[1] + b[1] + 2 * middle[1]) / 4
    colour = COLOURS.get(operation.partition("_")[0], OTHER)
    dash = ' stroke-dasharray="4 4"' if operation == "skip_connect" else ""
    return (
        f'<path d="M{a[0]:.0f} {a[1]:.0f}Q{middle[0]:.0f} {middle[1]:.0f} {b[0]:.0f} {b[1]:.0f}" fill="none" '
        f'stroke="{colour}" stroke-width="2"{dash}/><circle cx="{b[0]:.0f}" cy="{b[1]:.0f}" r="3" fill="{colour}"/>'
        f'<text x="{label[0]:.0f}" y="{label[1] - 4:.0f}" text-anchor="middle" fill="{colour}">'
        f"{escape(_short(operation))}</text>"
    )


def _short(operation: str) -> str:
    """ "sep 3×3" of "sep_conv_3x3"."""
    first, *rest = operation.split("_")
    words = [first, *(word for word in rest if word not in ("conv", "pool", "connect"))]
    return " ".join(word.replace("x", "×") if word[0].isdigit() else word for word in words)


def _state(x: int, y: int, name: str) -> str:
    return (
        f'<circle cx="{x}" cy="{y}" r="{RADIUS}" fill="Canvas" stroke="currentColor" stroke-width="1.5"/>'
        f'<text x="{x}" y="{y + 4}" text-anchor="middle" font-size="11" fill="currentColor">{escape(name)}</text>'
    )
