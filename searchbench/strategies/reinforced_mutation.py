"""The controller of mutations, and how it learns. This file imports torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from searchbench.spaces.choices import Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.controllers import begin, embedding
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Trial

if TYPE_CHECKING:
    from searchbench.strategies.renas import Reinforced

BEST = 0.999
"""Accuracy from which on rewards no longer rise."""
IMPOSSIBLE = -1e9
"""Logit of what cannot be chosen: finite, as the entropy of probabilities that are exactly 0 has no gradient."""
BOUND = 0.1
"""Parameters begin uniform up to here."""
Parameters = dict[str, Tensor]


class Mutated(NamedTuple):
    """A change, with what is needed to learn from it."""

    parent: Architecture
    where: int
    """The decision."""
    what: int
    """Its option."""
    drawn_by: Parameters


class MutationController(nn.Module):
    """Which decision of an architecture is changed, and to what.

    Args:
        space: of finitely many values per decision.
        units: of each direction of the LSTM, and of the embeddings.
        seed: of the parameters.
    """

    def __init__(self, space: Space, units: int, seed: int) -> None:
        super().__init__()
        self.options: list[tuple[Value, ...]] = [tuple(decision.values()) for decision in space.decisions]
        with torch.device("meta"):
            self.embeddings = nn.ModuleList(embedding(len(options) + 1, units) for options in self.options)
            self.reader = nn.LSTM(units, units, bidirectional=True, batch_first=True)
            self.attention = nn.Linear(2 * units, units)
            self.where = nn.Linear(units, 1, bias=False)
            self.heads = nn.ModuleList(nn.Linear(2 * units, len(options)) for options in self.options)
        begin(self, BOUND, seed)

    def free(self, parent: Architecture) -> list[bool]:
        """Whether another value can be put there, for each decision."""
        pairs = zip(self.options, parent.values, strict=True)
        return [value is not None and len(options) > 1 for options, value in pairs]

    def forward(self, parent: Architecture, where: int | None = None) -> tuple[Tensor, Tensor | None]:
        """(log P(where) [decisions], log P(what) [options] of the decision `where`, if it is given)."""
        pairs = zip(self.options, parent.values, strict=True)
        tokens = [len(options) if value is None else options.index(value) for options, value in pairs]
        embedded = [embed(torch.tensor(token)) for embed, token in zip(self.embeddings, tokens, strict=True)]
        read = self.reader(torch.stack(embedded).unsqueeze(0))[0][0]
        scores = self.where(torch.tanh(self.attention(read))).squeeze(1)
        places = scores.masked_fill(~torch.tensor(self.free(parent)), IMPOSSIBLE).log_softmax(0)
        if where is None:
            return places, None
        here = torch.arange(len(self.options[where])) == tokens[where]
        return places, self.heads[where](read[where]).masked_fill(here, IMPOSSIBLE).log_softmax(0)


class Reinforcing:
    """`renas.Reinforced` within one run."""

    def __init__(self, settings: Reinforced, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self.controller = MutationController(scenario.space, settings.units, scenario.seeds.torch_seed("policy"))
        self._generator = torch.Generator().manual_seed(scenario.seeds.torch_seed("search", "mutations"))
        self._adam = torch.optim.Adam(self.controller.parameters(), lr=settings.learning_rate)
        self._copy = self._copied()
        self._told: list[tuple[Mutated, float]] = []
        self.baseline: float | None = None

    def child(self, parent: Architecture, rng: np.random.Generator) -> tuple[Architecture, Any]:
        """A mutant, and how it was made; the parent itself, where nothing of it can be changed."""
        if not any(self.controller.free(parent)):
            return parent, None
        with torch.no_grad():
            where = self._drawn(self.controller(parent)[0])
            what = self._drawn(self.controller(parent, where)[1])
        values = list(parent.values)
        values[where] = self.controller.options[where][what]
        # of what this makes active nothing is said: it is drawn, and what it makes inactive goes
        child = self._space.redraw(Architecture(parent.space, tuple(values)), 0.0, rng)
        return child, Mutated(parent, where, what, self._copy)

    def learn(self, mark: Any, trial: Trial) -> None:
        """A result; after every `batch` of them an update."""
        if not trial.failed:
            self._told.append((mark, reward(trial.value)))
        if len(self._told) == self._settings.batch:
            self._update()

    def _update(self) -> None:
        mean = sum(worth for _, worth in self._told) / len(self._told)
        baseline = mean if self.baseline is None else self.baseline
        gradients = [self._gradients(mutated, worth - baseline) for mutated, worth in self._told]
        for parameter, own in zip(self.controller.parameters(), zip(*gradients, strict=True), strict=True):
            parameter.grad = torch.stack(own).mean(0)
        self._adam.step()
        self.baseline = self._settings.decay * baseline + (1 - self._settings.decay) * mean
        self._told, self._copy = [], self._copied()

    def _gradients(self, mutated: Mutated, advantage: float) -> list[Tensor]:
        """Gradients of -(R - b) log P - entropy H, at the parameters that drew the change."""
        own = {name: value.clone().requires_grad_() for name, value in mutated.drawn_by.items()}
        places, values = functional_call(self.controller, own, (mutated.parent, mutated.where))
        entropies = [-(logs.exp() * logs).sum() for logs in (places, values)]
        loss = -advantage * (places[mutated.where] + values[mutated.what]) - self._settings.entropy * sum(entropies)
        gradients = torch.autograd.grad(loss, list(own.values()), allow_unused=True)
        return [torch.zeros_like(v) if g is None else g for g, v in zip(gradients, own.values(), strict=True)]

    def _drawn(self, logs: Tensor | None) -> int:
        assert logs is not None, "asked for at a decision"
        return int(torch.multinomial(logs.exp(), 1, generator=self._generator))

    def _copied(self) -> Parameters:
        return {name: value.detach().clone() for name, value in self.controller.named_parameters()}


def reward(value: float) -> float:
    """tan(accuracy pi / 2) of an error, minus the value of anything else."""
    return math.tan(min(1 - value, BEST) * math.pi / 2) if 0 <= value <= 1 else -value
