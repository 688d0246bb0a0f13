"""Architectures as graphs of operations, which is what graph kernels compare."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True, slots=True)
class LabelledGraph:
    """A directed graph with a label on every vertex."""

    labels: tuple[str, ...]
    arcs: tuple[tuple[int, int], ...]
    """From, to."""
    widths: tuple[int, ...] = ()
    """Channels that every vertex gives, 0 at the ends; empty where all give as many."""

    @property
    def names(self) -> tuple[str, ...]:
        """Labels with what is known of widths."""
        pairs = zip(self.labels, self.widths or [0] * len(self.labels), strict=True)
        return tuple(f"{label} {width}" if width else label for label, width in pairs)

    def refinements(self, height: int) -> tuple[tuple[str, ...], ...]:
        """Labels of all vertices after 0 … `height` rounds of Weisfeiler-Lehman, `names` at first: in each round a
        vertex is labelled anew by its label and the sorted ones of its successors."""
        after: list[list[int]] = [[] for _ in self.labels]
        for source, target in self.arcs:
            after[source].append(target)
        rounds = [self.names]
        for _ in range(height):
            now = rounds[-1]
            rounds.append(tuple(_digest(label, sorted(now[w] for w in after[at])) for at, label in enumerate(now)))
        return tuple(rounds)


def graph_of_edges(
    terms: Iterable[tuple[int, int, str]], inputs: Iterable[int], outputs: Iterable[int]
) -> LabelledGraph:
    """The graph of a cell whose operations stand on edges: a vertex for each operation that lies on a way from an input
    to an output, one for each input, and one output.

    Args:
        terms: (source, target, operation) of every edge that carries something; sources are less than targets.
        inputs: nodes that nothing enters, in order.
        outputs: nodes that leave the cell.
    """
    edges, first, last = sorted(set(terms), key=lambda term: (term[1], term[0], term[2])), list(inputs), set(outputs)
    reached = set(first)
    for source, target, _ in edges:
        if source in reached:
            reached.add(target)
    needed = set(last)
    for source, target, _ in reversed(edges):
        if target in needed:
            needed.add(source)
    kept = [term for term in edges if term[0] in reached and term[1] in needed]
    labels = [f"{INPUT} {at}" for at in range(len(first))] + [operation for _, _, operation in kept] + [OUTPUT]
    ends: dict[int, list[int]] = {node: [at] for at, node in enumerate(first)}
    for at, (_, target, _) in enumerate(kept, start=len(first)):
        ends.setdefault(target, []).append(at)
    arcs = [(before, at) for at, (source, _, _) in enumerate(kept, len(first)) for before in ends.get(source, ())]
    arcs += [(before, len(labels) - 1) for node in sorted(last) for before in ends.get(node, ())]
    return LabelledGraph(tuple(labels), tuple(arcs))


def together(graphs: Iterable[tuple[str, LabelledGraph]]) -> LabelledGraph:
    """Several graphs as one that is not connected, the labels of each beginning with its name; all have widths or none
    has."""
    labels: list[str] = []
    arcs: list[tuple[int, int]] = []
    widths: list[int] = []
    for name, graph in graphs:
        at = len(labels)
        labels += [f"{name} {label}" for label in graph.labels]
        arcs += [(at + source, at + target) for source, target in graph.arcs]
        widths += graph.widths
    return LabelledGraph(tuple(labels), tuple(arcs), tuple(widths))


def chained(layers: Iterable[tuple[str, int]]) -> LabelledGraph:
    """The graph of layers one behind the other.

    Args:
        layers: (label, channels that it gives) of each, in order.
    """
    labels, widths = zip((f"{INPUT} 0", 0), *layers, (OUTPUT, 0), strict=True)
    return LabelledGraph(labels, tuple((at, at + 1) for at in range(len(labels) - 1)), widths)


def _digest(label: str, others: list[str]) -> str:
    return hashlib.blake2b("|".join((label, *others)).encode(), digest_size=12).hexdigest()
