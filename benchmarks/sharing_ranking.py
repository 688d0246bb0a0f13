"""How well inherited weights rank architectures, by how the supernet was trained, at equal sample passes.

    python benchmarks/sharing_ranking.py [--architectures 40] [--seeds 5] [--passes 50]

NAS-Bench-201 x digits with the shipped table's skeleton and recipe. Truth: mean validation error of stand-alone
trainings with two seeds, of random distinct cells, equally many from every fifth of multiply-accumulates. Ceiling: tau
between the two seeds. Floor: tau of parameters and of multiply-accumulates. Every supernet is trained for as many
passes over the training split, at rate 0.025 per update or as named.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau

from searchbench.cost import Budget
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.estimators.training import begin, error_rate, fit, weights_seed
from searchbench.harness.lab import MeteredLab
from searchbench.harness.table_plan import table_plan
from searchbench.seeds import Seeds
from searchbench.spaces.networks import initialise
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.oneshot import OneShot, StrictFair, Successive, Uniform
from searchbench.strategies.oneshot.engine import OneShotSearch
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.supernet import SupernetTraining
from searchbench.tasks.task import Recipe
from searchbench.trial import FULL

RATE, M = 0.025, 5
WAYS = {
    "uniform (SPOS, RSPS)": (Uniform(), None, RATE),
    "uniform, lr/m": (Uniform(), None, RATE / M),
    "strictly fair (FairNAS)": (StrictFair(), None, RATE),
    "strictly fair, lr/m (a mean)": (StrictFair(), None, RATE / M),
    "expectation-fair, m successive updates": (StrictFair(), Successive(), RATE),
    "expectation-fair, successive, lr/m": (StrictFair(), Successive(), RATE / M),
    "m uniform paths, one update": (Uniform(M), None, RATE),
}


def chosen(space: Space, net: object, number: int) -> list[Architecture]:
    """Random distinct cells, equally many from every fifth of multiply-accumulates."""
    cells = list({cell.key: cell for cell in space.enumerate()}.values())
    cells.sort(key=lambda a: net.macs(net.path(a)))  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    fifths = np.array_split(np.arange(len(cells)), 5)
    return [cells[at] for fifth in fifths for at in rng.choice(fifth, number // 5, replace=False)]


def stand_alone(cell: Architecture, seed: int, recipe: Recipe, bench: Bench) -> float:
    """Validation error of a training from scratch."""
    network = bench.networks.network(cell, bench.shape, bench.classes)
    training = begin(initialise(network, weights_seed(seed)), recipe, seed)
    fit(training, bench.train, recipe.epochs)
    return error_rate(training.network.eval(), bench.valid)


def scores(way: str, seed: int, space: Space, bench: Bench, cells: list[Architecture], passes: int) -> list[float]:
    """Validation errors by inherited weights."""
    sampler, grouping, lr = WAYS[way]
    per_epoch = -(-bench.samples("train") // 32)
    share = (per_epoch // M * M) / per_epoch if sampler != Uniform() else 1.0  # what does not fill a round is left
    weights = SupernetTraining(epochs=round(passes / share), batch_size=32, lr=lr, lr_final=lr / 25)
    strategy = OneShot(sampler=sampler, weights=weights)
    strategy = strategy if grouping is None else replace(strategy, grouping=grouping)
    told = Scenario(space, Seeds("sharing-ranking", seed), Budget(epochs=10**6), trains=True)
    lab = MeteredLab(told, estimator=None, duplicates="charge", bench=bench)  # type: ignore[arg-type]
    search = OneShotSearch(strategy, told)
    for _ in range(weights.epochs or 0):
        search.advance(lab)
    assert search._weights is not None
    inherited = lab.inherited(search._weights.supernet, 64, 4)
    return [inherited.evaluate(cell, inherited.complete(FULL), 0)[0].value for cell in cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    plan = table_plan("nasbench201-digits")
    space, task = plan.make_space(), plan.make_task()
    data = task.search_data(plan.seeds())
    bench = Bench(
        space.builder(), Batches(data.train), Batches(data.valid), task.shape, task.classes, (),
        plan.recipe.bn_momentum, torch.device("cpu"),
    )  # fmt: skip
    net = bench.supernet(0)
    cells = chosen(space, net, options.architectures)
    one, other = (np.array([stand_alone(cell, seed, plan.recipe, bench) for cell in cells]) for seed in (1, 2))
    truth = (one + other) / 2
    sizes = np.array([bench.networks.size(cell, bench.shape, bench.classes) for cell in cells])
    table = Table("supernet trained by", "tau-b, mean ± std", "90 % interval", "regret@1, points", "regret@5")
    for way in WAYS:
        taus, firsts, fives, spread = [], [], [], []
        for seed in range(options.seeds):
            found = np.array(scores(way, seed, space, bench, cells, options.passes))
            taus.append(kendalltau(found, truth).statistic)
            best = truth[np.argsort(found, kind="stable")]
            firsts.append(100 * (best[0] - truth.min()))
            fives.append(100 * (best[:5].min() - truth.min()))
            draw = partial(np.random.default_rng(seed).choice, len(cells), len(cells))
            spread += [kendalltau(found[at], truth[at]).statistic for at in (draw() for _ in range(200))]
        low, high = np.nanquantile(spread, [0.05, 0.95])
        deviation = np.std(taus, ddof=1) if len(taus) > 1 else float("nan")
        table.add_row(
            way, f"{np.mean(taus):.3f} ± {deviation:.3f}", f"{low:.2f} to {high:.2f}",
            f"{np.mean(firsts):.2f}", f"{np.mean(fives):.2f}",
        )  # fmt: skip
    console = Console(width=120)
    console.print(table)
    console.print(
        f"{len(cells)} cells, {options.passes} passes, {options.seeds} seeds. Ceiling (two stand-alone seeds): "
        f"{kendalltau(one, other).statistic:.3f}. Floor: parameters {kendalltau(-sizes[:, 0], truth).statistic:.3f}, "
        f"MACs {kendalltau(-sizes[:, 1], truth).statistic:.3f}."
    )


if __name__ == "__main__":
    main()
