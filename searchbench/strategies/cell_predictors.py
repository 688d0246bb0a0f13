"""Surrogates that read cells of any number of blocks: the ensembles of progressive search. This file imports torch.

A cell is [blocks, roles] token indices: both states, both operations and, where there are several, the combiner.
States share one embedding, and so do operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from searchbench.spaces.block_cells.cells import Block
from searchbench.spaces.space import Array

if TYPE_CHECKING:
    from searchbench.strategies.pnas import Lstm, Mlp, Predictor

Rows = npt.NDArray[np.int64]
"""Cells of one number of blocks, [cells, blocks, roles]."""
AT_A_TIME = 20_000
"""Cells predicted in one call: enough to be quick, few enough to stay in memory."""


class CellTokens:
    """Blocks as token indices."""

    def __init__(self, states: int, operations: Sequence[str], combiners: Sequence[str]) -> None:
        self._operations = {name: at for at, name in enumerate(operations)}
        self._combiners = {name: at for at, name in enumerate(combiners)}
        self.sizes = (states, len(operations), len(combiners))
        self.kinds = (0, 0, 1, 1, 2) if len(combiners) > 1 else (0, 0, 1, 1)
        """Which embedding each role reads."""

    def of(self, block: Block) -> list[int]:
        (a, f), (b, g), how = block
        row = [a, b, self._operations[f], self._operations[g], self._combiners[how]]
        return row[: len(self.kinds)]


class Embeddings(nn.Module):
    """[n, blocks, roles] -> [n, blocks, roles, width]."""

    def __init__(self, tokens: CellTokens, width: int) -> None:
        super().__init__()
        self._kinds = tokens.kinds
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in tokens.sizes[: max(tokens.kinds) + 1])

    def forward(self, rows: Tensor) -> Tensor:
        return torch.stack([self.tables[kind](rows[..., role]) for role, kind in enumerate(self._kinds)], -2)


class MeanOfBlocks(nn.Module):
    """The mean over blocks of their concatenated embeddings, hidden layers with ReLU, a sigmoid."""

    def __init__(self, settings: Mlp, tokens: CellTokens) -> None:
        super().__init__()
        self.embeddings = Embeddings(tokens, settings.embedding)
        width = len(tokens.kinds) * settings.embedding
        self.hidden = nn.ModuleList()
        for _ in range(settings.layers):
            self.hidden.append(nn.Linear(width, settings.units))
            width = settings.units
        self.head = nn.Linear(width, 1)

    def forward(self, rows: Tensor) -> Tensor:
        """[n, blocks, roles] -> [n]."""
        return self._behind(self.embeddings(rows).flatten(2).mean(1))

    def widened(self, parents: Tensor, blocks: Tensor) -> Tensor:
        """[P, b, roles] and [Q, roles] -> the predictions of every parent with every block, [P, Q]."""
        known = self.embeddings(parents).flatten(2).sum(1)
        added = self.embeddings(blocks).flatten(1)
        return self._behind((known[:, None] + added) / (parents.shape[1] + 1))

    def _behind(self, mean: Tensor) -> Tensor:
        for layer in self.hidden:
            mean = torch.relu(layer(mean))
        return torch.sigmoid(self.head(mean).squeeze(-1))


class SequenceOfBlocks(nn.Module):
    """An LSTM over all tokens of a cell, block after block; its last state, a linear layer, a sigmoid."""

    def __init__(self, settings: Lstm, tokens: CellTokens) -> None:
        super().__init__()
        self.embeddings = Embeddings(tokens, settings.embedding)
        self.lstm = nn.LSTM(settings.embedding, settings.units, batch_first=True)
        self.head = nn.Linear(settings.units, 1)

    def forward(self, rows: Tensor) -> Tensor:
        """[n, blocks, roles] -> [n]."""
        _, (last, _) = self.lstm(self.embeddings(rows).flatten(1, 2))
        return torch.sigmoid(self.head(last[0]).squeeze(-1))

    def widened(self, parents: Tensor, blocks: Tensor) -> Tensor:
        """[P, b, roles] and [Q, roles] -> [P, Q]; what the parents' tokens lead to is computed once."""
        _, state = self.lstm(self.embeddings(parents).flatten(1, 2))
        begun = [part.repeat_interleave(len(blocks), 1) for part in state]
        _, (last, _) = self.lstm(self.embeddings(blocks).repeat(len(parents), 1, 1), begun)
        return torch.sigmoid(self.head(last[0]).squeeze(-1)).view(len(parents), len(blocks))


class CellPredictor(Protocol):
    """What both networks can do."""

    head: nn.Linear

    def __call__(self, rows: Tensor) -> Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def to_empty(self, *, device: str) -> object: ...
    def widened(self, parents: Tensor, blocks: Tensor) -> Tensor: ...


class CellEnsemble:
    """Several networks, each fitted to a random share of the data; a new fit goes on from the weights of the last."""

    def __init__(self, settings: Predictor, tokens: CellTokens, rng: np.random.Generator) -> None:
        self._settings, self._rng, self._fits = settings, rng, 0
        with torch.device("meta"):  # modules initialise themselves from the global generator elsewhere
            self.members: list[CellPredictor] = [settings.kind.build(tokens) for _ in range(settings.members)]
        for member in self.members:
            member.to_empty(device="cpu")
            with torch.no_grad():
                for parameter in member.parameters():
                    drawn = rng.uniform(-settings.bound, settings.bound, tuple(parameter.shape))
                    parameter.copy_(torch.from_numpy(drawn))
                member.head.bias.fill_(settings.bias or 0.0)

    def fit(self, data: Mapping[int, tuple[Rows, Array]]) -> None:
        """Descend the mean absolute error on `data`: rows and accuracies in [0, 1] by number of blocks."""
        rate = self._settings.later_rate if self._fits else self._settings.learning_rate
        self._fits += 1
        known = [(torch.from_numpy(rows), torch.from_numpy(y).float()) for rows, y in data.values()]
        if self._fits == 1 and self._settings.bias is None:
            median = torch.cat([targets for _, targets in known]).median()
            for member in self.members:
                member.head.bias.data.copy_(median.logit(eps=0.01))
        for member in self.members:
            self._fit_one(member, known, rate)

    def _fit_one(self, member: CellPredictor, known: list[tuple[Tensor, Tensor]], rate: float) -> None:
        parameters = list(member.parameters())
        optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)
        shares = [
            self._rng.permutation(len(targets))[: max(1, round(self._settings.share * len(targets)))]
            for _, targets in known
        ]
        for _ in range(self._settings.epochs):
            for level, chosen in self._minibatches(shares):
                rows, targets = (part[chosen] for part in known[level])
                loss = (member(rows) - targets).abs().mean()
                for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                    parameter.grad = gradient
                optimizer.step()

    def _minibatches(self, shares: list[Rows]) -> list[tuple[int, Tensor]]:
        """(number of blocks as a position, indices), in random order; each of one number of blocks."""
        size = self._settings.batch
        found = []
        for level, share in enumerate(shares):
            order = torch.from_numpy(self._rng.permutation(share))
            found += [(level, part) for part in torch.split(order, size)]
        return [found[at] for at in self._rng.permutation(len(found))]

    def predict(self, rows: Rows) -> Array:
        """The members' mean for each cell, [n]."""
        with torch.no_grad():
            mean = torch.stack([member(torch.from_numpy(rows)) for member in self.members]).mean(0)
        return np.asarray(mean, dtype=np.float64)

    def widened(self, parents: Rows, blocks: Rows) -> Array:
        """The members' mean for every parent with every block added, [P, Q]."""
        added, step = torch.from_numpy(blocks), max(1, AT_A_TIME // len(blocks))
        found = []
        with torch.no_grad():
            for part in torch.split(torch.from_numpy(parents), step):
                found.append(torch.stack([member.widened(part, added) for member in self.members]).mean(0))
        return torch.cat(found).numpy().astype(np.float64)
