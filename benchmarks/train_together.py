"""How much quicker training together is than training one by one, and how near the numbers are.

    python benchmarks/train_together.py [--rounds 3] [--networks 32] [--epochs 2]

Random distinct cells of NAS-Bench-201 (one stage, one cell, digits, batch 64 and 32), trained one by one and together,
in turns, so that whatever else runs on the machine slows both; processor time, one thread, medians over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from searchbench.estimators.batches import Batches
from searchbench.estimators.together import AT_ONCE, fit_together
from searchbench.estimators.training import Training, begin, fit, weights_seed
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import initialise
from searchbench.spaces.space import Space
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import Recipe

FULL = 12
"""Epochs that times are extrapolated to."""


def begun(space: Space, recipe: Recipe, networks: int) -> list[Training]:
    """Trainings of randomly drawn distinct cells, all with seed 1."""
    task = Digits()
    cells = list({cell.key: cell for cell in space.enumerate()}.values())
    chosen = np.random.default_rng(0).permutation(len(cells))[:networks]
    built = [space.builder().network(cells[at], task.shape, task.classes) for at in chosen]
    return [begin(initialise(network, weights_seed(1)), recipe, 1) for network in built]


def timed(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def compare(channels: int, batch_size: int, options: argparse.Namespace) -> list[str]:
    """One row of the result."""
    data = Digits().search_data(Seeds("benchmark", 0))
    train, valid = Batches(data.train), Batches(data.valid)
    space = nasbench201(channels=channels, cells=1, stages=1)
    recipe = Recipe(epochs=FULL, batch_size=batch_size, lr=0.05, bn_momentum=0.3)
    alone_s, together_s = [], []
    for _ in range(options.rounds):
        alone, together = (begun(space, recipe, options.networks) for _ in range(2))
        alone_s.append(timed(lambda group=alone: [fit(t, train, options.epochs) for t in group]))  # type: ignore[misc]
        together_s.append(timed(lambda group=together: fit_together(group, space.builder(), train, options.epochs)))  # type: ignore[misc]
    alone, together = (begun(space, recipe, 16) for _ in range(2))
    for training in alone:
        fit(training, train, options.epochs, measure_on=valid)
    fit_together(together, space.builder(), train, options.epochs, measure_on=valid)
    pairs = list(zip(alone, together, strict=True))
    losses = max(abs(a - b) for x, y in pairs for a, b in zip(x.losses, y.losses, strict=True))
    samples = max(abs(a - b) for x, y in pairs for a, b in zip(x.errors, y.errors, strict=True))
    scale = FULL / options.epochs / options.networks
    slow, fast = statistics.median(alone_s) * scale, statistics.median(together_s) * scale
    ratio = statistics.median(a / b for a, b in zip(alone_s, together_s, strict=True))
    shown = [f"{channels}", f"{batch_size}", f"{slow:.3f}", f"{fast:.3f}", f"{ratio:.2f}"]
    return [*shown, f"{losses:.1e}", f"{samples * len(valid):.0f} of {len(valid)}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    heads = ("C", "batch", "one by one", "together", "times quicker", "largest loss difference", "samples that differ")
    table = Table(*heads, title=f"CPU seconds per training of {FULL} epochs; stacks of {AT_ONCE['cpu']}")
    for batch_size in (64, 32):
        for channels in (4, 8):
            table.add_row(*compare(channels, batch_size, options))
    Console().print(table)


if __name__ == "__main__":
    main()
