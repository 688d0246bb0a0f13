"""The hierarchical space: motifs made of motifs (Liu et al. 2018).

Level 1: six operations. Level 2: six motifs, each a graph on four nodes whose edges are operations. Level 3: the cell,
a graph on five nodes whose edges are motifs. In every graph each pair of nodes i < j has an edge or none; the first
node is the input and the last one the output. 7^46 = 7.5e38 points. The six operations are recalled, not verified
against the paper.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Architecture, Space

OPERATIONS = ("identity", "conv1x1", "depthwise3x3", "separable3x3", "max3x3", "avg3x3")
NONE = "none"
MOTIFS, MOTIF_NODES, CELL_NODES = 6, 4, 5
CELL = "cell"

Edge = tuple[int, int]
Graph = Mapping[Edge, str]
"""What each edge (i < j) is; pairs without an edge are absent."""


def hierarchical(
    motifs: int = MOTIFS,
    motif_nodes: int = MOTIF_NODES,
    cell_nodes: int = CELL_NODES,
    channels: int = 16,
    cells: int = 1,
    stages: int = 3,
) -> Space:
    """The space, with the skeleton its networks are built in.

    Args:
        motifs: of level 2.
        motif_nodes, cell_nodes: of every motif, and of the cell; at least 2.
        channels: of the first stage; every further one doubles them and halves the sides.
        cells: per stage.
        stages: of cells.

    Raises:
        StudyError: a setting is out of range.
        SpaceError: a graph has a single node.
    """
    settings = {"motifs": motifs, "motif_nodes": motif_nodes, "cell_nodes": cell_nodes}
    settings |= {"channels": channels, "cells": cells, "stages": stages}
    check_counts("hierarchical", settings)
    if min(motif_nodes, cell_nodes) < 2:
        raise SpaceError(f"hierarchical: a graph has at least 2 nodes, but got {motif_nodes} and {cell_nodes}.")
    names = [f"motif {number}" for number in range(1, motifs + 1)]
    return Space(
        name="hierarchical",
        decisions=(
            *(Choice(f"{m} {i}-{j}", (NONE, *OPERATIONS)) for m in names for i, j in edges(motif_nodes)),
            *(Choice(f"{CELL} {i}-{j}", (NONE, *names)) for i, j in edges(cell_nodes)),
        ),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.graphs.hierarchical_networks:HierarchicalNetworks",
        shares_weights=False,
        carrying=carries,
    )


def edges(nodes: int) -> list[Edge]:
    """Every pair i < j, in order."""
    return list(itertools.combinations(range(nodes), 2))


def graphs_of(architecture: Architecture) -> dict[str, Graph]:
    """The graphs of an architecture by name, the cell last, as drawn."""
    found: dict[str, dict[Edge, str]] = {}
    for name, value in architecture.as_dict().items():
        graph, _, edge = name.rpartition(" ")
        i, _, j = edge.partition("-")
        kept = found.setdefault(graph, {})
        if value != NONE:
            kept[int(i), int(j)] = str(value)
    return dict(found)


def expanded(architecture: Architecture) -> tuple[dict[str, Graph], Graph]:
    """The motifs that matter, and the cell made of them; both without what is on no way from input to output.

    A motif without such a way is no edge. The cell is empty where it has no way itself.
    """
    settings = architecture.space.settings
    *drawn, (_, cell) = graphs_of(architecture).items()
    motifs = {name: pruned(graph, settings["motif_nodes"]) for name, graph in drawn}
    cell = pruned({edge: name for edge, name in cell.items() if motifs[name]}, settings["cell_nodes"])
    return {name: motifs[name] for name in dict.fromkeys(cell.values())}, cell


def carries(architecture: Architecture) -> bool:
    """Whether a way leads from the cell's input to its output, through motifs with one."""
    return bool(expanded(architecture)[1])


def pruned(graph: Graph, nodes: int) -> Graph:
    """The edges that lie on a way from the first node to the last."""
    reached, needed = {0}, {nodes - 1}
    for i, j in sorted(graph):
        if i in reached:
            reached.add(j)
    for i, j in sorted(graph, key=lambda edge: edge[1], reverse=True):
        if j in needed:
            needed.add(i)
    return {(i, j): what for (i, j), what in graph.items() if i in reached and j in needed}


def canonical(architecture: Architecture) -> str:
    """The cell with its motifs written out, in the first of all orders of inner nodes: equal for architectures that
    differ in the numbers of motifs or nodes, or in what is never used."""
    motifs, cell = expanded(architecture)
    settings = architecture.space.settings
    texts = {name: f"({canonical_graph(graph, settings['motif_nodes'])})" for name, graph in motifs.items()}
    return canonical_graph({edge: texts[name] for edge, name in cell.items()}, settings["cell_nodes"]) or NONE


def canonical_graph(graph: Graph, nodes: int) -> str:
    """Text that is the same for graphs that differ in the order of their inner nodes."""
    inner = sorted({node for edge in graph for node in edge} - {0, nodes - 1})
    return min(_renamed(graph, dict(zip(order, itertools.count(1)))) for order in itertools.permutations(inner))


def _renamed(graph: Graph, names: Mapping[int, int]) -> str:
    last = len(names) + 1
    pairs = sorted((names.get(i, 0), names.get(j, last), what) for (i, j), what in graph.items())
    return " ".join(f"{i}-{j}:{what}" for i, j, what in pairs)


def identity_chain(space: Space) -> Architecture:
    """Every graph a chain of its nodes: motifs of identities, a cell of first motifs."""
    values = [NONE] * len(space.decisions)
    for at, decision in enumerate(space.decisions):
        i, _, j = decision.name.rpartition(" ")[2].partition("-")
        if int(j) == int(i) + 1:
            values[at] = str(decision.options[1])  # type: ignore[attr-defined]
    return space.architecture(tuple(values))


def mutated(architecture: Architecture, times: int, rng: np.random.Generator) -> Architecture:
    """So many mutations, one after the other: a level above the operations, one of its graphs and one of that graph's
    edges are drawn uniformly, and what the edge is, or whether it is, is drawn anew."""
    space, values = architecture.space, list(architecture.values)
    cell = len(edges(space.settings["cell_nodes"]))
    motif = len(values) - cell
    levels, places, picks = rng.random((3, times))
    for level, place, pick in zip(levels.tolist(), places.tolist(), picks.tolist(), strict=True):
        at = int(place * motif) if level < 0.5 else motif + int(place * cell)
        options = space.decisions[at].options  # type: ignore[attr-defined]
        values[at] = options[int(pick * len(options))]
    return Architecture(space, tuple(values))


def write(architecture: Architecture) -> str:
    """Graphs apart by bars, the cell last; edges 0-1, 0-2, … by spaces: operations, numbers of motifs, ``none``."""
    parts: dict[str, list[str]] = {}
    for name, value in architecture.as_dict().items():
        parts.setdefault(name.rpartition(" ")[0], []).append(str(value).removeprefix("motif "))
    return "|".join(" ".join(words) for words in parts.values())


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Raises SpaceError."""
    settings, parts = space.settings, [part.split() for part in text.split("|")]
    expected = [len(edges(settings["motif_nodes"]))] * settings["motifs"] + [len(edges(settings["cell_nodes"]))]
    if [len(part) for part in parts] != expected:
        raise SpaceError(
            f"`hierarchical` is written as {_counted(expected)} values apart by bars, "
            f"but {text!r} has {_counted(len(part) for part in parts)}."
        )
    *motifs, cell = parts
    named = [word if word == NONE else f"motif {word}" for word in cell]
    return space.architecture((*itertools.chain(*motifs), *named))


def _counted(numbers: Iterable[int]) -> str:
    return "|".join(map(str, numbers))
