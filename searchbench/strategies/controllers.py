"""Recurrent controllers: a policy that makes one decision after the other. This file imports torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
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
            self.embeddings = nn.ModuleList(nn.Embedding(len(options) + 1, units) for options in self._options)
            self.heads = nn.ModuleList(nn.Linear(units, len(options)) for options in self._options)
        begin(self, bound, seed)

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
                inputs = self.embeddings[at](torch.tensor([picked]))
        return Architecture(self.space, tuple(values)), total

    def score(self, architectures: Sequence[Architecture]) -> tuple[Tensor, Tensor]:
        """Score of each architecture: logarithm of its probability, and summed entropies of its softmaxes, [m]."""
        tokens = torch.tensor([self._tokens(a) for a in architectures])
        state = self._blank(len(architectures))
        inputs = self.begin.expand(len(architectures), -1)
        total = entropy = self.begin.new_zeros(len(architectures))
        for at, options in enumerate(self._options):
            state, logits = self._step(at, inputs, state)
            logs, active = logits.log_softmax(1), tokens[:, at] < len(options)
            picked = logs.gather(1, tokens[:, at].clamp(max=len(options) - 1).unsqueeze(1)).squeeze(1)
            total = total + torch.where(active, picked, 0.0)
            entropy = entropy + torch.where(active, -(logs.exp() * logs).sum(1), 0.0)
            inputs = self.embeddings[at](tokens[:, at])
        return total, entropy

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
        for cell, before in zip(self.cells, state, strict=True):
            hidden, memory = cell(inputs, before)
            moved.append((hidden, memory))
            inputs = hidden
        return moved, self.heads[at](inputs)
