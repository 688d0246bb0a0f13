"""A Gaussian process over networks that are compared by how much of one is edited to make the other (Auto-Keras)."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import linear_sum_assignment

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.labelled import INPUT, OUTPUT, LabelledGraph
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.acquisition import Predict
from searchbench.strategies.graph_process import graphless
from searchbench.strategies.strategy import Scenario

LAYERS, SKIPS = 32, 128
"""Most layers and skip connections of a network."""
CONNECTIONS = ("add", "concat", "skip_connect")
"""Labels of vertices that compute nothing but what they pass on."""
RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Of which the most likely multiplies the squared distances of the embedding, which are means over its coordinates."""
NOISES = (1e-6, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0)
"""Of which the most likely is taken, relative to the kernel's amplitude."""
REMEMBERED = 1024
"""Parts that are kept between fits."""
Indices = npt.NDArray[np.intp]


class Descriptor(NamedTuple):
    """What is compared of a network."""

    layers: tuple[tuple[str, int], ...]
    """(label, width) in order of depth."""
    skips: tuple[tuple[int, int, str], ...]
    """(layers before its begin, layers before its end, what it is), of every connection past a layer."""


def descriptor(graph: LabelledGraph) -> Descriptor:
    """The layers and skips of a graph, whose arcs lead upwards. Depths are longest ways, counted in layers."""
    sources: list[list[int]] = [[] for _ in graph.labels]
    for source, target in graph.arcs:
        sources[target].append(source)
    behind: list[int] = []
    layers: list[tuple[str, int, str, int]] = []
    skips: list[tuple[int, int, str]] = []
    widths = graph.widths or [1] * len(graph.labels)
    for at, (label, width) in enumerate(zip(graph.labels, widths, strict=True)):
        name, _, operation = label.rpartition(" ")
        depth = max((behind[source] for source in sources[at]), default=0)
        kind = f"{name} {operation if operation in CONNECTIONS[:2] else CONNECTIONS[0]}".strip()
        skips += [(behind[source], depth, kind) for source in sources[at] if behind[source] != depth]
        layer = operation not in CONNECTIONS and not {INPUT, OUTPUT} & set(label.split())
        if layer:
            layers.append((name, depth, label, width))
        behind.append(depth + layer)
    return Descriptor(tuple((label, width) for *_, label, width in sorted(layers)), tuple(sorted(skips)))


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Descriptors as numbers: `LAYERS` of [label, width], then `SKIPS` of [begin, end, kind], zeros where there are
    fewer.

    Raises:
        SpaceError: a network has more.
    """

    def unsupported(self, scenario: Scenario) -> str | None:
        return graphless(scenario.space)

    def of(self, space: Space, architecture: Architecture) -> Array:
        assert space.graph is not None, "refused when the study is planned"
        layers, skips = descriptor(space.graph(architecture))
        if len(layers) > LAYERS or len(skips) > SKIPS:
            raise SpaceError(
                f"{architecture} has {len(layers)} layers and {len(skips)} skips, and networks of at most {LAYERS} and "
                f"{SKIPS} are compared by edits."
            )
        rows, connections = np.zeros((LAYERS, 2)), np.zeros((SKIPS, 3))
        for row, (label, width) in zip(rows, layers, strict=False):
            row[:] = _code(label), width
        for row, (begin, end, kind) in zip(connections, skips, strict=False):
            row[:] = begin, end, _code(kind)
        return np.concatenate([rows.ravel(), connections.ravel()])


def _code(text: str) -> float:
    return float(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") + 1)


def layers_distances(ones: Array, others: Array) -> Array:
    """Edit distances of chains of layers `ones` [m, LAYERS, 2] and `others` [n, LAYERS, 2], [m, n].

    A[i, j] = min(A[i-1, j] + 1, A[i, j-1] + 1, A[i-1, j-1] + |w - w'| / max(w, w')), a layer of another label at 1.
    """
    (counts, left), (other_counts, right) = _filled(ones), _filled(others)
    mine, theirs = left[:, None, :, None], right[None, :, None]
    wider = np.maximum(mine[..., 1], theirs[..., 1])
    changed = np.abs(mine[..., 1] - theirs[..., 1]) / np.where(wider > 0, wider, 1.0)
    changed[mine[..., 0] != theirs[..., 0]] = 1.0
    rows, columns = changed.shape[2:]
    edits = np.empty((rows + 1, columns + 1, len(ones), len(others)))
    edits[:, 0], edits[0] = np.arange(rows + 1)[:, None, None], np.arange(columns + 1)[:, None, None]
    for i, j in itertools.product(range(rows), range(columns)):
        inserted = np.minimum(edits[i, j + 1], edits[i + 1, j]) + 1
        edits[i + 1, j + 1] = np.minimum(inserted, edits[i, j] + changed[:, :, i, j])
    found: Array = edits[
        counts[:, None], other_counts[None], np.arange(len(ones))[:, None], np.arange(len(others))[None]
    ]
    return found


def skips_distances(ones: Array, others: Array) -> Array:
    """Distances of sets of skips `ones` [m, SKIPS, 3] and `others` [n, SKIPS, 3], [m, n]: of the cheapest matching, and
    1 for each that is left over.

    d(s, s') = (|u - u'| + |l - l'|) / (max(u, u') + max(l, l')), u where one begins, l how far it leads; 1 for
    another kind.
    """
    (counts, left), (other_counts, right) = _filled(ones), _filled(others)
    found: Array = np.abs(counts[:, None] - other_counts[None]).astype(np.float64)
    for at, (count, mine) in enumerate(zip(counts, left, strict=True)):
        for to, (costs, other) in enumerate(zip(_moved(mine[:count], right), other_counts, strict=True)):
            matched = linear_sum_assignment(costs[:, :other])
            found[at, to] += costs[matched].sum()
    return found


def _moved(one: Array, others: Array) -> Array:
    """What each skip of `one` [a, 3] costs to match with each of `others` [n, b, 3], [n, a, b]."""
    mine, theirs = one[None, :, None], others[:, None]
    begin, other_begin = mine[..., 0], theirs[..., 0]
    span, other_span = mine[..., 1] - begin, theirs[..., 1] - other_begin
    most = np.maximum(begin, other_begin) + np.maximum(span, other_span)
    found: Array = (np.abs(begin - other_begin) + np.abs(span - other_span)) / np.where(most > 0, most, 1.0)
    found[mine[..., 2] != theirs[..., 2]] = 1.0
    return found


def _filled(rows: Array) -> tuple[Indices, Array]:
    """How many rows are there, [m], and as many of all as any has, [m, most, D]."""
    counts = (rows[..., -1] > 0).sum(1)
    return counts, rows[:, : int(counts.max(initial=0))]


def reference_sets(count: int, rng: np.random.Generator) -> list[Indices]:
    """The subsets of `count` points that Bourgain's embedding measures distances to: ceil(ln n) of each size 1, 2, 4 …
    below n, drawn with replacement."""
    if count < 2:
        return [np.zeros(1, dtype=np.intp)]
    each, sizes = math.ceil(math.log(count)), math.ceil(math.log2(count) - 1) + 1
    return [rng.integers(count, size=2**size) for size in range(sizes) for _ in range(each)]


def embedded(between: Array, sets: Sequence[Indices]) -> Array:
    """Coordinates of points by their distances [m, n] to known ones: the least to each of the sets, [m, sets]."""
    starts = np.cumsum([0, *(len(one) for one in sets[:-1])])
    found: Array = np.minimum.reduceat(between[:, np.concatenate(sets)], starts, axis=1)
    return found


def kernel(ones: Array, others: Array, rate: float = 1.0) -> Array:
    """exp(-rate x the mean squared difference of coordinates) of `ones` [m, D] and `others` [n, D], [m, n]."""
    squares = (ones**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2 * ones @ others.T
    found: Array = np.exp(-rate * np.maximum(squares, 0.0) / ones.shape[1])
    return found


@dataclass(frozen=True, slots=True)
class EditProcess:
    """k = amplitude x exp(-rate rho^2) + noise, rho the distance of the networks' Bourgain embeddings by

        d = D(layers) + structure x D(skips),

    see `layers_distances` and `skips_distances`. Values are standardised; the deviation is that of the function.

    Rate and noise are those of the greatest marginal likelihood out of a few, the amplitude in closed form.

    Args:
        structure: lambda, what skips count beside layers.

    Raises:
        StudyError: it is negative.

    Source: Jin, Song & Hu 2019, "Auto-Keras: an efficient neural architecture search system", section 3.1 (the
        recursion is printed with a maximum; the released code takes the minimum); Bourgain 1985; lambda = .1 and the
        rate 1 of the released code, version 0.2.
    Differs: other points are embedded by the same sets as the data, where the released code takes exp(-d^2) of their
        unembedded distances, which need not be a kernel; the sets are drawn anew at every fit, as many of each size,
        where its inner loop shortens itself; values are standardised, and rate and noise chosen by likelihood.
    """

    structure: float = 0.1

    def __post_init__(self) -> None:
        if not self.structure >= 0:
            raise StudyError(f"`structure` must not be negative, but got {self.structure!r}.")

    def start(self, space: Space) -> LiveEdits:
        return LiveEdits(self.structure)


@dataclass(slots=True)
class Memo:
    """Distances of parts of networks from those of the data, each pair taken once."""

    distances: Callable[[Array, Array], Array]
    length: int
    columns: int
    _met: dict[bytes, int] = field(default_factory=dict)
    _known: dict[bytes, int] = field(default_factory=dict)
    _between: Array = field(default_factory=lambda: np.zeros((0, 0)))
    """[parts met, parts of the data]."""

    def begin(self, rows: Array) -> Indices:
        """Numbers of the data's parts, from rows [n, rows x columns]; what was met is remembered if it is little."""
        if len(self._met) > REMEMBERED:
            self._met.clear()
            self._between = np.zeros((0, len(self._known)))
        numbers, fresh = _numbered(rows, self._known)
        if fresh:
            new = self.distances(self._parts(self._met), self._parts(fresh))
            self._between = np.concatenate([self._between, new], axis=1)
        return numbers

    def across(self, rows: Array, data: Indices) -> Array:
        """Distances of the parts in rows [m, rows x columns] from those of the data, [m, n]."""
        numbers, fresh = _numbered(rows, self._met)
        if fresh:
            new = self.distances(self._parts(fresh), self._parts(self._known))
            self._between = np.concatenate([self._between, new])
        return self._between[numbers[:, None], data]

    def _parts(self, known: Iterable[bytes]) -> Array:
        return np.frombuffer(b"".join(known)).reshape(-1, self.length, self.columns)


def _numbered(rows: Array, known: dict[bytes, int]) -> tuple[Indices, list[bytes]]:
    """Numbers of rows, and those that were not known and now are."""
    before, keys = len(known), [row.tobytes() for row in rows]
    numbers = [known.setdefault(key, len(known)) for key in keys]
    return np.array(numbers, dtype=np.intp), list(itertools.islice(known, before, None))


@dataclass(slots=True)
class LiveEdits:
    """`EditProcess` within one run: remembers distances."""

    structure: float
    _layers: Memo = field(default_factory=lambda: Memo(layers_distances, LAYERS, 2))
    _skips: Memo = field(default_factory=lambda: Memo(skips_distances, SKIPS, 3))

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        split = 2 * LAYERS
        layers, skips = self._layers.begin(encodings[:, :split]), self._skips.begin(encodings[:, split:])
        mean, scale = float(values.mean()), float(values.std()) or 1.0
        targets, sets = (values - mean) / scale, reference_sets(len(values), rng)

        def embed(points: Array) -> Array:
            between = self._layers.across(points[:, :split], layers)
            return embedded(between + self.structure * self._skips.across(points[:, split:], skips), sets)

        rows = embed(encodings)
        likelihood, best = -math.inf, None
        for rate in RATES:
            alike = kernel(rows, rows, rate)
            for noise in NOISES:
                root = cholesky(alike + (noise + 1e-10) * np.eye(len(rows)), lower=True)
                weights = cho_solve((root, True), targets)
                amplitude = max(float(targets @ weights) / len(targets), 1e-12)
                found = -0.5 * len(targets) * math.log(amplitude) - float(np.log(np.diag(root)).sum())
                if best is None or found > likelihood:
                    likelihood, best = found, (rate, root, weights, amplitude)
        assert best is not None
        rate, root, weights, amplitude = best

        def predict(points: Array) -> tuple[Array, Array]:
            cross = kernel(embed(points), rows, rate)
            spread = solve_triangular(root, cross.T, lower=True)
            variance = amplitude * np.maximum(1.0 - (spread**2).sum(0), 0.0)
            return mean + scale * (cross @ weights), scale * np.sqrt(variance)

        return predict
