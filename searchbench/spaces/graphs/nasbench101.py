"""The NAS-Bench-101 space: one cell of at most 7 vertices, 9 edges and three operations (Ying et al. 2019).

Vertex 0 is the cell's input and the last one its output. 423,624 cells are distinct. Drawn as nine edges among the 21
possible ones (the same edge twice counts once) and five operations: every point then keeps to the nine edges. What is
on no way from input to output is pruned before anything else is done with a cell.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice
from searchbench.spaces.labelled import INPUT, OUTPUT, LabelledGraph
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Architecture, Space

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
VERTICES, EDGES = 7, 9
SLOTS = tuple(f"{u}-{v}" for u, v in itertools.combinations(range(VERTICES), 2))
DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class CellGraph:
    """A directed acyclic graph with an operation on every vertex but the first and the last."""

    edges: frozenset[tuple[int, int]]
    """All from a smaller to a larger vertex."""
    operations: tuple[str, ...]

    @property
    def vertices(self) -> int:
        return len(self.operations) + 2

    def pruned(self) -> CellGraph | None:
        """Graph without the vertices that lie on no way from input to output; None where there is no way."""
        last = self.vertices - 1
        reached, needed = {0}, {last}
        for u, v in sorted(self.edges):
            if u in reached:
                reached.add(v)
        for u, v in sorted(self.edges, reverse=True):
            if v in needed:
                needed.add(u)
        kept = sorted(reached & needed)
        if last not in reached:
            return None
        place = {vertex: at for at, vertex in enumerate(kept)}
        edges = frozenset((place[u], place[v]) for u, v in self.edges if u in place and v in place)
        return CellGraph(edges, tuple(self.operations[vertex - 1] for vertex in kept[1:-1]))

    def fingerprint(self) -> str:
        """The benchmark's hash of a pruned cell, the same for isomorphic cells: the key of its published files.

        Begins with every vertex's degrees and label, and is renewed from its neighbours' as often as there are
        vertices.
        """
        labels = [-1, *(OPERATIONS.index(op) for op in self.operations), -2]
        before = [[u for u, v in self.edges if v == vertex] for vertex in range(self.vertices)]
        after = [[v for u, v in self.edges if u == vertex] for vertex in range(self.vertices)]
        hashes = [_md5(str((len(a), len(b), label))) for a, b, label in zip(after, before, labels, strict=True)]
        for _ in range(self.vertices):
            joined = (
                ("".join(sorted(hashes[w] for w in b)), "".join(sorted(hashes[w] for w in a)), hashes[vertex])
                for vertex, (b, a) in enumerate(zip(before, after, strict=True))
            )
            hashes = [_md5("|".join(parts)) for parts in joined]
        return _md5(str(sorted(hashes)))


def nasbench101(channels: int = 128, stacks: int = 3, modules: int = 3) -> Space:
    """The space, with the skeleton its networks are built in.

    Args:
        channels: of the first stack; every further one doubles them and halves the sides.
        stacks: of modules.
        modules: cells per stack.

    Raises:
        StudyError: a setting is out of range.
    """
    settings = {"channels": channels, "stacks": stacks, "modules": modules}
    check_counts("nasbench101", settings)
    return Space(
        name="nasbench101",
        decisions=(
            *(Choice(f"edge {at}", SLOTS) for at in range(1, EDGES + 1)),
            *(Choice(f"vertex {at}", OPERATIONS) for at in range(1, VERTICES - 1)),
        ),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.graphs.nasbench101_networks:CellNetworks",
        shares_weights=False,
        carrying=carries,
        graph=graph,
    )


def carries(architecture: Architecture) -> bool:
    """Whether a way leads from the cell's input to its output."""
    return cell_of(architecture).pruned() is not None


def graph(architecture: Architecture) -> LabelledGraph:
    """The pruned cell; without a vertex where it is not connected."""
    cell = cell_of(architecture).pruned()
    if cell is None:
        return LabelledGraph((), ())
    return LabelledGraph((f"{INPUT} 0", *cell.operations, OUTPUT), tuple(sorted(cell.edges)))


def cell_of(architecture: Architecture) -> CellGraph:
    """The cell as drawn, not pruned."""
    values = [str(value) for value in architecture.values]
    edges = frozenset((int(slot[0]), int(slot[2])) for slot in values[:EDGES])
    return CellGraph(edges, tuple(values[EDGES:]))


def canonical(architecture: Architecture) -> str:
    """The benchmark's hash of the pruned cell. All cells without a way from input to output share one key."""
    pruned = cell_of(architecture).pruned()
    return DISCONNECTED if pruned is None else pruned.fingerprint()


def write(architecture: Architecture) -> str:
    """Edges and operations: ``0-1 1-6 …|conv3x3-bn-relu …``. Edges drawn twice stand twice."""
    values = [str(value) for value in architecture.values]
    return " ".join(values[:EDGES]) + "|" + " ".join(values[EDGES:])


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Fewer than nine edges, or operations of fewer than seven vertices, will do: the last
    of the named vertices is then the output.

    Raises:
        SpaceError: no edge, too many edges or vertices, or an unknown operation.
    """
    edges, bar, operations = (part.split() for part in text.partition("|"))
    if not bar or not 1 <= len(edges) <= EDGES or len(operations) > VERTICES - 2:
        raise SpaceError(f"a nasbench101 cell is written `0-1 1-2 …|operation …`, with 1 to 9 edges, but got {text!r}.")
    slots = [_moved(edge, len(operations) + 1) for edge in edges]
    padded = (*slots, *[slots[-1]] * (EDGES - len(slots)))
    return space.architecture((*padded, *operations, *[OPERATIONS[0]] * (VERTICES - 2 - len(operations))))


def from_matrix(space: Space, matrix: list[list[int]], operations: list[str]) -> Architecture:
    """The architecture of the benchmark's notation: an upper triangular 0/1 matrix, and the operations of the inner
    vertices. Raises SpaceError."""
    edges = [f"{u}-{v}" for u, row in enumerate(matrix) for v, there in enumerate(row) if there]
    return read(space, " ".join(edges) + "|" + " ".join(operations))


def distinct(vertices: int) -> Iterator[CellGraph]:
    """Every distinct cell of so many vertices, none of which is pruned: 1, 6, 84, 2,441, 62,010 and 359,082 for 2 to 7
    vertices. Those of 6 and 7 take minutes and hours."""
    seen = set()
    slots = list(itertools.combinations(range(vertices), 2))
    for number in range(1, min(EDGES, len(slots)) + 1):
        for edges in itertools.combinations(slots, number):
            whole = CellGraph(frozenset(edges), (OPERATIONS[0],) * (vertices - 2))
            pruned = whole.pruned()
            if pruned is None or pruned.vertices < vertices:
                continue
            for operations in itertools.product(OPERATIONS, repeat=vertices - 2):
                cell = CellGraph(whole.edges, operations)
                fingerprint = cell.fingerprint()
                if fingerprint not in seen:
                    seen.add(fingerprint)
                    yield cell


def _moved(edge: str, last: int) -> str:
    """An edge of a cell with fewer vertices as one of seven: its output becomes the last vertex."""
    u, dash, v = edge.partition("-")
    if not (dash and u.isdecimal() and v.isdecimal() and int(u) < int(v) <= last):
        raise SpaceError(f"an edge is written u-v with u < v <= {last}, but got {edge!r}.")
    return f"{u}-{VERTICES - 1 if int(v) == last else v}"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
