"""Cells in the literature's notation: a node is a few (operation, source) pairs, a genotype two cells.

States 0 and 1 are the outputs of the two cells before; state 2 is the first node.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from searchbench.errors import SpaceError

Term = tuple[str, int]
"""Operation and source."""
Node = tuple[Term, ...]

SHORT = {
    "none": "none",
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "sep7": "sep_conv_7x7",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
    "conv7x1_1x7": "conv_7x1_1x7",
    "conv3x1_1x3": "conv_3x1_1x3",
    "conv1": "conv_1x1",
    "conv3": "conv_3x3",
    "max5": "max_pool_5x5",
    "max7": "max_pool_7x7",
    "noise": "noise",
}
"""Names of the compact notation, and the operations they stand for."""


@dataclass(frozen=True, slots=True)
class GenotypeCell:
    """Nodes in order, and the states whose channels make the output.

    Raises:
        SpaceError: a source or an output is not a state known before.
    """

    nodes: tuple[Node, ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        for at, node in enumerate(self.nodes):
            for operation, source in node:
                if not 0 <= source < at + 2:
                    raise SpaceError(f"node {at + 2} cannot read state {source} through {operation}: it comes later.")
        if not self.concat or not all(0 <= state < len(self.nodes) + 2 for state in self.concat):
            raise SpaceError(f"a cell of {len(self.nodes)} nodes cannot hand over states {self.concat}.")

    @property
    def existing(self) -> GenotypeCell:
        """Cell without nodes that nothing reaches, and without edges that leave those; states keep their numbers.

        Raises:
            SpaceError: no state of the output is left.
        """
        reached, nodes = {0, 1}, []
        for at, node in enumerate(self.nodes):
            kept = tuple(term for term in node if term[0] != "none" and term[1] in reached)
            if kept:
                reached.add(at + 2)
            nodes.append(kept)
        concat = tuple(state for state in self.concat if state in reached)
        if not concat:
            raise SpaceError("nothing reaches the output of this cell; keep at least one operation.")
        return GenotypeCell(tuple(nodes), concat)


@dataclass(frozen=True, slots=True)
class Genotype:
    """A normal and a reduction cell."""

    normal: GenotypeCell
    reduce: GenotypeCell

    def __str__(self) -> str:
        parts = []
        for name, cell in (("normal", self.normal), ("reduce", self.reduce)):
            terms = ", ".join(f"({operation!r}, {source})" for node in cell.nodes for operation, source in node)
            parts += [f"{name}=[{terms}]", f"{name}_concat={list(cell.concat)}"]
        return f"Genotype({', '.join(parts)})"


def compact(normal: str, reduce: str) -> Genotype:
    """A genotype of two cells in compact notation: ``sep3:1 sep3:0 | skip:0 sep3:1 | …; concat 2-5``."""
    return Genotype(_compact_cell(normal), _compact_cell(reduce))


def _compact_cell(text: str) -> GenotypeCell:
    nodes_text, _, states = text.partition("; concat ")
    nodes = []
    for node in nodes_text.split("|"):
        pairs = [term.rpartition(":") for term in node.split()]
        nodes.append(tuple((SHORT[name], int(source)) for name, _, source in pairs))
    if not states:
        return GenotypeCell(tuple(nodes), tuple(range(2, len(nodes) + 2)))
    low, dash, high = states.partition("-")
    concat = range(int(low), int(high) + 1) if dash else map(int, states.split(","))
    return GenotypeCell(tuple(nodes), tuple(concat))


def read(text: str) -> Genotype:
    """Parse ``Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), reduce=…, reduce_concat=…)`` with
    two inputs per node; or, as FairDARTS writes cells of at most two inputs, ``('sep_conv_3x3', 2, 1)`` for what enters
    state 2 from state 1, where `none` stands for what is missing. Raises SpaceError naming what is wrong.
    """
    fields = {}
    for name in ("normal", "normal_concat", "reduce", "reduce_concat"):
        found = re.search(rf"\b{name}\s*=\s*(\[[^\]]*\]|range\([^)]*\))", text)
        if found is None:
            raise SpaceError(f"a genotype needs `{name}=[…]`, but got {text!r}.")
        fields[name] = found.group(1)
    return Genotype(
        _pairs(fields["normal"], _states(fields["normal_concat"])),
        _pairs(fields["reduce"], _states(fields["reduce_concat"])),
    )


def _states(text: str) -> tuple[int, ...]:
    if text.startswith("range("):
        return tuple(range(*(int(bound) for bound in text[6:-1].split(","))))
    return tuple(int(state) for state in ast.literal_eval(text))


def _pairs(text: str, concat: tuple[int, ...]) -> GenotypeCell:
    try:
        listed = [tuple(term) for term in ast.literal_eval(text)]
        if listed and all(len(term) == 3 for term in listed):
            return _sparse([(str(operation), int(target), int(source)) for operation, target, source in listed], concat)
        terms = [(str(operation), int(source)) for operation, source in listed]
    except (ValueError, SyntaxError, TypeError) as error:
        raise SpaceError(f"a cell is a list of (operation, source) pairs, but got {text!r}: {error}.") from error
    if len(terms) % 2:
        raise SpaceError(f"a cell has two inputs per node, but got {len(terms)} pairs: {text!r}.")
    return GenotypeCell(tuple(zip(terms[::2], terms[1::2], strict=True)), concat)


def _sparse(terms: list[tuple[str, int, int]], concat: tuple[int, ...]) -> GenotypeCell:
    """(operation, target, source) of at most two inputs to each state from 2 to the last of the output."""
    nodes: list[Node] = []
    for state in range(2, max(*concat, *(target for _, target, _ in terms)) + 1):
        own = [(operation, source) for operation, target, source in terms if target == state]
        spare = [("none", source) for source in range(state) if source not in {source for _, source in own}]
        if len(own) > 2:
            raise SpaceError(f"a node has at most two inputs, but state {state} has {len(own)}.")
        nodes.append((*own, *spare[: 2 - len(own)]))
    return GenotypeCell(tuple(nodes), concat)
