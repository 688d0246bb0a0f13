"""How much each differentiable search decides in a share of its paper's steps: margin, entropy, agreement of seeds.

    python benchmarks/decisions.py [--methods darts gdas …] [--shares 0.01 0.1] [--seeds 3] [--settings budget paper]

Every method searches the NAS-Bench-201 space (narrow, one cell a stage) on the bundled digits for a share of the
steps that logits take in its paper: 1 % and 10 % as they come, 100 % with `--shares 1`. Printed, over the seeds:

* steps: of the logits;
* margin, noise: distance of the two largest logits of an edge, and how much that distance moved in the last epoch;
* entropy: of the operations' weights, in nats (1.609: all five alike);
* agreement: share of edges on which two seeds hand over the same operation, mean over pairs (chance: .25 without none);
* decided: searches that say that they decided anything.

Cost: 3 searches of 1 % each for DARTS, CS and GDAS take about two minutes of one core; the other shares in proportion.

Measured, 2 seeds, 1 %: margin of DARTS .758 (settings = "budget") against .023 ("paper"), entropy 1.320 against 1.609;
CS 132 steps of the logits against none, GDAS entropy 1.116 against 1.607.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
from typing import Any

from rich.console import Console
from rich.table import Table

import searchbench as sb
from searchbench.cost import Budget
from searchbench.estimators.train import Train
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable import Differentiable
from searchbench.strategies.strategy import Scenario
from searchbench.tasks import TASKS

BATCH = 64


def methods() -> list[str]:
    """Names of all registered differentiable methods that take the common settings."""
    found = []
    for name in STRATEGIES.builtin:
        try:
            made = STRATEGIES.factory(name)(epochs=1, settings="paper")
        except TypeError:
            continue
        if isinstance(made, Differentiable) and made.alphas.over is not None:
            found.append(name)
    return found


def searched(name: str, share: float, seed: int, settings: str) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """The last line of a search's trace, and what it handed over."""
    space, seeds = nasbench201(channels=4, cells=1, stages=2), Seeds("decisions", seed, "digits")
    estimator = Train(device="cpu").open(space, TASKS.factory("digits")(), seeds)
    scenario = Scenario(space, seeds, Budget(epochs=10**6), trains=True)
    lab = MeteredLab(scenario, estimator, "charge", estimator.bench())
    own = {"keep": (4, 2, 1)} if name == "p-darts" else {}
    strategy = STRATEGIES.factory(name)(epochs=1, batch_size=BATCH, settings=settings, **own)
    batches = len(lab.sizes(strategy.split.w[0], BATCH, strategy.split.w[1]))
    each = batches if strategy.hypergradient.joint else max(strategy.schedule.alpha_steps(batches), batches / 11)
    epochs = max(2, math.ceil(share * (strategy.alphas.over or 1) / each))
    strategy = STRATEGIES.factory(name)(epochs=epochs, batch_size=BATCH, settings=settings, **own)
    lines: list[dict[str, Any]] = []
    lab.log = lambda **values: lines.append(values)  # type: ignore[method-assign]
    drive(strategy.start(scenario), lab)
    assert lab.final is not None
    return lines[-1], lab.final.architecture.values


def row(name: str, share: float, seeds: int, settings: str) -> list[str]:
    """Means over the seeds, as printed."""
    found = [searched(name, share, seed, settings) for seed in range(seeds)]
    last = [line for line, _ in found]
    pairs = itertools.combinations([values for _, values in found], 2)
    agreement = [statistics.mean(a == b for a, b in zip(one, two, strict=True)) for one, two in pairs]
    mean = {key: statistics.mean(line.get(key, math.nan) for line in last) for key in MEASURED}
    decided = sum(line["decided"] == "yes" for line in last)
    return [
        name, f"{100 * share:g} %", settings, f"{mean['logit_steps']:.0f}", f"{mean['margin']:.3f}",
        f"{mean['noise']:.3f}", f"{mean['entropy']:.3f}", f"{statistics.mean(agreement or [math.nan]):.2f}",
        f"{decided}/{seeds}",
    ]  # fmt: skip


MEASURED = ("logit_steps", "margin", "noise", "entropy")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=methods())
    parser.add_argument("--shares", nargs="+", type=float, default=[0.01, 0.1])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--settings", nargs="+", default=["budget", "paper"], choices=["budget", "paper"])
    options = parser.parse_args()
    table = Table(title=f"searchbench {sb.__version__}: decisions of differentiable searches")
    for heading in ("method", "steps of the paper", "settings", "steps", *MEASURED[1:], "agreement", "decided"):
        table.add_column(heading)
    for share, name, settings in itertools.product(options.shares, options.methods, options.settings):
        table.add_row(*row(name, share, options.seeds, settings))
    Console().print(table)


if __name__ == "__main__":
    main()
