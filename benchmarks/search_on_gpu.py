"""Search images per second and peak memory on a GPU: DARTS, GDAS and PC-DARTS on the DARTS space at the papers' size.

    python benchmarks/search_on_gpu.py [--device cuda] [--channels 16] [--cells 8] [--batch 64] [--steps 24]

Whole epochs of the package's own engine through its metered lab, on random 32x32 images; an image counts once for each
of the two players that trains on it. Single precision and bfloat16 autocast, in turns, medians over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from searchbench.cost import Budget
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.harness.lab import MeteredLab
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.strategies import STRATEGIES
from searchbench.strategies.strategy import Scenario, TrainingSearch
from searchbench.tasks.task import Split

STRATEGIES_COMPARED = {"darts": {}, "gdas": {}, "pc-darts": {"warmup": 0}}
PRECISIONS = ("fp32", "bf16")


def lab(options: argparse.Namespace, precision: str) -> MeteredLab:
    """A lab over random images."""
    rng, samples = np.random.default_rng(0), options.steps * options.batch
    space = SPACES.factory("darts")(channels=options.channels, cells=options.cells)
    device = torch.device(options.device)

    def images() -> Batches:
        inputs = rng.normal(size=(samples, 3, options.side, options.side)).astype(np.float32)
        return Batches(Split(inputs, rng.integers(10, size=samples)), device)

    bench = Bench(
        networks=space.builder(),
        train=images(),
        valid=images(),
        shape=(3, options.side, options.side),
        classes=10,
        augment=(),
        bn_momentum=0.1,
        device=device,
        precision=precision,
    )
    scenario = Scenario(space, Seeds("speed", 0, "me"), Budget(epochs=1e6), trains=True)
    return MeteredLab(scenario, estimator=None, duplicates="charge", bench=bench)  # type: ignore[arg-type]


def begun(name: str, options: argparse.Namespace, precision: str) -> tuple[TrainingSearch, MeteredLab]:
    parameters = {"epochs": 1000, "batch_size": options.batch, **STRATEGIES_COMPARED[name]}
    strategy = STRATEGIES.factory(name)(**parameters)
    opened = lab(options, precision)
    return strategy.start(opened.scenario), opened


def epoch(search: TrainingSearch, opened: MeteredLab, device: str) -> tuple[float, float]:
    """(images per second, peak memory in GB) of one epoch."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    before, started = opened.spent.train_samples, time.perf_counter()
    search.advance(opened)
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    memory = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else float("nan")
    return (opened.spent.train_samples - before) / seconds, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    table = Table(
        "method", "precision", "images/s", "times fp32", "peak GB", title=f"{name}, PyTorch {torch.__version__}"
    )
    for method in STRATEGIES_COMPARED:
        sessions = {precision: begun(method, options, precision) for precision in PRECISIONS}
        for session in sessions.values():
            epoch(*session, options.device)  # warm-up
        found: dict[str, list[tuple[float, float]]] = {precision: [] for precision in PRECISIONS}
        for _ in range(options.rounds):
            for precision, session in sessions.items():
                found[precision].append(epoch(*session, options.device))
        base = statistics.median(speed for speed, _ in found["fp32"])
        for precision, results in found.items():
            speed = statistics.median(speed for speed, _ in results)
            peak = max(memory for _, memory in results)
            table.add_row(method, precision, f"{speed:,.0f}", f"{speed / base:.2f}", f"{peak:.2f}")
        del sessions
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
