"""Whether a long differentiable search collapses towards skip connections, and what its remedies do about it.

    python benchmarks/collapse.py [--epochs 80] [--seeds 3] [--cells 3] [--stages 3] [--workers 1] [--store FILE]
    python benchmarks/collapse.py --task cifar10 --channels 16 --cells 5 --batch-size 64 --lr 0.025 --device cuda

First-order DARTS, DARTS+ (stops at two skips), DARTS- (a fading auxiliary skip) and FairDARTS (a sigmoid each) on the
NAS-Bench-201 space and digits, or a part of CIFAR-10. The logits' rate is raised so that they come as far in the few
hundred steps of a small data set as published searches do in 19,550. Printed: skip connections among the six edges
that would be handed over, the accuracy of the supernet on the validating minibatches, the entropy of the operations'
weights, and the judge's verdict on what was handed over.
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
from searchbench.harness.declared.study import Study
from searchbench.results.records import RunRecord
from searchbench.results.store import ResultStore, open_store

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


def show(console: Console, store: ResultStore, runs: Sequence[RunRecord], epochs: int) -> None:
    """A row per run: skips and validation accuracy at a few epochs, the last entropy, and the verdict."""
    shown = sorted({int(at) for at in np.linspace(1, epochs, POINTS).round()})
    table = Table(title="skip connections of six edges | validation accuracy of the supernet, %, after epoch …")
    for heading in ("search", "seed", *map(str, shown), "entropy", "stopped", "handed over", "test error"):
        table.add_column(heading, justify="left" if heading in ("search", "handed over") else "right")
    for run in sorted(runs, key=lambda run: (list(NAMES).index(run.strategy), run.replicate)):
        logged = store.trace(run.run_id).set_index("epoch")
        points = [
            f"{logged.skips[at]:.0f} | {100 * logged.valid_accuracy[at]:.0f}" if at in logged.index else ""
            for at in shown
        ]
        last = int(logged.index[-1])
        stopped = str(last) if last < epochs else ""
        handed = _counted(run.architecture or "")
        table.add_row(
            NAMES[run.strategy], str(run.replicate), *points, f"{logged.entropy.iloc[-1]:.2f}", stopped, handed,
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
    parser.add_argument("--epochs", type=int, default=80)
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
    parser.add_argument("--alpha-lr", type=float, default=0.1)
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
        show(console, opened, opened.runs(chosen.name), options.epochs)


if __name__ == "__main__":
    main()
