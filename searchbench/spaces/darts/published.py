"""Published genotypes, as they are listed in their authors' code (SNAS and GDAS: in a third party's). Where FairDARTS
keeps fewer than two inputs, `none` stands for the others."""

from __future__ import annotations

from searchbench.spaces.darts.genotypes import SHORT, Genotype, compact

PUBLISHED = {
    "DARTS_V1": compact(
        "sep3:1 sep3:0 | skip:0 sep3:1 | skip:0 sep3:1 | sep3:0 skip:2",
        "max:0 max:1 | skip:2 max:0 | max:0 skip:2 | skip:2 avg:0",
    ),
    "DARTS_V2": compact(
        "sep3:0 sep3:1 | sep3:0 sep3:1 | sep3:1 skip:0 | skip:0 dil3:2",
        "max:0 max:1 | skip:2 max:1 | max:0 skip:2 | skip:2 max:1",
    ),
    "NASNet": compact(
        "sep5:1 sep3:0 | sep5:0 sep3:0 | avg:1 skip:0 | avg:0 avg:0 | sep3:1 skip:1; concat 2-6",
        "sep5:1 sep7:0 | max:1 sep7:0 | avg:1 sep5:0 | skip:3 avg:2 | sep3:2 max:1; concat 4,5,6",
    ),
    "AmoebaNet": compact(
        "avg:0 max:1 | sep3:0 sep5:2 | sep3:0 avg:3 | sep3:1 skip:1 | skip:0 avg:1; concat 4,5,6",
        "avg:0 sep3:1 | max:0 sep7:2 | sep7:0 avg:1 | max:0 max:1 | conv7x1_1x7:0 sep3:5; concat 3,4,6",
    ),
    "PDARTS": compact(
        "skip:0 dil3:1 | skip:0 sep3:1 | sep3:1 sep3:3 | sep3:0 dil5:4",
        "avg:0 sep5:1 | sep3:0 dil5:2 | max:0 dil3:1 | dil3:1 dil5:3",
    ),
    "PC_DARTS_cifar": compact(
        "sep3:1 skip:0 | sep3:0 dil3:1 | sep5:0 sep3:1 | avg:0 dil3:1",
        "sep5:1 max:0 | sep5:1 sep5:2 | sep3:0 sep3:3 | sep3:1 sep3:2",
    ),
    "PC_DARTS_image": compact(
        "skip:1 sep3:0 | sep3:0 skip:1 | sep3:1 sep3:3 | sep3:1 dil5:4",
        "sep3:0 skip:1 | dil5:2 max:1 | sep3:2 sep3:1 | sep5:0 sep3:3",
    ),
    "SNAS": compact(
        "sep3:0 sep3:1 | skip:0 dil3:1 | skip:1 skip:0 | skip:0 sep3:1",
        "max:0 max:1 | max:1 skip:2 | skip:2 max:1 | max:0 dil5:2",
    ),
    "GDAS_V1": compact(
        "skip:0 skip:1 | skip:0 sep5:2 | sep3:3 skip:0 | sep5:4 sep3:3",
        "sep5:0 sep3:1 | sep5:2 sep5:1 | dil5:2 sep3:1 | sep5:0 sep5:2",
    ),
    "DARTS_minus": compact(
        "sep3:0 sep5:1 | sep3:1 dil3:2 | skip:1 sep3:0 | skip:1 sep3:0",
        "sep3:0 max:1 | skip:2 max:0 | skip:2 skip:3 | skip:2 skip:3",
    ),
    "NASP": compact(
        "conv3x1_1x3:0 conv3:1 | dil3:2 conv3:1 | dil3:2 conv3:0 | skip:0 dil3:3",
        "max:0 max:1 | skip:2 max5:1 | skip:2 skip:3 | skip:0 skip:1",
    ),
    "FairDARTS_a": compact(
        "sep3:0 sep5:1 | none:0 none:1 | max:0 none:1 | sep3:0 none:1",
        "max:0 avg:1 | avg:0 dil5:1 | avg:0 sep5:1 | skip:0 skip:1",
    ),
    "FairDARTS_b": compact(
        "sep3:0 sep3:1 | sep3:1 none:0 | dil3:0 sep5:1 | dil5:1 none:0",
        "skip:0 dil3:1 | skip:0 dil3:1 | max:0 sep3:1 | skip:2 max:0",
    ),
    "FairDARTS_c": compact(
        "max:0 sep5:1 | none:0 none:1 | dil3:0 dil5:2 | skip:3 sep3:0",
        "dil3:1 dil5:0 | dil3:0 sep3:1 | sep5:0 sep5:3 | sep5:0 skip:1",
    ),
    "FairDARTS_d": compact(
        "sep3:0 sep5:1 | dil3:1 max:0 | dil3:0 dil3:1 | sep3:0 dil5:1",
        "max:0 sep5:1 | avg:0 dil5:2 | dil3:3 avg:0 | avg:0 skip:3",
    ),
    "FairDARTS_e": compact(
        "sep3:0 sep3:1 | none:0 none:1 | dil3:1 dil3:2 | dil3:0 dil5:1",
        "max:1 max:0 | max:1 max:0 | sep5:1 max:0 | avg:0 dil5:1",
    ),
    "FairDARTS_f": compact(
        "max:0 sep3:1 | dil3:1 none:0 | sep5:1 none:0 | sep3:0 sep3:1",
        "max:0 max:1 | max:0 dil3:1 | dil3:2 max:0 | max:0 sep3:1",
    ),
    "FairDARTS_g": compact(
        "sep3:0 sep3:1 | none:0 none:1 | skip:3 sep5:1 | dil3:0 sep3:1",
        "avg:1 skip:0 | skip:2 max:1 | sep5:3 max:0 | dil3:1 dil3:4",
    ),
}


def uniform(short: str) -> Genotype:
    """Every node of both cells takes one operation, named in compact notation, from states 0 and 1."""
    assert short in SHORT
    cell = " | ".join([f"{short}:0 {short}:1"] * 4)
    return compact(cell, cell)
