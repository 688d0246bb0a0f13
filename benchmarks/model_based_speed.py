"""What strategies with a model of their own cost: CPU-seconds per search, and whether they choose what they chose.

    python benchmarks/model_based_speed.py [--before CHECKOUT] [--seeds 2] [--only gp bananas]

A search asks for 200 evaluations, answered at once: from the shipped table, and where a strategy needs another kind of
space (numbers for `turbo`, growing cells for `pnas`) by a made-up function. `--before` runs the same searches with the
package of another checkout and says how many of the 200 choices agree, seed by seed. One thread; processor seconds, so
that other load matters little; a first search, which imports and compiles, is not counted.
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

EVALUATIONS = 200
Value = Callable[[Any], float]


def on_cells() -> tuple[Any, Value]:
    """NAS-Bench-201 with the shipped table: the first validation error after twelve epochs."""
    from searchbench import Problem  # by its public name: `--before` runs other checkouts
    from searchbench.seeds import Seeds
    from searchbench.trial import FULL

    problem = Problem("nasbench201", "digits", "table").resolve()
    looked_up = problem.estimator.open(problem.space, problem.task, Seeds("speed", 0))
    return problem.space, cache(lambda architecture: float(looked_up.evaluate(architecture, FULL, 0)[0].value))


def on_numbers() -> tuple[Any, Value]:
    """A bowl of six numbers."""
    from searchbench.spaces.choices import Float
    from searchbench.spaces.space import Space

    space = Space("bowl", tuple(Float(f"x{at}", 0.0, 1.0) for at in range(6)))
    return space, lambda a: sum((float(x) - 0.1 * at) ** 2 for at, x in enumerate(a.values))


def on_growing_cells() -> tuple[Any, Value]:
    """Cells of one to five blocks; better with separable convolutions."""
    from searchbench.spaces import SPACES

    return SPACES.factory("pnas")(), lambda a: 1.0 - 0.08 * sum("sep" in str(v) for v in a.values)


SEARCHES: dict[str, tuple[str, dict[str, Any], Callable[[], tuple[Any, Value]]]] = {
    "random": ("random", {}, on_cells),
    "bananas": ("bananas", {}, on_cells),
    "gp": ("gp", {}, on_cells),
    "gp on numbers": ("gp", {}, on_numbers),
    "forest": ("forest", {}, on_cells),
    "extra-trees": ("forest", {"extremely_random": True}, on_cells),
    "nas-bowl": ("nas-bowl", {}, on_cells),
    "nasbot": ("nasbot", {}, on_cells),
    "auto-keras": ("auto-keras", {}, on_cells),
    "lanas": ("lanas", {}, on_cells),
    "turbo": ("turbo", {}, on_numbers),
    "pnas": ("pnas", {"beam": 32}, on_growing_cells),
    "reinforce": ("reinforce", {}, on_cells),
    "lstm-reinforce": ("lstm-reinforce", {}, on_cells),
    "ppo": ("ppo", {}, on_cells),
}


def search(name: str, seed: int) -> tuple[float, list[str]]:
    """CPU-seconds of one search, and the keys of what it chose."""
    from searchbench.cost import Budget, Cost
    from searchbench.seeds import Seeds
    from searchbench.strategies import STRATEGIES
    from searchbench.strategies.strategy import Scenario
    from searchbench.trial import FULL, Trial

    use, settings, problem = SEARCHES[name]
    space, value = problem()
    chosen: list[str] = []
    started = time.process_time()
    live = STRATEGIES.factory(use)(**settings).start(
        Scenario(space, Seeds("speed", seed, name), Budget(evaluations=EVALUATIONS))
    )
    for at in range(EVALUATIONS):
        proposal = live.ask()
        if proposal is None:
            break
        chosen.append(proposal.architecture.key)
        live.tell(Trial(at, proposal.architecture, FULL, "ok", value(proposal.architecture), Cost(evaluations=1)))
    return time.process_time() - started, chosen


def measured(names: list[str], seeds: int) -> dict[str, Any]:
    """(CPU-seconds, choices) of every seed, by name."""
    import torch

    from searchbench.strategies import STRATEGIES

    torch.set_num_threads(1)
    found = {}
    for name in names:
        if SEARCHES[name][0] in STRATEGIES.builtin:
            search(name, 10_000)
            found[name] = [search(name, seed) for seed in range(seeds)]
    return found


def before(checkout: Path, names: list[str], seeds: int) -> dict[str, Any]:
    """The same with the package of another checkout."""
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
        now = measured([name], asked.seeds).get(name, [])
        earlier = before(asked.before, [name], asked.seeds).get(name, []) if asked.before else []
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
