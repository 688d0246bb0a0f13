"""The controller whose skip connections are drawn at anchor points (Zoph & Le 2017). This file imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.choices import Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.controllers import begin, embedding

State = list[tuple[Tensor, Tensor]]


class ControllerLayer(NamedTuple):
    """Positions of a layer's decisions."""

    tokens: tuple[int, ...]
    skips: tuple[int, ...]
    """Whether it reads layer 1, 2, … up to the one before it."""


def layers_of(space: Space) -> tuple[ControllerLayer, ...]:
    """The layers of a space whose decisions are named ``what layer`` and ``skip before-layer``; none elsewhere."""
    names = [(at, *decision.name.rpartition(" ")[::2]) for at, decision in enumerate(space.decisions)]
    found = []
    for _, decisions in groupby(names, key=lambda name: name[2].rpartition("-")[2]):
        kept = list(decisions)
        skips = tuple(at for at, what, _ in kept if what == "skip")
        found.append(ControllerLayer(tuple(at for at, what, _ in kept if what != "skip"), skips))
    growing = all(len(layer.skips) == number for number, layer in enumerate(found))
    return tuple(found) if growing and len(found) > 1 and not space.conditional else ()


class AnchoredController(nn.Module):
    """An LSTM that reads the previous decision's embedding and gives the logits of the next; after the decisions of a
    layer comes an anchor point, at which every earlier layer is read or not, independently:

    P(layer i reads layer j) = sigmoid(v . tanh(W_before h_j + W_here h_i)), h the hidden state at an anchor

    Args:
        space: where `layers_of` finds layers.
        units: of every layer of the LSTM, and of the embeddings.
        layers: of the LSTM.
        bound: all parameters are drawn from U(-bound, bound).
        seed: of that draw.

    Source: Zoph & Le 2017, section 3.3.
    Differs: what the LSTM reads at the step after an anchor is not published; here a vector that is learnt.
    """

    def __init__(self, space: Space, units: int, layers: int, bound: float, seed: int) -> None:
        super().__init__()
        self.space, self._layers = space, layers_of(space)
        self._options: list[tuple[Value, ...]] = [tuple(d.values()) for d in space.decisions]
        tokens = [at for layer in self._layers for at in layer.tokens]
        with torch.device("meta"):  # modules initialise themselves from the global generator elsewhere
            self.begin, self.passed = nn.Parameter(torch.empty(units)), nn.Parameter(torch.empty(units))
            self.cells = nn.ModuleList(nn.LSTMCell(units, units) for _ in range(layers))
            self.embeddings = nn.ModuleDict({str(at): embedding(len(self._options[at]), units) for at in tokens})
            self.heads = nn.ModuleDict({str(at): nn.Linear(units, len(self._options[at])) for at in tokens})
            self.before, self.here = (nn.Linear(units, units, bias=False) for _ in range(2))
            self.vector = nn.Parameter(torch.empty(units))
        begin(self, bound, seed)

    def sample(self, generator: torch.Generator) -> tuple[Architecture, float]:
        """An architecture and the logarithm of its probability."""
        picked: dict[int, int] = {}

        def draw(at: int, logs: Tensor) -> Tensor:
            drawn = torch.multinomial(logs.exp(), 1, generator=generator).squeeze(1)
            picked[at] = int(drawn)
            return drawn

        with torch.no_grad():
            total, _ = self._walk(1, draw)
        values = tuple(options[picked[at]] for at, options in enumerate(self._options))
        return Architecture(self.space, values), float(total)

    def score(self, architectures: Sequence[Architecture]) -> tuple[Tensor, Tensor]:
        """Score of each architecture: logarithm of its probability, and summed entropies of all decisions, [m]."""
        rows = [[options.index(v) for options, v in zip(self._options, a.values, strict=True)] for a in architectures]
        tokens = torch.tensor(rows)
        return self._walk(len(rows), lambda at, logs: tokens[:, at])

    def _walk(self, batch: int, pick: Callable[[int, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Go through all decisions; `pick` gives the options [batch] of a decision from their log probabilities."""
        blank = self.begin.new_zeros(batch, len(self.begin))
        state: State = [(blank, blank) for _ in self.cells]
        inputs, anchors = self.begin.expand(batch, -1), []  # type: Tensor, list[Tensor]
        total = entropy = self.begin.new_zeros(batch)
        for layer in self._layers:
            for at in layer.tokens:
                state, hidden = self._step(inputs, state)
                logs = self.heads[str(at)](hidden).log_softmax(1)
                picked = pick(at, logs)
                total, entropy = total + _of(logs, picked), entropy - (logs.exp() * logs).sum(1)
                inputs = self.embeddings[str(at)](picked)
            state, hidden = self._step(inputs, state)
            inputs = self.passed.expand(batch, -1)
            for at, logs in zip(layer.skips, self._skips(anchors, hidden), strict=True):
                total, entropy = total + _of(logs, pick(at, logs)), entropy - (logs.exp() * logs).sum(1)
            anchors.append(self.before(hidden))
        return total, entropy

    def _skips(self, anchors: Sequence[Tensor], hidden: Tensor) -> list[Tensor]:
        """Scores of every earlier anchor: log probabilities of not reading and of reading it, [batch, 2]."""
        if not anchors:
            return []
        logits = torch.tanh(torch.stack(list(anchors)) + self.here(hidden)) @ self.vector
        return list(torch.stack((F.logsigmoid(-logits), F.logsigmoid(logits)), -1))

    def _step(self, inputs: Tensor, state: State) -> tuple[State, Tensor]:
        moved = []
        for cell, before in zip(self.cells, state, strict=True):
            hidden, memory = cell(inputs, before)
            moved.append((hidden, memory))
            inputs = hidden
        return moved, inputs


def _of(logs: Tensor, picked: Tensor) -> Tensor:
    return logs.gather(1, picked.unsqueeze(1)).squeeze(1)
