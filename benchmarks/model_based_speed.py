"""What strategies with a model of their own cost: CPU-seconds per search, and whether they choose what they chose.

    python benchmarks/model_based_speed.py [--before CHECKOUT] [--seeds 2] [--only gp bananas]

A search asks for 200 evaluations, answered at once: from the shipped table (of several lengths if it wants them), and
where a strategy needs another kind of space (numbers for `turbo`, growing cells for `pnas`) by a made-up function.
`--before` runs the same searches with the package of another checkout and says how many of the 200 choices agree, by
seed. One thread; processor seconds, so that other load matters little; a first search, which imports, is not counted.
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

EVALUATIONS = 200
HERE = Path(__file__).parents[1]
Value = Callable[[Any, Any], float]
"""Of an architecture, at a fidelity."""


def on_cells() -> tuple[Any, Value, tuple[float, ...]]:
    """NAS-Bench-201 with the shipped table: the first validation error, after as many epochs as are asked for."""
    from searchbench import Problem  # by its public name: `--before` runs other checkouts
    from searchbench.seeds import Seeds

    problem = Problem("nasbench201", "digits", "table").resolve()
    looked_up = problem.estimator.open(problem.space, problem.task, Seeds("speed", 0))

    @cache
    def value(architecture: Any, fidelity: Any) -> float:
        return float(looked_up.evaluate(architecture, looked_up.complete(fidelity), 0)[0].value)

    return problem.space, value, problem.stops


def on_numbers() -> tuple[Any, Value, tuple[float, ...]]:
    """A bowl of six numbers."""
    from searchbench.spaces.choices import Float
    from searchbench.spaces.space import Space

    space = Space("bowl", tuple(Float(f"x{at}", 0.0, 1.0) for at in range(6)))
    return space, lambda a, _: sum((float(x) - 0.1 * at) ** 2 for at, x in enumerate(a.values)), ()


def on_growing_cells() -> tuple[Any, Value, tuple[float, ...]]:
    """Cells of one to five blocks; better with separable convolutions."""
    from searchbench.spaces import SPACES

    return SPACES.factory("pnas")(), lambda a, _: 1.0 - 0.08 * sum("sep" in str(v) for v in a.values), ()


def in_double_precision() -> Any:
    """BANANAS whose ensemble computes in double precision, where rounding decides nothing."""
    from searchbench.strategies.mlp import MlpEnsemble
    from searchbench.strategies.model_based import bananas

    return replace(bananas(), surrogate=MlpEnsemble(precision="double"))


PRIOR = {"1<-0": "nor_conv_3x3", "2<-0": "skip_connect"}
SEARCHES: dict[str, tuple[str | Callable[[], Any], dict[str, Any], Callable[[], Any]]] = {
    "random": ("random", {}, on_cells),
    "bananas": ("bananas", {}, on_cells),
    "bananas, double": (in_double_precision, {}, on_cells),
    "gp": ("gp", {}, on_cells),
    "gp on numbers": ("gp", {}, on_numbers),
    "forest": ("forest", {}, on_cells),
    "extra-trees": ("forest", {"extremely_random": True}, on_cells),
    "nas-bowl": ("nas-bowl", {}, on_cells),
    "nasbot": ("nasbot", {}, on_cells),
    "auto-keras": ("auto-keras", {}, on_cells),
    "pibo": ("pibo", {"prior": PRIOR}, on_cells),
    "zero-cost-prior": ("zero-cost-prior", {"path": "ranks.csv"}, on_cells),
    "turbo": ("turbo", {}, on_numbers),
    "lanas": ("lanas", {}, on_cells),
    "pnas": ("pnas", {"beam": 32}, on_growing_cells),
    "reinforce": ("reinforce", {}, on_cells),
    "lstm-reinforce": ("lstm-reinforce", {}, on_cells),
    "ppo": ("ppo", {}, on_cells),
    "renas": ("renas", {}, on_cells),
    "bohb": ("bohb", {}, on_cells),
    "dehb": ("dehb", {}, on_cells),
    "priorband": ("priorband", {"prior": PRIOR}, on_cells),
    "predicted-stopping": ("predicted-stopping", {}, on_cells),
    "hyperband of gp": ("scheduled", {"scheduler": "hyperband", "searcher": "gp"}, on_cells),
    "asha of forest": ("scheduled", {"scheduler": "asha", "searcher": "forest"}, on_cells),
    "asha of bananas": ("scheduled", {"scheduler": "asha", "searcher": "bananas"}, on_cells),
}


def search(name: str, seed: int) -> tuple[float, list[str]]:
    """CPU-seconds of one search, and the keys of what it chose."""
    from searchbench.cost import Budget, Cost
    from searchbench.seeds import Seeds
    from searchbench.strategies import STRATEGIES
    from searchbench.strategies.strategy import Scenario
    from searchbench.trial import Fidelity, Trial

    use, settings, problem = SEARCHES[name]
    space, value, stops = problem()
    if "path" in settings:
        settings = {**settings, "path": str(_scores(space, value))}
    full = Fidelity(stops[-1]) if stops else Fidelity()
    scenario = Scenario(space, Seeds("speed", seed, name), Budget(evaluations=EVALUATIONS), full, stops=stops)
    chosen: list[str] = []
    started = time.process_time()
    strategy = use() if callable(use) else STRATEGIES.factory(use)(**settings)
    live = strategy.start(scenario)
    for at in range(EVALUATIONS):
        proposal = live.ask()
        if proposal is None:
            break
        chosen.append(proposal.architecture.key)
        fidelity = full if proposal.fidelity.epochs is None else proposal.fidelity
        found = value(proposal.architecture, fidelity)
        live.tell(Trial(at, proposal.architecture, fidelity, "ok", found, Cost(evaluations=1)))
    return time.process_time() - started, chosen


def _scores(space: Any, value: Value) -> Path:
    """A file with what a proxy would say of 500 architectures beforehand, here their value and noise."""
    import numpy as np

    from searchbench.trial import FULL

    rng, place = np.random.default_rng(0), Path(tempfile.gettempdir()) / "model_based_speed_ranks.csv"
    known = {a.key: a for a in space.draws(500, rng)}.values()
    rows = [f'"{a}",{value(a, FULL) + 0.05 * rng.standard_normal()}' for a in known]
    place.write_text("\n".join(["architecture,value", *rows]))
    return place


def measured(names: list[str], seeds: int) -> dict[str, Any]:
    """(CPU-seconds, choices) of every seed, by name."""
    import torch

    from searchbench.strategies import STRATEGIES

    torch.set_num_threads(1)
    found = {}
    for name in names:
        use = SEARCHES[name][0]
        if callable(use) or use in STRATEGIES.builtin:
            search(name, 10_000)
            found[name] = [search(name, seed) for seed in range(seeds)]
    return found


def of_checkout(checkout: Path, names: list[str], seeds: int) -> dict[str, Any]:
    """The same with the package of a checkout, in a process of its own: what ran before decides how memory is got."""
    asked = [sys.executable, __file__, "--json", "--seeds", str(seeds), "--only", *names]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    told: dict[str, Any] = json.loads(subprocess.run(asked, env=environment, check=True, capture_output=True).stdout)
    return told


def main() -> None:
    """A line per strategy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=SEARCHES, default=list(SEARCHES))
    parser.add_argument("--before", type=Path, help="another checkout of this package")
    parser.add_argument("--json", action="store_true", help="what was measured, for a program to read")
    asked = parser.parse_args()
    if asked.json:
        json.dump(measured(asked.only, asked.seeds), sys.stdout)
        return
    print(f"CPU-seconds per {EVALUATIONS} evaluations, means of {asked.seeds} seeds")
    print(f"{'':16s} {'before':>8s} {'now':>8s} {'times':>7s}   choices that agree", flush=True)
    for name in asked.only:  # one after the other, both in the same minutes
        now = of_checkout(HERE, [name], asked.seeds).get(name, [])
        earlier = of_checkout(asked.before, [name], asked.seeds).get(name, []) if asked.before else []
        print(line(name, now, earlier), flush=True)


def line(name: str, now: list[Any], earlier: list[Any]) -> str:
    """CPU-seconds of both, their ratio, and how many choices agree for each seed."""
    seconds = _mean(now)
    if not earlier:
        return f"{name:16s} {'':8s} {seconds:8.2f}"
    pairs = zip(earlier, now, strict=True)
    agree = " ".join(str(sum(a == b for a, b in zip(was, new, strict=False))) for (_, was), (_, new) in pairs)
    return f"{name:16s} {_mean(earlier):8.2f} {seconds:8.2f} {_mean(earlier) / max(seconds, 1e-9):6.1f}x   {agree}"


def _mean(runs: list[Any]) -> float:
    return sum(seconds for seconds, _ in runs) / len(runs)


if __name__ == "__main__":
    main()
