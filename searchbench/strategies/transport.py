"""A Gaussian process over networks that are compared by optimal transport of their layers (OTMANN)."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.labelled import INPUT, OUTPUT, LabelledGraph
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.acquisition import Acquisition, ExpectedImprovement, Predict
from searchbench.strategies.graph_process import graphless
from searchbench.strategies.model_based import ModelBased, RandomAndNear
from searchbench.strategies.strategy import Scenario

LAYERS, TERMINALS = 32, 8
"""Most layers, and most inputs and outputs, of a graph."""
LENGTHS = 6
ALIKE, POOLS = 0.2, 0.25
"""What it costs to match layers of one kind with other kernels, and pools of other kinds."""
MASS_OF_ENDS = 0.1
"""Of each input and output, as a share of the mass of all layers."""
RATES = (0.3, 1.0, 3.0)
"""beta times the mean distance of the data, of which the most likely is taken."""
SHARES = (0.0, 0.5, 1.0)
"""Of the kernel of distances that are not normalised."""
NOISES = (1e-4, 1e-3, 1e-2, 0.1, 0.5)


class MatchedLayer(NamedTuple):
    """A vertex as it is compared: codes of its label and of its kind, what another label of the kind costs, lengths of
    ways."""

    label: float
    kind: float
    within: float
    lengths: tuple[float, ...]
    """Shortest, longest and random ways from an input and to an output, six."""


def layers_of(graph: LabelledGraph) -> tuple[list[MatchedLayer], list[MatchedLayer]]:
    """The layers of a graph, and its inputs and outputs, in the order of its vertices."""
    lengths = zip(_lengths(graph, forward=False), _lengths(graph, forward=True), strict=True)
    inner: list[MatchedLayer] = []
    ends: list[MatchedLayer] = []
    for label, (before, after) in zip(graph.names, lengths, strict=True):
        kind = re.sub(r"\d+", "", label)
        within = ALIKE
        if "pool" in label:
            kind, within = re.sub(r"(max|avg)_pool.*", "pool", label), POOLS
        end = any(word in label.split() for word in (INPUT, OUTPUT))
        (ends if end else inner).append(MatchedLayer(_code(label), _code(kind), within, (*before, *after)))
    return inner, ends


def _lengths(graph: LabelledGraph, forward: bool) -> list[tuple[float, float, float]]:
    """Shortest, longest and mean random way of every vertex to the end, or to the beginning; arcs lead upwards."""
    beside: list[list[int]] = [[] for _ in graph.labels]
    for source, target in graph.arcs:
        beside[source if forward else target].append(target if forward else source)
    found: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0)] * len(beside)
    order = range(len(beside))
    for at in reversed(order) if forward else order:
        if beside[at]:
            short, long, walks = zip(*(found[other] for other in beside[at]), strict=True)
            found[at] = 1 + min(short), 1 + max(long), 1 + sum(walks) / len(walks)
    return found


def _code(text: str) -> float:
    return float(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") + 1)


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of an architecture's graph as numbers: `LAYERS` of [label, kind, within, lengths], then `TERMINALS`,
    zeros where there are fewer.

    Raises:
        SpaceError: a graph has more.
    """

    def unsupported(self, scenario: Scenario) -> str | None:
        return graphless(scenario.space)

    def of(self, space: Space, architecture: Architecture) -> Array:
        assert space.graph is not None, "refused when the study is planned"
        inner, ends = layers_of(space.graph(architecture))
        if len(inner) > LAYERS or len(ends) > TERMINALS:
            raise SpaceError(
                f"{architecture} has {len(inner)} layers and {len(ends)} ends, and networks of at most {LAYERS} and "
                f"{TERMINALS} are compared by optimal transport."
            )
        rows = np.zeros((LAYERS + TERMINALS, 3 + LENGTHS))
        for start, part in ((0, inner), (LAYERS, ends)):
            for at, layer in enumerate(part, start):
                rows[at] = (layer.label, layer.kind, layer.within, *layer.lengths)
        return rows.ravel()


def distances(one: Array, others: Array, structure: float) -> tuple[Array, Array]:
    """The OTMANN distance of an encoded network from each of `others` [n, D]: as it is, and over the sum of both
    masses, [n] each.

    min over Z >= 0, Z 1 <= m, Z' 1 <= m' of sum_ij Z_ij (M_ij + structure S_ij) + (sum m - sum Z) + (sum m' - sum Z)

    with M what labels cost and S the mean of six differences of lengths of ways. Layers have mass 1, so that an
    assignment solves it; an end has `MASS_OF_ENDS` of the layers' and is matched with its like alone.
    """
    mine, theirs = one.reshape(-1, 3 + LENGTHS), others.reshape(len(others), -1, 3 + LENGTHS)
    counts = (theirs[:, :LAYERS, 0] > 0).sum(1)
    count = int((mine[:LAYERS, 0] > 0).sum())
    saved = np.zeros(len(others))
    left, right = mine[:count], theirs[:, : int(counts.max(initial=0))]
    gain = np.minimum(_costs(left, right, structure) - 2.0, 0.0)
    for at, matrix in enumerate(gain):
        row, column = linear_sum_assignment(matrix)
        saved[at] = matrix[row, column].sum()
    found = count + counts + saved
    ends, other_ends = mine[LAYERS:], theirs[:, LAYERS:]
    mass, other_mass = MASS_OF_ENDS * count, MASS_OF_ENDS * counts[:, None]
    there, here = other_ends[..., 0] > 0, (ends[:, 0] > 0)[None]
    same = there & here & (other_ends[..., 0] == ends[None, :, 0])
    ways = np.abs(other_ends[..., 3:] - ends[None, :, 3:]).mean(-1)
    moved = np.where(same, np.minimum(mass, other_mass), 0.0)
    both = np.where(here, mass, 0.0) + np.where(there, other_mass, 0.0)
    found = found + (both + moved * np.minimum(structure * ways - 2.0, 0.0)).sum(1)
    total = count + counts + both.sum(1)
    return found, found / np.where(total > 0, total, 1.0)


def _costs(left: Array, right: Array, structure: float) -> Array:
    """What it costs to match each layer of `left` [a, 9] with each of `right` [n, b, 9], [n, a, b]; infinite where they
    cannot be."""
    label = left[None, :, None, 0] == right[:, None, :, 0]
    kind = left[None, :, None, 1] == right[:, None, :, 1]
    names = np.where(label, 0.0, np.where(kind, left[None, :, None, 2], np.inf))
    ways = np.abs(left[None, :, None, 3:] - right[:, None, :, 3:]).mean(-1)
    found: Array = names + structure * ways
    return found


@dataclass(frozen=True, slots=True)
class TransportProcess:
    """k = amplitude x (s exp(-b d) + (1 - s) exp(-(c e)^2)) + noise, d the OTMANN distance and e the normalised one.
    Values are standardised; the deviation is that of the function.

    b, c, s and the noise are those of the greatest marginal likelihood out of a few, the amplitude in closed form.
    Negative eigenvalues of the data's kernel are put to zero.

    Args:
        structure: what a difference in the lengths of ways costs beside labels.

    Raises:
        StudyError: it is negative.

    Source: Kandasamy, Neiswanger, Schneider, Poczos & Xing 2018, "Neural architecture search with Bayesian optimisation
        and optimal transport" (NASBOT), sections 3 and 4.1.
    Differs: one `structure` (the paper sums over several); hyper-parameters from a grid, b and c in one proportion to
        the data's mean distances; every layer has mass 1, also where widths differ, which are part of the label there;
        labels that differ in digits only cost .2 (the paper's table knows 3x3 and 5x5), kinds of pools .25, others do
        not match.
    """

    structure: float = 0.4

    def __post_init__(self) -> None:
        if not self.structure >= 0:
            raise StudyError(f"`structure` must not be negative, but got {self.structure!r}.")

    def start(self, space: Space) -> LiveTransport:
        return LiveTransport(self.structure)


@dataclass(slots=True)
class LiveTransport:
    """`TransportProcess` within one run: keeps the distances between data."""

    structure: float
    _rows: Array = field(default_factory=lambda: np.zeros((0, 0)))
    _between: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 0, 0)))

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        between = self._distances(encodings)
        mean, scale = float(values.mean()), float(values.std()) or 1.0
        targets, n = (values - mean) / scale, len(values)
        units = [float(one.mean()) or 1.0 for one in between]
        best: tuple[float, float, float, Array, Array, float] | None = None
        for rate, share in itertools.product(RATES, SHARES):
            found, vectors = np.linalg.eigh(_kernel(between, units, rate, share))
            found, seen = np.maximum(found, 0.0), vectors.T @ targets
            for noise in NOISES:
                amplitude = max(float((seen**2 / (found + noise)).sum()) / n, 1e-12)
                likelihood = -0.5 * (n * np.log(amplitude) + np.log(found + noise).sum())
                if best is None or likelihood > best[0]:
                    best = likelihood, rate, share, found + noise, vectors, amplitude
        assert best is not None
        _, rate, share, spectrum, vectors, amplitude = best
        inverse = (vectors / spectrum) @ vectors.T
        weights = inverse @ targets

        def predict(points: Array) -> tuple[Array, Array]:
            cross = _kernel(self._across(points, encodings), units, rate, share)
            variance = amplitude * np.maximum(1.0 - ((cross @ inverse) * cross).sum(1), 0.0)
            return mean + scale * (cross @ weights), scale * np.sqrt(variance)

        return predict

    def _across(self, points: Array, encodings: Array) -> npt.NDArray[np.float64]:
        """Both distances, [2, m, n]."""
        return np.stack([np.stack(distances(one, encodings, self.structure)) for one in points], axis=1)

    def _distances(self, encodings: Array) -> npt.NDArray[np.float64]:
        """Both distances between data, [2, n, n]; of what was known before they are not taken again."""
        known = len(self._rows)
        if known > len(encodings) or not np.array_equal(self._rows, encodings[:known].reshape(self._rows.shape)):
            known = 0
        n = len(encodings)
        between = np.zeros((2, n, n))
        between[:, :known, :known] = self._between[:, :known, :known]
        if n > known:
            across = self._across(encodings[known:], encodings)
            between[:, known:] = across
            between[:, :, known:] = across.transpose(0, 2, 1)
        self._rows, self._between = encodings, between
        return between


def _kernel(both: npt.NDArray[np.float64], units: list[float], rate: float, share: float) -> Array:
    plain, normalised = both
    found: Array = share * np.exp(-rate * plain / units[0]) + (1 - share) * np.exp(
        -((rate * normalised / units[1]) ** 2)
    )
    return found


def nasbot(
    initial: int = 10,
    batch: int = 5,
    candidates: int = 60,
    structure: float = 0.4,
    acquisition: Acquisition | None = None,
) -> ModelBased:
    """Bayesian optimisation over networks that are compared by optimal transport of their layers; expected improvement
    among random networks and mutants of the best.

    Args:
        initial: random designs.
        batch: measured per fit.
        candidates: a third of them random, the others mutants of the ten best.
        structure: see `TransportProcess`.
        acquisition: another one, to ablate.

    Raises:
        StudyError: a value is out of range.

    Source: Kandasamy, Neiswanger, Schneider, Poczos & Xing 2018, "Neural architecture search with Bayesian optimisation
        and optimal transport".
    Differs: as `TransportProcess`; the acquisition is maximised over one generation of candidates that change one
        decision, where the paper evolves them by operations of its own (wider layers, more of them), which a space of
        cells has not.
    """
    random = candidates // 3
    return ModelBased(
        TransportProcess(structure),
        acquisition or ExpectedImprovement(),
        RandomAndNear(random, candidates - random, 10),
        Layers(),
        initial,
        batch,
    )
