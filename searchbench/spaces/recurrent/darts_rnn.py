"""The DARTS space of recurrent cells (Liu et al. 2019): eight nodes, each reading one earlier through an activation.

8! x 4^8 = 2.6e9 cells.
"""

from __future__ import annotations

import ast
import re

from searchbench.errors import SpaceError
from searchbench.spaces.recurrent.cells import ACTIVATIONS, canonical_rnn, recurrent, rnn_nodes
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import Edge, Topology

OPERATIONS = ("none", *ACTIVATIONS)
V1 = "relu:0 relu:1 tanh:2 relu:3 relu:4 identity:1 relu:5 relu:1"
V2 = "sigmoid:0 relu:1 relu:1 identity:1 tanh:2 sigmoid:5 tanh:3 relu:5"
"""The cells that first- and second-order DARTS published, as activation:input."""


def darts_rnn(
    nodes: int = 8,
    units: int = 300,
    network_units: int = 850,
    dropout: float = 0.75,
    dropout_hidden: float = 0.25,
    dropout_inputs: float = 0.75,
    dropout_embedded: float = 0.2,
    dropout_words: float = 0.1,
    slowness: float = 1e-3,
    activity: float = 0.0,
) -> Space:
    """The space, with the sizes and the dropout of its language models.

    Args:
        nodes: of the cell, whose output is their mean.
        units: of the supernet, of its embedding too.
        network_units: of the stand-alone networks.
        dropout: of the cell's output; the others of the cell's state, its input, the embedding's elements, and (in
            stand-alone networks only) of whole words.
        slowness: factor of mean((h_t - h_{t-1})^2) in the training loss.
        activity: factor of mean(h^2), of the dropped output.

    Raises:
        StudyError: a setting is out of range.
    """
    counts = {"nodes": nodes, "units": units, "network_units": network_units}
    shares = (dropout, dropout_hidden, dropout_inputs, dropout_embedded, dropout_words)
    decisions, settings = recurrent("darts-rnn", counts, shares, slowness, activity)
    return Space(
        name="darts-rnn",
        decisions=decisions,
        settings=settings,
        canonical=canonical_rnn,
        writer=write,
        reader=read,
        networks="searchbench.spaces.recurrent.darts_rnn_networks:DartsRnnNetworks",
        topology=Topology(
            edges=tuple(
                Edge("recurrent", target, source) for target in range(1, nodes + 1) for source in range(target)
            ),
            operations=OPERATIONS,
            keeps=1,
            sparse=False,
            learnable=ACTIVATIONS,
            forms=("node_norm",),
            silent=("none",),
        ),
        reads="text",
    )


def compact(space: Space, text: str) -> Architecture:
    """The architecture of `activation:input` terms apart by spaces, such as `V1`. Raises SpaceError."""
    terms = [term.rpartition(":") for term in text.split()]
    return _architecture(space, [(name, int(source)) for name, _, source in terms])


def write(architecture: Architecture) -> str:
    """``Genotype(recurrent=[('relu', 0), …], concat=range(1, 9))``."""
    terms = ", ".join(f"({activation!r}, {source})" for source, activation in rnn_nodes(architecture))
    return f"Genotype(recurrent=[{terms}], concat=range(1, {architecture.space.settings['nodes'] + 1}))"


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes, as the literature prints it. Raises SpaceError."""
    found = re.search(r"\brecurrent\s*=\s*(\[[^\]]*\])", text)
    if found is None:
        raise SpaceError(f"a genotype of `{space.name}` needs `recurrent=[…]`, but got {text!r}.")
    try:
        terms = [(str(activation), int(source)) for activation, source in ast.literal_eval(found.group(1))]
    except (ValueError, SyntaxError, TypeError) as error:
        raise SpaceError(f"a cell is a list of (activation, input) pairs, but got {text!r}: {error}.") from error
    return _architecture(space, terms)


def _architecture(space: Space, terms: list[tuple[str, int]]) -> Architecture:
    return space.architecture(tuple(value for activation, source in terms for value in (source, activation)))
