"""How much of its processes a parallel search uses: measured here, and in virtual time for 8, 64 and 512 of them.

::

    python benchmarks/parallel_efficiency.py [--measure] [--evaluations 20] [--strategies asha bohb …]

In virtual time an evaluation really lasts its declared duration times a lognormal factor (median 1) that nobody knows
beforehand; told in the order that is declared, a process waits where an earlier turn takes longer than was declared.
`--measure` runs 16 evaluations of unequal length on two workers on Ray, once they are warm, beside the ideal schedule.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import searchbench as sb
from searchbench.errors import StudyError
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.loop import drive
from searchbench.harness.running.measuring import MeasurementOutcome, Request, measure
from searchbench.harness.running.run import open_lab
from searchbench.spaces.block_cells.nasnet import pnas as pnas_space
from searchbench.spaces.nasbench201.space import nasbench201

SPACE = {"x": sb.Float(0, 1), "y": sb.Float(0, 1)}
CELLS = nasbench201()
BLOCKS = pnas_space(blocks=3)


@dataclass(frozen=True)
class Searched:
    """A strategy, on which space, and with how many processes at most: beyond, its models would take hours."""

    strategy: Any
    space: Any = None
    most: int = 512


STRATEGIES: dict[str, Searched] = {
    "random": Searched("random"),
    "regularized-evolution": Searched(sb.Use("regularized-evolution", population=50, sample=10)),
    "asha": Searched("asha"),
    "hyperband": Searched("hyperband"),
    "bohb": Searched("bohb"),
    "reinforce": Searched("reinforce", CELLS),
    "lstm-reinforce, 8 replicas": Searched(sb.Use("lstm-reinforce", replicas=8, batch=8), CELLS, 64),
    "pnas": Searched(sb.Use("pnas", beam=64, members=2, epochs=3), BLOCKS),
    "optuna:tpe": Searched("optuna:tpe", most=64),
    "optuna:cmaes": Searched("optuna:cmaes", most=64),
    "optuna:random, median": Searched(sb.Use("optuna:random", pruner="median")),
    "tune:optuna": Searched("tune:optuna", most=64),
    "tune:hyperopt": Searched("tune:hyperopt", most=64),
    "tune:asha": Searched("tune:asha"),
    "tune:median-stopping": Searched("tune:median-stopping"),
    "skopt:forest": Searched("skopt:forest", most=8),
    "cmaes:catcma": Searched("cmaes:catcma"),
    "nni:evolution": Searched("nni:evolution", CELLS),
    "nni:tpe": Searched("nni:tpe", CELLS, 64),
    "smac:forest": Searched("smac:forest", most=8),
}


def height(config: dict[str, Any]) -> float:
    """Where a configuration lies in [0, 1]: its `y`, or a number drawn from what it is."""
    found = config.get("y")
    return zlib.crc32(repr(sorted(config.items())).encode()) / 2**32 if found is None else float(found)


def lasts(config: dict[str, Any], epochs: float = 27) -> float:
    """Declared: unequal by a factor of ten between configurations."""
    return float(epochs * 10 ** height(config))


def loss(config: dict[str, Any], *, seed: int, epochs: int = 27) -> float:
    """A bowl, noisier where it was trained less."""
    return float((config.get("x", 0.3) - 0.3) ** 2 + (height(config) - 0.6) ** 2 + (seed % 97) / 97 / epochs)


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


def idle(searched: Searched, parallel: int, spread: float, order: Any, each: int) -> float:
    """Share of process-seconds in which nothing is evaluated, from the first proposal to the last result."""
    space = SPACE if searched.space is None else searched.space
    problem = sb.Objective(loss, space, parallel=parallel, duration=lasts, order=order, epochs=27)
    study = sb.Study("idle", problem, [searched.strategy], 1, sb.Budget(evaluations=each * parallel))
    planned = plan(study)
    if not planned.runs:
        raise StudyError(planned.skipped[0].reason)
    (spec,) = planned.runs
    made = spec.contestant.make()
    lab = open_lab(spec, spec.seeds(made))
    lab.evaluation.crew = crew = Virtual(lab.evaluation.estimator, spread)
    drive(made.start(lab.scenario), lab, workers=parallel, order=order)
    return 1 - crew.busy_s / (parallel * crew.now_s)


def simulated(each: int, chosen: list[str]) -> None:
    """Print the idle shares; a strategy whose package is not installed says so."""
    print(f"idle share, {each} evaluations a process; real durations spread around the declared ones (sd of the log)\n")
    print(f"{'strategy':<28}{'processes':>10}" + "".join(f"{f'{o} {s}':>16}" for s in (0.1, 0.3) for o in ORDERS))
    for name in chosen:
        searched = STRATEGIES[name]
        for parallel in (8, 64, 512):
            if parallel > searched.most:
                continue
            try:
                shares = [idle(searched, parallel, spread, order, each) for spread in (0.1, 0.3) for order in ORDERS]
            except StudyError as missing:
                print(f"{name:<28}{parallel:>10}  {missing}", flush=True)
                break
            print(f"{name:<28}{parallel:>10}" + "".join(f"{share:>16.3f}" for share in shares), flush=True)


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
    parser.add_argument("--strategies", nargs="+", choices=tuple(STRATEGIES), default=list(STRATEGIES))
    parser.add_argument("--measure", action="store_true")
    given = parser.parse_args()
    if given.measure:
        measured()
    else:
        simulated(given.evaluations, given.strategies)


if __name__ == "__main__":
    main()
