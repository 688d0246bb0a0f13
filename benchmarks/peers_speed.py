"""Logged trials per CPU-second beside installed peers, on one table of 15,625 cells, in one run of this script.

    python benchmarks/peers_speed.py [--trials 4000]

Every line does the same work: draw a cell, look its recorded value up, keep a record of the trial. A bare Python loop
with a list in memory is the floor; Optuna runs in memory and on SQLite through its own ask and tell, at random and by
its evolution (NSGA-II of one objective); NNI's tuners and Syne Tune's schedulers run as ask/tell objects, without their
backends and what those would write down. Peers that are not installed are named and left out. CPU seconds are of this
process, the median of three rounds.
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import datetime
import functools
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness_speed import STRATEGIES, study, synthetic_table

import searchbench as sb
from searchbench.spaces import SPACES

SHARE = {"memory": 4, "SQLite": 40}
"""Peers are given fewer trials, or they would take all of the script's time."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=4000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = synthetic_table(folder)
        rates = {"bare loop, in memory": rate(lambda i: bare(table, trials), trials)}
        for label, strategy in STRATEGIES.items():
            rates[f"searchbench, {label}"] = rate(lambda i, s=strategy: ours(table, folder, s, trials, i), trials)
        for peer, runs in PEERS.items():
            if importlib.util.find_spec(peer) is None:
                print(f"{peer} is not installed and left out")
                continue
            for label, (share, run) in runs.items():
                count = max(trials // share, 10)
                rates[label] = rate(lambda i, r=run, n=count: r(table, folder, n, i), count)
    print(f"{'logged trials per CPU-second':34s}{'':>10s}  searchbench's is … times as fast")
    for label, found in rates.items():
        ours_alike = rates["searchbench, evolution P=100 S=25" if "evolution" in label else "searchbench, random"]
        print(f"{label:34s}{found:>10,.0f}  {ours_alike / found:10.2f}")


def rate(run: Callable[[int], None], trials: int) -> float:
    """Trials per CPU-second, the median of three rounds after a warm-up."""
    run(0)
    rates = []
    for repeat in range(1, 4):
        started = time.process_time()
        run(repeat)
        rates.append(trials / (time.process_time() - started))
    return statistics.median(rates)


def ours(table: Path, folder: Path, strategy: sb.Use, trials: int, repeat: int) -> None:
    """A whole study of one run, stored."""
    label = strategy.name + str(dict(strategy.parameters).get("population", ""))
    sb.run(study("speed", table, strategy, 1, trials), folder / f"{label}-{repeat}.db", workers=0)


@functools.cache
def values_of(table: Path) -> dict[str, float]:
    """The recorded values by architecture."""
    lines = (line.split(",") for line in table.read_text().splitlines()[1:])
    return {architecture: float(value) for architecture, value, _ in lines}


def bare(table: Path, trials: int) -> None:
    """Nothing but drawing, looking up and appending."""
    values, space = values_of(table), SPACES.factory("nasbench201")()
    rng, history = np.random.default_rng(0), []
    for _ in range(trials):
        text = str(space.sample(rng))
        history.append((text, values[text]))


def optuna(kind: str, sampler: str, table: Path, folder: Path, trials: int, repeat: int) -> None:
    """One of Optuna's samplers, by ask and tell."""
    import optuna as peer

    peer.logging.set_verbosity(peer.logging.ERROR)
    values, space = values_of(table), SPACES.factory("nasbench201")()
    storage = None if kind == "memory" else f"sqlite:///{folder / f'optuna-{sampler}-{repeat}.db'}"
    made = peer.create_study(storage=storage, sampler=getattr(peer.samplers, sampler)(seed=repeat))
    for _ in range(trials):
        trial = made.ask()
        drawn = tuple(trial.suggest_categorical(d.name, list(d.options)) for d in space.decisions)
        made.tell(trial, values[str(space.architecture(drawn))])


def nni(word: str, table: Path, folder: Path, trials: int, repeat: int) -> None:
    """NNI's random or evolution tuner, as an ask/tell object."""
    from nni.algorithms.hpo.evolution_tuner import EvolutionTuner
    from nni.algorithms.hpo.random_tuner import RandomTuner

    values, space, history = values_of(table), SPACES.factory("nasbench201")(), []
    random = word == "random"
    tuner = RandomTuner(seed=repeat) if random else EvolutionTuner(optimize_mode="minimize", population_size=100)
    tuner.update_search_space({d.name: {"_type": "choice", "_value": list(d.options)} for d in space.decisions})
    for number in range(trials):
        drawn = tuner.generate_parameters(number)
        text = str(space.architecture(drawn))
        tuner.receive_trial_result(number, drawn, values[text])
        history.append((text, values[text]))


def syne_tune(word: str, table: Path, folder: Path, trials: int, repeat: int) -> None:
    """Syne Tune's scheduler of random search, or of regularized evolution, as an ask/tell object."""
    from syne_tune.backend.trial_status import Trial
    from syne_tune.config_space import choice
    from syne_tune.optimizer.baselines import REA, RandomSearch

    values, space, history = values_of(table), SPACES.factory("nasbench201")(), []
    decisions = {d.name: choice(list(d.options)) for d in space.decisions}
    if word == "random":
        made = RandomSearch(decisions, metrics=["error"], random_seed=repeat)
    else:
        made = REA(decisions, metric="error", random_seed=repeat, population_size=100, sample_size=25)
    for number in range(trials):
        drawn = made.suggest().config
        trial, text = Trial(number, drawn, datetime.datetime.now()), str(space.architecture(drawn))
        made.on_trial_add(trial)
        made.on_trial_complete(trial, {"error": values[text]})
        history.append((text, values[text]))


Run = Callable[[Path, Path, int, int], None]
PEERS: dict[str, dict[str, tuple[int, Run]]] = {
    "optuna": {
        f"Optuna {word}, {kind}": (share, functools.partial(optuna, kind, sampler))
        for word, sampler in (("random", "RandomSampler"), ("evolution", "NSGAIISampler"))
        for kind, share in SHARE.items()
    },
    "nni": {
        f"NNI {word}, no record": (SHARE["memory"], functools.partial(nni, word)) for word in ("random", "evolution")
    },
    "syne_tune": {
        f"Syne Tune {word}, no record": (SHARE["memory"], functools.partial(syne_tune, word))
        for word in ("random", "evolution")
    },
}
"""What each peer runs, with its share of the trials."""


if __name__ == "__main__":
    main()
