"""The DARTS space of convolutional cells (Liu et al. 2019): a normal and a reduction cell, four nodes of two inputs.

Seven operations on each of 8 edges of a cell, and 1 x 3 x 6 x 10 choices of inputs: 1,037,664,180 cells of a type.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.choices import Choice, Value
from searchbench.spaces.darts.genotypes import Genotype, GenotypeCell, Node
from searchbench.spaces.darts.genotypes import read as read_genotype
from searchbench.spaces.labelled import LabelledGraph, graph_of_edges, together
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import Edge, Topology

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
MORE_OPERATIONS = (
    "noise",
    "conv_1x1",
    "conv_3x3",
    "conv_3x1_1x3",
    "sep_conv_7x7",
    "max_pool_5x5",
    "max_pool_7x7",
)
"""Candidates of other papers on the same cells."""
CELLS = ("normal", "reduce")
TARGETS = (2, 3, 4, 5)
EDGES = tuple((target, source) for target in TARGETS for source in range(target))
"""(target, source) of the edges of one cell, in the literature's order: 14."""
LEARNABLE = tuple(name for name in (*OPERATIONS, *MORE_OPERATIONS) if "conv" in name)
SILENT = ("none", "noise")
"""Operations that carry nothing of what enters them."""
FORMS = ("partial", "node_norm", "auxiliary_skip", "skip_dropout", "drop_path", "cells")


def darts(
    channels: int = 16,
    cells: int = 8,
    operations: Sequence[str] = OPERATIONS,
    sparse: bool = False,
    stem: str = "cifar",
    network_channels: int | None = None,
    network_cells: int | None = None,
    edges: Sequence[Sequence[str]] | None = None,
) -> Space:
    """The space, with the sizes of its networks.

    Args:
        channels, cells: of the supernet.
        operations: candidates of an edge, of `OPERATIONS` and `MORE_OPERATIONS`.
        sparse: whether a node may have fewer than two inputs (an edge may carry `none`).
        stem: "cifar", or "imagenet" for three convolutions of stride 2.
        network_channels, network_cells: of the stand-alone networks; None: as the supernet's.
        edges: candidates of each edge, part of `operations` and as many on each edge of a cell: those of `EDGES` in the
            normal cell, then in the reduction cell. None: all of `operations` on every edge.

    Raises:
        StudyError: a setting is out of range.
    """
    sizes = {"channels": channels, "cells": cells}
    sizes["network_channels"] = channels if network_channels is None else network_channels
    sizes["network_cells"] = cells if network_cells is None else network_cells
    _check(sizes, operations, stem)
    offered = [[name for name in operations if name != "none" or sparse]] * len(CELLS)
    settings: dict[str, Any] = {**sizes, "operations": tuple(operations), "sparse": sparse, "stem": stem}
    allowed = None
    if edges is not None:
        settings["edges"] = _checked_edges(edges, operations)
        firsts = (settings["edges"][0], settings["edges"][len(EDGES)])
        offered = [[str(at) for at in range(len(first))] for first in firsts]  # which of its edge's candidates
        allowed = tuple(tuple(map(operations.index, names)) for names in settings["edges"])
    return Space(
        name="darts",
        decisions=tuple(d for cell, own in zip(CELLS, offered, strict=True) for d in _decisions(cell, own)),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.darts.networks:DartsNetworks",
        topology=Topology(
            edges=tuple(Edge(cell, target, source) for cell in CELLS for target, source in EDGES),
            operations=tuple(operations),
            keeps=2,
            sparse=sparse,
            learnable=tuple(name for name in operations if name in LEARNABLE),
            allowed=allowed,
            forms=FORMS,
            silent=SILENT,
        ),
        carrying=carries,
        graph=graph,
    )


def _check(sizes: dict[str, int], operations: Sequence[str], stem: str) -> None:
    for name, value in sizes.items():
        least = 3 if name.endswith("cells") else 2
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise StudyError(f"darts: `{name}` must be an integer of at least {least}, but got {value!r}.")
        if name.endswith("channels") and value % 2:
            raise StudyError(f"darts: `{name}` must be even (reductions halve channels twice), but got {value}.")
    known = (*OPERATIONS, *MORE_OPERATIONS)
    if set(operations) - set(known) or not set(operations) - {"none"} or len(set(operations)) != len(operations):
        raise StudyError(f"darts: `operations` must be distinct ones of {', '.join(known)}, but got {operations}.")
    if stem not in ("cifar", "imagenet"):
        raise StudyError(f'darts: `stem` must be "cifar" or "imagenet", but got {stem!r}.')


def _checked_edges(edges: Sequence[Sequence[str]], operations: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Candidates of each of the 14 edges of a cell: equally many, distinct, among the operations, never `none`."""
    found = tuple(tuple(names) for names in edges)
    known = set(operations) - {"none"}
    cells = [found[: len(EDGES)], found[len(EDGES) :]]
    whole = all(len(own) == len(EDGES) and len(set(map(len, own))) == 1 for own in cells)
    if not whole or not all(set(names) <= known and len(set(names)) == len(names) > 0 for names in found):
        raise StudyError(
            f"darts: `edges` must give {len(EDGES)} edges of each cell as many distinct ones of "
            f"{', '.join(sorted(known))} each, but got {edges!r}."
        )
    return found


def _candidates(space: Space, cell: str, target: int, source: int) -> tuple[str, ...] | None:
    """What an edge's decisions count through; None where they name operations."""
    edges: tuple[tuple[str, ...], ...] | None = space.settings.get("edges")
    return None if edges is None else edges[len(EDGES) * CELLS.index(cell) + EDGES.index((target, source))]


def _decisions(cell: str, operations: Sequence[str]) -> list[Choice]:
    """Which two states each node reads (node 2 has no choice), and the operation on each, lower source first."""
    found = []
    for target in TARGETS:
        if target > 2:
            pairs = tuple(f"{a},{b}" for a, b in itertools.combinations(range(target), 2))
            found.append(Choice(f"{cell}.{target}.inputs", pairs))
        found += [Choice(f"{cell}.{target}.{which}", tuple(operations)) for which in ("first", "second")]
    return found


def carries(architecture: Architecture) -> bool:
    """Whether something of its input leaves either cell."""
    found = genotype(architecture)
    return all(_cell_carries(cell) for cell in (found.normal, found.reduce))


def graph(architecture: Architecture) -> LabelledGraph:
    """Both cells with operations as vertices; `none`, and what is on no way to the output, left out."""
    found = genotype(architecture)
    return together((name, _cell_graph(cell)) for name, cell in zip(CELLS, (found.normal, found.reduce), strict=True))


def _cell_graph(cell: GenotypeCell) -> LabelledGraph:
    nodes = zip(TARGETS, cell.nodes, strict=True)
    terms = [(source, target, name) for target, node in nodes for name, source in node if name != "none"]
    return graph_of_edges(terms, inputs=(0, 1), outputs=cell.concat)


def _cell_carries(cell: GenotypeCell) -> bool:
    reached = {0, 1}
    for target, node in zip(TARGETS, cell.nodes, strict=True):
        if any(name not in SILENT and source in reached for name, source in node):
            reached.add(target)
    return not reached.isdisjoint(cell.concat)


def genotype(architecture: Architecture) -> Genotype:
    """The architecture's cells, lower source first at every node."""
    values = iter(architecture.values)
    cells = []
    for cell in CELLS:
        nodes: list[Node] = []
        for target in TARGETS:
            pair = str(next(values)) if target > 2 else "0,1"
            terms = [(str(next(values)), int(source)) for source in pair.split(",")]
            nodes.append(tuple((_named(architecture.space, cell, target, *term), term[1]) for term in terms))
        cells.append(GenotypeCell(tuple(nodes), TARGETS))
    return Genotype(*cells)


def _named(space: Space, cell: str, target: int, value: str, source: int) -> str:
    """The operation a value stands for."""
    candidates = _candidates(space, cell, target, source)
    return value if candidates is None else candidates[int(value)]


def _valued(space: Space, cell: str, target: int, operation: str, source: int) -> str:
    """The value that stands for an operation. Raises SpaceError where it is no candidate of its edge."""
    candidates = _candidates(space, cell, target, source)
    if candidates is None:
        return operation
    if operation not in candidates:
        raise SpaceError(
            f"edge {source} -> {target} of the {cell} cell carries {' or '.join(candidates)}, but got {operation}."
        )
    return str(candidates.index(operation))


def architecture(space: Space, found: Genotype) -> Architecture:
    """The architecture with these cells. Raises SpaceError if they are none of the space."""
    values: list[Value] = []
    for name, cell in zip(CELLS, (found.normal, found.reduce), strict=True):
        if len(cell.nodes) != len(TARGETS) or tuple(sorted(cell.concat)) != TARGETS:
            raise SpaceError(f"a cell of `darts` has nodes 2 to 5, all in its output, but got {cell}.")
        for target, node in zip(TARGETS, cell.nodes, strict=True):
            (first, a), (second, b) = sorted(node, key=lambda term: term[1])
            if a == b:
                raise SpaceError(f"node {target} of a `darts` cell must read two states, but reads {a} twice.")
            terms = [_valued(space, name, target, first, a), _valued(space, name, target, second, b)]
            values += ([f"{a},{b}"] if target > 2 else []) + terms
    return space.architecture(tuple(values))


def write(architecture: Architecture) -> str:
    """``Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=[2, 3, 4, 5], reduce=…)``."""
    return str(genotype(architecture))


def read(space: Space, text: str) -> Architecture:
    """Parse a genotype as the literature prints it. Raises SpaceError naming the offending part."""
    return architecture(space, read_genotype(text))


def canonical(architecture: Architecture) -> str:
    """Key, the same for cells that differ only in how their nodes are numbered (their output's channels permute)."""
    found = genotype(architecture)
    return f"{_canonical_cell(found.normal.nodes)};{_canonical_cell(found.reduce.nodes)}"


@lru_cache(maxsize=1 << 16)
def _canonical_cell(nodes: tuple[Node, ...]) -> str:
    return min(filter(None, (_renumbered(nodes, order) for order in itertools.permutations(range(len(nodes))))))


def _renumbered(nodes: tuple[Node, ...], order: tuple[int, ...]) -> str | None:
    """The cell with node `order[i]` as its i-th; None if a node would then read a later one."""
    state = {0: 0, 1: 1} | {old + 2: new + 2 for new, old in enumerate(order)}
    texts = []
    for new, old in enumerate(order):
        terms = sorted((state[source], operation) for operation, source in nodes[old])
        if terms[-1][0] >= new + 2:
            return None
        texts.append("+".join(f"{operation}:{source}" for source, operation in terms))
    return "|".join(texts)
