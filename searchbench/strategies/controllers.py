"""Recurrent controllers: a policy that makes one decision after the other. This file imports torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.choices import Value
from searchbench.spaces.space import Architecture, Space


def begin(module: nn.Module, bound: float, seed: int) -> None:
    """Give a module of the meta device its memory, and its parameters from U(-bound, bound)."""
    module.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-bound, bound, generator=generator)


def embedding(words: int, units: int) -> nn.Embedding:
    """An embedding that draws nothing: on the meta device, to draw from a normal is what imports a compiler."""
    return nn.Embedding(words, units, _weight=torch.empty(words, units))


class Controller(nn.Module):
    """An LSTM that reads the previous decision's embedding and gives the logits of the next.

    Decisions that are inactive are read as a token of their own; they are not drawn and have no probability.

    Args:
        space: of finitely many values per decision.
        units: of every layer, and of the embeddings.
        layers: of the LSTM.
        bound: all parameters are drawn from U(-bound, bound).
        seed: of that draw.
    """

    def __init__(self, space: Space, units: int, layers: int, bound: float, seed: int) -> None:
        super().__init__()
        self.space = space
        self._options: list[tuple[Value, ...]] = [tuple(d.values()) for d in space.decisions]
        self._index = [{value: i for i, value in enumerate(options)} for options in self._options]
        with torch.device("meta"):  # modules initialise themselves from the global generator elsewhere
            self.begin = nn.Parameter(torch.empty(units))
            self.cells = nn.ModuleList(nn.LSTMCell(units, units) for _ in range(layers))
            self.embeddings = nn.ModuleList(embedding(len(options) + 1, units) for options in self._options)
            self.heads = nn.ModuleList(nn.Linear(units, len(options)) for options in self._options)
        begin(self, bound, seed)
        # read as tensors: to call a module costs as much as what a step of one architecture computes
        self._weights: list[list[Tensor]] = [list(cell.parameters()) for cell in self.cells]
        self._words: list[Tensor] = list(self.embeddings.parameters())
        self._read: list[list[Tensor]] = [list(head.parameters()) for head in self.heads]

    def sample(self, generator: torch.Generator) -> tuple[Architecture, float]:
        """An architecture and the logarithm of its probability."""
        values: list[Value] = []
        total = 0.0
        with torch.no_grad():
            state, inputs = self._blank(1), self.begin.expand(1, -1)
            for at, decision in enumerate(self.space.decisions):
                state, logits = self._step(at, inputs, state)
                when = decision.when
                picked = len(self._options[at])
                if when is None or values[self.space.position[when.name]] in when.values:
                    logs = logits[0].log_softmax(0)
                    picked = int(torch.multinomial(logs.exp(), 1, generator=generator))
                    total += float(logs[picked])
                    values.append(self._options[at][picked])
                else:
                    values.append(None)
                inputs = self._words[at][picked : picked + 1]
        return Architecture(self.space, tuple(values)), total

    def score(self, architectures: Sequence[Architecture]) -> tuple[Tensor, Tensor]:
        """Score of each architecture: logarithm of its probability, and summed entropies of its softmaxes, [m]."""
        tokens = torch.tensor([self._tokens(a) for a in architectures])
        options = torch.tensor([len(options) for options in self._options])
        active = tokens < options
        hidden = self._read_through(tokens)
        widest = int(options.max())
        # what a decision does not have gets no probability, so that all of them are one softmax
        logits = [
            F.pad(F.linear(at, *head), (0, widest - len(head[0])), value=-math.inf)
            for at, head in zip(hidden, self._read, strict=True)
        ]
        logs = torch.stack(logits, 1).log_softmax(2)
        picked = logs.gather(2, torch.where(active, tokens, 0).unsqueeze(2)).squeeze(2)
        entropies = -(logs.exp() * logs.masked_fill(logs.isneginf(), 0.0)).sum(2)
        return torch.where(active, picked, 0.0).sum(1), torch.where(active, entropies, 0.0).sum(1)

    def _read_through(self, tokens: Tensor) -> Tensor:
        """The last layer's hidden state at every decision, [decisions, m, units], from all tokens [m, decisions]: with
        nothing to be drawn, the LSTM goes through them by itself."""
        many = len(tokens)
        before = [F.embedding(tokens[:, at], words) for at, words in enumerate(self._words[:-1])]
        blank = self.begin.new_zeros(len(self._weights), many, len(self.begin))
        weights = [one for layer in self._weights for one in layer]
        read = torch.stack([self.begin.expand(many, -1), *before])
        hidden: Tensor = torch.lstm(
            read, (blank, blank), weights, has_biases=True, num_layers=len(self._weights), dropout=0.0, train=False,
            bidirectional=False, batch_first=False,
        )[0]  # fmt: skip
        return hidden

    def _tokens(self, architecture: Architecture) -> list[int]:
        pairs = zip(self._index, architecture.values, strict=True)
        return [len(index) if value is None else index[value] for index, value in pairs]

    def _blank(self, batch: int) -> list[tuple[Tensor, Tensor]]:
        units = len(self.begin)
        return [(self.begin.new_zeros(batch, units), self.begin.new_zeros(batch, units)) for _ in self.cells]

    def _step(
        self, at: int, inputs: Tensor, state: list[tuple[Tensor, Tensor]]
    ) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        moved = []
        for weights, before in zip(self._weights, state, strict=True):
            hidden, memory = torch.lstm_cell(inputs, before, *weights)
            moved.append((hidden, memory))
            inputs = hidden
        return moved, F.linear(inputs, *self._read[at])
