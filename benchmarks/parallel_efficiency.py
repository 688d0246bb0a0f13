"""How much of its processes a parallel search uses: measured here, and in virtual time for 8, 64 and 512 of them.

::

    python benchmarks/parallel_efficiency.py [--measure] [--evaluations 20]

In virtual time an evaluation really lasts its declared duration times a lognormal factor (median 1) that nobody knows
beforehand; told in the order that is declared, a process waits where an earlier turn takes longer than was declared.
`--measure` runs 16 evaluations of unequal length on two workers on Ray, once they are warm, beside the ideal schedule.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import searchbench as sb
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.loop import drive
from searchbench.harness.running.measuring import MeasurementOutcome, Request, measure
from searchbench.harness.running.run import open_lab

STRATEGIES: dict[str, Any] = {
    "random": "random",
    "regularized-evolution": sb.Use("regularized-evolution", population=50, sample=10),
    "asha": "asha",
    "hyperband": "hyperband",
    "bohb": "bohb",
    "optuna:tpe": "optuna:tpe",
}
SPACE = {"x": sb.Float(0, 1), "y": sb.Float(0, 1)}


def lasts(config: dict[str, float], epochs: float = 27) -> float:
    """Declared: unequal by a factor of ten between configurations."""
    return float(epochs * 10 ** config["y"])


def loss(config: dict[str, float], *, seed: int, epochs: int = 27) -> float:
    """A bowl, noisier where it was trained less."""
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2 + (seed % 97) / 97 / epochs


class Virtual:
    """A crew on processes of a virtual clock, which counts how long they are busy."""

    def __init__(self, estimator: Any, spread: float) -> None:
        self.estimator, self.spread, self.rng = estimator, spread, np.random.default_rng(0)
        self.now_s = self.busy_s = 0.0
        self.requests: list[Request] = []
        self.ends_s: list[float] = []

    def begin(self, request: Request) -> int:
        declared = lasts(request.architecture.as_dict(), request.fidelity.epochs or 27)
        really = declared * math.exp(self.rng.normal(0, self.spread))
        self.busy_s += really
        self.requests.append(request)
        self.ends_s.append(self.now_s + really)
        return len(self.requests) - 1

    def result(self, ticket: int) -> MeasurementOutcome:
        self.now_s = max(self.now_s, self.ends_s[ticket])
        return measure(self.estimator, self.requests[ticket], timed=False)

    def first(self, tickets: list[int]) -> int:
        return min(tickets, key=self.ends_s.__getitem__)


def idle(strategy: Any, parallel: int, spread: float, order: Any, each: int) -> float:
    """Share of process-seconds in which nothing is evaluated, from the first proposal to the last result."""
    problem = sb.Objective(loss, SPACE, parallel=parallel, duration=lasts, order=order, epochs=27)
    study = sb.Study("idle", problem, [strategy], 1, sb.Budget(evaluations=each * parallel))
    (spec,) = plan(study).runs
    made = spec.contestant.make()
    lab = open_lab(spec, spec.seeds(made))
    lab.evaluation.crew = crew = Virtual(lab.evaluation.estimator, spread)
    drive(made.start(lab.scenario), lab, workers=parallel, order=order)
    return 1 - crew.busy_s / (parallel * crew.now_s)


def simulated(each: int) -> None:
    """Print the idle shares."""
    print(f"idle share, {each} evaluations a process; real durations spread around the declared ones (sd of the log)\n")
    print(f"{'strategy':<24}{'processes':>10}" + "".join(f"{f'{o} {s}':>16}" for s in (0.1, 0.3) for o in ORDERS))
    for name, strategy in STRATEGIES.items():
        for parallel in (8, 64, 512):
            if parallel == 512 and name == "optuna:tpe":
                continue  # ten thousand fits of a model
            shares = [idle(strategy, parallel, spread, order, each) for spread in (0.1, 0.3) for order in ORDERS]
            print(f"{name:<24}{parallel:>10}" + "".join(f"{share:>16.3f}" for share in shares), flush=True)


ORDERS = ("declared", "arrival")


def sleeping(config: dict[str, float], *, seed: int) -> float:
    """Half a second to five."""
    time.sleep(0.5 * 10 ** config["y"])
    return config["x"]


def declared_s(config: dict[str, float]) -> float:
    """What `sleeping` takes."""
    return float(0.5 * 10 ** config["y"])


def measured(rounds: int = 3) -> None:
    """Print seconds of 16 unequal evaluations on two workers beside the ideal: longest first, on whoever is free."""
    from searchbench.harness.executors.on_ray import RayExecutor

    RayExecutor(2)  # stays up, so that a round does not pay for starting it
    print(f"{'parallel':<10}{'round':>6}{'seconds':>10}{'ideal':>10}{'efficiency':>12}")
    for parallel in (2, 4, 16):
        problem = sb.Objective(sleeping, SPACE, parallel=parallel, duration=declared_s, test=at_once)
        for round_ in range(rounds + 1):
            study = sb.Study(f"round {round_} of {parallel}", problem, ["random"], 1, sb.Budget(evaluations=16))
            took, ideal = timed(study)
            if round_:  # the first one starts the processes
                print(f"{parallel:<10}{round_:>6}{took:>10.2f}{ideal:>10.2f}{ideal / took:>12.3f}", flush=True)


def at_once(config: dict[str, float]) -> float:
    """The judge's, so that the seconds are those of the search."""
    return config["x"]


def timed(study: sb.Study) -> tuple[float, float]:
    """Seconds of the study's one search, and those of the ideal schedule of its evaluations on two workers."""
    with tempfile.TemporaryDirectory() as folder:
        found = sb.run(study, Path(folder) / "s.db", workers=2, progress=False)
        (run,) = found.runs().to_dict("records")
        spent = found.trials(run["run_id"])["spent_device_s"].to_numpy()
    free = [0.0, 0.0]
    for length in sorted(np.diff(spent, prepend=0.0), reverse=True):
        free[free.index(min(free))] += length
    began, ended = (datetime.fromisoformat(run[name]) for name in ("started", "finished"))
    return (ended - began).total_seconds(), max(free)


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--evaluations", type=int, default=20, help="for each process")
    parser.add_argument("--measure", action="store_true")
    given = parser.parse_args()
    if given.measure:
        measured()
    else:
        simulated(given.evaluations)


if __name__ == "__main__":
    main()
