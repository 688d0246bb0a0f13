"""LaNAS: a tree learns where in the space good architectures are, and a search descends it as Monte-Carlo tree search
does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.adapters.flat import told
from searchbench.strategies.random import Unseen
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.surrogates import finite
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial

Sides = npt.NDArray[np.bool_]
RIDGE = 1e-3
"""Of the linear models, on standardised values: encodings are seldom of full rank."""


@dataclass(frozen=True, slots=True)
class LaNas:
    """Split what is known in two, by a linear model of its values, and each half again; then go down to the half of the
    greatest upper confidence bound at every node, and draw an architecture that all models on the way put there.

    at a node with values v: w, b = ridge regression of v on encodings x; good: w x + b <= mean v, poor: the others
    descend to argmax -mean(v_child) + 2 c s sqrt(2 log n / n_child), s the deviation of all values, n_child counted in
    what has come back, which enters the nodes on its way down at once

    Args:
        initial: random designs of the common stream.
        height: of the tree; a node of fewer than `least` architectures, or all of which fall on one side, is a leaf.
        exploration: c.
        every: results after which the tree is grown anew.
        least: architectures that a node must have to be split.
        tries: random draws for one that falls into the leaf; then the one that went down farthest is taken.

    Raises:
        StudyError: a value is out of range.

    Source: Wang et al. 2022, "Sample-efficient neural architecture search by learning actions for Monte Carlo tree
        search", sections 3 and 4.
    Differs: c is relative to the deviation of the values, where the paper tunes it to their maximum; draws are
        rejected until one falls into the leaf (the paper: a Markov chain in spaces too large for that); ridge
        regressions in closed form, whose side a known architecture falls on, where the authors' program descends by
        Adam and halves what is known by its values; a failed evaluation counts as the worst value seen.
    """

    initial: int = 50
    height: int = 5
    exploration: float = 0.1
    every: int = 20
    least: int = 10
    tries: int = 2000

    def __post_init__(self) -> None:
        for name in ("initial", "height", "every", "least", "tries"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise StudyError(f"`{name}` must be a positive integer, but got {value!r}.")
        if not self.exploration >= 0:
            raise StudyError(f"`exploration` must not be negative, but got {self.exploration!r}.")

    def start(self, scenario: Scenario) -> TreeSearch:
        return TreeSearch(self, scenario)


@dataclass(slots=True, eq=False)
class TreeNode:
    """What is known of a part of the space."""

    values: Array
    weights: Array | None = None
    """[D + 1] of the model that splits it, the constant last; None in a leaf."""
    middle: float = 0.0
    good: TreeNode | None = None
    poor: TreeNode | None = None

    def is_good(self, encodings: Array) -> Sides:
        """Whether the model puts `encodings` [n, D] into the good half, [n]."""
        assert self.weights is not None
        side: Sides = encodings @ self.weights[:-1] + self.weights[-1] <= self.middle
        return side


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A way down: the nodes that are split on it, and which half was taken at each."""

    way: tuple[tuple[TreeNode, bool], ...] = field(default_factory=tuple)

    def depth(self, encodings: Array) -> Array:
        """How many halves on the way, from the root, each of `encodings` [n, D] falls into, [n]."""
        inside, depth = np.ones(len(encodings), dtype=bool), np.zeros(len(encodings), dtype=int)
        for node, good in self.way:
            inside &= node.is_good(encodings) == good
            depth += inside
        return depth

    def saw(self, value: float, depth: int) -> None:
        """A value enters the nodes of the way: the root, and the first `depth` halves."""
        halves = [node.good if good else node.poor for node, good in self.way[:depth]]
        for node in (*(node for node, _ in self.way[:1]), *halves):
            if node is not None:
                node.values = np.append(node.values, value)


def grow(encodings: Array, values: Array, height: int, least: int) -> TreeNode:
    """The tree of `values` [n] at `encodings` [n, D]."""
    node = TreeNode(values)
    if height == 0 or len(values) < least or not values.std() > 0:
        return node
    design = np.hstack([encodings, np.ones((len(values), 1))])
    mean, scale = values.mean(), values.std()
    penalty = RIDGE * np.eye(design.shape[1])
    penalty[-1, -1] = 0.0
    weights = np.linalg.solve(design.T @ design + penalty, design.T @ ((values - mean) / scale)) * scale
    weights[-1] += mean
    node.weights, node.middle = weights, float(mean)
    good = node.is_good(encodings)
    if good.all() or not good.any():
        node.weights = None
        return node
    node.good = grow(encodings[good], values[good], height - 1, least)
    node.poor = grow(encodings[~good], values[~good], height - 1, least)
    return node


def descend(root: TreeNode, exploration: float) -> Leaf:
    """The way of the greatest upper confidence bounds; of equals, the good half."""
    spread, node, way = float(root.values.std()), root, []
    while node.good is not None and node.poor is not None:
        bounds = [
            -float(child.values.mean())
            + 2 * exploration * spread * math.sqrt(2 * math.log(len(node.values)) / len(child.values))
            for child in (node.good, node.poor)
        ]
        good = bounds[0] >= bounds[1]
        way.append((node, good))
        node = node.good if good else node.poor
    return Leaf(tuple(way))


class TreeSearch:
    """The live search. Any number of proposals may be under way."""

    def __init__(self, settings: LaNas, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._unseen = Unseen(scenario.space, scenario.seeds.rng("init"))
        self._rng = scenario.seeds.rng("search")
        self._encodings: list[Array] = []
        self._values: list[float] = []
        self._tree: TreeNode | None = None
        self._asked: UnderWay[tuple[Leaf, int]] = UnderWay()
        """Whose leaf a proposal is of, and how many of the halves on the way hold it."""
        self.leaf: Leaf | None = None
        """Where it draws; None until the first tree is grown."""

    def ask(self) -> Proposal | None:
        within = None if self.leaf is None else self._within(self._space, self.leaf)
        if self.leaf is not None and within is not None:
            architecture, depth = within
            self._unseen.add(architecture)
            return self._asked.add(Proposal(architecture), (self.leaf, depth))
        drawn = self._unseen.draw()
        return None if drawn is None else Proposal(drawn)

    def _within(self, space: Space, leaf: Leaf) -> tuple[Architecture, int] | None:
        """One that was not proposed, of the leaf if draws find one, and its depth; None where they find nothing new."""
        best: tuple[Architecture, int] | None = None
        for _ in range(self._settings.tries):
            drawn = space.sample(self._rng)
            if drawn.identity in self._unseen.seen:
                continue
            depth = int(leaf.depth(space.encode(drawn)[None])[0])
            if best is None or depth > best[1]:
                best = drawn, depth
            if depth == len(leaf.way):
                break
        return best

    def tell(self, trial: Trial) -> None:
        asked, worst = self._asked.take(trial), max((v for v in self._values if math.isfinite(v)), default=math.inf)
        self._encodings.append(self._space.encode(trial.architecture))
        self._values.append(math.inf if trial.failed else told(trial.value))
        known = len(self._values)
        if known >= self._settings.initial and (known - self._settings.initial) % self._settings.every == 0:
            self._grow()
        elif asked is not None and self._tree is not None:
            leaf, depth = asked
            leaf.saw(worst if trial.failed else told(trial.value), depth)
            self.leaf = descend(self._tree, self._settings.exploration)

    def _grow(self) -> None:
        values = np.array(self._values)
        if np.isfinite(values).any():
            self._tree = grow(np.array(self._encodings), finite(values), self._settings.height, self._settings.least)
            self.leaf = descend(self._tree, self._settings.exploration)

    def learn(self, trial: Trial) -> None:
        """It grows the tree like any other, stands for an initial design, and is not proposed any more."""
        self._unseen.add(trial.architecture)
        self.tell(trial)
