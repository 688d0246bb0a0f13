"""What was published of strategies: figures as their sources print them, each with where it was read.

They stand beside a strategy's description and are never ranked with what is measured here: protocols differ (the best
of several searches trained again, or a mean over independent searches), and so do spaces and recipes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

QUOTED = "tables of Maile et al. 2021"
COPY = "a public copy of the paper's table"
RELEASED = "released code or its documentation"
RECALLED = "memory, not checked"
SIMULATED = "a simulation of its own, 300 searches, which `benchmarks/acceptance.py` holds this package to"

C10 = "CIFAR-10, test error, %"
C100 = "CIFAR-100, test error, %"
IMAGENET = "ImageNet, top-1 error, %"
PTB = "Penn Treebank, test perplexity"
NB201 = "NAS-Bench-201, CIFAR-10, test accuracy, %"
NB201_100 = f"{NB201}, 100 evaluations"
NB101 = "NAS-Bench-101, test error after 150 evaluations, %, mean of 200 searches"


class Published(NamedTuple):
    """One figure."""

    where: str
    """Data set and what was measured."""
    figure: str
    """As printed: a mean and a spread, or one number."""
    cost: str
    """Of the search, in GPU days where nothing else is said; empty where the source gives none."""
    origin: str
    """Where the figure was read."""


PUBLISHED: Mapping[str, tuple[Published, ...]] = {
    "random": (
        Published(NB201_100, "93.72 ± 0.36", "", SIMULATED),
        Published(NB201, "93.70 ± 0.36", "", COPY),
        Published(NB101, "6.341", "", RELEASED),
        Published(f"{C10}, DARTS space", "3.29 ± 0.15", "4", QUOTED),
        Published(PTB, "59.4", "2", QUOTED),
    ),
    "local-search": (
        Published(NB201_100, "94.19 ± 0.26", "", SIMULATED),
        Published(NB101, "5.932", "", RELEASED),
    ),
    "regularized-evolution": (
        Published(f"{NB201_100}, P = 10, S = 3", "93.89 ± 0.43", "", SIMULATED),
        Published(f"{NB201_100}, P = 100, S = 25", "93.76 ± 0.35", "", SIMULATED),
        Published(NB201, "93.92 ± 0.30", "", RECALLED),
        Published(NB101, "6.109", "", RELEASED),
        Published(f"{C10}, NASNet space", "2.55 ± 0.05", "3150", QUOTED),
    ),
    "hierarchical-evolution": (Published(C10, "3.75 ± 0.12", "300", "works that quote it"),),
    "reinforce": (
        Published(f"{NB201_100}, rate 0.01", "93.80 ± 0.30", "", SIMULATED),
        Published(f"{NB201_100}, rate 0.1", "93.95 ± 0.37", "", SIMULATED),
        Published(NB201, "93.85 ± 0.37", "", COPY),
        Published(NB101, "6.436", "", RELEASED),
    ),
    "lstm-reinforce": (
        Published(f"{C10}, 39 layers with pooling", "4.47", "22,400 (800 GPUs, 28 days)", "works that quote it"),
        Published(PTB, "64.0", "10,000", QUOTED),
    ),
    "ppo": (Published(f"{C10}, NASNet-A with cutout", "2.65", "1,800", QUOTED),),
    "mnasnet": (Published(f"{IMAGENET}, A1: 78 ms, 312M MACs", "24.8", "288 TPUv2 days", RELEASED),),
    "bohb": (Published(NB101, "6.356", "", RELEASED), Published(NB201, "93.61 ± 0.52", "", RECALLED)),
    "gp": (Published(NB101, "6.267", "", RELEASED),),
    "bananas": (Published(NB101, "5.923", "", RELEASED),),
    "pnas": (Published(C10, "3.41 ± 0.09", "225", QUOTED),),
    "darts": (
        Published(f"{C10}, the best of 4 searches trained again", "3.00 ± 0.14", "1.5", QUOTED),
        Published(f"{C10}, 4 searches of Maile et al.", "2.82 ± 0.19", "0.4", QUOTED),
        Published(f"{C100}, 4 searches of Maile et al.", "19.49 ± 0.60", "0.5", QUOTED),
        Published(PTB, "57.6", "0.5", QUOTED),
        Published(f"{NB201}, collapsed to skips", "54.30", "", COPY),
    ),
    "darts-second-order": (
        Published(f"{C10}, the best of 4 searches trained again", "2.76 ± 0.09", "4", QUOTED),
        Published(PTB, "55.7", "1", QUOTED),
        Published(f"{NB201}, collapsed to skips", "54.30", "", COPY),
    ),
    "darts-cs": (Published(f"{C10}, 4 searches", "2.80 ± 0.09", "0.4", QUOTED),),
    "darts-fimt": (
        Published(f"{C10}, 4 searches", "2.79 ± 0.12", "0.6", QUOTED),
        Published(f"{C100}, 4 searches", "19.44 ± 1.26", "0.5", QUOTED),
    ),
    "darts-pr": (
        Published(f"{C10}, 4 searches", "2.77 ± 0.03", "0.5", QUOTED),
        Published(f"{C100}, 4 searches", "19.04 ± 0.85", "0.4", QUOTED),
    ),
    "darts-admm": (Published(f"{C10}, 4 searches", "2.89 ± 0.05", "0.4", QUOTED),),
    "darts-prime": (
        Published(f"{C10}, 4 searches", "2.62 ± 0.07", "0.5", QUOTED),
        Published(f"{C100}, 4 searches", "17.44 ± 0.57", "0.5", QUOTED),
        Published(f"{PTB}, 4 searches", "61.1 ± 2.2", "0.1", QUOTED),
    ),
    "darts-plus": (
        Published(f"{C10}, best", "2.32", "", COPY),
        Published(C100, "15.42 ± 0.30", "0.2", QUOTED),
    ),
    "fair-darts": (Published(C10, "2.54 ± 0.05", "0.4", QUOTED),),
    "darts-minus": (
        Published(C10, "2.59 ± 0.08", "0.4", QUOTED),
        Published(C100, "17.51 ± 0.25", "", COPY),
    ),
    "p-darts": (
        Published(C10, "2.50", "0.3", QUOTED),
        Published(C100, "15.92 ± 0.18", "0.4", QUOTED),
        Published(IMAGENET, "24.4", "", RELEASED),
    ),
    "pd-darts": (Published(C10, "2.57 ± 0.12", "0.3", QUOTED),),
    "r-darts-l2": (
        Published(C10, "2.95 ± 0.21", "1.6", QUOTED),
        Published(C100, "18.01 ± 0.26", "", QUOTED),
    ),
    "nasp": (Published(C10, "2.83 ± 0.09", "0.1", QUOTED),),
    "gdas": (
        Published(C10, "2.93", "0.3", COPY),
        Published(C100, "18.38", "", COPY),
        Published(PTB, "57.5", "0.4", QUOTED),
        Published(NB201, "93.61 ± 0.09", "", COPY),
    ),
    "snas": (Published(f"{C10}, moderate constraint", "2.85 ± 0.02", "1.5", COPY),),
    "pc-darts": (
        Published(C10, "2.57 ± 0.07", "0.1", COPY),
        Published(f"{IMAGENET}, 597M MACs", "24.2", "3.8", RELEASED),
    ),
    "proxyless": (
        Published(f"{C10}, PyramidNet", "2.08", "4.0", COPY),
        Published(f"{IMAGENET}, expected latency in the loss, 79 ms", "25.8", "", "works that quote it"),
    ),
    "proxyless-reinforce": (Published(f"{IMAGENET}, mobile, 78 ms", "25.4", "", "works that quote it"),),
    "spos": (
        Published(f"{IMAGENET}, blocks, 319M MACs", "25.7", "", RECALLED),
        Published(f"{IMAGENET}, blocks and channels, 328M MACs", "25.3", "", RELEASED),
    ),
    "fairnas": (
        Published(f"{IMAGENET}, A: 388M MACs", "24.7", "about 12", f"{RELEASED}; the cost: {RECALLED}"),
        Published("Kendall's tau of 13 networks, supernet against trained alone", "0.949", "", RELEASED),
        Published(f"{NB201}, run by others", "93.23 ± 0.18", "", COPY),
    ),
    "enas": (
        Published(f"{C10}, cells, cutout", "2.89", "0.5", QUOTED),
        Published(f"{NB201}, 3 searches", "54.30 ± 0.00", "", COPY),
    ),
    "enas-recurrent": (Published(f"{PTB}, run by Liu et al. 2019", "58.6", "0.5", QUOTED),),
    "random-sharing": (Published(f"{NB201}, 3 searches", "87.66 ± 1.69", "", COPY),),
    "generator": (Published(f"{IMAGENET}, small regime, 5 networks", "25.3 ± 0.25", "none", "works that quote it"),),
}
"""By the name of the strategy."""
