"""What a GPU does for searches: steps of supernets beside their eager form, and several runs on one card.

    python benchmarks/search_on_gpu.py [--parts steps bytes concurrent]
    python benchmarks/search_on_gpu.py --cpu

`steps`: DARTS, GDAS and PC-DARTS on the DARTS space at the papers' size (C=16, L=8, batches of 64 random 32x32 images),
whole epochs of the package's own engine through its metered lab; an image counts once for each of the two players that
trains on it. Single precision as it is, then with passes recorded as CUDA graphs (what is drawn, as by GDAS, never is),
then recorded under bfloat16 autocast, in turns, medians over the rounds; before them the same step operation by
operation, as the published code does it.
`bytes`: what every operation of a DARTS step reads and writes, and the time that so many bytes take at the bandwidth of
a copy: no form that launches these operations can be quicker.
`concurrent`: one study of four runs, a quarter of a card each, one by one and all at once: whether the stores are
equal, value by value, and images per second of each process and of all.

`--cpu` is the small form: a smaller supernet, two rounds, no card. Its figures say that the script is sound, and
nothing about a card.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compare_stores import compare, rows
from differentiable_speed import Drawn, Player
from random_images import lab
from rich.console import Console
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode

import searchbench as sb
from searchbench.harness.running.lab import MeteredLab
from searchbench.spaces import SPACES
from searchbench.spaces.topology import PLAIN, Form
from searchbench.strategies import STRATEGIES
from searchbench.strategies.strategy import TrainingSearch
from searchbench.testing.plain_darts import plain_logits

COMPARED = {"darts": {}, "gdas": {}, "pc-darts": {"warmup": 0}}
EAGER: dict[str, tuple[type[Player], Form]] = {
    "darts": (Player, PLAIN),
    "gdas": (Drawn, PLAIN),
    "pc-darts": (Player, Form(partial=4)),
}
VARIANTS = {"fp32": ("fp32", False), "fp32, recorded": ("fp32", True), "bf16, recorded": ("bf16", True)}
"""Precision, and whether passes are recorded as CUDA graphs."""
SMALL = {"channels": 4, "cells": 5, "batch": 16, "side": 16, "steps": 3, "rounds": 2}


# -- steps ---------------------------------------------------------------------------------------------------------


def begun(name: str, options: argparse.Namespace, variant: str) -> tuple[TrainingSearch, MeteredLab]:
    parameters = {"epochs": 1000, "batch_size": options.batch, **COMPARED[name]}
    strategy = STRATEGIES.factory(name)(**parameters)
    space = SPACES.factory("darts")(channels=options.channels, cells=options.cells)
    precision, recorded = VARIANTS[variant]
    opened = lab(space, options.steps * options.batch, options.side, options.device, precision, recorded)
    return strategy.start(opened.scenario), opened


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds on the device; of the processor where that is the device."""
    if device == "cpu":
        started = time.process_time()
        work()
        return time.process_time() - started
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def epoch(search: TrainingSearch, opened: MeteredLab, device: str) -> float:
    """Images per second of one epoch."""
    before = opened.spent.train_samples
    took = timed(lambda: search.advance(opened), device)
    return (opened.spent.train_samples - before) / took


def eager(method: str, options: argparse.Namespace) -> float:
    """Images per second of the same step, every operation by itself."""
    kind, form = EAGER[method]
    size = (options.channels, options.cells, options.batch, options.side)
    player = kind(plain_logits, size, form, options.device)
    player.step("first")
    taken = [timed(lambda: player.step("first"), options.device) for _ in range(options.rounds * 2)]
    return 2 * options.batch / statistics.median(taken)


def steps(options: argparse.Namespace) -> None:
    """Print images per second of every method and form, and the most memory each holds."""
    heads = ("method", "passes", "images/s", "times eager", "ms a step", "peak GB")
    table = Table(*heads, title=f"{device_name(options)}, PyTorch {torch.__version__}")
    for method in options.methods:
        base = eager(method, options)
        row = (f"{base:,.0f}", "1.00", f"{2e3 * options.batch / base:,.1f}", "")
        table.add_row(method, "eager, fp32", *row)
        print(method, "eager", f"{base:,.0f} images/s", flush=True)
        variants = {name: v for name, v in VARIANTS.items() if options.device == "cuda" or not v[1]}
        sessions = {variant: begun(method, options, variant) for variant in variants}
        for session in sessions.values():
            for _ in range(-(-10 // options.steps) if options.device == "cuda" else 1):
                epoch(*session, options.device)  # beyond the passes after which they are recorded
        found: dict[str, list[float]] = {variant: [] for variant in variants}
        for _ in range(options.rounds):
            for variant, session in sessions.items():
                found[variant].append(epoch(*session, options.device))
        for variant, results in found.items():
            speed, held = statistics.median(results), memory(method, variant, options)
            row = (f"{speed:,.0f}", f"{speed / base:.2f}", f"{2e3 * options.batch / speed:,.1f}", f"{held:.2f}")
            table.add_row(method, variant, *row)
            print(method, variant, f"{speed:,.0f} images/s, {speed / base:.2f} times eager", flush=True)
        del sessions, session
    Console(width=110).print(table)


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


def device_name(options: argparse.Namespace) -> str:
    return torch.cuda.get_device_name() if options.device == "cuda" else "CPU, one thread"


# -- bytes ---------------------------------------------------------------------------------------------------------


class Traffic(TorchDispatchMode):
    """Counts operations, and the bytes of the tensors that each reads and writes; views move none."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view and "empty" not in str(func):
            moved = sum(t.numel() * t.element_size() for t in tensors([args, kwargs, result]))
            self.operations, self.bytes = self.operations + 1, self.bytes + moved
        return result


def tensors(found: Any) -> list[torch.Tensor]:
    """All tensors in nested containers."""
    if isinstance(found, torch.Tensor):
        return [found]
    if isinstance(found, dict):
        found = list(found.values())
    return [t for part in found for t in tensors(part)] if isinstance(found, list | tuple) else []


def moved(options: argparse.Namespace) -> None:
    """Print what the operations of a DARTS step move, in our form and operation by operation."""
    block = torch.zeros(2**26 if options.device == "cuda" else 2**24, device=options.device)
    copied = torch.empty_like(block)
    times = [timed(lambda: copied.copy_(block), options.device) for _ in range(20)]
    bandwidth = 2 * block.numel() * block.element_size() / min(times)
    print(f"bandwidth of a copy: {bandwidth / 1e9:,.1f} GB/s")
    size = (options.channels, options.cells, options.batch, options.side)
    for name, run in (("ours", lambda net, inputs, active: net(inputs, active)), ("eager", plain_logits)):
        player = Player(run, size, PLAIN, options.device)
        player.step("first")
        with Traffic() as traffic:
            player.step("first")
        took = min(timed(lambda: player.step("first"), options.device) for _ in range(3))  # noqa: B023
        bound = traffic.bytes / bandwidth
        print(
            f"DARTS step, {name}: {traffic.operations:,} operations, {traffic.bytes / 1e9:.2f} GB; at that "
            f"bandwidth {1e3 * bound:,.1f} ms, as launched {1e3 * took:,.1f} ms ({took / bound:.1f} times)", flush=True,
        )  # fmt: skip


# -- several runs on one card --------------------------------------------------------------------------------------


def study(options: argparse.Namespace) -> sb.Study:
    """Four runs: two searches that train, two seeds."""
    big = options.device == "cuda"
    space = sb.Use("nasbench201", **({"channels": 16, "cells": 3} if big else {"channels": 4, "cells": 1, "stages": 1}))
    epochs = 20 if big else 3
    problem = sb.Problem(
        space, "digits", sb.Use("train", epochs=2, device=options.device), judge=sb.Use("train", epochs=2),
        label="one card",
    )  # fmt: skip
    searches = {name: sb.Use(name, epochs=epochs, batch_size=64) for name in ("darts", "gdas")}
    needs = {"gpus": 0.25} if big else {}
    return sb.Study("concurrent", problem, searches, 2, sb.Budget(epochs=2 * epochs), resources=needs)


def concurrent(options: argparse.Namespace) -> None:
    """Print whether four runs at once give what they give one by one, and how quick they are."""
    with tempfile.TemporaryDirectory() as folder:
        stores = {}
        for name, workers in (("one by one", 1), ("at once", 4)):
            stores[name] = Path(folder) / f"{workers}.db"
            began = time.perf_counter()
            sb.run(study(options), stores[name], workers=workers, progress=False)
            took = time.perf_counter() - began
            runs = rows(str(stores[name]), "runs").values()
            spent = [json.loads(run["cost"]) for run in runs]
            samples, device_s = (np.array([c[axis] for c in spent]) for axis in ("train_samples", "device_s"))
            rates = samples / device_s
            print(
                f"{name}: {len(runs)} runs in {took:.1f} s; a process {rates.mean():,.0f} images/s of its own time, "
                f"all {samples.sum() / took:,.0f} images/s of the study's, starting Ray included",
                flush=True,
            )
        counts, found = compare(*map(str, stores.values()))
    said = f"{len(found)} differences; the first: {found[0]}" if found else "no difference"
    print("compared " + ", ".join(f"{number:,} {name}" for name, number in counts.items()) + f": {said}")
    if found:
        sys.exit(1)


PARTS = {"steps": steps, "bytes": moved, "concurrent": concurrent}


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="the small form, on a processor")
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    for name, value in (("channels", 16), ("cells", 8), ("batch", 64), ("side", 32), ("steps", 24), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--methods", nargs="+", choices=tuple(COMPARED), default=list(COMPARED))
    options = parser.parse_args()
    options.device = "cpu" if options.cpu else "cuda"
    if options.cpu:
        parser.set_defaults(**SMALL)
        options = parser.parse_args()
        options.device = "cpu"
    torch.set_num_threads(1)
    for part in options.parts:
        PARTS[part](options)


if __name__ == "__main__":
    main()
