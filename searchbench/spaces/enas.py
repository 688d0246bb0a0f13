"""The three spaces of ENAS (Pham et al. 2018): whole networks, cells, recurrent cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces import block_cells
from searchbench.spaces.chains import check_counts
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Architecture, Space

MACRO_OPERATIONS = ("conv3", "sep3", "conv5", "sep5", "avg3", "max3")
MICRO_OPERATIONS = ("sep3", "sep5", "avg3", "max3", "identity")
ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
SHARES = ("dropout", "dropout_hidden", "dropout_inputs", "dropout_embedded", "dropout_words")


def enas_macro(layers: int = 12, channels: int = 36, stages: int = 3) -> Space:
    """Whole networks: every layer has an operation, and a bit for each earlier layer whose output is added to its own.

    With 12 layers there are 12 + 66 decisions and 6^12 * 2^66 = 1.6e29 networks.

    Args:
        layers: the first of which has no bits.
        channels: of every layer.
        stages: of about equally many layers, between which the sides are halved.

    Raises:
        StudyError: a setting is out of range.
    """
    settings = {"layers": layers, "channels": channels, "stages": stages}
    check_counts("enas-macro", settings)
    found = []
    for layer in range(1, layers + 1):
        found.append(Choice(f"layer {layer}", MACRO_OPERATIONS))
        found += [Choice(f"skip {before}-{layer}", (0, 1)) for before in range(1, layer)]
    return Space(
        name="enas-macro",
        decisions=tuple(found),
        settings=MappingProxyType(settings),
        writer=write_macro,
        reader=read_macro,
        networks="searchbench.spaces.enas_macro_networks:MacroNetworks",
    )


def enas_micro(blocks: int = 5, channels: int = 20, cells: int = 2, stages: int = 3) -> Space:
    """Cells: a normal and a reduction cell of 20 decisions each. One cell has 720^2 * 5^10 = 5.1e12 ordered forms.

    Args:
        blocks: B, per cell.
        channels: of the first stage's cells; doubled at every reduction.
        cells: normal cells per stage.
        stages: of normal cells; a reduction cell stands between two.

    Raises:
        StudyError: a setting is out of range.
    """
    settings = {"blocks": blocks, "channels": channels, "cells": cells, "stages": stages}
    check_counts("enas-micro", settings)
    names = (block_cells.NORMAL, block_cells.REDUCTION)
    return Space(
        name="enas-micro",
        decisions=tuple(d for cell in names for d in block_cells.decisions(cell, blocks, MICRO_OPERATIONS)),
        settings=MappingProxyType({**settings, "merge": True}),
        canonical=block_cells.canonical,
        writer=block_cells.write,
        reader=block_cells.read,
        networks="searchbench.spaces.block_cell_networks:BlockCellNetworks",
    )


def enas_rnn(
    nodes: int = 12,
    units: int = 300,
    network_units: int = 1000,
    dropout: float = 0.75,
    dropout_hidden: float = 0.25,
    dropout_inputs: float = 0.75,
    dropout_embedded: float = 0.2,
    dropout_words: float = 0.1,
    slowness: float = 1e-3,
    activity: float = 0.0,
) -> Space:
    """Recurrent cells: every node reads an earlier one through an activation; those that none reads are averaged.

    Node 0 is made of the cell's inputs. With 12 nodes there are 4^12 * 12! = 8.0e15 cells. All other settings are
    those of `darts_rnn`, whose language models these are as well.

    Raises:
        StudyError: a setting is out of range.
    """
    counts = {"nodes": nodes, "units": units, "network_units": network_units}
    shares = (dropout, dropout_hidden, dropout_inputs, dropout_embedded, dropout_words)
    decisions, settings = recurrent("enas-rnn", counts, shares, slowness, activity)
    return Space(
        name="enas-rnn",
        decisions=decisions,
        settings=settings,
        canonical=canonical_rnn,
        networks="searchbench.spaces.enas_rnn_networks:EnasRnnNetworks",
        reads="text",
    )


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


def macro_layers(architecture: Architecture) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(operation, earlier layers counted from 0 whose outputs are added) of every layer."""
    values = iter(architecture.values)
    for layer in range(architecture.space.settings["layers"]):
        operation = str(next(values))
        bits = [next(values) for _ in range(layer)]
        yield operation, tuple(at for at, bit in enumerate(bits) if bit == 1)


def write_macro(architecture: Architecture) -> str:
    """As the released code prints it: per layer the operation's number and the bits, layers apart by bars."""
    parts = []
    for layer, (operation, skips) in enumerate(macro_layers(architecture)):
        bits = "".join("1" if at in skips else "0" for at in range(layer))
        parts.append(f"{MACRO_OPERATIONS.index(operation)} {bits}".strip())
    return "|".join(parts)


def read_macro(space: Space, text: str) -> Architecture:
    """Parse what `write_macro` writes. Raises SpaceError."""
    values: list[object] = []
    parts = text.split("|")
    if len(parts) != space.settings["layers"]:
        raise SpaceError(f"`enas-macro` has {space.settings['layers']} layers apart by bars, but got {text!r}.")
    for layer, part in enumerate(parts):
        digits = part.replace(" ", "")
        if len(digits) != layer + 1 or digits[0] not in "012345" or not set(digits[1:]) <= set("01"):
            raise SpaceError(f"layer {layer + 1} is a digit from 0 to 5 and {layer} bits, but got {part!r}.")
        values += [MACRO_OPERATIONS[int(digits[0])], *map(int, digits[1:])]
    return space.architecture(tuple(values))


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
