"""The micro space of ENAS: a normal and a reduction cell of blocks (Pham et al. 2018)."""

from __future__ import annotations

from types import MappingProxyType

from searchbench.spaces.block_cells import cells as block_cells
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Space

MICRO_OPERATIONS = ("sep3", "sep5", "avg3", "max3", "identity")


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
        networks="searchbench.spaces.block_cells.networks:BlockCellNetworks",
    )
