"""What recurrent cells share: an input and an activation per node, and the settings of their language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Architecture

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
SHARES = ("dropout", "dropout_hidden", "dropout_inputs", "dropout_embedded", "dropout_words")


def recurrent(
    space: str, counts: dict[str, int], shares: Sequence[float], slowness: float, activity: float
) -> tuple[tuple[Choice, ...], Mapping[str, float]]:
    """The decisions of a recurrent cell, an input and an activation per node, and the settings of its language model.

    Raises:
        StudyError: a count is not positive, one of the shares (of `SHARES`, in order) is outside [0, 1), or a factor is
            negative.
    """
    check_counts(space, counts)
    regularisation = dict(zip(SHARES, shares, strict=True)) | {"slowness": slowness, "activity": activity}
    for name, value in regularisation.items():
        top = 1.0 if name in SHARES else float("inf")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < top:
            raise StudyError(f"{space}: `{name}` must lie in [0, {top:g}), but got {value!r}.")
    decisions: list[Choice] = []
    for node in range(1, counts["nodes"] + 1):
        decisions += [Choice(f"node {node} input", tuple(range(node))), Choice(f"node {node} activation", ACTIVATIONS)]
    return tuple(decisions), MappingProxyType({**counts, **regularisation})


def rnn_nodes(architecture: Architecture) -> list[tuple[int, str]]:
    """(input, activation) of nodes 1 …."""
    values = architecture.values
    return [(int(str(a)), str(b)) for a, b in zip(values[::2], values[1::2], strict=True)]


def rnn_loose_ends(architecture: Architecture) -> tuple[int, ...]:
    """Nodes that no other reads, never none: their mean is the cell's output."""
    nodes = rnn_nodes(architecture)
    read = {source for source, _ in nodes}
    return tuple(node for node in range(len(nodes) + 1) if node not in read)


def canonical_rnn(architecture: Architecture) -> str:
    """The cell as a tree from node 0, the children of a node in order: cells that differ in numbering share it."""
    nodes = rnn_nodes(architecture)

    def tree(at: int) -> str:
        children = sorted(f"{activation}{tree(n)}" for n, (source, activation) in enumerate(nodes, 1) if source == at)
        return f"({','.join(children)})" if children else ""

    return tree(0)
