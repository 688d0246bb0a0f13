"""Progressive search: cells of one block first, then ever larger ones, of which a surrogate says which to train."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from scipy.stats import kendalltau

from searchbench.errors import StudyError
from searchbench.spaces.block_cells.cells import BLOCKS, NORMAL, Cell, cells_of, growing, legal_blocks
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.strategy import Logged, Scenario
from searchbench.trial import Proposal, Trial

if TYPE_CHECKING:
    from searchbench.strategies.cell_predictors import CellPredictor, CellTokens, Rows


class Kind(Protocol):
    """One network of the ensemble."""

    def build(self, tokens: CellTokens) -> CellPredictor: ...


@dataclass(frozen=True, slots=True)
class Mlp:
    """The mean of the blocks' embeddings, then hidden layers with ReLU."""

    embedding: int = 100
    units: int = 100
    layers: int = 2

    def build(self, tokens: CellTokens) -> CellPredictor:
        from searchbench.strategies.cell_predictors import MeanOfBlocks

        return MeanOfBlocks(self, tokens)


@dataclass(frozen=True, slots=True)
class Lstm:
    """An LSTM over the tokens of all blocks."""

    embedding: int = 100
    units: int = 100

    def build(self, tokens: CellTokens) -> CellPredictor:
        from searchbench.strategies.cell_predictors import SequenceOfBlocks

        return SequenceOfBlocks(self, tokens)


@dataclass(frozen=True, slots=True)
class Predictor:
    """An ensemble of networks that predict a cell's accuracy, in (0, 1) through a sigmoid; mean absolute error, Adam.

    Args:
        kind: `Mlp()` or `Lstm()`.
        members: of the ensemble; its prediction is their mean.
        share: of the data, drawn for each member at each fit.
        learning_rate, later_rate: of the first fit, and of those that go on from it.
        epochs, batch: of a fit.
        bound: parameters are drawn from U(-bound, bound).
        bias: the last bias at the beginning; None: where the sigmoid gives the median of the first data.

    Raises:
        StudyError: a value is out of range.
    """

    kind: Kind = field(default_factory=Mlp)
    members: int = 5
    share: float = 0.8
    learning_rate: float = 0.01
    later_rate: float = 0.002
    epochs: int = 40
    batch: int = 64
    bound: float = 0.1
    bias: float | None = None

    def __post_init__(self) -> None:
        for name in ("members", "learning_rate", "later_rate", "epochs", "batch", "bound"):
            if not getattr(self, name) > 0:
                raise StudyError(f"a predictor's `{name}` must be positive, but got {getattr(self, name)!r}.")
        if not 0 < self.share <= 1:
            raise StudyError(f"a predictor's `share` must lie in (0, 1], but got {self.share!r}.")


@dataclass(frozen=True, slots=True)
class Pnas:
    """Train every cell of one block; then, for b = 2 … B: expand each trained cell of b - 1 blocks by every legal
    block, predict all of them, train the `beam` best, and fit the predictor again.

    S_1 = all cells of one block;  S_b = top `beam` of {c + block : c in S_(b-1)} by the ensemble's mean prediction

    The run's trace holds, per number of blocks b, Kendall's tau of the predictor with what was measured: `tau_seen`
    on the cells of b blocks it was fitted to, `tau_next` on those of b + 1 blocks it chose, before they were seen.

    Args:
        beam: K, cells trained per number of blocks beyond the first.
        predictor: the surrogate.
        first: cells of one block to train, drawn at random; None: all of them.

    Raises:
        StudyError: a value is out of range.

    Source: Liu et al. 2018, "Progressive Neural Architecture Search", Algorithm 1 and section 4.
    Differs: candidates are kept distinct by isomorphism; sizes and rates of the predictor could not be verified
        against the paper, and its epochs and minibatches are not published; its last bias begins at the median of the
        first data, because from a fixed one (1.8 is told of the paper) far from them the sigmoid can saturate for
        good; values outside [0, 1] are scaled into it by the largest and smallest seen; the best validated cell of
        all is handed over, not the best of B blocks.
    """

    beam: int = 256
    predictor: Predictor = field(default_factory=Predictor)
    first: int | None = None

    def __post_init__(self) -> None:
        for name in ("beam", "first"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise StudyError(f"`{name}` must be a positive integer, but got {value!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        if BLOCKS not in scenario.space.position:
            return f"it widens cells block by block, but those of `{scenario.space.name}` have one size; see `pnas`"
        return None

    def start(self, scenario: Scenario) -> Widening:
        return Widening(self, scenario)


def pnas(
    beam: int = 256,
    first: int | None = None,
    members: int = 5,
    epochs: int = 40,
    recurrent: bool = False,
) -> Pnas:
    """Progressive search with an ensemble of networks on the mean of the blocks' embeddings.

    Args:
        beam: K, cells trained per number of blocks beyond the first.
        first: cells of one block to train; None: all of them.
        members, epochs: of the predictor.
        recurrent: the paper's other predictor, an LSTM over all tokens.

    Source: Liu et al. 2018, "Progressive Neural Architecture Search", Algorithm 1 and section 4.
    Differs: as `Pnas`.
    """
    return Pnas(beam, Predictor(Lstm() if recurrent else Mlp(), members, epochs=epochs), first)


class Level(NamedTuple):
    """How well the predictor ranked the cells of one number of blocks."""

    blocks: int
    seen: float
    """Kendall's tau on the cells of `blocks` blocks, after the fit to them."""
    following: float
    """On the chosen cells of `blocks` + 1 blocks, before they were seen; NaN where there are none."""


class Widening:
    """The live search. Any number of proposals may be under way within a level."""

    def __init__(self, settings: Pnas, scenario: Scenario) -> None:
        from searchbench.strategies.cell_predictors import CellEnsemble, CellTokens

        self._settings, self._space = settings, scenario.space
        self._rng = scenario.seeds.rng("search")
        self._operations, self._combiners = _options(self._space)
        self._most = max(self._space.decisions[self._space.position[BLOCKS]].values())  # type: ignore[type-var]
        self._tokens = CellTokens(int(str(self._most)) + 1, self._operations, self._combiners)
        self._ensemble = CellEnsemble(settings.predictor, self._tokens, scenario.seeds.rng("policy"))
        self._blocks, self._awaited = 0, 0
        self._queue: deque[Architecture] = deque()
        self._values: dict[int, dict[Cell, float]] = {}
        self._predicted: dict[Cell, float] = {}
        self.levels: list[Level] = []

    def ask(self) -> Proposal | None:
        if not self._queue and not self._awaited:
            self._queue.extend(growing(self._space, cell) for cell in self._next())
        if not self._queue:
            return None
        self._awaited += 1
        return Proposal(self._queue.popleft())

    def tell(self, trial: Trial) -> None:
        self._awaited -= 1
        if not trial.failed:
            cell = cells_of(trial.architecture)[NORMAL]
            self._values.setdefault(len(cell), {})[cell] = trial.value
        if not self._awaited and not self._queue:
            self._learn()

    def trace(self) -> list[Mapping[str, Logged]]:
        """A line per number of blocks: how well the predictor ranked."""
        return [{"blocks": at.blocks, "tau_seen": at.seen, "tau_next": at.following} for at in self.levels]

    def _next(self) -> list[Cell]:
        """The cells of the next number of blocks to train; none where there is nothing to widen."""
        self._blocks += 1
        if self._blocks == 1:
            cells: list[Cell] = [(block,) for block in legal_blocks(1, self._operations, self._combiners)]
            drawn = self._rng.permutation(len(cells))[: self._settings.first]
            return [cells[at] for at in drawn]
        parents = list(self._values.get(self._blocks - 1, ()))
        if self._blocks > int(str(self._most)) or not parents:
            return []
        return self._best(parents)

    def _best(self, parents: list[Cell]) -> list[Cell]:
        blocks = legal_blocks(self._blocks, self._operations, self._combiners)
        predicted = self._ensemble.widened(self._rows(parents), np.array([self._tokens.of(b) for b in blocks]))
        found: dict[str, Cell] = {}
        self._predicted = {}
        for at in np.argsort(-predicted, axis=None, kind="stable"):
            parent, block = divmod(int(at), len(blocks))
            cell = (*parents[parent], blocks[block])
            if found.setdefault(growing(self._space, cell).key, cell) is cell:
                self._predicted[cell] = float(predicted[parent, block])
            if len(found) == self._settings.beam:
                break
        return list(found.values())

    def _learn(self) -> None:
        """The level is complete: note how well it was predicted, fit to all there is."""
        values = self._values.get(self._blocks)
        if not values:
            return
        if self.levels:
            told = [self._predicted[cell] for cell in values]
            self.levels[-1] = self.levels[-1]._replace(following=_tau(told, list(values.values())))
        everything = [v for level in self._values.values() for v in level.values()]
        low, high = min(0.0, *everything), max(1.0, *everything)
        self._ensemble.fit(
            {
                blocks: (self._rows(list(level)), (high - np.array(list(level.values()))) / (high - low))
                for blocks, level in self._values.items()
            }
        )
        seen = self._ensemble.predict(self._rows(list(values)))
        self.levels.append(Level(self._blocks, _tau(seen, list(values.values())), float("nan")))

    def _rows(self, cells: list[Cell]) -> Rows:
        return np.array([[self._tokens.of(block) for block in cell] for cell in cells])


def _tau(predicted: list[float] | Array, values: list[float]) -> float:
    """Kendall's tau-b of predicted accuracies with minus the measured values; NaN where either is constant."""
    return float(kendalltau(predicted, [-value for value in values]).statistic)


def _options(space: Space) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The operations and combiners of a space of growing cells."""
    known = {d.name: tuple(str(v) for v in d.values()) for d in space.decisions}
    return known[f"{NORMAL} 1 op a"], known.get(f"{NORMAL} 1 combiner", ("add",))
