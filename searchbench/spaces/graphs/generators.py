"""Random graph generators, and the acyclic graphs that neural networks are wired by (Xie et al. 2019, section 3).

Each generator draws an undirected graph of N nodes and an order of them; every edge is then directed from the earlier
to the later node, which makes it acyclic. Pure functions of parameters and generator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from searchbench.errors import SpaceError

ATTEMPTS = 10_000
"""Draws after which a generator that gives no connected graph is given up."""

Edges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Dag:
    """A directed acyclic graph on nodes 0 … nodes-1, whose edges all lead from a smaller to a larger index."""

    nodes: int
    edges: Edges
    """Sorted, without duplicates."""

    def __post_init__(self) -> None:
        assert all(0 <= u < v < self.nodes for u, v in self.edges)
        assert list(self.edges) == sorted(set(self.edges))

    def predecessors(self, node: int) -> tuple[int, ...]:
        return tuple(u for u, v in self.edges if v == node)

    @property
    def sources(self) -> tuple[int, ...]:
        """Nodes that no edge enters: they read the stage's input."""
        entered = {v for _, v in self.edges}
        return tuple(node for node in range(self.nodes) if node not in entered)

    @property
    def sinks(self) -> tuple[int, ...]:
        """Nodes that no edge leaves: their mean is the stage's output."""
        left = {u for u, _ in self.edges}
        return tuple(node for node in range(self.nodes) if node not in left)


class Generator(Protocol):
    """Draws graphs."""

    def draw(self, nodes: int, rng: np.random.Generator) -> Dag:
        """A connected graph. Raises SpaceError where the parameters allow none."""


@dataclass(frozen=True, slots=True)
class ErdosRenyi:
    """Every pair of nodes is linked with probability `p`; redrawn until connected; the order of the nodes is random.

    Source: Erdős & Rényi 1959; Xie et al. 2019, section 3.3.
    """

    p: float

    def __post_init__(self) -> None:
        _check_probability("ER", self.p)

    def draw(self, nodes: int, rng: np.random.Generator) -> Dag:
        for _ in range(ATTEMPTS):
            linked = np.argwhere(np.triu(rng.random((nodes, nodes)) < self.p, 1))
            order = rng.permutation(nodes)  # of no effect here, as pairs are alike; drawn as the paper has it
            dag = _directed(nodes, [(int(order[a]), int(order[b])) for a, b in linked])
            if connected(dag):
                return dag
        raise _never_connected(self, nodes)


@dataclass(frozen=True, slots=True)
class BarabasiAlbert:
    """Begins with `m` nodes and no edge; every further node is linked to `m` earlier ones, drawn in proportion to
    their degree without replacement (the first to all). Ordered by when they were added: m (N - m) edges, m sources.

    Source: Albert & Barabási 2002; Xie et al. 2019, section 3.3.
    Differs: networkx begins with a star, which leaves one source.
    """

    m: int

    def __post_init__(self) -> None:
        if self.m < 1:
            raise SpaceError(f"BA(m) needs m >= 1, but got m={self.m}.")

    def draw(self, nodes: int, rng: np.random.Generator) -> Dag:
        if self.m >= nodes:
            raise SpaceError(f"BA(m) needs m < N, but got m={self.m}, N={nodes}.")
        degrees = np.zeros(nodes)
        found = []
        for node in range(self.m, nodes):
            weights = degrees[:node] if node > self.m else np.ones(node)
            targets = rng.choice(node, size=self.m, replace=False, p=weights / weights.sum())
            found += [(int(target), node) for target in targets]
            degrees[targets] += 1
            degrees[node] = self.m
        return _directed(nodes, found)


@dataclass(frozen=True, slots=True)
class WattsStrogatz:
    """A ring in which every node is linked to the k/2 nearest on either side; then, clockwise for every distance from
    1 to k/2, each edge is rewired with probability `p` to a node drawn among those not linked yet. Always N k / 2
    edges; redrawn until connected; ordered clockwise.

    Source: Watts & Strogatz 1998; Xie et al. 2019, section 3.3.
    """

    k: int
    p: float

    def __post_init__(self) -> None:
        _check_probability("WS", self.p)
        if self.k < 2 or self.k % 2:
            raise SpaceError(f"WS(k, p) needs an even k >= 2, but got k={self.k}.")

    def draw(self, nodes: int, rng: np.random.Generator) -> Dag:
        if self.k >= nodes:
            raise SpaceError(f"WS(k, p) needs k < N, but got k={self.k}, N={nodes}.")
        for _ in range(ATTEMPTS):
            dag = _directed(nodes, self._rewired(nodes, rng))
            if connected(dag):
                return dag
        raise _never_connected(self, nodes)

    def _rewired(self, nodes: int, rng: np.random.Generator) -> list[tuple[int, int]]:
        linked = np.zeros((nodes, nodes), dtype=bool)
        ring = np.arange(nodes)
        for distance in range(1, self.k // 2 + 1):
            linked[ring, (ring + distance) % nodes] = linked[(ring + distance) % nodes, ring] = True
        for distance in range(1, self.k // 2 + 1):
            for node in range(nodes):
                if rng.random() < self.p:
                    self._rewire(linked, node, (node + distance) % nodes, rng)
        return [(int(a), int(b)) for a, b in np.argwhere(np.triu(linked))]

    def _rewire(self, linked: np.ndarray, node: int, old: int, rng: np.random.Generator) -> None:
        free = np.flatnonzero(~linked[node])
        free = free[free != node]
        if len(free):  # a node linked to all others keeps its edge
            new = int(rng.choice(free))
            linked[node, old] = linked[old, node] = False
            linked[node, new] = linked[new, node] = True


NOTATION = re.compile(r"(ER|BA|WS)\(([^()]*)\)")


def parse(text: str) -> Generator:
    """The generator of the literature's notation: ``ER(0.2)``, ``BA(5)``, ``WS(4,0.75)``. Raises SpaceError."""
    matched = NOTATION.fullmatch(text.replace(" ", ""))
    if matched is None:
        raise SpaceError(f"a generator is written ER(p), BA(m) or WS(k,p), but got {text!r}.")
    kind, numbers = matched[1], matched[2].split(",")
    try:
        if kind == "ER":
            return ErdosRenyi(*map(float, numbers))
        if kind == "BA":
            return BarabasiAlbert(*map(int, numbers))
        k, p = numbers
        return WattsStrogatz(int(k), float(p))
    except (ValueError, TypeError):
        raise SpaceError(f"a generator is written ER(p), BA(m) or WS(k,p), but got {text!r}.") from None


def connected(dag: Dag) -> bool:
    """Whether every node can be reached from every other, edges taken in both directions."""
    parent = list(range(dag.nodes))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for u, v in dag.edges:
        parent[root(u)] = root(v)
    return len({root(node) for node in range(dag.nodes)}) == 1


def _directed(nodes: int, pairs: list[tuple[int, int]]) -> Dag:
    return Dag(nodes, tuple(sorted((min(pair), max(pair)) for pair in pairs)))


def _check_probability(kind: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise SpaceError(f"the probability of {kind} must lie in [0, 1], but got {p}.")


def _never_connected(generator: Generator, nodes: int) -> SpaceError:
    return SpaceError(
        f"{generator} gave no connected graph of {nodes} nodes in {ATTEMPTS} draws; raise its p or link more nodes."
    )
