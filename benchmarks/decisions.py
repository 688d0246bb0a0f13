"""How much each differentiable search decides in a share of its paper's steps: margin, entropy, agreement of seeds.

    python benchmarks/decisions.py [--methods darts gdas …] [--shares 0.01 0.1] [--seeds 3] [--settings budget paper]
                                   [--keep FILE] [--minutes 15]

Every method searches the NAS-Bench-201 space (narrow, one cell a stage) on the bundled digits for a share of the
steps that logits take in its paper: 1 % and 10 % as they come, 100 % with `--shares 1`. Printed, over the seeds:

* steps: of the logits;
* margin, noise: distance of the two largest logits of an edge, and how much that distance moved in the last epoch;
* entropy: of the operations' weights, in nats (1.609: all five alike);
* agreement: share of edges on which two seeds hand over the same operation, mean over pairs (chance: .25 without none);
* decided: searches that say that they decided anything;
* CPU-s: of one search, and what all of the paper's steps would take at that rate.

With `--minutes` no search is begun after so many; with `--keep` what was measured is kept in FILE, a line a search, and
not measured again: so all methods and shares can be measured piece by piece, in as many calls as it takes.

Measured at 1 %, settings = "budget", 35 methods, one seed, about 330 CPU-s: 32 decide, with margins of .06 to 3.3; the
others are `darts-plus` (stops after 10 steps), `darts-plus-rank` (after 90) and `nasp` (margin .003, its noise). Over
three seeds the agreement is .44 for DARTS (margin .87, entropy 1.31), .39 for XNAS, .33 for MANAS and .78 for FBNet
(margin 3.5): decided is not agreed. By these rates 100 % takes 650 CPU-s of DARTS, 2,800 of SDARTS-ADV, 2,000 of SNAS.
Measured at 10 %, settings = "budget", one seed, twenty-one methods, of which all but `darts-plus` (it stops after 10)
decide; margin / entropy: DARTS .42 / 1.46, second order .31 / 1.38, CS .24 / 1.54, FIMT .68 / 1.49, PR .68 / 1.37, ADMM
.54 / 1.33, PRIME .65 / 1.50, Fair DARTS 1.54 / .84, DARTS- .93 / 1.14, beta-DARTS .09 / 1.60, DrNAS .84 / 1.47, FBNet
3.9 / .35, SETN 1.13 / 1.33, MANAS 1.04 / 1.08, XNAS .91 / .63, ASAP .11 / .88, NASP .07 / .59, GDAS .34 / 1.56, SNAS
1.57 / 1.20, PC-DARTS .67 / 1.48. 12 CPU-s (PC-DARTS) to 205 (SNAS), most about 60; 100 % was not measured.
Earlier, two seeds: margin of DARTS .758 ("budget") against .023 ("paper"), entropy 1.320 against 1.609; CS 132 steps of
the logits against none, GDAS entropy 1.116 against 1.607.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import searchbench as sb
from searchbench.cost import Budget
from searchbench.estimators.train import Train
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.seeds import Seeds
from searchbench.spaces.chains.densenas import densenas
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable import Differentiable
from searchbench.strategies.strategy import Scenario
from searchbench.tasks import TASKS

BATCH = 64
CELLS = nasbench201(channels=4, cells=1, stages=2)
ROUTES = densenas(8, 8, ((8, 12), (16, 24)), strides=(1, 2), layers=2, last=16, stem_stride=1)
"""Where methods are asked that choose routes through blocks."""


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


def searched(name: str, share: float, seed: int, settings: str) -> dict[str, Any]:
    """The last line of a search's trace, what it handed over, and what it cost."""
    space, seeds = ROUTES if name == "densenas" else CELLS, Seeds("decisions", seed, "digits")
    estimator = Train(device="cpu").open(space, TASKS.factory("digits")(), seeds)
    scenario = Scenario(space, seeds, Budget(epochs=10**6), trains=True)
    lab = MeteredLab(scenario, estimator, "charge", estimator.bench())
    own = {"keep": (4, 2, 1)} if name == "p-darts" else {}
    strategy = STRATEGIES.factory(name)(epochs=1, batch_size=BATCH, settings=settings, **own)
    batches = len(lab.sizes(strategy.split.w[0], BATCH, strategy.split.w[1]))
    each = strategy.logit_steps(100, batches) / 100
    # a schedule so sparse that it has no step in an epoch of this length has one in about ten of the paper's
    epochs = max(2, math.ceil(share * (strategy.alphas.over or 1) / (each or batches / 11)))
    strategy = STRATEGIES.factory(name)(epochs=epochs, batch_size=BATCH, settings=settings, **own)
    lines: list[dict[str, Any]] = []
    lab.log = lambda **values: lines.append(values)  # type: ignore[method-assign]
    began = time.process_time()
    drive(strategy.start(scenario), lab)
    assert lab.final is not None
    last = {key: lines[-1].get(key) for key in ("logit_steps", *MEASURED, "decided")}
    return last | {"values": list(lab.final.architecture.values), "cpu_s": time.process_time() - began}


def row(name: str, share: float, settings: str, found: list[dict[str, Any]]) -> list[str]:
    """Means over the searches, as printed."""
    pairs = itertools.combinations([search["values"] for search in found], 2)
    agreement = [statistics.mean(a == b for a, b in zip(one, two, strict=True)) for one, two in pairs]
    mean = {key: _mean([search.get(key) for search in found]) for key in ("logit_steps", *MEASURED, "cpu_s")}
    decided = sum(search["decided"] == "yes" for search in found)
    return [
        name, f"{100 * share:g} %", settings, f"{mean['logit_steps']:.0f}", *(f"{mean[key]:.3f}" for key in MEASURED),
        f"{_mean(agreement):.2f}", f"{decided}/{len(found)}", f"{mean['cpu_s']:.1f}", f"{mean['cpu_s'] / share:.0f}",
    ]  # fmt: skip


def _mean(values: list[Any]) -> float:
    given = [value for value in values if value is not None]
    return statistics.mean(given) if given else math.nan


MEASURED = ("margin", "noise", "entropy")


class Kept:
    """What was measured, in a file of a line a search; in memory alone where no file is given."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []
        self._found = {self._key(line): line for line in map(json.loads, lines)}

    @staticmethod
    def _key(search: Mapping[str, Any]) -> tuple[Any, ...]:
        return search["method"], search["share"], search["settings"], search["seed"]

    def get(self, **asked: Any) -> dict[str, Any] | None:
        """The search that was asked for, if it was measured."""
        return self._found.get(self._key(asked))

    def add(self, search: dict[str, Any]) -> None:
        """Keep a search."""
        self._found[self._key(search)] = search
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(search) + "\n")


def main() -> None:
    """Run what is not known yet, as long as there is time, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=methods())
    parser.add_argument("--shares", nargs="+", type=float, default=[0.01, 0.1])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--settings", nargs="+", default=["budget", "paper"], choices=["budget", "paper"])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--minutes", type=float, default=math.inf)
    options = parser.parse_args()
    kept, ends, missing = Kept(options.keep), time.monotonic() + 60 * options.minutes, 0
    for share, seed, name, settings in itertools.product(
        options.shares, range(options.seeds), options.methods, options.settings
    ):
        asked = {"method": name, "share": share, "settings": settings, "seed": seed}
        if kept.get(**asked) is None and time.monotonic() < ends:
            kept.add(asked | searched(name, share, seed, settings))
        missing += kept.get(**asked) is None
    table = Table(title=f"searchbench {sb.__version__}: decisions of differentiable searches")
    headings = ("method", "of the paper", "settings", "steps", *MEASURED, "agreement", "decided", "CPU-s", "100 %")
    for heading in headings:
        table.add_column(heading)
    for share, name, settings in itertools.product(options.shares, options.methods, options.settings):
        asked = ({"method": name, "share": share, "settings": settings, "seed": seed} for seed in range(options.seeds))
        found = [search for search in (kept.get(**one) for one in asked) if search is not None]
        if found:
            table.add_row(*row(name, share, settings, found))
    Console(width=140).print(table)
    if missing:
        print(f"{missing} searches were not begun within {options.minutes:g} minutes; run it again to go on")


if __name__ == "__main__":
    main()
