"""Language models around a recurrent cell: what both recurrent spaces share. Sizes: T tokens in B streams, d units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.networks import Active

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda value: value}
)
CELL_BOUND, EMBEDDING_BOUND = 0.04, 0.1
"""Weights begin uniform up to these."""


@dataclass(slots=True, eq=False)
class Passage:
    """The next tokens of some streams, which a recurrent network reads from the state where it left the last ones."""

    tokens: Tensor
    """[T, B] int64."""
    before: Tensor | None = None
    """[B, d], constant; None begins with zeros."""
    seed: int = 0
    """Of the dropout masks: all forward passes over one passage drop the same."""
    after: Tensor | None = None
    """[B, d]: where the latest forward pass ended, without its history."""
    penalty: Tensor | None = None
    """What the latest forward pass in training mode adds to the loss."""


@dataclass(frozen=True, slots=True)
class Drops:
    """Probabilities of dropping, in training mode; a mask is drawn once per passage (variational dropout)."""

    output: float = 0.0
    hidden: float = 0.0
    inputs: float = 0.0
    """Of the cell."""
    embedded: float = 0.0
    """Of the embedding's elements."""
    words: float = 0.0
    """Of whole rows of the embedding."""
    slowness: float = 0.0
    """Factor of mean((h_t - h_{t-1})^2) in the loss (temporal activation regularisation)."""
    activity: float = 0.0
    """Factor of mean(dropped h^2) in the loss (activation regularisation)."""


class RecurrentCell(Protocol):
    """A recurrent cell, an nn.Module."""

    def run(self, inputs: Tensor, before: Tensor, hidden_mask: Tensor | None, active: Active | None) -> Tensor:
        """Read `inputs` [T, B, d] from state `before` [B, d]; returns the states [T, B, d]."""


class LanguageModel(nn.Module):
    """Embedding (its weights are also the decoder's), dropout, cell, dropout, decoder.

    Source: Liu et al. 2019, the released code for language models, after Merity et al. 2018 (AWD-LSTM).
    Differs: dropout masks are a function of the passage; where the weights are constants (on the architecture's turn)
        nothing is added to the loss.
    """

    def __init__(self, cell: nn.Module, vocabulary: int, units: int, drops: Drops) -> None:
        super().__init__()
        self.cell, self.drops = cell, drops
        self.embedding = nn.Parameter(torch.empty(vocabulary, units))
        self.bias = nn.Parameter(torch.empty(vocabulary))

    def start(self, generator: torch.Generator) -> None:
        """U(-0.1, 0.1), and no bias."""
        with torch.no_grad():
            self.embedding.uniform_(-EMBEDDING_BOUND, EMBEDDING_BOUND, generator=generator)
            self.bias.zero_()

    def forward(self, passage: Passage, active: Active | None = None) -> Tensor:
        """Logits [T B, vocabulary] of the token behind each of the passage's."""
        streams, units = passage.tokens.shape[1], self.embedding.shape[1]
        drops = self.drops if self.training else Drops()
        draw = _Masks(passage.seed, self.embedding)
        words = draw.mask((len(self.embedding), 1), drops.words)
        table = self.embedding if words is None else self.embedding * words
        inputs = _dropped(F.embedding(passage.tokens, table), draw.mask((streams, units), drops.embedded))
        inputs = _dropped(inputs, draw.mask((streams, units), drops.inputs))
        hidden_mask = draw.mask((streams, units), drops.hidden)
        before = inputs.new_zeros((streams, units)) if passage.before is None else passage.before
        cell: Any = self.cell
        states: Tensor = cell.run(inputs, before, hidden_mask, active)
        passage.after = states[-1].detach()
        outputs = _dropped(states, draw.mask((streams, units), drops.output))
        passage.penalty = self._penalty(states, outputs, drops)
        return F.linear(outputs, self.embedding, self.bias).flatten(0, 1)

    def _penalty(self, states: Tensor, outputs: Tensor, drops: Drops) -> Tensor | None:
        if not (drops.slowness or drops.activity) or not self.embedding.requires_grad or len(states) < 2:
            return None
        return drops.slowness * (states[1:] - states[:-1]).square().mean() + drops.activity * outputs.square().mean()


class _Masks:
    """Dropout masks in the order they are asked for; drawn on the CPU, so that every device drops the same."""

    def __init__(self, seed: int, like: Tensor) -> None:
        self._like, self._seed = like, seed
        self._generator: torch.Generator | None = None

    def mask(self, shape: tuple[int, ...], probability: float) -> Tensor | None:
        """0 with this probability, else 1/(1 - probability)."""
        if not probability or self._like.device.type == "meta":
            return None
        if self._generator is None:
            self._generator = torch.Generator().manual_seed(self._seed)
        kept = torch.rand(shape, generator=self._generator) >= probability
        return kept.to(self._like) / (1 - probability)


def _dropped(value: Tensor, mask: Tensor | None) -> Tensor:
    return value if mask is None else value * mask


def highway(state: Tensor, mixed: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """s + sigmoid(c) (f(h) - s), for `mixed` = [c, h] of twice the units."""
    gate, candidate = mixed.chunk(2, -1)
    return state + gate.sigmoid() * (activation(candidate) - state)


def first_state(inputs: Tensor, state: Tensor, masked: Tensor, weight: Tensor) -> Tensor:
    """s_0 = h + sigmoid(c0) (tanh(h0) - h), [c0, h0] = x W_x + (h m) W_h; `inputs` is x W_x already."""
    return highway(state, torch.addmm(inputs, masked, weight), torch.tanh)


def size_of(vocabulary: int, units: int, nodes: int) -> tuple[int, int]:
    """(parameters, MACs per token): V d + (2d)(2d) + nodes d (2d), and V biases, which do not multiply."""
    macs = vocabulary * units + 4 * units**2 + nodes * 2 * units**2
    return macs + vocabulary, macs
