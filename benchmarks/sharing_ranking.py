"""How well inherited weights rank architectures, by how the supernet was trained, at equal sample passes.

    python benchmarks/sharing_ranking.py [--passes 150] [--seeds 5] [--architectures 200] [--rates] [--store FILE]

NAS-Bench-201 x digits with the shipped table's skeleton and minibatch. Every supernet is trained for as many passes
over the training split (a minibatch through one path each), and scores the same architectures, a sample stratified by
multiply-accumulates. Truth: the shipped table's validation errors, then its test errors as the judge looks them up.
Runs that the store holds are not run again: stop it at any moment and repeat the command. `searchbench ranking --store
FILE` prints the second table again.
"""

from __future__ import annotations

import argparse
import time

from rich.console import Console

from searchbench import Budget, Problem, Study, Use
from searchbench.errors import InputError
from searchbench.harness.driving.progress import Silent
from searchbench.harness.session import run
from searchbench.harness.truth import by_judge, by_table
from searchbench.reports.render.shared import to_rich
from searchbench.reports.sharing import build, gather, sample
from searchbench.results.store import open_store
from searchbench.tables.building.plan import table_plan

TABLE = "nasbench201-digits"
RATE, PATHS = 0.025, 5
METHODS = {
    "RSPS": ("random-sharing", RATE, "batch"),
    "SPOS": ("spos", RATE, None),
    "FairNAS": ("fairnas", RATE, None),
    "expectation-fair": ("expectation-fair", RATE, None),
}
"""One-shot training, its first learning rate, how scores are taken. RSPS and SPOS train alike, one uniform path per
minibatch, and score differently: by the statistics of the minibatch, and after recalibration on 4 training batches."""
RATES = {
    "SPOS, rate x 4": ("spos", 4 * RATE, None),
    "FairNAS, rate x 4": ("fairnas", 4 * RATE, None),
    "FairNAS, rate / m": ("fairnas", RATE / PATHS, None),
    "expectation-fair, rate x 4": ("expectation-fair", 4 * RATE, None),
}
"""The same at other learning rates; the mean of m gradients is their sum at rate / m."""


def study(passes: int, seeds: int, architectures: int, rates: bool) -> Study:
    """Every method on the table's problem, its second half the common sample."""
    plan = table_plan(TABLE)
    space = Use(plan.space, **dict(plan.settings))
    finder = Use("stratified-sample", architectures=architectures)
    strategies = {
        label: Use(
            "shared-weights",
            training=Use(training, lr=rate, batch_size=plan.recipe.batch_size),
            finder=finder,
            **({} if recalibrate is None else {"recalibrate": recalibrate}),
        )
        for label, (training, rate, recalibrate) in (RATES if rates else METHODS).items()
    }
    problem = Problem(space, plan.task, "train", Use("table", path=TABLE), TABLE)
    return Study(f"sharing-{passes}{'-rates' if rates else ''}", problem, strategies, seeds, Budget(epochs=passes))


class Lines(Silent):
    """A line per finished supernet."""

    def finished(self, spec: object, record: object) -> None:
        print(f"{spec}: {time.process_time():.0f} CPU-s so far", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--architectures", type=int, default=200)
    parser.add_argument("--rates", action="store_true", help="The methods at other learning rates instead.")
    parser.add_argument("--store", default="sharing_ranking.db")
    options = parser.parse_args()
    declared = study(options.passes, options.seeds, options.architectures, options.rates)
    run(declared, options.store, workers=0, resume=True, observer=Lines())
    with open_store(options.store) as store:
        record = store.study(declared.name)
        shared = gather(store, record)
    if TABLE not in shared:
        raise InputError("no supernet was trained.")
    console = Console(width=130)
    notations = sample(shared[TABLE])
    for truth in (
        by_table(record, TABLE, notations, TABLE),
        by_judge(options.store, record, TABLE, notations),
    ):
        console.print(to_rich(build(record.name, TABLE, shared[TABLE], truth)))


if __name__ == "__main__":
    main()
