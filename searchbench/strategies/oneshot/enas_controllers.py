"""ENAS's controllers: an LSTM of 64 units without biases that makes one decision after the other, and points at what it
decided before. This file imports torch.

Every draw is differentiable: a `Drawn` carries the logarithm of its probability with its graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from searchbench.spaces.enas.macro import MACRO_OPERATIONS
from searchbench.spaces.enas.micro import MICRO_OPERATIONS
from searchbench.spaces.networks import Path
from searchbench.spaces.recurrent.cells import ACTIVATIONS
from searchbench.spaces.space import Space
from searchbench.strategies.controllers import Controller

UNITS, BOUND = 64, 0.1
SKIP_RATE = 0.4
"""Share of skips that the penalty of the macro controller pulls towards."""


@dataclass(slots=True, eq=False)
class Drawn:
    """What was drawn so far."""

    tokens: list[int] = field(default_factory=list)
    log_probability: Tensor = field(default_factory=lambda: torch.zeros(()))
    entropy: Tensor = field(default_factory=lambda: torch.zeros(()))
    penalties: list[Tensor] = field(default_factory=list)
    """KL of the skip probabilities of every layer from the rate they are pulled to."""
    steps: int = 0
    """Softmaxes drawn from."""
    by_token: bool = False
    """Whether the entropy sums -p log p of the drawn tokens alone, instead of all options."""

    @property
    def path(self) -> Path:
        return tuple(self.tokens)

    @property
    def penalty(self) -> Tensor:
        return torch.stack(self.penalties).mean() if self.penalties else torch.zeros(())

    def draw(self, logits: Tensor, generator: torch.Generator) -> int:
        """A token from the softmax of `logits` [options]."""
        logs = logits.log_softmax(0)
        token = int(torch.multinomial(logs.detach().exp(), 1, generator=generator))
        self.tokens.append(token)
        self.log_probability = self.log_probability + logs[token]
        own = logs[token] if self.by_token else logs
        self.entropy = self.entropy - (own.exp() * own).sum()
        self.steps += 1
        return token


class Policy(Protocol):
    """What ENAS needs of a controller."""

    def draw(self, generator: torch.Generator) -> Drawn:
        """A path of the supernet."""


class Core(nn.Module):
    """What the three controllers have in common: the LSTM, embeddings, softmax weights and the pointer.

    `tied`: whether the embeddings serve as the softmax weights, too. `bias`: initial bias of the softmax. `bound`: of
    the initial values.
    """

    def __init__(
        self,
        operations: int,
        seed: int,
        tied: bool = False,
        bias: Sequence[float] | None = None,
        bound: float = BOUND,
    ) -> None:
        super().__init__()
        with torch.device("meta"):
            self.lstm = nn.Parameter(torch.empty(2 * UNITS, 4 * UNITS))
            self.begin = nn.Parameter(torch.empty(UNITS))
            self.embedding = nn.Parameter(torch.empty(operations, UNITS))
            self.softmax = None if tied else nn.Parameter(torch.empty(UNITS, operations))
            self.first = nn.Parameter(torch.empty(UNITS, UNITS))
            self.second = nn.Parameter(torch.empty(UNITS, UNITS))
            self.point = nn.Parameter(torch.empty(UNITS))
        self.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound, generator=generator)
        self.bias = None if bias is None else nn.Parameter(torch.tensor(bias))

    def blank(self) -> tuple[Tensor, Tensor]:
        """The state before the first step: hidden, memory."""
        return self.begin.new_zeros(UNITS), self.begin.new_zeros(UNITS)

    def step(self, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Gates in the order i, f, o, g."""
        hidden, memory = state
        i, f, o, g = (torch.cat((inputs, hidden)) @ self.lstm).chunk(4)
        memory = i.sigmoid() * g.tanh() + f.sigmoid() * memory
        return o.sigmoid() * memory.tanh(), memory

    def operation_logits(self, hidden: Tensor) -> Tensor:
        """[operations]."""
        logits = hidden @ (self.embedding.T if self.softmax is None else self.softmax)
        return logits if self.bias is None else logits + self.bias

    def pointers(self, hidden: Tensor, projected: Sequence[Tensor]) -> Tensor:
        """v^T tanh(W1 h_j + W2 h) over earlier decisions j, [decisions]."""
        return torch.tanh(torch.stack(tuple(projected)) + hidden @ self.second) @ self.point


class MacroController(nn.Module):
    """Per layer an operation, then a bit for every earlier layer: P(skip) = sigmoid(2 q), q = bound tanh(pointer).

    Source: Pham et al. 2018, section 2.3, and the released code (tanh constant 1.5).
    Differs: the penalty is on the probability of the skip itself; in the released code on sigmoid(q), which is not it.
    """

    def __init__(self, layers: int, seed: int, bound: float = 1.5) -> None:
        super().__init__()
        self.core, self._layers, self._bound = Core(len(MACRO_OPERATIONS), seed), layers, bound

    def draw(self, generator: torch.Generator) -> Drawn:
        """Tokens in the order of the space's decisions."""
        core, drawn = self.core, Drawn()
        state = core.blank()
        inputs: Tensor = core.begin
        anchors, projected = list[Tensor](), list[Tensor]()
        for _ in range(self._layers):
            state = core.step(inputs, state)
            operation = drawn.draw(self._squashed(core.operation_logits(state[0])), generator)
            state = core.step(core.embedding[operation], state)
            inputs = core.begin
            if anchors:
                inputs = self._skips(drawn, state[0], anchors, projected, generator)
            anchors.append(state[0])
            projected.append(state[0] @ core.first)
        return drawn

    def _skips(
        self,
        drawn: Drawn,
        hidden: Tensor,
        anchors: Sequence[Tensor],
        projected: Sequence[Tensor],
        generator: torch.Generator,
    ) -> Tensor:
        queries = self._squashed(self.core.pointers(hidden, projected))
        bits = [drawn.draw(torch.stack((-q, q)), generator) for q in queries]
        skip = (2 * queries).sigmoid()
        kl = skip * (skip / SKIP_RATE).log() + (1 - skip) * ((1 - skip) / (1 - SKIP_RATE)).log()
        drawn.penalties.append(kl.sum())
        return torch.tensor(bits, dtype=hidden.dtype) @ torch.stack(tuple(anchors)) / (1 + sum(bits))

    def _squashed(self, logits: Tensor) -> Tensor:
        return self._bound * logits.tanh()


class MicroController(nn.Module):
    """Per block two inputs, pointed at, and two operations; the reduction cell goes on from the normal cell's state.

    Source: Pham et al. 2018, section 2.4, and the released code (tanh constants 1.1 and 1.1 / 2.5; separable
        convolutions begin with a bias of 10, and have a fixed one of .25 in the normal cell).
    """

    FIXED = (0.25, 0.25, -0.25, -0.25, -0.25)

    def __init__(self, blocks: int, seed: int, bound: float = 1.1, reduced: float = 2.5) -> None:
        super().__init__()
        self.core = Core(len(MICRO_OPERATIONS), seed, bias=(10.0, 10.0, 0.0, 0.0, 0.0))
        self._blocks, self._bound, self._operation_bound = blocks, bound, bound / reduced

    def draw(self, generator: torch.Generator) -> Drawn:
        """Tokens in the order of the space's decisions."""
        drawn, state = Drawn(), self.core.blank()
        for fixed in (torch.tensor(self.FIXED), torch.zeros(len(self.FIXED))):
            state = self._cell(drawn, state, fixed, generator)
        return drawn

    def _cell(
        self, drawn: Drawn, state: tuple[Tensor, Tensor], fixed: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        core = self.core
        inputs: Tensor = core.begin
        anchors, projected = list[Tensor](), list[Tensor]()
        for _ in range(2):  # the cell's inputs: zero vectors with projections of their own
            state = core.step(inputs, state)
            anchors.append(torch.zeros_like(state[0]))
            projected.append(state[0] @ core.first)
        for _ in range(self._blocks):
            for _ in range(2):
                state = core.step(inputs, state)
                pointed = self._bound * core.pointers(state[0], projected).tanh()
                inputs = anchors[drawn.draw(pointed, generator)]
            for _ in range(2):
                state = core.step(inputs, state)
                logits = self._operation_bound * core.operation_logits(state[0]).tanh() + fixed
                inputs = core.embedding[drawn.draw(logits, generator)]
            state = core.step(inputs, state)
            anchors.append(state[0])
            projected.append(state[0] @ core.first)
            inputs = core.begin
        return state


class RecurrentController(nn.Module):
    """Per node l an earlier one j, pointed at with a penalty on distance, and an activation. What was pointed at is
    the next input, divided by .1 + l - j; node 0 is a vector of zeros; a node is remembered by the state in which it
    points.

    Source: Pham et al. 2018, section 2.1, and the corrected code (google-research, enas_lm: N = 9, temperature 5, tanh
        constant 2.25, penalty (l - j)^2 / 6, initial values within .01, embeddings that are the softmax weights, too,
        and an entropy that sums -p log p of the drawn tokens).
    """

    INITIAL = 0.01

    def __init__(self, nodes: int, seed: int, bound: float = 2.25, temperature: float = 5.0) -> None:
        super().__init__()
        self.core = Core(len(ACTIVATIONS), seed, tied=True, bound=self.INITIAL)
        self._nodes, self._bound, self._temperature = nodes, bound, temperature

    def draw(self, generator: torch.Generator) -> Drawn:
        """Tokens in the order of the space's decisions."""
        core, drawn, state = self.core, Drawn(by_token=True), self.core.blank()
        anchors, projected = [state[0]], [state[0]]
        inputs: Tensor = core.begin
        for node in range(1, self._nodes + 1):
            state = core.step(inputs, state)
            far = torch.tensor([(node - j) ** 2 / 6 for j in range(node)])
            earlier = drawn.draw(self._squashed(core.pointers(state[0], projected)) - far, generator)
            inputs = anchors[earlier] / (0.1 + node - earlier)
            anchors.append(state[0])
            projected.append(state[0] @ core.first)
            state = core.step(inputs, state)
            inputs = core.embedding[drawn.draw(self._squashed(core.operation_logits(state[0])), generator)]
        return drawn

    def _squashed(self, logits: Tensor) -> Tensor:
        return self._bound * (logits / self._temperature).tanh()


class EdgeController(nn.Module):
    """A softmax of its own for every decision of any space, over an LSTM: how NAS-Bench-201 runs ENAS.

    Source: Dong & Yang 2020 (the released code's controller).
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self.controller = Controller(space, UNITS, 1, BOUND, seed)
        self._values = [list(decision.values()) for decision in space.decisions]

    def draw(self, generator: torch.Generator) -> Drawn:
        """Tokens in the order of the space's decisions."""
        architecture, _ = self.controller.sample(generator)
        logs, entropy = self.controller.score([architecture])
        tokens = [values.index(v) for values, v in zip(self._values, architecture.values, strict=True)]
        return Drawn(tokens, logs[0], entropy[0], steps=len(tokens))


def controller_of(space: Space, seed: int) -> nn.Module:
    """The controller that a space was published with, or that of independent softmaxes."""
    if space.name == "enas-macro":
        return MacroController(space.settings["layers"], seed)
    if space.name == "enas-micro":
        return MicroController(space.settings["blocks"], seed)
    if space.name == "enas-rnn":
        return RecurrentController(space.settings["nodes"], seed)
    return EdgeController(space, seed)
