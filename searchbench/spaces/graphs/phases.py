"""NSGA-Net's macro space: phases of nodes, a bit for every connection of two nodes, and one for a skip of the phase.

Three phases of six nodes have 3 * (15 + 1) = 48 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Architecture, Space


@dataclass(frozen=True, slots=True)
class PhaseGraph:
    """What a phase computes: nodes from 1, of which those that neither read nor are read are left out."""

    reads: tuple[tuple[int, tuple[int, ...]], ...]
    """(node, what it reads) of every node that is there; 0 is the phase's input. Empty: the phase is left out."""
    ends: tuple[int, ...]
    """What its output is the sum of."""


def phases(phases: int = 3, nodes: int = 6, channels: int = 128) -> Space:
    """The macro space of Lu et al. 2019, "NSGA-Net: neural architecture search using multi-objective genetic
    algorithm", section 3.1.

    A phase whose nodes are not connected at all is left out, whatever its skip says. Networks whose phases compute the
    same share a key.

    Args:
        phases: with a max pool between two.
        nodes: of every phase.
        channels: of every node.

    Raises:
        StudyError: a setting is out of range.

    Differs: a 3x3 convolution stands before the first phase, so that a network of no phase learns too; side lengths
        are halved between phases also where one is left out.
    """
    settings = {"phases": phases, "nodes": nodes, "channels": channels}
    check_counts("nsga-net", settings)
    return Space(
        name="nsga-net",
        decisions=tuple(
            Choice(f"phase {phase} {bit}", (0, 1))
            for phase in range(1, phases + 1)
            for bit in (*(f"{at}-{node}" for node in range(2, nodes + 1) for at in range(1, node)), "skip")
        ),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.graphs.phases_networks:PhaseNetworks",
        shares_weights=False,
    )


def bits(architecture: Architecture) -> Iterator[tuple[int, ...]]:
    """The bits of every phase, connections first, node by node, then the skip."""
    per_phase = len(architecture.values) // architecture.space.settings["phases"]
    for at in range(0, len(architecture.values), per_phase):
        yield tuple(int(str(bit)) for bit in architecture.values[at : at + per_phase])


def graph_of(own: tuple[int, ...], nodes: int) -> PhaseGraph:
    """The graph of a phase's bits. A node that is read but reads nothing reads the input; one that reads but is not
    read is part of the output; the skip adds the input to it."""
    if not any(own[:-1]):
        return PhaseGraph((), ())
    left = iter(own)
    reads = {node: tuple(at for at in range(1, node) if next(left)) for node in range(1, nodes + 1)}
    read = {at for sources in reads.values() for at in sources}
    there = [node for node in reads if reads[node] or node in read]
    ends = (*((0,) if own[-1] else ()), *(node for node in there if node not in read))
    return PhaseGraph(tuple((node, reads[node] or (0,)) for node in there), ends)


def canonical(architecture: Architecture) -> str:
    """The phases as they are built, nodes counted among those that are there."""
    nodes, found = architecture.space.settings["nodes"], []
    for own in bits(architecture):
        graph = graph_of(own, nodes)
        number = {0: 0, **{node: at for at, (node, _) in enumerate(graph.reads, start=1)}}
        reads = ";".join(",".join(str(number[at]) for at in sources) for _, sources in graph.reads)
        found.append(f"{reads}>{','.join(str(number[end]) for end in graph.ends)}" if graph.reads else "-")
    return "|".join(found)


def write(architecture: Architecture) -> str:
    """Nodes apart by hyphens, phases by bars, as in the paper: ``1-01-001-0110-00010-1|…``; the skip stands last."""
    nodes, parts = architecture.space.settings["nodes"], []
    for own in bits(architecture):
        text = "".join(map(str, own))
        ends = [node * (node - 1) // 2 for node in range(1, nodes + 1)]
        groups = [text[left:right] for left, right in pairwise(ends)]
        parts.append("-".join([*groups, text[-1]]))
    return "|".join(parts)


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Raises SpaceError."""
    digits = text.replace("|", "").replace("-", "")
    if len(digits) != len(space.decisions) or set(digits) - {"0", "1"}:
        raise SpaceError(f"`nsga-net` has {len(space.decisions)} bits here, phases apart by bars, but got {text!r}.")
    return space.architecture(tuple(int(digit) for digit in digits))
