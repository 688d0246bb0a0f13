"""Search images per second and peak memory on a GPU: DARTS, GDAS and PC-DARTS on the DARTS space at the papers' size.

    python benchmarks/search_on_gpu.py [--device cuda] [--channels 16] [--cells 8] [--batch 64] [--steps 24]

Whole epochs of the package's own engine through its metered lab, on random 32x32 images; an image counts once for each
of the two players that trains on it. Single precision as it is, single precision and bfloat16 autocast with passes
recorded as CUDA graphs (what is drawn, as by GDAS, never is), in turns, medians over the rounds.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time

import torch
from random_images import lab
from rich.console import Console
from rich.table import Table

from searchbench.harness.running.lab import MeteredLab
from searchbench.spaces import SPACES
from searchbench.strategies import STRATEGIES
from searchbench.strategies.strategy import TrainingSearch

STRATEGIES_COMPARED = {"darts": {}, "gdas": {}, "pc-darts": {"warmup": 0}}
VARIANTS = {"fp32": ("fp32", False), "fp32, recorded": ("fp32", True), "bf16, recorded": ("bf16", True)}
"""Precision, and whether passes are recorded as CUDA graphs."""


def begun(name: str, options: argparse.Namespace, variant: str) -> tuple[TrainingSearch, MeteredLab]:
    parameters = {"epochs": 1000, "batch_size": options.batch, **STRATEGIES_COMPARED[name]}
    strategy = STRATEGIES.factory(name)(**parameters)
    space = SPACES.factory("darts")(channels=options.channels, cells=options.cells)
    precision, recorded = VARIANTS[variant]
    opened = lab(space, options.steps * options.batch, options.side, options.device, precision, recorded)
    return strategy.start(opened.scenario), opened


def epoch(search: TrainingSearch, opened: MeteredLab, device: str) -> float:
    """Images per second of one epoch."""
    if device == "cuda":
        torch.cuda.synchronize()
    before, started = opened.spent.train_samples, time.perf_counter()
    search.advance(opened)
    if device == "cuda":
        torch.cuda.synchronize()
    return (opened.spent.train_samples - before) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=tuple(STRATEGIES_COMPARED), default=list(STRATEGIES_COMPARED))
    options = parser.parse_args()
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    table = Table("method", "passes", "images/s", "times fp32", "peak GB", title=f"{name}, PyTorch {torch.__version__}")
    for method in STRATEGIES_COMPARED:
        if method not in options.methods:
            continue
        sessions = {variant: begun(method, options, variant) for variant in VARIANTS}
        for session in sessions.values():
            for _ in range(-(-10 // options.steps)):  # beyond the passes after which they are recorded
                epoch(*session, options.device)
        found: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for _ in range(options.rounds):
            for variant, session in sessions.items():
                found[variant].append(epoch(*session, options.device))
        base = statistics.median(found["fp32"])
        for variant, results in found.items():
            speed = statistics.median(results)
            # what the other sessions hold is not this one's
            table.add_row(
                method, variant, f"{speed:,.0f}", f"{speed / base:.2f}", f"{memory(method, variant, options):.2f}"
            )
            print(method, variant, f"{speed:,.0f} images/s", flush=True)
        del sessions, session
    Console(width=100).print(table)


def memory(method: str, variant: str, options: argparse.Namespace) -> float:
    """Memory that PyTorch reserves for a session at its peak, in GB."""
    if options.device != "cuda":
        return float("nan")
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    session = begun(method, options, variant)
    torch.cuda.reset_peak_memory_stats()
    for _ in range(-(-10 // options.steps)):
        epoch(*session, options.device)
    return (torch.cuda.max_memory_reserved() - before) / 1e9


if __name__ == "__main__":
    main()
