"""Whether a long differentiable search collapses towards skip connections, and what its remedies do about it.

    python benchmarks/collapse.py [--epochs 60] [--seeds 3] [--workers 1] [--store FILE]

First-order DARTS, DARTS+ (stops at two skips), DARTS- (a fading auxiliary skip) and FairDARTS (a sigmoid each) on the
NAS-Bench-201 space (C=8, one cell, one stage) and digits. The logits' rate is raised so that they come as far in the
few hundred steps of a small data set as published searches do in 19,550. Printed: skip connections and `none` of the
six edges that would be handed over, the validation loss of the supernet, the entropy of the operations' weights, and
the judge's verdict on what was handed over.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import searchbench as sb
from searchbench.harness.study import Study
from searchbench.results.columns import read_traces
from searchbench.results.records import RunRecord
from searchbench.results.store import open_store

NAMES = {"darts": "DARTS", "darts-plus": "DARTS+", "darts-minus": "DARTS-", "fair-darts": "FairDARTS"}
POINTS = 7
"""Epochs shown of every search."""


def study(options: argparse.Namespace) -> Study:
    """The methods under the same rates, order and length."""
    shared = {"epochs": options.epochs, "batch_size": options.batch_size, "lr": options.lr}
    shared |= {"alpha_lr": options.alpha_lr, "order": ["alpha", "w"]}
    task = sb.Use(options.task, **({} if options.task == "digits" else {"subset": options.subset}))
    space = sb.Use("nasbench201", channels=options.channels, cells=options.cells, stages=options.stages)
    judge = sb.Use("train", epochs=options.judged_epochs, device=options.device)
    return sb.Study(
        name="collapse",
        problems=sb.Problem(space, task, sb.Use("train", device=options.device, resolution=options.resolution), judge),
        strategies=[sb.Use(name, **shared) for name in options.methods],
        seeds=list(range(options.first_seed, options.first_seed + options.seeds)),
        budget=sb.Budget(epochs=2 * options.epochs + 1),
    )


def history(run: RunRecord) -> dict[str, list[float]]:
    """What the search logged, a value per epoch."""
    table = read_traces(run.traces)
    assert table is not None, "a differentiable search logs every epoch"
    names = ("epoch", "skips", "valid_accuracy", "valid_loss", "entropy")
    return {name: table.column(name).to_pylist() for name in names}


def show(console: Console, runs: Sequence[RunRecord], epochs: int) -> None:
    """A row per run: skips and validation loss at a few epochs, the last entropy, and the verdict."""
    shown = sorted({int(at) for at in np.linspace(1, epochs, POINTS).round()})
    table = Table(title="skip connections of six edges | validation loss of the supernet, after epoch …")
    for heading in ("search", "seed", *map(str, shown), "entropy", "stopped", "handed over", "test error"):
        table.add_column(heading, justify="left" if heading in ("search", "handed over") else "right")
    for run in sorted(runs, key=lambda run: (list(NAMES).index(run.strategy), run.replicate)):
        logged = history(run)
        line = dict(zip(logged["epoch"], zip(logged["skips"], logged["valid_loss"], strict=True), strict=True))
        points = [f"{line[at][0]:.0f} | {line[at][1]:.2f}" if at in line else "" for at in map(float, shown)]
        last = int(logged["epoch"][-1])
        stopped = str(last) if last < epochs else ""
        handed = _counted(run.architecture or "")
        table.add_row(
            NAMES[run.strategy], str(run.replicate), *points, f"{logged['entropy'][-1]:.2f}", stopped, handed,
            f"{100 * run.test_error:.1f} %",
        )  # fmt: skip
    console.print(table)


def _counted(cell: str) -> str:
    names = ("skip_connect", "none", "nor_conv", "avg_pool")
    shorts = ("skip", "none", "conv", "pool")
    return ", ".join(f"{cell.count(name)} {short}" for name, short in zip(names, shorts, strict=True) if name in cell)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=tuple(NAMES), default=list(NAMES))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--cells", type=int, default=3, help="per stage")
    parser.add_argument("--stages", type=int, default=3)
    parser.add_argument("--task", default="digits")
    parser.add_argument("--subset", type=float, default=0.1, help="of the training images, but of digits")
    parser.add_argument("--resolution", type=float, default=1.0, help="of the images, times their own")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--alpha-lr", type=float, default=0.01)
    parser.add_argument("--judged-epochs", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time; 0: this one alone")
    parser.add_argument("--store", type=Path, help="keep the results there, and go on from what it holds")
    options = parser.parse_args()
    store = options.store or Path(tempfile.mkdtemp(prefix="searchbench-")) / "collapse.db"
    chosen = study(options)
    sb.run(chosen, store, workers=options.workers, resume=store.exists())
    console = Console(width=200)
    with open_store(store) as opened:
        show(console, opened.runs(chosen.name), options.epochs)


if __name__ == "__main__":
    main()
