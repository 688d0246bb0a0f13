"""Where the decisions of a cell space lie: which node each edge enters, what may stand on it, and in which forms its
supernet can be built. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

from searchbench.errors import SpaceError

NONE, SKIP = "none", "skip_connect"


@dataclass(frozen=True, slots=True)
class Edge:
    """One decision: the operation on the way from `source` to `target` in `cell`."""

    cell: str
    target: int
    source: int


@dataclass(frozen=True)
class Topology:
    """The edges of a space's cells, in the order of a supernet's decisions.

    Raises:
        SpaceError: there are no edges, or an operation is named twice.
    """

    edges: tuple[Edge, ...]
    operations: tuple[str, ...]
    """Candidates on every edge, in order."""
    keeps: int | None = None
    """Inputs per node that an architecture keeps; None: every edge, each with one operation (`none` is one)."""
    sparse: bool = True
    """Whether an architecture may have fewer inputs at a node than `keeps`."""
    learnable: tuple[str, ...] = ()
    """Operations with weights of their own."""
    allowed: tuple[tuple[int, ...], ...] | None = None
    """Indices of the operations that may stand on each edge; None: all, on every edge."""
    forms: tuple[str, ...] = ()
    """Fields of `Form` that its supernet understands."""
    silent: tuple[str, ...] = ()
    """Operations that carry nothing of what enters them."""
    outputs: tuple[int, ...] | None = None
    """Nodes that leave a cell; None: all that edges enter."""
    routed: bool = False
    """Whether an architecture is one route from the only input to the only output, with an operation on each of its
    edges; sources come before targets."""

    def __post_init__(self) -> None:
        if not self.edges or len(set(self.operations)) != len(self.operations):
            raise SpaceError(f"a topology needs edges and distinct operations, but got {self!r}.")
        if self.allowed is not None and (len(self.allowed) != len(self.edges) or not all(self.allowed)):
            raise SpaceError(
                f"a topology needs at least one operation allowed on every edge, but got {self.allowed!r}."
            )
        if self.routed and not self._leads_through():
            raise SpaceError(f"routes lead from one input to one output, edges forwards, but got {self.edges!r}.")

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cell types, in order of their first edge."""
        return tuple(dict.fromkeys(edge.cell for edge in self.edges))

    @property
    def none(self) -> int | None:
        """Index of the operation that carries nothing."""
        return self.operations.index(NONE) if NONE in self.operations else None

    @property
    def skip(self) -> int | None:
        """Index of the skip connection."""
        return self.operations.index(SKIP) if SKIP in self.operations else None

    def may_stand(self, edge: int, operation: int) -> bool:
        """Whether an operation is a candidate of an edge."""
        return self.allowed is None or operation in self.allowed[edge]

    @cached_property
    def carrying(self) -> tuple[tuple[int, ...], ...]:
        """Operations of each edge that let something of its input through."""
        loud = [at for at, name in enumerate(self.operations) if name not in self.silent]
        return tuple(tuple(at for at in loud if self.may_stand(edge, at)) for edge in range(len(self.edges)))

    def carries(self, path: Sequence[int]) -> bool:
        """Whether in every cell something of the input arrives at the output.

        Args:
            path: an operation per edge; -1 where the edge is not taken.
        """
        return all(self.carries_in(cell, path) for cell in self.cells)

    def carries_in(self, cell: str, path: Sequence[int]) -> bool:
        """`carries`, of one cell."""
        reached = set(self.inputs(cell))
        for at in self.forwards(cell):
            if path[at] in self.carrying[at] and self.edges[at].source in reached:
                reached.add(self.edges[at].target)
        return not reached.isdisjoint(self.leaving(cell))

    def inputs(self, cell: str) -> list[int]:
        """Nodes of a cell that no edge enters."""
        entered = {self.edges[at].target for at in self.rows(cell)}
        return sorted({self.edges[at].source for at in self.rows(cell)} - entered)

    def leaving(self, cell: str) -> set[int]:
        """Nodes whose values leave a cell."""
        return {self.edges[at].target for at in self.rows(cell)} if self.outputs is None else set(self.outputs)

    def forwards(self, cell: str) -> list[int]:
        """Decisions of a cell, those that enter a node before those that leave it."""
        return sorted(self.rows(cell), key=lambda at: (self.edges[at].target, self.edges[at].source))

    def rows(self, cell: str) -> list[int]:
        """Decisions of a cell type."""
        return [at for at, edge in enumerate(self.edges) if edge.cell == cell]

    def nodes(self) -> Iterator[list[int]]:
        """Decisions that enter each node, lower source first."""
        groups: dict[tuple[str, int], list[int]] = {}
        for at, edge in enumerate(self.edges):
            groups.setdefault((edge.cell, edge.target), []).append(at)
        for rows in groups.values():
            yield sorted(rows, key=lambda at: self.edges[at].source)

    def forks(self) -> Iterator[list[int]]:
        """Decisions that leave each node, lower node and lower target first; cell after cell."""
        groups: dict[tuple[str, int], list[int]] = {}
        for at, edge in enumerate(self.edges):
            groups.setdefault((edge.cell, edge.source), []).append(at)
        order = {cell: at for at, cell in enumerate(self.cells)}
        for cell, source in sorted(groups, key=lambda key: (order[key[0]], key[1])):
            yield sorted(groups[cell, source], key=lambda at: self.edges[at].target)

    def _leads_through(self) -> bool:
        sources, targets = {edge.source for edge in self.edges}, {edge.target for edge in self.edges}
        ends = len(sources - targets), len(targets - sources)
        return len(self.cells) == 1 and ends == (1, 1) and all(edge.source < edge.target for edge in self.edges)


@dataclass(frozen=True, slots=True)
class Form:
    """How a supernet is built differently from the plain one. A space names the fields it understands, see
    `Topology.forms`."""

    partial: int = 1
    """Only the first 1/partial of the channels pass through operations; the others bypass them, then all are shuffled
    (Xu et al. 2020, PC-DARTS)."""
    node_norm: bool = False
    """A batch norm that is not affine after each node's sum (DARTS-PRIME with CRB)."""
    auxiliary_skip: bool = False
    """An additional skip connection on every edge (Chu et al. 2021, DARTS-)."""
    skip_dropout: bool = False
    """Dropout on skip connections (Chen et al. 2019, P-DARTS)."""
    drop_path: bool = False
    """Edges as wholes are dropped, sample by sample (Zela et al. 2020, R-DARTS)."""
    cells: int | None = None
    """Number of cells, where it is not the space's own."""
    scalars: bool = False
    """What is not executed on an edge enters the sum as a number (the released code of GDAS)."""
    routes: bool = False
    """Its decisions are the edges of the topology's routes (Fang et al. 2020, DenseNAS)."""

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the fields that are not the plain form's."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != f.default)


PLAIN = Form()
