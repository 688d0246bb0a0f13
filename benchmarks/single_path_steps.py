"""Steps of searches that execute one path, beside one path alone and beside the whole mixture, on one CPU thread.

    python benchmarks/single_path_steps.py [--spaces nasbench201 darts] [--rounds 3] [--steps 3]

Whole epochs of the package's own engine through its metered lab on random 32x32 images, batches of 16; a step is one of
the weights and one of the architecture. "One path" is a step of the weights alone, through paths drawn uniformly.
Processor time of a step, in turns, medians over the rounds; peak memory of a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from fresh_process import printed_alone
from random_images import lab
from rich.console import Console
from rich.table import Table

from searchbench.spaces import SPACES
from searchbench.strategies import STRATEGIES

BATCH = 16
SIZES = {"nasbench201": {"channels": 16, "cells": 5, "stages": 3}, "darts": {"channels": 16, "cells": 8}}
METHODS = {
    "one path": ("spos", {}),
    "GDAS": ("gdas", {}),
    "ProxylessNAS": ("proxyless", {"every": 1, "warmup": 0.0}),
    "PC-DARTS": ("pc-darts", {"warmup": 0}),
    "DARTS": ("darts", {}),
}
REFERENCE = {"one path": 128, "GDAS": 279, "ProxylessNAS": 857, "DARTS": 1386}
"""Milliseconds of the best published code on the space of NAS-Bench-201, measured on such a machine."""


def begun(space: str, method: str, steps: int) -> Callable[[], float]:
    """Something that does an epoch and gives the processor seconds of one of its steps."""
    name, parameters = METHODS[method]
    opened = lab(SPACES.factory(space)(**SIZES[space]), steps * BATCH)
    search = STRATEGIES.factory(name)(epochs=1000, batch_size=BATCH, **parameters).start(opened.scenario)

    def epoch() -> float:
        started = time.process_time()
        search.advance(opened)
        return (time.process_time() - started) / steps

    return epoch


def memory(space: str, method: str) -> int:
    """Peak resident memory of a fresh process that does two steps, in MB."""
    command = [sys.executable, __file__, "--alone", method, "--spaces", space, "--steps", "2"]
    return printed_alone(command)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", choices=tuple(SIZES), default=list(SIZES))
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.alone:
        begun(options.spaces[0], options.alone, options.steps)()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    for space in options.spaces:
        epochs = {method: begun(space, method, options.steps) for method in options.methods}
        taken: dict[str, list[float]] = {method: [] for method in epochs}
        for turn in range(options.rounds + 1):
            for method, epoch in epochs.items():
                seconds = epoch()
                if turn:  # the first warms up
                    taken[method].append(seconds)
        table = Table("method", "ms a step", "of one path", "peak MB", "published code, ms", title=space)
        for method in epochs:
            median = statistics.median(taken[method])
            pairs = zip(taken[method], taken[options.methods[0]], strict=True)
            ratio = statistics.median(a / b for a, b in pairs)
            published = str(REFERENCE.get(method, "")) if space == "nasbench201" else ""
            table.add_row(method, f"{1000 * median:,.0f}", f"{ratio:.2f}", f"{memory(space, method):,}", published)
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
