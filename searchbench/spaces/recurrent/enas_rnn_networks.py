"""Networks of ENAS's recurrent cells: one cell's language model, and the shared weights W_{l,j,f} of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.layers.convolutions import scaled
from searchbench.spaces.layers.networks import path_of, require_plain
from searchbench.spaces.networks import Active, Mixed, Path, Shape
from searchbench.spaces.recurrent.cells import rnn_loose_ends, rnn_nodes
from searchbench.spaces.recurrent.darts_rnn_networks import drops
from searchbench.spaces.recurrent.networks import (
    ACTIVATIONS,
    CELL_BOUND,
    LanguageModel,
    first_state,
    highway,
    size_of,
)
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

Term = tuple[int, str]
"""(input, activation) of a node."""


class SharedCell(nn.Module):
    """s_l = s_j + sigmoid(c) (f(h) - s_j), [c, h] = (s_j m) W_{l,j,f}; the output is the mean of the loose ends.

    Args:
        built: (l, j, f) of every matrix that there is.
    """

    def __init__(self, built: Iterable[tuple[int, int, str]], units: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(2 * units, 2 * units))
        self.matrices = nn.ParameterDict({_name(*key): nn.Parameter(torch.empty(units, 2 * units)) for key in built})
        self.terms: Sequence[Term] = ()

    def start(self, generator: torch.Generator) -> None:
        """U(-0.04, 0.04)."""
        with torch.no_grad():
            for weight in (self.first, *self.matrices.values()):
                weight.uniform_(-CELL_BOUND, CELL_BOUND, generator=generator)

    def weight(self, node: int, source: int, activation: str) -> nn.Parameter:
        """W_{l,j,f}."""
        found: nn.Parameter = self.matrices[_name(node, source, activation)]
        return found

    def run(self, inputs: Tensor, before: Tensor, hidden_mask: Tensor | None, active: Active | None) -> Tensor:
        """See `recurrent.networks.RecurrentCell`; computes `terms`."""
        units = before.shape[1]
        of_input, of_state = self.first[:units], self.first[units:]
        weights = [self.weight(node, *term) for node, term in enumerate(self.terms, start=1)]
        ends = loose_ends(self.terms)
        found, state = [], before
        for step in (inputs @ of_input).unbind(0):
            nodes = [first_state(step, state, state if hidden_mask is None else state * hidden_mask, of_state)]
            for (source, name), weight in zip(self.terms, weights, strict=True):
                read = nodes[source] if hidden_mask is None else nodes[source] * hidden_mask
                nodes.append(highway(nodes[source], read @ weight, ACTIVATIONS[name]))
            state = torch.stack([nodes[end] for end in ends]).mean(0)
            found.append(state)
        return torch.stack(found)


def _name(node: int, source: int, activation: str) -> str:
    return f"{node} {source} {activation}"


def loose_ends(terms: Sequence[Term]) -> tuple[int, ...]:
    """Nodes that no other reads."""
    read = {source for source, _ in terms}
    return tuple(node for node in range(len(terms) + 1) if node not in read)


class EnasRnnSupernet(LanguageModel):
    """All cells with shared weights, one path at a time; see `networks.Supernet`. A path is as the space's decisions.

    Differs: Pham et al. 2018 write W_{l,j}; a matrix of its own for every activation is that of their released code.
    """

    def __init__(self, space: Space, vocabulary: int) -> None:
        nodes, units = space.settings["nodes"], space.settings["units"]
        built = [(node, source, f) for node in range(1, nodes + 1) for source in range(node) for f in ACTIVATIONS]
        super().__init__(SharedCell(built, units), vocabulary, units, drops(space, words=0.0))
        self.space, self._units = space, units
        self.options = tuple(decision.arity or 0 for decision in space.decisions)

    def forward(self, passage: object, active: Active | None = None) -> Tensor:
        """Logits [T B, vocabulary]. Raises SpaceError for a mixture."""
        assert active is not None
        assert isinstance(self.cell, SharedCell)
        self.cell.terms = self.terms(active)
        return super().forward(passage, active)  # type: ignore[arg-type]

    def terms(self, active: Active) -> list[Term]:
        """(input, activation) of every node on a path. Raises SpaceError for a mixture."""
        if isinstance(active, Mixed):
            raise SpaceError("`enas-rnn` has no mixtures: its cells are executed one path at a time.")
        return rnn_nodes(self.architecture(active))

    def macs(self, active: Active) -> int:
        """Per token; the same for every path."""
        return size_of(len(self.bias), self._units, self.space.settings["nodes"])[1]

    def path(self, architecture: Architecture) -> Path:
        return path_of(architecture)

    def architecture(self, path: Path) -> Architecture:
        decisions = self.space.decisions
        return self.space.architecture(tuple(tuple(d.values())[at] for d, at in zip(decisions, path, strict=True)))


class EnasRnnNetworks:
    """Builder of the space's networks, see `networks.Networks`; `classes` is the size of the vocabulary."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> LanguageModel:
        """The language model on the meta device; `width` multiplies its units."""
        units, terms = scaled(self.space.settings["network_units"], width), rnn_nodes(architecture)
        with torch.device("meta"):
            cell = SharedCell([(node, *term) for node, term in enumerate(terms, start=1)], units)
            cell.terms = terms
            assert loose_ends(terms) == rnn_loose_ends(architecture)
            return LanguageModel(cell, classes, units, drops(self.space, self.space.settings["dropout_words"]))

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> EnasRnnSupernet:
        """The supernet on the meta device. Raises SpaceError unless it is the plain one."""
        require_plain(self.space, form)
        with torch.device("meta"):
            return EnasRnnSupernet(self.space, classes)

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs per token), by formula."""
        return size_of(classes, scaled(self.space.settings["network_units"], width), self.space.settings["nodes"])
