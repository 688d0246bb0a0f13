"""The NAS-Bench-201 topology space: one cell of six edges, five operations an edge (Dong & Yang 2020).

Nodes 0..3; every node is the sum of its incoming edges; node 3 is the cell's output. 5^6 = 15,625 strings, of which
6,466 are distinct under the benchmark's own canonical form.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.labelled import LabelledGraph, graph_of_edges
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.spaces.topology import Edge, Topology

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""(target, source) of each decision, in the literature's order."""
TOPOLOGY = Topology(
    edges=tuple(Edge("cell", target, source) for target, source in EDGES),
    operations=OPERATIONS,
    learnable=("nor_conv_1x1", "nor_conv_3x3"),
    forms=("partial", "node_norm", "skip_dropout", "auxiliary_skip", "drop_path", "scalars"),
    silent=("none",),
    outputs=(3,),
)


def nasbench201(channels: int = 16, cells: int = 5, stages: int = 3) -> Space:
    """The space, with the skeleton its networks are built in.

    Args:
        channels: output channels of the stem; doubled at each of the `stages - 1` residual reductions.
        cells: cells per stage.
        stages: stages; between two stands a residual block of stride 2.

    Raises:
        StudyError: a setting is not a positive integer.
    """
    settings = {"channels": channels, "cells": cells, "stages": stages}
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise StudyError(f"nasbench201: `{name}` must be a positive integer, but got {value!r}.")
    return Space(
        name="nasbench201",
        decisions=tuple(Choice(f"{target}<-{source}", OPERATIONS) for target, source in EDGES),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        paths=paths,
        networks="searchbench.spaces.nasbench201.networks:CellNetworks",
        topology=TOPOLOGY,
        carrying=carries,
        graph=graph,
    )


def carries(architecture: Architecture) -> bool:
    """Whether the output is reached from the input: of 15,625 cells 341 have no such route."""
    return TOPOLOGY.carries([OPERATIONS.index(str(value)) for value in architecture.values])


def graph(architecture: Architecture) -> LabelledGraph:
    """Operations as vertices; `none`, and what is on no way from input to output, left out."""
    edges = zip(EDGES, architecture.values, strict=True)
    terms = [(source, target, str(op)) for (target, source), op in edges if op != "none"]
    return graph_of_edges(terms, inputs=(0,), outputs=(3,))


def write(architecture: Architecture) -> str:
    """The benchmark's string: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""
    v = architecture.values
    return f"|{v[0]}~0|+|{v[1]}~0|{v[2]}~1|+|{v[3]}~0|{v[4]}~1|{v[5]}~2|"


def read(space: Space, text: str) -> Architecture:
    """Parse the benchmark's string. Raises SpaceError naming the offending part."""
    tokens = [token for node in text.split("+") for token in node.strip("|").split("|")]
    expected = [source for _, source in EDGES]
    if len(tokens) != len(expected):
        raise SpaceError(f"a nasbench201 string has 6 edges, but {text!r} has {len(tokens)}.")
    values = []
    for token, source in zip(tokens, expected, strict=True):
        operation, _, index = token.partition("~")
        if index != str(source):
            raise SpaceError(f"edge {token!r} of {text!r} should come from node {source}.")
        values.append(operation)
    return space.architecture(tuple(values))


def canonical(architecture: Architecture) -> str:
    """The benchmark's own unique string (form b of the paper's code): isomorphic cells share it.

    An edge is "#" if its operation is none or its source is exactly "#"; skip_connect copies its source's expression,
    any other operation wraps it; a node sorts and joins its terms, keeping "#" terms.
    """
    nodes = ["0"]
    at = 0
    for target in (1, 2, 3):
        terms = []
        for source in range(target):
            terms.append(_edge(nodes[source], str(architecture.values[at])))
            at += 1
        nodes.append("+".join(sorted(terms)))
    return nodes[3]


def _edge(source: str, operation: str) -> str:
    if operation == "none" or source == "#":
        return "#"
    if operation == "skip_connect":
        return source
    return f"({source})@{operation}"


_ROUTES = (((3,),), ((0, 4), (1, 5)), ((0, 2, 5),))
"""Decisions along every path from input to output, by length."""


def paths(architecture: Architecture) -> Array:
    """Path encoding: a bit per operation sequence from input to output, 5 + 25 + 125 = 155 bits.

    The bit of a path (o_1 … o_k) is at 5 + … + 5^(k-1) + sum_j o_j 5^(j-1) (White et al. 2021, BANANAS).
    A sequence through `none` is a path like any other, so that every route sets exactly one bit.
    """
    indices = [OPERATIONS.index(str(value)) for value in architecture.values]
    bits = np.zeros(155)
    offset = 0
    for length, routes in enumerate(_ROUTES, start=1):
        for route in routes:
            bits[offset + sum(indices[edge] * 5**j for j, edge in enumerate(route))] = 1.0
        offset += 5**length
    return bits
