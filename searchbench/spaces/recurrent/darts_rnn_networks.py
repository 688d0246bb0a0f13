"""Networks of the DARTS space of recurrent cells: one cell's language model, and the supernet of all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from searchbench.spaces.layers.convolutions import scaled
from searchbench.spaces.networks import Active, Mixed, Path, Shape
from searchbench.spaces.recurrent.cells import rnn_nodes
from searchbench.spaces.recurrent.darts_rnn import OPERATIONS
from searchbench.spaces.recurrent.networks import (
    ACTIVATIONS,
    CELL_BOUND,
    Drops,
    LanguageModel,
    first_state,
    highway,
    size_of,
)
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

NONE = OPERATIONS.index("none")


class RecurrentWeights(nn.Module):
    """W_0 [2d, 2d] of input and state, and W_i [d, 2d] of every node; no biases."""

    def __init__(self, nodes: int, units: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(2 * units, 2 * units))
        self.nodes = nn.ParameterList(nn.Parameter(torch.empty(units, 2 * units)) for _ in range(nodes))

    def start(self, generator: torch.Generator) -> None:
        """U(-0.04, 0.04)."""
        with torch.no_grad():
            for weight in (self.first, *self.nodes):
                weight.uniform_(-CELL_BOUND, CELL_BOUND, generator=generator)

    def halves(self) -> tuple[Tensor, Tensor]:
        """W_0's rows for the input and for the state."""
        units = len(self.first) // 2
        return self.first[:units], self.first[units:]


class DerivedCell(nn.Module):
    """One architecture's cell: s_i = s_j + sigmoid(c) (f(h) - s_j), [c, h] = (s_j m) W_i; the output is their mean."""

    def __init__(self, terms: Sequence[tuple[int, str]], units: int) -> None:
        super().__init__()
        self.weights, self._terms = RecurrentWeights(len(terms), units), tuple(terms)

    def run(self, inputs: Tensor, before: Tensor, hidden_mask: Tensor | None, active: Active | None) -> Tensor:
        """See `recurrent.networks.RecurrentCell`."""
        of_input, of_state = self.weights.halves()
        found, state = [], before
        for step in (inputs @ of_input).unbind(0):
            state = self._step(step, state, of_state, hidden_mask)
            found.append(state)
        return torch.stack(found)

    def _step(self, step: Tensor, state: Tensor, of_state: Tensor, mask: Tensor | None) -> Tensor:
        nodes = [first_state(step, state, _masked(state, mask), of_state)]
        for (source, name), weight in zip(self._terms, self.weights.nodes, strict=True):
            nodes.append(highway(nodes[source], _masked(nodes[source], mask) @ weight, ACTIVATIONS[name]))
        return torch.stack(nodes[1:]).mean(0)


class MixedCell(nn.Module):
    """All activations from all earlier nodes: s_i = BN(sum_j sum_k p_jk [s_j + sigmoid(c_j) (f_k(h_j) - s_j)]).

    All predecessors of a node share its W_i; one batch norm that is not affine serves s_0 and every node. `none` adds
    nothing, but keeps its share of the weights.
    """

    def __init__(self, nodes: int, units: int) -> None:
        super().__init__()
        self.weights = RecurrentWeights(nodes, units)
        self.norm = nn.BatchNorm1d(units, affine=False)

    def start(self, generator: torch.Generator) -> None:
        """Fresh statistics."""
        self.norm.reset_running_stats()

    def run(self, inputs: Tensor, before: Tensor, hidden_mask: Tensor | None, active: Active | None) -> Tensor:
        """See `recurrent.networks.RecurrentCell`."""
        assert active is not None
        plans = plan(active, len(self.weights.nodes), inputs)
        of_input, of_state = self.weights.halves()
        found, state = [], before
        for step in (inputs @ of_input).unbind(0):
            state = self._step(step, state, of_state, hidden_mask, plans)
            found.append(state)
        return torch.stack(found)

    def _step(
        self, step: Tensor, state: Tensor, of_state: Tensor, mask: Tensor | None, plans: list[RecurrentPlan]
    ) -> Tensor:
        nodes = [self.norm(first_state(step, state, _masked(state, mask), of_state))]
        for each, weight in zip(plans, self.weights.nodes, strict=True):
            nodes.append(self.norm(self._node(nodes, each, weight, mask)))
        return torch.stack(nodes[1:]).mean(0)

    def _node(self, nodes: list[Tensor], each: RecurrentPlan, weight: Tensor, mask: Tensor | None) -> Tensor:
        if not each.sources:
            return torch.zeros_like(nodes[0])
        states = torch.stack([nodes[source] for source in each.sources])
        gate, candidate = (_masked(states, mask) @ weight).chunk(2, -1)
        mixed: Tensor | None = None
        for name, rows, share in each.terms:
            term = share * ACTIVATIONS[name](candidate if rows is None else candidate[rows])
            if rows is not None:
                term = torch.zeros_like(candidate).index_add(0, rows, term)
            mixed = term if mixed is None else mixed + term
        kept = each.total * states  # sum_k p_jk [s + c (f_k - s)] = P s + c (sum_k p_jk f_k - P s), P = sum_k p_jk
        assert mixed is not None
        return (kept + gate.sigmoid() * (mixed - kept)).sum(0)


class RecurrentPlan:
    """What is executed at a node: from which earlier ones, through which activations, with which weights."""

    __slots__ = ("sources", "terms", "total")

    def __init__(self, chosen: Sequence[Sequence[int]], weights: Sequence[Tensor] | None, like: Tensor) -> None:
        self.sources = [at for at, ops in enumerate(chosen) if any(op > NONE for op in ops)]
        self.terms: list[tuple[str, Tensor | None, Tensor | float]] = []
        totals: dict[int, Tensor | float] = {}
        for op in range(NONE + 1, len(OPERATIONS)):
            rows = [row for row, source in enumerate(self.sources) if op in chosen[source]]
            if not rows:
                continue
            each = [1.0 if weights is None else weights[self.sources[row]][op] for row in rows]
            for row, share in zip(rows, each, strict=True):
                totals[row] = totals[row] + share if row in totals else share
            index = None if len(rows) == len(self.sources) else torch.tensor(rows, device=like.device)
            self.terms.append((OPERATIONS[op], index, _column(each, like)))
        self.total = _column([totals[row] for row in range(len(self.sources))], like) if totals else 0.0


def plan(active: Active, nodes: int, like: Tensor) -> list[RecurrentPlan]:
    """The plan of every node; decisions lie in order of targets, then of sources."""
    weights = active.weights if isinstance(active, Mixed) else None
    chosen = chosen_of(active, nodes)
    found, first = [], 0
    for node in range(1, nodes + 1):
        part = slice(first, first + node)
        found.append(RecurrentPlan(chosen[part], None if weights is None else weights[part], like))
        first += node
    return found


def chosen_of(active: Active, nodes: int) -> Sequence[Sequence[int]]:
    """Operations executed, per decision."""
    if not isinstance(active, Mixed):
        return [(op,) for op in active]
    if active.active is None:
        return [range(len(OPERATIONS))] * (nodes * (nodes + 1) // 2)
    return active.active


def _column(shares: Sequence[Tensor | float], like: Tensor) -> Tensor | float:
    """[rows, 1, 1], or one number for all."""
    if all(isinstance(share, float) for share in shares) and len(set(shares)) == 1:
        return shares[0]
    parts = [share if isinstance(share, Tensor) else like.new_tensor(share) for share in shares]
    return torch.stack(parts).view(-1, 1, 1)


def _masked(value: Tensor, mask: Tensor | None) -> Tensor:
    return value if mask is None else value * mask


class DartsRnnSupernet(LanguageModel):
    """All language models of the space with shared weights; see `networks.Supernet`.

    A path has an operation per pair of nodes, `none` where the later does not read the earlier.
    """

    def __init__(self, space: Space, vocabulary: int) -> None:
        nodes, units = space.settings["nodes"], space.settings["units"]
        super().__init__(MixedCell(nodes, units), vocabulary, units, drops(space, words=0.0))
        self.space, self._nodes, self._units = space, nodes, units
        self.options = (len(OPERATIONS),) * (nodes * (nodes + 1) // 2)

    def macs(self, active: Active) -> int:
        """Per token: a product with W_i for every pair of nodes through which anything passes."""
        pairs = sum(any(op > NONE for op in ops) for ops in chosen_of(active, self._nodes))
        return size_of(len(self.bias), self._units, pairs)[1]

    def path(self, architecture: Architecture) -> Path:
        found: list[int] = []
        for node, (source, activation) in enumerate(rnn_nodes(architecture), start=1):
            found += [OPERATIONS.index(activation) if at == source else NONE for at in range(node)]
        return tuple(found)

    def architecture(self, path: Path) -> Architecture:
        """The first of a node's operations counts; a node without any reads s_0 through tanh."""
        values: list[object] = []
        first = 0
        for node in range(1, self._nodes + 1):
            taken = [(at, op) for at, op in enumerate(path[first : first + node]) if op > NONE]
            source, op = taken[0] if taken else (0, OPERATIONS.index("tanh"))
            values += [source, OPERATIONS[op]]
            first += node
        return self.space.architecture(tuple(values))


def drops(space: Space, words: float) -> Drops:
    """The dropout of the space's settings."""
    settings = space.settings
    return Drops(
        output=settings["dropout"],
        hidden=settings["dropout_hidden"],
        inputs=settings["dropout_inputs"],
        embedded=settings["dropout_embedded"],
        words=words,
        slowness=settings["slowness"],
        activity=settings["activity"],
    )


class DartsRnnNetworks:
    """Builder of the space's networks, see `networks.Networks`; `classes` is the size of the vocabulary."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> LanguageModel:
        """The language model on the meta device; `width` multiplies its units."""
        units = scaled(self.space.settings["network_units"], width)
        with torch.device("meta"):
            cell = DerivedCell(rnn_nodes(architecture), units)
            return LanguageModel(cell, classes, units, drops(self.space, self.space.settings["dropout_words"]))

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> DartsRnnSupernet:
        """The supernet on the meta device. Its nodes are normed in every form."""
        with torch.device("meta"):
            return DartsRnnSupernet(self.space, classes)

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs per token), by formula."""
        return size_of(classes, scaled(self.space.settings["network_units"], width), self.space.settings["nodes"])
