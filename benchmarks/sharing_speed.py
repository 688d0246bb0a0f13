"""Seconds of a one-shot search on the shipped table's problem, and what a step of a single path costs.

    python benchmarks/sharing_speed.py [--rounds 9] [--epochs 50] [--skip-searches]

Searches: SPOS (1,050 scores) and FairNAS (14,070) with the second halves of their papers, on one thread, processor
seconds. Steps: of a single path of a supernet, of the same path's stand-alone network, and of the mixture of all
operations, fused as the supernet runs it and operation by operation; interleaved medians of processor time, and medians
of their ratios over random paths; beside them the multiply-accumulates. Every step is forward, backward, clipping, SGD.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from searchbench import Budget, Problem, Study, Use
from searchbench.estimators.training import accumulate, update
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.run import run_search
from searchbench.results.columns import read_trials
from searchbench.spaces.chains.mobile import mobile_fairnas
from searchbench.spaces.chains.nasbench_macro import macro
from searchbench.spaces.chains.shuffle import shuffle
from searchbench.spaces.nasbench201.cells import CONV1, CONV3, LEAVING, POOL, SKIP, MixedCell
from searchbench.spaces.nasbench201.space import EDGES, OPERATIONS, nasbench201
from searchbench.spaces.networks import Mixed, Path, initialise
from searchbench.spaces.operations import average_pool
from searchbench.spaces.space import Space
from searchbench.strategies.supernet import SupernetTraining
from searchbench.tables.building.plan import table_plan

TABLE = "nasbench201-digits"
IMAGES, CLASSES = (1, 8, 8), 10
SPACES = {
    "nasbench201, C=8, 1 cell": (nasbench201(channels=8, cells=1, stages=1), 64),
    "nasbench201, C=16, 5 cells x 3": (nasbench201(channels=16, cells=5, stages=3), 16),
    "shuffle, 4 layers": (shuffle(stem=8, channels=(16, 32), layers=(2, 2), last=32, stem_stride=1), 64),
    "mobile-fairnas, 4 layers": (
        mobile_fairnas(stem=8, first=8, channels=(8, 16), layers=(2, 2), strides=(1, 2), last=32, stem_stride=1), 64,
    ),
    "macro, 4 layers": (macro(stem=8, layers=(2, 2), last=32), 64),
}  # fmt: skip
"""Each with the minibatch."""
SIDES = {"nasbench201, C=16, 5 cells x 3": (3, 32, 32)}


# -- searches ------------------------------------------------------------------------------------------------------


def search(name: str, epochs: int) -> tuple[float, int, int]:
    """(processor seconds, scores, distinct paths) of a whole search, its judging left out."""
    known = table_plan(TABLE)
    problem = Problem(Use(known.space, **dict(known.settings)), known.task, "train", Use("table", path=TABLE))
    study = Study("sharing-speed", problem, [Use(name, epochs=epochs)], [0], Budget(epochs=epochs))
    (run,) = plan(study).runs
    run.problem.resolve()
    started = time.process_time()
    result = run_search(run)
    seconds = time.process_time() - started
    assert result.status == "ok", result.error
    trials = read_trials(result.trials)
    return seconds, trials.num_rows, len(set(trials["architecture"].to_pylist()))


# -- steps ---------------------------------------------------------------------------------------------------------


def step(model: nn.Module, forward: Callable[[Tensor], Tensor], inputs: Tensor, targets: Tensor) -> Callable[[], None]:
    """A training step of a model."""
    settings = SupernetTraining()
    optimizer = settings.optimizer(model.parameters())

    def once() -> None:
        optimizer.zero_grad(set_to_none=True)
        accumulate(forward, inputs, targets)
        update(optimizer, settings.clip)

    return once


def one_by_one(net: Any, inputs: Tensor, mixed: Mixed) -> Tensor:
    """The mixture with every operation run by itself and multiplied by its weight."""
    if not hasattr(net, "cells"):
        value = net.stem(inputs)
        for layer, weights in zip(net.layers, mixed.weights, strict=True):
            value = cast(Tensor, sum(weights[at] * layer.one(value, at) for at in range(len(weights))))
        return cast(Tensor, net.head(value))
    value = net.frame.begin(inputs)
    for at, cell in enumerate(net.cells):
        value = _cell(cell, net.frame.enter(at, value), mixed)
    return cast(Tensor, net.frame.finish(value))


def _cell(cell: MixedCell, inputs: Tensor, mixed: Mixed) -> Tensor:
    nodes: list[Tensor] = [inputs]
    for target in range(1, 4):
        terms = []
        for source in range(target):
            weights, value = mixed.weights[EDGES.index((target, source))], nodes[source]
            place = LEAVING[source].index(EDGES.index((target, source)))
            for banks, op in ((cell.conv1, CONV1), (cell.conv3, CONV3)):
                terms.append(weights[op] * banks[source](F.relu(value), (place,), None))
            terms += [weights[SKIP] * value, weights[POOL] * average_pool(value)]
        nodes.append(cast(Tensor, sum(terms)))
    return nodes[-1]


def medians_s(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median processor seconds of each step, steps in turns; the first turn is warm-up."""
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    for _ in range(rounds + 1):
        for kind, once in steps.items():
            started = time.process_time()
            once()
            seconds[kind].append(time.process_time() - started)
    return {kind: statistics.median(own[1:]) for kind, own in seconds.items()}


def measured(space: Space, batch: int, shape: tuple[int, int, int], rounds: int, paths: int = 12) -> dict[str, float]:
    """Medians over random paths: of the four steps in seconds, of the ratios of a path's step to each of the others,
    and of the ratio of multiply-accumulates to those of the mixture."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    inputs, targets = torch.randn((batch, *shape), generator=generator), torch.arange(batch) % CLASSES
    builder = space.builder()
    net: Any = initialise(builder.supernet(shape, CLASSES), 0).train()
    mixed = Mixed([torch.rand(n, generator=generator).softmax(0) for n in net.options])
    fused = step(net, lambda images: net(images, mixed), inputs, targets)
    plain = step(net, lambda images: one_by_one(net, images, mixed), inputs, targets)
    found: dict[str, list[float]] = {}
    for _ in range(paths):
        path: Path = tuple(rng.integers(net.options).tolist())
        network = initialise(builder.network(net.architecture(path), shape, CLASSES), 0).train()
        single = step(net, partial(net, active=path), inputs, targets)
        alone = step(network, network, inputs, targets)
        # apart: a step that follows a mixture finds the cache full of that one's activations
        own = medians_s({"fused": fused, "plain": plain}, max(1, rounds // 3))
        own |= medians_s({"path": single, "alone": alone}, rounds)
        own |= {f"path / {kind}": own["path"] / own[kind] for kind in ("alone", "fused", "plain")}
        for name, value in (own | {"macs": net.macs(path) / net.macs(mixed)}).items():
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--skip-searches", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    assert len(OPERATIONS) == 5
    console = Console(width=130)
    if not options.skip_searches:
        table = Table("search on the table's problem", "scores", "different paths", "processor s")
        for name in ("spos", "fairnas"):
            seconds, scores, distinct = search(name, options.epochs)
            table.add_row(f"{name}, {options.epochs} epochs", f"{scores:,}", f"{distinct:,}", f"{seconds:.1f}")
        console.print(table)
    table = Table(
        "step, ms", "alone", "path", "path / alone", "fused", "path / fused", "one by one", "path / it", "MACs"
    )
    for name, (space, batch) in SPACES.items():
        rounds = max(1, options.rounds // 4) if name in SIDES else options.rounds
        own = measured(space, batch, SIDES.get(name, IMAGES), rounds)
        table.add_row(
            name, *(f"{1000 * own[kind]:.2f}" for kind in ("alone", "path")), f"{own['path / alone']:.2f}",
            f"{1000 * own['fused']:.2f}", f"{own['path / fused']:.2f}",
            f"{1000 * own['plain']:.2f}", f"{own['path / plain']:.2f}", f"{own['macs']:.2f}",
        )  # fmt: skip
        console.print(f"{name}: done")
    console.print(table)


if __name__ == "__main__":
    main()
