"""The NASNet space: a normal and a reduction cell of B blocks (Zoph et al. 2018), and its variants; the space of PNAS,
one cell of up to B blocks (Liu et al. 2018).

With the eight operations that later work kept and addition alone, one cell of five blocks has
(2^2 8^2) (3^2 8^2) (4^2 8^2) (5^2 8^2) (6^2 8^2) = 5.566e14 forms, the space their square.
"""

from __future__ import annotations

from types import MappingProxyType

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.block_cells import cells as block_cells
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Space

LATER = ("identity", "conv1x7-7x1", "dil3", "avg3", "max3", "sep3", "sep5", "sep7")
"""The operations of PNAS and AmoebaNet."""
ORIGINAL = (
    "identity",
    "conv1x3-3x1",
    "conv1x7-7x1",
    "dil3",
    "avg3",
    "max3",
    "max5",
    "max7",
    "conv1",
    "conv3",
    "sep3",
    "sep5",
    "sep7",
)
"""The thirteen of the NASNet paper."""


def nasnet(
    blocks: int = 5,
    operations: tuple[str, ...] = LATER,
    combiners: tuple[str, ...] = (block_cells.ADD,),
    shared: bool = False,
    channels: int = 32,
    cells: int = 6,
    stages: int = 3,
) -> Space:
    """The space, with the skeleton its networks are built in.

    Args:
        blocks: B, per cell.
        operations: of `ORIGINAL`.
        combiners: "add", "concat" or both, which makes a fifth decision per block.
        shared: one cell for both purposes, as in PNAS: with stride 2 it reduces.
        channels: of the first stage's cells; doubled at every reduction.
        cells: normal cells per stage.
        stages: of normal cells; a reduction cell stands between two.

    Raises:
        StudyError: a setting is out of range.
    """
    settings = {"blocks": blocks, "channels": channels, "cells": cells, "stages": stages}
    _check("nasnet", settings, operations, combiners)
    names = (block_cells.NORMAL,) if shared else (block_cells.NORMAL, block_cells.REDUCTION)
    return Space(
        name="nasnet",
        decisions=tuple(d for cell in names for d in block_cells.decisions(cell, blocks, operations, combiners)),
        settings=MappingProxyType({**settings, "merge": False}),
        canonical=block_cells.canonical,
        writer=block_cells.write,
        reader=block_cells.read,
        networks="searchbench.spaces.block_cells.networks:BlockCellNetworks",
        shares_weights=False,
    )


def pnas(
    blocks: int = 5,
    operations: tuple[str, ...] = LATER,
    combiners: tuple[str, ...] = (block_cells.ADD,),
    channels: int = 24,
    cells: int = 2,
    stages: int = 3,
) -> Space:
    """Cells of one to `blocks` blocks, the first decision being how many; with stride 2 the same cell reduces.

    There are 256 cells of one block, 136 of them distinct, and 5.6e14 in all. A random draw is uniform over the
    number of blocks first.

    Args:
        blocks: B, at most.
        operations: of `ORIGINAL`.
        combiners: "add", "concat" or both, which makes a fifth decision per block.
        channels, cells, stages: as in `nasnet`; 24 and 2 are those of the paper's search.

    Raises:
        StudyError: a setting is out of range.
    """
    settings = {"blocks": blocks, "channels": channels, "cells": cells, "stages": stages}
    _check("pnas", settings, operations, combiners)
    inside = block_cells.decisions(block_cells.NORMAL, blocks, operations, combiners, grows=True)
    return Space(
        name="pnas",
        decisions=(Choice(block_cells.BLOCKS, tuple(range(1, blocks + 1))), *inside),
        settings=MappingProxyType({**settings, "merge": False}),
        canonical=block_cells.canonical,
        writer=block_cells.write,
        reader=block_cells.read,
        networks="searchbench.spaces.block_cells.networks:BlockCellNetworks",
        shares_weights=False,
    )


def _check(space: str, settings: dict[str, int], operations: tuple[str, ...], combiners: tuple[str, ...]) -> None:
    check_counts(space, settings)
    for what, given, known in (
        ("operation", operations, ORIGINAL),
        ("combiner", combiners, (block_cells.ADD, block_cells.CONCAT)),
    ):
        for name in given:
            if name not in known:
                raise StudyError(f"{space}: unknown {what} `{name}`; {did_you_mean(name, known)}")
        if not given:
            raise StudyError(f"{space}: give at least one {what} of {', '.join(known)}.")
