"""How long the whole statistics layer takes on 50 strategies x 100 seeds x 5 tasks, on one core.

    python benchmarks/statistics_speed.py [--strategies 50] [--seeds 100] [--tasks 5]

Prints CPU milliseconds per question and the total; exits with status 1 above ten seconds at the default size.
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from searchbench import statistics as st

LIMIT_S = 10.0


def main() -> int:
    """Time every question once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strategies", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--tasks", type=int, default=5)
    parser.add_argument("--ties", action="store_true", help="round scores to 1 decimal, as a small table would")
    size = parser.parse_args()
    scores = draw(size.strategies, size.seeds, size.tasks)
    total = wall = 0.0
    for label, question in questions(np.round(scores, 1) if size.ties else scores):
        start, began = time.process_time(), time.perf_counter()
        question()
        spent = time.process_time() - start
        total, wall = total + spent, wall + time.perf_counter() - began
        print(f"{1e3 * spent:9.0f} ms  {label}")
    what = f"{size.strategies} strategies x {size.seeds} seeds x {size.tasks} tasks"
    print(f"{1e3 * total:9.0f} ms  total of {what} ({wall:.1f} s by the clock)")
    return int(total > LIMIT_S and scores.size <= 25_000)


def draw(k: int, seeds: int, tasks: int) -> np.ndarray:
    """Test errors [k, seeds, tasks]: strategies differ, and share a part of the noise by seed."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(1, seeds, tasks))
    return 10 + np.linspace(0, 1, k)[:, None, None] + 0.5 * shared + rng.normal(size=(k, seeds, tasks))


def questions(x: np.ndarray) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every question of the layer, on all strategies and tasks."""
    k, seeds, tasks = x.shape
    names = [f"s{i}" for i in range(k)]
    arms = [[st.arm(x[i, :, t], name=names[i], better="lower") for i in range(k)] for t in range(tasks)]
    flat = list(itertools.chain.from_iterable(arms))
    yield f"describe, {len(flat)} cells with BCa", lambda: [st.describe(a) for a in flat]
    yield "completion with Wilson", lambda: [st.completion(a) for a in flat]
    yield "against the baseline, paired", lambda: [st.versus_baseline(a, "s0", paired_by_seed=True) for a in arms]
    yield "against the baseline, unpaired", lambda: [st.versus_baseline(a, "s0", paired_by_seed=False) for a in arms]
    families: list[st.Family] = []
    yield (
        "all pairs, paired, with Friedman",
        lambda: families.extend(st.all_pairs(a, paired_by_seed=True) for a in arms),
    )
    yield "letters and rank intervals", lambda: [(f.letters(), f.rank_intervals()) for f in families]
    yield "all pairs, unpaired", lambda: [st.all_pairs(a, paired_by_seed=False) for a in arms]
    yield "P(better) matrices", lambda: [st.superiority_matrix(a) for a in arms]
    scores = st.Scores(tuple(names), tuple(f"t{t}" for t in range(tasks)), x, ("lower",) * tasks)
    regret = scores.normalised(best=x.min(axis=(0, 1)), random_mean=x.mean(axis=(0, 1)) + 5)
    found: list[st.Aggregate] = []
    yield "IQM, 2,000 joint resamples, all strategies", lambda: found.append(st.aggregate(regret))
    yield "rank intervals and P(best)", lambda: st.rank(found[0])
    yield (
        "P(improvement) over the baseline, bootstrap",
        lambda: [st.probability_of_improvement(x[i], x[0], better="lower") for i in range(1, k)],
    )
    yield (
        "Nemenyi and control over seeds, per task",
        lambda: [
            (st.nemenyi(x[:, :, t].T, better="lower"), st.against_control(x[:, :, t].T, control=0, better="lower"))
            for t in range(tasks)
        ],
    )
    yield (
        "relative improvement",
        lambda: [st.relative_improvement(100 - x[i, :, 0], 100 - x[0, :, 0]) for i in range(k)],
    )
    curves = [_curves(x[i, :, 0], seed=i) for i in range(k)]
    yield (
        "anytime regret, linear and log",
        lambda: [(st.regrets(c, best=8.0), st.regrets(c, best=8.0, log_from=1.0)) for c in curves],
    )
    yield "anytime bands on 200 points", lambda: [st.band(c, np.linspace(1, 100, 200)) for c in curves]
    reached = [st.hits(c, 10.5, name=n) for c, n in zip(curves, names, strict=True)]
    yield (
        "Kaplan-Meier, log-rank, ERT against the baseline",
        lambda: [(st.kaplan_meier(h), st.log_rank(h, reached[0])) for h in reached],
    )
    yield "expected best of n", lambda: [st.expected_best(x[i, :, 0], better="lower") for i in range(k)]
    yield (
        "TOST and ROPE against the baseline",
        lambda: [
            (test(a, arms[0][0], delta=0.2, paired_by_seed=True)) for a in arms[0][1:] for test in (st.tost, st.rope)
        ],
    )
    yield (
        "more seeds",
        lambda: [
            st.more_seeds(delta=0.2, sd=1 + i / 100, n_pilot=seeds, paired=True, comparisons=k - 1) for i in range(k)
        ],
    )
    yield (
        "rank correlation, 1,000 architectures",
        lambda: st.rank_correlation(x[:10].reshape(-1)[:1000], x[10:20].reshape(-1)[:1000]),
    )
    yield "variance components", lambda: [st.variance_components(x[i].reshape(seeds, tasks)) for i in range(k)]


def _curves(final: np.ndarray, seed: int) -> list[st.Curve]:
    rng = np.random.default_rng(seed)
    out = []
    for value in final:
        times = np.sort(rng.uniform(0, 100, 30))
        values = st.incumbent(value + rng.exponential(2.0, 30))
        out.append(st.Curve(tuple(times), tuple(values), 100.0, "evaluations", before_first=20.0))
    return out


if __name__ == "__main__":
    sys.exit(main())
